"""A converted set as LeRobot reads it, beside its source."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from behavior1k_samples import EPISODES, TASKS, actions, depths, proprioception, write_sample
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image
from rlds_samples import tree

from lerobot_dataset_behavior1k.options import Options
from lerobot_dataset_behavior1k.source import Behavior1kSource
from lerobot_plugins.cli.main import main
from lerobot_plugins.contracts import r1pro

LENGTHS = (20, 21, 22)
CAMERAS = [f"observation.images.rgb.{camera}" for camera in ("head", "left_wrist", "right_wrist")]
DEPTH = [key.replace("rgb", "depth") for key in CAMERAS]


def convert(source: Path, root: Path, *arguments: str) -> int:
    options = ["--repo-id", "local/b1k", "--root", str(root), "--workers", "1", *arguments]
    return main(["convert", "behavior1k", str(source), *options])


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("b1k") / "demos", depth="yuv420p12le", head_size=96)


@pytest.fixture(scope="module")
def converted(sample: Path) -> Path:
    root = sample.parent / "converted"
    assert convert(sample, root, "--depth", "all", "--prompts", "skill") == 0
    return root


@pytest.fixture(scope="module")
def dataset(converted: Path) -> LeRobotDataset:
    return LeRobotDataset("local/b1k", root=converted, video_backend="pyav", depth_output_unit="m")


def test_lerobot_opens_it(dataset: LeRobotDataset) -> None:
    meta = dataset.meta
    assert (meta.total_episodes, meta.total_frames, meta.fps, meta.robot_type) == (3, 63, 30, "r1_pro")
    assert meta.features["action"]["names"] == r1pro.ACTION_NAMES
    assert meta.features["observation.state"]["names"] == r1pro.STATE_NAMES
    names = meta.features["observation.proprioception"]["names"]
    assert len(names) == 228
    assert not any("effort" in name for name in names)
    assert sorted(meta.camera_keys) == sorted(CAMERAS + DEPTH)
    assert sorted(meta.depth_keys) == sorted(DEPTH)
    assert meta.features[CAMERAS[0]]["shape"] == (96, 96, 3)
    assert not [key for key in meta.features if "seg" in key or "cam_rel" in key or "task_info" in key]


def test_the_numbers_are_the_sources(dataset: LeRobotDataset) -> None:
    table = dataset.hf_dataset.with_format("numpy")
    for number, (episode, length) in enumerate(zip(EPISODES, LENGTHS, strict=True)):
        rows = np.asarray(table["episode_index"]) == number
        recorded = proprioception(episode, length)
        np.testing.assert_array_equal(np.stack(table["action"])[rows], actions(episode, length))
        np.testing.assert_array_equal(
            np.stack(table["observation.state"])[rows], r1pro.state_from_proprioception(recorded)
        )
        np.testing.assert_array_equal(
            np.stack(table["observation.proprioception"])[rows],
            np.delete(recorded, np.s_[112:140], axis=1),
        )


def test_statistics_are_exact(dataset: LeRobotDataset) -> None:
    every = np.concatenate([actions(*pair) for pair in zip(EPISODES, LENGTHS, strict=True)]).astype(float)
    statistics = dataset.meta.stats["action"]
    for name, fraction in (("q01", 0.01), ("q50", 0.5), ("q99", 0.99)):
        np.testing.assert_allclose(statistics[name], np.quantile(every, fraction, axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics["std"], every.std(axis=0), rtol=1e-9)
    metres = dataset.meta.stats[DEPTH[0]]
    assert metres["min"].item() == pytest.approx(0.4, abs=2e-3)
    assert metres["max"].item() == pytest.approx(8.9, abs=0.1)


def test_the_loader_yields_every_frame(sample: Path, dataset: LeRobotDataset) -> None:
    loader = torch.utils.data.DataLoader(dataset, batch_size=21)
    batches = list(loader)
    assert sum(len(batch["index"]) for batch in batches) == 63
    source = Behavior1kSource.open(sample, Options(depth="all"))
    for key in (*CAMERAS, *DEPTH):
        loaded = torch.cat([batch[key] for batch in batches]).movedim(1, -1).numpy()
        recorded = np.concatenate([list(source.read(number).images[key].decode()) for number in range(3)])
        if key in DEPTH:
            half_step = (recorded + 3.5) * np.log(13.5 / 3.51) / 4095 / 2
            assert (abs(loaded - recorded) <= half_step * 1.01 + 1e-5).all()
            assert abs(loaded - recorded)[recorded < 2].max() < 1e-3
        else:
            assert abs(255 * loaded - recorded).mean() < 4


def test_depth_is_that_of_the_scene(dataset: LeRobotDataset) -> None:
    scene = next(iter(depths(EPISODES[0], 20, 96)))
    # Twelve bits of HEVC and then twelve bits of LeRobot.
    step = (scene + 3.5) * np.log(13.5 / 3.51) / 4095
    assert (abs(dataset[0][DEPTH[0]][0].numpy() - scene) <= 1.6 * step).all()


def test_each_frame_has_the_text_of_its_skill(dataset: LeRobotDataset) -> None:
    tasks = [dataset.meta.tasks.index[int(index)] for index in dataset.hf_dataset["task_index"]]
    assert tasks[:20] == [
        *[TASKS[0][1]] * 2,
        *["move to the radio"] * 5,
        *["pick up the radio from the coffee table koagbh"] * 6,
        *["press the radio"] * 7,
    ]
    assert TASKS[49][1] in tasks[41:]


def test_provenance_names_what_was_done_and_no_machine(converted: Path, sample: Path) -> None:
    text = (converted / "meta/provenance.json").read_text()
    provenance = json.loads(text)
    assert provenance["source"]["episodes"] == list(EPISODES)
    assert provenance["source"]["prompts"] == "skill"
    assert provenance["source"]["undescribed_frames"] == 6
    assert provenance["images"]["depth_encoder"]["pixel_format"] == "gray12le"
    assert str(sample) not in text


def test_an_interrupted_conversion_continues_to_the_same_bytes(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    arguments = ("--episodes", "10,30", "--depth", "head")
    assert convert(sample, tmp_path / "at_once", *arguments) == 0
    read, reads = Behavior1kSource.read, []

    def interrupted(self: Behavior1kSource, index: int) -> object:
        reads.append(index)
        if reads == [0, 1]:
            raise KeyboardInterrupt
        return read(self, index)

    monkeypatch.setattr(Behavior1kSource, "read", interrupted)
    assert convert(sample, tmp_path / "out", *arguments) == 130
    assert "1 of 2 episodes are finished" in capsys.readouterr().err
    assert convert(sample, tmp_path / "out", *arguments) == 0
    assert reads == [0, 1, 1]
    assert tree(tmp_path / "out") == tree(tmp_path / "at_once")


def test_two_workers_write_the_same_bytes(sample: Path, converted: Path, tmp_path: Path) -> None:
    arguments = ("--depth", "all", "--prompts", "skill", "--workers", "2")
    assert convert(sample, tmp_path / "out", *arguments) == 0
    assert tree(tmp_path / "out") == tree(converted)


def test_other_choices_are_another_conversion(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Behavior1kSource, index: int) -> object:
        if index:
            raise KeyboardInterrupt
        return read(self, index)

    read = Behavior1kSource.read
    monkeypatch.setattr(Behavior1kSource, "read", interrupted)
    assert convert(sample, tmp_path / "out") == 130
    monkeypatch.undo()
    assert convert(sample, tmp_path / "out", "--size", "64") == 2
    assert "another conversion" in capsys.readouterr().err


def test_pictures_shrink_as_pil_shrinks_them(sample: Path) -> None:
    key, small_key = CAMERAS[0], CAMERAS[1]
    full, shrunk = (Behavior1kSource.open(sample, Options(size=size)) for size in (None, 80))
    assert (shrunk.features[key]["shape"], shrunk.features[small_key]["shape"]) == ((80, 80, 3), (64, 64, 3))
    pictures = zip(full.read(0).images[key].decode(), shrunk.read(0).images[key].decode(), strict=True)
    for original, small in pictures:
        expected = Image.fromarray(original).resize((80, 80), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(small, expected)


def test_a_dry_run_writes_nothing(
    sample: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert convert(sample, tmp_path / "out", "--dry-run", "--depth", "head", "--prompts", "skill") == 0
    assert "6 of 63 frames lie in no annotated skill" in caplog.text
    shown = capsys.readouterr().out
    for line in (
        "episodes    3, of 20 to 22 frames",
        "tasks       5",
        "observation.images.depth.head  96x96 pixels",
        "    left_gripper.pos",
    ):
        assert line in shown
    assert list(tmp_path.iterdir()) == []
