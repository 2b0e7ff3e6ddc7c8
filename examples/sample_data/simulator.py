"""One episode of the LIBERO simulator: LeRobot's own environment, plus what the scripted expert needs to see.

LeRobot's environment is used as it is, so the recorded observations are those of a stock
`lerobot-eval --env.type=libero`: same reset, same cameras at the same size, same control mode.
Runs in the simulator's environment (`scripts/libero_setup.py`); importing it imports LIBERO.
"""

from dataclasses import dataclass

import numpy as np
import torch
from expert import Scene
from lerobot.envs.libero import LiberoEnv
from lerobot.envs.utils import preprocess_observation
from lerobot.processor import LiberoProcessorStep
from libero.libero import benchmark
from scipy.spatial.transform import Rotation

from lerobot_env_libero_depth.env import WithDepth


@dataclass(frozen=True)
class Frame:
    """What a policy may see in one control step.

    `image` and `wrist_image` are (H, W, 3) uint8, turned by 180 degrees as LeRobot's processor and the
    OpenVLA conversion do; `state` is (8,) float32: position in metres, axis-angle in radians, two finger
    positions in metres; `joint_state` is (7,) float32 in radians.
    """

    image: np.ndarray
    wrist_image: np.ndarray
    state: np.ndarray
    joint_state: np.ndarray


class Simulator:
    """One task of a LIBERO suite, started from one of its stored initial states.

    Args:
        suite: Name of the suite, such as `libero_object`.
        task: Index of the task in the suite.
        initial_state: Index of the stored initial state; a suite has 50 per task.
        size: Height and width of both cameras' pictures in pixels.
        depth: Whether `depths` can be asked for.
    """

    def __init__(self, suite: str, task: int, initial_state: int, size: int, depth: bool = False) -> None:
        libero = LiberoEnv(
            task_suite=benchmark.get_benchmark_dict()[suite](),
            task_id=task,
            task_suite_name=suite,
            obs_type="pixels_agent_pos",
            observation_width=size,
            observation_height=size,
            episode_index=initial_state,
        )
        self._environment = WithDepth(libero, unit="m") if depth else libero
        self._libero = libero
        self._processor = LiberoProcessorStep()
        self._observation, _ = self._environment.reset(seed=0)
        domain = libero._env.env  # robosuite's environment: the privileged view
        self._sim = domain.sim
        self._object, self._basket = (f"{name}_main" for name in domain.obj_of_interest)
        self._object_geoms = self._collision_geoms(self._object)

    @property
    def instruction(self) -> str:
        """The task in words."""
        return self._libero.task_description

    @property
    def scene(self) -> Scene:
        """The privileged view of the current step."""
        hand = self._observation["robot_state"]["eef"]
        low_xyz, high_xyz = self._object_box()
        return Scene(
            hand_xyz=hand["pos"],
            hand_rotation=Rotation.from_quat(hand["quat"]),
            object_low_xyz=low_xyz,
            object_high_xyz=high_xyz,
            basket_xyz=self._sim.data.get_body_xpos(self._basket).copy(),
            base_xyz=self._sim.data.get_body_xpos("robot0_base").copy(),
        )

    @property
    def frame(self) -> Frame:
        """The observation of the current step."""
        batch = self._seen()
        return Frame(
            image=_picture(batch["observation.images.image"]),
            wrist_image=_picture(batch["observation.images.image2"]),
            state=batch["observation.state"][0].numpy(),
            joint_state=self._observation["robot_state"]["joints"]["pos"].astype(np.float32),
        )

    @property
    def depths(self) -> dict[str, np.ndarray]:
        """Depth of both cameras in metres, (H, W, 1) float32, under the names of `libero_depth`."""
        return {
            key: value[0].permute(1, 2, 0).numpy()
            for key, value in self._seen().items()
            if key.endswith("_depth")
        }

    def _seen(self) -> dict[str, torch.Tensor]:
        # Stock code turns the pictures and builds the state: what it gives a policy is what is recorded.
        return self._processor.observation(preprocess_observation(_batched(self._observation)))

    def step(self, action: np.ndarray) -> bool:
        """Apply one action (7,); returns whether the task is now solved."""
        self._observation, _, _, _, info = self._environment.step(action)
        return bool(info["is_success"])

    def close(self) -> None:
        """Free the renderer."""
        self._environment.close()

    def _collision_geoms(self, body: str) -> list[int]:
        """The geometries of a free body that can touch something; the others are its visible meshes."""
        model = self._sim.model
        root = model.body_rootid[model.body_name2id(body)]
        solid = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
        return list(np.flatnonzero((model.body_rootid[model.geom_bodyid] == root) & solid))

    def _object_box(self) -> tuple[np.ndarray, np.ndarray]:
        """Low and high corner (3,) of the world-aligned box around the object's G geometries."""
        geoms, data = self._object_geoms, self._sim.data
        centre_G3, half_G3 = np.split(self._sim.model.geom_aabb[geoms], 2, axis=1)  # in each geometry's frame
        rotation_G33 = data.geom_xmat[geoms].reshape(-1, 3, 3)
        centre_G3 = data.geom_xpos[geoms] + np.einsum("gij,gj->gi", rotation_G33, centre_G3)
        half_G3 = np.einsum("gij,gj->gi", np.abs(rotation_G33), half_G3)
        return (centre_G3 - half_G3).min(axis=0), (centre_G3 + half_G3).max(axis=0)


def _picture(image_BCHW: torch.Tensor) -> np.ndarray:
    """The first picture of a batch in [0, 1] as (H, W, C) uint8."""
    return (image_BCHW[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _batched(tree: dict) -> dict:
    """A nested dict of arrays with a leading batch dimension of one, as a vector environment gives."""
    return {key: _batched(leaf) if isinstance(leaf, dict) else leaf[None] for key, leaf in tree.items()}
