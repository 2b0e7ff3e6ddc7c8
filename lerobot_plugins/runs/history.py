"""What was logged during a training run: steps and series.

Shapes: N logged steps.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lerobot_plugins.errors import ZooError

# The names that LeRobot's text log, its Weights & Biases runs and openpi give to the same numbers.
NAMES = {
    "grdn": "grad_norm",
    "train/loss": "loss",
    "train/grad_norm": "grad_norm",
    "train/lr": "lr",
    "learning_rate": "lr",
    "updt_s": "update_s",
    "data_s": "dataloading_s",
}


@dataclass(frozen=True)
class History:
    """A run's log.

    Attributes:
        source: Where it was read.
        kind: `lerobot`, `openpi` or `wandb`.
        step_N: Optimizer steps, rising.
        series: Name -> values (N,), NaN where a step has none. Values that are not finite stay so;
            `logged` tells them from absent ones.
        logged: Name -> where the step has a value (N,).
    """

    source: Path
    kind: str
    step_N: np.ndarray
    series: Mapping[str, np.ndarray]
    logged: Mapping[str, np.ndarray]

    def points(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of a series where it was logged; both empty for one that never was."""
        if name not in self.series:
            return np.zeros(0), np.zeros(0)
        mask_N = self.logged[name]
        return self.step_N[mask_N], self.series[name][mask_N]


def history_of(source: Path, kind: str, rows: Iterable[tuple[int, Mapping[str, float]]]) -> History:
    """Rows of a log as series.

    A resumed run logs steps again that were lost with the interruption: the later row counts.

    Args:
        source: Where the rows were read.
        kind: What wrote them.
        rows: (step, name -> value), in the order in which they were written.

    Raises:
        ZooError: There are none.
    """
    by_step: dict[int, dict[str, float]] = {}
    for step, values in rows:
        if step in by_step:
            for later in [other for other in by_step if other > step]:
                del by_step[later]
        by_step.setdefault(step, {}).update({NAMES.get(name, name): value for name, value in values.items()})
    if not by_step:
        raise ZooError(
            f"{source} holds no logged step",
            expected="lines of lerobot-train (step:200 ... loss:0.1 ...) or openpi (Step 100: loss=0.1, ...)",
            do="give what lerobot-train printed, its --output_dir with an offline wandb run, or openpi's log",
        )
    step_N = np.array(sorted(by_step))
    names = sorted({name for values in by_step.values() for name in values})
    table = {name: np.array([by_step[step].get(name, np.nan) for step in step_N]) for name in names}
    logged = {name: np.array([name in by_step[step] for step in step_N]) for name in names}
    return History(source, kind, step_N, table, logged)
