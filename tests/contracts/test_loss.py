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


def test_rows_are_reduced_to_their_means(shared, batch):
    rows, _ = shared(batch, reduction="none")
    mean, _ = shared(batch)
    valid = (~batch["action_is_pad"]).sum(1)
    assert rows.shape == (len(valid),)
    torch.testing.assert_close((rows * valid).sum() / valid.sum(), mean)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_padded_actions_count_neither_above_nor_below(policy, batch, reduction, monkeypatch):
    before, _ = policy(batch, reduction=reduction)
    whole = policy.loss_terms
    seen = {}

    def spoiled(*arguments: object):
        error, weight, logs = whole(*arguments)
        padded = batch["action_is_pad"]
        padded = padded.view(len(padded), *[1] * (error.ndim - 3), padded.shape[1], 1).expand_as(error)
        seen["valid"] = error[~padded]
        return torch.where(padded, 1e6, error), weight, logs

    monkeypatch.setattr(policy, "loss_terms", spoiled)
    after, _ = policy(batch, reduction=reduction)
    torch.testing.assert_close(after, before)
    if reduction == "mean":
        torch.testing.assert_close(after, seen["valid"].mean())


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
