"""The dataset that is written, read back by stock LeRobot."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image
from rlds_samples import encoded, episodes, libero_source, tree

from lerobot_plugins.conversion.layout import FileLimits
from lerobot_plugins.conversion.preview import preview
from lerobot_plugins.conversion.source import Episode, Frames
from lerobot_plugins.conversion.writer import write_dataset
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.exact import exact_statistics

LENGTHS = (5, 9, 3)
CAMERAS = {
    "observation.images.image": "observation/image",
    "observation.images.image2": "observation/wrist_image",
}


@dataclass
class MadeUp:
    """A source of columns of any kind; episodes are given as `Episode`s."""

    episodes: list[Episode]
    features: dict[str, Any]
    fps: int = 10
    robot_type: str = "arm"
    name: str = "made up"
    reads: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.episodes)

    def read(self, index: int) -> Episode:
        self.reads.append(index)
        return self.episodes[index]

    def locate(self, index: int) -> str:
        return f"recording {index}"

    def files(self, index: int) -> list[str]:
        return [f"{index}.rec"]

    def fingerprint(self) -> dict[str, Any]:
        return {"name": self.name}


def made_up(*states: np.ndarray, **changes: Any) -> MadeUp:
    """A source without cameras."""
    features = {"observation.state": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]}}
    found = [Episode({"observation.state": state}, {}, ["go"] * len(state)) for state in states]
    return MadeUp(found, features, **changes)


def state(frames: int, dimensions: int = 2) -> np.ndarray:
    return np.random.default_rng(frames).standard_normal((frames, dimensions)).astype(np.float32)


@pytest.fixture(scope="module", params=["video", "jpeg"])
def storage(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def written(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(storage)
    write_dataset(libero_source(folder / "rlds", LENGTHS), folder / "dataset", images=storage)
    assert sorted(path.name for path in folder.iterdir()) == ["dataset", "rlds"]
    return folder / "dataset"


def test_lerobot_reads_every_frame(written: Path, storage: str) -> None:
    dataset = LeRobotDataset("local/x", root=written, video_backend="pyav")
    assert (dataset.num_episodes, dataset.num_frames, dataset.fps) == (3, sum(LENGTHS), 20)
    index = 0
    for number, expected in enumerate(episodes(LENGTHS)):
        steps = expected["steps"]
        for frame in range(LENGTHS[number]):
            item = dataset[index]
            np.testing.assert_array_equal(item["action"], steps["action"][frame])
            np.testing.assert_array_equal(item["observation.state"], steps["observation/state"][frame])
            assert item["task"] == steps["language_instruction"][frame]
            assert (item["episode_index"], item["frame_index"], item["index"]) == (number, frame, index)
            assert item["timestamp"] == np.float32(frame / 20)
            for key, path in CAMERAS.items():
                seen = np.round(item[key].permute(1, 2, 0).numpy() * 255)
                difference = np.abs(seen - pixels(steps[path][frame]))
                assert difference.mean() < 8 if storage == "video" else not difference.any()
            index += 1


def test_chunks_of_actions_are_padded_at_the_episodes_end(written: Path) -> None:
    dataset = LeRobotDataset(
        "local/x", root=written, video_backend="pyav", delta_timestamps={"action": [0.0, 0.05, 0.1]}
    )
    assert dataset[4]["action_is_pad"].tolist() == [False, True, True]
    assert dataset[4]["action"].shape == (3, 7)


@pytest.fixture(scope="module")
def stock(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same frames, written by LeRobot's `add_frame`."""
    folder = tmp_path_factory.mktemp("stock")
    features = {
        key: dict(feature) for key, feature in libero_source(folder / "rlds", LENGTHS).features.items()
    }
    for key in CAMERAS:
        features[key]["dtype"] = "video" if storage == "video" else "image"
    dataset = LeRobotDataset.create(
        "local/x",
        fps=20,
        features=features,
        root=folder / "dataset",
        robot_type="franka",
        use_videos=storage == "video",
    )
    for expected in episodes(LENGTHS):
        steps = expected["steps"]
        for frame, task in enumerate(steps["language_instruction"]):
            item = {"action": steps["action"][frame], "observation.state": steps["observation/state"][frame]}
            item |= {key: pixels(steps[path][frame]) for key, path in CAMERAS.items()}
            dataset.add_frame(item | {"task": task})
        dataset.save_episode()
    dataset.finalize()
    return folder / "dataset"


def pixels(file: bytes) -> np.ndarray:
    """A picture as PIL decodes it."""
    return np.asarray(Image.open(io.BytesIO(file)))


def test_files_and_info_are_what_lerobot_writes(written: Path, stock: Path) -> None:
    ours, theirs = tree(written).keys(), tree(stock).keys()
    assert ours - theirs == {"meta/provenance.json", "meta/picture_histograms.json"}
    assert theirs <= ours
    info, stock_info = (json.loads((root / "meta/info.json").read_text()) for root in (written, stock))
    assert info == stock_info


def test_the_parquet_schema_is_what_lerobot_writes(written: Path, stock: Path) -> None:
    ours, theirs = (pq.read_schema(root / "data/chunk-000/file-000.parquet") for root in (written, stock))
    assert ours.equals(theirs)
    features, stock_features = (
        json.loads(schema.metadata[b"huggingface"])["info"] for schema in (ours, theirs)
    )
    assert features == stock_features


def test_rows_of_episodes_are_what_lerobot_writes(written: Path, stock: Path) -> None:
    path = "meta/episodes/chunk-000/file-000.parquet"
    rows, stock_rows = (pq.read_table(root / path).to_pylist() for root in (written, stock))
    for row, stock_row in zip(rows, stock_rows, strict=True):
        assert row.keys() == stock_row.keys()
        for key in row:
            if key.startswith("stats/"):
                assert np.shape(row[key]) == np.shape(stock_row[key]), key
            elif "timestamp" in key:
                assert row[key] == pytest.approx(stock_row[key], abs=1e-9), key
            else:
                assert row[key] == stock_row[key], key


def test_statistics_have_lerobots_form(written: Path, stock: Path) -> None:
    stats, stock_stats = (LeRobotDatasetMetadata("local/x", root=root).stats for root in (written, stock))
    assert stats.keys() == stock_stats.keys()
    for key, entries in stock_stats.items():
        shapes = {name: value.shape for name, value in stats[key].items()}
        assert shapes == {name: value.shape for name, value in entries.items()}
    for name in ("mean", "std", "min", "max"):
        np.testing.assert_allclose(stats["action"][name], stock_stats["action"][name], rtol=1e-4, atol=1e-6)


def test_statistics_are_exact_over_all_frames(written: Path) -> None:
    stats = LeRobotDatasetMetadata("local/x", root=written).stats
    actions = np.concatenate([episode["steps"]["action"] for episode in episodes(LENGTHS)])
    for name, value in exact_statistics(actions).items():
        np.testing.assert_array_equal(stats["action"][name], value)
    assert stats["index"]["max"].tolist() == [sum(LENGTHS) - 1]
    assert stats["observation.images.image"]["count"].tolist() == [1 + 2 + 1]


def test_each_episode_is_a_row_group(written: Path) -> None:
    file = pq.ParquetFile(written / "data/chunk-000/file-000.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == list(LENGTHS)


def test_jpegs_are_kept_untouched(tmp_path: Path) -> None:
    write_dataset(libero_source(tmp_path / "rlds", LENGTHS), tmp_path / "dataset", images="jpeg")
    table = pq.read_table(tmp_path / "dataset/data/chunk-000/file-000.parquet")
    for key, path in CAMERAS.items():
        kept = [row["bytes"] for row in table.column(key).to_pylist()]
        assert kept == [file for episode in episodes(LENGTHS) for file in episode["steps"][path]]


@pytest.mark.parametrize(("images", "kind"), [("jpeg", "data"), ("video", "videos/observation.images.top")])
def test_files_stay_within_their_limits(tmp_path: Path, images: Any, kind: str) -> None:
    generator = np.random.default_rng(0)
    # Noise, so that few pictures fill a megabyte.
    noise = [
        [Image.fromarray(generator.integers(0, 256, (256, 256, 3), dtype=np.uint8)) for _ in range(20)]
        for _ in range(4)
    ]
    found = [
        Episode({}, {"observation.images.top": Frames([jpeg(i) for i in pictures])}, ["go"] * 20)
        for pictures in noise
    ]
    source = MadeUp(found, camera(256))
    limits = FileLimits(data_mb=1, video_mb=1, files_per_chunk=1)
    write_dataset(source, tmp_path / "dataset", images=images, limits=limits)
    files = sorted((tmp_path / "dataset" / kind).rglob("file-*"))
    assert len(files) > 1
    assert len({file.parent for file in files}) == len(files)
    dataset = LeRobotDataset("local/x", root=tmp_path / "dataset", video_backend="pyav")
    for index in (0, 19, 20, 59, 60, 79):
        original = np.asarray(noise[index // 20][index % 20])
        seen = dataset[index]["observation.images.top"].permute(1, 2, 0).numpy() * 255
        other = np.asarray(noise[(index + 7) // 20 % 4][(index + 7) % 20])
        assert np.abs(seen - original).mean() < 0.7 * np.abs(seen - other).mean()


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def camera(size: int) -> dict[str, Any]:
    """The features of a source with one camera and nothing else."""
    shape = (size, size, 3)
    return {
        "observation.images.top": {"dtype": "image", "shape": shape, "names": ["height", "width", "channels"]}
    }


def test_turned_pictures_are_turned_back_in_videos_only(tmp_path: Path) -> None:
    files = [encoded(i) for i in range(4)]
    frames = Frames(files, turned=True)
    source = MadeUp([Episode({}, {"observation.images.top": frames}, ["go"] * 4)], camera(64))
    write_dataset(source, tmp_path / "dataset")
    dataset = LeRobotDataset("local/x", root=tmp_path / "dataset", video_backend="pyav")
    original = torch.from_numpy(pixels(files[2]).copy()).permute(2, 0, 1) / 255
    seen = dataset[2]["observation.images.top"]
    assert (seen - original.flip(1, 2)).abs().mean() < 0.03 < (seen - original).abs().mean()
    with pytest.raises(ZooError, match=r"must be rotated[^$]*--images video"):
        write_dataset(source, tmp_path / "other", images="jpeg")


def test_columns_of_every_kind_are_read_back(tmp_path: Path) -> None:
    frames = 4
    columns = {
        "action": np.arange(frames * 2, dtype=np.int64).reshape(frames, 2),
        "observation.matrix": np.arange(frames * 6, dtype=np.float32).reshape(frames, 2, 3),
        "next.done": np.array([[False], [False], [False], [True]]),
        "byte": np.arange(frames, dtype=np.uint8)[:, None],
    }
    features = {
        key: {"dtype": values.dtype.name, "shape": values.shape[1:], "names": None}
        for key, values in columns.items()
    }
    write_dataset(MadeUp([Episode(columns, {}, ["a", "b", "a", "c"])], features), tmp_path / "dataset")
    dataset = LeRobotDataset("local/x", root=tmp_path / "dataset")
    for frame in range(frames):
        item = dataset[frame]
        for key, values in columns.items():
            np.testing.assert_array_equal(
                item[key], values[frame].squeeze(0) if values.shape[1:] == (1,) else values[frame]
            )
    assert [dataset[frame]["task"] for frame in range(frames)] == ["a", "b", "a", "c"]


def test_provenance_says_where_from_and_nothing_of_this_machine(written: Path, storage: str) -> None:
    text = (written / "meta/provenance.json").read_text()
    provenance = json.loads(text)
    assert provenance["source"]["shards"][0]["name"] == "sample-train.tfrecord-00000-of-00002"
    assert provenance["images"]["storage"] == storage
    assert provenance["skipped"] == []
    assert str(written.parent) not in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.array([[0, 0], [0, np.nan]], np.float32),
            r"observation.state, dimension y, is not finite in frame 1",
        ),
        (np.array([[np.inf, 0]], np.float32), "dimension x, is not finite in frame 0"),
        (np.zeros((3, 5), np.float32), r"observation.state has other dimensions[^$]*\(3, 5\)[^$]*'x', 'y'"),
        (np.zeros((3, 2)), "another dtype"),
        (np.zeros((0, 2), np.float32), "has no frames"),
    ],
)
def test_bad_episodes_are_named_or_skipped(tmp_path: Path, values: np.ndarray, message: str) -> None:
    source = made_up(state(3), values, state(4))
    with pytest.raises(ZooError, match=message) as error:
        write_dataset(source, tmp_path / "dataset")
    assert "episode 1 (recording 1)" in str(error.value)
    assert not (tmp_path / "dataset").exists()
    made = write_dataset(source, tmp_path / "dataset", on_error="skip")
    assert (made.episodes, made.frames, list(made.skipped)) == (2, 7, [1])
    assert source.reads.count(0) == 1
    dataset = LeRobotDataset("local/x", root=made.root)
    np.testing.assert_array_equal(dataset[3]["observation.state"], state(4)[0])
    assert dataset[3]["episode_index"] == 1
    provenance = json.loads((made.root / "meta/provenance.json").read_text())
    assert [(entry["episode"], entry["location"]) for entry in provenance["skipped"]] == [(1, "recording 1")]


@pytest.mark.parametrize("images", ["video", "jpeg"])
def test_a_corrupt_picture_is_located(tmp_path: Path, images: Any) -> None:
    source = libero_source(tmp_path / "rlds", LENGTHS)
    good = source.read(1)
    files = list(good.images["observation.images.image2"].encoded)
    files[6] = files[6][: len(files[6]) // 2]
    bad = Episode(good.columns, {**good.images, "observation.images.image2": Frames(files)}, good.tasks)
    broken = MadeUp([source.read(0), bad], dict(source.features))
    with pytest.raises(ZooError, match=r"observation.images.image2, frame 6: the JPEG picture is damaged"):
        write_dataset(broken, tmp_path / "dataset", images=images)
    # Frame 6 is none of the sampled ones.
    with pytest.raises(ZooError, match=r"observation.images.image2, frame 6: the JPEG picture is damaged"):
        preview(broken, images=images, on_error="stop")


def test_an_empty_task_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = made_up(state(3), state(4))
    source.episodes[1] = Episode(source.episodes[1].columns, {}, ["go", "go", " ", "go"])
    write_dataset(source, tmp_path / "dataset")
    assert "1 of 2 episodes have frames whose task is an empty text" in caplog.text


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="no episodes"):
        write_dataset(made_up(), tmp_path / "dataset")
    with pytest.raises(ZooError, match="every episode is damaged"):
        write_dataset(made_up(np.zeros((0, 2), np.float32)), tmp_path / "dataset", on_error="skip")
    assert list(tmp_path.iterdir()) == []
