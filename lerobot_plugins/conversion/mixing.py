"""Which episodes of several datasets a mixture holds, and how often: by repetition, the same every time.

A dataset is sampled frame by frame, so that its share is its share of the frames. Whole episodes are
repeated; of a task inside of episodes, such as an annotated skill, the stretches of frames that have it
become episodes of their own. Numbers of copies that are not whole are met by some episodes more than others,
spread evenly over the dataset.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any

import numpy as np

from lerobot_plugins.conversion.part import Part
from lerobot_plugins.errors import ZooError, first_names


@dataclass(frozen=True)
class Mixing:
    """What is asked for.

    Args:
        ratios: Each dataset's share of the frames; any positive numbers. None asks for none.
        repeat: How often each dataset is there, at least 1; need not be whole.
        repeat_tasks: Pattern of a task's text -> how often its frames are there, at least 1.

    Raises:
        ZooError: Numbers are too few, too small or not finite, or ratios and repetitions are both given.
    """

    ratios: tuple[float, ...] | None = None
    repeat: tuple[float, ...] | None = None
    repeat_tasks: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ratios is not None and (self.repeat is not None or self.repeat_tasks):
            raise ZooError(
                "ratios and repetitions contradict each other",
                expected="one of the two",
                do="merge twice: repeat in a first dataset, and mix that by ratio",
            )
        if self.ratios is not None and not all(math.isfinite(ratio) and ratio > 0 for ratio in self.ratios):
            raise ZooError("a ratio is no share", got=list(self.ratios), expected="positive numbers")
        for number in (*(self.repeat or ()), *self.repeat_tasks.values()):
            if not (math.isfinite(number) and number >= 1):
                raise ZooError(
                    "a repetition is below one", got=number, expected="how often it is to be there"
                )

    @property
    def is_plain(self) -> bool:
        """Whether everything is there once."""
        return self.ratios is None and self.repeat is None and not self.repeat_tasks

    def describe(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "ratios": None if self.ratios is None else list(self.ratios),
            "repeat": None if self.repeat is None else list(self.repeat),
            "repeat_tasks": dict(self.repeat_tasks),
        }


@dataclass(frozen=True)
class Piece:
    """An episode of a dataset, or a stretch of one.

    Args:
        part: Number of the dataset.
        episode: Its number there.
        start: First frame.
        stop: One after the last.
    """

    part: int
    episode: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.stop - self.start


@dataclass(frozen=True)
class Mixture:
    """What a mixed dataset holds.

    Args:
        pieces: Its episodes in order: every dataset once, as a merge without repetition has them, then what
            is repeated.
        copies: For each dataset, how often each of its episodes is there as a whole.
        moved: By how many frames at most a stretch begins early, to begin with a key frame.
    """

    pieces: tuple[Piece, ...]
    copies: tuple[tuple[int, ...], ...]
    moved: int = 0

    def frames_of(self, part: int) -> int:
        """Frames that come from one dataset."""
        return sum(piece.length for piece in self.pieces if piece.part == part)


def mix(parts: Sequence[Part], mixing: Mixing) -> Mixture:
    """Decide what a mixture of datasets holds.

    Raises:
        ZooError: Ratios or repetitions are not as many as the datasets, a dataset is empty, or no frame has
            a task that is to be repeated.
    """
    lengths = [[row["length"] for row in part.episodes] for part in parts]
    if empty := [str(part.root) for part, own in zip(parts, lengths, strict=True) if not sum(own)]:
        raise ZooError("a dataset has no frames", got=", ".join(empty), do="leave it out")
    for name, numbers in (("ratios", mixing.ratios), ("repeat", mixing.repeat)):
        if numbers is not None and len(numbers) != len(parts):
            raise ZooError(
                f"--{name} does not fit the datasets",
                got=f"{len(numbers)} numbers for {len(parts)} datasets",
                expected="one for each, in their order",
            )
    if mixing.ratios is not None:
        often = _often([sum(own) for own in lengths], mixing.ratios)
    else:
        often = list(mixing.repeat or [1.0] * len(parts))
    copies = [spread(own, times) for own, times in zip(lengths, often, strict=True)]
    pieces = [
        Piece(part, episode, 0, lengths[part][episode])
        for part, episode, _ in sorted(
            (
                (part, episode, again)
                for part, own in enumerate(copies)
                for episode, count in enumerate(own)
                for again in range(count)
            ),
            key=lambda place: (place[2], place[0], place[1]),
        )
    ]
    stretches, moved = _stretches(parts, mixing.repeat_tasks)
    return Mixture((*pieces, *stretches), tuple(map(tuple, copies)), moved)


def spread(lengths: Sequence[int], times: float) -> list[int]:
    """How often each episode is there so that all their frames are there `times` times, as nearly as whole
    episodes can, the ones with one copy more spread evenly.

    >>> spread([10, 10, 10, 10], 1.5)
    [2, 1, 2, 1]
    """
    low, high = math.floor(times), math.ceil(times)
    owed = 0.0  # frames that are still missing
    counts = []
    for length in lengths:
        wanted = times * length + owed
        count = min(max(math.floor(wanted / length + 0.5), low), high) if length else low
        owed = wanted - count * length
        counts.append(count)
    return counts


def _often(frames: Sequence[int], ratios: Sequence[float]) -> list[float]:
    """How often datasets must be there for their ratios, where nothing is left out: at least once each."""
    total = max(own / ratio for own, ratio in zip(frames, ratios, strict=True))
    return [max(1.0, ratio * total / own) for own, ratio in zip(frames, ratios, strict=True)]


def _stretches(parts: Sequence[Part], patterns: Mapping[str, float]) -> tuple[list[Piece], int]:
    """The additional episodes of each pattern, and by how many frames one begins early at most."""
    pieces: list[Piece] = []
    moved = 0
    for pattern, times in patterns.items():
        found = [
            Piece(part, episode, start, stop)
            for part, dataset in enumerate(parts)
            for episode, row in enumerate(dataset.episodes)
            if any(fnmatchcase(task, pattern) for task in row["tasks"])
            for start, stop in _runs(dataset.tasks_of(episode), pattern)
        ]
        if not found:
            tasks = {task for part in parts for row in part.episodes for task in row["tasks"]}
            raise ZooError(
                "no frame has a task that is to be repeated",
                got=pattern,
                expected=f"a pattern of the tasks, such as {first_names(tasks)}",
                do="correct --repeat-task; * stands for any text",
            )
        for piece, count in zip(found, spread([p.length for p in found], times - 1), strict=True):
            begin = parts[piece.part].key_frame(piece.episode, piece.start) if count else piece.start
            moved = max(moved, piece.start - begin)
            pieces += [Piece(piece.part, piece.episode, begin, piece.stop)] * count
    return pieces, moved


def _runs(tasks: Sequence[str], pattern: str) -> list[tuple[int, int]]:
    """Stretches of frames of one and the same task that fits: first frame, and one after the last."""
    changes = [0, *(i for i in range(1, len(tasks)) if tasks[i] != tasks[i - 1])]
    fits = {task: fnmatchcase(task, pattern) for task in set(tasks)}
    return [
        (start, stop)
        for start, stop in zip_longest(changes, changes[1:], fillvalue=len(tasks))
        if fits[tasks[start]]
    ]


def shares(parts: Sequence[Part], mixture: Mixture, mixing: Mixing) -> list[str]:
    """What a mixture came to, a line for each dataset."""
    frames = np.array([mixture.frames_of(number) for number in range(len(parts))])
    percent = 100 * frames / frames.sum()
    asked = None if mixing.ratios is None else 100 * np.array(mixing.ratios) / sum(mixing.ratios)
    rows = []
    for number, part in enumerate(parts):
        count = sum(piece.part == number for piece in mixture.pieces)
        said = "" if asked is None else f" (asked: {asked[number]:.2f} %)"
        rows.append(
            f"{part.root}: {len(part.episodes)} episodes as {count}, {part.info['total_frames']} frames as "
            f"{frames[number]}, {percent[number]:.2f} %{said}"
        )
    return rows
