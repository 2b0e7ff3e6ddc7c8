"""A fake Aurora server on loopback, for tests: what a GR-2's server publishes and obeys, with faults.

Run as a program of its own, `python fake_aurora.py DOMAIN '{}'`; `FakeAurora` does that and speaks to it.
Written from the message definitions in `fourier_msgs` and from Fourier's documentation of states and topics.
Joints follow their commands by the law of first order; a state that obeys no joint commands ignores them.
"""

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

WIDTHS = {
    "left_leg": 6,
    "right_leg": 6,
    "waist": 1,
    "head": 2,
    "left_manipulator": 7,
    "right_manipulator": 7,
    "left_hand": 6,
    "right_hand": 6,
}
OPEN_HAND = [0.2, 0.2, 0.2, 0.2, 1.2, 0.0]
PERIOD_S = 0.01
LAG_S = 0.03
OBEYS_JOINTS = (2, 10, 11)


class FakeAurora:
    """The server as a process.

    Args:
        domain: DDS domain.
        options: As `tell`.
    """

    def __init__(self, domain: int, **options: Any) -> None:
        self.domain, self.options = domain, options
        self._process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        """Start it anew, in its first state, with no command received."""
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(self.domain), json.dumps(self.options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._answer() == {"ready": True}

    def tell(self, **options: Any) -> None:
        """Change its state or inject a fault from now on: any attribute of `Server`."""
        self._ask({"set": options})

    def received(self) -> dict[str, list]:
        """All commands that arrived since the last call, by kind, in order."""
        return self._ask({"report": True})

    def kill(self) -> None:
        """End it as a power failure does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


class Server:
    """State of the robot and its faults; `tell` sets any of these attributes.

    Args:
        options: Attributes to begin with.

    Attributes:
        fsm: State of the whole body.
        obeys_fsm: Whether it changes its state when told to.
        source: Where it takes velocities from; 2 is this program's commands.
        stable_level: How sure it is that it stands.
        frozen: Of `groups`, `base`, `mode`, `stand`: what is not published.
        drop: Share of messages lost, both ways.
        nan: Group -> index of a joint that is measured as NaN.
        order: Group -> indices of the joints that are measured, in order: reordered or short.
        reverse_groups: Publish groups in reverse order.
    """

    def __init__(self, **options: Any) -> None:
        self.fsm, self.obeys_fsm, self.source, self.stable_level = 11, True, 0, 200
        self.frozen: list[str] = []
        self.drop = 0.0
        self.nan: dict[str, int] = {}
        self.order: dict[str, list[int]] = {}
        self.reverse_groups = False
        self.stand = [0.0, 0.0, 0.0]
        self.position = {
            group: list(OPEN_HAND) if group.endswith("hand") else [0.0] * width
            for group, width in WIDTHS.items()
        }
        self.target = {group: list(values) for group, values in self.position.items()}
        self.commands: dict[str, list] = {
            kind: [] for kind in ("groups", "velocity", "stand", "fsm", "source", "other")
        }
        self.set(**options)

    def set(self, **options: Any) -> None:
        """Set attributes."""
        for name, value in options.items():
            if name not in vars(self):
                raise AttributeError(name)
            setattr(self, name, value)

    def obey(self, kind: str, value: Any) -> None:
        """A command arrived."""
        if random.random() < self.drop:
            return
        self.commands[kind].append(value)
        if kind == "groups" and self.fsm in OBEYS_JOINTS:
            self.target |= {group: values for group, values in value.items() if group in self.target}
        elif kind == "fsm" and self.obeys_fsm:
            self.fsm = value
        elif kind == "source":
            self.source = value
        elif kind == "stand" and self.fsm == 2:
            self.stand = value

    def advance(self) -> None:
        """One period passes."""
        share = 1 - math.exp(-PERIOD_S / LAG_S)
        for group, values in self.position.items():
            target = self.target[group]
            if len(target) == len(values):
                self.position[group] = [a + share * (b - a) for a, b in zip(values, target, strict=True)]

    def measured(self) -> dict[str, list[float]]:
        """The joints' positions as they are published, with the faults."""
        shown = {group: list(values) for group, values in self.position.items()}
        for group, indices in self.order.items():
            shown[group] = [shown[group][index % len(shown[group])] for index in indices]
        for group, index in self.nan.items():
            shown[group][index] = math.nan
        return dict(reversed(shown.items())) if self.reverse_groups else shown


def _publishers(interface: Any) -> dict[str, Any]:
    from fourier_aurora_client import PublisherQosProfile
    from fourier_msgs.msg import (
        AuroraState,
        BaseData,
        ContactData,
        MotionControlState,
        MotorCfgState,
        TrueData,
    )

    topics = {
        "aurora_state": AuroraState.AuroraStatePubSubType,
        "robot_stand_pose_state": AuroraState.RobotStandPoseStatePubSubType,
        "robot_control_group_state": MotionControlState.RobotControlGroupStatePubSubType,
        "robot_cartesian_state": MotionControlState.RobotCartesianStatePubSubType,
        "robot_motor_cfg_group_state": MotorCfgState.RobotMotorCfgGroupStatePubSubType,
        "base_data_pub": BaseData.BaseDataPubSubType,
        "true_data_pub": TrueData.TrueDataPubSubType,
        "contact_data_pub": ContactData.ContactDataPubSubType,
    }
    return {
        topic: interface.create_publisher(message, topic, PublisherQosProfile.best_effort())
        for topic, message in topics.items()
    }


def _listen(interface: Any, server: Server) -> list[Any]:
    """Subscribe to every command; the subscriptions must be kept."""
    from fourier_aurora_client import SubscriberQosProfile
    from fourier_msgs.msg import AuroraCmd, MotionControlCmd, MotorCfgCmd
    from fourier_msgs.srv import PolicyService

    def groups(data: Any) -> dict[str, list[float]]:
        return {command.group_name(): list(command.position()) for command in data.group_cmd()}

    topics = {
        "robot_control_group_cmd": (MotionControlCmd.RobotControlGroupCmdPubSubType, "groups", groups),
        "velocity_cmd": (
            AuroraCmd.VelocityCmdPubSubType,
            "velocity",
            lambda data: [data.vx(), data.vy(), data.yaw(), data.duration()],
        ),
        "robot_stand_pose_cmd": (
            AuroraCmd.RobotStandPoseCmdPubSubType,
            "stand",
            lambda data: [data.delta_z(), data.delta_pitch(), data.delta_yaw()],
        ),
        "whole_body_fsm_state_change_cmd": (
            AuroraCmd.WholeBodyFsmStateChangeCmdPubSubType,
            "fsm",
            lambda data: int(data.desired_state()),
        ),
        "velocity_source_cmd": (
            AuroraCmd.VelocitySourceCmdPubSubType,
            "source",
            lambda data: int(data.desired_source()),
        ),
        "upper_body_fsm_state_change_cmd": (
            AuroraCmd.UpperBodyFsmStateChangeCmdPubSubType,
            "other",
            lambda _: "upper_fsm",
        ),
        "robot_motor_cfg_group_cmd": (
            MotorCfgCmd.RobotMotorCfgGroupCmdPubSubType,
            "other",
            lambda _: "gains",
        ),
        "move_command_data": (MotionControlCmd.MoveCommandPubSubType, "other", lambda _: "move"),
    }
    kept = [
        interface.create_subscription(
            message,
            topic,
            lambda data, kind=kind, read=read: server.obey(kind, read(data)),
            SubscriberQosProfile.best_effort(),
        )
        for topic, (message, kind, read) in topics.items()
    ]
    kept.append(
        interface.create_service(
            PolicyService.PolicyChange_RequestPubSubType,
            PolicyService.PolicyChange_ResponsePubSubType,
            "policy_change_service",
            lambda request, response: response.result(True),
        )
    )
    return kept


def _publish(server: Server, publishers: dict[str, Any]) -> None:
    from fourier_msgs.msg import AuroraState, BaseData, MotionControlState

    def arrives(part: str) -> bool:
        return part not in server.frozen and random.random() >= server.drop

    if arrives("mode"):
        mode = AuroraState.AuroraState()
        mode.whole_body_fsm_state(server.fsm)
        mode.upper_body_fsm_state(0)
        mode.velocity_command_source(server.source)
        publishers["aurora_state"].publish(mode)
    if arrives("stand"):
        stand = AuroraState.RobotStandPoseState()
        stand.delta_z(server.stand[0])
        stand.delta_pitch(server.stand[1])
        stand.delta_yaw(server.stand[2])
        stand.stable_level(server.stable_level)
        publishers["robot_stand_pose_state"].publish(stand)
    if arrives("groups"):
        states = []
        for group, values in server.measured().items():
            state = MotionControlState.ControlGroupState()
            state.group_name(group)
            state.joint_position(values)
            state.joint_velocity([0.0] * len(values))
            state.joint_effort([0.0] * len(values))
            states.append(state)
        message = MotionControlState.RobotControlGroupState()
        message.group_motion_state([0] * 8)
        message.group_state(states)
        publishers["robot_control_group_state"].publish(message)
    if arrives("base"):
        base = BaseData.BaseData()
        base.quat_xyzw([0.0, 0.0, 0.0, 1.0])
        base.quat_wxyz([1.0, 0.0, 0.0, 0.0])
        for field, value in (
            ("rpy", [0.01, 0.02, 0.03]),
            ("omega_W", [0.0] * 3),
            ("acc_W", [0.0] * 3),
            ("omega_B", [0.1, 0.2, 0.3]),
            ("acc_B", [0.0, 0.0, 9.81]),
            ("vel_W", [0.0] * 3),
            ("pos_W", [1.0, 2.0, 0.9]),
            ("vel_B", [0.0] * 3),
        ):
            getattr(base, field)(value)
        publishers["base_data_pub"].publish(base)


def main() -> None:
    """Serve until standard input ends."""
    import threading

    from fourier_aurora_client import DDSInterface

    server = Server(**json.loads(sys.argv[2]))
    interface = DDSInterface(int(sys.argv[1]), is_ros_compatible=False)
    publishers, kept = _publishers(interface), _listen(interface, server)
    ended = threading.Event()

    def serve() -> None:
        while not ended.wait(PERIOD_S):
            server.advance()
            _publish(server, publishers)

    threading.Thread(target=serve, daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "set" in request:
            server.set(**request["set"])
            print(json.dumps({"done": True}), flush=True)
        else:
            received, server.commands = server.commands, {kind: [] for kind in server.commands}
            print(json.dumps(received), flush=True)
    ended.set()
    del kept


if __name__ == "__main__":
    main()
