"""What planner and expert learn from a frame, against the published samples and a plain loop.

Legend: B rows, M slots, C candidates, S state dims.
"""

import numpy as np
import pytest
from waypoint_data import table_of

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.targets import FRAME_MODES, FrameTargets


def targets_of(*episodes: tuple[list[int], int]) -> FrameTargets:
    """Episodes by waypoints and length; the state of frame f of episode e is (100 e + f, f)."""
    states = [
        np.column_stack([100 * e + np.arange(frames), np.arange(frames)])
        for e, (_, frames) in enumerate(episodes)
    ]
    return FrameTargets(table_of(*episodes), np.concatenate(states))


SHORT = targets_of(([0, 3, 7], 8))


def plan(targets: FrameTargets, frame: int, slots: int) -> list[tuple[int, int, str]]:
    """(state, duration, kind) of each slot."""
    found = targets.plan(np.array([frame]), slots)
    kinds = np.where(found.real_BM, "real", np.where(found.terminal_BM, "end", "none"))[0]
    return list(
        zip(
            found.state_BMS[0, :, 0].astype(int).tolist(),
            found.duration_BM[0].tolist(),
            kinds.tolist(),
            strict=True,
        )
    )


def segments(targets: FrameTargets, frame: int, mode: str, max_shift: int = 2) -> list[int]:
    """Durations of the candidates; their ends are checked."""
    found = targets.segments(np.array([frame]), mode, max_shift)
    assert (found.end_BCS == targets.state_FS[frame + found.duration_BC]).all()
    return found.duration_BC[0].tolist()


# The worked example: waypoints 0, 3, 7 of 8 frames, two slots.


def test_the_plan_of_a_frame():
    assert plan(SHORT, 0, 2) == [(3, 3, "real"), (7, 4, "real")]
    assert plan(SHORT, 1, 2) == [(3, 2, "real"), (7, 4, "real")]
    assert plan(SHORT, 5, 2) == [(7, 2, "real"), (7, 0, "end")]
    assert plan(SHORT, 3, 3) == [(7, 4, "real"), (7, 0, "end"), (7, 0, "none")]


def test_the_last_frame_has_nothing_to_learn():
    assert plan(SHORT, 7, 2) == [(7, 0, "none")] * 2
    for mode in FRAME_MODES:
        assert not any(segments(SHORT, 7, mode))


def test_the_segments_of_a_frame():
    assert segments(SHORT, 0, "suffix") == [3]
    assert (segments(SHORT, 1, "suffix"), segments(SHORT, 1, "slide")) == ([2], [3])
    assert segments(SHORT, 1, "mixed") == [2, 3]
    # Sliding by 4 from frame 5 would leave the episode.
    assert (segments(SHORT, 5, "suffix"), segments(SHORT, 5, "slide")) == ([2], [2])


# The published windows and pairs.


def test_published_windows():
    """At waypoints the targets are those of the filtered data sets: durations 14, 7, 7 and the end."""
    targets = targets_of(([0, 14, 21, 28], 29))
    rows = {
        0: ([14, 7, 7, 0, 0, 0, 0], 3),
        14: ([7, 7, 0, 0, 0, 0, 0], 2),
        21: ([7, 0, 0, 0, 0, 0, 0], 1),
    }
    for frame, (durations, real) in rows.items():
        found = plan(targets, frame, 7)
        assert [duration for _, duration, _ in found] == durations
        assert [kind for *_, kind in found] == ["real"] * real + ["end"] + ["none"] * (6 - real)


def test_published_shifts():
    """Pairs (0, 14), (14, 21) and (207, 213) of 214 frames, shifted by up to 2: 3, 5 and 3 samples."""
    targets = targets_of(([0, 14, 21, 207, 213], 214))
    counts = {0: 0, 14: 0, 207: 0}
    for start, length in ((0, 14), (14, 7), (207, 6)):
        for column, shift in enumerate(range(-2, 3)):
            frame = start + shift
            if 0 <= frame < 214 and segments(targets, frame, "shift")[column] == length:
                counts[start] += 1
    assert counts == {0: 3, 14: 5, 207: 3}
    assert segments(targets, 14, "shift", max_shift=0) == [7]
    assert segments(targets, 100, "shift") == [0] * 5, "no waypoint is near"


def test_episodes_end_where_they_end():
    targets = targets_of(([0, 2, 4], 5), ([0, 5], 6), ([0], 1), ([0, 1, 3], 4))
    assert plan(targets, 3, 2) == [(4, 1, "real"), (4, 0, "end")]
    assert plan(targets, 5, 2) == [(105, 5, "real"), (105, 0, "end")]
    assert plan(targets, 11, 1) == [(200, 0, "none")], "an episode of one frame"
    assert plan(targets, 12, 3) == [(301, 1, "real"), (303, 2, "real"), (303, 0, "end")]
    assert segments(targets, 12, "shift", 1) == [2, 1, 0], "of frame 1, of frame 0, of no frame"


# Any lists, against a plain loop.


def literal_plan(indices: list[int], frames: int, t: int, slots: int) -> list[tuple[int, int, str]]:
    later = [w for w in indices if w > t]
    row, before = [], t
    for slot in range(slots):
        if slot < len(later):
            row.append((later[slot], later[slot] - before, "real"))
            before = later[slot]
        else:
            row.append((indices[-1], 0, "end" if slot == len(later) and t < frames - 1 else "none"))
    return row


def literal_segments(indices: list[int], frames: int, t: int, mode: str, max_shift: int) -> list[int]:
    if mode == "shift":
        gaps = dict(zip(indices, np.diff(indices).tolist(), strict=False))
        starts = [t - shift for shift in range(-max_shift, max_shift + 1)]
        return [gaps[a] if a in gaps and t + gaps[a] <= frames - 1 else 0 for a in starts]
    if t == frames - 1:
        return [0] * (2 if mode == "mixed" else 1)
    following = min(w for w in indices if w > t)
    before = max(w for w in indices if w <= t)
    suffix, whole = following - t, following - before
    slide = whole if t + whole <= frames - 1 else suffix
    return {"suffix": [suffix], "slide": [slide], "mixed": [suffix, slide]}[mode]


@pytest.mark.parametrize("seed", range(6))
def test_random_waypoints_equal_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    episodes = []
    for frames in rng.integers(1, 30, 8).tolist():
        inner = np.flatnonzero(rng.random(frames) < rng.random())
        episodes.append((sorted({0, frames - 1, *inner.tolist()}), frames))
    targets = targets_of(*episodes)
    first = 0
    for episode, (indices, frames) in enumerate(episodes):
        for t in range(frames):
            slots, shift = int(rng.integers(1, 9)), int(rng.integers(0, 4))
            expected = [
                (100 * episode + s, d, kind) for s, d, kind in literal_plan(indices, frames, t, slots)
            ]
            assert plan(targets, first + t, slots) == expected
            for mode in FRAME_MODES:
                expected_segments = literal_segments(indices, frames, t, mode, shift)
                assert segments(targets, first + t, mode, shift) == expected_segments, (indices, t, mode)
        first += frames


def test_a_batch_is_its_rows():
    index_B = np.array([1, 5, 7, 0])
    together = SHORT.plan(index_B, 3)
    for row, index in enumerate(index_B):
        alone = SHORT.plan(np.array([index]), 3)
        assert all((getattr(together, name)[row] == getattr(alone, name)[0]).all() for name in vars(alone))


# Samples that are not what they claim.


def test_matching_rows_pass():
    targets = targets_of(([0, 4], 5), ([0, 2], 3))
    index = np.array([6, 0])
    targets.check(index, np.array([1, 0]), targets.state_FS[index])


@pytest.mark.parametrize(
    ("index", "episode", "words"),
    [
        (5, 0, r"frame 5 in episode 0(.|\n)*episode 1"),
        (8, 1, r"frame 8(.|\n)*8 frames"),
        (-1, 0, r"frame -1"),
    ],
)
def test_a_frame_of_another_episode_is_refused(index, episode, words):
    targets = targets_of(([0, 4], 5), ([0, 2], 3))
    with pytest.raises(ZooError, match=words):
        targets.check(np.array([0, index]), np.array([0, episode]), targets.state_FS[[0, 0]])


def test_another_state_is_refused():
    targets = targets_of(([0, 4], 5), ([0, 2], 3))
    states = targets.state_FS[[1, 2]] + np.array([[0, 0], [0, 0.5]], np.float32)
    words = r"state \[2.0, 2.5\] at frame 2(.|\n)*\[2.0, 2.0\](.|\n)*--overwrite"
    with pytest.raises(ZooError, match=words):
        targets.check(np.array([1, 2]), np.array([0, 0]), states)
    with pytest.raises(ZooError, match="at frame 1"):
        targets.check(np.array([1, 2]), np.array([0, 0]), states[:, :1])
