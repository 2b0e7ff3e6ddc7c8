"""Exact normalisation: modes, dimensions that never change, whose statistics, what is wrong with them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.lerobot_types import TransitionKey
from lerobot.processor import PolicyProcessorPipeline
from stub_policy import stub_config

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.normalization import (
    ExactNormalizerStep,
    ExactUnnormalizerStep,
    affine_of,
    make_exact_steps,
    read_statistics,
)
from lerobot_plugins.statistics.hashing import statistics_hash

STATE = "observation.state"


def stats_of(values_ND: Any) -> dict[str, np.ndarray]:
    """LeRobot's statistics of a feature, from its values."""
    values = np.asarray(values_ND, dtype=np.float64)
    quantiles = {f"q{int(q * 100):02d}": np.quantile(values, q, axis=0) for q in (0.01, 0.1, 0.5, 0.9, 0.99)}
    return quantiles | {
        "min": values.min(0),
        "max": values.max(0),
        "mean": values.mean(0),
        "std": values.std(0),
        "count": np.array([len(values)]),
    }


def table(scale: float = 1.0) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return {
        STATE: stats_of(rng.normal(0, scale, (500, 3))),
        "action": stats_of(rng.uniform(-2 * scale, 5 * scale, (500, 2))),
    }


@dataclass
class Meta:
    """What the steps read of a dataset's metadata."""

    stats: dict
    repo_id: str = "local/fresh"


@pytest.fixture(autouse=True)
def _no_run():
    yield
    runtime.bind(None, None)


# Modes.


def test_min_max_maps_the_range_to_minus_one_and_one():
    affine = affine_of("min_max", {"min": [-2, 0], "max": [2, 10]}, "x")
    for raw, normalised in (([0, 2.5], [0, -0.5]), ([3, 12], [1.5, 1.4])):
        torch.testing.assert_close(affine.forward(torch.tensor(raw)), torch.tensor(normalised))
        torch.testing.assert_close(
            affine.inverse(torch.tensor(normalised)), torch.tensor(raw).float(), atol=1e-6, rtol=0
        )


def narrow_and_wide() -> tuple[dict[str, np.ndarray], torch.Tensor]:
    """Statistics and values of dims from narrow, where openpi's epsilons show, to wide."""
    scale = np.array([1e-4, 1e-2, 1, 100])
    values = np.random.default_rng(1).normal(0.5, 1, (1000, 4)) * scale
    return stats_of(values), torch.tensor(values[:10], dtype=torch.float32)


def test_quantile_is_openpis_formula():
    stats, x = narrow_and_wide()
    q01, q99 = torch.tensor(stats["q01"]), torch.tensor(stats["q99"])
    expected = (x.double() - q01) / (q99 - q01 + 1e-6) * 2 - 1
    affine = affine_of("quantile", stats, "x")
    torch.testing.assert_close(affine.forward(x), expected.float())
    torch.testing.assert_close(affine.inverse(affine.forward(x)), x, atol=1e-7, rtol=1e-5)


def test_mean_std_is_openpis_formula():
    stats, x = narrow_and_wide()
    expected = (x.double() - torch.tensor(stats["mean"])) / (torch.tensor(stats["std"]) + 1e-6)
    torch.testing.assert_close(affine_of("mean_std", stats, "x").forward(x), expected.float())


def test_identity_changes_nothing():
    x = torch.randn(4, 3)
    affine = affine_of("identity", stats_of(np.random.rand(5, 3)), "x")
    assert torch.equal(affine.forward(x), x)
    assert torch.equal(affine.inverse(x), x)


@pytest.mark.parametrize("mode", ["min_max", "quantile", "mean_std"])
def test_a_dimension_that_never_changed_is_zero_and_comes_back(mode):
    values = np.random.default_rng(0).normal(size=(100, 2))
    values[:, 1] = 5
    affine = affine_of(mode, stats_of(values), "x")
    forward = affine.forward(torch.tensor([[0.0, 5.0], [0.0, 5.001]]))
    assert forward[:, 1].tolist() == [0, 0], "dividing by the range would give 199,984 for 5.001"
    assert affine.inverse(torch.tensor([[0.0, -1.0], [0.0, 0.3], [0.0, 1.0]]))[:, 1].tolist() == [5, 5, 5]


def test_coinciding_quantiles_of_a_moving_dimension_use_its_range(caplog):
    gripper = np.zeros((1000, 1))
    gripper[:5] = 1  # open in half a percent of the frames
    affine = affine_of("quantile", stats_of(gripper), "action")
    assert affine.forward(torch.tensor([[0.0], [1.0]])).flatten().tolist() == pytest.approx([-1, 1], abs=1e-5)
    assert "action: q01 equals q99 in dimensions [0]" in caplog.text


def test_raw_units_are_computed_in_float32():
    affine = affine_of("min_max", {"min": [50], "max": [730]}, "x")
    assert affine.inverse(torch.tensor([0.5034])).item() == pytest.approx(561.156, abs=1e-3)
    assert affine.inverse(torch.tensor([0.5034]).bfloat16()).dtype == torch.float32


def test_int_and_half_inputs_become_float32():
    affine = affine_of("min_max", {"min": [0], "max": [10]}, "x")
    for dtype in (torch.int64, torch.float64, torch.bfloat16):
        assert affine.forward(torch.tensor([5], dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize(
    ("mode", "lacking"), [("min_max", "max"), ("quantile", "q99"), ("mean_std", "std"), ("quantile", "min")]
)
def test_lacking_statistics_are_named(mode, lacking):
    stats = stats_of(np.random.rand(5, 2))
    del stats[lacking]
    with pytest.raises(ZooError, match=rf"action have no {lacking}, which {mode} normalisation needs"):
        affine_of(mode, stats, "action")


def test_statistics_that_are_not_finite_are_refused():
    with pytest.raises(ZooError, match="action are not finite"):
        affine_of("min_max", {"min": [0.0], "max": [np.inf]}, "action")


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
    raw = torch.rand(2, 8, 2) * 3
    normalised = ExactNormalizerStep(modes=modes, stats=stats)(transition(action=raw))[TransitionKey.ACTION]
    back = ExactUnnormalizerStep(modes=modes, stats=stats)
    trace.start()
    try:
        torch.testing.assert_close(back(transition(action=normalised))[TransitionKey.ACTION], raw)
        trace.publish_chunk(normalised, [0, 1])
        np.testing.assert_allclose(trace.take(1), raw[1], rtol=1e-5)
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


@pytest.mark.parametrize("content", [None, "{broken", "[1, 2]", '{"action": {"min": "x"}}'])
def test_an_unreadable_file_is_refused_by_its_path(tmp_path, content):
    path = tmp_path / "stats.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ZooError, match=r"cannot read statistics from .*stats\.json"):
        read_statistics(path)


def test_from_scratch_there_is_no_checkpoint_to_inherit_from():
    with pytest.raises(ZooError, match=r"--policy\.path=CHECKPOINT"):
        fresh(stub_config(stats_source="checkpoint"), table())


def test_training_without_normalisation_is_refused():
    with pytest.raises(ZooError, match=r"meta/stats\.json"):
        fresh(stub_config(), None)
