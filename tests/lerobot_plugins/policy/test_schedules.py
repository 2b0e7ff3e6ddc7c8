"""Learning rates, step by step."""

import draccus
import pytest
import torch
from lerobot.optim.schedulers import LRSchedulerConfig

from lerobot_plugins.errors import ZooError
from lerobot_plugins.policy.schedules import MultistepSchedulerConfig, OpenPICosineSchedulerConfig

PEAK = 2.5e-5


def rates(config: OpenPICosineSchedulerConfig, steps: int, group_lrs: tuple[float, ...]) -> list[list[float]]:
    """What an optimizer sees in a run of this length, per parameter group."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in group_lrs]
    optimizer = torch.optim.SGD(groups)
    scheduler = config.build(optimizer, steps)
    seen = []
    for _ in range(steps + 1):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"peak_lr": 2.5e-5, "num_decay_steps": 30_000, "decay_lr": 0.0},
            {
                0: 2.497502e-8,
                1: 4.995005e-8,
                500: 1.251249e-5,
                1000: 2.5e-5,
                15_500: 1.25e-5,
                30_000: 0.0,
            },
        ),
        (
            {"peak_lr": 1e-4, "num_decay_steps": 200_000, "decay_lr": 1e-5},
            {0: 9.990010e-8, 1000: 1e-4, 100_000: 5.535520e-5, 200_000: 1e-5, 300_000: 1e-5},
        ),
        # Of the waypoint VLA.
        (
            {"peak_lr": 1e-4, "num_decay_steps": 10_000, "decay_lr": 1e-5},
            {0: 9.990010e-8, 500: 5.004995e-5, 1000: 1e-4, 5500: 5.5e-5, 10_000: 1e-5},
        ),
    ],
)
def test_reference_values(options, expected):
    config = OpenPICosineSchedulerConfig(num_warmup_steps=1000, **options)
    for step, value in expected.items():
        assert config.lr(step, config.num_decay_steps) == pytest.approx(value, rel=5e-7, abs=1e-20)


@pytest.mark.parametrize("decay_steps", [0, 40, 100], ids=["unset", "too short", "equal"])
def test_the_decay_lasts_at_least_as_long_as_the_run(decay_steps):
    config = OpenPICosineSchedulerConfig(10, decay_steps, PEAK, PEAK / 10)
    seen = [lr for (lr,) in rates(config, 100, (PEAK,))]
    assert seen[0] == pytest.approx(PEAK / 11)
    assert seen[10] == max(seen) == PEAK
    assert seen[55] == pytest.approx(PEAK * 0.55)
    assert seen[100] == pytest.approx(PEAK / 10)


def test_a_decay_longer_than_the_run_is_kept():
    """A run cut short trains at the rates of the long one."""
    long = OpenPICosineSchedulerConfig(10, 100, PEAK, 0.0)
    assert rates(long, 30, (PEAK,)) == rates(long, 100, (PEAK,))[:31]


def test_every_group_keeps_its_ratio_to_the_peak():
    seen = rates(OpenPICosineSchedulerConfig(3, 0, PEAK, PEAK / 10), 20, (PEAK, PEAK / 10))
    assert all(second == pytest.approx(first / 10) for first, second in seen)


def test_no_warm_up_and_a_run_shorter_than_the_warm_up():
    assert rates(OpenPICosineSchedulerConfig(0, 0, PEAK, 0.0), 4, (PEAK,))[0] == [PEAK]
    short = rates(OpenPICosineSchedulerConfig(10, 0, PEAK, 0.0), 4, (PEAK,))
    assert short[4][0] == pytest.approx(PEAK / 11 * 5)


def test_a_resumed_run_continues_at_its_rate():
    config = OpenPICosineSchedulerConfig(3, 0, PEAK, 0.0)
    whole = [lr for (lr,) in rates(config, 10, (PEAK,))]
    parameter = torch.nn.Parameter(torch.zeros(1))
    first = config.build(torch.optim.SGD([parameter], lr=PEAK), 10)
    for _ in range(6):
        first.optimizer.step()
        first.step()
    optimizer = torch.optim.SGD([parameter], lr=PEAK)
    second = config.build(optimizer, 10)
    optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    optimizer.step()
    second.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(whole[7])


def test_it_is_one_of_the_hosts_choices():
    config = OpenPICosineSchedulerConfig(7, 8, 1e-4, 1e-5)
    assert config.type == "openpi_cosine"
    assert draccus.decode(LRSchedulerConfig, draccus.encode(config, LRSchedulerConfig)) == config


@pytest.mark.parametrize(
    "options",
    [
        {"num_warmup_steps": -1},
        {"num_decay_steps": -1},
        {"peak_lr": 0.0, "decay_lr": 0.0},
        {"decay_lr": -1e-6},
        {"peak_lr": 1e-6, "decay_lr": 1e-5},
    ],
)
def test_impossible_schedules_are_refused(options):
    with pytest.raises(ZooError, match="learning"):
        OpenPICosineSchedulerConfig(**options)


# Steps at milestones.


def test_published_milestones():
    config = MultistepSchedulerConfig(100, [2200, 3000, 3600], 0.3)
    expected = {0: 2e-5, 50: 1.1e-4, 100: 2e-4, 2199: 2e-4, 2200: 6e-5, 3000: 1.8e-5, 3600: 5.4e-6}
    for step, value in expected.items():
        assert 2e-4 * config.factor(step) == pytest.approx(value)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    scheduler = config.build(optimizer, 10)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2e-5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2e-5 + 1.8e-6)


def test_milestones_are_one_of_the_hosts_choices():
    config = MultistepSchedulerConfig(4, [10, 20], 0.3)
    assert config.type == "zoo_multistep"
    assert draccus.decode(LRSchedulerConfig, draccus.encode(config, LRSchedulerConfig)) == config


@pytest.mark.parametrize(
    "options",
    [
        {"num_warmup_steps": -1},
        {"milestones": [5, 5]},
        {"milestones": [9, 5]},
        {"milestones": [0]},
        {"num_warmup_steps": 10, "milestones": [5]},
        {"gamma": 0.0},
        {"gamma": 1.5},
    ],
)
def test_wrong_milestones_are_refused(options):
    with pytest.raises(ZooError, match="wrong milestones"):
        MultistepSchedulerConfig(**options)
