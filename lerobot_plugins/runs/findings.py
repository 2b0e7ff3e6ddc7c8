"""What a run's log says is wrong, or soon will be.

Shapes: N logged steps.
"""

from collections.abc import Callable, Iterator

import numpy as np

from lerobot_plugins.doctor.finding import OK, PROBLEM, WARNING, Finding
from lerobot_plugins.runs.history import History
from lerobot_plugins.runs.trend import trend

# Logged steps that a trend needs to mean something.
FEWEST_STEPS = 10
# A gradient norm so many times the median of the steps before is a spike.
SPIKE, SPIKE_WINDOW = 10.0, 50
LR_SHARE = 1e-3
# Of the run: every cosine to zero ends with a few steps of such a rate.
LR_USED_UP = 0.05
_SHOWN = 5


def findings(history: History) -> list[Finding]:
    """All checks of a log, in a fixed order."""
    return [finding for check in CHECKS for finding in check(history)]


def _finite(history: History) -> Iterator[Finding]:
    clean = True
    for name in history.series:
        step_N, value_N = history.points(name)
        bad_N = ~np.isfinite(value_N)
        if bad_N.any():
            clean = False
            first, count = int(step_N[bad_N][0]), int(bad_N.sum())
            yield Finding(
                "finite",
                PROBLEM,
                f"{name} is {value_N[bad_N][0]} at step {first}, {count} of {len(value_N)} logged steps",
                f"return to a checkpoint before step {first}; lerobot-plugins doctor --root=... checks data",
            )
    if clean:
        yield Finding("finite", OK, f"all of {len(history.series)} series")


def _loss(history: History) -> Iterator[Finding]:
    step_N, value_N = _usable(history, "loss")
    half = len(step_N) // 2
    if len(step_N) - half < FEWEST_STEPS:
        yield Finding(
            "loss", WARNING, f"too few logged steps for a trend: {len(step_N)}", "log more often: --log_freq"
        )
        return
    late = trend(step_N[half:], value_N[half:])
    low, high = late.interval
    text = (
        f"{late.direction} over steps {late.first_step} to {late.last_step}: {late.change:+.4g} at a mean of "
        f"{late.level:.4g}, 95 % between {low:+.4g} and {high:+.4g}"
    )
    if late.direction == "rising":
        yield Finding("loss", PROBLEM, text, "a lower learning rate, or an earlier checkpoint")
    elif late.direction == "flat":
        yield Finding("loss", OK, f"{text}: noise explains it")
    else:
        yield Finding("loss", OK, f"{text}: more steps lower it further")


def _warm_up(history: History) -> Iterator[Finding]:
    step_N, rate_N = _usable(history, "lr")
    if not len(rate_N):
        return
    peak = float(rate_N.max())
    rising = len(rate_N) >= 3 and bool((np.diff(rate_N) > 0).all())
    if rising:
        yield Finding(
            "warm-up",
            WARNING,
            f"the learning rate still rises at the last step {int(step_N[-1])}: {rate_N[-1]:.3g}",
            "more steps than --policy.scheduler_warmup_steps, or fewer of those",
        )
    if rate_N[-1] < peak * LR_SHARE and (rate_N < peak * LR_SHARE).mean() > LR_USED_UP:
        below = int(step_N[rate_N < peak * LR_SHARE][0])
        yield Finding(
            "rate",
            WARNING,
            f"the learning rate is below a thousandth of its peak {peak:.3g} since step {below}",
            "nothing is learned any more: end here, or train anew with a longer schedule",
        )
    elif not rising:
        yield Finding("rate", OK, f"peak {peak:.3g}, now {rate_N[-1]:.3g}")


def _gradients(history: History) -> Iterator[Finding]:
    step_N, norm_N = _usable(history, "grad_norm")
    if not len(norm_N):
        return
    if (norm_N == 0).any():
        first = int(step_N[norm_N == 0][0])
        yield Finding(
            "gradients", PROBLEM, f"the gradient is exactly 0 from step {first}", "is everything frozen?"
        )
    spikes = [
        (int(step_N[i]), float(norm_N[i]), float(median))
        for i in range(FEWEST_STEPS, len(norm_N))
        if norm_N[i] > SPIKE * (median := np.median(norm_N[max(0, i - SPIKE_WINDOW) : i])) > 0
    ]
    if spikes:
        shown = ", ".join(
            f"step {step}: {norm:.3g} after {median:.3g}" for step, norm, median in spikes[:_SHOWN]
        )
        more = f" (+{len(spikes) - _SHOWN} more)" if len(spikes) > _SHOWN else ""
        yield Finding(
            "gradients",
            WARNING,
            f"{len(spikes)} spikes of the gradient norm: {shown}{more}",
            "look at the frames of those steps; clipping is --policy.optimizer_grad_clip_norm",
        )
    elif (norm_N > 0).all():
        yield Finding("gradients", OK, f"norm {np.median(norm_N):.3g} in the median, no spike")


def _parameters(history: History) -> Iterator[Finding]:
    """openpi logs the norm of all parameters."""
    step_N, norm_N = _usable(history, "param_norm")
    if len(norm_N) < 2:
        return
    if (norm_N == norm_N[0]).all():
        yield Finding(
            "parameters",
            PROBLEM,
            f"their norm is {norm_N[0]:.8g} from step {int(step_N[0])} to {int(step_N[-1])}: nothing moves",
            "a learning rate that is too small, such as early in a warm-up, or everything is frozen",
        )
    else:
        yield Finding("parameters", OK, f"their norm goes from {norm_N[0]:.6g} to {norm_N[-1]:.6g}")


def _waiting(history: History) -> Iterator[Finding]:
    _, update_N = _usable(history, "update_s")
    _, data_N = _usable(history, "dataloading_s")
    if len(update_N) and len(data_N):
        share = float(data_N.sum() / (data_N.sum() + update_N.sum()))
        if share > 0.5:
            yield Finding(
                "waiting",
                WARNING,
                f"{share:.0%} of the time goes into loading data",
                "more --num_workers; pictures as JPEG instead of video (convert ... --images jpeg)",
            )
        else:
            yield Finding("waiting", OK, f"{share:.0%} of the time goes into loading data")


def _usable(history: History, name: str) -> tuple[np.ndarray, np.ndarray]:
    step_N, value_N = history.points(name)
    finite_N = np.isfinite(value_N)
    return step_N[finite_N], value_N[finite_N]


CHECKS: list[Callable[[History], Iterator[Finding]]] = [
    _finite,
    _loss,
    _warm_up,
    _gradients,
    _parameters,
    _waiting,
]
