"""The GR-2's hand in the URDF's and the SDK's space."""

import numpy as np
import pytest
import torch
from robot_tables import robot_tables

from lerobot_plugins.contracts import hands
from lerobot_plugins.contracts.conversion import conversion
from lerobot_plugins.contracts.fourier_gr2_joints import JOINTS, hand_joints
from lerobot_plugins.contracts.fourier_gr2_layouts import V1_37
from lerobot_plugins.errors import ZooError


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_urdfs_limits_in_the_sdks_space(side):
    limits = [JOINTS[joint] for joint in hand_joints(side)]
    ends = np.sort(
        [hands.to_sdk(np.array([getattr(joint, end) for joint in limits])) for end in ("lower", "upper")], 0
    )
    np.testing.assert_allclose(ends[0], [0.17, 0.17, 0.17, 0.17, 0.12, 0], atol=1e-12)
    np.testing.assert_allclose(ends[1], [1.762, 1.763, 1.763, 1.762, 1.263, 1.696], atol=1e-12)


def test_there_and_back_in_numpy_and_torch():
    urdf = np.random.default_rng(0).normal(size=(4, 6))
    sdk = hands.to_sdk(urdf)
    np.testing.assert_allclose(hands.to_urdf(sdk), urdf, atol=1e-15)
    np.testing.assert_allclose(hands.to_sdk(torch.tensor(urdf)).numpy(), sdk, atol=1e-15)
    np.testing.assert_allclose(hands.to_urdf(torch.tensor(sdk)).numpy(), urdf, atol=1e-15)


def test_the_fist_is_reached_because_clamping_is_in_the_sdks_space():
    fist = hands.to_urdf(hands.SDK_FIST)
    np.testing.assert_allclose(fist, [-1.53, -1.53, -1.53, -1.53, -0.12, 0], atol=1e-12)
    np.testing.assert_allclose(hands.clamp_sdk(hands.to_sdk(fist)), hands.SDK_FIST, atol=1e-12)
    far = torch.tensor([-1.0, 3, 0, 0, 2, 2])
    assert hands.clamp_sdk(far).tolist() == pytest.approx([0, 1.9226667, 0, 0, 1.5, 1.696])


def test_the_published_tables():
    tables = robot_tables()["gr2"]["hand"]
    assert list(hands.ORDER) == tables["order_sdk"]
    assert hands.SDK_OPEN.tolist() == tables["sdk_open"]
    assert hands.SDK_FIST.tolist() == tables["sdk_fist"]
    assert tables["finger_offset"] == hands.FINGER_OFFSET
    assert tables["thumb_pitch_offset"] == hands.THUMB_PITCH_OFFSET
    assert hands.SDK_UPPER[[0, 4]].tolist() == [
        tables["sdk_clip"]["finger"][1],
        tables["sdk_clip"]["thumb_pitch"][1],
    ]


def test_the_sign_of_the_fingers_tells_the_space():
    assert hands.guess_space(np.array([-1.2, -0.03, 0.1])) == "urdf"
    assert hands.guess_space(np.array([0.2, 1.7, 0.4])) == "sdk"
    assert hands.guess_space(np.array([0.05, 0.08])) is None


@pytest.mark.parametrize("kind", ["state", "action"])
def test_a_recording_in_the_sdks_space_becomes_one_in_the_urdfs(kind):
    """Whatever the order of the fingers: the layout knows which column is which joint."""
    recorded = np.full(len(V1_37.columns(kind)), 0.5)
    converted = conversion(hands.with_sdk_hands(V1_37), V1_37, kind)(recorded)
    expected = {"thumb_proximal_pitch": 0.38, "thumb_proximal_yaw": -0.5, "proximal_joint": -0.33}
    for name, value in zip(V1_37.names(kind), converted, strict=True):
        wanted = next((number for part, number in expected.items() if part in name), 0.5)
        assert value == pytest.approx(wanted), name


def test_a_hand_has_six_joints():
    with pytest.raises(ZooError, match=r"\(2, 12\)"):
        hands.to_sdk(np.zeros((2, 12)))
