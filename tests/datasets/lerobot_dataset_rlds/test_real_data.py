"""Recorded and simulated sets: every converted field equals the values that TensorFlow read."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image
from rlds_samples import SHARED_RLDS

from lerobot_dataset_rlds import PRESETS
from lerobot_dataset_rlds.example import parse_example
from lerobot_dataset_rlds.features import count_steps, read_numbers, read_texts
from lerobot_dataset_rlds.mapping import load_mapping
from lerobot_dataset_rlds.source import RldsSource
from lerobot_plugins.conversion.images import decode
from lerobot_plugins.conversion.preview import preview
from lerobot_plugins.conversion.writer import write_dataset

# folder, golden values, preset, splits
SETS = {
    "bridge": ("octo_bridge", "octo_bridge_golden.npz", "bridge", "train+val"),
    "libero": ("libero_scripted", "libero_scripted_golden.npz", "libero", "train"),
}

pytestmark = pytest.mark.skipif(not SHARED_RLDS.exists(), reason=f"{SHARED_RLDS} is not here")


@pytest.fixture(scope="module", params=SETS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def source(name: str) -> RldsSource:
    folder, _, preset, split = SETS[name]
    return RldsSource.open(SHARED_RLDS / folder, load_mapping(PRESETS / f"{preset}.yaml"), split)


@pytest.fixture(scope="module")
def golden(name: str) -> dict[str, dict[str, np.ndarray]]:
    """`{train/0: {action: values, ...}}` of the episodes that the file holds, at most 12 a split."""
    episodes: dict[str, dict[str, np.ndarray]] = {}
    with np.load(SHARED_RLDS / SETS[name][0] / SETS[name][1], allow_pickle=False) as values:
        for key in values.files:
            split, number, path = key.split("/", 2)
            episodes.setdefault(f"{split}/{number}", {})[path] = values[key]
    return episodes


def episode_index(source: RldsSource, place: str) -> int:
    """The number in the converted dataset of an episode of a split."""
    split, number = place.split("/")
    names = source.split.split("+")
    before = [sum(source.folder.splits[other].lengths) for other in names[: names.index(split)]]
    return sum(before) + int(number)


def test_every_numeric_and_text_field_is_read_exactly(source: RldsSource, golden: dict) -> None:
    for place, fields in golden.items():
        index = episode_index(source, place)
        shard = source.shards[0 if len(source.shards) == 1 else index // 25]
        columns = parse_example(shard.read(int(place.split("/")[1])))
        steps = count_steps(source.fields, columns)
        compared = 0
        for path, expected in fields.items():
            field = source.fields.get(path)
            if "#" in path or field is None:
                continue
            read = read_texts if field.kind == "text" else read_numbers
            values: Any = read(field, columns, steps)
            if not field.is_per_step:
                values = values[0]
            np.testing.assert_array_equal(values, expected, err_msg=f"{place}/{path}")
            compared += 1
        assert compared >= 8


def test_converted_fields_and_pictures_are_exact(source: RldsSource, golden: dict, tmp_path: Path) -> None:
    made = write_dataset(source, tmp_path / "dataset", images="jpeg")
    assert made.episodes == len(source)
    dataset = LeRobotDataset("local/x", root=made.root)
    table = pq.read_table(made.root / "data")
    for place, fields in golden.items():
        row = dataset.meta.episodes[episode_index(source, place)]
        frames = slice(row["dataset_from_index"], row["dataset_to_index"])
        chosen = table.slice(frames.start, frames.stop - frames.start)
        for key, camera in source.mapping.images.items():
            kept = [picture["bytes"] for picture in chosen.column(key).to_pylist()]
            hashes = [hashlib.sha256(picture).hexdigest() for picture in kept]
            assert hashes == fields[f"{camera.path}#jpeg_sha256"].tolist()
            for picture, expected in zip(kept, fields[f"{camera.path}#accurate_sha256"], strict=True):
                pixels = decode(picture, source.features[key]["shape"])
                assert hashlib.sha256(pixels.tobytes()).hexdigest() == expected
        for key, column in source.mapping.columns.items():
            values = np.array(chosen.column(key).to_pylist(), dtype=np.float32)
            np.testing.assert_array_equal(values, fields[column.parts[0].path])
        tasks = [dataset.meta.tasks.iloc[i].name for i in chosen.column("task_index").to_pylist()]
        assert tasks == fields["language_instruction"].tolist()
    camera = next(iter(source.mapping.images))
    original = np.asarray(Image.open(io.BytesIO(table.column(camera)[0].as_py()["bytes"])))
    seen = dataset[0][camera].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.round(seen * 255), original)


def test_the_black_camera_of_bridge_is_pointed_out(name: str, source: RldsSource) -> None:
    text = preview(source, images="jpeg", on_error="stop").text
    blank = [line.split()[0] for line in text.splitlines() if "BLANK" in line]
    assert blank == (["observation.images.image_3"] if name == "bridge" else [])


@pytest.mark.slow
@pytest.mark.cli
@pytest.mark.parametrize("images", ["video", "jpeg"])
def test_lerobot_train_runs_on_both_storages(source: RldsSource, images: Any, tmp_path: Path) -> None:
    write_dataset(source, tmp_path / "dataset", images=images)
    command = [
        str(Path(sys.executable).with_name("lerobot-train")),
        f"--dataset.root={tmp_path / 'dataset'}",
        f"--output_dir={tmp_path / 'out'}",
        "--dataset.repo_id=local/x",
        "--dataset.video_backend=pyav",
        "--policy.type=act",
        "--policy.pretrained_backbone_weights=null",
        "--policy.device=cpu",
        "--policy.push_to_hub=false",
        "--policy.dim_model=64",
        "--policy.n_heads=2",
        "--batch_size=2",
        "--steps=2",
        "--log_freq=1",
        "--num_workers=0",
    ]
    trained = subprocess.run(command, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr[-3000:]
    assert (tmp_path / "out/checkpoints/000002/pretrained_model/model.safetensors").is_file()
