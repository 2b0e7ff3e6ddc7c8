"""States of the GR-2's whole body in Aurora, and what it obeys in each.

Source: Fourier's reference of controllers (support.fftai.com) and fourier_aurora_sdk 1.3.0. Read, not tried
on a robot.
"""

from dataclasses import dataclass

NAMES = {
    0: "Default",
    1: "JointStand",
    2: "PdStand",
    3: "RL locomotion",
    **{state: f"UserController {letter}" for state, letter in zip(range(4, 9), "BCDEF", strict=True)},
    9: "SecurityProtection",
    10: "UserCmd",
    11: "UpperBodyUserCmd",
}
PROTECTION = 9
#: Aurora takes velocities from the joystick (0), a handheld device (1) or from programs (2).
FROM_PROGRAMS = 2

VELOCITIES = ("base_vel_x.vel", "base_vel_y.vel", "base_vel_yaw.vel")
STAND_POSE = ("base_vel_height.vel", "base_vel_pitch.vel", "base_base_yaw.pos")


@dataclass(frozen=True)
class Mode:
    """What the robot obeys in one state.

    Args:
        state: Aurora's number of it.
        joints: Joint commands of the upper body.
        velocity: Velocities of the base.
        stand_pose: Height, pitch and yaw of the trunk over standing feet.
        needs: What must hold the robot.
    """

    state: int
    joints: bool
    velocity: bool
    stand_pose: bool
    needs: str


MODES = {
    mode.state: mode
    for mode in (
        Mode(2, joints=True, velocity=False, stand_pose=True, needs="it stands by itself, or hangs"),
        Mode(
            3, joints=False, velocity=True, stand_pose=False, needs="it must stand on the floor, never hang"
        ),
        Mode(10, joints=True, velocity=False, stand_pose=False, needs="it must hang: nothing balances it"),
        Mode(
            11, joints=True, velocity=False, stand_pose=False, needs="it must hang or sit: its legs go limp"
        ),
    )
}


def describe(state: int) -> str:
    """`11 UpperBodyUserCmd`."""
    return f"{state} {NAMES.get(state, 'unknown')}"
