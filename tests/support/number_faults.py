"""Faults of states and actions, seeded into clean recordings, and what the doctor must say of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from robot_recordings import Recording, record, record_foreign, record_libero

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.layout import ACTION, STATE
from lerobot_plugins.doctor.finding import PROBLEM

BOTH = f"{ACTION} against {STATE}"
LEFT_ARM = [
    f"left_{part}_joint" for part in ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow_pitch")
]
LEFT_ARM += [f"left_wrist_{part}_joint" for part in ("yaw", "pitch", "roll")]
FINGERS = [f"L_{finger}_proximal_joint" for finger in ("index", "middle", "ring", "pinky")]
HANDS = [
    f"{side}_{finger}_proximal_joint" for side in "LR" for finger in ("index", "middle", "ring", "pinky")
]
HANDS += [f"{side}_thumb_proximal_{angle}_joint" for side in "LR" for angle in ("pitch", "yaw")]
LITE_LEFT = [f"left_arm_joint{i}.pos" for i in range(1, 7)]
QUATERNION = [f"base_quat_{part}" for part in "xyzw"]


@dataclass(frozen=True)
class Told:
    """What a finding must say.

    Args:
        name: Of the finding.
        columns: All that are seeded; it names them and no other.
        feature: That it names.
        episode: None where the whole dataset is meant.
        frame: Likewise.
        state: `problem` or `warning`.
    """

    name: str
    columns: tuple[str, ...] = ()
    feature: str | None = None
    episode: int | None = None
    frame: int | None = None
    state: str = PROBLEM


@dataclass(frozen=True)
class Fault:
    """A seeded fault.

    Args:
        recording: The clean one.
        seed: Puts the fault in.
        told: The findings, all of them.
    """

    recording: Callable[[], Recording]
    seed: Callable[[Recording], Recording]
    told: tuple[Told, ...]


@cache
def gr2(seed: int = 0) -> Recording:
    return record(catalog.layout("fourier_gr2", "v1_37"), seed=seed)


@cache
def lite(seed: int = 0) -> Recording:
    return record(catalog.layout("galaxea_r1_lite", "plugin"), names="full", seed=seed)


@cache
def lite_mm(seed: int = 0) -> Recording:
    return record(catalog.layout("galaxea_r1_lite", "arms_14"), names="full", seed=seed)


@cache
def lite_arms(short: bool = False) -> Recording:
    lengths = (24, 24) if short else (90, 80, 70)
    return record(catalog.layout("galaxea_r1_lite", "arms_14_unit"), names="full", lengths=lengths)


@cache
def behavior(seed: int = 0) -> Recording:
    return record(catalog.layout("r1_pro", "state_23"), names="full", seed=seed)


@cache
def libero(seed: int = 0) -> Recording:
    return record_libero(seed)


@cache
def foreign(seed: int = 0) -> Recording:
    return record_foreign(scale=1.0, noise=0.002, seed=seed)


def put(feature: str, name: str, episode: int, frames: slice, value: float, add: bool = False) -> Callable:
    """Write a value into a number for some frames."""

    def seed(recording: Recording) -> Recording:
        def write(values_TD: np.ndarray) -> np.ndarray:
            values_TD[frames] = values_TD[frames] + value if add else value
            return values_TD

        return recording.change(feature, [name], write, [episode])

    return seed


def scaled(feature: str, names: list[str], factor: float, offset: float = 0.0) -> Callable:
    """Record numbers in another unit."""
    return lambda recording: recording.change(feature, names, lambda values: values * factor + offset)


def swapped(features: tuple[str, ...], names: list[str], others: list[str]) -> Callable:
    """Exchange two lists of numbers."""

    def seed(recording: Recording) -> Recording:
        order = dict(zip([*names, *others], [*others, *names], strict=True))
        for feature in features:
            recording = recording.reorder(feature, order)
        return recording

    return seed


def right(names: list[str]) -> list[str]:
    """The other side's names."""
    return [name.replace("left", "right").replace("L_", "R_") for name in names]


def _in_order_of_action(recording: Recording) -> Recording:
    names = recording.features[STATE]["names"]
    return recording.reorder(STATE, dict(zip(names, recording.features[ACTION]["names"], strict=True)))


def _late(recording: Recording) -> Recording:
    """The state of 1 s earlier."""
    spoiled = recording.copy()
    for columns in spoiled.episodes:
        shift = recording.fps
        for key in columns:
            columns[key] = columns[key][:-shift] if key == STATE else columns[key][shift:]
    return spoiled


def _foreign_action(recording: Recording) -> Recording:
    """Episode 2 has the beginning of episode 0's action."""
    spoiled = recording.copy()
    length = len(spoiled.episodes[2][ACTION])
    spoiled.episodes[2][ACTION] = recording.episodes[0][ACTION][:length].copy()
    return spoiled


def _copied_episode(recording: Recording) -> Recording:
    spoiled = recording.copy()
    spoiled.episodes[2] = {key: values.copy() for key, values in spoiled.episodes[0].items()}
    return spoiled


def _written_twice(recording: Recording) -> Recording:
    """Frames 30 to 49 of episode 1 are there twice."""
    spoiled = recording.copy()
    spoiled.episodes[1] = {
        key: np.concatenate([values[:50], values[30:50], values[50:]])
        for key, values in spoiled.episodes[1].items()
    }
    return spoiled


def _half_rate(recording: Recording) -> Recording:
    """Every second frame, as if they had been recorded at the full rate."""
    spoiled = recording.copy()
    spoiled.episodes = [{key: values[::2] for key, values in columns.items()} for columns in spoiled.episodes]
    return spoiled


def _shuffled_in_time(recording: Recording) -> Recording:
    return recording.change(
        ACTION, ["right_elbow_pitch_joint"], lambda values: np.roll(values[::-1], 17, axis=0)
    )


def hold(frames: slice) -> Callable[[np.ndarray], np.ndarray]:
    """A stream that stops for a while."""

    def stop(values_TD: np.ndarray) -> np.ndarray:
        values_TD[frames] = values_TD[frames.start]
        return values_TD

    return stop


_ARMS = tuple(LEFT_ARM + right(LEFT_ARM))
_LITE_ARMS = tuple(LITE_LEFT + right(LITE_LEFT))
DEAD = "right_wrist_yaw_joint"

FAULTS: dict[str, Fault] = {
    "NaN in the state": Fault(
        gr2,
        put(STATE, "left_elbow_pitch_joint", 1, slice(40, 43), float("nan")),
        (Told("finite", ("left_elbow_pitch_joint",), STATE, 1, 40),),
    ),
    "infinity in the action": Fault(
        lite,
        put(ACTION, "right_arm_joint3.pos", 2, slice(7, 8), float("inf")),
        (Told("finite", ("right_arm_joint3.pos",), ACTION, 2, 7),),
    ),
    "degrees in the arms of the state": Fault(
        gr2, scaled(STATE, list(_ARMS), 180 / np.pi), (Told("units", _ARMS, STATE),)
    ),
    "degrees in one joint of the action": Fault(
        gr2,
        scaled(ACTION, ["left_elbow_pitch_joint"], 180 / np.pi),
        (Told("units", ("left_elbow_pitch_joint",), ACTION),),
    ),
    "degrees in a foreign robot's state": Fault(
        foreign,
        scaled(STATE, ["elbow_flex.pos"], 180 / np.pi),
        (Told("units", ("elbow_flex.pos",), BOTH, state="warning"),),
    ),
    "gripper of 0 to 100 for 0 to 1": Fault(
        lite, scaled(STATE, ["right_gripper.pos"], 100), (Told("grippers", ("right_gripper.pos",), STATE),)
    ),
    "gripper of 0 to 1 for 0 to 100": Fault(
        lite_mm, scaled(ACTION, ["left_gripper"], 0.01), (Told("grippers", ("left_gripper",), ACTION),)
    ),
    "gripper of 0 to 1 for -1 to 1": Fault(
        behavior,
        scaled(ACTION, ["left_gripper.pos"], 0.5, 0.5),
        (Told("grippers", ("left_gripper.pos",), ACTION),),
    ),
    "gripper of 1 open for -1 open": Fault(
        libero, scaled(ACTION, ["gripper"], -1), (Told("grippers", ("gripper",), BOTH),)
    ),
    "arms exchanged in the action": Fault(
        gr2, swapped((ACTION,), LEFT_ARM, right(LEFT_ARM)), (Told("order", _ARMS, BOTH),)
    ),
    "arms exchanged in the state": Fault(
        lite, swapped((STATE,), LITE_LEFT, right(LITE_LEFT)), (Told("order", _LITE_ARMS, BOTH),)
    ),
    "arms exchanged in state and action": Fault(
        gr2,
        swapped((STATE, ACTION), LEFT_ARM, right(LEFT_ARM)),
        (Told("order", _ARMS, STATE), Told("order", _ARMS, ACTION)),
    ),
    "fingers from the pinky in the state": Fault(
        gr2, swapped((STATE,), FINGERS[:2], FINGERS[:1:-1]), (Told("order", tuple(FINGERS), BOTH),)
    ),
    "wrist as yaw, roll, pitch in the action": Fault(
        gr2,
        swapped((ACTION,), ["right_wrist_pitch_joint"], ["right_wrist_roll_joint"]),
        (Told("order", ("right_wrist_pitch_joint", "right_wrist_roll_joint"), BOTH),),
    ),
    "hands exchanged in the action": Fault(
        gr2,
        swapped((ACTION,), FINGERS, right(FINGERS)),
        (Told("order", tuple(FINGERS + right(FINGERS)), BOTH),),
    ),
    "state with grippers where the action has them": Fault(
        behavior,
        _in_order_of_action,
        (Told("order", ("left_gripper.pos", *(f"right_arm_{i}.pos" for i in range(1, 8))), BOTH),),
    ),
    "hands in the SDK's space": Fault(
        gr2,
        lambda recording: scaled(STATE, HANDS[:8], -1, 0.17)(
            scaled(STATE, HANDS[8::2], 1, 0.12)(scaled(STATE, HANDS[9::2], -1)(recording))
        ),
        (Told("units", tuple(HANDS), STATE),),
    ),
    "a joint beyond its limits": Fault(
        gr2,
        scaled(STATE, ["head_pitch_joint"], 1, 0.9),
        (Told("limits", ("head_pitch_joint",), STATE),),
    ),
    "a dead encoder": Fault(
        gr2,
        lambda recording: recording.change(STATE, [DEAD], lambda values: 0 * values + 0.25),
        (Told("constant", (DEAD,), STATE),),
    ),
    "an action that was never filled in": Fault(
        gr2,
        lambda recording: recording.change(ACTION, [DEAD], lambda values: 0 * values),
        (Told("constant", (DEAD,), ACTION),),
    ),
    "a stream that stops": Fault(
        gr2,
        lambda recording: recording.change(STATE, LEFT_ARM, hold(slice(20, 55)), [1]),
        (Told("frozen", tuple(LEFT_ARM), STATE, 1, 20),),
    ),
    "a state that stops altogether": Fault(
        foreign,
        lambda recording: recording.change(STATE, slice(None), hold(slice(30, 60)), [2]),
        (Told("frozen", feature=STATE, episode=2, frame=30),),
    ),
    "a joint that is elsewhere from one frame on": Fault(
        lite,
        put(STATE, "left_arm_joint1.pos", 0, slice(50, 60), 1.2, add=True),
        (Told("jumps", ("left_arm_joint1.pos",), STATE, 0),),
    ),
    "a spike in the action": Fault(
        gr2,
        put(ACTION, "right_shoulder_yaw_joint", 2, slice(33, 34), 1.0, add=True),
        (Told("jumps", ("right_shoulder_yaw_joint",), ACTION, 2, 33),),
    ),
    "a joint with the opposite sign": Fault(
        gr2,
        scaled(ACTION, ["left_shoulder_yaw_joint"], -1),
        (Told("agreement", ("left_shoulder_yaw_joint",), BOTH),),
    ),
    "a joint whose action is of another time": Fault(
        gr2, _shuffled_in_time, (Told("agreement", ("right_elbow_pitch_joint",), BOTH),)
    ),
    "a state that is 1 s late": Fault(gr2, _late, (Told("timing", feature=BOTH),)),
    "an action of another episode": Fault(
        gr2, _foreign_action, (Told("agreement", feature=BOTH, episode=2),)
    ),
    "a quaternion that was never filled in": Fault(
        gr2,
        lambda recording: recording.change(STATE, QUATERNION, lambda values: 0 * values, [1]),
        (Told("quaternions", tuple(QUATERNION), STATE, 1, 0),),
    ),
    "a quaternion with its scalar first": Fault(
        gr2,
        lambda recording: recording.reorder(
            STATE, dict(zip(QUATERNION, [QUATERNION[3], *QUATERNION[:3]], strict=True))
        ),
        (Told("quaternions", tuple(QUATERNION), STATE),),
    ),
    "an episode that is there twice": Fault(gr2, _copied_episode, (Told("copies", episode=2),)),
    "frames that were written twice": Fault(gr2, _written_twice, (Told("copies", episode=1, frame=50),)),
    "every second frame at the full rate": Fault(lite, _half_rate, (Told("fps"),)),
}
