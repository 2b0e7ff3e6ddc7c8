"""Observation history: the steps that a policy sees, from a training batch or from its own memory.

In training LeRobot stacks the steps of a sample and flags those that lie before its episode. In acting one
step arrives at a time, so the policy remembers the last ones; before there are enough, the first one stands
in, flagged in the same way. What was computed from a step is kept with it: a step is encoded once, however
many chunks it helps to predict.

Legend: B environments or samples, T steps, C channels, h w picture size, P state dims.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lerobot.utils.constants import OBS_LANGUAGE_ATTENTION_MASK, OBS_LANGUAGE_TOKENS, OBS_STATE
from torch import Tensor

from lerobot_plugins.errors import ZooError

HISTORY_MODES = ("auto", "last", "per_frame", "joint", "compressed")
WINDOW = "observation.window"  # where a batch carries the remembered steps
PROMPT = (OBS_LANGUAGE_TOKENS, OBS_LANGUAGE_ATTENTION_MASK)


@dataclass(eq=False)
class Frame:
    """One observation, without a time dimension.

    Attributes:
        observation: Cameras (B, C, h, w), state (B, P), prompt tokens and their mask (B, L).
        encoded: What the policy made of it, once it did.
    """

    observation: dict[str, Any]
    encoded: Any = None


@dataclass
class Step:
    """A frame's place in what the policy sees.

    Attributes:
        frame: The observation.
        valid_B: False for rows whose episode had not begun.
    """

    frame: Frame
    valid_B: Tensor


class History:
    """The last steps of running environments.

    Args:
        num_steps: T.
        cameras: Feature names of the pictures.
        state: Whether the state is among what is remembered.
    """

    def __init__(self, num_steps: int, cameras: Sequence[str], state: bool) -> None:
        self.num_steps, self.cameras, self.state = num_steps, cameras, state
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._frames: deque[Frame] = deque(maxlen=self.num_steps)

    def push(self, batch: dict[str, Any]) -> tuple[Step, ...]:
        """Remember one step of every environment; returns the T steps to act on, oldest first.

        Raises:
            ZooError: The number of environments changed without `reset()`.
        """
        frame = Frame({key: batch[key] for key in (*self._keys(batch), *PROMPT) if key in batch})
        rows = [_rows(one) for one in (frame, *self._frames)]
        if len(set(rows)) > 1:
            raise ZooError(
                "the number of environments changed in the middle of an episode",
                got=f"a batch of {rows[0]}",
                expected=f"{rows[1]}, as since the last reset",
                do="call policy.reset() before the first batch of another size",
            )
        self._frames.append(frame)
        device = next(value.device for value in frame.observation.values())
        missing = self.num_steps - len(self._frames)
        places = [(self._frames[0], False)] * missing + [(one, True) for one in self._frames]
        return tuple(Step(one, torch.full((rows[0],), real, device=device)) for one, real in places)

    def is_stacked(self, batch: dict[str, Any]) -> bool:
        """Whether a batch brings its own history: its pictures have a time dimension."""
        return any(batch[name].ndim == 5 for name in self.cameras if name in batch)

    def steps(self, batch: dict[str, Any]) -> tuple[Step, ...]:
        """The T steps of a batch, oldest first: those remembered, or those stacked in it.

        Raises:
            ZooError: Pictures or state do not have T steps.
        """
        if WINDOW in batch:
            return batch[WINDOW]
        keys = self._keys(batch)
        for key in keys:
            _require_steps(batch[key], key, self.num_steps, ndim=3 if key == OBS_STATE else 5)
        prompt = {key: batch[key] for key in PROMPT if key in batch}
        valid_BT = self._valid(batch, keys)
        return tuple(
            Step(Frame({key: batch[key][:, step] for key in keys} | prompt), valid_BT[:, step])
            for step in range(self.num_steps)
        )

    def _keys(self, batch: dict[str, Any]) -> list[str]:
        return [key for key in (*self.cameras, *([OBS_STATE] if self.state else [])) if key in batch]

    def _valid(self, batch: dict[str, Any], keys: Sequence[str]) -> Tensor:
        """(B, T) bool; LeRobot flags a step in all features alike. The newest step always counts."""
        first = batch[keys[0]]
        valid_BT = torch.ones(first.shape[:2], dtype=torch.bool, device=first.device)
        for key in keys:
            if (padded := batch.get(f"{key}_is_pad")) is not None:
                valid_BT = valid_BT & ~padded.to(first.device).bool()
        valid_BT[:, -1] = True
        return valid_BT


def _rows(frame: Frame) -> int:
    return len(next(iter(frame.observation.values())))


def _require_steps(value: Tensor, key: str, num_steps: int, ndim: int) -> None:
    if value.ndim == ndim and value.shape[1] == num_steps:
        return
    shape = "(B, T, P)" if ndim == 3 else "(B, T, C, H, W)"
    raise ZooError(
        f"{key} does not hold the steps that this policy sees",
        got=f"shape {tuple(value.shape)}",
        expected=f"{shape} with T = n_obs_steps = {num_steps}",
        do="train with lerobot-train, which stacks them; to act, call select_action with one step at a time",
    )


def concatenated(frames: Sequence[Frame]) -> dict[str, Any]:
    """The frames as one batch of all their rows; prompts are padded to the longest.

    The frames must have the same keys.
    """
    return {key: _concatenated([frame.observation[key] for frame in frames]) for key in frames[0].observation}


def _concatenated(values: Sequence[Tensor]) -> Tensor:
    if values[0].ndim == 2:
        longest = max(value.shape[1] for value in values)
        values = [torch.nn.functional.pad(value, (0, longest - value.shape[1])) for value in values]
    return torch.cat(list(values))


def alike(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames in groups with the same keys: a camera may be absent at some steps."""
    groups: dict[frozenset[str], list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frozenset(frame.observation), []).append(frame)
    return list(groups.values())
