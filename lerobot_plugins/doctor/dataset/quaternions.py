"""Quaternions that are none, and those whose scalar stands first where it should be last.

T frames.
"""

import re
from collections.abc import Sequence

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, number, ok, problem
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

_TOLERANCE = 0.02
#: What stands before x, y, z, w must say that it is no position.
_PART = re.compile(r"^(.*?(?:quat\w*?_?|ori\w*?_|orn_|rot\w*?_|q))([xyzw])$", re.IGNORECASE)


class Quaternions:
    """Every group of x, y, z, w that the names of a feature tell.

    Args:
        dimensions: Whose names are looked at.
    """

    name = "quaternions"

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._groups = quaternion_groups(dimensions)
        self._angles = {d.name.removesuffix(".pos"): d for d in dimensions}
        self._off: dict[int, tuple[Place, float, int]] = {}
        self._fits = np.zeros((len(self._groups), 2))  # frames that agree with the angles: scalar last, first
        self._frames = 0

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        self._frames += len(episode)
        for i, group in enumerate(self._groups):
            xyzw_T4 = np.stack([episode.columns[d.feature][:, d.index] for d in group], axis=1).astype(float)
            norm_T = np.linalg.norm(xyzw_T4, axis=1)
            off_T = np.abs(norm_T - 1) > _TOLERANCE
            if off_T.any():
                frame = int(off_T.argmax())
                place, value, count = self._off.get(i, (Place(episode.index, frame), float(norm_T[frame]), 0))
                self._off[i] = (place, value, count + int(off_T.sum()))
            angles = [self._angles.get(name) for name in _angle_names(group)]
            if all(angles):
                rpy_T3 = np.stack([episode.columns[d.feature][:, d.index] for d in angles if d], axis=1)
                for j, order in enumerate(([0, 1, 2, 3], [1, 2, 3, 0])):
                    self._fits[i, j] += (_apart(_roll_pitch_yaw(xyzw_T4[:, order]), rpy_T3) < 0.1).sum()

    def findings(self) -> list[DatasetFinding]:
        """One for each group that is no quaternion."""
        findings = []
        for i, (place, value, count) in self._off.items():
            names = tuple(d.name for d in self._groups[i])
            findings.append(
                problem(
                    self.name,
                    f"{names[0]} to {names[-1]} have length {number(value)} in {place} "
                    f"({count} of {self._frames} frames)",
                    "0 is a rotation that was never filled in; otherwise normalise it when converting",
                    feature=self._groups[i][0].feature,
                    columns=names,
                    episode=place.episode,
                    frame=place.frame,
                    value=value,
                    limit=1.0,
                )
            )
        for i, (last, first) in enumerate(self._fits):
            if i in self._off or first < 0.9 * self._frames or last > 0.5 * self._frames:
                continue
            names = tuple(d.name for d in self._groups[i])
            findings.append(
                problem(
                    self.name,
                    f"{names[0]} to {names[-1]} hold w, x, y, z: only so do they agree with the recorded "
                    f"roll, pitch and yaw ({int(first)} of {self._frames} frames; as named, {int(last)})",
                    "move the scalar to the end when converting",
                    feature=self._groups[i][0].feature,
                    columns=names,
                    value="w, x, y, z",
                    limit="x, y, z, w",
                )
            )
        return findings or [ok(self.name, f"{len(self._groups)} have length 1")] * bool(self._groups)


def quaternion_groups(dimensions: Sequence[Dimension]) -> list[tuple[Dimension, ...]]:
    """Four neighbours named ..x, ..y, ..z, ..w alike, each as (x, y, z, w)."""
    groups = []
    for i in range(len(dimensions) - 3):
        four = dimensions[i : i + 4]
        matches = [_PART.match(d.name.removesuffix(".pos")) for d in four]
        if len({d.feature for d in four}) > 1 or not all(matches):
            continue
        parts = [match.group(2).lower() for match in matches if match]
        if sorted(parts) == ["w", "x", "y", "z"] and len({match.group(1) for match in matches if match}) == 1:
            by_part = dict(zip(parts, four, strict=True))
            groups.append(tuple(by_part[part] for part in "xyzw"))
    return groups


def _angle_names(group: tuple[Dimension, ...]) -> list[str]:
    stem = group[0].name.removesuffix(".pos").removesuffix("quat_x")
    return [f"{stem}rpy_{angle}" for angle in ("roll", "pitch", "yaw")]


def _roll_pitch_yaw(xyzw_T4: np.ndarray) -> np.ndarray:
    x, y, z, w = xyzw_T4.T
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1, 1))
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.stack([roll, pitch, yaw], axis=1)


def _apart(one_T3: np.ndarray, other_T3: np.ndarray) -> np.ndarray:
    """Largest difference of the three angles, (T,)."""
    return np.abs((one_T3 - other_T3 + np.pi) % (2 * np.pi) - np.pi).max(1)
