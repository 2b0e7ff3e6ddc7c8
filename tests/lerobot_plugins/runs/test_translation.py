"""A YAML of PaliGemma-VLA becomes a command that LeRobot understands; what cannot be kept is said."""

import dataclasses
from pathlib import Path

import pytest
from lerobot.configs import PreTrainedConfig
from lerobot.configs.train import TrainPipelineConfig
from recipes import understood

from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.translation import Dataset, read_yaml, translate

SETTINGS = {
    "data.train_parquet_files": ["/rows/a.parquet", "/rows/b c.parquet"],
    "data.val_parquet_files": "/rows/held out",
    "data.siglip_model_name": "google/siglip-base-patch16-224",
    "data.max_seq_len": 1,
    "data.prompt_max_len": 60,
    "data.batch_size": 20,
    "data.action_bounds": [-1.0, 1.0],
    "model.vlm_config.model_name_or_path": "./weight/paligemma-3b-pt-224",
    "model.vlm_config.dtype": "torch.bfloat16",
    "model.vlm_config.num_image_tokens": 256,
    "model.vlm_config.freeze_vision_tower": True,
    "model.vision_encoder_config.vision_tower": "pass",
    "model.action_head_config.use_state_input": False,
    "model.action_head_config.horizon": 8,
    "model.action_head_config.per_action_dim": 7,
    "model.action_head_config.action_dim": 56,
    "training.epochs": 10,
    "training.checkpoint_dir": "./experiments",
    "training.experiment_name": "first",
    "training.seed": 123,
    "optimizer.type": "AdamW",
    "optimizer.lr": 2e-5,
    "optimizer.betas": [0.9, 0.95],
    "lr_scheduler.type": "CosineAnnealingLR",
    "lr_scheduler.T_max": 10,
}
DATASET = Dataset("local/rows", Path("data/rows"), frames=101)


def fields() -> tuple[str, ...]:
    config = PreTrainedConfig.get_choice_class("paligemma_flow")
    return tuple(field.name for field in dataclasses.fields(config))


def translated(processes: int = 1, **changes):
    """The settings, changed by the last part of their names."""
    settings = {key: changes.pop(key.rsplit(".", 1)[-1], value) for key, value in SETTINGS.items()}
    return translate(settings | changes, DATASET, processes, fields())


def test_lerobot_understands_the_command_as_it_was_meant():
    result = translated(processes=4)
    assert result.command[:3] == ["torchrun", "--standalone", "--nproc-per-node=4"]
    config = understood(TrainPipelineConfig, result.options)
    assert config.batch_size == 5
    assert config.steps == 10 * 6  # ceil(101 / 20)
    assert config.output_dir == Path("experiments/first")
    assert config.seed == 123
    policy = config.policy
    assert (policy.chunk_size, policy.n_action_steps, policy.action_dim) == (8, 8, 56)
    assert (policy.dtype, policy.prompt_max_len) == ("bfloat16", 60)
    assert (policy.freeze_vision_tower, policy.use_state_input) == (True, False)
    assert (policy.optimizer_lr, tuple(policy.optimizer_betas)) == (2e-5, (0.9, 0.95))
    assert policy.init_from == "./weight/paligemma-3b-pt-224"
    assert policy.vlm_lr_scale == 1  # one learning rate for all


def test_every_key_is_accounted_for():
    result = translated(some_key=3)
    told = {key for key, *_ in [*result.mapped, *result.meaningless, *result.unavailable]}
    assert told | set(result.unknown) == {*SETTINGS, "some_key"}
    assert result.unknown == ["some_key"]
    assert dict(result.meaningless)["lr_scheduler.T_max"]


def test_rows_are_converted_first_held_out_ones_to_a_dataset_of_their_own():
    first, second = translated().before
    assert first[3:5] == ["/rows/a.parquet", "/rows/b c.parquet"]
    assert second[3:8] == ["/rows/held out", "--repo-id", "local/rows_val", "--root", "data/rows_val"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 21),
        ("num_image_tokens", 1024),
        ("action_dim", 55),
        ("dtype", "torch.float16"),
        ("action_bounds", [0, 1]),
        ("type", "SGD"),
        ("epochs", "ten"),
        ("epochs", None),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(key, value):
    with pytest.raises(ZooError, match=key):
        translated(processes=4, **{key: value})


def test_epochs_need_the_number_of_frames():
    with pytest.raises(ZooError, match=r"convert vla-parquet /rows/a.parquet '/rows/b c.parquet'"):
        translate(SETTINGS, Dataset("local/rows", Path("data/rows"), frames=None))


def test_an_option_that_the_policy_lacks_is_set_aside():
    settings = {"model.action_head_config.horizon": 8}
    result = translate(settings, DATASET, policy_fields=("chunk_size", "push_to_hub"))
    assert result.unavailable == [("model.action_head_config.horizon", "--policy.n_action_steps=8")]
    assert "--policy.chunk_size=8" in result.options
    assert "--policy.n_action_steps=8" not in result.options


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system [true]", "[1, 2]", "a: [", "&a [*a]"])
def test_a_yaml_that_is_no_plain_mapping_is_refused(text, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ZooError):
        read_yaml(tmp_path / "x.yaml")


def test_the_command_prints_a_script_and_fails_on_an_unknown_key(tmp_path, capsys):
    file = tmp_path / "vla.yaml"
    file.write_text("data: {batch_size: 8}\nmodel: {vlm_config: {model_name_or_path: 'my folder'}}\n")
    assert main(["translate-config", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "--batch_size=8 \\\n" in printed
    assert "'--policy.init_from=my folder'" in printed
    assert all(line.startswith(("#", "lerobot", "  ")) for line in printed.splitlines())
    file.write_text(file.read_text() + "nobody: 1\n")
    assert main(["translate-config", str(file)]) == 1
    assert "#   nobody" in capsys.readouterr().out
    file.write_text("model: {action_head_config: {horizon: 0}}")
    assert main(["translate-config", str(file)]) == 2  # the policy's configuration says so
