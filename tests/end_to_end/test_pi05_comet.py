"""Stock `lerobot-train` on `pi05_comet`: exact resume with augmentation and averages; the LIBERO sample."""

import json
from pathlib import Path

import pytest
from comet import COMET, HOST_GENERATOR, normalizer_of
from evaluating import lerobot_eval_here
from safetensors.torch import load_file
from training import Run, differences, interrupted_after, resume, train

from lerobot_plugins.errors import ZooError
from lerobot_policy_pi05_comet.modeling_pi05_comet import PI05CometPolicy

# Resume.


@pytest.fixture(scope="module")
def averaged(toy_root, tmp_path_factory) -> Run:
    """Four augmented steps with checkpoints after 2 and 4."""
    output = tmp_path_factory.mktemp("comet") / "run"
    return train(toy_root, output, *COMET, "--policy.ema_decay=0.9")


def test_a_resumed_run_ends_as_the_uninterrupted_one(averaged, tmp_path):
    resumed = resume(interrupted_after(averaged, 2, tmp_path / "run"))
    assert resumed.losses == averaged.losses[2:]
    assert resumed.gradient_norms == averaged.gradient_norms[2:]
    assert differences(averaged.checkpoint(4), resumed.checkpoint(4)) == [HOST_GENERATOR]
    stored = load_file(averaged.policy() / "model.safetensors")
    changed = [
        name for name in stored if f"ema.{name}" in stored and (stored[name] != stored[f"ema.{name}"]).any()
    ]
    assert len(changed) > 50


@pytest.mark.slow
def test_augmentation_is_part_of_the_loss(averaged, toy_root, tmp_path):
    plain = train(toy_root, tmp_path / "run", *COMET, "--policy.image_augmentation=false")
    # The gates of an untrained expert are closed: its first loss does not depend on the pictures.
    assert plain.losses[0] == averaged.losses[0]
    assert plain.losses[-1] != averaged.losses[-1]


@pytest.mark.slow
def test_checkpointing_and_bfloat16_follow_the_plain_run(averaged, toy_root, tmp_path):
    more = ("--steps=2", "--save_freq=1")
    less_memory = train(toy_root, tmp_path / "ckpt", *COMET, *more, "--policy.gradient_checkpointing=true")
    assert less_memory.losses == pytest.approx(averaged.losses[:2], rel=1e-6)
    whole = train(toy_root, tmp_path / "bf16", *COMET, *more, "--policy.dtype=bfloat16")
    assert whole.losses == pytest.approx(averaged.losses[:2], rel=0.02)
    resumed = resume(interrupted_after(whole, 1, tmp_path / "part"))
    assert differences(whole.checkpoint(2), resumed.checkpoint(2)) == [HOST_GENERATOR]
    stored = load_file(whole.policy() / "model.safetensors")
    assert {str(value.dtype) for value in stored.values()} <= {"torch.float32", "torch.bfloat16"}


def test_frames_weigh_as_the_table_says(averaged, toy_root, tmp_path):
    frames = 30

    def trained(name: str, values: list[float]) -> Run:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"frames": values}))
        return train(toy_root, tmp_path / name, *COMET, "--steps=1", f"--policy.loss_weights_path={path}")

    other = trained("other", [1.0 + i % 3 for i in range(frames)])
    assert other.losses[0] == pytest.approx(averaged.losses[0], rel=0.5)
    assert other.losses[0] != averaged.losses[0]
    # A policy that acts needs no table.
    (tmp_path / "other.json").unlink()
    assert PI05CometPolicy.from_pretrained(other.policy()).loss_weights is None
    with pytest.raises(ZooError, match="1 frames are missing"):
        trained("short", [1.0] * (frames - 1))


# The LIBERO sample.

LIBERO = ("--dataset.repo_id=local/libero_sample", "--dataset.video_backend=pyav", "--batch_size=2")


@pytest.fixture(scope="module")
def libero(checkout) -> Path:
    return checkout / "examples/sample_data/lerobot/libero_sample"


@pytest.fixture(scope="module")
def trained(libero, tmp_path_factory) -> Run:
    """Two steps on LIBERO's names and sizes."""
    return train(libero, tmp_path_factory.mktemp("libero") / "run", *COMET, *LIBERO, "--steps=2")


def test_the_sample_trains_and_is_scored(trained, libero, tmp_path):
    metrics = lerobot_eval_here(
        trained.policy(), libero, tmp_path, "--env.repo_id=local/libero_sample", "--env.video_backend=pyav"
    )
    assert metrics["complete"]
    assert metrics["executed"]["raw"]["mae"] > 0
    assert {entry["group"] for entry in metrics["executed"]["per_group"]} == {"arm", "grippers"}


@pytest.mark.parametrize("source", ["checkpoint", pytest.param("dataset", marks=pytest.mark.slow)])
def test_fine_tuning_normalises_with_the_statistics_that_were_asked_for(averaged, libero, tmp_path, source):
    tuned = train(
        libero,
        tmp_path / "run",
        f"--policy.path={averaged.policy()}",
        f"--policy.stats_source={source}",
        "--policy.push_to_hub=false",
        *LIBERO,
        "--steps=1",
    )
    same = normalizer_of(tuned.policy()).stats_hash == normalizer_of(averaged.policy()).stats_hash
    assert same == (source == "checkpoint")


@pytest.mark.parametrize(("mode", "chunks"), [("temporal_ensemble", 9), ("receding_temporal", 2)])
def test_control_modes_are_chosen_when_the_policy_is_evaluated(averaged, toy_root, tmp_path, mode, chunks):
    metrics = lerobot_eval_here(averaged.policy(), toy_root, tmp_path, f"--policy.control_mode={mode}")
    assert metrics["complete"]
    assert metrics["counts"]["chunks"] == chunks
