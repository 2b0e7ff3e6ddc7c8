"""A scripted expert that picks an object up and places it in a basket.

It is privileged: it reads where hand, object and basket are from the simulator, which a policy never
sees. It knows no simulator; `simulator.py` feeds it. Its actions are LIBERO's: a 7-vector in [-1, 1] for
robosuite's OSC_POSE controller at 20 Hz: three translations (1 asks for 5 cm), three rotations about the
world's axes (1 asks for 0.5 rad) and the gripper (-1 opens, +1 closes).

Straight moves with a frozen wrist would leave three of the seven dimensions constant. So the hand turns
towards where it works, as an arm with a shoulder would, and leans into its horizontal motion. Both
follow from what is visible, so that a policy can learn them.

Frames are the world's, lengths metres. Arrays named `xyz` are (3,).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

OPEN, CLOSE = -1.0, 1.0
UP = np.array([0.0, 0.0, 1.0])
HAND_DOWN = Rotation.from_quat([1.0, 0.0, 0.0, 0.0])  # the hand's frame when it points straight down

# The controller covers about a fifth of a request in one step; higher gains make the hand oscillate.
POSITION_GAIN = 14.0  # action units per metre
ROTATION_GAIN = 2.0  # action units per radian

TURN = 0.5  # share of the azimuth, seen from the robot's base, that the hand turns by
LEAN = 0.15  # radians at full horizontal speed

FINGER = 0.035  # how far below the object's top the fingertips close
CLEARANCE = 0.08  # height above the grasp while the hand is not yet over the object
FUNNEL_RADIUS, FUNNEL_SLOPE = 0.01, 4.0  # the height allowed falls to 0 as the hand comes over the object
LIFT = 0.16  # height above the grasp while carrying: clears the neighbours and the basket's rim
DROP = 0.14  # height above the grasp when the fingers open over the basket


@dataclass(frozen=True)
class Scene:
    """What the expert sees in one control step; the object's box is the axis-aligned one of its geometry."""

    hand_xyz: np.ndarray
    hand_rotation: Rotation
    object_low_xyz: np.ndarray
    object_high_xyz: np.ndarray
    basket_xyz: np.ndarray
    base_xyz: np.ndarray

    @property
    def grasp_xyz(self) -> np.ndarray:
        """Where the fingers close: over the box's centre, a finger's length below its top, off the table."""
        x, y = (self.object_low_xyz[:2] + self.object_high_xyz[:2]) / 2
        return np.array([x, y, max(self.object_high_xyz[2] - FINGER, self.object_low_xyz[2] + 0.01)])


@dataclass(frozen=True)
class Phase:
    """One leg of the way: towards `target` until within `tolerance` metres, or for `max_steps`.

    A tolerance of 0 makes the phase last exactly `max_steps`, which is how long the fingers take.
    """

    name: str
    target: Callable[[Scene], np.ndarray]
    gripper: float
    tolerance: float
    max_steps: int


class PickAndPlace:
    """The expert of one episode; call `act` once per control step.

    Args:
        start: The scene before the first step: the carrying moves keep to heights above its grasp.
    """

    def __init__(self, start: Scene) -> None:
        grasp_xyz = start.grasp_xyz

        def above_basket(height: float) -> Callable[[Scene], np.ndarray]:
            return lambda scene: np.array([*scene.basket_xyz[:2], grasp_xyz[2] + height])

        self._phases = [
            Phase("reach", _over_then_down, OPEN, 0.01, 60),
            Phase("grasp", lambda scene: grasp_xyz, CLOSE, 0.0, 6),
            Phase("lift", lambda scene: grasp_xyz + LIFT * UP, CLOSE, 0.08, 30),
            Phase("carry", above_basket(LIFT), CLOSE, 0.03, 60),
            Phase("release", above_basket(DROP), OPEN, 0.0, 20),
        ]
        self._step_in_phase = 0

    @property
    def phase(self) -> str:
        """The name of the current phase, `finished` after the last."""
        return self._phases[0].name if self._phases else "finished"

    def act(self, scene: Scene) -> np.ndarray | None:
        """The action (7,) float32 for this scene, or None when every phase is over."""
        while self._phases and self._is_over(self._phases[0], scene):
            self._phases.pop(0)
            self._step_in_phase = 0
        if not self._phases:
            return None
        self._step_in_phase += 1
        phase = self._phases[0]
        target_xyz = phase.target(scene)
        translation = np.clip((target_xyz - scene.hand_xyz) * POSITION_GAIN, -1.0, 1.0)
        lean = Rotation.from_rotvec(LEAN * np.array([-translation[1], translation[0], 0.0]))
        wanted = lean * _turned_towards(target_xyz, scene.base_xyz) * HAND_DOWN
        error = (wanted * scene.hand_rotation.inv()).as_rotvec()
        rotation = np.clip(error * ROTATION_GAIN, -1.0, 1.0)
        return np.concatenate([translation, rotation, [phase.gripper]]).astype(np.float32)

    def _is_over(self, phase: Phase, scene: Scene) -> bool:
        distance = np.linalg.norm(phase.target(scene) - scene.hand_xyz)
        return bool(distance < phase.tolerance) or self._step_in_phase >= phase.max_steps


def _over_then_down(scene: Scene) -> np.ndarray:
    """The grasp, raised while the hand is not over it, so that open fingers do not sweep the object away."""
    distance = np.linalg.norm((scene.grasp_xyz - scene.hand_xyz)[:2])
    height = np.clip(FUNNEL_SLOPE * (distance - FUNNEL_RADIUS), 0.0, CLEARANCE)
    return scene.grasp_xyz + height * UP


def _turned_towards(target_xyz: np.ndarray, base_xyz: np.ndarray) -> Rotation:
    """About the vertical, by a share of the target's azimuth as seen from the robot's base."""
    x, y = (target_xyz - base_xyz)[:2]
    return Rotation.from_rotvec(TURN * np.arctan2(y, x) * UP)
