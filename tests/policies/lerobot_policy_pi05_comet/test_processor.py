"""Both pipelines of `pi05_comet`."""

import json

import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies import make_pre_post_processors
from lerobot.policies.factory import make_policy_config
from tiny_policies import processors, raw_batch, tiny_config, toy_statistics

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.openpi import write_norm_stats
from lerobot_policy_pi05_comet.processor_pi05_comet import R1ProStateStep

TYPE = "pi05_comet"


def names(pipeline) -> list[str]:
    return [type(step)._registry_name for step in pipeline.steps]


def text_of(tokens: torch.Tensor) -> str:
    return bytes(int(token) - 3 for token in tokens if token > 2).decode()


def test_the_order_of_steps():
    before, after = processors(tiny_config(TYPE))
    assert names(before) == [
        "rename_observations_processor",
        "to_batch_processor",
        "pi05_comet_state",
        "normalizer_processor",
        "zoo_exact_normalizer",
        "zoo_state_prompt_tokenizer",
        "device_processor",
    ]
    assert names(after) == ["zoo_exact_unnormalizer", "unnormalizer_processor", "device_processor"]


def test_the_prompt_holds_the_normalised_state():
    config = tiny_config(TYPE)
    raw = raw_batch(config)
    batch = processors(config)[0](raw)
    stats = toy_statistics()["observation.state"]
    low, high = stats["q01"], stats["q99"]
    normalised = 2 * (raw["observation.state"][0].numpy() - low) / (high - low + 1e-6) - 1
    integers = np.digitize(normalised, np.linspace(-1, 1, 257)[:-1]) - 1
    expected = f"Task: pick up the soup, State: {' '.join(map(str, integers))};\nAction: "
    assert text_of(batch["observation.language.tokens"][0]) == expected


def test_the_formula_is_openpis():
    """O3: q01 = -0.2, q99 = 0.8."""
    config = tiny_config(TYPE)
    stats = {
        key: {name: np.full(width, value) for name, value in values.items()}
        for key, width in (("observation.state", 8), ("action", 7))
        for values in [{"mean": 0.3, "std": 0.2, "q01": -0.2, "q99": 0.8}]
    }
    before, after = make_pre_post_processors(config, dataset_stats=stats)
    raw = raw_batch(config) | {"action": torch.tensor([[[0.3] * 7, [1.2] * 7]]).expand(3, 2, 7).clone()}
    action = before(raw)["action"]
    torch.testing.assert_close(action[0, :, 0], torch.tensor([-9.99999e-7, 1.799997]), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(after(action), raw["action"])


def test_r1_pro_proprioception_becomes_the_state():
    """O1 through the step, with and without a batch dimension; other widths pass."""
    proprioception = torch.arange(256.0)
    expected = torch.tensor(
        [253, 254, 255, 236, 237, 238, 239, *range(158, 165), *range(197, 204), 387, 465]
    ).float()
    step = R1ProStateStep()

    def through(state: torch.Tensor, step: R1ProStateStep = step) -> torch.Tensor:
        return step({"observation": {"observation.state": state}})["observation"]["observation.state"]

    assert torch.equal(through(proprioception), expected)
    assert torch.equal(through(proprioception.expand(2, 1, 256)), expected.expand(2, 1, 23))
    assert torch.equal(through(expected), expected)
    assert through(proprioception, R1ProStateStep("as_is")).shape == (256,)


def r1_pro_config(**changes):
    features = {
        "observation.images.rgb.head": PolicyFeature(FeatureType.VISUAL, (3, 64, 64)),
        "observation.state": PolicyFeature(FeatureType.STATE, (256,)),
    }
    return make_policy_config(
        TYPE,
        device="cpu",
        push_to_hub=False,
        paligemma_variant="tiny",
        action_expert_variant="tiny",
        input_features=features,
        output_features={"action": PolicyFeature(FeatureType.ACTION, (23,))},
        **changes,
    )


@pytest.mark.parametrize("width", [23, 32])
def test_statistics_of_an_openpi_checkpoint(tmp_path, width):
    """Padded to 32 or not; 256-d observations are reduced before they are normalised."""
    entry = {
        "mean": np.zeros(23),
        "std": np.ones(23),
        "q01": -np.ones(23),
        "q99": np.linspace(1, 2, 23),
    }
    padded = {name: np.pad(value, (0, width - 23)) for name, value in entry.items()}
    path = tmp_path / "norm_stats.json"
    write_norm_stats({"observation.state": padded, "action": padded}, path)
    config = r1_pro_config(stats_source="file", stats_path=str(path))
    config.validate_features()
    before, _ = make_pre_post_processors(config, dataset_stats=toy_statistics())
    batch = before(
        {
            "observation.images.rgb.head": torch.rand(1, 3, 64, 64),
            "observation.state": torch.full((1, 256), 0.5),
            "action": torch.full((1, 32, 23), 2.0),
            "task": ["make pizza"],
        }
    )
    assert batch["observation.state"].shape == (1, 23)
    torch.testing.assert_close(batch["action"][0, 0, -1], torch.tensor(1.0), atol=1e-5, rtol=0)


def test_statistics_of_another_robot_are_refused(tmp_path):
    """Both dims and the file are named."""
    path = tmp_path / "norm_stats.json"
    values = {name: np.ones(14) for name in ("mean", "std", "q01", "q99")}
    write_norm_stats({"observation.state": values, "action": values}, path)
    config = r1_pro_config(stats_source="file", stats_path=str(path))
    config.validate_features()
    with pytest.raises(ZooError, match=r"norm_stats\.json(.|\n)*14(.|\n)*23"):
        make_pre_post_processors(config, dataset_stats=toy_statistics())


def test_statistics_of_recorded_proprioception_are_computed_from_the_frames(tmp_path):
    from types import SimpleNamespace

    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 256)).astype(np.float32)
    (tmp_path / "data" / "chunk-000").mkdir(parents=True)
    for part in range(2):
        table = pa.table({"observation.state": list(rows[part * 25 : part * 25 + 25])})
        pq.write_table(table, tmp_path / "data" / "chunk-000" / f"file-{part:03d}.parquet")
    meta = SimpleNamespace(
        root=tmp_path,
        features={"observation.state": {"shape": (256,)}},
        stats={"action": {}, "observation.state": {}},
    )
    config = r1_pro_config()
    found = config.dataset_statistics(meta)["observation.state"]
    state = r1pro.state_from_proprioception(rows).astype(np.float64)
    np.testing.assert_allclose(found["q99"], np.quantile(state, 0.99, axis=0))
    assert found["min"].shape == (23,)


def test_a_checkpoint_carries_prompt_and_layout(tmp_path):
    config = tiny_config(TYPE)
    for pipeline in processors(config):
        pipeline.save_pretrained(tmp_path)
    config.save_pretrained(tmp_path)
    steps = json.loads((tmp_path / "policy_preprocessor.json").read_text())["steps"]
    stored = {step["registry_name"]: step["config"] for step in steps}
    assert stored["pi05_comet_state"] == {"layout": "auto"}
    assert stored["zoo_state_prompt_tokenizer"]["discrete_state"] is True
    before, _ = make_pre_post_processors(config, pretrained_path=str(tmp_path))
    raw = raw_batch(config)
    given = {key: value for key, value in raw.items() if not key.startswith("action")}
    again, first = before(dict(given)), processors(config)[0](dict(given))
    assert torch.equal(again["observation.language.tokens"], first["observation.language.tokens"])
