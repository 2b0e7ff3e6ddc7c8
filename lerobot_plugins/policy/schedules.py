"""Learning-rate schedules: openpi's cosine, and steps at milestones.

LeRobot's cosine for this family counts from step 0 and shrinks the warm-up of short runs; openpi's
counts from the end of the warm-up and keeps it. Halfway through 30,000 steps the rates differ by 5 %.
"""

import math
from dataclasses import dataclass, field

from lerobot.optim.schedulers import LRSchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lerobot_plugins.errors import ZooError


@LRSchedulerConfig.register_subclass("openpi_cosine")
@dataclass
class OpenPICosineSchedulerConfig(LRSchedulerConfig):
    """Linear warm-up from peak / (W + 1), then half a cosine from the peak to `decay_lr`.

    With several parameter groups, each group's own learning rate takes the same course, scaled by its
    ratio to the peak.

    Args:
        num_warmup_steps: W, the steps before the peak.
        num_decay_steps: The step at which `decay_lr` is reached, warm-up included. 0 is the run's length,
            and so is anything shorter.
        peak_lr: Highest learning rate.
        decay_lr: Learning rate at the end, at most the peak.
    """

    num_warmup_steps: int = 1000
    num_decay_steps: int = 0
    peak_lr: float = 2.5e-5
    decay_lr: float = 2.5e-6

    def __post_init__(self) -> None:
        if self.num_warmup_steps < 0 or self.num_decay_steps < 0:
            raise ZooError(
                "a learning-rate schedule counts steps from 0",
                got=f"num_warmup_steps={self.num_warmup_steps}, num_decay_steps={self.num_decay_steps}",
                expected="neither below 0",
            )
        if not 0 <= self.decay_lr <= self.peak_lr or self.peak_lr == 0:
            raise ZooError(
                "a learning rate decays from its peak",
                got=f"peak_lr={self.peak_lr}, decay_lr={self.decay_lr}",
                expected="0 <= decay_lr <= peak_lr, peak_lr above 0",
            )

    def build(self, optimizer: Optimizer, num_training_steps: int) -> LambdaLR:
        """The scheduler of a run of `num_training_steps` optimizer steps."""
        decay_steps = max(self.num_decay_steps, num_training_steps)
        return LambdaLR(optimizer, lambda step: self.lr(step, decay_steps) / self.peak_lr)

    def lr(self, step: int, decay_steps: int) -> float:
        """Learning rate of the optimizer step with number `step`, counted from 0."""
        warmup = self.num_warmup_steps
        if step < warmup:
            first = self.peak_lr / (warmup + 1)
            return first + (self.peak_lr - first) * step / warmup
        progress = min(1.0, (step - warmup) / max(1, decay_steps - warmup))
        return self.decay_lr + (self.peak_lr - self.decay_lr) * 0.5 * (1 + math.cos(math.pi * progress))


@LRSchedulerConfig.register_subclass("zoo_multistep")
@dataclass
class MultistepSchedulerConfig(LRSchedulerConfig):
    """Linear warm-up from a tenth of the peak, then a factor at each milestone (VLA-Adapter's schedule).

    Args:
        num_warmup_steps: Steps before the peak.
        milestones: Optimizer steps from which on the rate is lower.
        gamma: What each milestone multiplies it by.
    """

    num_warmup_steps: int = 0
    milestones: list[int] = field(default_factory=list)
    gamma: float = 0.1

    def __post_init__(self) -> None:
        rising = list(self.milestones) == sorted(set(self.milestones))
        early = bool(self.milestones) and self.milestones[0] < max(self.num_warmup_steps, 1)
        if self.num_warmup_steps < 0 or not rising or early or not 0 < self.gamma <= 1:
            raise ZooError(
                "a learning-rate schedule has wrong milestones",
                got=f"warm-up {self.num_warmup_steps}, milestones {self.milestones}, gamma {self.gamma}",
                expected="rising milestones behind the warm-up, and a factor above 0, at most 1",
            )

    def build(self, optimizer: Optimizer, num_training_steps: int) -> LambdaLR:
        """The scheduler of a run; its length does not matter."""
        return LambdaLR(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """Share of the peak at the optimizer step with number `step`, counted from 0."""
        if step < self.num_warmup_steps:
            return 0.1 + 0.9 * step / self.num_warmup_steps
        return self.gamma ** sum(step >= milestone for milestone in self.milestones)
