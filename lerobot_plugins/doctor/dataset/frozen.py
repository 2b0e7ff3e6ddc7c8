"""Stretches in which the state stands still to the last bit, while the action goes on: a stream that stopped.

T frames, P pairs of action and state.
"""

from dataclasses import dataclass

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension, columns_of
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, listed, ok, problem
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

# Robots answer within this time; a stretch that is shorter is a repeated measurement.
_SECONDS = 0.35
#: A part of the action's range in the dataset that it must cross during the stretch.
_CROSSED = 0.2
_MOVES = 0.05
_KEPT = 1000
_ALL = "the state"


@dataclass(frozen=True)
class _Stretch:
    place: Place
    length: int
    part: str
    crossed_P: np.ndarray


class Frozen:
    """Looks at all joints together and at each arm, as each has a stream of its own.

    A hand or a gripper alone proves nothing: an object holds it still, however far the action closes.

    Args:
        pairs: Action and state dimensions that measure the same.
        fps: Frames per second.
    """

    name = "frozen"

    def __init__(self, pairs: list[tuple[Dimension, Dimension]], fps: float) -> None:
        self._pairs = [pair for pair in pairs if pair[0].group not in ("base", "imu")]
        self._least = max(5, round(_SECONDS * fps) + 1)
        self._low_P = np.full(len(self._pairs), np.inf)
        self._high_P = np.full(len(self._pairs), -np.inf)
        self._parts: dict[str, list[int]] = {_ALL: list(range(len(self._pairs)))}
        for p, (_, state) in enumerate(self._pairs):
            if state.group.endswith("arm"):
                self._parts.setdefault(state.group, []).append(p)
        self._stretches: list[_Stretch] = []
        #: Where a stretch that was told ends; the state jumps there.
        self.ends: set[Place] = set()

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        action_TP = columns_of(episode.columns, [action for action, _ in self._pairs])
        state_TP = columns_of(episode.columns, [state for _, state in self._pairs])
        if not action_TP.size:
            return
        self._low_P = np.minimum(self._low_P, action_TP.min(0))
        self._high_P = np.maximum(self._high_P, action_TP.max(0))
        for part, members in self._parts.items():
            same_T = (np.diff(state_TP[:, members], axis=0) == 0).all(1)
            for first, length in _runs(same_T):
                if length + 1 < self._least or len(self._stretches) >= _KEPT:
                    continue
                # What the action did just before the end may not have been answered yet.
                told = action_TP[first : first + length + 2 - self._least // 2]
                crossed_P = np.zeros(len(self._pairs))
                crossed_P[members] = np.ptp(told[:, members], axis=0)
                if crossed_P.max() > 0:
                    self._stretches.append(_Stretch(Place(episode.index, first), length + 1, part, crossed_P))

    def findings(self, claimed: set[Dimension]) -> list[DatasetFinding]:
        """One for each part that stood still, at its longest stretch."""
        span_P = np.maximum(self._high_P - self._low_P, 0)
        free_P = np.array([a not in claimed and s not in claimed for a, s in self._pairs], dtype=bool)
        known_P = np.array([bool(action.signal) for action, _ in self._pairs], dtype=bool)
        least_P = np.maximum(_CROSSED * span_P, np.where(known_P, _MOVES, 0))
        told = [
            stretch
            for stretch in self._stretches
            if ((stretch.crossed_P > least_P) & free_P & (stretch.crossed_P > 0)).any()
        ]
        whole = [stretch.place for stretch in told if stretch.part == _ALL]
        told = [stretch for stretch in told if stretch.part == _ALL or stretch.place not in whole]
        self.ends = {Place(one.place.episode, one.place.frame + one.length) for one in told}
        findings = []
        for part in dict.fromkeys(stretch.part for stretch in told):
            chosen = [stretch for stretch in told if stretch.part == part]
            longest = max(chosen, key=lambda stretch: stretch.length)
            members = self._parts[part]
            state = self._pairs[members[0]][1]
            names = tuple(self._pairs[p][1].name for p in members)
            findings.append(
                problem(
                    self.name,
                    f"{state.feature}: {part} stands still for {longest.length} "
                    f"frames from {longest.place}, while its action moves ({listed(names)})"
                    + (f"; stretches in all: {len(chosen)}" if len(chosen) > 1 else ""),
                    "the stream stopped while recording: leave the episode out",
                    feature=state.feature,
                    columns=names,
                    episode=longest.place.episode,
                    frame=longest.place.frame,
                    value=longest.length,
                    limit=self._least - 1,
                )
            )
        return findings or [ok(self.name, "no state stands still while its action moves")] * bool(self._pairs)


def _runs(same_T: np.ndarray) -> list[tuple[int, int]]:
    """(first, length) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], same_T.astype(np.int8), [0]])))
    return [(int(first), int(end - first)) for first, end in edges.reshape(-1, 2)]
