"""What planner and expert learn from any frame of a dataset, looked up by its global index.

Between two waypoints w_i <= t < w_(i+1) a frame t is as good a start as the waypoint itself: the plan is the
same but for its first duration, w_(i+1) - t. At a waypoint this is the published sample.

Legend: B rows, F frames of all episodes, W waypoints of all episodes, M slots of a plan, C candidate
segments, S state dims.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.table import EpisodeWaypoints, Waypoints

FRAME_MODES = ("suffix", "slide", "mixed", "shift")


@dataclass(frozen=True)
class PlanTargets:
    """The waypoints after a frame.

    Attributes:
        state_BMS: States at the waypoints, raw; past the last waypoint its state again.
        duration_BM: Frames from the waypoint before, the first from the frame itself; 0 past the last.
        real_BM: True for waypoints of the episode.
        terminal_BM: True for the first slot past the last waypoint: its duration 0 says that the episode
            ends. Nowhere for an episode's last frame, which is followed by nothing.
    """

    state_BMS: np.ndarray
    duration_BM: np.ndarray
    real_BM: np.ndarray
    terminal_BM: np.ndarray


@dataclass(frozen=True)
class SegmentTargets:
    """Segments that start at a frame.

    Attributes:
        end_BCS: State at the end of each candidate, raw; the frame's own where there is no candidate.
        duration_BC: Its length in frames; 0 where there is no candidate.
    """

    end_BCS: np.ndarray
    duration_BC: np.ndarray


class FrameTargets:
    """Targets for every frame of a dataset.

    Args:
        table: The waypoints of all its episodes, in order.
        state_FS: Raw states of all its frames, in the order of their global index.
    """

    def __init__(self, table: Sequence[EpisodeWaypoints] | Waypoints, state_FS: np.ndarray) -> None:
        self.state_FS = np.ascontiguousarray(state_FS, dtype=np.float32)
        lengths = np.array([episode.frames for episode in table])
        first = np.concatenate([[0], np.cumsum(lengths)])
        assert first[-1] == len(state_FS), "the states of all frames"
        self._episode_F = np.repeat(np.arange(len(table)), lengths)
        self._first_F = first[self._episode_F]
        self._last_F = first[self._episode_F + 1] - 1
        self._waypoint_W = np.concatenate(
            [start + episode.indices for start, episode in zip(first[:-1], table, strict=True)]
        )
        # The first waypoint after each frame; for an episode's last frame, that frame itself.
        after_F = np.searchsorted(self._waypoint_W, np.arange(len(state_FS)), side="right")
        end_F = np.searchsorted(self._waypoint_W, self._last_F)
        self._next_F = np.minimum(after_F, end_F)
        self._final_F = end_F

    def check(self, index_B: np.ndarray, episode_B: np.ndarray, state_BS: np.ndarray) -> None:
        """Raise unless rows of a batch are the frames that their indices name.

        Raises:
            ZooError: An index beyond the dataset, or another episode or state than the dataset's.
        """
        beyond = index_B[(index_B < 0) | (index_B >= len(self.state_FS))]
        if len(beyond):
            raise _mismatch(f"frame {beyond[0]}", f"{len(self.state_FS)} frames")
        wrong = np.flatnonzero(self._episode_F[index_B] != episode_B)
        if len(wrong):
            row = wrong[0]
            raise _mismatch(
                f"frame {index_B[row]} in episode {episode_B[row]}",
                f"episode {self._episode_F[index_B[row]]}",
            )
        known_BS = self.state_FS[index_B]
        different = known_BS.shape != state_BS.shape or (known_BS != state_BS).any()
        if different:
            rows = (
                [0]
                if known_BS.shape != state_BS.shape
                else np.flatnonzero((known_BS != state_BS).any(axis=1))
            )
            row = rows[0]
            raise _mismatch(
                f"state {np.round(state_BS[row], 4).tolist()} at frame {index_B[row]}",
                f"{np.round(known_BS[row], 4).tolist()}",
            )

    def plan(self, index_B: np.ndarray, slots: int) -> PlanTargets:
        """The next `slots` waypoints of frames (B,)."""
        final_B1 = self._final_F[index_B][:, None]
        ordinal_BM = self._next_F[index_B][:, None] + np.arange(slots)
        at_end_B1 = (index_B == self._last_F[index_B])[:, None]
        real_BM = (ordinal_BM <= final_B1) & ~at_end_B1
        frame_BM = self._waypoint_W[np.minimum(ordinal_BM, final_B1)]
        before_BM = np.concatenate([index_B[:, None], frame_BM[:, :-1]], axis=1)
        return PlanTargets(
            state_BMS=self.state_FS[frame_BM],
            duration_BM=np.where(real_BM, frame_BM - before_BM, 0),
            real_BM=real_BM,
            terminal_BM=(ordinal_BM == final_B1 + 1) & ~at_end_B1,
        )

    def segments(self, index_B: np.ndarray, mode: str, max_shift: int = 2) -> SegmentTargets:
        """Segments that start at frames (B,).

        Args:
            index_B: Global indices.
            mode: `suffix` ends at the next waypoint; `slide` is as long as the whole segment around the
                frame, or ends at the next waypoint where the episode is too short; `mixed` has both; `shift`
                is as long as each segment whose start lies within `max_shift` frames.
            max_shift: See `shift`, which has 2 * max_shift + 1 candidates.
        """
        following_B = self._next_F[index_B]
        next_B = self._waypoint_W[following_B]
        if mode == "shift":
            return self._shifted(index_B, max_shift)
        suffix_B = next_B - index_B
        # Only an episode's last frame has no waypoint after it, and it has no segment either.
        whole_B = next_B - self._waypoint_W[np.maximum(following_B - 1, 0)]
        fits_B = (suffix_B > 0) & (index_B + whole_B <= self._last_F[index_B])
        slide_B = np.where(fits_B, whole_B, suffix_B)
        columns = {"suffix": [suffix_B], "slide": [slide_B], "mixed": [suffix_B, slide_B]}[mode]
        return self._ending(index_B, np.stack(columns, axis=1))

    def _shifted(self, index_B: np.ndarray, max_shift: int) -> SegmentTargets:
        start_BC = index_B[:, None] - np.arange(-max_shift, max_shift + 1)
        inside_BC = (start_BC >= self._first_F[index_B][:, None]) & (
            start_BC < self._last_F[index_B][:, None]
        )
        start_BC = np.where(inside_BC, start_BC, index_B[:, None])
        ordinal_BC = np.searchsorted(self._waypoint_W, start_BC)
        ordinal_BC = np.minimum(ordinal_BC, len(self._waypoint_W) - 2)
        is_waypoint_BC = inside_BC & (self._waypoint_W[ordinal_BC] == start_BC)
        duration_BC = self._waypoint_W[ordinal_BC + 1] - self._waypoint_W[ordinal_BC]
        fits_BC = is_waypoint_BC & (index_B[:, None] + duration_BC <= self._last_F[index_B][:, None])
        return self._ending(index_B, np.where(fits_BC, duration_BC, 0))

    def _ending(self, index_B: np.ndarray, duration_BC: np.ndarray) -> SegmentTargets:
        return SegmentTargets(self.state_FS[index_B[:, None] + duration_BC], duration_BC)


def _mismatch(got: str, expected: str) -> ZooError:
    return ZooError(
        "a training sample is not the frame that its index names",
        got=got,
        expected=f"{expected}, as the waypoints were made from",
        do="make the waypoints again with `lerobot-plugins waypoints --overwrite`; if that does not help, "
        "the dataset's index column is damaged",
    )
