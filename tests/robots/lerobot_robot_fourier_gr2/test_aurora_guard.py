"""The robot's state is compared, and changed only when asked."""

from pathlib import Path

import pytest
from gr2 import connected_backend, connected_gr2

from lerobot_plugins.errors import ZooError
from lerobot_robot_fourier_gr2.aurora_guard import CHANGE_TRIES
from lerobot_robot_fourier_gr2.aurora_modes import MODES
from lerobot_robot_fourier_gr2.config_fourier_gr2 import FourierGR2Config


@pytest.mark.parametrize("state", sorted(MODES))
def test_the_wanted_state_is_accepted_and_nothing_is_sent(tmp_path: Path, state: int):
    with connected_backend(
        tmp_path, client={"state": state, "source": 2}, fsm_state=state, enable_base=True
    ) as gr2_:
        gr2_.backend.verify_mode()
        assert gr2_.client.sent == []


@pytest.mark.parametrize("state", [0, 1, 2, 3, 4, 9, 10])
def test_another_state_is_refused_and_never_changed_unasked(tmp_path: Path, state: int):
    with connected_backend(tmp_path, client={"state": state}, fsm_state=11) as gr2_:
        with pytest.raises(ZooError, match=rf"(?s)another state.*{state} .*11 UpperBodyUserCmd.*hang or sit"):
            gr2_.backend.verify_mode()
        assert gr2_.client.sent == []


def test_a_change_is_asked_for_once_where_it_succeeds(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with connected_backend(tmp_path, client={"state": 2}, allow_fsm_change=True) as gr2_:
        gr2_.backend.verify_mode()
        assert gr2_.client.sent == [("state", 11)]
        assert "2 PdStand -> 11 UpperBodyUserCmd" in caplog.text
        assert "legs go limp" in caplog.text


def test_a_change_that_does_not_come_is_an_error(tmp_path: Path):
    with connected_backend(tmp_path, client={"state": 0}, allow_fsm_change=True) as gr2_:
        gr2_.client.obeys_state = False
        with pytest.raises(ZooError, match=r"(?s)did not come into state 11.*0 Default"):
            gr2_.backend.verify_mode()
        assert gr2_.client.of("state") == [11] * CHANGE_TRIES


def test_a_robot_that_protects_itself_is_left_to_a_person(tmp_path: Path):
    with connected_backend(tmp_path, client={"state": 9}, allow_fsm_change=True) as gr2_:
        with pytest.raises(ZooError, match="a person must see why"):
            gr2_.backend.verify_mode()
        assert gr2_.client.sent == []


def test_walking_needs_velocities_from_programs(tmp_path: Path):
    with connected_backend(tmp_path, client={"state": 3}, fsm_state=3, enable_base=True) as gr2_:
        with pytest.raises(ZooError, match="velocity source 0"):
            gr2_.backend.verify_mode()
        assert gr2_.client.sent == []
    with connected_backend(
        tmp_path, client={"state": 3}, fsm_state=3, enable_base=True, allow_fsm_change=True
    ) as gr2_:
        gr2_.backend.verify_mode()
        assert gr2_.client.sent == [("source", 2)]


@pytest.mark.parametrize(("stable_level", "accepted"), [(0, False), (100, False), (101, True)])
def test_standing_needs_a_stable_level(tmp_path: Path, stable_level: int, accepted: bool):
    with connected_backend(tmp_path, client={"state": 2, "stable_level": stable_level}, fsm_state=2) as gr2_:
        if accepted:
            gr2_.backend.verify_mode()
        else:
            with pytest.raises(ZooError, match=rf"stable level {stable_level}"):
                gr2_.backend.verify_mode()
        gr2_.client.frozen = {"stand"}
        gr2_.client.sleep(3.0)
        with pytest.raises(ZooError, match="stand firmly"):
            gr2_.backend.verify_mode()


def test_a_state_of_long_ago_is_not_believed(tmp_path: Path):
    with connected_backend(tmp_path, allow_fsm_change=True) as gr2_:
        gr2_.client.frozen = {"mode"}
        gr2_.client.sleep(2.5)
        with pytest.raises(ZooError, match=r"(?s)in which state.*nothing for 2\.5 s"):
            gr2_.backend.verify_mode()
        assert gr2_.client.sent == []


def test_a_dry_run_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with connected_gr2(tmp_path, client={"state": 0}, dry_run=True, allow_fsm_change=True) as gr2_:
        assert "another state" in caplog.text
        gr2_.send({"head_yaw_joint.pos": 0.2}, 0.5)
        assert gr2_.client.sent == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fsm_state": 1}, r"(?s)1 JointStand.*2 PdStand, 3 RL locomotion"),
        ({"fsm_state": 77}, "77 unknown"),
        ({"connect_tries": 0}, r"(?s)connect_tries.*1 to"),
        ({"connect_wait_s": -1.0}, r"(?s)connect_wait_s.*0 to"),
        ({"domain_id": 300}, r"(?s)domain_id.*0 to 232"),
        ({"mode_max_age_s": float("inf")}, "mode_max_age_s"),
        ({"mode_max_age_s": float("nan")}, "mode_max_age_s"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict, said: str):
    with pytest.raises(ZooError, match=said):
        FourierGR2Config(calibration_dir=tmp_path, **options)
