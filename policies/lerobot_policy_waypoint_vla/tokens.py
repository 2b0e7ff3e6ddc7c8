"""A plan as tokens: which ids stand for what, and where in a waypoint's block.

    bins300    wp  p1 .. pP  g1 .. gN  dur  d        300 bins on [-1, 1], one token per gripper
    bins256    wp  p1 .. pP            dur  d        256 bins, grippers are numbers like any other

Ids are taken from the upper end of the vocabulary downwards, over PaliGemma's `<loc>` tokens: numbers, then
durations, then the two delimiters, then the two states of a gripper. Both layouts are those of published
waypoint checkpoints.

Legend: B batch, M waypoints, P continuous dims, N grippers, L = M * (P + N + 3) tokens of a plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lerobot_plugins.errors import ZooError

DURATIONS = 34  # ids of the durations 0..33; 0 ends the plan
OPEN, CLOSED = 0, 1  # a gripper's classes, in the order of their ids

# name -> (bins, whether grippers have tokens of their own)
LAYOUTS = {"bins300": (300, True), "bins256": (256, False)}


@dataclass(frozen=True)
class TokenFamily:
    """The ids that may stand in one place of a block; class i has the id `first - i`."""

    name: str
    first: int
    size: int

    @property
    def ids(self) -> list[int]:
        """Ids of all classes, in order."""
        return list(range(self.first, self.first - self.size, -1))


@dataclass(frozen=True)
class TokenLayout:
    """Ids and block of one layout, for one robot.

    Args:
        name: A key of `LAYOUTS`.
        top: The highest id that is used: 257023 in PaliGemma's vocabulary.
        continuous: P, state dims that are written as numbers.
        grippers: N, grippers that are written as open or closed; 0 with `bins256`.
    """

    name: str
    top: int
    continuous: int
    grippers: int

    def __post_init__(self) -> None:
        if self.grippers and not LAYOUTS[self.name][1]:
            raise ZooError(
                f"the token layout {self.name} has no tokens for grippers",
                got=f"{self.grippers} grippers",
                expected="grippers among the continuous dims",
                do="pass --policy.token_layout=bins300, or list the dims as continuous",
            )

    @property
    def bins(self) -> int:
        """Numbers in [-1, 1] that can be told apart."""
        return LAYOUTS[self.name][0]

    @property
    def number(self) -> TokenFamily:
        """The bins of a normalised state dim."""
        return TokenFamily("number", self.top, self.bins)

    @property
    def duration(self) -> TokenFamily:
        """Control steps from the waypoint before."""
        return TokenFamily("duration", self.number.first - self.bins, DURATIONS)

    @property
    def waypoint_id(self) -> int:
        """The delimiter that opens a block."""
        return self.duration.first - DURATIONS

    @property
    def duration_id(self) -> int:
        """The delimiter before a duration."""
        return self.waypoint_id - 1

    @property
    def gripper(self) -> TokenFamily:
        """Open, closed."""
        return TokenFamily("gripper", self.duration_id - 1, 2)

    @property
    def bottom(self) -> int:
        """The lowest id that is used."""
        return self.gripper.first - 1 if LAYOUTS[self.name][1] else self.duration_id

    @property
    def rows(self) -> int:
        """How many ids are used: 338 of `bins300`, 292 of `bins256`."""
        return self.top - self.bottom + 1

    @property
    def block(self) -> list[int | TokenFamily]:
        """What stands in each place of a waypoint's block: a delimiter's id, or the family to choose from."""
        numbers = [self.number] * self.continuous
        return [self.waypoint_id, *numbers, *[self.gripper] * self.grippers, self.duration_id, self.duration]

    @property
    def families(self) -> list[TokenFamily]:
        """The families of a block, each once."""
        return [self.number, *([self.gripper] if self.grippers else []), self.duration]

    def encode(self, state_BMK: np.ndarray, duration_BM: np.ndarray) -> np.ndarray:
        """Ids (B, L) of plans.

        Args:
            state_BMK: P numbers in [-1, 1] (clipped), then N grippers, 0 closed to 1 open.
            duration_BM: Whole control steps.

        Raises:
            ZooError: A duration has no token.
        """
        if duration_BM.min(initial=0) < 0 or duration_BM.max(initial=0) >= DURATIONS:
            raise ZooError(
                "a duration has no token",
                got=f"durations from {duration_BM.min()} to {duration_BM.max()}",
                expected=f"0 to {DURATIONS - 1}",
                do="make the waypoints again with `lerobot-plugins waypoints --max-duration=32`",
            )
        numbers = self.number.first - bins_of(state_BMK[..., : self.continuous], self.bins)
        grippers = self.gripper.first - np.where(state_BMK[..., self.continuous :] > 0.5, OPEN, CLOSED)
        ends = np.ones((*duration_BM.shape, 1), dtype=np.int64)
        ids_BML = np.concatenate(
            [
                ends * self.waypoint_id,
                numbers,
                grippers,
                ends * self.duration_id,
                (self.duration.first - duration_BM)[..., None],
            ],
            axis=-1,
        )
        return ids_BML.reshape(len(ids_BML), -1)

    def supervised(self, state_BM: np.ndarray, duration_BM: np.ndarray) -> np.ndarray:
        """(B, L) bool: which tokens are targets, from which states and which durations of a plan are.

        Delimiters never are: they are never chosen.
        """
        state_BM1, duration_BM1 = state_BM[..., None], duration_BM[..., None]
        parts = [
            np.zeros_like(state_BM1),
            np.repeat(state_BM1, self.continuous + self.grippers, axis=-1),
            np.zeros_like(state_BM1),
            duration_BM1,
        ]
        return np.concatenate(parts, axis=-1).reshape(len(state_BM), -1)


def bins_of(values: np.ndarray, bins: int) -> np.ndarray:
    """Equal bins on [-1, 1], int64: a value on an edge belongs to the bin above, one outside to the last."""
    edges = np.linspace(-1.0, 1.0, bins + 1)[1:-1]
    return np.digitize(values, edges)


def centres(bins: int) -> np.ndarray:
    """The value that each bin stands for, float32 (bins,)."""
    return ((2 * np.arange(bins) + 1) / bins - 1).astype(np.float32)


# Prompts. One builder for training and acting: other words than the trained ones are another task.


def clean_task(text: str) -> str:
    """One lower-case line: underscores and newlines become spaces."""
    return text.strip().replace("_", " ").replace("\n", " ").lower()


def planner_prompt(task: str, numbers: Sequence[int], grippers: Sequence[bool]) -> str:
    """The task and the state, as bins; grippers as words where they have tokens."""
    words = f", Gripper: {' '.join('open' if is_open else 'closed' for is_open in grippers)}"
    return f"Task: {clean_task(task)}, State: {' '.join(map(str, numbers))}{words if grippers else ''};\n"


def expert_prompt(task: str) -> str:
    """The task alone: the expert is told start, end and duration as tokens of its own."""
    return f"Task: {clean_task(task)}, \n"


PLAN_HEADER = "Action: "
