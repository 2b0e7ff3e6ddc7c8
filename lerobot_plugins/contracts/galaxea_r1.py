"""Galaxea R1, R1 Lite and R1 Pro: two arms with grippers, a torso, a base on wheels.

Action: left arm, left gripper, right arm, right gripper (for the R1 Lite the 14 numbers of the published
policies), then torso positions, then the base's velocities in its own frame. State: the same, measured, then
the measured joint velocities of arms and torso.

Grippers run from 0 closed to 1 open; on the wire they are 0 to 100 mm. Limits are what two descriptions both
allow: the URDF of GalaxeaManipSim (Apache-2.0, hard limits) and the official one (1 or 2 degrees of margin).
"""

from lerobot_plugins.contracts.joints import Joint, symmetric
from lerobot_plugins.contracts.robot import Camera, RobotContract, Signal

Pair = tuple[float, float]
SIDES = ("left", "right")

ARM_RATE = 1.8  # rad/s; far below the motors' limits, the same care as on the GR-2
TORSO_RATE = 0.5  # rad/s; the vendor's bound for turning the torso
GRIPPER_RATE = 2.0  # strokes per second; the fingers could do 5
#: Largest accelerations that the chassis accepts: x, y in m/s^2, yaw in rad/s^2.
BASE_ACCELERATION = (2.5, 1.0, 1.0)
BASE_SPEED = (1.5, 1.5, 3.0)  # what the chassis can do: m/s, m/s, rad/s
#: What others who deploy on it allow, and below which they send 0.
CAREFUL_BASE_SPEED = (0.3, 0.3, 0.4)
BASE_DEAD_BAND = (0.01, 0.01, 0.05)
BASE_NAMES = ("base_x.vel", "base_y.vel", "base_yaw.vel")
GRIPPER_STROKE_MM = 100.0

# Per robot and part: limits in the ManipSim URDF, which both arms share unless stated.
_R1_ARM = (
    symmetric(2.8798, 20.944, 40.0),
    Joint(0.0, 3.2289, 20.944, 40.0),
    Joint(-3.3161, 0.0, 7.5398, 27.0),
    symmetric(2.8798, 25.133, 7.0),
    symmetric(1.6581, 25.133, 7.0),
    symmetric(2.8798, 25.133, 7.0),
)
_R1_TORSO = (
    Joint(-1.1345, 1.8326, 2.5, 100.0),
    Joint(-2.7925, 2.5307, 2.5, 100.0),
    Joint(-1.8326, 1.5708, 2.5, 100.0),
    symmetric(3.0543, 2.5, 100.0),
)
_LITE_ARM = (
    symmetric(2.8798, 10.472, 27.0),
    Joint(0.0, 3.1416, 12.5664, 50.0),
    Joint(-3.3161, 0.0, 10.472, 27.0),
    symmetric(1.5708, 32.9867, 14.0),
    symmetric(1.5708, 32.9867, 14.0),
    symmetric(2.8798, 32.9867, 14.0),
)
_LITE_TORSO = (
    Joint(-1.5708, 0.436333, 2.5, 100.0),
    symmetric(2.705262, 2.5, 100.0),
    symmetric(1.5708, 2.5, 100.0),
)
_PRO_ARM = (
    Joint(-4.4506, 1.309, 7.1209, 55.0),
    Joint(-0.1745, 3.1416, 7.1209, 55.0),  # mirrored on the right
    symmetric(2.356196, 8.3776, 25.0),
    Joint(-1.7453, 0.3491, 8.3776, 25.0),
    symmetric(2.356196, 10.472, 18.0),
    symmetric(1.047198, 10.472, 18.0),
    symmetric(1.5708, 10.472, 18.0),
)

# The official descriptions of 2025 (R1 Lite) and 2026 (R1 Pro); torso joint 4 of the latter is not known.
_LITE_ARM_OFFICIAL: tuple[Pair, ...] = (
    (-2.86235, 2.86235),
    (0.017453, 3.124147),
    (-3.298647, -0.017453),
    (-1.553347, 1.553347),
    (-1.553347, 1.553347),
    (-2.862347, 2.862347),
)
_LITE_TORSO_OFFICIAL: tuple[Pair, ...] = ((-1.55335, 0.41888), (-2.68781, 2.68781), (-1.55335, 1.55335))
_PRO_ARM_OFFICIAL: tuple[Pair, ...] = (
    (-4.415693, 1.274093),
    (-0.139593, 3.106693),
    (-2.321289, 2.321289),
    (-2.059493, 0.314193),
    (-2.321289, 2.321289),
    (-1.012291, 1.012291),
    (-1.535893, 1.535893),
)
_PRO_TORSO_OFFICIAL: tuple[Pair, ...] = (
    (-1.273547, 1.812547),
    (-2.670347, 2.682547),
    (-1.709547, 1.535847),
    (-3.0543, 3.0543),
)
_MIRRORED_ON_PRO = (1,)


def arm_joints(side: str, count: int) -> tuple[str, ...]:
    """`left_arm_joint1` .. of an arm with `count` joints."""
    return tuple(f"{side}_arm_joint{i}" for i in range(1, count + 1))


def torso_joints(count: int) -> tuple[str, ...]:
    """`torso_joint1` .. of a torso with `count` joints."""
    return tuple(f"torso_joint{i}" for i in range(1, count + 1))


def _joints(
    arm: tuple[Joint, ...], torso: tuple[Joint, ...], mirrored: tuple[int, ...] = ()
) -> dict[str, Joint]:
    joints = dict(zip(torso_joints(len(torso)), torso, strict=True))
    for side in SIDES:
        for i, (name, limits) in enumerate(zip(arm_joints(side, len(arm)), arm, strict=True)):
            joints[name] = limits.mirrored() if side == "right" and i in mirrored else limits
    return joints


def _narrow(joints: tuple[Joint, ...], pairs: tuple[Pair, ...]) -> tuple[Joint, ...]:
    return tuple(joint.narrowed(*pair) for joint, pair in zip(joints, pairs, strict=True))


#: Robot type -> joint -> limits of the ManipSim URDF: beyond them lies the mechanical stop.
HARD_LIMITS: dict[str, dict[str, Joint]] = {
    "galaxea_r1": _joints(_R1_ARM, _R1_TORSO),
    "galaxea_r1_lite": _joints(_LITE_ARM, _LITE_TORSO),
    "galaxea_r1_pro": _joints(_PRO_ARM, _R1_TORSO, _MIRRORED_ON_PRO),
}
#: Robot type -> joint -> limits that every description allows; the contracts have these.
JOINTS: dict[str, dict[str, Joint]] = {
    "galaxea_r1": HARD_LIMITS["galaxea_r1"],
    "galaxea_r1_lite": _joints(
        _narrow(_LITE_ARM, _LITE_ARM_OFFICIAL), _narrow(_LITE_TORSO, _LITE_TORSO_OFFICIAL)
    ),
    "galaxea_r1_pro": _joints(
        _narrow(_PRO_ARM, _PRO_ARM_OFFICIAL), _narrow(_R1_TORSO, _PRO_TORSO_OFFICIAL), _MIRRORED_ON_PRO
    ),
}


def _position(name: str, group: str, joint: Joint, rate: float | None) -> Signal:
    return Signal(f"{name}.pos", "rad", group, joint.lower, joint.upper, rate, joint=name, aliases=(name,))


def _gripper(side: str, rate: float | None) -> Signal:
    name = f"{side}_gripper"
    return Signal(f"{name}.pos", "unit", name, 0.0, 1.0, rate, aliases=(name,))


def _positions(joints: dict[str, Joint], *, commanded: bool) -> list[Signal]:
    """Arms, grippers and torso in the order of the action; with rates if `commanded`."""
    signals: list[Signal] = []
    for side in SIDES:
        signals += [
            _position(name, f"{side}_arm", joint, ARM_RATE if commanded else None)
            for name, joint in joints.items()
            if name.startswith(f"{side}_arm")
        ]
        signals.append(_gripper(side, GRIPPER_RATE if commanded else None))
    signals += [
        _position(name, "torso", joint, TORSO_RATE if commanded else None)
        for name, joint in joints.items()
        if name.startswith("torso")
    ]
    return signals


def _base(*, commanded: bool) -> list[Signal]:
    units = ("m/s", "m/s", "rad/s")
    return [
        Signal(name, unit, "base", -speed, speed, change if commanded else None, aliases=(name[:-4],))
        for name, unit, speed, change in zip(BASE_NAMES, units, BASE_SPEED, BASE_ACCELERATION, strict=True)
    ]


def _joint_velocities(joints: dict[str, Joint]) -> list[Signal]:
    """Arms, then torso. No alias: the bare name is the position's."""
    return [
        Signal(f"{name}.vel", "rad/s", name.rpartition("_")[0], -joints[name].velocity, joints[name].velocity)
        for part in (*(f"{side}_arm" for side in SIDES), "torso")
        for name in joints
        if name.startswith(part)
    ]


def _contract(robot_type: str) -> RobotContract:
    joints = JOINTS[robot_type]
    return RobotContract(
        robot_type=robot_type,
        state=(
            *_positions(joints, commanded=False),
            *_base(commanded=False),
            *_joint_velocities(joints),
        ),
        action=(*_positions(joints, commanded=True), *_base(commanded=True)),
        cameras=(
            Camera("head", 720, 1280, depth=robot_type != "galaxea_r1_lite"),
            Camera("left_wrist", 720, 1280, depth=True),
            Camera("right_wrist", 720, 1280, depth=True),
        ),
        fps=15,
        sources=(
            "Rampantsen/GalaxeaManipSim URDFs (3fcaecc, Apache-2.0)",
            "userguide-galaxea/URDF (a915b30)",
            "OpenGalaxea/GalaxeaLeRobotToolkit (f0f33f3, Apache-2.0)",
        ),
    )


GALAXEA_R1 = _contract("galaxea_r1")
GALAXEA_R1_LITE = _contract("galaxea_r1_lite")
GALAXEA_R1_PRO = _contract("galaxea_r1_pro")
