"""Teleoperators that need no hands, as LeRobot configures them."""

import math
from dataclasses import dataclass
from pathlib import Path

from lerobot.teleoperators import TeleoperatorConfig

from lerobot_plugins.errors import ZooError


@TeleoperatorConfig.register_subclass("scripted_motion")
@dataclass(kw_only=True)
class ScriptedMotionConfig(TeleoperatorConfig):
    """Options of a scripted motion: every joint swings smoothly from its rest into its range and back.

    Rest is the pose in which the simulated robot wakes.

    Args:
        robot: Whose joints move: `fourier_gr2`, `galaxea_r1`, `galaxea_r1_lite`, `galaxea_r1_pro`.
        groups: Which parts move: `[left_arm, head]`; by default all but the base. The others stay at rest.
        amplitude: How far, as a share of the joint's range on the wider side of its rest. Less where the
            joint's rate would not allow it.
        period_s: Time of the first joint's swing there and back; the others' are up to half longer.
        layout: The robot's `layout` option, if it has one.
    """

    robot: str = "fourier_gr2"
    groups: list[str] | None = None
    amplitude: float = 0.3
    period_s: float = 4.0
    layout: str | None = None

    def __post_init__(self) -> None:
        for name, value, highest in (
            ("amplitude", self.amplitude, 1.0),
            ("period_s", self.period_s, math.inf),
        ):
            if not 0 < value <= highest or math.isinf(value):
                raise ZooError(
                    f"teleop.{name} is out of range",
                    got=value,
                    expected=f"a number above 0, at most {highest}"
                    if highest < math.inf
                    else "a number above 0",
                    do=f"correct --teleop.{name}",
                )


@TeleoperatorConfig.register_subclass("replay_motion")
@dataclass(kw_only=True)
class ReplayMotionConfig(TeleoperatorConfig):
    """Options of a recorded motion: the actions of a dataset's episode, at the rate they were recorded.

    Args:
        repo_id: The dataset, `owner/name`.
        root: Its folder; by default the one LeRobot uses for this id.
        episode: Which episode.
        robot: Whose actions they are; by default what the dataset says.
        dataset_layout: Layout of the dataset, where its names and widths do not tell.
        layout: The robot's `layout` option, if it has one.
        loop: Begin again after the last action; otherwise it is repeated.
    """

    repo_id: str = ""
    root: Path | None = None
    episode: int = 0
    robot: str | None = None
    dataset_layout: str | None = None
    layout: str | None = None
    loop: bool = False
