"""A fake Galaxea robot, without a transport: what its topics say, what it does when told, and faults.

Written from Galaxea's descriptions of topics and from the definitions of ROS 2's messages, which are
dictionaries here, as rosbridge has them. Joints go where they are told at once.
"""

import math
import random
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import simplejpeg

JOINT_STATE, TWIST_STAMPED, BOOL = "sensor_msgs/JointState", "geometry_msgs/TwistStamped", "std_msgs/Bool"
COMPRESSED, IMAGE = "sensor_msgs/CompressedImage", "sensor_msgs/Image"

ARM_JOINTS = {"galaxea_r1": 6, "galaxea_r1_lite": 6, "galaxea_r1_pro": 7}
TORSO_JOINTS = {"galaxea_r1": 4, "galaxea_r1_lite": 3, "galaxea_r1_pro": 4}
ARM = {side: f"/hdas/feedback_arm_{side}" for side in ("left", "right")}
GRIPPER = {side: f"/hdas/feedback_gripper_{side}" for side in ("left", "right")}
TORSO, CHASSIS = "/hdas/feedback_torso", "/motion_control/chassis_speed"
TO_ARM = {side: f"/motion_target/target_joint_state_arm_{side}" for side in ("left", "right")}
TO_GRIPPER = {side: f"/motion_target/target_position_gripper_{side}" for side in ("left", "right")}
TO_TORSO = "/motion_target/target_joint_state_torso"
TO_CHASSIS, TO_LIMIT = "/motion_target/target_speed_chassis", "/motion_target/chassis_acc_limit"
TO_BRAKE = "/motion_target/brake_mode"
HEAD = "/hdas/camera_head/left_raw/image_raw_color/compressed"
WRIST_DEPTH = "/hdas/camera_wrist_left/aligned_depth_to_color/image_raw"
WRIST = "/hdas/camera_wrist_left/color/image_raw/compressed"

#: Topic -> type of what it says and of what it listens to.
SAYS = {
    **dict.fromkeys([*ARM.values(), *GRIPPER.values(), TORSO], JOINT_STATE),
    CHASSIS: TWIST_STAMPED,
    HEAD: COMPRESSED,
    WRIST: COMPRESSED,
    WRIST_DEPTH: IMAGE,
}
LISTENS = {
    **dict.fromkeys([*TO_ARM.values(), *TO_GRIPPER.values(), TO_TORSO], JOINT_STATE),
    TO_CHASSIS: TWIST_STAMPED,
    TO_LIMIT: TWIST_STAMPED,
    TO_BRAKE: BOOL,
}
PERIOD_S = 0.01
DEAD_MAN_S = 0.25
HEIGHT, WIDTH = 48, 64


class FakeR1:
    """The robot and its faults, which are attributes to set.

    Args:
        robot_type: One of the three.

    Attributes:
        frozen: Topics that are not published.
        drop: Share of messages lost, both ways.
        nan: Topic -> index of a position that is measured as NaN.
        count: Topic -> how many positions and velocities it says.
        names: Topic -> what it calls its joints.
        late_s: How long messages were on their way.
        clock_s: What the robot's clock is ahead.
        deaf: Topics that nobody on the robot listens to.
        remote_mode: Of the remote control; 5 is software.
        braking: Whether the chassis brakes.
        received: All that arrived, (seconds, topic, message).
    """

    def __init__(self, robot_type: str = "galaxea_r1_lite") -> None:
        self.arm_joints, self.torso_joints = ARM_JOINTS[robot_type], TORSO_JOINTS[robot_type]
        # Inside the limits of all three robots: the second joint of an R1 Pro's right arm mirrors the left
        # one's.
        second = {"left": 1.0, "right": -1.0 if robot_type == "galaxea_r1_pro" else 1.0}
        self.position = {
            **{
                topic: [0.1, second[side], -0.5, -0.2, 0.3, 0.4, 0.5][: self.arm_joints]
                for side, topic in ARM.items()
            },
            **{topic: [40.0] for topic in GRIPPER.values()},
            TORSO: [0.2, -0.3, 0.4, 0.1][: self.torso_joints],
        }
        self.fourth_torso_joint = 0.0
        self.speed, self.limit, self.told_s = [0.0] * 3, [0.0] * 3, -math.inf
        self.frozen: set[str] = set()
        self.deaf: set[str] = set()
        self.drop = 0.0
        self.nan: dict[str, int] = {}
        self.count: dict[str, int] = {}
        self.names: dict[str, list[str]] = {}
        self.late_s = self.clock_s = 0.0
        self.remote_mode, self.braking = 5, False
        self.received: list[tuple[float, str, dict[str, Any]]] = []
        grey = np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))
        self.jpeg = simplejpeg.encode_jpeg(np.stack([grey, grey * 2, grey * 3], -1), quality=95)
        self.depth_mm = np.arange(HEIGHT * WIDTH, dtype="<u2").reshape(HEIGHT, WIDTH)

    def says(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All that it publishes now."""
        for topic in SAYS:
            if topic not in self.frozen and random.random() >= self.drop:
                yield topic, self._message(topic)

    def hears(self, topic: str, message: dict[str, Any]) -> None:
        """A message arrived."""
        if random.random() < self.drop:
            return
        self.received.append((time.monotonic(), topic, message))
        for side in ("left", "right"):
            if topic == TO_ARM[side]:
                self.position[ARM[side]] = list(message["position"])
            elif topic == TO_GRIPPER[side]:
                self.position[GRIPPER[side]] = list(message["position"])
        if topic == TO_TORSO:
            self.position[TORSO] = list(message["position"])
        elif topic == TO_LIMIT:
            self.limit = _planar(message)
        elif topic == TO_BRAKE:
            self.braking = message["data"]
        elif topic == TO_CHASSIS:
            self.speed, self.told_s = _planar(message), time.monotonic()

    def of(self, topic: str) -> list[dict[str, Any]]:
        """Messages that arrived on one topic, in order."""
        return [message for _, name, message in list(self.received) if name == topic]

    @property
    def moving(self) -> list[float]:
        """Velocities of the chassis: 0 unless all that it asks for is given."""
        obeys = self.remote_mode == 5 and not self.braking and time.monotonic() - self.told_s < DEAD_MAN_S
        return [
            speed if obeys and limit > 0 else 0.0 for speed, limit in zip(self.speed, self.limit, strict=True)
        ]

    def _message(self, topic: str) -> dict[str, Any]:
        now_s = time.time() + self.clock_s - self.late_s
        header = {"stamp": {"sec": int(now_s), "nanosec": int(now_s % 1 * 1e9)}, "frame_id": "x"}
        if SAYS[topic] == JOINT_STATE:
            return {"header": header, **self._joints(topic)}
        if topic == CHASSIS:
            x, y, yaw = self.moving
            twist = {"linear": {"x": x, "y": y, "z": 0.0}, "angular": {"x": 0.0, "y": 0.0, "z": yaw}}
            return {"header": header, "twist": twist}
        if SAYS[topic] == COMPRESSED:
            return {"header": header, "format": "rgb8; jpeg compressed bgr8", "data": self.jpeg}
        return {
            "header": header,
            "height": HEIGHT,
            "width": WIDTH,
            "encoding": "16UC1",
            "is_bigendian": 0,
            "step": 2 * WIDTH,
            "data": self.depth_mm.tobytes(),
        }

    def _joints(self, topic: str) -> dict[str, Any]:
        position = list(self.position[topic])
        if topic in ARM.values() and self.arm_joints == 6:
            position.append(33.0)  # the gripper, in an arm's message
        if topic == TORSO and self.torso_joints == 3:
            position.append(self.fourth_torso_joint)
        velocity = [0.01 * (i + 1) for i in range(len(position))] if topic not in GRIPPER.values() else []
        if topic in self.nan:
            position[self.nan[topic]] = math.nan
        count = self.count.get(topic, len(position))
        return {
            # Both arms call their joints the left one's.
            "name": self.names.get(topic, [f"left_arm_joint{i + 1}" for i in range(len(position))]),
            "position": position[:count],
            "velocity": velocity[:count],
            "effort": [],
        }


def _planar(message: dict[str, Any]) -> list[float]:
    twist = message["twist"]
    return [twist["linear"]["x"], twist["linear"]["y"], twist["angular"]["z"]]
