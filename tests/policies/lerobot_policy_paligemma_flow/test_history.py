"""Observation history: what each mode sees, what padding hides, and that memory equals recomputation.

Legend: B rows, T steps, H chunk, A action dims.
"""

from typing import Any

import pytest
import torch
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from peft import PeftModel
from tiny_paligemma import MICRO_HEAD, micro_geometry
from tiny_policies import ACTION_WIDTH, observation_batch, tiny_config, tiny_policy, training_batch
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"
B, T, H, A = 2, 3, 8, ACTION_WIDTH
CAMERAS = ("observation.images.image", "observation.images.image2")
STATE = "observation.state"
OBSERVED = (*CAMERAS, STATE)
MODES = {
    "last": {},
    "per_frame": {},
    "joint": {},
    "compressed": {"vision_resampler_type": "pool", "resampler_num_tokens": 4},
}


def history_policy(mode: str, **changes: Any) -> PaliGemmaFlowPolicy:
    options = {"n_obs_steps": T, "history_mode": mode, "n_action_steps": 2, "num_inference_steps": 2}
    small = {"vlm_config": micro_geometry(), "clip_value": None, **MICRO_HEAD}
    return tiny_policy(TYPE, **options | MODES[mode] | small | changes)


@pytest.fixture(scope="module", params=MODES)
def policy(request) -> PaliGemmaFlowPolicy:
    """For tests that only read."""
    return history_policy(request.param)


def episode(steps: int, seed: int = 0, batch: int = B) -> list[dict[str, Any]]:
    """What an environment shows step by step, preprocessed; the prompt stays."""
    config = tiny_config(TYPE)
    first = {key: value for key, value in observation_batch(config, batch, seed).items() if value is not None}
    later = [observation_batch(config, batch, seed + 1 + step) for step in range(steps - 1)]
    return [first] + [first | {key: one[key] for key in OBSERVED} for one in later]


def stacked(steps: list[dict[str, Any]], newest: int) -> dict[str, Any]:
    """The sample LeRobot's loader makes of an episode at one step, in a preprocessed batch."""
    wanted = range(newest - T + 1, newest + 1)
    padded = torch.tensor([step < 0 for step in wanted]).expand(B, T)
    batch = dict(steps[newest])
    for key in OBSERVED:
        batch[key] = torch.stack([steps[max(step, 0)][key] for step in wanted], dim=1)
        batch[f"{key}_is_pad"] = padded.clone()
    return batch


def rows(batch: dict[str, Any], row: int) -> dict[str, Any]:
    return {key: value[row : row + 1] if isinstance(value, Tensor) else value for key, value in batch.items()}


def training_sample(padded: list[list[bool]] | None = None) -> dict[str, Any]:
    batch = training_batch(tiny_config(TYPE), batch=B) | stacked(episode(T), T - 1)
    for key in OBSERVED:
        batch[f"{key}_is_pad"] = torch.tensor(padded or [[False] * T] * B)
    return batch


# What is seen.


@torch.no_grad()
def test_every_step_that_counts_matters(policy):
    batch, noise = stacked(episode(T), T - 1), torch.zeros(B, H, A)
    before = policy.predict_action_chunk(batch, noise=noise)
    for step in range(T):
        for key in OBSERVED:
            changed = batch | {key: batch[key].clone()}
            changed[key][:, step] = 1 - changed[key][:, step]
            difference = (policy.predict_action_chunk(changed, noise=noise) - before).abs().amax((1, 2))
            unseen = policy.mode == "last" and step < T - 1 and key in CAMERAS
            assert (difference == 0).all() if unseen else (difference > 1e-6).all(), (step, key)


@torch.no_grad()
def test_padded_steps_do_not_matter_row_by_row(policy):
    padded = [[True, True, False], [True, False, False]]
    batch = training_sample(padded)
    noise = torch.zeros(B, H, A)
    before = policy.predict_action_chunk(batch, noise=noise), policy(batch)[0]
    hidden_BT = torch.tensor(padded)
    for key in OBSERVED:
        batch[key] = batch[key].clone()
        batch[key][hidden_BT] = 1 - batch[key][hidden_BT]
    assert torch.equal(policy.predict_action_chunk(batch, noise=noise), before[0])
    assert torch.equal(policy(batch)[0], before[1])
    batch[STATE][1, 1] += 1  # counts in this row alone
    changed = policy.predict_action_chunk(batch, noise=noise)
    assert torch.equal(changed[0], before[0][0])
    assert not torch.equal(changed[1], before[0][1])


@torch.no_grad()
def test_the_newest_step_counts_whatever_its_flag_says(policy):
    batch, noise = training_sample([[True] * T] * B), torch.zeros(B, H, A)
    expected = policy.predict_action_chunk(training_sample([[True, True, False]] * B), noise=noise)
    assert torch.equal(policy.predict_action_chunk(batch, noise=noise), expected)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["per_frame", "joint", "compressed"])
def test_a_padded_past_equals_the_newest_step_alone(mode):
    policy = history_policy(mode)
    for table in ("temporal_embedding", "camera_embedding"):
        if hasattr(policy, table):
            torch.nn.init.zeros_(getattr(policy, table).weight)
    alone = history_policy("last")
    alone.load_state_dict(policy.state_dict(), strict=False)
    batch, noise = training_sample([[True, True, False]] * B), torch.randn(B, H, A)
    torch.testing.assert_close(
        policy.predict_action_chunk(batch, noise=noise),
        alone.predict_action_chunk(batch, noise=noise),
        atol=1e-5,
        rtol=0,
    )


@torch.no_grad()
def test_a_joint_prefix_is_what_the_paligemma_makes_of_all_pictures_in_turn():
    torch.manual_seed(0)
    policy = PaliGemmaFlowPolicy(tiny_config(TYPE, n_obs_steps=T, history_mode="joint")).eval()
    batch = stacked(episode(T), T - 1)
    pictures = [policy.pictures({n: batch[n][:, t] for n in CAMERAS}, training=False) for t in range(T)]
    plain = policy.vlm(
        [picture[name] for picture in pictures for name in CAMERAS],
        [None] * (T * len(CAMERAS)),
        batch["observation.language.tokens"],
        batch["observation.language.attention_mask"],
    )
    context, mask = policy.encode(batch)
    assert torch.equal(mask, plain.mask_BS)
    torch.testing.assert_close(context[0], policy.context_norm(plain.hidden_BSD), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("mode", "pictures"), [("last", 2 * 16), ("joint", 6 * 16), ("compressed", 4 * 4 + 2 * 16)]
)
def test_how_many_tokens_a_prefix_has(mode, pictures):
    batch = stacked(episode(T), T - 1)
    prompt = batch["observation.language.tokens"].shape[1]
    assert history_policy(mode).encode(batch)[1].shape == (B, pictures + prompt)


def test_every_trainable_weight_gets_a_gradient(policy):
    policy.train()(training_sample())[0].backward()
    missing = [n for n, p in policy.named_parameters() if p.requires_grad and p.grad is None]
    policy.zero_grad()
    policy.eval()
    assert missing == []


# Memory.


@torch.no_grad()
def test_acting_step_by_step_equals_the_stacked_steps(policy):
    """Also where a chunk was not asked for at every step, and at the start of an episode."""
    steps = episode(6)
    noise = torch.randn(B, H, A)
    policy.reset()
    taken = [policy.select_action(step, noise=noise) for step in steps]
    for newest in (0, 2, 4):
        expected = policy.predict_action_chunk(stacked(steps, newest), noise=noise)
        for offset in range(2):
            torch.testing.assert_close(taken[newest + offset], expected[:, offset], atol=1e-5, rtol=0)


@torch.no_grad()
def test_asking_for_chunks_remembers_too(policy):
    steps, noise = episode(T), torch.randn(B, H, A)
    policy.reset()
    chunks = [policy.predict_action_chunk(step, noise=noise) for step in steps]
    expected = policy.predict_action_chunk(stacked(steps, T - 1), noise=noise)
    torch.testing.assert_close(chunks[-1], expected, atol=1e-5, rtol=0)
    policy.reset()
    assert torch.equal(policy.predict_action_chunk(steps[0], noise=noise), chunks[0])


@torch.no_grad()
def test_environments_do_not_see_each_other(policy):
    steps, noise = episode(5), torch.randn(1, H, A)
    policy.reset()
    together = [policy.select_action(step, noise=noise.expand(B, H, A)) for step in steps]
    for row in range(B):
        policy.reset()
        alone = [policy.select_action(rows(step, row), noise=noise) for step in steps]
        torch.testing.assert_close(torch.cat(alone), torch.stack(together)[:, row], atol=1e-5, rtol=0)


def test_each_frame_is_encoded_once():
    policy = history_policy("per_frame")
    seen: list[int] = []
    policy.vlm.register_forward_pre_hook(lambda _, args: seen.append(len(args[2])))
    for step in episode(5):
        policy.select_action(step)
    # Chunks at steps 0, 2 and 4: the frames 0; 1 and 2; 3 and 4. Frame 2 is remembered for the last.
    assert seen == [B, 2 * B, 2 * B]


@torch.no_grad()
def test_a_camera_may_come_and_go(policy):
    noise = torch.zeros(B, H, A)
    policy.config.allow_missing_cameras = policy.pictures._allow_missing = True
    steps = episode(T)
    gone = {key: value for key, value in steps[1].items() if key != CAMERAS[1]}
    policy.reset()
    chunks = [policy.predict_action_chunk(step, noise=noise) for step in (steps[0], gone, steps[2])]
    assert all(chunk.isfinite().all() for chunk in chunks)


@torch.no_grad()
def test_a_longer_prompt_may_follow_a_shorter_one():
    policy = history_policy("per_frame")
    steps = episode(T)
    longer = torch.nn.functional.pad(steps[2]["observation.language.tokens"], (0, 3), value=9)
    steps[2] |= {
        "observation.language.tokens": longer,
        "observation.language.attention_mask": torch.ones_like(longer).bool(),
    }
    noise = torch.zeros(B, H, A)
    one_by_one = [policy.predict_action_chunk(step, noise=noise) for step in steps][-1]
    policy.reset()
    for step in steps[:-1]:
        policy.observe(step)
    torch.testing.assert_close(
        policy.predict_action_chunk(steps[-1], noise=noise), one_by_one, atol=1e-5, rtol=0
    )


# Real-time chunking.


def test_guided_chunks_follow_the_one_before_and_remember_steps(policy):
    """As lerobot-rollout asks for them: now and then, each guided by what is left of the one before."""
    steps = episode(T)
    noise = torch.randn(B, H, A, generator=torch.Generator().manual_seed(0))
    policy.reset()
    plain = [policy.predict_action_chunk(step, noise=noise) for step in steps]
    policy.config.rtc_config = RTCConfig(enabled=True, execution_horizon=4)
    policy.init_rtc_processor()
    policy.reset()
    try:
        first = policy.predict_action_chunk(steps[0], noise=noise)
        left = {"inference_delay": 1, "prev_chunk_left_over": first[:, 2:]}
        policy.predict_action_chunk(steps[1], noise=noise, **left)
        target = {"inference_delay": 2, "prev_chunk_left_over": torch.full((B, H - 2, A), 0.4)}
        guided = policy.predict_action_chunk(steps[2], noise=noise, **target)
        expected = policy.predict_action_chunk(stacked(steps, T - 1), noise=noise, **target)
    finally:
        policy.config.rtc_config = None
        policy.init_rtc_processor()
    assert torch.equal(first, plain[0]), "nothing guides the first chunk"
    torch.testing.assert_close(guided, expected, atol=1e-5, rtol=0)
    gap, unguided = ((chunk[:, :2] - 0.4).abs().mean() for chunk in (guided, plain[-1]))
    assert gap < 0.5 * unguided


# Checkpoints.


def test_it_comes_back_from_a_checkpoint_and_takes_adapters(policy, tmp_path):
    policy.save_pretrained(tmp_path / "base")
    batch = stacked(episode(T), T - 1)
    policy.reset()
    expected = policy.predict_action_chunk(batch)
    base = PaliGemmaFlowPolicy.from_pretrained(tmp_path / "base")
    assert torch.equal(base.predict_action_chunk(batch), expected)

    base.config.pretrained_path = tmp_path / "base"
    wrapped = base.wrap_with_peft(peft_cli_overrides={"r": 2})
    wrapped.train()(training_sample())[0].backward()
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    wrapped.save_pretrained(tmp_path / "adapter")
    wrapped.reset()
    adapted = wrapped.predict_action_chunk(batch)
    again = PaliGemmaFlowPolicy.from_pretrained(tmp_path / "base")
    loaded = PeftModel.from_pretrained(again, tmp_path / "adapter")
    assert torch.equal(loaded.predict_action_chunk(batch), adapted)


# Wrong use.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"history_mode": "all"}, "auto or last or per_frame or joint or compressed"),
        ({"history_mode": "joint"}, r"needs a history(.|\n)*n_obs_steps=4"),
        ({"history_mode": "compressed", "n_obs_steps": 2}, "pool or perceiver"),
        (
            {"history_mode": "compressed", "n_obs_steps": 2, "vision_resampler_type": "mlp"},
            r"vision_resampler_type=mlp",
        ),
    ],
)
def test_wrong_values_are_refused_at_once(changes, message):
    with pytest.raises(ZooError, match=message):
        tiny_config(TYPE, **changes)


def test_what_auto_means():
    assert tiny_config(TYPE).resolved_history_mode == "last"
    assert tiny_config(TYPE).observation_delta_indices is None
    config = tiny_config(TYPE, n_obs_steps=4)
    assert config.resolved_history_mode == "per_frame"
    assert config.observation_delta_indices == [-3, -2, -1, 0]


@pytest.mark.parametrize("key", OBSERVED)
def test_the_wrong_number_of_steps_is_refused(policy, key):
    batch = stacked(episode(T), T - 1)
    with pytest.raises(ZooError, match=rf"{key} does not hold(.|\n)*n_obs_steps = 3"):
        policy(training_sample() | {key: batch[key][:, 1:]})


def test_training_batches_need_their_time_dimension(policy):
    with pytest.raises(ZooError, match=r"shape \(2, 3, 64, 64\)(.|\n)*lerobot-train"):
        policy(training_batch(tiny_config(TYPE), batch=B))


def test_another_number_of_environments_needs_a_reset(policy):
    policy.reset()
    policy.predict_action_chunk(episode(1)[0])
    with pytest.raises(ZooError, match="a batch of 1"):
        policy.predict_action_chunk(rows(episode(1)[0], 0))
