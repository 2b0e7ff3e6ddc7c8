"""A real GR-2's backend over Fourier's client without DDS: what is sent, and that nothing is on any fault."""

import importlib
import math
import sys
from pathlib import Path

import pytest
from gr2 import Setup, connected_backend, connected_gr2, gr2, resting_targets

from lerobot_plugins.contracts.fourier_gr2 import COMMANDED_GROUPS, FOURIER_GR2
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Backend
from lerobot_robot_fourier_gr2.aurora import HELD_GROUPS, AuroraBackend

HEAD = {"head_yaw_joint.pos": 0.4}


def test_it_is_a_backend_and_imports_no_client(tmp_path: Path):
    sys.modules.pop("fourier_aurora_client", None)
    importlib.reload(importlib.import_module("lerobot_robot_fourier_gr2.aurora_client"))
    with gr2(tmp_path) as gr2_:
        backend: Backend = gr2_.backend
        assert not backend.is_connected
        assert "fourier_aurora_client" not in sys.modules
        with pytest.raises(ZooError, match="not connected"):
            backend.read()
        with pytest.raises(ZooError, match=r"--robot\.cameras"):
            backend.picture("camera_top")


def test_a_client_that_is_not_installed_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "fourier_aurora_client", None)
    monkeypatch.delitem(sys.modules, "fourier_aurora_client.client", raising=False)
    with gr2(tmp_path) as gr2_:
        backend = AuroraBackend(FOURIER_GR2, gr2_.robot.config)  # type: ignore[arg-type]
        with pytest.raises(ZooError, match=r"lerobot_policy_zoo\[gr2\]"):
            backend.connect()


def test_connecting_waits_for_everything_and_sends_nothing(tmp_path: Path):
    with connected_backend(tmp_path) as gr2_:
        reading = gr2_.backend.read()
        assert set(FOURIER_GR2.state_names) <= set(reading.signals)
        assert reading.received_s == gr2_.clock()
        assert gr2_.client.sent == []


@pytest.mark.parametrize(
    ("frozen", "said"),
    [
        ("groups", r"no head, left_hand"),
        ("base", r"no acc_B, omega_B"),
        ("mode", "in which state"),
    ],
)
def test_a_server_that_says_not_everything_is_refused(tmp_path: Path, frozen: str, said: str):
    with gr2(tmp_path) as gr2_:
        gr2_.client.frozen = {frozen}
        with pytest.raises(ZooError, match=said):
            gr2_.backend.connect()
        assert gr2_.client.closed
        assert not gr2_.backend.is_connected


def test_a_server_of_another_robot_is_refused(tmp_path: Path):
    with gr2(tmp_path) as gr2_:
        gr2_.client.groups["waist"] = [0.0] * 3  # a GR-3
        with pytest.raises(ZooError, match=r"(?s)group waist in another number.*got: +3.*expected: +1.*GR-2"):
            gr2_.backend.connect()


def test_a_measurement_is_as_old_as_its_oldest_part(tmp_path: Path):
    with connected_backend(tmp_path) as gr2_:
        first = gr2_.backend.read()
        assert gr2_.backend.read().sequence == first.sequence
        gr2_.client.frozen = {"base"}
        gr2_.client.sleep(0.2)
        assert gr2_.backend.read() == first
        gr2_.client.frozen = set()
        gr2_.client.sleep(0.2)
        later = gr2_.backend.read()
        assert later.sequence == first.sequence + 1
        assert later.received_s == pytest.approx(first.received_s + 0.4)


def test_a_measurement_that_came_while_nobody_looked_is_old(tmp_path: Path):
    """What comparing objects between two reads cannot know."""
    with connected_gr2(tmp_path) as gr2_:
        gr2_.client.sleep(0.1)
        gr2_.clock.wait(4.9)
        with pytest.raises(ZooError, match=r"4\.90 s old"):
            gr2_.robot.get_observation()


def test_joints_are_sent_in_the_sdk_s_order_and_hand_space(tmp_path: Path):
    with connected_backend(tmp_path) as gr2_:
        gr2_.backend.write(
            resting_targets(**{"L_index_proximal_joint.pos": -1.0, "head_pitch_joint.pos": 0.3})
        )
        ((kind, vectors),) = gr2_.client.sent
        assert kind == "groups"
        assert list(vectors) == list(COMMANDED_GROUPS)
        assert vectors["head"] == [0.0, 0.3]
        assert vectors["left_hand"] == pytest.approx([1.17, 0.17, 0.17, 0.17, 0.12, 0.0])


def test_the_robot_returns_what_was_sent(tmp_path: Path):
    with connected_gr2(tmp_path) as gr2_:
        sent = gr2_.send(HEAD, 0.2)
        assert sent["head_yaw_joint.pos"] == gr2_.client.of("groups")[-1]["head"][0] > 0.1
        assert sent["waist_roll_joint.pos"] == 0.0
        assert gr2_.client.of("velocity") == gr2_.client.of("stand") == gr2_.client.of("state") == []


def refused(gr2_: Setup, said: str, held: tuple[str, ...] = HELD_GROUPS) -> None:
    """The next action is an error; all that is sent, then and by disconnecting, holds what can be held."""
    count = len(gr2_.client.sent)
    with pytest.raises(ZooError, match=said):
        gr2_.send(HEAD)
    gr2_.robot.disconnect()
    for kind, vectors in gr2_.client.sent[count:]:
        assert kind == "groups"
        assert vectors == {group: gr2_.client.groups[group] for group in held}
    assert bool(held) == (len(gr2_.client.sent) > count)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("head", [math.nan, 0.0], "measured head_yaw_joint.pos is not finite"),
        (
            "left_hand",
            [0.2, math.inf, 0.2, 0.2, 1.2, 0.0],
            "measured L_middle_proximal_joint.pos is not finite",
        ),
        ("waist", [0.0, 0.0, 0.0], "group waist in another number"),
        ("left_manipulator", [0.0] * 6, "group left_manipulator in another number"),
        ("right_hand", [], "group right_hand in another number"),
        # Degrees, or joints of another order.
        (
            "right_manipulator",
            [0.0, 0.0, 0.0, -80.0, 0.0, 0.0, 0.0],
            "right_elbow_pitch_joint.pos is measured far",
        ),
    ],
)
def test_wrong_feedback_stops_all_commands(tmp_path: Path, part: str, value: list[float], said: str):
    with connected_gr2(tmp_path) as gr2_:
        gr2_.send(HEAD, 0.2)
        gr2_.client.groups[part] = value
        refused(gr2_, said, tuple(group for group in HELD_GROUPS if group != part))


def test_a_wrong_base_measurement_stops_all_commands(tmp_path: Path):
    with connected_gr2(tmp_path) as gr2_:
        gr2_.send(HEAD)
        gr2_.client.base["rpy"] = [0.0, math.nan, 0.0]
        refused(gr2_, "base_rpy_pitch.pos is not finite")


@pytest.mark.parametrize("frozen", ["groups", "base"])
def test_stale_feedback_stops_all_commands_until_it_comes_back(tmp_path: Path, frozen: str):
    with connected_gr2(tmp_path) as gr2_:
        gr2_.send(HEAD, 0.2)
        gr2_.client.frozen = {frozen}
        count = len(gr2_.client.sent)
        with pytest.raises(ZooError, match="stale"):
            gr2_.send(HEAD, 2.0)
        moved = [vectors["head"] for vectors in gr2_.client.of("groups")[count:]]
        assert len(moved) <= 11  # while the feedback was young enough, and a last one that holds
        for _ in range(10):
            with pytest.raises(ZooError, match="stale"):
                gr2_.send(HEAD)
        held = [vectors["head"] for vectors in gr2_.client.of("groups")[count + len(moved) :]]
        # Without the base's data the joints are known, and held; without theirs nothing is sent.
        assert held == ([gr2_.client.groups["head"]] * 10 if frozen == "base" else [])
        gr2_.client.frozen = set()
        assert gr2_.send(HEAD, 0.3)["head_yaw_joint.pos"] > 0.1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": 9}, "9 SecurityProtection"),
        ({"state": 2}, "2 PdStand"),
        ({"frozen": {"mode"}}, "in which state"),
    ],
)
def test_a_state_that_changes_meanwhile_stops_all_commands(tmp_path: Path, change: dict, said: str):
    with connected_gr2(tmp_path) as gr2_:
        gr2_.send(HEAD, 0.2)
        vars(gr2_.client).update(change)
        for _ in range(50):
            gr2_.client.sleep(0.05)
        refused(gr2_, said, held=())


def test_a_robot_that_no_longer_stands_is_not_commanded(tmp_path: Path):
    with connected_gr2(tmp_path, client={"state": 2}, fsm_state=2) as gr2_:
        gr2_.send(HEAD, 0.2)
        gr2_.client.stable_level = 20
        with pytest.raises(ZooError, match="stable level 20"):
            gr2_.send(HEAD)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_last_gate_refuses_targets_that_are_not_finite(tmp_path: Path, value: float):
    with connected_backend(tmp_path) as gr2_:
        with pytest.raises(ZooError, match="not finite"):
            gr2_.backend.write(resting_targets(**{"head_yaw_joint.pos": value}))
        with pytest.raises(ZooError, match="not finite"):
            gr2_.backend.write(resting_targets(**{"base_vel_x.vel": value}))
        assert gr2_.client.sent == []


def test_the_last_gate_refuses_missing_and_unknown_targets(tmp_path: Path):
    with connected_backend(tmp_path) as gr2_:
        targets = resting_targets()
        del targets["waist_yaw_joint.pos"]
        with pytest.raises(ZooError, match="waist_yaw_joint"):
            gr2_.backend.write(targets)
        with pytest.raises(ZooError, match="tail"):
            gr2_.backend.write(resting_targets(**{"tail.pos": 0.0}))
        assert gr2_.client.sent == []


def test_holding_is_where_the_joints_are_measured(tmp_path: Path):
    with connected_backend(tmp_path) as gr2_:
        gr2_.backend.write(resting_targets())
        gr2_.client.groups["head"] = [0.2, -0.1]
        gr2_.client.sleep(0.1)
        gr2_.backend.hold()
        # Not the hands: they would let go.
        assert gr2_.client.of("groups")[-1] == {group: gr2_.client.groups[group] for group in HELD_GROUPS}


def test_what_is_not_known_is_not_held(tmp_path: Path):
    with connected_backend(tmp_path) as gr2_:
        gr2_.client.groups["head"] = [math.nan, 0.0]
        gr2_.client.sleep(0.1)
        with pytest.raises(ZooError, match=r"head_yaw_joint\.pos cannot be held"):
            gr2_.backend.hold()
        assert set(gr2_.client.of("groups")[-1]) == set(HELD_GROUPS) - {"head"}
        gr2_.client.frozen = {"groups"}
        gr2_.client.sleep(1.0)
        with pytest.raises(ZooError, match=r"(?s)group left_manipulator are is not known.*1\.\d s old"):
            gr2_.backend.hold()
        assert len(gr2_.client.sent) == 1


WALK = {"base_vel_x.vel": 0.2, "base_vel_yaw.vel": -0.3}


def test_walking_sends_velocities_that_end_by_themselves(tmp_path: Path):
    with connected_gr2(tmp_path, client={"state": 3, "source": 2}, fsm_state=3, enable_base=True) as gr2_:
        sent = gr2_.send(WALK | HEAD, 1.0)
        assert gr2_.client.of("velocity")[-1] == pytest.approx((0.2, 0.0, -0.3, 0.1))
        # Joints are not obeyed while it walks: not sent, and not returned as if they were.
        assert gr2_.client.of("groups") == gr2_.client.of("stand") == []
        assert sent["head_yaw_joint.pos"] == pytest.approx(0.1)
        assert sent["base_vel_x.vel"] == pytest.approx(0.2)


@pytest.mark.parametrize("end", ["disconnect", "fault", "nan", "state"])
def test_walking_ends_with_zero_velocities(tmp_path: Path, end: str):
    with connected_gr2(tmp_path, client={"state": 3, "source": 2}, fsm_state=3, enable_base=True) as gr2_:
        gr2_.send(WALK, 1.0)
        if end == "disconnect":
            gr2_.robot.disconnect()
        else:
            if end == "fault":
                gr2_.client.frozen = {"groups"}
                gr2_.clock.wait(1.0)
            if end == "state":
                gr2_.client.state = 9
            action = {"base_vel_x.vel": math.nan} if end == "nan" else WALK
            with pytest.raises(ZooError):
                gr2_.send(action)
        assert gr2_.client.of("velocity")[-1] == (0.0, 0.0, 0.0, 1.0)


def test_a_base_that_is_off_is_sent_nothing(tmp_path: Path):
    with connected_gr2(tmp_path, client={"state": 3, "source": 2}, fsm_state=3) as gr2_:
        assert gr2_.send(WALK, 0.5)["base_vel_x.vel"] == 0.0
        gr2_.robot.disconnect()
        assert gr2_.client.sent == []


def test_a_base_without_use_in_the_state_is_returned_as_0(tmp_path: Path):
    with connected_gr2(tmp_path, enable_base=True) as gr2_:  # 11: no base at all
        sent = gr2_.send(WALK | {"base_base_yaw.pos": 0.2}, 0.5)
        assert [sent[name] for name in (*WALK, "base_base_yaw.pos")] == [0.0] * 3
        assert gr2_.client.of("velocity") == gr2_.client.of("stand") == []


def test_standing_moves_the_trunk_slowly_from_where_it_is(tmp_path: Path):
    limits = {"base_vel_height.vel": [-0.1, 0.1]}
    options = {"client": {"state": 2}, "fsm_state": 2, "enable_base": True, "limits": limits}
    with gr2(tmp_path, **options) as gr2_:
        gr2_.client.stand = [-0.05, 0.0, 0.3]
        gr2_.robot.connect()
        gr2_.send({"base_vel_height.vel": -0.1})
        assert gr2_.client.of("stand")[-1] == pytest.approx((-0.05, 0.0, 0.3))  # yaw is held, not turned to 0
        for _ in range(20):
            gr2_.send({"base_vel_height.vel": -0.1, "base_base_yaw.pos": 0.2})
            gr2_.client.stand = list(gr2_.client.of("stand")[-1])
        height, pitch, yaw = gr2_.client.of("stand")[-1]
        assert height == pytest.approx(-0.05 - 20 * 0.05 * 0.1, abs=0.006)
        assert (pitch, yaw) == pytest.approx((0.0, 0.2))
        gr2_.client.stand = [-0.11, 0.0, 0.25]
        gr2_.client.hear()
        gr2_.backend.hold()
        assert gr2_.client.of("stand")[-1] == pytest.approx((-0.11, 0.0, 0.25))


def test_disconnecting_twice_is_once_and_connecting_again_is_new(tmp_path: Path):
    with connected_backend(tmp_path) as gr2_:
        gr2_.backend.disconnect()
        gr2_.backend.disconnect()
        assert gr2_.client.closed
        assert not gr2_.backend.is_connected
        gr2_.client.frozen = {"groups"}
        with pytest.raises(ZooError, match="does not measure everything"):
            gr2_.backend.connect()  # what was heard before counts no more
        gr2_.client.frozen = set()
        gr2_.backend.connect()
        assert gr2_.backend.read().sequence == 1
