"""`pi05_comet_vlm2`: identity at the start, history, episodes, precision."""

from typing import Any

import pytest
import torch
from tiny_policies import observation_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_policy_pi05_comet.modeling_pi05_comet_vlm2 import PI05CometVLM2Policy

TYPE = "pi05_comet_vlm2"
CAMERA = "observation.images.image"


@pytest.fixture(scope="module")
def base() -> Any:
    return tiny_policy("pi05_comet", seed=3, freeze_vision_tower=True)


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory) -> Any:
    folder = tmp_path_factory.mktemp("base")
    base.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def policy() -> PI05CometVLM2Policy:
    """Open gates; every test resets it."""
    return tiny_policy(TYPE, seed=1)


def chunks(policy: Any, batches: list[dict[str, Any]]) -> list[torch.Tensor]:
    """An episode's predictions."""
    policy.reset()
    return [policy.predict_action_chunk(batch) for batch in batches]


def episode(config: Any, steps: int, batch: int = 2) -> list[dict[str, Any]]:
    return [observation_batch(config, batch=batch, seed=seed) for seed in range(steps)]


def now(batch: dict[str, Any]) -> dict[str, Any]:
    """The current moment of a batch with history."""
    return {k: v[:, -1] if getattr(v, "ndim", 0) == 5 else v for k, v in batch.items()}


# At the start.


@pytest.mark.parametrize("changes", [{}, {"geometry_encoder": "none"}, {"memory_pool_tokens": 1}])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_starts_as_the_comet_it_starts_from(base, folder, caplog, dtype, changes):
    reference = base
    if dtype == "bfloat16":
        same = {"init_from": str(folder), "dtype": dtype, "freeze_vision_tower": True}
        reference = type(base)(tiny_config("pi05_comet", **same)).eval()
    with caplog.at_level("INFO"):
        policy = PI05CometVLM2Policy(tiny_config(TYPE, init_from=str(folder), dtype=dtype, **changes)).eval()
    new = caplog.text.rsplit("; new: ", 1)[1].splitlines()[0].split(", ")
    assert {name.split(".")[0].split(" ")[0] for name in new} <= {"perception", "episode_memory"}
    batches = episode(policy.config, 3)
    assert all(map(torch.equal, chunks(policy, batches), chunks(reference, batches)))
    assert policy.memory_state().working.valid_BW.sum() == 6, "it remembers, and nobody listens yet"


def test_the_first_loss_is_that_of_the_comet_too(base, folder):
    policy = PI05CometVLM2Policy(tiny_config(TYPE, init_from=str(folder)))
    batch = training_batch(policy.config)
    loss, logs = policy.train()(batch)
    base.config.image_augmentation = False
    base.seed = policy.seed
    expected, _ = base.train()(now(batch))
    assert loss == expected
    assert [logs[name] for name in ("position_gate", "fusion_gate", "memory_gate")] == [0, 0, 0]
    loss.backward()
    gates = [
        policy.perception.position_gate,
        policy.perception.fusion_gate,
        policy.episode_memory.memory_gate,
    ]
    assert all(gate.weight.grad.any() for gate in gates), "training can open them"


def test_the_published_form_does_not_start_as_the_comet(base, folder):
    policy = PI05CometVLM2Policy(tiny_config(TYPE, init_from=str(folder), residual_mode="paper")).eval()
    batches = episode(policy.config, 2)
    assert not torch.equal(chunks(policy, batches)[0], chunks(base, batches)[0])


def test_what_is_new_learns_faster(policy):
    groups = policy.get_optim_params()
    new = {id(p) for part in (policy.perception, policy.episode_memory) for p in part.parameters()}
    assert [group.get("lr") for group in groups] == [None, 5 * policy.config.optimizer_lr]
    assert {id(p) for p in groups[1]["params"]} == new
    assert new.isdisjoint(id(p) for p in groups[0]["params"])


# History.


def test_what_lies_before_the_episode_is_not_remembered(policy):
    """Three padded moments and one real one are that one; their pictures are never looked at."""
    batch = training_batch(policy.config)
    padded = torch.ones(3, 3, dtype=torch.bool)
    padded[:, -1] = False
    batch |= {f"{name}_is_pad": padded for name in policy.config.camera_order}
    spoiled = dict(batch) | {CAMERA: batch[CAMERA].clone()}
    spoiled[CAMERA][:, :-1] = 0.5
    expected = chunks(policy, [now(batch)])[0]
    for given in (batch, spoiled):
        torch.testing.assert_close(chunks(policy, [given])[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["gated_identity", "paper"])
def test_a_history_is_what_an_episode_remembers(mode):
    """Training and acting build the same memory of the same moments (the text is that of the last)."""
    policy = tiny_policy(TYPE, seed=1, residual_mode=mode)
    moments = episode(policy.config, 3)
    for moment in moments[:-1]:
        moment |= {k: v for k, v in moments[-1].items() if "language" in k}
    stacked = dict(moments[-1])
    for name in policy.config.camera_order:
        stacked[name] = torch.stack([moment[name] for moment in moments], dim=1)
    acted = chunks(policy, moments)[-1]
    policy.reset()
    policy.chunks_since_reset = 2  # the same noise
    torch.testing.assert_close(policy.predict_action_chunk(stacked), acted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("frames", "reached"), [(1, [False, False, True]), (2, [False, True, True])])
def test_gradients_reach_the_latest_moments_alone(policy, monkeypatch, frames, reached):
    # Rounding to grey levels lets no gradient through: cut a corner instead of resizing.
    size = policy.model.encoder.image_size
    monkeypatch.setattr(
        policy.pictures, "resized", lambda images: {k: v[..., :size, :size] for k, v in images.items()}
    )
    monkeypatch.setattr(policy.config, "memory_gradient_frames", frames)
    batch = training_batch(policy.config)
    batch[f"{CAMERA}_is_pad"] = torch.zeros(3, 3, dtype=torch.bool)
    batch[CAMERA] = batch[CAMERA].requires_grad_()
    policy.encode(batch).keys_values[-1][0].sum().backward()
    assert (batch[CAMERA].grad.abs().sum(dim=(0, 2, 3, 4)) > 0).tolist() == reached


def test_a_batch_without_history_is_refused_in_training(policy):
    batch = training_batch(policy.config)
    batch[CAMERA] = batch[CAMERA][:, -1]
    with pytest.raises(ZooError, match=r"history(.|\n)*memory=none"):
        policy(batch)


# Episodes.


def test_the_past_of_an_episode_changes_its_actions_and_reset_forgets_it(policy):
    first, second, third = episode(policy.config, 3)
    remembered = chunks(policy, [first, third])[1]
    other = chunks(policy, [second, third])[1]
    assert not torch.equal(remembered, other)
    assert torch.equal(chunks(policy, [first, third])[1], remembered)
    policy.reset()
    assert policy.memory_state() is None


def test_rows_do_not_see_each_others_past(policy):
    batches = episode(policy.config, 3)
    together = chunks(policy, batches)
    for row in range(2):
        alone = chunks(policy, [observation_rows(batch, row) for batch in batches])
        for one, both in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], both[row], atol=1e-5, rtol=0)


def observation_rows(batch: dict[str, Any], row: int) -> dict[str, Any]:
    return {k: v[row : row + 1] if isinstance(v, torch.Tensor | list) else v for k, v in batch.items()}


def test_one_write_per_prediction_and_none_in_between(policy):
    policy.reset()
    observation = observation_batch(policy.config, batch=2)
    for _ in range(policy.config.n_action_steps + 1):
        policy.select_action(observation)
    assert policy.memory_state().episodic.step_B.tolist() == [2, 2]


def test_predictions_that_come_faster_than_the_stride_only_read():
    policy = tiny_policy(TYPE, control_mode="temporal_ensemble", memory_stride=3)
    observation = observation_batch(policy.config, batch=1)
    for _ in range(7):
        policy.select_action(observation)
    assert policy.memory_state().episodic.step_B.tolist() == [3]


def test_another_number_of_rows_needs_a_reset(policy):
    chunks(policy, episode(policy.config, 1, batch=2))
    with pytest.raises(ZooError, match=r"batch of 3(.|\n)*reset"):
        policy.predict_action_chunk(observation_batch(policy.config, batch=3))
    assert len(chunks(policy, episode(policy.config, 2, batch=3))[1]) == 3


def test_a_session_can_be_put_aside(policy):
    first, second, third = episode(policy.config, 3)
    expected = chunks(policy, [first, third])[1]
    chunks(policy, [first])
    kept = policy.memory_state()
    chunks(policy, [second, second])
    policy.restore_memory(kept)
    policy.chunks_since_reset = 1
    assert torch.equal(policy.predict_action_chunk(third), expected)


@pytest.mark.parametrize("mode", ["gated_identity", "paper"])
def test_bfloat16_goes_on_for_many_predictions(mode, tmp_path):
    trained = tiny_policy(TYPE, dtype="bfloat16", residual_mode=mode, memory_store_dtype="bfloat16")
    trained.save_pretrained(tmp_path)
    loaded = PI05CometVLM2Policy.from_pretrained(tmp_path)
    assert {p.dtype for p in loaded.episode_memory.parameters()} == {torch.float32}
    batches = episode(loaded.config, 4)
    assert all(torch.isfinite(chunk).all() for chunk in chunks(loaded, batches))
    assert loaded.memory_state().working.tokens_BWND.dtype == torch.bfloat16


def test_training_and_acting_do_not_share_a_memory(policy):
    chunks(policy, episode(policy.config, 1))
    policy.train()
    assert policy.memory_state() is None
    policy.eval()
