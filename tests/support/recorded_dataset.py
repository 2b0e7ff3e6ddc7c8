"""Recordings in memory as LeRobotDatasets on disk, through the writer that all bridges share."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
from robot_recordings import Recording

from lerobot_plugins.contracts.layout import STATE
from lerobot_plugins.conversion.source import Episode, Frames
from lerobot_plugins.conversion.writer import write_dataset

SIZE = 64
DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"


class RecordingSource:
    """A source of episodes for the writer; every camera sees a square that moves with the state.

    Args:
        recording: The numbers.
        cameras: Short names of the cameras.
        picture: (camera, episode, frame) -> a picture in place of the usual one, or None.
    """

    def __init__(
        self,
        recording: Recording,
        cameras: tuple[str, ...] = ("top",),
        picture: Callable[[str, int, int], np.ndarray | None] | None = None,
    ) -> None:
        self._recording, self._picture = recording, picture
        self._cameras = [f"observation.images.{camera}" for camera in cameras]
        self.fps, self.robot_type = recording.fps, recording.robot_type

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        camera = {"dtype": "image", "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]}
        return {**{key: dict(camera) for key in self._cameras}, **self._recording.features}

    def __len__(self) -> int:
        return len(self._recording.episodes)

    def read(self, index: int) -> Episode:
        columns = self._recording.episodes[index]
        length = len(next(iter(columns.values())))
        task = self._recording.tasks[index % len(self._recording.tasks)]
        images = {key: Frames(self._pictures(key, index, length)) for key in self._cameras}
        return Episode(columns, images, [task] * length)

    def _pictures(self, key: str, index: int, length: int) -> list[bytes]:
        state_TD = next(
            values for name, values in self._recording.episodes[index].items() if name.startswith(STATE)
        )
        encoded = []
        for frame in range(length):
            picture = self._picture(key.rpartition(".")[2], index, frame) if self._picture else None
            picture = scene(state_TD[frame]) if picture is None else picture
            encoded.append(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=95))
        return encoded

    def locate(self, index: int) -> str:
        return f"episode {index}"

    def fingerprint(self) -> dict[str, Any]:
        return {"made": "up"}


def scene(state_D: np.ndarray) -> np.ndarray:
    """A wall with a gradient, and a square whose place follows the first two numbers of the state."""
    ramp = np.linspace(60, 200, SIZE)
    picture = np.stack(
        [np.add.outer(ramp, ramp) / 2, np.tile(ramp, (SIZE, 1)), np.tile(ramp[:, None], SIZE)], -1
    )
    y, x = ((np.clip(np.tanh(state_D[:2]), -0.9, 0.9) + 1) / 2 * (SIZE - 16)).astype(int)
    picture[y : y + 16, x : x + 16] = (220, 40, 40)
    return picture.astype(np.uint8)


def write_recording(
    recording: Recording,
    root: Path,
    cameras: tuple[str, ...] = ("top",),
    picture: Any = None,
    images: Any = "video",
) -> Path:
    """Write a recording to `root`, which must not exist."""
    write_dataset(RecordingSource(recording, cameras, picture), root, images=images)
    return root


def edit_info(root: Path, **changes: Any) -> None:
    """Change entries of info.json."""
    edit_json(root / "meta/info.json", lambda info: info.update(changes))


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_column(root: Path, file: str, column: str, change: Callable[[np.ndarray], Any]) -> None:
    """Change a column of plain numbers or strings of a parquet file."""
    table = pq.read_table(root / file)
    values = change(table[column].to_numpy(zero_copy_only=False).copy())
    kind = table.schema.field(column).type
    table = table.set_column(table.column_names.index(column), column, pa.array(values, kind))
    pq.write_table(table, root / file)
