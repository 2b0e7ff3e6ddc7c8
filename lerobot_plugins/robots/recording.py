"""One episode of a recorded dataset, its vectors by the robot's signals.

T frames; H, W height and width.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.layout import Kind, Layout
from lerobot_plugins.contracts.recognition import recognise_among
from lerobot_plugins.contracts.robot import Camera
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Picture
from lerobot_plugins.robots.depth import millimetres
from lerobot_plugins.robots.pictures import DEPTH_SUFFIX

_INFO = "meta/info.json"
_IMAGES = "observation.images."


class Recording:
    """A recorded episode. Making it reads `meta/info.json`; `open` reads the episode.

    Args:
        option: The option that names the dataset, for messages: `robot.replay` or `teleop.`.
        repo_id: The dataset, `owner/name`.
        root: Its folder; by default the one LeRobot uses for this id.
        episode: Which episode.
        robot_type: The robot; by default what the dataset says.
        layout: The dataset's layout, where its names and widths do not tell; `robot.replay_layout`,
            `teleop.dataset_layout`.

    Raises:
        ZooError: No dataset, no such episode, or a layout that cannot be told.
    """

    def __init__(
        self,
        option: str,
        repo_id: str | None,
        root: Path | None,
        episode: int,
        robot_type: str | None = None,
        layout: str | None = None,
    ) -> None:
        if not repo_id:
            raise ZooError(
                "no recorded dataset was named",
                got=f"no --{option}repo_id",
                expected="the dataset whose episode is played",
                do=f"pass --{option}repo_id=OWNER/NAME [--{option}root=DIR] [--{option}episode=0]",
            )
        self.repo_id, self.episode = repo_id, episode
        self.root = _find_root(option, repo_id, root)
        info = json.loads((self.root / _INFO).read_text())
        self.robot_type: str = robot_type or str(info.get("robot_type"))
        self.fps = float(info["fps"])
        self._features: dict[str, dict[str, Any]] = info["features"]
        if not 0 <= episode < info["total_episodes"]:
            raise ZooError(
                f"{self.root} has no such episode",
                got=episode,
                expected=f"0 to {info['total_episodes'] - 1}",
                do=f"correct --{option}episode",
            )
        self.layout: Layout = self._layout(layout)
        self._dataset: Any = None
        self._item: tuple[int, dict[str, Any]] = (-1, {})

    def _layout(self, name: str | None) -> Layout:
        if name is None:
            return catalog.recognise(self._features, self.robot_type)
        asked = catalog.layout(self.robot_type, name)
        found = recognise_among(self._features, [asked], [catalog.contract(self.robot_type)])
        if found.name != name:
            raise ZooError(
                f"{self.root} is not in the layout {name}",
                got=f"columns as in {catalog.recognise(self._features, self.robot_type).name}",
                expected=f"{', '.join(asked.names('action')[:3])} ... as in {name}",
                do="leave the layout out: it is recognised",
            )
        return asked

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """The recorded cameras; one named `<camera>_depth` that is flagged as depth belongs to `<camera>`."""
        pictures = {
            key.removeprefix(_IMAGES): feature
            for key, feature in self._features.items()
            if key.startswith(_IMAGES) and feature["dtype"] in ("image", "video")
        }
        return tuple(
            Camera(name, height, width, depth=_is_depth(pictures.get(name + DEPTH_SUFFIX, {})))
            for name, feature in pictures.items()
            if not _is_depth(feature)
            for height, width, _ in (feature["shape"],)
        )

    def open(self) -> None:
        """Read the episode; afterwards `vectors` and `picture` answer."""
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        self._dataset = LeRobotDataset(
            self.repo_id,
            root=self.root,
            episodes=[self.episode],
            depth_output_unit="mm",
            video_backend="pyav",  # the one that decodes depth, too
        )

    def close(self) -> None:
        """Forget the episode."""
        self._dataset, self._item = None, (-1, {})

    def __len__(self) -> int:
        return int(self._dataset.num_frames)

    def vectors(self, kind: Kind) -> dict[str, np.ndarray]:
        """Signal -> (T,) float64 in the contract's unit."""
        columns = list(self.layout.features(kind))
        rows = self._dataset.select_columns(columns).with_format("numpy")[:]
        frame = {key: np.stack(list(rows[key])).astype(np.float64) for key in columns}
        return self.layout.by_signal(kind, self.layout.assemble(kind, frame))

    def picture(self, camera: str, frame: int) -> Picture:
        """What a camera saw in a frame.

        Raises:
            ZooError: The recording has no such camera.
        """
        known = {camera.name: camera for camera in self.cameras}
        if camera not in known:
            raise ZooError(f"{self.root} has no such camera", got=camera, expected=", ".join(known) or "none")
        if self._item[0] != frame:  # all cameras of a frame are decoded together
            self._item = (frame, self._dataset[frame])
        item = self._item[1]
        rgb_HWC = np.rint(item[_IMAGES + camera].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        if not known[camera].depth:
            return Picture(rgb_HWC)
        return Picture(rgb_HWC, millimetres(item[_IMAGES + camera + DEPTH_SUFFIX].numpy().transpose(1, 2, 0)))


def _find_root(option: str, repo_id: str, root: Path | None) -> Path:
    from lerobot.utils.constants import HF_LEROBOT_HOME

    folder = Path(root) if root is not None else Path(HF_LEROBOT_HOME) / repo_id
    if not (folder / _INFO).is_file():
        raise ZooError(
            f"there is no LeRobot dataset '{repo_id}' in {folder}",
            got=f"no {_INFO}",
            expected="a recorded dataset, format v3.0",
            do=f"name its folder with --{option}root=DIR, or fetch it first: "
            f"hf download {repo_id} --repo-type dataset --local-dir {folder}",
        )
    return folder


def _is_depth(feature: dict[str, Any]) -> bool:
    return bool((feature.get("info") or {}).get("is_depth_map"))
