"""The training loss: reductions, padding, determinism, global generators left alone."""

import random

import numpy as np
import pytest
import torch


def global_states() -> tuple:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


def test_the_loss_is_a_finite_float32_scalar_with_named_floats(shared, batch):
    loss, logs = shared(batch)
    assert (loss.shape, loss.dtype) == ((), torch.float32)
    assert torch.isfinite(loss)
    assert logs
    assert all(isinstance(value, float) for value in logs.values()), "LeRobot logs nothing else"


def counting(term, batch) -> torch.Tensor:
    """The weight of every error of a term, padded actions left out."""
    weight = term.weight.expand_as(term.error).float()
    if not term.per_action:
        return weight
    padded = batch["action_is_pad"]
    return weight.masked_fill(
        padded.view(len(padded), *[1] * (term.error.ndim - 3), padded.shape[1], 1).expand_as(weight), 0.0
    )


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_loss_is_the_weighted_mean_of_what_counts(policy, batch, reduction, monkeypatch):
    whole = policy.loss_terms
    seen = []

    def watched(*arguments: object):
        terms, logs = whole(*arguments)
        seen.extend(terms)
        return terms, logs

    monkeypatch.setattr(policy, "loss_terms", watched)
    loss, _ = policy(batch, reduction=reduction)
    rows = len(batch["action_is_pad"])
    expected = torch.zeros(rows if reduction == "none" else 1)
    for term in seen:
        weight = counting(term, batch).reshape(len(expected), -1)
        error = term.error.float().reshape(len(expected), -1)
        expected += term.coefficient * (weight * error).sum(1) / weight.sum(1).clamp(min=1e-9)
    assert any(term.per_action for term in seen)
    torch.testing.assert_close(loss.reshape(-1), expected)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_padded_actions_count_neither_above_nor_below(policy, batch, reduction, monkeypatch):
    before, _ = policy(batch, reduction=reduction)
    whole = policy.loss_terms

    def spoiled(*arguments: object):
        terms, logs = whole(*arguments)
        for term in terms:
            if term.per_action:
                padded = batch["action_is_pad"]
                padded = padded.view(len(padded), *[1] * (term.error.ndim - 3), padded.shape[1], 1)
                term.error = torch.where(padded, 1e6, term.error)
        return terms, logs

    monkeypatch.setattr(policy, "loss_terms", spoiled)
    after, _ = policy(batch, reduction=reduction)
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_the_loss_depends_on_nothing_global(policy, batch, training):
    policy.train(training)
    before = global_states()
    first, _ = policy(batch)
    assert global_states() == before
    torch.rand(5), np.random.rand(5), random.random()
    assert policy(batch)[0] == first


def test_every_training_step_draws_anew(policy, batch):
    policy.train()
    first, _ = policy(batch)
    policy.update()
    assert policy(batch)[0] != first


def test_every_trainable_weight_gets_a_finite_gradient(policy, batch):
    """Weights without a gradient stall data-parallel training."""
    policy.train()(batch)[0].backward()
    trainable = {n: p.grad for n, p in policy.named_parameters() if p.requires_grad}
    assert [name for name, gradient in trainable.items() if gradient is None] == []
    assert all(torch.isfinite(gradient).all() for gradient in trainable.values())


def test_the_optimizer_gets_every_trainable_weight_once(shared):
    groups = shared.get_optim_params()
    listed = [id(p) for group in groups for p in (group["params"] if isinstance(group, dict) else [group])]
    assert sorted(listed) == sorted(id(p) for p in shared.parameters() if p.requires_grad)


def test_evaluation_mode_is_left_as_it_was(policy, batch):
    policy.eval()
    policy(batch)
    assert not policy.training
