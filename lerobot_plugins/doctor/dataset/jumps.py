"""Joints that are elsewhere from one frame to the next: steps, and spikes that come back.

A fast motion has fast frames around it; a jump is alone. So the change of a frame is compared with the
changes around it.

T frames, D dimensions.
"""

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension, columns_of
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, number, ok, problem, warning
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

_AROUND = 4  # frames before and behind that are compared
_ALONE = 8.0  # times larger than those
_SPIKE = 3  # frames within which a spike is over
#: What arms and hands can do: rad/s; and what is too little to tell.
_SPEED, _HAND_SPEED, _LEAST = 6.0, 20.0, 0.3
#: Where units are unknown: parts of the number's own range and of the usual one.
_OF_RANGE, _OF_USUAL = 0.3, 0.1
_KEPT = 20


class Jumps:
    """Positions of joints; of an unknown robot, states that have an action of the same name.

    Grippers and other numbers that may switch are left out, and actions may step where their state follows.

    Args:
        states: Dimensions of the state.
        actions: Dimensions of the action.
        paired: Those of both that have a counterpart.
        fps: Frames per second.
    """

    name = "jumps"

    def __init__(
        self, states: list[Dimension], actions: list[Dimension], paired: set[Dimension], fps: float
    ) -> None:
        self._dimensions = [
            d for d in (*states, *actions) if d.is_joint or (d.signal is None and d in paired)
        ]
        self._spikes_only = np.array([d in set(actions) for d in self._dimensions], dtype=bool)
        self._floor_D = np.array([_floor(d, fps) for d in self._dimensions])
        self._low_D = np.full(len(self._dimensions), np.inf)
        self._high_D = np.full(len(self._dimensions), -np.inf)
        self._found: dict[int, list[tuple[float, Place, str]]] = {}

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        values_TD = columns_of(episode.columns, self._dimensions)
        if len(values_TD) < 2 * _AROUND:
            return
        self._low_D = np.minimum(self._low_D, values_TD.min(0))
        self._high_D = np.maximum(self._high_D, values_TD.max(0))
        change_TD = np.abs(np.diff(values_TD, axis=0))
        for i in np.flatnonzero((change_TD > self._floor_D).any(0)):
            for frame in np.flatnonzero(change_TD[:, i] > self._floor_D[i]):
                kind = _kind(values_TD[:, i], change_TD[:, i], int(frame))
                if kind == "spike" or (kind == "step" and not self._spikes_only[i]):
                    found = self._found.setdefault(int(i), [])
                    found.append((float(change_TD[frame, i]), Place(episode.index, int(frame) + 1), kind))
                    found.sort(key=lambda jump: -jump[0])
                    del found[_KEPT:]

    def findings(self, claimed: set[Dimension], explained: set[Place]) -> list[DatasetFinding]:
        """One for each dimension, at its largest jump; not where another finding says why."""
        findings = []
        span_D = np.maximum(self._high_D - self._low_D, 0)
        usual = float(np.quantile(span_D, 0.75)) if len(span_D) else 0.0
        for i, found in sorted(self._found.items()):
            dimension = self._dimensions[i]
            least = max(_OF_RANGE * float(span_D[i]), _OF_USUAL * usual)
            chosen = [
                jump for jump in found if jump[1] not in explained and (dimension.signal or jump[0] > least)
            ]
            if not chosen or dimension in claimed:
                continue
            size, place, kind = chosen[0]
            limit = float(self._floor_D[i]) if dimension.signal else least
            make = problem if dimension.signal else warning
            findings.append(
                make(
                    self.name,
                    f"{dimension} jumps by {number(size)} from one frame to the next in {place}"
                    + (" and back" if kind == "spike" else "")
                    + (f"; jumps in all: {len(chosen)}" if len(chosen) > 1 else ""),
                    "look at these frames: a lost message, a wrapped angle, or two recordings in one episode",
                    feature=dimension.feature,
                    columns=(dimension.name,),
                    episode=place.episode,
                    frame=place.frame,
                    value=size / abs(dimension.scale),
                    limit=limit,
                )
            )
        checked = len(self._dimensions)
        return findings or [ok(self.name, f"{checked} joints move without jumps")] * bool(checked)


def _floor(dimension: Dimension, fps: float) -> float:
    if dimension.signal is None:
        return 0.0
    speed = _HAND_SPEED if dimension.group.endswith("hand") else _SPEED
    return max(_LEAST, speed / fps)


def _kind(values_T: np.ndarray, change_T: np.ndarray, frame: int) -> str | None:
    """Whether the change from `frame` to the next is a jump: `spike`, `step` or neither."""
    size = change_T[frame]
    for back in range(1, _SPIKE + 1):
        end = frame + back
        if end >= len(change_T):
            break
        returned = abs(values_T[end + 1] - values_T[frame]) < 0.2 * size and change_T[end] > 0.5 * size
        # Between going and coming it may stand still, but not travel.
        within = change_T[frame + 1 : end]
        if returned and (within < size / 4).all() and size > _ALONE * _around(change_T, frame, end):
            return "spike"
    return "step" if size > _ALONE * _around(change_T, frame, frame) else None


def _around(change_T: np.ndarray, first: int, last: int) -> float:
    around = np.concatenate(
        [change_T[max(0, first - _AROUND) : first], change_T[last + 1 : last + 1 + _AROUND]]
    )
    return float(around.max(initial=0.0))
