"""A MuJoCo model from a robot's contract and body.

Joints and motors bear the names of the contract's joints, limits are the contract's. Motors are position
servos that reach their full torque at an error of 0.1 rad, are damped critically, and turn no faster than the
real ones. Gravity is compensated: what is held stays where it is. Nothing collides.

The base moves in the plane by three servos of its own, `base_x` and `base_y` in the world's directions and
`base_yaw`; where a body rises, also `base_height` and `base_pitch`.
"""

from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.simulation.links import GROUND, TRUNK, Body, Eye, Link, Motor, Shape, X, Y, Z
from lerobot_plugins.robots.simulation.scene import furnish, numbers

TIMESTEP_S = 0.002
IMU = "imu"
BASE_X, BASE_Y, BASE_YAW = "base_x", "base_y", "base_yaw"
BASE_HEIGHT, BASE_PITCH = "base_height", "base_pitch"

_FULL_EFFORT_AT = 0.1  # rad
_SLIDE_FULL_EFFORT_AT = 0.01  # m
# The rotor's inertia behind its gear, kg m^2 per N m of torque, as usual for such drives; kg of a gripper's.
_ARMATURE_PER_EFFORT, _LEAST_ARMATURE, _SLIDE_ARMATURE = 5e-4, 1e-3, 0.2
_NEAR_M, _FAR_M = 0.01, 20.0
# Per base servo: axis, kind, stiffness (N/m or N m/rad), which lets it follow within a twentieth of a second.
_BASE_SERVOS = {
    BASE_X: (X, "slide", 1e5),
    BASE_Y: (Y, "slide", 1e5),
    BASE_YAW: (Z, "hinge", 2e4),
    BASE_HEIGHT: (Z, "slide", 1e5),
    BASE_PITCH: (Y, "hinge", 2e4),
}


def mjcf(contract: RobotContract, body: Body) -> str:
    """The model as MJCF.

    Args:
        contract: Gives the joints that are commanded, their limits, and the cameras.
        body: Its links.

    Raises:
        ZooError: The contract has other joints than the body, or a camera that the body lacks.
    """
    root = Element("mujoco", model=contract.robot_type)
    SubElement(root, "compiler", angle="radian", autolimits="true", inertiafromgeom="true")
    option = SubElement(root, "option", timestep=numbers(TIMESTEP_S), integrator="implicitfast")
    option.set("jacobian", "dense")  # a quarter faster than sparse for robots of this size
    SubElement(option, "flag", contact="disable")
    SubElement(root, "statistic", extent="1", center="0 0 1")
    _visual(root)
    world = SubElement(root, "worldbody")
    furnish(root, world, body.table_xz)
    motors = commanded_joints(contract, body)
    _robot(world, body, motors)
    _cameras(root, contract, body)
    _actuators(root, body, motors)
    _followers(root, body)
    sensors = SubElement(root, "sensor")
    SubElement(sensors, "accelerometer", name="acc", site=IMU)
    SubElement(sensors, "gyro", name="omega", site=IMU)
    return tostring(root, encoding="unicode")


def commanded_joints(contract: RobotContract, body: Body) -> dict[str, tuple[float, float]]:
    """Joint -> limits, of all joints with a motor, in the order of the action.

    Raises:
        ZooError: A signal without limits, or other joints than the body's.
    """
    joints = {}
    for signal in contract.action:
        joint, scale = joint_of(signal, body)
        if joint is None or not signal.exists:
            continue
        if signal.lower is None or signal.upper is None:
            raise ZooError(f"{signal.name} has no limits", expected="a lower and an upper limit")
        joints[joint] = (signal.lower * scale, signal.upper * scale)
    driven = {link.joint for link in body.links if link.mimics is None}
    if joints.keys() != driven:
        raise ZooError(
            f"the simulated body of {contract.robot_type} has other joints than its contract commands",
            got=f"only in the contract: {first_names(joints.keys() - driven) or 'none'}",
            expected=f"only in the body: {first_names(driven - joints.keys()) or 'none'}",
        )
    return joints


def joint_of(signal: Signal, body: Body) -> tuple[str | None, float]:
    """The joint behind a position signal, or None, and the joint's units per unit of the signal."""
    stem, _, kind = signal.name.rpartition(".")
    if kind != "pos":
        return None, 1.0
    return body.grippers.get(stem, (signal.joint, 1.0))


def base_joints(body: Body) -> list[str]:
    """The base's servos."""
    planar = [BASE_X, BASE_Y, BASE_YAW]
    return [*planar, BASE_HEIGHT, BASE_PITCH] if body.rises else planar


def _visual(root: Element) -> None:
    visual = SubElement(root, "visual")
    SubElement(visual, "headlight", ambient="0.38 0.38 0.38", diffuse="0.32 0.32 0.32", specular="0 0 0")
    # No smoothing of edges: it would smooth depth too, and costs most of the time without a GPU.
    SubElement(visual, "quality", offsamples="0", numslices="20", numstacks="12")
    SubElement(visual, "map", znear=numbers(_NEAR_M), zfar=numbers(_FAR_M))


def _robot(world: Element, body: Body, motors: dict[str, tuple[float, float]]) -> None:
    ground = SubElement(world, "body", name=GROUND, gravcomp="1")
    for name in (BASE_X, BASE_Y, BASE_YAW):
        _base_joint(ground, name)
    _shapes(ground, body.ground, body.ground_mass, body)
    trunk = SubElement(ground, "body", name=TRUNK, pos=numbers(0, 0, body.trunk_z), gravcomp="1")
    if body.rises:
        _base_joint(trunk, BASE_HEIGHT)
        _base_joint(trunk, BASE_PITCH)
    _shapes(trunk, body.trunk, body.trunk_mass, body)
    SubElement(trunk, "site", name=IMU, pos=numbers(*body.imu), size="0.005", rgba="0 0 0 0")
    made = {TRUNK: trunk}
    for link in body.links:
        made[link.joint] = _link(made[link.parent], link, body, _limits(link, motors))


def _base_joint(parent: Element, name: str) -> None:
    axis, kind, _ = _BASE_SERVOS[name]
    SubElement(parent, "joint", name=name, type=kind, axis=numbers(*axis))


def _limits(link: Link, motors: dict[str, tuple[float, float]]) -> tuple[float, float]:
    """How far a joint goes."""
    leader, factor = link.mimics or (link.joint, 1.0)
    lower, upper = motors[leader]
    return factor * lower, factor * upper


def _link(parent: Element, link: Link, body: Body, limits: tuple[float, float]) -> Element:
    element = SubElement(parent, "body", name=link.joint, pos=numbers(*link.xyz), gravcomp="1")
    joint = SubElement(
        element,
        "joint",
        name=link.joint,
        type="slide" if link.slides else "hinge",
        axis=numbers(*link.axis),
        range=numbers(*limits),
        solreflimit=numbers(2 * TIMESTEP_S, 1),  # a hard stop
    )
    joint.attrib.update(_drag(body.motors.get(link.joint), link.slides))
    _shapes(element, link.shapes, link.mass, body)
    return element


def _drag(motor: Motor | None, slides: bool) -> dict[str, str]:
    """What a motor adds to its joint: its rotor's inertia, and a drag that eats its torque at full speed."""
    if motor is None:
        return {"armature": numbers(_LEAST_ARMATURE)}
    armature = _SLIDE_ARMATURE if slides else max(_ARMATURE_PER_EFFORT * motor.effort, _LEAST_ARMATURE)
    return {"armature": numbers(armature), "damping": numbers(motor.effort / motor.speed)}


def _shapes(parent: Element, shapes: tuple[Shape, ...], mass: float, body: Body) -> None:
    """The first has the mass, the others none."""
    for i, shape in enumerate(shapes):
        geom = SubElement(
            parent,
            "geom",
            type=shape.kind,
            size=numbers(*shape.size),
            rgba=numbers(*body.palette[shape.colour], 1.0),
            mass=numbers(0.0 if i else mass),
        )
        if shape.to is None:
            geom.set("pos", numbers(*shape.at))
        else:
            geom.set("fromto", numbers(*shape.at, *shape.to))


def _cameras(root: Element, contract: RobotContract, body: Body) -> None:
    places = {element.get("name"): element for element in root.iter("body")}
    for camera in contract.cameras:
        if camera.name not in body.eyes:
            raise ZooError(
                f"the simulated {contract.robot_type} has no such camera",
                got=camera.name,
                expected=" or ".join(body.eyes) or "none",
            )
        eye = body.eyes[camera.name]
        SubElement(
            places[eye.link],
            "camera",
            name=camera.name,
            pos=numbers(*eye.xyz),
            xyaxes=numbers(*_picture_axes(eye)),
            fovy=numbers(eye.fovy),
        )


def _picture_axes(eye: Eye) -> tuple[float, ...]:
    """What is right and what is up in the picture, in the link's frame."""
    right = np.cross(eye.forward, eye.up)
    up = np.cross(right, eye.forward)
    return (*right.tolist(), *up.tolist())


def _actuators(root: Element, body: Body, motors: dict[str, tuple[float, float]]) -> None:
    actuators = SubElement(root, "actuator")
    for joint, limits in motors.items():
        effort = body.motors[joint].effort
        stiffness = effort / (_SLIDE_FULL_EFFORT_AT if body.link(joint).slides else _FULL_EFFORT_AT)
        SubElement(
            actuators,
            "position",
            name=joint,
            joint=joint,
            ctrlrange=numbers(*limits),
            kp=numbers(stiffness),
            dampratio="1",
            forcerange=numbers(-effort, effort),
        )
    for joint in base_joints(body):
        SubElement(
            actuators, "position", name=joint, joint=joint, kp=numbers(_BASE_SERVOS[joint][2]), dampratio="1"
        )


def _followers(root: Element, body: Body) -> None:
    equality = SubElement(root, "equality")
    for link in body.links:
        if link.mimics is not None:
            leader, factor = link.mimics
            SubElement(
                equality, "joint", joint1=link.joint, joint2=leader, polycoef=numbers(0, factor, 0, 0, 0)
            )
