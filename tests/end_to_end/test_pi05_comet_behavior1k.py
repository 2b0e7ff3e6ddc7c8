"""BEHAVIOR-1K from recorded demonstrations to scores of the robot's parts, with the stock commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from behavior1k_samples import actions, proprioception, write_sample
from comet import COMET, CPU, NETWORK, normalizer_of
from evaluating import lerobot_eval_here
from lerobot.configs import PreTrainedConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from omnigibson_client import CAMERA_KEYS, simulated
from openpi_checkpoints import ASSET_ID, write_jax_checkpoint
from training import Run, train

from lerobot_plugins.checkpoints.openpi_assets import read_assets
from lerobot_plugins.cli.main import main
from lerobot_plugins.contracts import r1pro
from lerobot_plugins.processing import runtime
from lerobot_plugins.serving.presets import observation_map
from lerobot_plugins.serving.session import load_session
from lerobot_plugins.statistics.exact import exact_statistics
from lerobot_plugins.statistics.hashing import statistics_hash

CAMERAS = [f"observation.images.rgb.{name}" for name in ("head", "left_wrist", "right_wrist")]
DATASET = ("--dataset.repo_id=local/b1k", "--dataset.video_backend=pyav", "--batch_size=2", "--steps=2")
PARTS = {"base": 3, "torso": 4, "left arm": 7, "right arm": 7, "grippers": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three converted demonstrations, the head's depth included."""
    folder = tmp_path_factory.mktemp("b1k")
    demos = write_sample(folder / "demos", frames=16, depth="yuv420p12le")
    options = ("--repo-id=local/b1k", f"--root={folder / 'converted'}", "--depth=head", "--prompts=skill")
    assert main(["convert", "behavior1k", str(demos), *options]) == 0
    return folder / "converted"


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(root, tmp_path_factory.mktemp("trained") / "run", *COMET, *DATASET)


def test_a_trained_policy_is_served_to_the_simulator(trained):
    session = load_session(
        str(trained.policy()),
        ["--device=cpu"],
        lambda config: observation_map(config, {}, tasks={0: "turn on the radio"}, preset="behavior1k"),
    )
    sent = simulated(0)
    action = session.spawn().action(sent)
    assert action.shape == (23,)
    state = r1pro.state_from_proprioception(sent["robot_r1::proprio"])
    pictures = {
        f"observation/rgb/{name}": sent[CAMERA_KEYS[name]] for name in ("head", "left_wrist", "right_wrist")
    }
    plain = load_session(
        str(trained.policy()),
        ["--device=cpu"],
        lambda config: observation_map(config, {}, "turn on the radio"),
    )
    np.testing.assert_array_equal(action, plain.spawn().action(pictures | {"observation/state": state}))


def test_a_skill_is_repeated_with_its_depth(root, tmp_path):
    whole = LeRobotDataset("local/b1k", root=root, video_backend="pyav")
    phrase = next(task for task in whole.meta.tasks.index if task.startswith("pick up"))
    command = ["merge", str(root), "--repeat-task", f"{phrase}=2", "--output", str(tmp_path / "mixed")]
    assert main(command) == 0
    mixed = LeRobotDataset("local/b1k", root=tmp_path / "mixed", video_backend="pyav")
    origins = json.loads((tmp_path / "mixed/meta/provenance.json").read_text())["mixture"]["episodes"]
    assert len(origins) > 3
    first = whole.meta.episodes["dataset_from_index"]
    index = len(whole)
    for _, number, start, length in origins[3:]:
        assert 0 < length < 16
        for frame in range(length):
            one, other = mixed[index], whole[first[number] + start + frame]
            assert one["task"] == other["task"]
            for key in (*CAMERAS, "observation.state", "action"):
                assert (one[key] == other[key]).all(), (number, frame, key)
            # Encoded again; x265's lossless mode misses a pixel now and then.
            depth = "observation.images.depth.head"
            assert (one[depth] == other[depth]).float().mean() > 0.98
            index += 1
    assert index == len(mixed)


def evaluate(policy: Path, root: Path, folder: Path, *options: str) -> dict:
    return lerobot_eval_here(policy, root, folder, "--env.repo_id=local/b1k", *options)


def test_colour_cameras_state_and_names_are_what_it_is_trained_on(trained):
    config = PreTrainedConfig.from_pretrained(trained.policy())
    assert config.camera_order == CAMERAS
    assert sorted(config.input_features) == sorted([*CAMERAS, "observation.state"])
    assert config.action_feature_names == r1pro.ACTION_NAMES
    assert config.averaged_around == [14, 22]


def test_the_report_tells_the_parts_of_the_robot_apart(trained, root, tmp_path):
    metrics = evaluate(trained.policy(), root, tmp_path, "--env.episodes=[0,2]", "--eval.n_episodes=2")
    assert metrics["complete"]
    assert metrics["dataset"]["action_names"] == r1pro.ACTION_NAMES
    for block in ("executed", "chunk"):
        groups = {entry["group"]: entry for entry in metrics[block]["per_group"]}
        assert {name: len(entry["dims"]) for name, entry in groups.items()} == PARTS
        assert all(np.isfinite(entry["raw"]["mae"]) for entry in groups.values())


VLM2 = (
    *(*COMET, *DATASET, "--policy.type=pi05_comet_vlm2", "--policy.geometry_encoder=depth"),
    *("--policy.geometry_dim=16", "--policy.view_dim=8", "--policy.memory_hidden=32"),
    *("--policy.memory_frames=3", "--policy.n_action_steps=4"),
)


@pytest.mark.slow
def test_its_depth_reaches_vlm2_with_known_intrinsics_and_history(root, tmp_path):
    run = train(root, tmp_path / "run", *VLM2)
    config = PreTrainedConfig.from_pretrained(run.policy())
    assert config.depth_features == {CAMERAS[0]: "observation.images.depth.head"}
    assert config.camera_intrinsics == {CAMERAS[0]: r1pro.INTRINSICS[CAMERAS[0]]}
    assert "a sample decodes at least 12 pictures instead of 4" in run.log
    two = ("--env.episodes=[0,2]", "--eval.n_episodes=2", "--eval.batch_size=2")
    assert evaluate(run.policy(), root, tmp_path / "eval", *two)["complete"]


def write_recorded(root: Path) -> LeRobotDataset:
    """Frames whose state is all 256 recorded numbers, as a plain copy of the demonstrations has them."""
    vectors = {
        "observation.state": {"dtype": "float32", "shape": (256,), "names": None},
        "action": {"dtype": "float32", "shape": (23,), "names": None},
    }
    image = {"dtype": "image", "shape": (64, 64, 3), "names": ["height", "width", "channels"]}
    dataset = LeRobotDataset.create(
        "local/b1k", fps=30, features={CAMERAS[0]: image, **vectors}, root=root, use_videos=False
    )
    rng = np.random.default_rng(0)
    for episode in (10, 20):
        for state, action in zip(proprioception(episode, 8), actions(episode, 8), strict=True):
            frame = {"observation.state": state, "action": action, "task": "turn on the radio"}
            dataset.add_frame(frame | {CAMERAS[0]: rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)})
        dataset.save_episode()
    dataset.finalize()
    return dataset


def test_recorded_proprioception_trains_as_the_23_numbers_it_holds(tmp_path):
    dataset = write_recorded(tmp_path / "recorded")
    run = train(dataset.root, tmp_path / "run", *COMET, *DATASET)
    frames = np.concatenate([proprioception(episode, 8) for episode in (10, 20)])
    expected = exact_statistics(r1pro.state_from_proprioception(frames))
    stored = normalizer_of(run.policy()).stats["observation.state"]
    np.testing.assert_allclose(stored["q99"], expected["q99"], rtol=1e-6)
    metrics = evaluate(run.policy(), dataset.root, tmp_path)
    assert metrics["complete"]
    # Nobody named the dimensions: no part is guessed.
    assert metrics["executed"]["per_group"] is None


# From an openpi checkpoint.


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JAX checkpoint of openpi as a policy folder, with R1 Pro's features."""
    folder = tmp_path_factory.mktemp("openpi")
    checkpoint = write_jax_checkpoint(folder / "30000")
    arguments = [str(checkpoint), f"--output={folder / 'policy'}", "--robot=r1_pro", *NETWORK, *CPU]
    assert main(["checkpoint", "import-openpi", *arguments]) == 0
    runtime.bind(None, None)
    return folder / "policy"


@pytest.mark.parametrize("source", ["checkpoint", pytest.param("dataset", marks=pytest.mark.slow)])
def test_an_imported_checkpoint_is_fine_tuned_and_scored(imported, trained, root, tmp_path, source):
    arguments = (f"--policy.path={imported}", f"--policy.stats_source={source}", "--policy.push_to_hub=false")
    run = train(root, tmp_path / "run", *arguments, *DATASET)
    inherited, own = (normalizer_of(policy).stats_hash for policy in (imported, trained.policy()))
    assert inherited != own
    assert normalizer_of(run.policy()).stats_hash == (inherited if source == "checkpoint" else own)
    metrics = evaluate(run.policy(), root, tmp_path)
    assert [entry["group"] for entry in metrics["executed"]["per_group"]] == list(PARTS)


@pytest.mark.slow
def test_an_imported_checkpoint_acts_in_its_own_units_untrained(imported, root, tmp_path):
    metrics = evaluate(imported, root, tmp_path)
    assert metrics["complete"]
    _, stats = read_assets(
        imported.parent / "30000/assets", {"action": 23, "observation.state": 23}, ASSET_ID
    )
    assert normalizer_of(imported).stats_hash == statistics_hash(stats)
