"""RLDS to LeRobotDataset v3, two cameras of 256x256 pixels: this project beside LeRobot's own writer.

Both get the same episodes in the same run: this project reads them from TFRecord shards, decodes, checks and
writes; LeRobot gets decoded arrays by `add_frame`, once by default (a PNG for each picture, then encoding)
and once with `streaming_encoding=True`. LeRobot's import is not timed. The floor of the video storage is
the encoder alone: CPU seconds of SVT-AV1 on decoded pictures, spread over the cores. The last line is JSON.

    python benchmarks/conversion.py [--frames 1500] [--jpeg-frames 9000] [--lerobot-frames 300] [--workers 2]
"""

import argparse
import importlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lerobot_dataset_rlds import PRESETS
from lerobot_dataset_rlds.mapping import load_mapping
from lerobot_dataset_rlds.source import RldsSource
from lerobot_dataset_rlds.writing import write_rlds
from lerobot_plugins.conversion import images, video
from lerobot_plugins.conversion.writer import write_dataset

SIZE = 256
EPISODE_FRAMES = 150
DIFFERENT_EPISODES = 4
SHAPE = (SIZE, SIZE, 3)
CAMERAS = {
    "observation/image": "observation.images.image",
    "observation/wrist_image": "observation.images.image2",
}


def main() -> None:
    """Generate episodes and time the writers on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1500, help="frames for this project's video storage")
    parser.add_argument("--jpeg-frames", type=int, default=9000, help="frames for its JPEG storage")
    parser.add_argument("--lerobot-frames", type=int, default=300, help="frames for LeRobot's writer")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="this project's workers")
    arguments = parser.parse_args()

    # Here, not at the top: worker processes import this file, and LeRobot takes them seconds.
    importlib.import_module("lerobot_plugins.conversion.assembly")
    lengths = {"video": arguments.frames, "jpeg": arguments.jpeg_frames}
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for storage, frames in lengths.items():
            source = _source(folder / f"rlds-{storage}", _episodes(frames))
            rates[f"this project, {storage}"] = frames / _seconds(
                lambda: write_dataset(source, folder / storage, images=storage, workers=arguments.workers)  # noqa: B023
            )
        few = _episodes(arguments.lerobot_frames)
        for label, options in {"default": {}, "streaming": {"streaming_encoding": True}}.items():
            decoded = [_decoded(episode) for episode in few]
            rates[f"LeRobot add_frame, {label}"] = arguments.lerobot_frames / _seconds(
                lambda: _write_with_lerobot(decoded, folder / label, options)  # noqa: B023
            )
        floor = _encoder_rate(_decoded(few[0]), folder) * (os.cpu_count() or 1)
    for label, rate in rates.items():
        print(f"{label:<30} {rate:8.1f} frames/s  {1000 / rate:8.2f} ms a frame")
    print(f"{'encoder alone (floor of video)':<30} {floor:8.1f} frames/s  {1000 / floor:8.2f} ms a frame")
    ratios = {
        f"{storage} / LeRobot {label}": rates[f"this project, {storage}"]
        / rates[f"LeRobot add_frame, {label}"]
        for storage in ("video", "jpeg")
        for label in ("default", "streaming")
    }
    for label, ratio in ratios.items():
        print(f"{label:<30} {ratio:8.1f} times as fast")
    print(f"{'video / floor':<30} {rates['this project, video'] / floor:8.0%}")
    report = {"benchmark": "conversion", "cores": os.cpu_count(), "workers": arguments.workers}
    report |= {"frames": lengths | {"lerobot": arguments.lerobot_frames}}
    print(json.dumps(report | {"frames_per_second": rates, "encoder_floor": floor, "ratios": ratios}))


def _episodes(frames: int) -> list[dict[str, Any]]:
    """Episodes of textured scenes in which something moves; a few different ones, again and again."""
    generator = np.random.default_rng(0)
    different = [_episode(generator, EPISODE_FRAMES) for _ in range(DIFFERENT_EPISODES)]
    lengths = [min(EPISODE_FRAMES, frames - start) for start in range(0, frames, EPISODE_FRAMES)]
    return [_beginning(different[i % DIFFERENT_EPISODES], length) for i, length in enumerate(lengths)]


def _beginning(episode: dict[str, Any], length: int) -> dict[str, Any]:
    return episode | {"steps": {path: values[:length] for path, values in episode["steps"].items()}}


def _episode(generator: np.random.Generator, length: int) -> dict[str, Any]:
    steps: dict[str, Any] = {
        "action": generator.standard_normal((length, 7)).astype(np.float32),
        "observation/state": generator.standard_normal((length, 8)).astype(np.float32),
        "language_instruction": ["put the block on the plate"] * length,
        "is_first": np.arange(length) == 0,
    }
    # A JPEG has about 25 kB, as in LIBERO.
    for path in CAMERAS:
        scene_HWC = _scene(generator)
        block_HWC = _scene(generator)[:48, :48]
        pictures = []
        for frame in range(length):
            picture_HWC = scene_HWC.copy()
            row, column = (frame * 1) % (SIZE - 48), (frame * 2) % (SIZE - 48)
            picture_HWC[row : row + 48, column : column + 48] = block_HWC
            buffer = io.BytesIO()
            Image.fromarray(picture_HWC).save(buffer, "JPEG", quality=95)
            pictures.append(buffer.getvalue())
        steps[path] = pictures
    return {"steps": steps, "episode_metadata": {"file_path": "generated"}}


def _scene(generator: np.random.Generator) -> np.ndarray:
    """Noise of several scales, uint8 (H, W, C)."""
    total_HWC = np.zeros(SHAPE)
    for cells, strength in ((4, 1.0), (16, 0.5), (64, 0.2), (256, 0.06)):
        noise = Image.fromarray(generator.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total_HWC += strength * np.asarray(noise.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return (total_HWC / 1.76).astype(np.uint8)


def _source(folder: Path, episodes: list[dict[str, Any]]) -> RldsSource:
    write_rlds(folder, "bench", episodes, shards=2)
    return RldsSource.open(folder, load_mapping(PRESETS / "libero.yaml"))


def _decoded(episode: dict[str, Any]) -> list[dict[str, Any]]:
    """An episode as LeRobot's writer wants it, frame by frame."""
    steps = episode["steps"]
    return [
        {
            "action": steps["action"][frame],
            "observation.state": steps["observation/state"][frame],
            "task": steps["language_instruction"][frame],
        }
        | {key: images.decode(steps[path][frame], SHAPE) for path, key in CAMERAS.items()}
        for frame in range(len(steps["action"]))
    ]


def _write_with_lerobot(episodes: list[list[dict[str, Any]]], root: Path, options: dict[str, Any]) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    features = {
        "observation.state": {"dtype": "float32", "shape": (8,), "names": None},
        "action": {"dtype": "float32", "shape": (7,), "names": None},
    } | {
        key: {"dtype": "video", "shape": SHAPE, "names": ["height", "width", "channels"]}
        for key in CAMERAS.values()
    }
    dataset = LeRobotDataset.create("bench/x", fps=20, features=features, root=root, **options)
    for episode in episodes:
        for frame in episode:
            dataset.add_frame(dict(frame))
        dataset.save_episode()
    dataset.finalize()


def _encoder_rate(frames: list[dict[str, Any]], folder: Path) -> float:
    """Frames (of both cameras) that one core encodes in a second."""
    start = time.process_time()
    for key in CAMERAS.values():
        video.encode((frame[key] for frame in frames), 20, SHAPE, folder / "floor.mp4")
    return len(frames) / (time.process_time() - start)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
