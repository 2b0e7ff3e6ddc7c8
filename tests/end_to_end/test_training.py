"""Stock `lerobot-train` on `paligemma_flow`: resume, fine-tuning, evaluation, precision, weighting.

Claimed for num_workers=0, without dropout and without random transforms of the dataset: a resumed run and
the uninterrupted one agree in every weight, optimizer moment and loss.
"""

import json
from pathlib import Path

import pytest
from lerobot.configs import PreTrainedConfig
from lerobot.policies import make_pre_post_processors
from training import TINY, Run, differences, interrupted_after, resume, train

from lerobot_plugins.errors import ZooError


def statistics_of(policy: Path) -> str:
    """Hash of the statistics that a checkpoint normalises with."""
    before, after = make_pre_post_processors(PreTrainedConfig.from_pretrained(policy), str(policy))
    assert after.steps[0].stats["action"].keys() == before.steps[-1].stats["action"].keys()
    return before.steps[-1].stats_hash


# Resume.


@pytest.mark.parametrize("step", [2, 4])
def test_a_resumed_run_ends_as_the_uninterrupted_one(uninterrupted, tmp_path, step):
    resumed = resume(interrupted_after(uninterrupted, step, tmp_path / "run"))
    assert resumed.losses == uninterrupted.losses[step:]
    assert resumed.gradient_norms == uninterrupted.gradient_norms[step:]
    # The host advances torch's global generator while it sets up; nothing of ours draws from it.
    assert differences(uninterrupted.checkpoint(6), resumed.checkpoint(6)) == [
        "training_state/rng_state.safetensors:torch_rng_state"
    ]
    config = json.loads((resumed.policy() / "config.json").read_text())
    assert config["trained_steps"] == 6


def test_the_same_command_gives_the_same_run(uninterrupted, toy_root, tmp_path):
    again = train(toy_root, tmp_path / "x", *TINY, "--steps=2")
    assert again.losses == uninterrupted.losses[:2]
    other = train(toy_root, tmp_path / "y", *TINY, "--steps=2", "--seed=7")
    assert other.losses != again.losses


@pytest.mark.slow
def test_bfloat16_trains_and_resumes(toy_root, tmp_path, uninterrupted):
    more = (
        "--policy.dtype=bfloat16",
        "--policy.freeze_vision_tower=true",
        "--policy.gradient_checkpointing=true",
    )
    whole = train(toy_root, tmp_path / "whole", *TINY, *more)
    resumed = resume(interrupted_after(whole, 2, tmp_path / "part"))
    assert resumed.losses == whole.losses[2:]
    assert whole.losses[0] == pytest.approx(uninterrupted.losses[0], rel=0.01)


# Fine-tuning.


@pytest.mark.parametrize("source", ["dataset", "checkpoint"])
def test_fine_tuning_normalises_with_the_statistics_that_were_asked_for(
    uninterrupted, other_root, tmp_path, source
):
    base = uninterrupted.policy()
    tuned = train(
        other_root,
        tmp_path / "run",
        f"--policy.path={base}",
        f"--policy.stats_source={source}",
        "--policy.optimizer_lr=1e-5",
        "--policy.push_to_hub=false",
        "--steps=2",
    )
    inherited = statistics_of(tuned.policy()) == statistics_of(base)
    assert inherited == (source == "checkpoint")
    assert ("instead of the checkpoint's" in tuned.log) == (source == "dataset")
    config = json.loads((tuned.policy() / "config.json").read_text())
    assert (config["optimizer_lr"], config["trained_steps"]) == (1e-5, 8)


def test_fine_tuning_maps_the_names_of_cameras(uninterrupted, tmp_path):
    from toy_data import write_toy_dataset

    write_toy_dataset(tmp_path / "renamed", lengths=(6, 6), cameras=("top", "wrist"))
    names = {
        f"observation.images.{theirs}": f"observation.images.{ours}"
        for theirs, ours in (("top", "image"), ("wrist", "image2"))
    }
    tuned = train(
        tmp_path / "renamed",
        tmp_path / "run",
        f"--policy.path={uninterrupted.policy()}",
        f"--rename_map={json.dumps(names)}",
        "--policy.push_to_hub=false",
        "--steps=2",
    )
    config = json.loads((tuned.policy() / "config.json").read_text())
    assert config["camera_order"] == list(names.values())


def test_fine_tuning_on_data_of_another_width_is_refused(uninterrupted, tmp_path):
    from toy_data import write_toy_dataset

    write_toy_dataset(tmp_path / "wide", lengths=(6,), action_names=[f"joint_{i}" for i in range(9)])
    with pytest.raises(ZooError, match=r"other actions[^$]*got: +9 dimensions[^$]*expected: +7 dimensions"):
        train(tmp_path / "wide", tmp_path / "run", f"--policy.path={uninterrupted.policy()}")


# Evaluation during training.


def test_evaluation_is_repeatable_and_leaves_training_alone(toy_root, tmp_path):
    def run(name: str, *more: str) -> Run:
        split = ("--dataset.eval_split=0.5", "--steps=2")
        return train(toy_root, tmp_path / name, *TINY, *split, *more)

    first, second, without = run("first", "--eval_steps=1"), run("second", "--eval_steps=1"), run("without")
    assert len(first.evaluations) == 2
    assert first.evaluations == second.evaluations
    assert without.evaluations == []
    assert first.losses == second.losses == without.losses


# The rest of the stock loop.


def test_sample_weighting_uses_the_loss_per_row(uninterrupted, toy_root, tmp_path):
    weighted = train(toy_root, tmp_path / "run", *TINY, "--sample_weighting.type=uniform", "--steps=2")
    assert len(weighted.losses) == 2
    assert weighted.losses[0] == pytest.approx(uninterrupted.losses[0], rel=0.2)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--policy.dtype=float16", ("unknown dtype", "float16 overflows in Gemma; use bfloat16")),
        ("--policy.n_action_steps=9", ("n_action_steps=9, chunk_size=8", "pass --policy.n_action_steps=8")),
    ],
)
def test_a_wrong_option_ends_the_command_with_the_whole_message(toy_root, tmp_path, capsys, option, words):
    with pytest.raises(SystemExit):
        train(toy_root, tmp_path / "run", *TINY, option)
    said = capsys.readouterr().err
    assert all(word in said for word in words)
    assert not (tmp_path / "run").exists()


def test_a_policy_without_cameras_is_refused(tmp_path):
    from toy_data import write_toy_dataset

    write_toy_dataset(tmp_path / "blind", lengths=(6,), cameras=())
    with pytest.raises(ZooError, match="at least one camera"):
        train(tmp_path / "blind", tmp_path / "run", *TINY)
