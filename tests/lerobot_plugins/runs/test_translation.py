"""A YAML of PaliGemma-VLA becomes a command that LeRobot understands."""

import json
from pathlib import Path

import pytest
from lerobot.configs.train import TrainPipelineConfig
from recipes import require_known, understood

from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.translation import Dataset, read_yaml, translate

DATASET = Dataset("me/xarm", Path("data/xarm"), 1001)
# The keys of the reference's own file for several GPUs, with other values where that tells more.
SETTINGS = """
data:
  train_parquet_files: rows/training/
  val_parquet_files: [rows/a.parquet, rows/b.parquet]
  tokenizer_name_or_path: ./weight/paligemma-3b-pt-224
  image_processor_name_or_path: ./weight/paligemma-3b-pt-224
  siglip_model_name: google/siglip-base-patch16-224
  max_seq_len: 1
  prompt_max_len: 64
  batch_size: 20
  num_workers: 4
  action_bounds: [-1.0, 1.0]
  normalization_stats_path: normalization_stats.json
model:
  vlm_config:
    model_name_or_path: ./weight/paligemma-3b-pt-224
    use_aux_camera: False
    freeze_vision_tower: True
    freeze_language_model: False
    dtype: torch.bfloat16
    num_image_tokens: 256
  vision_encoder_config:
    vision_tower: pass
    vision_resampler:
      type: identity
      mlp_projector: {hidden_dim: null}
  action_head_config:
    use_state_input: True
    num_action_dims: 7
    horizon: 8
    per_action_dim: 7
    action_dim: 56
    state_dim: 7
    num_action_bins: 256
    dropout_prob: 0.1
training:
  epochs: 10
  save_every_n_epochs: 2
  log_interval: 10
  checkpoint_dir: ./experiments/
  experiment_name: finetune
  grad_clip_norm: 0.5
  seed: 123
optimizer: {type: AdamW, lr: 2.0e-5, weight_decay: 0.02, betas: [0.9, 0.99], eps: 1.0e-7}
lr_scheduler: {type: CosineAnnealingLR, T_max: 10, eta_min: 2.0e-7}
"""


def settings(tmp_path: Path, text: str = SETTINGS) -> dict:
    path = tmp_path / "vla_config.yaml"
    path.write_text(text)
    return read_yaml(path)


def test_the_command_is_understood_with_the_values_of_the_yaml(tmp_path):
    translation = translate(settings(tmp_path), DATASET, processes=4)
    assert translation.unknown == []
    assert translation.command[:3] == ["torchrun", "--standalone", "--nproc-per-node=4"]
    assert require_known(translation.command) == "lerobot-train"
    config = understood(TrainPipelineConfig, translation.options)
    policy = config.policy
    assert (config.batch_size, config.steps, config.save_freq, config.log_freq) == (5, 510, 102, 10)
    assert (config.seed, config.num_workers, str(config.output_dir)) == (123, 4, "experiments/finetune")
    assert (policy.type, policy.dtype, policy.chunk_size, policy.n_action_steps) == (
        "paligemma_flow",
        "bfloat16",
        8,
        8,
    )
    assert (policy.init_from, policy.use_aux_camera, policy.freeze_vision_tower) == (
        "./weight/paligemma-3b-pt-224",
        False,
        True,
    )
    assert (policy.prompt_max_len, policy.action_dim, policy.head_dropout) == (64, 56, 0.1)
    assert (policy.optimizer_lr, policy.optimizer_weight_decay) == (2e-5, 0.02)
    assert (tuple(policy.optimizer_betas), policy.optimizer_eps) == ((0.9, 0.99), 1e-7)
    assert (policy.optimizer_grad_clip_norm, policy.vlm_lr_scale) == (0.5, 1)


def test_every_key_ends_somewhere(tmp_path):
    read = settings(tmp_path)
    translation = translate(read, DATASET)
    ends = [key for key, *_ in (*translation.mapped, *translation.meaningless)]
    assert sorted(ends) == sorted(read)


def test_rows_are_converted_first(tmp_path):
    first, second = translate(settings(tmp_path), DATASET).before
    assert first[:4] == ["lerobot-plugins", "convert", "vla-parquet", "rows/training/"]
    assert second[3:5] == ["rows/a.parquet", "rows/b.parquet"]
    assert "me/xarm_val" in second


def test_a_key_that_nobody_knows_is_reported(tmp_path, capsys):
    path = tmp_path / "x.yaml"
    path.write_text("training: {epochs: 1, gradient_noise: 3}\n")
    common = [str(path), "--repo-id=me/xarm", f"--root={tmp_path}", "--frames=10"]
    assert main(["translate-config", *common, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["unknown"] == ["training.gradient_noise"]
    assert "--steps=10" in found["command"]


@pytest.mark.parametrize(
    ("change", "processes", "said"),
    [
        (("batch_size: 20", "batch_size: 21"), 4, "batch_size cannot be divided.*21 over 4.*multiple of 4"),
        (("action_dim: 56", "action_dim: 57"), 1, "action_dim contradicts horizon.*57, 8 and 7.*56"),
        (("num_image_tokens: 256", "num_image_tokens: 1024"), 1, "num_image_tokens contradicts.*1024.*256"),
        (("torch.bfloat16", "torch.float16"), 1, "dtype is not supported.*float16.*take bfloat16"),
        (("type: identity", "type: qformer"), 1, "type is unknown.*qformer.*mlp, identity or none"),
        (("type: AdamW", "type: SGD"), 1, "optimizer.type is not translated.*SGD.*AdamW"),
        (("CosineAnnealingLR", "StepLR"), 1, "lr_scheduler.type is not translated.*StepLR"),
        (("[-1.0, 1.0]", "[0.0, 1.0]"), 1, "action_bounds is not supported"),
    ],
)
def test_what_cannot_be_kept_is_an_error(tmp_path, change, processes, said):
    with pytest.raises(ZooError, match=f"(?s){said}"):
        translate(settings(tmp_path, SETTINGS.replace(*change)), DATASET, processes)


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [1", "is no YAML"), ("- 1", "holds no settings"), ("x: !!python/name:os.system", "is no YAML")],
)
def test_other_files_are_refused(tmp_path, text, said):
    with pytest.raises(ZooError, match=said):
        settings(tmp_path, text)


def test_without_a_number_of_frames_nothing_is_guessed(tmp_path, capsys):
    path = tmp_path / "x.yaml"
    path.write_text("training: {epochs: 1}\n")
    assert main(["translate-config", str(path), "--repo-id=me/x", f"--root={tmp_path}"]) == 2
    assert "pass --frames=N" in capsys.readouterr().err
