"""Depth for an environment of LIBERO, taken from the rendering that gives it its pictures."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from lerobot.envs.utils import _LazyAsyncVectorEnv
from lerobot.utils.constants import OBS_IMAGES

from lerobot_env_libero_depth.cameras import depth_in, intrinsics
from lerobot_env_libero_depth.config import raw_key


class WithDepth(gym.Wrapper):
    """An environment of LeRobot's `libero` whose observations also hold depth.

    The simulator's own depth sensors are switched on. They read the depth buffer behind each picture, so
    nothing is drawn twice and everything else stays as it was.

    Args:
        env: `lerobot.envs.libero.LiberoEnv`.
        unit: `mm` or `m`.
    """

    def __init__(self, env: gym.Env, unit: str) -> None:
        super().__init__(env)
        self._libero: Any = env.unwrapped
        self._unit = unit
        shape = (1, self._libero.observation_height, self._libero.observation_width)
        depth = {
            raw_key(name): spaces.Box(low=0, high=np.inf, shape=shape, dtype=np.float32)
            for name in self._cameras.values()
        }
        assert isinstance(env.observation_space, spaces.Dict)
        self.observation_space = spaces.Dict({**env.observation_space.spaces, **depth})

    @property
    def _cameras(self) -> dict[str, str]:
        """The simulator's name of a camera -> LeRobot's."""
        names = self._libero.camera_name_mapping
        return {camera.removesuffix("_image"): names[camera] for camera in self._libero.camera_name}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        self._switch_on()
        observation, info = self.env.reset(seed=seed, options=options)
        return observation | self._depth(), info

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation | self._depth(), reward, terminated, truncated, info

    def camera_intrinsics(self) -> dict[str, list[float]]:
        """Feature of a camera -> [fx, fy, cx, cy, width, height], as `pi05_comet_vlm2` takes them."""
        self._libero._ensure_env()
        model = self._libero._env.env.sim.model
        size = (self._libero.observation_height, self._libero.observation_width)
        return {
            f"{OBS_IMAGES}.{name}": intrinsics(float(model.cam_fovy[model.camera_name2id(camera)]), *size)
            for camera, name in self._cameras.items()
        }

    def _switch_on(self) -> None:
        """Let the simulator's cameras read depth, from now on and after its own resets."""
        self._libero._ensure_env()
        robosuite = self._libero._env.env
        if all(robosuite.camera_depths):
            return
        robosuite.camera_depths = [True] * robosuite.num_cameras
        for name, observable in robosuite._setup_observables().items():
            if name in robosuite.observation_names:
                robosuite.modify_observable(name, "sensor", observable._sensor)
            else:
                robosuite.add_observable(observable)

    def _depth(self) -> dict[str, np.ndarray]:
        robosuite = self._libero._env.env
        model = robosuite.sim.model
        near, far = (plane * model.stat.extent for plane in (model.vis.map.znear, model.vis.map.zfar))
        seen = robosuite._get_observations()  # those of this step; nothing is drawn
        return {
            raw_key(name): depth_in(self._unit, seen[f"{camera}_depth"].transpose(2, 0, 1), near, far)
            for camera, name in self._cameras.items()
        }


def vector_env_with_depth(
    plain: gym.vector.SyncVectorEnv, unit: str, asynchronous: bool
) -> gym.vector.VectorEnv:
    """The same environments with depth, in this process or in one each, as LeRobot runs them.

    Args:
        plain: LeRobot's environments of one task; closed.
        unit: `mm` or `m`.
        asynchronous: A process for each.
    """
    factories = [partial(_made, factory, unit) for factory in plain.env_fns]
    mode = plain.metadata["autoreset_mode"]
    plain.close()
    if asynchronous:
        return _LazyAsyncVectorEnv(factories)
    return gym.vector.SyncVectorEnv(factories, autoreset_mode=mode)


def _made(factory: Callable[[], gym.Env], unit: str) -> WithDepth:
    return WithDepth(factory(), unit)
