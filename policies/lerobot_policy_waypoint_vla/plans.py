"""What one environment does with its plans: which segment comes next, when a new plan is needed.

Legend: M waypoints of a plan, K planned state dims.
"""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

# A first waypoint closer than this to where the robot is, in every normalised dim, leads nowhere.
STALLED = 0.02


@dataclass(frozen=True)
class Segment:
    """From a state (K,) to another in `duration` control steps."""

    start_K: Tensor
    end_K: Tensor
    duration: int


class PlanFollower:
    """One environment's plan.

    Args:
        segments_per_plan: Segments executed before the next plan; 0 is the whole plan.
        start_planned: Start a segment at the planned end of the one before, not at the observed state.
        max_stalled: After so many plans in a row that lead nowhere, a plan is executed as a whole; 0 is off.
    """

    def __init__(self, segments_per_plan: int, start_planned: bool, max_stalled: int) -> None:
        self._segments_per_plan = segments_per_plan
        self._start_planned = start_planned
        self._max_stalled = max_stalled
        self._waypoints: list[tuple[Tensor, int]] = []  # still to be reached
        self._left = 0  # segments of the plan that will be executed
        self._end_K: Tensor | None = None
        self._stalled = 0
        self.segments = 0  # executed since the episode began

    def needs_plan(self) -> bool:
        """Whether the next segment needs a new plan."""
        return self._left == 0

    def take(self, state_MK: Tensor, duration_M: Tensor, observed_K: Tensor) -> None:
        """Take a new plan; what comes from its first duration 0 on is not part of it.

        A plan that ends at once becomes one step on the spot, so that time goes on.
        """
        durations = duration_M.tolist()
        length = durations.index(0) if 0 in durations else len(durations)
        self._waypoints = list(zip(state_MK[:length], durations[:length], strict=True))
        if not length:
            self._waypoints = [(observed_K, 1)]
        leads_nowhere = bool(((self._waypoints[0][0] - observed_K).abs() < STALLED).all())
        self._stalled = self._stalled + 1 if leads_nowhere else 0
        self._left = min(self._segments_per_plan or len(self._waypoints), len(self._waypoints))
        if self._max_stalled and self._stalled >= self._max_stalled:
            logger.info("%d plans in a row led nowhere: this one is executed as a whole", self._stalled)
            self._left, self._stalled = len(self._waypoints), 0

    def next_segment(self, observed_K: Tensor) -> Segment:
        """The next segment of the plan."""
        end_K, duration = self._waypoints.pop(0)
        planned = self._start_planned and self._end_K is not None
        start_K = self._end_K if planned and self._end_K is not None else observed_K
        self._end_K = end_K
        self._left -= 1
        self.segments += 1
        return Segment(start_K, end_K, duration)


def stack(segments: list[Segment], width: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Starts and ends (B, width), padded with zeros, and durations (B,) of a batch of segments."""

    def padded(states: list[Tensor]) -> Tensor:
        state_BK = torch.stack(states).to(device)
        return torch.nn.functional.pad(state_BK, (0, width - state_BK.shape[1]))

    return (
        padded([segment.start_K for segment in segments]),
        padded([segment.end_K for segment in segments]),
        torch.tensor([segment.duration for segment in segments], device=device),
    )
