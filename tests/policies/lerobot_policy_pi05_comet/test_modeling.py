"""`pi05_comet`: what its loss averages, what its cameras cost, how it acts.

Legend: B batch, H chunk, A real action dims, P padded action dims.
"""

from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from stock_pi05 import fill
from tiny_policies import ACTION_WIDTH, observation_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.flow_matching import sample_noise, sample_time
from lerobot_plugins.policy.randomness import EVALUATION, keyed_generator
from lerobot_policy_pi05_comet.modeling_pi05_comet import PI05CometPolicy

TYPE = "pi05_comet"
B, H, A, P = 3, 8, ACTION_WIDTH, 32


@pytest.fixture(scope="module")
def shared() -> PI05CometPolicy:
    return tiny_policy(TYPE)


@pytest.fixture(scope="module")
def batch(shared) -> dict[str, Any]:
    return training_batch(shared.config)


@torch.no_grad()
def errors(policy: PI05CometPolicy, batch: dict[str, Any]) -> torch.Tensor:
    """Squared errors (B, H, P) of the evaluation loss, computed by hand."""
    rng = keyed_generator(policy.config.eval_seed, EVALUATION)
    noise, time = sample_noise(rng, (B, H, P)), sample_time(rng, (B,))
    action = torch.nn.functional.pad(batch["action"], (0, P - A))
    return policy.velocity_errors(policy.encode(batch), action, noise, time)


@pytest.mark.parametrize("dims", [False, True])
@pytest.mark.parametrize("actions", [False, True])
def test_what_the_loss_averages(shared, batch, dims, actions, monkeypatch):
    """Both switches on is openpi's loss: the plain mean over everything."""
    monkeypatch.setattr(shared.config, "loss_over_padded_dims", dims)
    monkeypatch.setattr(shared.config, "loss_over_padded_actions", actions)
    error = errors(shared, batch)
    valid = torch.ones(B, H, dtype=torch.bool) if actions else ~batch["action_is_pad"]
    expected = error[valid][:, : P if dims else A].mean()
    loss, logs = shared(batch)
    torch.testing.assert_close(loss, expected)
    assert logs["loss_over_real_dims"] == pytest.approx(error[valid][:, :A].mean().item(), rel=1e-5)
    assert logs["loss_over_padded_dims"] == pytest.approx(error[valid][:, A:].mean().item(), rel=1e-5)
    assert logs["pad_fraction"] == pytest.approx(4 / 24)


def test_an_action_of_full_width_has_no_padding():
    policy = tiny_policy(TYPE, max_action_dim=A)
    assert "loss_over_padded_dims" not in policy(training_batch(policy.config))[1]


def test_augmentation_acts_in_training_alone(batch):
    policy = tiny_policy(TYPE)
    plain = tiny_policy(TYPE, image_augmentation=False)
    assert policy(batch)[0] == plain(batch)[0]
    policy.train(), plain.train()
    first, other = policy(batch)[0], plain(batch)[0]
    assert first != other
    assert policy(batch)[0] == first, "keyed by the step, not by the call"


def test_an_absent_camera_is_left_out_on_request(shared):
    observation = observation_batch(shared.config)
    del observation["observation.images.image2"]
    shared.reset()
    with pytest.raises(ZooError, match=r"image2(.|\n)*--rename_map(.|\n)*--policy.allow_missing_cameras"):
        shared.predict_action_chunk(observation)
    lenient = tiny_policy(TYPE, allow_missing_cameras=True)
    alone = tiny_policy(TYPE, camera_order=["observation.images.image"])
    for policy in (lenient, alone):
        policy.load_state_dict(shared.state_dict())
    without = lenient.predict_action_chunk(observation)
    torch.testing.assert_close(alone.predict_action_chunk(observation), without)


def test_training_needs_every_camera(batch):
    policy = tiny_policy(TYPE).train()
    given = {key: value for key, value in batch.items() if key != "observation.images.image2"}
    with pytest.raises(ZooError, match=r"image2(.|\n)*--rename_map"):
        policy(given)


def test_the_order_of_cameras_matters():
    names = ["observation.images.image", "observation.images.image2"]
    policies = [tiny_policy(TYPE, camera_order=order) for order in (names, names[::-1])]
    observation = observation_batch(policies[0].config)
    for policy in policies:
        fill(policy.model)
    first, turned = (policy.predict_action_chunk(observation) for policy in policies)
    assert (first - turned).abs().max() > 0.01


def test_noise_may_leave_out_the_padded_dims(shared):
    observation = observation_batch(shared.config)
    shared.reset()
    drawn = shared.chunk_noise([0] * B, None, torch.device("cpu"))
    whole = shared.predict_action_chunk(observation, noise=drawn)
    shared.reset()
    assert torch.equal(shared.predict_action_chunk(observation, noise=drawn[..., :A]), whole)
    with pytest.raises(ZooError, match="noise"):
        shared.predict_action_chunk(observation, noise=drawn[..., :9])


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({"freeze_vision_tower": True}, ("vision_tower",)),
        ({"freeze_language_model": True}, ("language_model", "multi_modal_projector")),
    ],
)
def test_frozen_parts_stay(batch, changes, held):
    policy = tiny_policy(TYPE, **changes).train()
    policy(batch)[0].backward()
    for name, parameter in policy.named_parameters():
        assert (parameter.grad is None) == (
            any(part in name for part in held) or not parameter.requires_grad
        ), name
        if any(part in name for part in held):
            assert not parameter.requires_grad


def test_gradient_scale_zero_trains_the_expert_alone(batch):
    policy = tiny_policy(TYPE, vlm_grad_scale=0.0).train()
    policy(batch)[0].backward()
    touched = {name for name, parameter in policy.named_parameters() if parameter.grad is not None}
    assert touched
    assert all(".paligemma." not in name for name in touched)


def test_checkpointing_reaches_every_layer(batch):
    """Each layer of the three towers runs twice: forward, and again in the backward pass."""
    policy = tiny_policy(TYPE, gradient_checkpointing=True).train()
    calls = {"GemmaMLP": 0, "SiglipEncoderLayer": 0, "ExpertMLP": 0}
    for module in policy.modules():
        kind = type(module).__name__
        if kind in calls:
            # Before the call: recomputation stops as soon as it has what the backward pass needs.
            module.register_forward_pre_hook(lambda *_, kind=kind: calls.__setitem__(kind, calls[kind] + 1))
    policy(batch)[0].backward()
    # The last prefix layer stops at its keys and values.
    assert calls == {"GemmaMLP": 2 * 2, "SiglipEncoderLayer": 2 * 2, "ExpertMLP": 2 * 3}


def test_adapters_go_where_openpi_puts_them(shared, caplog):
    with caplog.at_level("INFO"):
        targets = shared._get_default_peft_targets()
    assert "adapters go into 42 linear layers" in caplog.text  # 7 in each of 3 layers of 2 networks
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(tiny_policy(TYPE), LoraConfig(r=2, **targets))
    assert sum(isinstance(module, LoraLayer) for module in wrapped.modules()) == 42


def test_temporal_ensemble_predicts_at_every_step():
    policy = tiny_policy(TYPE, control_mode="temporal_ensemble", ensemble_size=2, newest_chunk_dims=[6])
    observation = observation_batch(policy.config)
    policy.reset()
    noise = [torch.randn(B, H, A, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    first = policy.select_action(observation, noise=noise[0])
    second = policy.select_action(observation, noise=noise[1])
    chunks = []
    for step in range(2):
        policy.reset()
        policy.chunks_since_reset = step  # the padded dims' noise is keyed by it
        chunks.append(policy.predict_action_chunk(observation, noise=noise[step]))
    torch.testing.assert_close(first, chunks[0][:, 0])
    weights = torch.softmax(0.005 * torch.arange(2.0), 0)
    averaged = weights[0] * chunks[0][:, 1] + weights[1] * chunks[1][:, 0]
    averaged[:, 6] = chunks[1][:, 0, 6]
    torch.testing.assert_close(second, averaged)


def test_errors_in_prediction_are_raised(shared):
    """The deployment wrapper of openpi-comet replays the last action instead."""
    policy = tiny_policy(TYPE, control_mode="receding_temporal", replan_interval=1)
    observation = observation_batch(policy.config)
    policy.reset()
    policy.select_action(observation)
    observation.pop("observation.language.tokens")
    with pytest.raises(ZooError, match="prompt tokens"):
        policy.select_action(observation)


def test_prompts_without_a_state():
    config = tiny_config(TYPE, discrete_state_input=False)
    policy = tiny_policy(TYPE, discrete_state_input=False)
    assert torch.isfinite(policy(training_batch(config))[0])
