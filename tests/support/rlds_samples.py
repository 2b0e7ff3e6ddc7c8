"""Small RLDS data sets, and what tests ask of the datasets made from them."""

import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from lerobot_dataset_rlds import PRESETS
from lerobot_dataset_rlds.mapping import load_mapping
from lerobot_dataset_rlds.source import RldsSource
from lerobot_dataset_rlds.writing import write_rlds

SIZE = 64
SHARED_RLDS = Path(__file__).resolve().parents[3] / "shared" / "data" / "rlds"


def picture(seed: int, size: int = SIZE) -> np.ndarray:
    """A smooth colourful picture, uint8 (H, W, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def encoded(seed: int, kind: str = "JPEG", size: int = SIZE, **options: Any) -> bytes:
    """That picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray(picture(seed, size)).save(buffer, kind, **options)
    return buffer.getvalue()


def episode(number: int, frames: int, kind: str = "JPEG") -> dict[str, Any]:
    """An episode in LIBERO's form; the fields tell the episode and the frame they belong to."""
    generator = np.random.default_rng(number)
    return {
        "steps": {
            "action": generator.standard_normal((frames, 7)).astype(np.float32),
            "observation/state": generator.standard_normal((frames, 8)).astype(np.float32),
            "observation/image": [encoded(1000 * number + frame, kind) for frame in range(frames)],
            "observation/wrist_image": [
                encoded(1000 * number + frame + 500, kind) for frame in range(frames)
            ],
            "language_instruction": [f"task {number % 2}"] * frames,
            "is_first": np.arange(frames) == 0,
            "reward": np.arange(frames, dtype=np.float32),
        },
        "episode_metadata": {"file_path": f"recorded/{number}.hdf5", "episode_id": np.int32(number)},
    }


def episodes(lengths: tuple[int, ...] = (5, 9, 3), kind: str = "JPEG") -> list[dict[str, Any]]:
    """Episodes of these lengths."""
    return [episode(number, frames, kind) for number, frames in enumerate(lengths)]


def libero_source(
    root: Path, lengths: tuple[int, ...] = (5, 9, 3), shards: int = 2, **options: Any
) -> RldsSource:
    """A data set in LIBERO's form, opened with the preset."""
    write_rlds(root, "sample", episodes(lengths), shards=shards)
    return RldsSource.open(root, load_mapping(PRESETS / "libero.yaml"), **options)


def damage(path: Path, position: int, content: bytes) -> None:
    """Overwrite some bytes of a file."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)


def tree(root: Path) -> dict[str, str]:
    """The SHA-256 of every file of a folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def start(work: Callable[[], object]) -> int:
    """Run something in a process group of its own; the id of both."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        # The lock that tqdm shares between processes would stay taken for ever if this one is killed with it.
        tqdm.set_lock(threading.RLock())
        try:
            work()
        finally:
            os._exit(0)
    # Here too: whoever comes first makes the group, so that there is one to kill from now on.
    os.setpgid(child, child)
    return child


def run_and_kill(work: Callable[[], object], seconds: float) -> bool:
    """Run something in a process group of its own and kill the group after some seconds.

    Returns:
        Whether it had finished before.
    """
    child = start(work)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def modification_times(folder: Path) -> Mapping[str, int]:
    """When each entry of a folder was written; nothing if there is no such folder."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} if folder.exists() else {}


@dataclass
class FatalSource:
    """A source whose second episode kills the process that reads it."""

    inner: RldsSource

    def __getattr__(self, name: str) -> Any:
        # Not through `self.inner`, which does not exist yet while the source is unpickled.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __len__(self) -> int:
        return len(self.inner)

    def read(self, index: int) -> Any:
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner.read(index)
