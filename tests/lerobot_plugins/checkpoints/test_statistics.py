"""The statistics inside a policy's processors, and those of a dataset or a file beside them."""

import json

import numpy as np
import pytest
import torch
from feature_stats import stats_of
from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature
from lerobot.processor import NormalizerProcessorStep, PolicyProcessorPipeline, UnnormalizerProcessorStep
from tiny_policies import policy_types, processors, tiny_policy

from lerobot_plugins.checkpoints.statistics import policy_statistics
from lerobot_plugins.checkpoints.statistics_places import statistics_at
from lerobot_plugins.errors import ZooError

STATE = "observation.state"


def values() -> dict[str, dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    return {key: stats_of(generator.normal(size=(50, width))) for key, width in ((STATE, 8), ("action", 7))}


def save_stock(folder):
    """LeRobot's own two steps, as every stock policy has them."""
    features = {
        STATE: PolicyFeature(FeatureType.STATE, (8,)),
        "action": PolicyFeature(FeatureType.ACTION, (7,)),
    }
    modes = {FeatureType.STATE: NormalizationMode.MEAN_STD, FeatureType.ACTION: NormalizationMode.MEAN_STD}
    for step, name in ((NormalizerProcessorStep, "pre"), (UnnormalizerProcessorStep, "post")):
        stats = {key: {k: torch.tensor(v) for k, v in entry.items()} for key, entry in values().items()}
        made = step(features=features, norm_map=modes, stats=stats)
        PolicyProcessorPipeline([made], name=f"policy_{name}processor").save_pretrained(folder)
    return folder


def test_those_of_a_stock_policy(tmp_path):
    found = policy_statistics(save_stock(tmp_path / "pretrained_model").parent)
    assert set(found.stats) == {STATE, "action"}
    # LeRobot keeps them in float32.
    np.testing.assert_allclose(found.stats["action"]["mean"], values()["action"]["mean"], rtol=1e-6)


@pytest.mark.parametrize("kind", policy_types())
def test_those_of_our_policies(tmp_path, kind):
    policy = tiny_policy(kind)
    for processor in processors(policy.config):
        processor.save_pretrained(tmp_path)
    found = statistics_at(tmp_path).stats
    assert found["action"]["mean"].shape == (7,)
    assert found[STATE]["q99"].shape == (8,)


def test_a_policy_without_statistics_is_refused(tmp_path):
    step = NormalizerProcessorStep(features={}, norm_map={})
    PolicyProcessorPipeline([step], name="policy_preprocessor").save_pretrained(tmp_path)
    with pytest.raises(ZooError, match="have no statistics"):
        policy_statistics(tmp_path)


def test_a_place_with_nothing_is_refused(tmp_path):
    with pytest.raises(ZooError, match=r"holds no statistics(.|\n)*a LeRobotDataset, a policy"):
        statistics_at(tmp_path)
    with pytest.raises(ZooError, match="no policy with processors"):
        policy_statistics(tmp_path)


def test_a_dataset_names_the_numbers_of_what_it_stores(tmp_path):
    features = {"action": {"dtype": "float32", "shape": [2], "names": ["x", "y"]}}
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text(json.dumps({"codebase_version": "v3.0", "features": features}))
    (tmp_path / "meta/stats.json").write_text(json.dumps({"action": {"mean": [1, 2]}}))
    for place in (tmp_path, tmp_path / "meta/stats.json"):
        found = statistics_at(place)
        assert found.stats["action"]["mean"].tolist() == [1, 2]
        assert found.named("action", 1) == "y"
