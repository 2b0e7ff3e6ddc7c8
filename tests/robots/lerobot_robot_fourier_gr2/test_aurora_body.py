"""Order, names and hand space between the contract and Aurora's vectors."""

import pytest
from fake_aurora_client import FakeAuroraClient
from gr2 import resting_targets
from kinematic_robot import Clock

from lerobot_plugins.contracts.fourier_gr2 import COMMANDED_GROUPS, FOURIER_GR2, SDK_GROUPS
from lerobot_plugins.contracts.hands import SDK_LOWER, SDK_UPPER
from lerobot_plugins.errors import ZooError
from lerobot_robot_fourier_gr2.aurora_body import BASE_PARTS, commanded, measured


def heard() -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    client = FakeAuroraClient(Clock())
    return {group: client.groups[group] for group in COMMANDED_GROUPS}, client.base


def test_a_measurement_fills_the_state_of_the_contract():
    signals = measured(*heard())
    assert set(signals) == set(FOURIER_GR2.state_names)
    assert signals["base_pos_z.pos"] == 0.9
    assert signals["base_quat_w.pos"] == 1.0
    assert signals["imu_acc_z.vel"] == 9.81
    assert signals["imu_omega_y.vel"] == 0.2


def test_each_joint_has_its_place():
    groups, base = heard()
    for number, group in enumerate(COMMANDED_GROUPS):
        groups[group] = [number + index / 10 for index in range(len(groups[group]))]
    signals = measured(groups, base)
    assert signals["left_wrist_roll_joint.pos"] == pytest.approx(0.6)
    assert signals["right_shoulder_roll_joint.pos"] == pytest.approx(1.1)
    assert signals["head_pitch_joint.pos"] == pytest.approx(4.1)
    assert signals["waist_yaw_joint.pos"] == pytest.approx(5.0)
    # Hands: index, middle, ring, pinky, pitch and yaw of the thumb, turned into the URDF's space.
    assert signals["L_index_proximal_joint.pos"] == pytest.approx(0.17 - 2.0)
    assert signals["L_pinky_proximal_joint.pos"] == pytest.approx(0.17 - 2.3)
    assert signals["R_thumb_proximal_pitch_joint.pos"] == pytest.approx(3.4 - 0.12)
    assert signals["R_thumb_proximal_yaw_joint.pos"] == pytest.approx(-3.5)


def test_commanding_what_is_measured_gives_the_same_vectors():
    groups, base = heard()
    signals = measured(groups, base)
    vectors = commanded({name: signals[name] for name in resting_targets() if name in signals})
    assert list(vectors) == list(COMMANDED_GROUPS)
    for group in COMMANDED_GROUPS:
        assert vectors[group] == pytest.approx(groups[group])
        assert all(type(value) is float for value in vectors[group])


def test_hands_stay_within_what_they_obey():
    far = {f"{joint}.pos": -2.5 for joint in SDK_GROUPS["left_hand"]}
    hand = commanded(resting_targets(**far))["left_hand"]
    assert hand == pytest.approx([*SDK_UPPER[:4], SDK_LOWER[4], SDK_UPPER[5]])


@pytest.mark.parametrize("part", [*COMMANDED_GROUPS, *BASE_PARTS])
def test_a_vector_of_another_length_is_named(part: str):
    groups, base = heard()
    (groups if part in groups else base)[part] = [0.0] * 3 if part != "pos_W" else []
    if part in ("rpy", "acc_B", "omega_B"):
        base[part] = [0.0] * 4
    with pytest.raises(ZooError, match=rf"{part} in another number of values"):
        measured(groups, base)


def test_a_missing_joint_is_named():
    targets = resting_targets()
    del targets["head_yaw_joint.pos"]
    with pytest.raises(ZooError, match="head_yaw_joint"):
        commanded(targets)
