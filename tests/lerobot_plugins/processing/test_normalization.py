"""The normalising steps: what they touch, and whose statistics they use."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stub_policy
import torch
from feature_stats import stats_of
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.lerobot_types import TransitionKey
from lerobot.processor import PolicyProcessorPipeline
from safetensors.torch import load_file, save_file

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.affine import affine_of
from lerobot_plugins.processing.grippers import GripperMap
from lerobot_plugins.processing.normalization import (
    ExactNormalizerStep,
    ExactUnnormalizerStep,
    make_exact_steps,
)
from lerobot_plugins.statistics.hashing import statistics_hash

STATE = "observation.state"


def table(scale: float = 1.0) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return {
        STATE: stats_of(rng.normal(0, scale, (500, 3))),
        "action": stats_of(rng.uniform(-2 * scale, 5 * scale, (500, 2))),
    }


def stub_config(**changes: Any) -> Any:
    """With a state as wide as the statistics above."""
    state = {STATE: PolicyFeature(FeatureType.STATE, (3,))}
    return stub_policy.stub_config(**{"input_features": state} | changes)


@dataclass
class Meta:
    """What the steps read of a dataset's metadata."""

    stats: dict
    repo_id: str = "local/fresh"


@pytest.fixture(autouse=True)
def _no_run():
    yield
    runtime.bind(None, None)


# Steps.


def transition(**given: Any) -> dict:
    return {TransitionKey.OBSERVATION: {STATE: given.get("state")}, TransitionKey.ACTION: given.get("action")}


def test_state_and_action_are_normalised_and_other_keys_left():
    stats = table()
    step = ExactNormalizerStep(modes={STATE: "min_max", "action": "quantile"}, stats=stats)
    state, action, image = torch.randn(4, 3), torch.randn(4, 8, 2), torch.rand(4, 3, 2, 2)
    given = transition(state=state, action=action)
    given[TransitionKey.OBSERVATION]["observation.images.front"] = image
    result = step(given)
    torch.testing.assert_close(
        result[TransitionKey.OBSERVATION][STATE], affine_of("min_max", stats[STATE], "").forward(state)
    )
    torch.testing.assert_close(
        result[TransitionKey.ACTION], affine_of("quantile", stats["action"], "").forward(action)
    )
    assert result[TransitionKey.OBSERVATION]["observation.images.front"] is image
    assert torch.equal(given[TransitionKey.OBSERVATION][STATE], state), "the input is not changed"


def test_without_action_only_the_observation_is_normalised():
    step = ExactNormalizerStep(modes={STATE: "min_max", "action": "min_max"}, stats=table())
    assert step(transition(state=torch.randn(1, 3)))[TransitionKey.ACTION] is None


def test_the_way_back_is_the_inverse_and_is_announced():
    stats = table()
    modes = {"action": "min_max"}
    raw = torch.rand(2, 8, 2, generator=torch.Generator().manual_seed(0)) * 3
    normalised = ExactNormalizerStep(modes=modes, stats=stats)(transition(action=raw))[TransitionKey.ACTION]
    back = ExactUnnormalizerStep(modes=modes, stats=stats)
    trace.start()
    try:
        torch.testing.assert_close(back(transition(action=normalised))[TransitionKey.ACTION], raw)
        trace.publish_chunk(normalised, [0, 1])
        np.testing.assert_allclose(trace.take(1), raw[1], rtol=1e-5, atol=1e-6)
    finally:
        trace.stop()


def test_data_of_another_width_is_refused_with_both_widths():
    step = ExactNormalizerStep(modes={STATE: "min_max"}, stats=table(), dataset="local/toy")
    with pytest.raises(ZooError, match=r"7 dimensions(.|\n)*3, as in local/toy"):
        step(transition(state=torch.zeros(1, 7)))


def test_a_feature_without_statistics_is_refused():
    with pytest.raises(ZooError, match=r"expected: observation\.force"):
        ExactNormalizerStep(modes={"observation.force": "min_max"}, stats=table())


def test_an_untrained_policy_refuses_to_act():
    step = make_exact_steps(stub_config(), [STATE], None)[1]
    with pytest.raises(ZooError, match=r"--policy\.path"):
        step(transition(action=torch.zeros(1, 2)))


# Whose statistics.


def fresh(config: Any, dataset_stats: dict | None) -> tuple[ExactNormalizerStep, ExactUnnormalizerStep]:
    """Steps as a training run from scratch makes them."""
    runtime.bind(Meta(dataset_stats or {}), config)
    return make_exact_steps(config, [STATE], dataset_stats)


def reload(step: ExactNormalizerStep, folder: Path) -> ExactNormalizerStep:
    """Through LeRobot's own files."""
    PolicyProcessorPipeline([step], name="policy_preprocessor").save_pretrained(folder)
    return PolicyProcessorPipeline.from_pretrained(folder, config_filename="policy_preprocessor.json").steps[
        0
    ]


def test_a_fresh_run_uses_its_datasets_statistics_and_says_so():
    stats = table()
    normalizer, unnormalizer = fresh(stub_config(), stats)
    assert normalizer.dataset == "local/fresh"
    assert normalizer.stats_hash == statistics_hash(stats)
    assert unnormalizer.modes == {"action": "min_max"}


def test_state_and_action_may_have_different_modes():
    config = stub_config(state_normalization="mean_std", action_normalization="quantile")
    assert fresh(config, table())[0].modes == {STATE: "mean_std", "action": "quantile"}


def test_a_checkpoint_carries_its_statistics(tmp_path):
    step, _ = fresh(stub_config(), table())
    runtime.bind(None, None)
    loaded = reload(step, tmp_path)
    state = torch.randn(5, 3)
    assert torch.equal(
        loaded(transition(state=state))[TransitionKey.OBSERVATION][STATE],
        step(transition(state=state))[TransitionKey.OBSERVATION][STATE],
    )
    assert (loaded.stats_hash, loaded.dataset) == (step.stats_hash, "local/fresh")


def test_statistics_of_another_checkpoint_are_refused(tmp_path):
    """A state file beside the JSON of another: half copied, half downloaded, or changed by hand."""
    step, _ = fresh(stub_config(), table())
    runtime.bind(None, None)
    reload(step, tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    state = load_file(path)
    state["action.max"] = state["action.max"] + 1
    save_file(state, path)
    with pytest.raises(ZooError, match="not those it was saved with"):
        PolicyProcessorPipeline.from_pretrained(tmp_path, config_filename="policy_preprocessor.json")


def test_fine_tuning_takes_the_new_datasets_statistics_and_warns(tmp_path, caplog):
    step, _ = fresh(stub_config(), table())
    other = table(scale=3.0)
    runtime.bind(Meta(other, "local/other"), stub_config(state_normalization="mean_std"))
    loaded = reload(step, tmp_path)
    assert loaded.stats_hash == statistics_hash(other)
    assert loaded.dataset == "local/other"
    assert loaded.modes[STATE] == "mean_std"
    assert "--policy.stats_source=checkpoint" in caplog.text


def test_fine_tuning_may_inherit_the_checkpoints_statistics(tmp_path, caplog):
    step, _ = fresh(stub_config(), table())
    config = stub_config(stats_source="checkpoint", action_normalization="quantile")
    runtime.bind(Meta(table(scale=3.0), "local/other"), config)
    loaded = reload(step, tmp_path)
    assert loaded.modes == {STATE: "min_max", "action": "quantile"}, "the run's modes, its statistics"
    assert (loaded.stats_hash, loaded.dataset) == (step.stats_hash, "local/fresh")
    assert not caplog.records


def test_resuming_on_the_same_dataset_warns_of_nothing(tmp_path, caplog):
    step, _ = fresh(stub_config(), table())
    assert reload(step, tmp_path).stats_hash == step.stats_hash
    assert not caplog.records


@pytest.mark.parametrize("source", ["dataset", "file"])
def test_a_resumed_run_keeps_its_checkpoints_statistics(tmp_path, monkeypatch, source):
    path = tmp_path / "stats.json"
    stats = {key: {name: v.tolist() for name, v in value.items()} for key, value in table().items()}
    path.write_text(json.dumps(stats))
    config = stub_config(stats_source=source, stats_path=str(path) if source == "file" else None)
    step, _ = fresh(config, table())
    path.unlink()
    monkeypatch.setattr("sys.argv", ["lerobot-train", "--config_path=x/train_config.json", "--resume=true"])
    runtime.bind(Meta(table(scale=3.0)), config)
    assert reload(step, tmp_path / "checkpoint").stats_hash == step.stats_hash


def test_statistics_may_come_from_a_file(tmp_path):
    path = tmp_path / "stats.json"
    stats = {key: {name: v.tolist() for name, v in value.items()} for key, value in table(9.0).items()}
    path.write_text(json.dumps(stats))
    step, _ = fresh(stub_config(stats_source="file", stats_path=str(path)), table())
    assert step.stats_hash == statistics_hash(table(9.0))
    assert step.dataset == str(path)


def test_from_scratch_there_is_no_checkpoint_to_inherit_from():
    with pytest.raises(ZooError, match=r"--policy\.path=CHECKPOINT"):
        fresh(stub_config(stats_source="checkpoint"), table())


def test_training_without_normalisation_is_refused():
    with pytest.raises(ZooError, match=r"meta/stats\.json"):
        fresh(stub_config(), None)


# Grippers and clipping.


class GripperConfig(stub_policy.StubConfig):
    """A configuration whose second action dim is a gripper."""

    @property
    def gripper_maps(self) -> dict[str, list[GripperMap]]:
        return {"action": [GripperMap(1, "percent")], STATE: [GripperMap(0, "threshold", 0.5)]}

    @property
    def clip_normalized(self) -> bool:
        return True


def gripper_config() -> Any:
    return GripperConfig(**vars(stub_config()))


def test_grippers_and_clip_come_from_the_configuration():
    runtime.bind(Meta(table()), config := gripper_config())
    before, after = make_exact_steps(config, [STATE], None)
    runtime.bind(None, None)
    observation = {STATE: torch.tensor([[0.7, 9.0, 0.0], [0.2, 0.0, 0.0]])}
    given = {TransitionKey.OBSERVATION: observation, TransitionKey.ACTION: torch.tensor([[0.0, 100.0]])}
    made = before(given)
    assert made[TransitionKey.OBSERVATION][STATE][:, 0].tolist() == [1, 0]
    assert made[TransitionKey.OBSERVATION][STATE][0, 1] == 1, "clipped"
    assert made[TransitionKey.ACTION][0, 1] == 1
    assert after.decode(torch.tensor([[0.0, 0.25]]))[0, 1] == 25


def test_grippers_travel_with_the_checkpoint(tmp_path):
    config = gripper_config()
    steps = make_exact_steps(config, [STATE], table())
    for name, step in zip(("before", "after"), steps, strict=True):
        PolicyProcessorPipeline(steps=[step], name=name).save_pretrained(tmp_path)
        loaded = PolicyProcessorPipeline.from_pretrained(tmp_path, config_filename=f"{name}.json").steps[0]
        assert (loaded.grippers, loaded.clip) == (step.grippers, True)
        x = torch.tensor([[3.0, 70.0]])
        assert torch.equal(loaded.map_of("action", 2).forward(x), step.map_of("action", 2).forward(x))


def test_a_run_may_describe_its_grippers_otherwise(tmp_path):
    """As with modes: what a fine-tuning run says wins."""
    step = make_exact_steps(gripper_config(), [STATE], table())[0]
    PolicyProcessorPipeline(steps=[step], name="before").save_pretrained(tmp_path)
    runtime.bind(Meta(table()), stub_config())
    loaded = PolicyProcessorPipeline.from_pretrained(tmp_path, config_filename="before.json").steps[0]
    assert (loaded.grippers, loaded.clip) == ({}, False)


def test_whoever_watches_learns_the_units_of_states():
    step = make_exact_steps(gripper_config(), [STATE], table())[0]
    trace.start()
    try:
        step({TransitionKey.OBSERVATION: {STATE: torch.zeros(1, 3)}})
        assert trace.state_map() is step.map_of(STATE, 3)
    finally:
        trace.stop()
    assert trace.state_map() is None
