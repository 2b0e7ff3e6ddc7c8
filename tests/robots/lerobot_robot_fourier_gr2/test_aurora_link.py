"""Times of what Aurora says, and the last gate before a command."""

import math

import numpy as np
import pytest
from fake_aurora_client import FakeAuroraClient
from kinematic_robot import Clock

from lerobot_plugins.errors import ZooError
from lerobot_robot_fourier_gr2.aurora_base import Pose
from lerobot_robot_fourier_gr2.aurora_link import AuroraLink


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> FakeAuroraClient:
    return FakeAuroraClient(clock)


@pytest.fixture
def link(client: FakeAuroraClient, clock: Clock) -> AuroraLink:
    return AuroraLink(client, clock)


def test_nothing_was_heard_before_the_first_message(client: FakeAuroraClient, clock: Clock):
    client.hear()  # before the link listens: of unknown age
    link = AuroraLink(client, clock)
    assert (link.group("head"), link.base("rpy"), link.mode(), link.stand()) == (None,) * 4


def test_each_value_has_the_time_of_its_own_message(link: AuroraLink, client: FakeAuroraClient, clock: Clock):
    client.hear()
    client.frozen = {"groups", "stand"}
    client.sleep(2.0)
    client.state = 9
    client.hear()
    assert link.group("head") == ([0.1, 0.1], 100.0)
    assert link.base("rpy") == ([0.01, 0.02, 0.03], 102.0)
    assert link.mode() == (9, 0, 102.0)
    assert link.stand() == (Pose(0.0, 0.0, 0.0), 200, 100.0)


def test_an_equal_value_that_comes_again_is_new(link: AuroraLink, client: FakeAuroraClient):
    client.hear()
    client.sleep(0.1)
    heard = link.group("waist")
    assert heard is not None
    assert heard.at_s == pytest.approx(100.1)


def test_half_a_message_of_the_mode_is_none(link: AuroraLink, client: FakeAuroraClient):
    client._aurora_state["whole_body_fsm_state"] = 11
    assert link.mode() is None


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ({"waist": [0.0, 0.0]}, "waist has another length"),
        ({"head": [0.0]}, "head has another length"),
        ({"head": [0.0, 0.0], "waist": [math.nan]}, "waist_yaw_joint is not finite"),
        ({"head": [0.0, math.inf]}, "head_pitch_joint is not finite"),
        ({"left_leg": [0.0] * 6}, "not commanded this group"),
        ({"tail": [0.0]}, "not commanded this group"),
    ],
)
def test_a_wrong_command_is_not_sent(link: AuroraLink, client: FakeAuroraClient, vectors: dict, said: str):
    with pytest.raises(ZooError, match=said):
        link.command(vectors)
    assert client.sent == []


def test_velocities_and_poses_that_are_not_finite_are_not_sent(link: AuroraLink, client: FakeAuroraClient):
    with pytest.raises(ZooError, match="base_vel_y is not finite"):
        link.velocity(0.1, math.nan, 0.0, 0.2)
    with pytest.raises(ZooError, match="duration is not finite"):
        link.velocity(0.1, 0.0, 0.0, math.inf)
    with pytest.raises(ZooError, match="pitch is not finite"):
        link.stand_pose(Pose(0.0, math.nan, 0.0))
    assert client.sent == []


def test_numbers_of_numpy_are_sent_as_floats(link: AuroraLink, client: FakeAuroraClient):
    link.command({"head": np.array([0.25, 0.5], dtype=np.float32), "waist": (np.float64(0.125),)})
    assert client.of("groups") == [{"head": [0.25, 0.5], "waist": [0.125]}]


def test_another_version_of_the_client_is_refused():
    class Other:
        _robot_control_group_state = None

    with pytest.raises(ZooError, match=r"0\.1\.8"):
        AuroraLink(Other())
