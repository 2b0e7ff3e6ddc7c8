"""The index columns, and the lengths of the episodes, against meta/episodes.

T frames.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, leave_out, ok, problem, warning
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

_SHORT_OF_MEDIAN, _SHORT_S = 0.1, 1.0
_REPAIR = "convert or download the dataset again; LeRobot finds frames by these numbers"


class Indices:
    """`episode_index`, `frame_index`, `index` of every frame.

    Args:
        rows: Of meta/episodes.
        fps: Frames per second.
    """

    name = "indices"

    def __init__(self, rows: Sequence[Mapping[str, Any]], fps: float) -> None:
        self._fps = fps
        self._stated = {int(row["episode_index"]): int(row["length"]) for row in rows if "length" in row}
        self._lengths: dict[int, int] = {}
        self._next = 0
        self._findings: list[DatasetFinding] = []

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        expected = len(self._lengths)
        if episode.index in self._lengths or episode.index != expected:
            self._add(
                "episode_index", Place(episode.index, 0), episode.index, expected, "episodes out of order"
            )
        self._lengths[episode.index] = self._lengths.get(episode.index, 0) + len(episode)
        self._compare("frame_index", episode, np.arange(len(episode)))
        self._compare("index", episode, self._next + np.arange(len(episode)))
        self._next += len(episode)
        stated = self._stated.get(episode.index)
        if stated is not None and stated != len(episode):
            self._add(
                "length", Place(episode.index, len(episode)), len(episode), stated, "frames in the data files"
            )

    def _compare(self, key: str, episode: EpisodeData, expected_T: np.ndarray) -> None:
        found_T = episode.columns[key][:, 0]
        wrong_T = found_T != expected_T
        if wrong_T.any():
            frame = int(wrong_T.argmax())
            self._add(
                key,
                Place(episode.index, frame),
                int(found_T[frame]),
                int(expected_T[frame]),
                "numbers that skip",
            )

    def _add(self, key: str, place: Place, value: int, limit: int, what: str) -> None:
        # One fault shifts all that follow.
        if any(finding.feature == key for finding in self._findings):
            return
        self._findings.append(
            problem(
                "counts" if key == "length" else self.name,
                f"{what}: {key} of {place} is {value}, expected {limit}",
                _REPAIR,
                feature=key,
                episode=place.episode,
                frame=place.frame,
                value=value,
                limit=limit,
            )
        )

    def findings(self) -> list[DatasetFinding]:
        """What is out of order, then episodes that are too short."""
        absent = sorted(set(self._stated) - set(self._lengths))
        found = list(self._findings)
        if absent and not any(finding.feature == "episode_index" for finding in found):
            found.append(
                problem(
                    "counts",
                    f"episode {absent[0]} has no frames (such episodes: {len(absent)})",
                    _REPAIR,
                    feature="length",
                    episode=absent[0],
                    value=0,
                    limit=self._stated[absent[0]],
                )
            )
        frames = sum(self._lengths.values())
        found = found or [
            ok(self.name, f"{len(self._lengths)} episodes, {frames} frames, numbered without gaps")
        ]
        return found + self._short()

    def _short(self) -> list[DatasetFinding]:
        if not self._lengths:
            return []
        median = float(np.median(list(self._lengths.values())))
        findings = []
        for episode, length in self._lengths.items():
            where: dict[str, Any] = {
                "feature": "length",
                "episode": episode,
                "value": length,
                "limit": median,
            }
            do = leave_out(episode)
            if length < 2 or (length < _SHORT_OF_MEDIAN * median and length < _SHORT_S * self._fps):
                text = (
                    f"episode {episode} has {length} frames; half of the episodes have more than {median:g}"
                )
                findings.append(problem("length", text, do, **where))
            elif length < 0.2 * median:
                text = (
                    f"episode {episode} has only {length} frames, half of the episodes more than {median:g}"
                )
                findings.append(warning("length", text, do, **where))
        return findings
