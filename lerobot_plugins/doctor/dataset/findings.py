"""What a check of a dataset says, and where in the dataset that is."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from lerobot_plugins.doctor.finding import OK, PROBLEM, WARNING

Value = float | int | str


class Place(NamedTuple):
    """A frame of an episode."""

    episode: int
    frame: int

    def __str__(self) -> str:
        return f"episode {self.episode}, frame {self.frame}"


@dataclass(frozen=True)
class DatasetFinding:
    """One line of the doctor about a dataset.

    Args:
        name: What was checked: `limits`, `order`, `cameras` ...
        state: `ok`; `warning`: worth knowing; `problem`: it would spoil a training or mislead.
        detail: What was found, in words.
        do: What to do about it.
        feature: The feature that it is in, `observation.state`.
        columns: The numbers of the feature, by name.
        episode: The first episode that shows it.
        frame: The first frame in this episode.
        value: What was found there.
        limit: What was expected.
    """

    name: str
    state: str
    detail: str
    do: str | None = None
    feature: str | None = None
    columns: tuple[str, ...] = ()
    episode: int | None = None
    frame: int | None = None
    value: Value | None = None
    limit: Value | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        content = asdict(self)
        for key in ("value", "limit"):
            # JSON has no word for what is not finite.
            if isinstance(content[key], float) and not math.isfinite(content[key]):
                content[key] = str(content[key])
        return content


def ok(name: str, detail: str) -> DatasetFinding:
    """Nothing to complain of."""
    return DatasetFinding(name, OK, detail)


def warning(name: str, detail: str, do: str, **where: Any) -> DatasetFinding:
    """Worth knowing; the dataset can be trained on."""
    return DatasetFinding(name, WARNING, detail, do, **where)


def problem(name: str, detail: str, do: str, **where: Any) -> DatasetFinding:
    """Something that fails or misleads."""
    return DatasetFinding(name, PROBLEM, detail, do, **where)


def leave_out(episode: int) -> str:
    """LeRobot's command that deletes an episode."""
    return (
        "leave it out: lerobot-edit-dataset --operation.type=delete_episodes "
        f"--operation.episode_indices='[{episode}]' --repo_id=... --root=..."
    )


def listed(names: Sequence[str], limit: int = 8) -> str:
    """The first few of many names, in their own order."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def number(value: float) -> str:
    """A number with four digits."""
    return f"{value:.4g}"
