"""Write the recorded demonstrations as an RLDS set and as a LeRobotDataset v3, both small enough to commit.

Runs in the project's environment, after `make_demonstrations.py`:

    .venv/bin/python examples/sample_data/write_sets.py

Both sets hold the same episodes in the same order: the first of every task, then the second of every
task, and so on. So the last episodes hold one of every task, and serve as the held-out ones.

- `rlds/libero_sample/1.0.0`: the features of the public `openvla/modified_libero_rlds`, JPEG pictures.
- `lerobot/libero_sample`: written by stock LeRobot alone, AV1 video, names as its LIBERO environment has.

No frame is dropped: the time between two rows is always 1/20 s, and replaying the actions solves the task.
"""

import argparse
import io
import itertools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lerobot.configs.video import RGBEncoderConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image

from lerobot_dataset_rlds.writing import write_rlds
from lerobot_plugins.errors import ZooError

FOLDER = Path(__file__).resolve().parent
RECORDINGS = FOLDER.parents[1] / ".cache" / "sample_data"
NAME = "libero_sample"
DESCRIPTION = "A scripted expert picks and places in the LIBERO simulator (libero_object), 20 Hz."
FPS = 20
SHARDS = 2
JPEG_QUALITY = 75
# LeRobot's default but for one key frame a second instead of ten, which halves the files.
VIDEO = RGBEncoderConfig(g=FPS)

# The names that the RLDS bridge's preset `libero` gives.
STATE_NAMES = ["x", "y", "z", "rx", "ry", "rz", "gripper_left", "gripper_right"]
ACTION_NAMES = ["dx", "dy", "dz", "drx", "dry", "drz", "gripper"]
# LeRobot's name of a camera -> the name in the recordings and in RLDS
CAMERAS = {"observation.images.image": "image", "observation.images.image2": "wrist_image"}

Episode = dict[str, np.ndarray]


def in_order(folder: Path) -> list[Path]:
    """The recordings of a folder, the first of every task before the second of any.

    Raises:
        ZooError: There are none.
    """
    tasks: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*_init[0-9][0-9].npz")):
        tasks.setdefault(re.sub(r"_init\d\d$", "", file.stem), []).append(file)
    if not tasks:
        raise ZooError(
            f"no recordings in {folder}",
            do=".venv-libero/bin/python examples/sample_data/make_demonstrations.py",
        )
    rounds = itertools.zip_longest(*tasks.values())
    return [file for files in rounds for file in files if file is not None]


def load(file: Path) -> Episode:
    """One recorded episode; see `make_demonstrations.py` for its arrays."""
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def as_rlds(episode: Episode) -> dict:
    """The episode in the features of `openvla/modified_libero_rlds`."""
    length = len(episode["action"])
    step = np.arange(length)
    last = step == length - 1
    return {
        "steps": {
            "observation/image": [_jpeg(picture) for picture in episode["image"]],
            "observation/wrist_image": [_jpeg(picture) for picture in episode["wrist_image"]],
            "observation/state": episode["state"],
            "observation/joint_state": episode["joint_state"],
            "action": episode["action"],
            "discount": np.ones(length, np.float32),
            "reward": last.astype(np.float32),
            "is_first": step == 0,
            "is_last": last,
            "is_terminal": last,
            "language_instruction": [str(episode["instruction"])] * length,
        },
        "episode_metadata": {"file_path": f"{episode['name']}.npz"},
    }


def _jpeg(picture_HWC: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture_HWC).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def write_lerobot(root: Path, episodes: Iterator[Episode], size: int) -> None:
    """Write a LeRobotDataset v3 with stock LeRobot; pictures are (size, size, 3)."""
    video = {"dtype": "video", "shape": (size, size, 3), "names": ["height", "width", "channels"]}
    features = {
        **dict.fromkeys(CAMERAS, video),
        "observation.state": {"dtype": "float32", "shape": (len(STATE_NAMES),), "names": STATE_NAMES},
        "action": {"dtype": "float32", "shape": (len(ACTION_NAMES),), "names": ACTION_NAMES},
    }
    dataset = LeRobotDataset.create(
        f"local/{NAME}", FPS, features, root=root, robot_type="franka", rgb_encoder=VIDEO
    )
    for episode in episodes:
        for t in range(len(episode["action"])):
            frame = {camera: episode[name][t] for camera, name in CAMERAS.items()}
            frame |= {"observation.state": episode["state"][t], "action": episode["action"][t]}
            dataset.add_frame(frame | {"task": str(episode["instruction"])})
        dataset.save_episode()
    dataset.finalize()


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    parser.add_argument("--out", type=Path, default=FOLDER, help="the sets are written below this folder")
    arguments = parser.parse_args()

    rlds, lerobot = arguments.out / "rlds" / NAME, arguments.out / "lerobot" / NAME
    for target in (rlds, lerobot):
        if target.exists():
            raise SystemExit(f"error: {target} exists\n  do:       remove it, then run this again")
        target.parent.mkdir(parents=True, exist_ok=True)
    files = in_order(arguments.recordings)
    size = load(files[0])["image"].shape[1]
    # Each set appears whole or not at all.
    with tempfile.TemporaryDirectory(dir=arguments.out, prefix=".writing-") as folder:
        scratch = Path(folder)
        episodes = (as_rlds(load(file)) for file in files)
        write_rlds(scratch, NAME, episodes, shards=SHARDS, description=DESCRIPTION)
        (scratch / NAME).rename(rlds)
        write_lerobot(scratch / NAME, (load(file) for file in files), size)
        (scratch / NAME).rename(lerobot)
    for target in (rlds, lerobot):
        n_bytes = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
        print(f"{target}: {len(files)} episodes, {n_bytes / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
