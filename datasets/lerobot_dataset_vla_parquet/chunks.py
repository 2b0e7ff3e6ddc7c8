"""Actions that hold not one step but the next steps as well.

T rows; W numbers of a row; H steps of A numbers each, W = H * A.
"""

import numpy as np

from lerobot_plugins.errors import ZooError

# Fewer different steps may repeat by chance.
_DIFFERENT_STEPS = 4


def guess_step_width(action_TW: np.ndarray) -> int | None:
    """A, if each row holds its own step and those that the next rows hold; None if it does not."""
    width = action_TW.shape[1]
    for step in range(1, width // 2 + 1):
        if width % step or len(np.unique(action_TW[:, :step], axis=0)) < _DIFFERENT_STEPS:
            continue
        if np.array_equal(action_TW[:-1, step : 2 * step], action_TW[1:, :step]):
            return step
    return None


def require_whole_steps(width: int, step: int) -> None:
    """Refuse a W that is no multiple of A."""
    if width % step:
        raise ZooError(
            "--per-action-dim does not divide the width of the actions [chunked-actions]",
            got=f"{width} numbers, steps of {step}",
            expected="a divisor of the width",
        )


def first_steps(action_TW: np.ndarray, step: int) -> np.ndarray:
    """The step of each row, (T, A).

    Raises:
        ZooError: A row's second step is not the next row's first.
    """
    if action_TW.shape[1] > step:
        differs_T = (action_TW[:-1, step : 2 * step] != action_TW[1:, :step]).any(axis=1)
        if differs_T.any():
            frame = int(np.argmax(differs_T))
            raise ZooError(
                f"the second step of frame {frame}'s action is not the first of the next [chunked-actions]",
                got=action_TW[frame, step : 2 * step].tolist(),
                expected=action_TW[frame + 1, :step].tolist(),
                do="check --per-action-dim",
            )
    return action_TW[:, :step]
