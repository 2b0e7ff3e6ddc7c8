"""Episodes that are there twice, and stretches of an episode that are repeated.

T frames.
"""

import hashlib
from collections.abc import Mapping

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, leave_out, ok, problem
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

_LEAST = 8  # frames; fewer may repeat by chance, in a simulator
_FARTHEST = 256  # frames that a repetition is behind its original


class Copies:
    """State and action together, to the last bit: a robot never does the same twice.

    Args:
        dimensions: Of state and action.
        repeats: Episodes that are there again on purpose -> the first of them.
    """

    name = "copies"

    def __init__(self, dimensions: list[Dimension], repeats: Mapping[int, int] | None = None) -> None:
        self._repeats = repeats or {}
        self._meant = 0
        self._features = list(dict.fromkeys(d.feature for d in dimensions))
        self._episodes: dict[bytes, int] = {}
        self._twice: list[tuple[int, int, int]] = []
        self._repeated: list[tuple[Place, int]] = []
        #: Where a repetition begins; the state jumps there.
        self.starts: set[Place] = set()
        self._seen = 0

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        if not self._features or not len(episode):
            return
        self._seen += 1
        rows_TD = np.concatenate([episode.columns[key] for key in self._features], axis=1)
        if (rows_TD == rows_TD[0]).all():
            return  # nothing moves: the business of other checks
        digest = hashlib.sha256(np.ascontiguousarray(rows_TD).tobytes()).digest()
        original = self._episodes.setdefault(digest, episode.index)
        if original != episode.index and self._repeats.get(episode.index) == original:
            self._meant += 1
        elif original != episode.index:
            self._twice.append((episode.index, original, len(episode)))
        elif repeated := _repetition(rows_TD):
            place = Place(episode.index, repeated[0])
            self._repeated.append((place, repeated[1]))
            self.starts.add(place)

    def findings(self) -> list[DatasetFinding]:
        """One for each copy."""
        findings = [
            problem(
                self.name,
                f"episode {episode} is a copy of episode {original}: {length} states and actions are equal",
                leave_out(episode),
                episode=episode,
                value=original,
            )
            for episode, original, length in self._twice
        ]
        findings += [
            problem(
                self.name,
                f"{length} frames from {place} on repeat those just before them",
                "a buffer was written twice: leave the episode out",
                episode=place.episode,
                frame=place.frame,
                value=length,
                limit=_LEAST - 1,
            )
            for place, length in self._repeated
        ]
        if findings or not self._features:
            return findings
        if self._meant:
            return [
                ok(self.name, f"{self._meant} of {self._seen} episodes repeat others, as they were mixed to")
            ]
        return [ok(self.name, f"no two of {self._seen} episodes are equal")]


def _repetition(rows_TD: np.ndarray) -> tuple[int, int] | None:
    """(first repeated frame, length) of a moving stretch that is there twice in a row.

    A motion that is periodic to the last bit repeats nearly everywhere; that is a simulator's, no fault.
    """
    _, codes_T = np.unique(rows_TD, axis=0, return_inverse=True)
    codes_T = codes_T.reshape(-1)
    length = len(codes_T)
    if length - (codes_T.max(initial=-1) + 1) < _LEAST:
        return None  # hardly two rows are equal
    for period in range(_LEAST, min(length // 2, _FARTHEST) + 1):
        same_T = codes_T[period:] == codes_T[:-period]
        if same_T.sum() < period:
            continue
        whole = np.convolve(same_T, np.ones(period, dtype=np.int64), mode="valid") == period
        for first in np.flatnonzero(whole):
            stretch = codes_T[first : first + period]
            if (np.diff(stretch) != 0).mean() > 0.5 and same_T.mean() < 0.5:
                return int(first) + period, period
    return None
