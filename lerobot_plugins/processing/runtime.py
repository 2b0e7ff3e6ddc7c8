"""What processor steps may know about the run that is being set up.

LeRobot gives the training dataset's metadata to the policy's constructor, and builds the processors
afterwards without it. So the constructor leaves it here, and a step asks when it is built or first used.
Nothing of this is serialised; where no training dataset is bound, steps use what their checkpoint holds.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingRun:
    """The dataset and the policy configuration of the run in this process."""

    meta: Any
    config: Any


_bound: TrainingRun | None = None


def bind(meta: Any, config: Any) -> None:
    """Remember the run whose policy is being constructed; `meta=None` (inference) forgets the last one."""
    global _bound
    _bound = None if meta is None else TrainingRun(meta, config)


def training_run() -> TrainingRun | None:
    """The run being trained in this process, if any."""
    return _bound
