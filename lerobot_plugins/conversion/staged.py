"""Read staged episodes back.

T frames; D the shape of one frame's value; C channels; V the 256 intensities.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lerobot_plugins.conversion.episode import ARROW_FILE, TASK_COLUMN, histogram_key, video_file


class StagedEpisode:
    """One finished episode. Its columns are views of the mapped file, which stays mapped while they live.

    Args:
        folder: The folder that `stage_episode` wrote.
    """

    def __init__(self, folder: Path) -> None:
        with pa.memory_map(str(folder / ARROW_FILE)) as file:
            self.batch: pa.RecordBatch = pa.ipc.open_file(file).get_batch(0)
        self.length: int = self.batch.num_rows
        encoded = self.batch.column(TASK_COLUMN).dictionary_encode()
        # The different tasks in the order in which they come, and for each frame the number of its task.
        self.tasks: list[str] = encoded.dictionary.to_pylist()
        self.task_T: np.ndarray = encoded.indices.to_numpy()

    def column(self, key: str, feature: Mapping[str, Any]) -> np.ndarray:
        """A numeric column, (T, D)."""
        values = self.batch.column(key).flatten().to_numpy(zero_copy_only=False)
        return values.reshape(self.length, *feature["shape"])

    def histogram(self, camera: str) -> np.ndarray:
        """Counts (C, V) of a camera's sampled pictures."""
        metadata = self.batch.schema.metadata
        return np.frombuffer(metadata[histogram_key(camera)], dtype=np.int64).reshape(-1, 256)


def data_bytes(folder: Path) -> int:
    """Size of everything in a staged episode but its videos."""
    return (folder / ARROW_FILE).stat().st_size


def video_path(folder: Path, camera: str) -> Path:
    """A staged episode's video of one camera."""
    return folder / video_file(camera)
