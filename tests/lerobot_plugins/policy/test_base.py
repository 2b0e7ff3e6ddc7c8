"""What every policy inherits: loss reduction, queues, randomness, guidance, strict loading.

Observed through a stub whose actions count: row r, chunk c, step h is 100 r + 10 c + h.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from safetensors.torch import load_file, save_file
from stub_policy import WIDTH, StubPolicy, stub_config, stub_observation

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.policy.batches import valid_actions
from lerobot_plugins.processing import runtime


@pytest.fixture
def policy() -> StubPolicy:
    return StubPolicy(stub_config()).eval()


def training_batch(batch: int = 3) -> dict[str, torch.Tensor]:
    padded_BH = torch.zeros(batch, 4, dtype=torch.bool)
    padded_BH[-1, 1:] = True
    action = torch.linspace(-1, 1, batch * 4 * WIDTH).view(batch, 4, WIDTH)
    return stub_observation(batch) | {"action": action, "action_is_pad": padded_BH}


# Loss.


def test_padded_actions_count_neither_above_nor_below(policy):
    batch = training_batch()
    loss, logs = policy(batch)
    changed = batch | {"action": batch["action"].masked_fill(batch["action_is_pad"][..., None], 1e3)}
    assert policy(changed)[0] == loss
    assert logs["pad_fraction"] == pytest.approx(3 / 12)

    per_row, _ = policy(batch, reduction="none")
    valid = (~batch["action_is_pad"]).sum(1)
    torch.testing.assert_close((per_row * valid).sum() / valid.sum(), loss)


def test_without_padding_flags_everything_counts(policy):
    batch = training_batch()
    del batch["action_is_pad"]
    assert valid_actions(batch).all()
    assert policy(batch)[1]["pad_fraction"] == 0


def test_a_policy_decides_which_actions_count(policy, monkeypatch):
    batch = training_batch()
    changed = batch | {"action": batch["action"].masked_fill(batch["action_is_pad"][..., None], 1e3)}
    monkeypatch.setattr(policy, "action_validity", lambda batch: torch.ones_like(batch["action_is_pad"]))
    loss, logs = policy(changed)
    assert loss > 1e3
    assert logs["pad_fraction"] == pytest.approx(3 / 12), "what is logged is the data's"


def test_unknown_reduction_is_refused(policy):
    with pytest.raises(ZooError, match="mean or none"):
        policy(training_batch(), reduction="sum")


# Randomness.


def test_training_draws_follow_seed_and_step():
    batch = training_batch()

    def losses(seed: int, steps: int = 3) -> list[float]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            policy = StubPolicy(stub_config()).train()
        values = []
        for _ in range(steps):
            values.append(policy(batch)[0].item())
            policy.update()
        return values

    first = losses(1)
    assert len(set(first)) == 3
    assert losses(1) == first
    assert losses(2) != first


def test_a_resumed_run_draws_what_the_uninterrupted_one_would():
    batch, policy = training_batch(), StubPolicy(stub_config()).train()
    for _ in range(5):
        policy.update()
    torch.rand(17)  # the global generator has moved
    resumed = StubPolicy(stub_config(trained_steps=5)).train()
    assert resumed(batch)[0] == policy(batch)[0]


def test_ranks_draw_differently(policy, monkeypatch):
    policy.train()
    mine, _ = policy(training_batch())
    monkeypatch.setattr("lerobot_plugins.policy.base.process_rank", lambda: 1)
    other, _ = policy(training_batch())
    assert mine != other


def test_evaluation_draws_follow_eval_seed_alone(policy):
    batch = training_batch()
    before, _ = policy(batch)
    policy.config.trained_steps = 1000
    assert policy(batch)[0] == before
    policy.config.eval_seed = 1
    assert policy(batch)[0] != before


def test_sampling_draws_restart_at_reset(policy):
    def draw() -> float:
        return policy.sampling_generator().standard_normal()

    first = draw()
    policy.predict_action_chunk(stub_observation(1))
    assert draw() != first
    policy.reset()
    assert draw() == first


# Actions.


def test_chunks_are_executed_step_by_step_per_row(policy):
    taken = [policy.select_action(stub_observation(2))[:, 0].tolist() for _ in range(6)]
    assert taken == [[0, 100], [1, 101], [2, 102], [3, 103], [10, 110], [11, 111]]


def test_only_the_executed_steps_are_taken(policy):
    policy.config.n_action_steps = 2
    assert [policy.select_action(stub_observation(1))[0, 0].item() for _ in range(4)] == [0, 1, 10, 11]


def test_rows_that_run_dry_alone_are_predicted_alone(policy):
    """Only the dry row is computed, and with its own noise."""
    noise = torch.tensor([1000.0, 2000.0]).view(2, 1, 1).expand(2, 4, WIDTH)
    policy.select_action(stub_observation(2), noise=noise)
    policy.queues._rows[1]._actions.clear()
    action = policy.select_action(stub_observation(2), noise=noise)
    assert action[:, 0].tolist() == [1001, 2110]


def test_chunks_are_published_with_their_rows(policy):
    trace.start()
    try:
        trace.publish_decoder(lambda action: action * 2)
        policy.select_action(stub_observation(2))
        np.testing.assert_array_equal(trace.take(1)[:, 0], [200, 202, 204, 206])
    finally:
        trace.stop()


def test_predicting_sets_evaluation_mode_and_no_gradient(policy):
    chunk = policy.train().predict_action_chunk(stub_observation(2))
    assert not policy.training
    assert not chunk.requires_grad
    assert chunk.dtype == torch.float32


def test_inference_mode_works(policy):
    with torch.inference_mode():
        assert policy.select_action(stub_observation(2)).shape == (2, WIDTH)


# Precision.


@pytest.mark.parametrize(("dtype", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_policy_opens_the_one_autocast_region(dtype, expected):
    policy = StubPolicy(stub_config(dtype=dtype))
    policy(training_batch())
    assert policy.matrix_dtype is expected
    policy.select_action(stub_observation(2))
    assert policy.matrix_dtype is expected


# Real-time chunking.


def test_guidance_blends_into_the_previous_chunk():
    policy = StubPolicy(stub_config(rtc_config=RTCConfig(enabled=True, execution_horizon=3)))
    left_over = torch.full((1, 3, WIDTH), 7.0)
    plain = policy.predict_action_chunk(stub_observation(1))
    policy.reset()
    guided = policy.predict_action_chunk(
        stub_observation(1), inference_delay=2, prev_chunk_left_over=left_over
    )
    gap_plain, gap_guided = (plain - 7).abs()[0, :, 0], (guided - 7).abs()[0, :, 0]
    assert (gap_guided[:2] < 0.1 * gap_plain[:2]).all()
    assert guided[0, 3, 0] == plain[0, 3, 0]


def test_guidance_may_be_switched_on_after_construction(policy):
    """What lerobot-rollout does with --inference.type=rtc."""
    assert not policy.rtc_enabled
    policy.config.rtc_config = RTCConfig(enabled=True)
    policy.init_rtc_processor()
    assert policy.rtc_enabled
    policy.config.rtc_config.enabled = False
    assert not policy.rtc_enabled


def test_guided_policies_are_not_stepped_action_by_action():
    policy = StubPolicy(stub_config(rtc_config=RTCConfig(enabled=True)))
    with pytest.raises(AssertionError, match="predict_action_chunk"):
        policy.select_action(stub_observation(1))


# Loading.


@pytest.fixture
def saved(policy, tmp_path) -> Path:
    policy.weight.data.normal_()
    policy.config.trained_steps = 12
    policy.save_pretrained(tmp_path)
    return tmp_path


def test_weights_and_config_come_back(saved, policy):
    loaded = StubPolicy.from_pretrained(saved)
    assert torch.equal(loaded.weight, policy.weight)
    assert loaded.config.trained_steps == 12
    assert not loaded.training


class RenamedPolicy(StubPolicy):
    """The stub for files whose writers use other names."""

    tied_weights: ClassVar = {"alias": "weight"}

    @classmethod
    def weight_name(cls, stored: str) -> str | None:
        return None if stored == "unused" else stored.removeprefix("module.")


@pytest.mark.parametrize("name", ["module.weight", "alias"])
def test_a_policy_knows_its_tensors_under_other_names(saved, policy, name):
    save_file({name: policy.weight.data, "unused": torch.zeros(1)}, saved / "model.safetensors")
    assert torch.equal(RenamedPolicy.from_pretrained(saved).weight, policy.weight)
    with pytest.raises(ZooError, match="1 missing: weight; 2 unexpected"):
        StubPolicy.from_pretrained(saved)


def test_a_given_config_wins(saved):
    assert StubPolicy.from_pretrained(saved, config=stub_config(eval_seed=9)).config.eval_seed == 9


def test_loading_is_always_strict(saved):
    with pytest.raises(ZooError, match="strict"):
        StubPolicy.from_pretrained(saved, strict=False)


def test_a_checkpoint_without_weights_is_refused(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(ZooError, match=r"model\.safetensors"):
        StubPolicy.from_pretrained(saved)


def test_a_damaged_tensor_is_refused(saved):
    tensors = load_file(saved / "model.safetensors")
    tensors["weight"][0, 0] = float("inf")
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(ZooError, match="not finite: weight"):
        StubPolicy.from_pretrained(saved)


def test_offline_a_model_on_the_hub_is_refused_with_what_to_do():
    with pytest.raises(ZooError, match="hf download"):
        StubPolicy.from_pretrained("some-lab/some-policy", config=stub_config())


# Adapters.


def test_an_adapter_without_base_is_refused_with_the_command(policy):
    with pytest.raises(ZooError, match=r"lerobot-plugins checkpoint init --policy\.type=stub_for_tests"):
        policy._validate_peft_config(None)


def test_the_base_is_remembered_absolute_and_without_links(policy, tmp_path, monkeypatch):
    step = tmp_path / "checkpoints/000010"
    step.mkdir(parents=True)
    (tmp_path / "checkpoints/last").symlink_to("000010")
    monkeypatch.chdir(tmp_path)
    policy.config.pretrained_path = Path("checkpoints/last")
    policy._validate_peft_config(None)
    assert policy.config.pretrained_path == step.resolve()


# The training dataset.


def test_construction_binds_the_training_dataset_and_inference_forgets_it():
    config = stub_config()
    StubPolicy(config, dataset_meta="meta")
    assert runtime.training_run() == runtime.TrainingRun("meta", config)
    StubPolicy(stub_config())
    assert runtime.training_run() is None
