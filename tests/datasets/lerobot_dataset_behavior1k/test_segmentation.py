"""Instance ids: from the colours of a video to what LeRobot reads."""

import json
from pathlib import Path

import numpy as np
import pytest
from behavior1k_samples import INSTANCES, instances, write_json, write_sample, write_segmentation, write_video
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.utils.feature_utils import dataset_to_policy_features
from torchvision.transforms.v2 import ColorJitter

from lerobot_dataset_behavior1k.options import Options
from lerobot_dataset_behavior1k.palettes import palette
from lerobot_dataset_behavior1k.segmentation import Decoder, read_ids, read_names
from lerobot_dataset_behavior1k.source import Behavior1kSource
from lerobot_dataset_behavior1k.videos import decode_segmentation
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_policy_pi05_comet.configuration_pi05_comet import PI05CometConfig

KEY = "observation.images.seg_instance_id.head"
EPISODES, LENGTHS, SIZE = (10, 30), (6, 7), 64


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("b1k") / "demos"
    return write_sample(root, EPISODES, frames=6, depth="yuv420p12le", segmentation=True)


def convert(sample: Path, root: Path, *arguments: str) -> int:
    options = ["--repo-id", "local/b1k", "--root", str(root), "--workers", "1", *arguments]
    return main(["convert", "behavior1k", str(sample), *options])


@pytest.fixture(scope="module")
def converted(sample: Path) -> Path:
    root = sample.parent / "converted"
    assert convert(sample, root, "--segmentation", "all", "--depth", "head") == 0
    return root


def test_lerobot_reads_the_ids_that_were_painted(converted: Path) -> None:
    jitter = ColorJitter(brightness=0.5)
    dataset = LeRobotDataset("local/b1k", root=converted, video_backend="pyav", image_transforms=jitter)
    expected = [ids for pair in zip(EPISODES, LENGTHS, strict=True) for ids in instances(*pair, SIZE)]
    assert len(dataset) == len(expected)
    for key in (KEY, KEY.replace("head", "left_wrist")):
        assert dataset.meta.features[key]["dtype"] == "image"
        assert dataset.meta.features[key]["shape"] == (SIZE, SIZE, 1)
        for frame, ids_HW in enumerate(expected):
            read = dataset[frame][key]
            assert read.shape == (1, SIZE, SIZE)
            np.testing.assert_array_equal(read[0].numpy(), ids_HW)
    assert dataset.meta.stats[KEY]["max"].item() == 65535
    assert dataset.meta.features["observation.images.rgb.head"]["dtype"] == "video"


def test_the_names_lie_beside(converted: Path) -> None:
    episodes = json.loads((converted / "meta/instances.json").read_text())
    assert len(episodes) == len(EPISODES)
    assert episodes[1]["300"] == "radio_89"
    assert episodes[1]["0"] == "background"
    assert set(map(int, episodes[0])) == set(INSTANCES) - {40001}


def test_a_policy_sees_colours_alone(converted: Path) -> None:
    meta = LeRobotDataset("local/b1k", root=converted).meta
    features = dataset_to_policy_features(meta.features)
    assert features[KEY].shape == (1, SIZE, SIZE)
    config = PI05CometConfig(
        input_features={key: feature for key, feature in features.items() if key != "action"},
        output_features={"action": features["action"]},
        device="cpu",
    )
    config.validate_features()
    cameras = [key for key in config.input_features if "images" in key]
    assert cameras == [f"observation.images.rgb.{name}" for name in ("head", "left_wrist", "right_wrist")]


def test_none_is_the_default_and_a_list_chooses(sample: Path) -> None:
    assert not [key for key in Behavior1kSource.open(sample, Options()).features if "seg" in key]
    source = Behavior1kSource.open(sample, Options(segmentation="head", size=16))
    assert [key for key in source.features if "seg" in key] == [KEY]
    shrunk = list(source.read(0).images[KEY].decode())
    assert shrunk[0].shape == (16, 16, 1)
    assert set(np.unique(shrunk)) <= set(INSTANCES)
    assert "meta/episodes/task-0000/episode_00000010.json" in source.files(0)


def test_a_dry_run_and_a_shard_know_them(
    sample: Path, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert convert(sample, tmp_path / "dry", "--dry-run", "--segmentation", "head") == 0
    assert f"{KEY}  64x64 pixels" in capsys.readouterr().out
    part = ("--segmentation", "head", "--shard", "1", "--num-shards", "2")
    assert convert(sample, tmp_path / "out", *part) == 0
    (note,) = tmp_path.glob("out*/meta/instances.json")
    assert json.loads(note.read_text()) == json.loads((converted / "meta/instances.json").read_text())[1:]


def test_a_merge_keeps_the_names_of_each_episode(
    sample: Path, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = ("--segmentation", "head")
    for number in ("0", "1"):
        assert convert(sample, tmp_path / "out", *options, "--shard", number, "--num-shards", "2") == 0
    shards = sorted(tmp_path.glob("out-*"))
    merge = ["merge", *map(str, shards), "--repeat", "1", "2", "--statistics-of", "all", "--output"]
    assert main([*merge, str(tmp_path / "merged")]) == 0
    first, second = json.loads((converted / "meta/instances.json").read_text())
    assert json.loads((tmp_path / "merged/meta/instances.json").read_text()) == [first, second, second]
    (shards[1] / "meta/instances.json").unlink()
    assert main([*merge, str(tmp_path / "nameless")]) == 2
    assert "does not say what the labels in its pictures are called" in capsys.readouterr().err
    assert not (tmp_path / "nameless").exists()


def test_noise_of_a_lossy_codec_is_taken_back(tmp_path: Path) -> None:
    recorded = list(instances(0, 3, SIZE))
    write_segmentation(tmp_path / "seg.mp4", recorded, "yuv444p")
    read = list(decode_segmentation(tmp_path / "seg.mp4", (SIZE, SIZE), (SIZE, SIZE), list(INSTANCES)))
    np.testing.assert_array_equal(np.stack(read)[..., 0], recorded)


def test_each_colour_is_the_nearest_of_the_palette() -> None:
    ids, generator = np.arange(1000, 1150), np.random.default_rng(0)
    places = generator.integers(0, 150, (32, 32))
    noise = generator.integers(-20, 21, (32, 32, 3))
    painted = np.clip(palette(150)[places] + noise, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(Decoder(ids.tolist()).ids(painted, 0), ids[places])


def test_a_foreign_colour_is_named(tmp_path: Path) -> None:
    pictures = np.full((3, SIZE, SIZE, 3), 16, np.uint8)
    pictures[2, 40:, 24:] = 255
    write_video(tmp_path / "seg.mp4", pictures, pixel_format="yuv444p")
    with pytest.raises(ZooError, match=r"frame 2: .* row \d+, column \d+") as refused:
        list(decode_segmentation(tmp_path / "seg.mp4", (SIZE, SIZE), (SIZE, SIZE), (3, 4)))
    assert "palette of 2 instances, of which (16, 16, 240)" in str(refused.value)


def test_what_is_missing_is_named(sample: Path, tmp_path: Path) -> None:
    info = json.loads((sample / "meta/info.json").read_text())
    kept = {key: entry for key, entry in info["features"].items() if "seg" not in key}
    bare = tmp_path / "bare"
    write_json(bare / "meta/info.json", info | {"features": kept})
    for name in ("tasks.jsonl", "episodes.jsonl"):
        (bare / "meta" / name).write_bytes((sample / "meta" / name).read_bytes())
    with pytest.raises(ZooError, match="no segmentation camera"):
        Behavior1kSource.open(bare, Options(segmentation="all"))
    with pytest.raises(ZooError, match="--segmentation tail names a camera"):
        Behavior1kSource.open(sample, Options(segmentation="tail"))
    without = write_sample(tmp_path / "without", (10,), frames=6)
    with pytest.raises(ZooError, match="are missing") as refused:
        Behavior1kSource.open(without, Options(segmentation="head"))
    assert "its description for --segmentation" in str(refused.value)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([1, 70000], "does not fit into 16 bits"), ([1, 1], "names an id twice"), ([], "is malformed")],
)
def test_ids_that_cannot_be(tmp_path: Path, ids: list[int], message: str) -> None:
    path = tmp_path / "task-0000" / "episode_00000010.json"
    write_json(path, {"robot_r1::robot_r1:zed_link:Camera:0::unique_ins_ids": ids, "ins_id_mapping": "[]"})
    with pytest.raises(ZooError, match=message):
        read_ids(path, "head")
    with pytest.raises(ZooError, match="'ins_id_mapping' is malformed"):
        read_names(path)
    with pytest.raises(ZooError, match=r"has no 'robot_r1::robot_r1:left_realsense_link"):
        read_ids(path, "left_wrist")
