"""Cameras that are dead: black, of one colour, or showing the same picture while the robot moves.

A handful of pictures of a few episodes is decoded; rate and number of pictures of every video file are read
from its header.

H, W, C height, width, channels; N pictures.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

from lerobot_plugins.doctor.dataset.findings import DatasetFinding, number, ok, problem
from lerobot_plugins.doctor.dataset.pictures import (
    UNDECODABLE,
    MissingPicture,
    from_images,
    from_video,
    video_path,
)
from lerobot_plugins.doctor.dataset.recorded import Recorded

_NAME = "cameras"
_EPISODES, _PICTURES = 4, 5
#: Of 255: what counts as black, and how little a picture of a scene never varies.
_BLACK, _FLAT = 8.0, 1.0
_AGAIN = "look at the recording: a cable, an exposure, a stopped stream; leave these episodes out"


def camera_findings(recorded: Recorded, moving: set[int], *, count: bool = True) -> list[DatasetFinding]:
    """What is wrong with each camera.

    Args:
        recorded: The dataset.
        moving: Episodes in which the robot moves.
        count: Compare the number of pictures with the lengths of the episodes, which must be right.
    """
    findings = []
    cameras = [key for key, entry in recorded.features.items() if entry.get("dtype") in ("image", "video")]
    for camera in cameras:
        entry = recorded.features[camera]
        findings += _files(recorded, camera, count) if entry["dtype"] == "video" else []
        findings += _pictures(recorded, camera, moving)
    if not cameras:
        return [ok(_NAME, "there are none")]
    return findings or [
        ok(_NAME, f"{len(cameras)} cameras show something that changes: {', '.join(cameras)}")
    ]


def _pictures(recorded: Recorded, camera: str, moving: set[int]) -> list[DatasetFinding]:
    """The first fault of a camera, with how many of the sampled episodes have it."""
    rows = _chosen(recorded.episodes)
    faults: list[DatasetFinding] = []
    for row in rows:
        episode = int(row["episode_index"])
        frames = np.unique(np.linspace(0, max(int(row["length"]) - 1, 0), _PICTURES).astype(int)).tolist()
        try:
            pictures = _decode(recorded, camera, row, frames)
        except MissingPicture as missing:
            text = f"{camera} of episode {episode} has a picture missing: {missing}"
            return [
                problem(_NAME, text, "convert or download the video again", feature=camera, episode=episode)
            ]
        fault = _fault(recorded, camera, episode, frames, pictures, episode in moving)
        if fault:
            faults.append(fault)
    if not faults:
        return []
    first, others = faults[0], len(faults) - 1
    more = f"; so in {len(faults)} of {len(rows)} episodes looked at" if others else ""
    return [DatasetFinding(**{**first.__dict__, "detail": first.detail + more})]


def _decode(recorded: Recorded, camera: str, row: Mapping[str, Any], frames: list[int]) -> list[np.ndarray]:
    entry = recorded.features[camera]
    if entry["dtype"] == "image":
        return from_images(recorded, camera, row, frames)
    start = float(row.get(f"videos/{camera}/from_timestamp") or 0.0)
    times = [start + frame / recorded.fps for frame in frames]
    return from_video(
        video_path(recorded, camera, row), times, bool(entry.get("info", {}).get("is_depth_map"))
    )


def _fault(
    recorded: Recorded, camera: str, episode: int, frames: list[int], pictures: list[np.ndarray], moves: bool
) -> DatasetFinding | None:
    entry = recorded.features[camera]
    where: dict[str, Any] = {"feature": camera, "episode": episode, "frame": 0}
    expected, found = list(entry["shape"][:2]), list(pictures[0].shape[:2])
    # Some writers state channels first.
    if found not in (expected, list(entry["shape"][1:3])):
        text = f"{camera} has pictures of {found[0]}x{found[1]}, info.json says {expected[0]}x{expected[1]}"
        do = "correct its shape in meta/info.json"
        return problem(_NAME, text, do, **where, value=str(found), limit=str(expected))
    depth = pictures[0].shape[-1] == 1
    brightness_N = np.array([picture.mean() for picture in pictures])
    contrast_N = np.array([picture.std(axis=(0, 1)).max() for picture in pictures])
    if not depth and (dark_N := (brightness_N < _BLACK) & (contrast_N < 2 * _FLAT)).any():
        where["frame"] = frames[int(dark_N.argmax())]
        value = float(brightness_N[dark_N][0])
        text = f"{camera} is black in episode {episode}, frame {where['frame']} (mean {number(value)} of 255)"
        return problem(_NAME, text, _AGAIN, **where, value=value, limit=_BLACK)
    flat_N = contrast_N < (0.5 if depth else _FLAT)
    if flat_N.any():
        where["frame"] = frames[int(flat_N.argmax())]
        value = float(contrast_N[flat_N][0])
        text = f"{camera} shows one colour in episode {episode}, frame {where['frame']} (std {number(value)})"
        return problem(_NAME, text, _AGAIN, **where, value=value, limit=_FLAT)
    same = all(np.array_equal(pictures[0], picture) for picture in pictures[1:])
    if moves and len(pictures) > 2 and same:
        text = f"{camera} shows the same picture throughout episode {episode}, while the robot moves"
        return problem(_NAME, text, _AGAIN, **where, value="equal pictures")
    return None


def _files(recorded: Recorded, camera: str, count_pictures: bool) -> list[DatasetFinding]:
    """Rate and number of pictures of every video file, from its header."""
    lengths: dict[str, int] = {}
    for row in recorded.episodes:
        try:
            path = video_path(recorded, camera, row)
        except MissingPicture as missing:
            text = f"{camera} of episode {row['episode_index']}: {missing}"
            do = "download the dataset again"
            return [problem(_NAME, text, do, feature=camera, episode=int(row["episode_index"]))]
        lengths[str(path)] = lengths.get(str(path), 0) + int(row.get("length") or 0)
    for name, length in lengths.items():
        short = name.removeprefix(f"{recorded.root}/")
        try:
            with av.open(name) as container:
                stream = container.streams.video[0]
                count, rate = stream.frames, stream.average_rate
        except UNDECODABLE as error:
            text = f"{short} of {camera} cannot be opened: {error}"
            return [problem(_NAME, text, "download the dataset again", feature=camera, value=short)]
        # A header may not say.
        if count_pictures and count and count != length:
            text = f"{short} of {camera} has {count} pictures for {length} frames"
            return [
                problem(_NAME, text, "convert the dataset again", feature=camera, value=count, limit=length)
            ]
        if rate and abs(float(rate) / recorded.fps - 1) > 0.01:
            text = f"{short} of {camera} has {_rate(rate)} frames per second, info.json says {recorded.fps:g}"
            do = "put the true rate into meta/info.json, or encode the video again"
            return [problem("fps", text, do, feature=camera, value=float(rate), limit=recorded.fps)]
    return []


def _rate(rate: Fraction) -> str:
    return f"{float(rate):.4g}"


def _chosen(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first episode, the last, and some between."""
    with_frames = [row for row in rows if int(row.get("length") or 0) > 0]
    places = np.unique(np.linspace(0, max(len(with_frames) - 1, 0), _EPISODES).astype(int))
    return [with_frames[place] for place in places] if with_frames else []
