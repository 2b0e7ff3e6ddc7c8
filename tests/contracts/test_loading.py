"""Checkpoints: everything comes back, and one wrong tensor among all is named."""

import json
from pathlib import Path

import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from safetensors.torch import load_file, save_file
from tiny_policies import ACTION_WIDTH, observation_batch, raw_batch, tiny_policy

from lerobot_plugins.checkpoints.load_report import load_weights
from lerobot_plugins.errors import ZooError

STOCK_STEPS = {
    "policy_preprocessor.json": {
        "rename_observations_processor",
        "device_processor",
        "normalizer_processor",
    },
    "policy_postprocessor.json": {"unnormalizer_processor"},
}


def load(folder: Path):
    return get_policy_class(PreTrainedConfig.from_pretrained(folder).type).from_pretrained(folder)


def test_a_loaded_policy_acts_as_the_saved_one(shared, checkpoint):
    loaded = load(checkpoint)
    before, after = make_pre_post_processors(loaded.config, pretrained_path=str(checkpoint))
    raw = {key: value for key, value in raw_batch(shared.config).items() if not key.startswith("action")}
    batch = before(raw)
    shared.reset()
    expected = shared.predict_action_chunk(batch)
    assert torch.equal(loaded.predict_action_chunk(batch), expected)
    assert torch.equal(
        after(loaded.predict_action_chunk(batch, noise=torch.zeros_like(expected))),
        after(shared.predict_action_chunk(batch, noise=torch.zeros_like(expected))),
    )
    assert not loaded.training


def test_dtypes_come_back(shared, checkpoint):
    loaded = load(checkpoint)
    assert {n: p.dtype for n, p in loaded.named_parameters()} == {
        n: p.dtype for n, p in shared.named_parameters()
    }


def test_a_policy_loaded_to_act_is_stored_in_the_dtype_it_computes_in(policy_type, tmp_path):
    """Half the memory, the same actions: autocast would round the same weights in every call."""
    trained = tiny_policy(policy_type, dtype="bfloat16")
    trained.save_pretrained(tmp_path)
    observation = observation_batch(trained.config)
    loaded = load(tmp_path)
    dtypes = {parameter.dtype for parameter in loaded.parameters()}
    assert dtypes == {torch.float32, torch.bfloat16}
    expected, got = trained.predict_action_chunk(observation), loaded.predict_action_chunk(observation)
    assert torch.cosine_similarity(got.flatten(), expected.flatten(), dim=0) > 0.9999


def test_each_wrong_tensor_is_named(policy, checkpoint, tmp_path):
    """In turn, every third tensor is lacking, the next has another shape, and an unknown one is there."""
    tensors = load_file(checkpoint / "model.safetensors")
    names = sorted(tensors)
    assert len(names) > 50
    path = tmp_path / "model.safetensors"
    for turn in range(3):
        missing, mis_shaped = names[turn::3], names[(turn + 1) % 3 :: 3]
        given = {name: value for name, value in tensors.items() if name not in missing}
        given |= {name: torch.zeros(3, 1, 3) for name in mis_shaped}
        given |= {f"{name}.extra": torch.zeros(1) for name in missing}
        save_file(given, path)
        report = load_weights(policy, path)
        assert sorted(report.missing) == missing
        assert sorted(report.unexpected) == [f"{name}.extra" for name in missing]
        assert sorted(name.split(" ")[0] for name in report.mis_shaped) == mis_shaped
        assert report.non_finite == []


def test_data_of_another_action_width_is_named(checkpoint):
    """What LeRobot asks for with --policy.path and a dataset of another robot."""
    config = PreTrainedConfig.from_pretrained(checkpoint)
    config.output_features = {"action": PolicyFeature(FeatureType.ACTION, (ACTION_WIDTH + 7,))}
    policy_class = get_policy_class(config.type)
    if getattr(config, "max_action_dim", 0) >= ACTION_WIDTH + 7:  # padded: the weights fit any width
        assert policy_class.from_pretrained(checkpoint, config=config).config.action_width == ACTION_WIDTH + 7
        return
    with pytest.raises(ZooError, match=rf"got: +{ACTION_WIDTH + 7} dim(.|\n)*expected: +{ACTION_WIDTH} dim"):
        policy_class.from_pretrained(checkpoint, config=config)


@pytest.mark.parametrize("kind", ["missing", "unexpected", "mis-shaped", "not finite"])
def test_an_incomplete_checkpoint_is_refused(checkpoint, tmp_path, kind):
    tensors = load_file(checkpoint / "model.safetensors")
    name = sorted(tensors)[len(tensors) // 2]
    if kind == "missing":
        del tensors[name]
    elif kind == "unexpected":
        name = "somebody.else"
        tensors[name] = torch.zeros(1)
    elif kind == "mis-shaped":
        tensors[name] = torch.zeros(2, 1, 2)
    else:
        tensors[name] = torch.full_like(tensors[name], float("nan"))
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    with pytest.raises(ZooError, match=rf"1 {kind}: {name}"):
        load(tmp_path)


def test_the_host_finds_the_stock_steps_by_name(checkpoint):
    """On --policy.path and on rollout LeRobot overrides these steps and fails where one is absent."""
    for file, expected in STOCK_STEPS.items():
        steps = json.loads((checkpoint / file).read_text())["steps"]
        assert expected <= {step["registry_name"] for step in steps}


def test_a_checkpoint_holds_no_path_of_this_machine(checkpoint):
    for file in ("config.json", *STOCK_STEPS):
        assert str(Path.home()) not in (checkpoint / file).read_text()
        assert str(checkpoint.parent) not in (checkpoint / file).read_text()


def test_the_step_counter_travels_with_the_checkpoint(policy, tmp_path):
    for _ in range(3):
        policy.update()
    policy.save_pretrained(tmp_path)
    assert load(tmp_path).config.trained_steps == policy.config.trained_steps == 3
