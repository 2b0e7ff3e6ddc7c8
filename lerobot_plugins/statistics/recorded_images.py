"""Statistics of the colour cameras of a LeRobotDataset v3 on disk, from the pixels of every eighth picture.

C channels, V intensities.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from lerobot_plugins.conversion import images
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.images import SAMPLE_STRIDE, histogram, image_statistics
from lerobot_plugins.statistics.recorded import read_info, reading

_ROWS_AT_ONCE = 64


def camera_statistics(root: Path, *, progress: bool = True) -> Described:
    """Statistics of every colour camera; depth, whose units are the recorder's, is left out.

    Args:
        root: The dataset's folder.
        progress: Show a bar of the files.

    Raises:
        ZooError: A picture or video is missing or damaged.
    """
    features = read_info(root)["features"]
    cameras = {
        key: feature
        for key, feature in features.items()
        if feature.get("dtype") in ("image", "video") and not (feature.get("info") or {}).get("is_depth_map")
    }
    files = [(key, file) for key, feature in cameras.items() for file in _files(root, key, feature["dtype"])]
    counts = {key: np.zeros((3, 256), dtype=np.int64) for key in cameras}
    pictures = dict.fromkeys(cameras, 0)
    for key, file in tqdm(files, desc="pictures", unit="file", leave=False, disable=not progress):
        decoded = _of_video(file) if cameras[key]["dtype"] == "video" else _of_column(file, key)
        for image_HWC in decoded:
            counts[key] += histogram(image_HWC)
            pictures[key] += 1
    stats = {key: image_statistics(counts[key], pictures[key]) for key in cameras}
    return Described(stats, f"{root}, computed")


def _files(root: Path, key: str, dtype: str) -> list[Path]:
    folder, pattern = (root / "videos" / key, "*.mp4") if dtype == "video" else (root / "data", "*.parquet")
    files = sorted(folder.rglob(pattern))
    if not files:
        raise ZooError(
            f"the pictures of {key} are not there",
            got=f"no {pattern} in {folder}",
            expected="the files that LeRobot wrote",
            do="download the dataset whole, or leave --cameras out",
        )
    return files


def _of_video(path: Path) -> Iterator[np.ndarray]:
    try:
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % SAMPLE_STRIDE == 0:
                    yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, OSError) as error:
        raise ZooError(f"{path} cannot be decoded", got=error, do="download the video again") from error


def _of_column(path: Path, key: str) -> Iterator[np.ndarray]:
    number = 0
    with reading(path):
        for batch in pq.ParquetFile(path).iter_batches(_ROWS_AT_ONCE, columns=[key]):
            for row in batch.column(0):
                if number % SAMPLE_STRIDE == 0:
                    yield _decoded(row.as_py(), path, key)
                number += 1


def _decoded(stored: dict[str, Any] | None, path: Path, key: str) -> np.ndarray:
    encoded = (stored or {}).get("bytes")
    if not encoded:
        raise ZooError(
            f"{path.name} holds no picture of {key}",
            got=(stored or {}).get("path") or "nothing",
            expected="the bytes of a JPEG or PNG file",
            do="convert or download the dataset again",
        )
    return images.decode(encoded, (*images.size(encoded), 3))
