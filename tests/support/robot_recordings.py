"""Recordings of robots that never were: smooth motions within the limits, and states that follow the actions.

A recording is kept in memory, and so are the faults that are put into it: most tests need no file.

T frames, D dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.joints import bare
from lerobot_plugins.contracts.layout import ACTION, KINDS, STATE, Layout
from lerobot_plugins.contracts.robot import Signal
from lerobot_plugins.doctor.dataset.dimensions import Description, describe
from lerobot_plugins.doctor.dataset.known_robot import know_robot
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

LENGTHS = (90, 80, 70)
DELAY = 2  # frames from an action to the state


@dataclass
class Recording:
    """A dataset in memory.

    Args:
        features: As info.json has them, without LeRobot's own.
        episodes: For each episode feature -> (T, D) float32.
        fps: Frames per second.
        robot_type: As info.json has it.
        layout: The layout that a user would have to name; None if names and widths tell.
    """

    features: dict[str, dict[str, Any]]
    episodes: list[dict[str, np.ndarray]]
    fps: int = 30
    robot_type: str = "unknown"
    layout: Layout | None = None
    tasks: list[str] = field(default_factory=lambda: ["grab the bottle", "put it down"])

    def description(self) -> Description:
        """What the doctor makes of it."""
        info = {"features": self.features, "robot_type": self.robot_type}
        named = self.layout.name if self.layout else None
        known = know_robot(info, self.episodes[0], None, named)
        return describe(self.features, self.fps, known.layout, known.contract)

    def data(self) -> list[EpisodeData]:
        """As the doctor reads it."""
        return [EpisodeData(i, dict(columns)) for i, columns in enumerate(self.episodes)]

    def copy(self) -> "Recording":
        """One that can be spoiled."""
        episodes = [{key: values.copy() for key, values in columns.items()} for columns in self.episodes]
        return replace(self, episodes=episodes, features={k: dict(v) for k, v in self.features.items()})

    def dims(self, feature: str, *names: str) -> list[int]:
        """Where names stand in a feature."""
        return [self.features[feature]["names"].index(name) for name in names]

    def change(
        self, feature: str, names: list[str] | slice, function: Any, episodes: Any = None
    ) -> "Recording":
        """Apply a function (T, D) -> (T, D) to columns, in all episodes or in some."""
        spoiled = self.copy()
        chosen = slice(None) if isinstance(names, slice) else self.dims(feature, *names)
        for i, columns in enumerate(spoiled.episodes):
            if episodes is None or i in episodes:
                columns[feature][:, chosen] = function(columns[feature][:, chosen])
        return spoiled

    def reorder(self, feature: str, order: Mapping[str, str]) -> "Recording":
        """Put the numbers of `order`'s values where its keys are named."""
        spoiled = self.copy()
        to, source = self.dims(feature, *order), self.dims(feature, *order.values())
        for clean, columns in zip(self.episodes, spoiled.episodes, strict=True):
            columns[feature][:, to] = clean[feature][:, source]
        return spoiled


def motion(
    rng: np.random.Generator, length: int, lower: float, upper: float, speed: float, fps: float
) -> np.ndarray:
    """Rests and smooth moves between random positions, (T,), never faster than `speed` per second."""
    inside = 0.1 * (upper - lower)
    position = rng.uniform(lower + inside, upper - inside)
    parts = [np.full(rng.integers(2, 8), position)]
    while sum(map(len, parts)) < length:
        goal = rng.uniform(lower + inside, upper - inside)
        goal = position + np.clip(goal - position, -0.9, 0.9)
        # A minimum-jerk motion is 1.875 times faster in its middle than on average.
        frames = max(6, int(np.ceil(1.875 * abs(goal - position) / speed * fps)))
        s = np.linspace(0, 1, frames)
        parts.append(position + (goal - position) * (10 * s**3 - 15 * s**4 + 6 * s**5))
        parts.append(np.full(rng.integers(0, 6), goal))
        position = goal
    return np.concatenate(parts)[:length]


def followed(action_T: np.ndarray, rng: np.random.Generator, noise: float, delay: int = DELAY) -> np.ndarray:
    """What a robot measures: the action somewhat later, softened, with noise."""
    late_T = np.concatenate([np.full(delay, action_T[0]), action_T])[: len(action_T)]
    soft_T = np.empty_like(late_T)
    soft_T[0] = late_T[0]
    for t in range(1, len(late_T)):
        soft_T[t] = soft_T[t - 1] + 0.6 * (late_T[t] - soft_T[t - 1])
    return soft_T + rng.normal(0, noise, len(soft_T)) if noise else soft_T


def record(
    layout: Layout,
    *,
    names: str = "bare",
    fps: int | None = None,
    noise: float = 0.002,
    idle: tuple[str, ...] = (),
    lengths: tuple[int, ...] = LENGTHS,
    seed: int = 0,
    asked: bool = False,
) -> Recording:
    """A clean recording of a robot that has a contract.

    Args:
        layout: How its columns stand.
        names: `bare` (without .pos and .vel), `full`, or `none`.
        fps: By default the contract's.
        noise: Of the measured positions.
        idle: Groups that are not used: their actions rest.
        lengths: Frames of each episode.
        seed: For another recording.
        asked: The layout must be named by the user.
    """
    contract = catalog.contract(layout.robot_type)
    fps = fps or contract.fps
    rng = np.random.default_rng(seed)
    episodes = []
    for length in lengths:
        signals = {
            "action": {s.name: _action(s, rng, length, fps, s.group in idle) for s in contract.action},
        }
        signals["state"] = _state(contract.state, signals["action"], rng, length, fps, noise)
        columns: dict[str, np.ndarray] = {}
        for kind in KINDS:
            for feature, chosen in layout.features(kind).items():
                values = [
                    (signals[kind].get(c.signal, np.zeros(length)) - c.offset) / c.scale for c in chosen
                ]
                columns[feature] = np.stack(values, axis=1).astype(np.float32)
        episodes.append(columns)
    features = {}
    for kind in KINDS:
        for feature, chosen in layout.features(kind).items():
            texts = [bare(c.name) if names == "bare" else c.name for c in chosen]
            features[feature] = {
                "dtype": "float32",
                "shape": (len(chosen),),
                "names": None if names == "none" else texts,
            }
    return Recording(features, episodes, fps, layout.robot_type, layout if asked else None)


def _action(signal: Signal, rng: np.random.Generator, length: int, fps: float, idle: bool) -> np.ndarray:
    if not signal.exists or signal.group == "base":
        return np.zeros(length)
    lower = -1.0 if signal.lower is None else max(signal.lower, -1.5)
    upper = 1.0 if signal.upper is None else min(signal.upper, 1.5)
    if idle:
        return np.full(length, 0.6 * lower + 0.4 * upper)
    if signal.group.endswith("gripper"):
        # Open, close, open: commands of a gripper switch.
        first, second = sorted(rng.integers(5, length - 5, 2))
        opened = np.ones(length)
        opened[first : max(second, first + 15)] = 0
        return lower + (upper - lower) * opened
    speed = {"hand": 3.0}.get(signal.group[-4:], 1.2)
    return motion(rng, length, lower, upper, speed, fps)


def _state(
    signals: tuple[Signal, ...],
    action: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    length: int,
    fps: float,
    noise: float,
) -> dict[str, np.ndarray]:
    state: dict[str, np.ndarray] = {}
    drift = {
        name: motion(rng, length, -0.2, 0.2, 0.3, fps) + rng.normal(0, noise, length)
        for name in ("x", "y", "roll", "pitch", "yaw")
    }
    quaternion = _quaternion(drift["roll"], drift["pitch"], drift["yaw"])
    for signal in signals:
        name = bare(signal.name)
        if signal.group.endswith("gripper"):
            state[signal.name] = _gripper(signal, action, rng, fps)
        elif signal.is_velocity and f"{name}.pos" in state:
            state[signal.name] = np.gradient(state[f"{name}.pos"]) * fps
        elif signal.name in action:
            state[signal.name] = followed(action[signal.name], rng, noise)
        elif name.startswith("base_quat_"):
            state[signal.name] = quaternion["xyzw".index(name[-1])]
        elif name.startswith("base_rpy_"):
            state[signal.name] = drift[name.removeprefix("base_rpy_")]
        elif name == "imu_acc_z":
            state[signal.name] = 9.81 + rng.normal(0, 0.05, length)
        else:
            state[signal.name] = drift["x" if name.endswith("x") else "y"] + rng.normal(0, 0.001, length)
    return state


def _gripper(
    signal: Signal, action: Mapping[str, np.ndarray], rng: np.random.Generator, fps: float
) -> np.ndarray:
    """Opens and closes within 0.4 s."""
    opened = (action[signal.name] + 1) / 2 if signal.unit == "m" else action[signal.name]
    position, values = float(opened[0]), []
    for goal in np.concatenate([np.full(DELAY, opened[0]), opened])[: len(opened)]:
        position += float(np.clip(goal - position, -2.5 / fps, 2.5 / fps))
        values.append(position)
    lower, upper = signal.lower or 0.0, 1.0 if signal.upper is None else signal.upper
    return lower + (upper - lower) * np.clip(np.array(values) + rng.normal(0, 0.001, len(values)), 0, 1)


def _quaternion(roll: np.ndarray, pitch: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """x, y, z, w, each (T,)."""
    (sr, cr), (sp, cp), (sy, cy) = ((np.sin(a / 2), np.cos(a / 2)) for a in (roll, pitch, yaw))
    return np.stack(
        [
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        ]
    )


def record_libero(seed: int = 0, lengths: tuple[int, ...] = LENGTHS) -> Recording:
    """LIBERO's arm: steps of the hand as actions, -1 opens the gripper."""
    rng = np.random.default_rng(seed)
    episodes = []
    for length in lengths:
        step_T6 = np.stack([np.gradient(motion(rng, length, -1, 1, 1.0, 20)) * 8 for _ in range(6)], axis=1)
        step_T6 = np.clip(step_T6, -1, 1)
        place_T6 = np.cumsum(np.concatenate([np.zeros((1, 6)), step_T6[:-1]]), axis=0) * [
            *[0.02] * 3,
            *[0.05] * 3,
        ]
        close_T = np.where((np.arange(length) // 25) % 2, 1.0, -1.0)
        opening_T = np.clip(followed((1 - close_T) / 2, rng, 0.002), 0, 1) * 0.04
        state = np.column_stack([place_T6 + np.array([0, 0, 1, 3.1, 0, 0]), opening_T, -opening_T])
        state += rng.normal(0, 1e-4, state.shape)
        action = np.column_stack([step_T6, close_T])
        episodes.append({STATE: state.astype(np.float32), ACTION: action.astype(np.float32)})
    layout = catalog.layout("libero_franka", "raw")
    features = {
        feature: {"dtype": "float32", "shape": (len(columns),), "names": [bare(c.name) for c in columns]}
        for feature, columns in ((STATE, layout.state), (ACTION, layout.action))
    }
    return Recording(features, episodes, 20, "libero_franka")


def record_foreign(
    *,
    absolute: bool = True,
    scale: float = 57.3,
    fps: int = 30,
    names: bool = True,
    noise: float = 0.05,
    seed: int = 0,
) -> Recording:
    """An arm that no contract knows, in degrees; its action is its next position, or the step to it."""
    rng = np.random.default_rng(seed)
    joints = [f"{j}.pos" for j in ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")]
    joints.append("gripper.pos")
    episodes = []
    for length in LENGTHS:
        goal_TD = np.stack([motion(rng, length, -1.5, 1.5, 1.5, fps) * scale for _ in joints[:-1]], axis=1)
        open_T = np.where((np.arange(length) // 20) % 2, 90.0, 5.0)
        goal_TD = np.column_stack([goal_TD, np.convolve(open_T, np.ones(6) / 6, mode="same")])
        state_TD = np.stack([followed(goal_TD[:, i], rng, noise) for i in range(len(joints))], axis=1)
        action_TD = goal_TD if absolute else np.diff(state_TD, axis=0, append=state_TD[-1:])
        episodes.append({STATE: state_TD.astype(np.float32), ACTION: action_TD.astype(np.float32)})
    features = {
        feature: {"dtype": "float32", "shape": (len(joints),), "names": joints if names else None}
        for feature in (STATE, ACTION)
    }
    return Recording(features, episodes, fps, "so101_follower")
