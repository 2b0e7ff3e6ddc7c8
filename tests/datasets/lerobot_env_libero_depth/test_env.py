"""Depth through LeRobot's environment interface, on a stand-in with the parts of robosuite that are asked."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.envs.utils import preprocess_observation
from lerobot.processor import LiberoProcessorStep

from lerobot_env_libero_depth.env import WithDepth, vector_env_with_depth

HEIGHT, WIDTH, NEAR, FAR = 6, 8, 0.01, 500.0


class Robosuite:
    """One camera whose colour and depth number the pixels; the depth sensor is off at first."""

    num_cameras = 1

    def __init__(self):
        self.camera_depths, self.drawn = [False], 0
        self._observables = dict.fromkeys(["agentview_image", "robot0_eef_pos"])
        model = SimpleNamespace(
            stat=SimpleNamespace(extent=2.0),
            vis=SimpleNamespace(map=SimpleNamespace(znear=NEAR / 2, zfar=FAR / 2)),
            cam_fovy=[30.0, 45.0],
            camera_name2id=["frontview", "agentview"].index,
        )
        self.sim = SimpleNamespace(model=model)

    @property
    def observation_names(self):
        return set(self._observables)

    def _setup_observables(self):
        names = ["agentview_image", *(["agentview_depth"] if self.camera_depths[0] else []), "robot0_eef_pos"]
        return {name: SimpleNamespace(name=name, _sensor=object()) for name in names}

    def modify_observable(self, name, attribute, modifier):
        assert (name in self._observables, attribute) == (True, "sensor")
        self._observables[name] = modifier

    def add_observable(self, observable):
        assert observable.name not in self._observables
        self._observables[observable.name] = observable._sensor

    def _get_observations(self):
        number = np.arange(HEIGHT * WIDTH, dtype=np.float64).reshape(HEIGHT, WIDTH, 1)
        metres = 1 + number / 100 + self.drawn
        depth = (1 / NEAR - 1 / metres) / (1 / NEAR - 1 / FAR)
        seen = {"agentview_image": np.repeat(number, 3, -1).astype(np.uint8)}
        return seen | ({"agentview_depth": depth} if "agentview_depth" in self._observables else {})


class Libero(gym.Env):
    """LeRobot's environment, with one camera."""

    metadata = {"render_fps": 80}  # noqa: RUF012
    action_space = spaces.Box(-1, 1, (7,), np.float32)
    observation_height, observation_width = HEIGHT, WIDTH
    camera_name, camera_name_mapping = ("agentview_image",), {"agentview_image": "image"}
    task_description, _max_episode_steps = "put it there", 5

    def __init__(self):
        picture = spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self.observation_space = spaces.Dict({"pixels": spaces.Dict({"image": picture})})
        self._env = None

    def _ensure_env(self):
        self._env = self._env or SimpleNamespace(env=Robosuite())

    def _seen(self):
        return {"pixels": {"image": self._env.env._get_observations()["agentview_image"]}}

    def reset(self, seed=None, **kwargs):
        self._ensure_env()
        self._env.env.drawn = 0
        return self._seen(), {"is_success": False}

    def step(self, action):
        self._env.env.drawn += 1
        return self._seen(), 0.5, False, False, {"is_success": False}

    def close(self):
        self._env = None


def processed(raw):
    return LiberoProcessorStep().observation(preprocess_observation(raw))


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1000), ("m", 1)])
def test_depth_is_turned_with_its_picture_and_belongs_to_the_same_step(unit, scale):
    plain = gym.vector.SyncVectorEnv([Libero, Libero])
    env = vector_env_with_depth(plain, unit, asynchronous=False)
    raw, _ = env.reset(seed=[1, 2])
    for step in range(2):
        seen = processed(raw)
        number_BHW = (seen["observation.images.image"][:, 0] * 255).round()
        depth = seen["observation.images.image_depth"]
        assert (depth.shape, depth.dtype) == ((2, 1, HEIGHT, WIDTH), torch.float32)
        torch.testing.assert_close(depth[:, 0], scale * (1 + number_BHW / 100 + step), rtol=1e-5, atol=1e-5)
        raw, reward, *_ = env.step(np.zeros((2, 7), np.float32))
        assert reward.tolist() == [0.5, 0.5]
    assert env.call("task_description") == ("put it there",) * 2
    assert env.call("_max_episode_steps") == (5, 5)
    assert env.autoreset_mode == gym.vector.AutoresetMode.NEXT_STEP


def test_it_goes_on_after_the_simulator_was_closed():
    env = WithDepth(Libero(), "m")
    env.reset(seed=0)
    env.close()
    observation, _ = env.reset(seed=0)
    assert observation["images.image_depth"][0, 0, 0] == pytest.approx(1)


def test_intrinsics_are_those_of_the_camera_by_its_name():
    found = WithDepth(Libero(), "m").camera_intrinsics()
    focal = HEIGHT / 2 / np.tan(np.radians(22.5))
    assert found == {"observation.images.image": pytest.approx([-focal, focal, 3.5, 2.5, WIDTH, HEIGHT])}
