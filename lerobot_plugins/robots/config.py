"""The options that all robot plugins share: `--robot.backend=sim --robot.dry_run=true ...`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lerobot.cameras import CameraConfig
from lerobot.robots import RobotConfig

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backends import SHARED_BACKENDS, BackendSource

METRIC, LEGACY_GRAY3 = "metric", "legacy_gray3"
DEPTH_MODES = (METRIC, LEGACY_GRAY3)

# Fields that hold a time in seconds, a size or a share, and their smallest sensible value.
_AT_LEAST = {
    "max_age_s": 0.01,
    "watchdog_s": 0.0,
    "ramp_s": 0.0,
    "low_pass_s": 0.0,
    "lead_s": 0.05,
    "margin": 0.0,
    "sim_height": 16,
    "sim_width": 16,
    "replay_episode": 0,
}


@dataclass(kw_only=True)
class ZooRobotConfig(RobotConfig):
    """Options of every robot of the zoo. Subclasses add what their transports need.

    Args:
        backend: What moves: `sim` (simulation), `replay` (a recorded episode answers, nothing moves), or one
            of the robot's transports.
        cameras: LeRobot's cameras by name, `{camera_top: {type: opencv, index_or_path: 0, width: 640,
            height: 480, fps: 30}}`. A name of the robot's own camera replaces the backend's picture.
        backend_cameras: Which of the robot's cameras the backend shows. By default, in `sim` and `replay`
            all that `cameras` does not name, elsewhere none.
        use_depth: Whether the backend's cameras that measure depth also give `<camera>_depth`.
        depth_mode: `metric`: (H, W, 1) uint16 in mm, a depth feature of LeRobot. `legacy_gray3`: the 8-bit
            grey of older GR-2 recordings, (H, W, 3), each frame divided by its own maximum.
        layout: Present another layout of the robot's datasets (`lerobot_plugins.contracts.catalog.layouts`)
            than its own, for a policy that was trained on one; by default the robot's own.
        dry_run: Check, limit and log commands, send none.
        enable_base: Let commands move the base. Otherwise they are replaced by standing still.
        max_age_s: The oldest measurement or picture that counts as present, seconds.
        watchdog_s: After this time without an action the robot holds its position and its velocities are
            zeroed; 0 switches the watchdog off.
        ramp_s: The way to the first target begins at a twentieth of the speed and reaches full speed after
            this time, unless the target is reached before; 0 switches it off.
        low_pass_s: Time constant of a low pass on position commands, seconds; 0 is none. 0.077 s is a share
            of 0.35 per step at 30 Hz.
        lead_s: How far a target may be ahead of the measured position: what the signal's rate covers in this
            time.
        margin: A command that exceeds a limit by more than this share of the signal's range is refused
            instead of clamped: such a number has another unit or belongs to another joint.
        limits: Other position limits than the contract's, `{left_elbow_pitch_joint.pos: [-1.9, 0.08]}`.
        rates: Other rates than the contract's, unit per second, `{head_yaw_joint.pos: 1.0}`.
        sim_height: Height of simulated pictures; by default the contract's.
        sim_width: Their width.
        replay_repo_id: The recorded dataset that `replay` answers from, `owner/name`.
        replay_root: Its folder; by default the one LeRobot uses for this id.
        replay_episode: Which of its episodes.
        replay_layout: Its layout, where its names and widths do not tell.
    """

    # Which backends there are, by name: no option, stated by each robot's class.
    backends: ClassVar[Mapping[str, BackendSource]] = SHARED_BACKENDS

    backend: str = "sim"
    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    backend_cameras: list[str] | None = None
    use_depth: bool = True
    depth_mode: str = METRIC
    layout: str | None = None

    dry_run: bool = False
    enable_base: bool = False
    max_age_s: float = 0.5
    watchdog_s: float = 0.5
    ramp_s: float = 6.0
    low_pass_s: float = 0.0
    lead_s: float = 0.5
    margin: float = 0.2
    limits: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    sim_height: int | None = None
    sim_width: int | None = None

    replay_repo_id: str | None = None
    replay_root: Path | None = None
    replay_episode: int = 0
    replay_layout: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("backend", tuple(self.backends))
        self._one_of("depth_mode", DEPTH_MODES)
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= least):
                raise ZooError(
                    f"robot.{name} is out of range",
                    got=value,
                    expected=f"a number of at least {least}",
                    do=f"correct --robot.{name}",
                )

    def _one_of(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            raise ZooError(
                f"robot.{name} is unknown",
                got=getattr(self, name),
                expected=" or ".join(choices),
                do=f"correct --robot.{name}",
            )

    @property
    def has_pictures(self) -> bool:
        """Whether the backend shows the robot's cameras unasked."""
        return self.backend in SHARED_BACKENDS
