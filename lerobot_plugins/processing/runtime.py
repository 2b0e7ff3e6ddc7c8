"""What processor steps may know about the run that is being set up.

LeRobot gives the training dataset's metadata to the policy's constructor, and builds the processors
afterwards without it. So the constructor leaves it here, and a step asks when it is built or first used.
Nothing of this is serialised; where no training dataset is bound, steps use what their checkpoint holds.
"""

from dataclasses import dataclass
from typing import Any

from lerobot.configs import parser


@dataclass(frozen=True)
class TrainingRun:
    """The run in this process.

    Attributes:
        meta: Metadata of the training dataset.
        config: Configuration of the policy.
        resumed: Whether it continues an earlier run, so that what its checkpoint holds wins.
    """

    meta: Any
    config: Any
    resumed: bool = False


_bound: TrainingRun | None = None


def bind(meta: Any, config: Any) -> None:
    """Remember the run whose policy is being constructed; `meta=None` (inference) forgets the last one."""
    global _bound
    # LeRobot does not tell policies of --resume; it finds the checkpoint by the same look at argv.
    resumed = (parser.parse_arg("resume") or "").lower() in ("true", "1", "yes")
    _bound = None if meta is None else TrainingRun(meta, config, resumed)


def training_run() -> TrainingRun | None:
    """The run being trained in this process, if any."""
    return _bound
