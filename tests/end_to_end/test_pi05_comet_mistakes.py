"""Wrong input to the commands around `pi05_comet`: what is said, and that nothing half-written is left.

The slow ones provoke what unit tests provoke too, through the whole command.
"""

import json
import shutil
from pathlib import Path

import pytest
from behavior1k_samples import EPISODES, colours, write_sample, write_video
from comet import COMET, CPU, NETWORK
from openpi_checkpoints import write_jax_checkpoint
from openpi_tree import norm_stats, random_tree
from toy_data import write_toy_dataset
from training import TINY, Run, train

from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime


@pytest.fixture(scope="module")
def trained(toy_root, tmp_path_factory) -> Run:
    return train(toy_root, tmp_path_factory.mktemp("mistakes") / "run", *COMET, "--steps=1", "--save_freq=1")


def refused(root: Path, folder: Path, *options: str) -> str:
    """What `lerobot-train` says, which must stop before it writes a checkpoint."""
    with pytest.raises(ZooError) as caught:
        train(root, folder / "run", *options, "--steps=1")
    assert not (folder / "run/checkpoints").exists()
    return str(caught.value)


def refused_option(root: Path, folder: Path, capsys, *options: str) -> str:
    """What `lerobot-train` says of an option that its configuration refuses."""
    with pytest.raises(SystemExit) as caught:
        train(root, folder / "run", *options)
    assert caught.value.code == 1
    assert not (folder / "run").exists()
    return capsys.readouterr().err


def failed(capsys, *arguments: object) -> str:
    """What `lerobot-plugins` says of wrong input."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    runtime.bind(None, None)
    return capsys.readouterr().err


def has(message: str, *words: object) -> None:
    """Fail unless the message holds all words."""
    missing = [str(word) for word in words if str(word) not in message]
    assert not missing, f"{missing} not in: {message}"


# Statistics.


def test_statistics_of_another_width_name_both_and_the_file(toy_root, tmp_path):
    path = tmp_path / "norm_stats.json"
    path.write_text(json.dumps(norm_stats(state=8, action=14)))
    message = refused(toy_root, tmp_path, *COMET, "--policy.stats_source=file", f"--policy.stats_path={path}")
    has(message, "action", path, "32 dimensions", "beyond 14", "expected: 7 dimensions", "do:")


@pytest.mark.slow
def test_a_statistics_file_that_is_not_there(toy_root, tmp_path):
    path = tmp_path / "absent.json"
    message = refused(toy_root, tmp_path, *COMET, "--policy.stats_source=file", f"--policy.stats_path={path}")
    has(message, path, "FileNotFoundError", "norm_stats.json", "--policy.stats_path")


def test_a_dataset_without_statistics(toy_root, tmp_path):
    root = shutil.copytree(toy_root, tmp_path / "bare")
    (root / "meta/stats.json").unlink()
    # LeRobot itself writes into these statistics unless it is told not to.
    message = refused(root, tmp_path, *COMET, "--dataset.use_imagenet_stats=false")
    has(
        message,
        "no statistics",
        "without normalisation is refused",
        "meta/stats.json",
        "lerobot-plugins stats",
    )


@pytest.mark.slow
def test_inherited_statistics_of_another_robot(trained, tmp_path):
    root = write_toy_dataset(
        tmp_path / "wide", lengths=(6,), action_names=[f"j{i}.pos" for i in range(9)]
    ).root
    message = refused(
        root,
        tmp_path,
        f"--policy.path={trained.policy()}",
        "--policy.stats_source=checkpoint",
        "--policy.push_to_hub=false",
    )
    has(message, "action", "9", "7", "do:")


# Checkpoints.


def test_weights_of_another_architecture(toy_root, tmp_path):
    flow = train(toy_root, tmp_path / "flow", *TINY, "--steps=1", "--save_freq=1")
    message = refused(toy_root, tmp_path, *COMET, f"--policy.init_from={flow.policy()}")
    has(message, "missing: model.action_in_proj", "unexpected: action_head", "do:", flow.policy())


@pytest.mark.slow
def test_a_jax_folder_is_imported_before_it_is_trained(toy_root, tmp_path):
    checkpoint = write_jax_checkpoint(tmp_path / "1000")
    message = refused(toy_root, tmp_path, *COMET, f"--policy.init_from={checkpoint}")
    has(message, f"no model.safetensors in {checkpoint}", f"checkpoint import-openpi {checkpoint}")


@pytest.mark.slow
def test_a_checkpoint_whose_configuration_says_another_network(trained, toy_root, tmp_path):
    folder = shutil.copytree(trained.policy(), tmp_path / "changed")
    config = json.loads((folder / "config.json").read_text()) | {"max_action_dim": 16}
    (folder / "config.json").write_text(json.dumps(config))
    message = refused(toy_root, tmp_path, f"--policy.path={folder}", "--policy.push_to_hub=false")
    has(message, "mis-shaped", "model.action_in_proj.weight", "(64, 32)", "(64, 16)", "do:")


def test_a_save_that_was_never_committed(tmp_path, capsys):
    checkpoint = write_jax_checkpoint(tmp_path / "1000")
    temporary = checkpoint.rename(tmp_path / "1000.orbax-checkpoint-tmp-7")
    output = tmp_path / "policy"
    message = failed(
        capsys,
        "checkpoint",
        "import-openpi",
        temporary,
        f"--output={output}",
        "--robot=r1_pro",
        *NETWORK,
        *CPU,
    )
    has(message, "never committed", "expected:", "earlier step")
    assert not list(tmp_path.glob("policy*"))
    assert main(["checkpoint", "inspect", str(temporary)]) == 1
    has(capsys.readouterr().out, "never committed")


@pytest.mark.slow
def test_statistics_without_a_state(tmp_path, capsys):
    """What a policy that sees no state leaves behind, imported as one that does."""
    checkpoint = write_jax_checkpoint(tmp_path / "1000")
    path = next(checkpoint.glob("assets/**/norm_stats.json"))
    stats = json.loads(path.read_text())
    del stats["norm_stats"]["state"]
    path.write_text(json.dumps(stats))
    output = f"--output={tmp_path / 'policy'}"
    message = failed(
        capsys, "checkpoint", "import-openpi", checkpoint, output, "--robot=r1_pro", *NETWORK, *CPU
    )
    has(message, path, "observation.state", "--policy.discrete_state_input=false", "--stats=dataset")
    assert not list(tmp_path.glob("policy*"))


@pytest.mark.slow
def test_a_pi0_tree_is_no_pi05(tmp_path, capsys):
    tree = {name: value for name, value in random_tree().items() if "time_mlp" not in name}
    checkpoint = write_jax_checkpoint(tmp_path / "1000", tree)
    message = failed(
        capsys,
        "checkpoint",
        "import-openpi",
        checkpoint,
        f"--output={tmp_path / 'policy'}",
        "--robot=r1_pro",
        *NETWORK,
        *CPU,
    )
    has(message, "time_mlp_in", "got:", "expected:", "do:")
    assert not list(tmp_path.glob("policy*"))


# Data.


def test_a_camera_that_the_data_lacks(toy_root, tmp_path):
    message = refused(toy_root, tmp_path, *COMET, '--policy.camera_order=["observation.images.head"]')
    has(
        message,
        "observation.images.head",
        "observation.images.image2",
        "--policy.camera_order",
        "--rename_map",
    )


def test_fine_tuning_on_data_without_a_camera_of_the_checkpoint(trained, tmp_path):
    root = write_toy_dataset(tmp_path / "one", lengths=(6,), cameras=("image",)).root
    message = refused(root, tmp_path, f"--policy.path={trained.policy()}", "--policy.push_to_hub=false")
    has(message, "observation.images.image2")


def test_a_prompt_that_does_not_fit_stops_before_the_first_step(toy_root, tmp_path):
    """The longest task and the longest state decide, not the first batch."""
    message = refused(toy_root, tmp_path, *COMET, "--policy.prompt_max_len=60")
    has(
        message,
        "never cut",
        "tokens for the task 'pick up the soup'",
        "at most prompt_max_len=60",
        "--policy.prompt_max_len=",
    )


def test_more_than_32_dims_need_consent(tmp_path):
    names = [f"joint_{i}.pos" for i in range(40)]
    root = write_toy_dataset(tmp_path / "wide", lengths=(6, 6), action_names=names).root
    message = refused(root, tmp_path, *COMET)
    has(message, "40 dims", "at most max_action_dim=32", "--policy.max_action_dim=40", "must be trained")
    widened = train(root, tmp_path / "run", *COMET, "--policy.max_action_dim=40", "--steps=1")
    assert len(widened.losses) == 1


@pytest.fixture
def demos(tmp_path) -> Path:
    return write_sample(tmp_path / "demos", frames=6)


def test_a_video_of_another_codec(demos, tmp_path, capsys):
    path = demos / f"videos/task-0000/observation.images.rgb.head/episode_{EPISODES[0]:08d}.mp4"
    write_video(path, colours(EPISODES[0], 6, 64, 0), codec="mpeg4", options={})
    message = failed(
        capsys, "convert", "behavior1k", demos, "--repo-id=local/x", f"--root={tmp_path / 'out'}"
    )
    has(
        message,
        "task-0000/episode_00000010",
        "observation.images.rgb.head",
        "mpeg4",
        "hevc",
        "encode it again",
    )
    assert not (tmp_path / "out").exists()


def test_missing_annotations_stop_before_the_work_begins(demos, tmp_path, capsys):
    (demos / f"annotations/task-0000/episode_{EPISODES[1]:08d}.json").unlink()
    options = ("--repo-id=local/x", f"--root={tmp_path / 'out'}", "--prompts=skill")
    message = failed(capsys, "convert", "behavior1k", demos, *options)
    has(message, "episode_00000030.json", "missing", "--on-error skip")
    assert not list(tmp_path.glob("out*"))


# Options.


def test_openpi_comets_spelling_of_a_control_mode(toy_root, tmp_path, capsys):
    said = refused_option(toy_root, tmp_path, capsys, *COMET, "--policy.control_mode=receeding_horizon")
    has(said, "unknown control_mode", "receeding_horizon", "receding_horizon or temporal_ensemble")
    has(said, "pass --policy.control_mode=receding_horizon")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--policy.action_expert_variant=dit_165m", ("unknown action_expert_variant", "gemma_300m or tiny")),
        ("--policy.ema_decay=1.5", ("ema_decay", "1.5", "in (0, 1)")),
        ("--policy.prompt_template=Do {task}", ("pi0.5's prompt is fixed", "Do {task}")),
        ("--policy.n_obs_steps=2", ("n_obs_steps=2", "n_obs_steps=1")),
    ],
)
def test_values_out_of_range(toy_root, tmp_path, capsys, option, words):
    has(refused_option(toy_root, tmp_path, capsys, *COMET, option), *words)


@pytest.mark.slow
def test_a_fresh_policy_has_no_statistics_to_inherit(toy_root, tmp_path):
    message = refused(toy_root, tmp_path, *COMET, "--policy.stats_source=checkpoint")
    has(message, "trained from scratch", "--policy.path=CHECKPOINT", "--policy.stats_source=dataset")
