"""What clients call an observation's parts, and what the policy calls them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError, first_names

_PROMPTS = ("prompt", "task")
_TASK_ID = "task_id"


@dataclass(frozen=True)
class ObservationMap:
    """Turns a client's message into a batch of one.

    Args:
        features: The policy's inputs: name -> shape, pictures (C, H, W).
        pictures: Which of them are pictures.
        given: Client's key -> feature; a feature named here is taken from no other key.
        prompt: The task where a message has none.
        tasks: Number -> task, for clients that send `task_id`.
        conversions: Feature -> what makes it of the client's numbers.
    """

    features: Mapping[str, tuple[int, ...]]
    pictures: frozenset[str]
    given: Mapping[str, str] = field(default_factory=dict)
    prompt: str | None = None
    tasks: Mapping[int, str] = field(default_factory=dict)
    conversions: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.given.values()) - set(self.features)):
            raise ZooError("--map names no input of the policy", got=unknown, expected=sorted(self.features))

    def keys(self, feature: str) -> tuple[str, ...]:
        """Keys under which a client may send a feature: LeRobot's name, and openpi's ways to say it."""
        if chosen := tuple(key for key, name in self.given.items() if name == feature):
            return chosen
        short = feature.removeprefix("observation.").removeprefix("images.")
        slashed = short.replace(".", "/")
        ways = (feature, feature.replace(".", "/"), f"observation/{slashed}", f"images/{slashed}", slashed)
        return tuple(dict.fromkeys(ways))

    def batch(self, message: Any) -> dict[str, Any]:
        """A raw batch of one: pictures (1, 3, H, W) float32 in 0..1, vectors (1, D) float32, `task`.

        Raises:
            ZooError: A part is missing, said twice, or of another shape or type than the policy's.
        """
        if not isinstance(message, dict):
            raise ZooError("the message is no observation", got=type(message).__name__, expected="a map")
        sent = _flat(message)
        batch: dict[str, Any] = {}
        for feature, shape in self.features.items():
            found = [key for key in self.keys(feature) if key in sent]
            if len(found) != 1:
                raise ZooError(
                    f"the observation has {'no' if not found else 'more than one'} {feature}",
                    got=", ".join(sorted(sent))[:500] or "an empty map",
                    expected="one of " + ", ".join(self.keys(feature)),
                    do=f"send it under that key, or start the server with --map YOUR_KEY={feature}",
                )
            value, key = sent[found[0]], found[0]
            if feature in self.pictures:
                batch[feature] = _picture(value, key)
            else:
                batch[feature] = _vector(value, key, shape, self.conversions.get(feature))
        batch["task"] = [self._prompt(sent)]
        batch["robot_type"] = ""
        return batch

    def _prompt(self, sent: Mapping[str, Any]) -> str:
        found = next((sent[key] for key in _PROMPTS if key in sent), self.prompt)
        if found is None and self.tasks and _TASK_ID in sent:
            found = self._task(sent[_TASK_ID])
        if not isinstance(found, str):
            raise ZooError(
                "the observation has no task as text",
                got=type(found).__name__,
                expected="prompt",
                do="send `prompt`, or start the server with --prompt",
            )
        return found

    def _task(self, value: Any) -> str:
        numbers = np.asarray(value).ravel()
        if numbers.size != 1 or numbers.dtype.kind not in "iu" or int(numbers[0]) not in self.tasks:
            raise ZooError(
                f"{_TASK_ID} names no task of the server",
                got=str(value)[:50],
                expected=f"one of {first_names(self.tasks)}",
                do="send `prompt`, or start the server with the --tasks of these demonstrations",
            )
        return self.tasks[int(numbers[0])]


def _flat(message: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested maps as one, keys joined by `/`."""
    flat: dict[str, Any] = {}
    for key, value in message.items():
        flat |= _flat(value, f"{prefix}{key}/") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _picture(value: Any, key: str) -> Tensor:
    sound = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3 and value.size
    if not (sound and value.shape[2] in (3, 4)):
        raise ZooError(f"{key} is no picture", got=_described(value), expected="uint8 (H, W, 3)")
    # The simulator's pictures carry an alpha channel.
    rgb_HWC = torch.from_numpy(value[..., :3].copy())
    return rgb_HWC.permute(2, 0, 1).unsqueeze(0).float() / 255


def _vector(
    value: Any, key: str, shape: tuple[int, ...], convert: Callable[[np.ndarray], np.ndarray] | None
) -> Tensor:
    try:
        array = np.array(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ZooError(f"{key} is no array of numbers", got=_described(value), expected=shape) from error
    if convert is not None and array.ndim:
        array = convert(array)
    if array.shape != shape:
        raise ZooError(f"{key} has another shape than the policy's", got=array.shape, expected=shape)
    if not np.isfinite(array).all():
        raise ZooError(f"{key} holds numbers that are not finite", expected="finite numbers")
    return torch.from_numpy(array).unsqueeze(0)


def _described(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
