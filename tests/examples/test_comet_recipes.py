"""Recipes of pi05_comet and its VLM2: every command exists and is understood as LeRobot understands it."""

import json

import pytest
from lerobot.configs.train import TrainPipelineConfig
from recipes import EXAMPLES, bare_run, calls_of, require_known, understood

FOLDER = EXAMPLES / "pi05_comet"


@pytest.fixture
def given(tmp_path):
    """Variables of all recipes; the converted dataset is there."""
    for name in ("data", "mixed"):
        (tmp_path / name / "meta").mkdir(parents=True)
        (tmp_path / name / "meta/info.json").write_text(json.dumps({"total_episodes": 6}))
    folders = {"B1K": "demos", "COMET": "comet", "ROLLOUTS": "rollouts", "RLDS": "rlds", "DATA": "data"}
    return folders | {
        "MIXED": "mixed",
        "OUT": "out",
        "SIMULATOR": "lerobot-eval",
        "LIBERO": str(tmp_path / "bin"),
    }


def options_of_training(calls):
    (words,) = [words for words in calls if any(word.endswith("lerobot-train") for word in words)]
    start = next(i for i, word in enumerate(words) if word.endswith("lerobot-train"))
    return words[start + 1 :]


@pytest.mark.parametrize(
    "recipe", [path.stem for path in sorted(FOLDER.glob("*.sh")) if path.stem != "common"]
)
def test_every_command_is_one_that_exists(recipe, given, tmp_path):
    calls = calls_of(FOLDER / f"{recipe}.sh", tmp_path, **given)
    path_type = "pi05_comet_vlm2" if recipe == "libero_depth" else "pi05_comet"
    known = [require_known(words, path_type) for words in calls]
    assert {"lerobot-train", "lerobot-eval"} <= set(known)


def test_one_gpu_and_several_machines_run_the_same_training(given, tmp_path):
    recipe = FOLDER / "vlm2_b1k.sh"
    eight = calls_of(recipe, tmp_path, **given)
    one = calls_of(recipe, tmp_path, **given, GPUS="1")
    sixteen = calls_of(recipe, tmp_path, **given, LAUNCH="torchrun", NODES="2", NODE="1", MASTER="first")
    assert options_of_training(eight) == options_of_training(one) == options_of_training(sixteen)
    assert [words[0] for words in one if words[0] in ("accelerate", "torchrun")] == []
    (words,) = [words for words in sixteen if words[0] == "torchrun"]
    assert {"--nnodes=2", "--node-rank=1", "--nproc-per-node=8", "--master-addr=first"} <= set(words)


def test_an_interrupted_run_goes_on(given, tmp_path):
    (tmp_path / "out/run/checkpoints/last").mkdir(parents=True)
    options = options_of_training(calls_of(FOLDER / "finetune_b1k.sh", tmp_path, **given))
    assert [option.split("=")[0] for option in options] == ["--config_path", "--resume"]


def test_published_settings(given, tmp_path):
    """Batch, learning rates and steps of openpi-comet's configurations of these names."""
    published = {"pretrain_b1k": (256, 2.5e-5, 50_000), "rejection_b1k": (256, 1e-6, 20_000)}
    published |= {"finetune_b1k": (64, 2.5e-6, 20_000), "vlm2_b1k": (64, 2.5e-6, 20_000)}
    for recipe, (batch, rate, steps) in published.items():
        options = options_of_training(calls_of(FOLDER / f"{recipe}.sh", tmp_path, **given))
        config = understood(TrainPipelineConfig, options, "pi05_comet")
        schedule = config.policy.get_scheduler_preset()
        assert (8 * config.batch_size, schedule.peak_lr, config.steps) == (batch, rate, steps)
        assert (schedule.num_warmup_steps, schedule.decay_lr) == (1000, 0)
        assert config.policy.chunk_size == 32
        assert config.dataset.episodes == [2, 3, 4, 5]


def test_a_recipe_says_what_it_needs(tmp_path):
    run = bare_run(FOLDER / "finetune_b1k.sh", tmp_path)
    assert run.returncode != 0
    assert "name the folder of the openpi checkpoint" in run.stderr
    assert not any(tmp_path.iterdir())
