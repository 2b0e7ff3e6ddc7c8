"""The scripted expert in a world without physics: the hand covers a fifth of each request."""

import numpy as np
import pytest

Rotation = pytest.importorskip("scipy.spatial.transform").Rotation

import expert  # noqa: E402  needs scipy

BASE = np.array([-0.6, 0.0, 0.0])
BASKET = np.array([0.0, 0.25, 0.0])
TRACKING = 0.2


class ToyWorld:
    """A hand that follows, and an object that moves with it once the fingers have closed around it."""

    def __init__(self, object_xyz, size_xyz=(0.06, 0.06, 0.1)):
        self.hand_xyz = np.array([-0.15, 0.0, 0.25])
        self.hand_rotation = expert.HAND_DOWN
        self.object_xyz = np.array(object_xyz)
        self.half_xyz = np.array(size_xyz) / 2
        self.closed_for = 0

    @property
    def scene(self):
        return expert.Scene(
            self.hand_xyz.copy(),
            self.hand_rotation,
            self.object_xyz - self.half_xyz,
            self.object_xyz + self.half_xyz,
            BASKET,
            BASE,
        )

    def step(self, action):
        held = self.closed_for >= 4 and np.linalg.norm(self.scene.grasp_xyz - self.hand_xyz) < 0.03
        moved = TRACKING * 0.05 * action[:3]
        self.hand_xyz = self.hand_xyz + moved
        self.hand_rotation = Rotation.from_rotvec(TRACKING * 0.5 * action[3:6]) * self.hand_rotation
        self.closed_for = self.closed_for + 1 if action[6] == expert.CLOSE else 0
        if held and action[6] == expert.CLOSE:
            self.object_xyz = self.object_xyz + moved


def play(world):
    demonstrator = expert.PickAndPlace(world.scene)
    actions, phases = [], []
    while (action := demonstrator.act(world.scene)) is not None:
        actions.append(action)
        phases.append(demonstrator.phase)
        world.step(action)
    assert demonstrator.phase == "finished"
    return np.stack(actions), phases


@pytest.mark.parametrize("object_xyz", [(0.05, -0.1, 0.05), (-0.12, -0.24, 0.05), (0.1, 0.0, 0.02)])
def test_the_object_ends_over_the_basket(object_xyz):
    world = ToyWorld(object_xyz)
    actions, phases = play(world)
    assert np.linalg.norm((world.object_xyz - BASKET)[:2]) < 0.05
    assert world.object_xyz[2] > object_xyz[2] + 0.1
    assert list(dict.fromkeys(phases)) == ["reach", "grasp", "lift", "carry", "release"]
    assert len(actions) < 150


def test_actions_are_in_range_and_move_every_dimension():
    actions, _ = play(ToyWorld((0.05, -0.1, 0.05)))
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1.0
    assert actions.std(axis=0).min() > 0.02


def test_the_hand_stays_up_until_it_is_over_the_object():
    world = ToyWorld((0.1, -0.2, 0.05))
    demonstrator = expert.PickAndPlace(world.scene)
    top = world.scene.object_high_xyz[2]
    while demonstrator.phase == "reach":
        distance = np.linalg.norm((world.scene.grasp_xyz - world.hand_xyz)[:2])
        assert distance < 0.03 or world.hand_xyz[2] > top
        world.step(demonstrator.act(world.scene))


def test_fingers_close_below_the_top_but_never_in_the_table():
    tall, flat = ToyWorld((0, 0, 0.07), (0.05, 0.05, 0.14)), ToyWorld((0, 0, 0.01), (0.05, 0.05, 0.02))
    assert tall.scene.grasp_xyz[2] == pytest.approx(0.14 - expert.FINGER)
    assert flat.scene.grasp_xyz[2] == pytest.approx(0.01)


def test_the_hand_is_upright_where_the_fingers_close():
    world = ToyWorld((0.05, -0.1, 0.05))
    demonstrator = expert.PickAndPlace(world.scene)
    while demonstrator.phase != "grasp":
        world.step(demonstrator.act(world.scene))
    down = (world.hand_rotation * expert.HAND_DOWN.inv()).apply([0, 0, 1])
    assert np.degrees(np.arccos(down[2])) < 6
