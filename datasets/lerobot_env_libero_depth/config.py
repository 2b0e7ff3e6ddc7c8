"""The environment `libero_depth` as LeRobot configures it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig, LiberoEnv
from lerobot.envs.utils import parse_camera_names
from lerobot.utils.constants import OBS_STR

from lerobot_env_libero_depth.cameras import UNITS
from lerobot_plugins.errors import ZooError

if TYPE_CHECKING:
    import gymnasium as gym

# As LIBERO's environment names its pictures, unless `camera_name_mapping` says otherwise.
CAMERA_NAMES = {"agentview_image": "image", "robot0_eye_in_hand_image": "image2"}


def raw_key(name: str) -> str:
    """Where a raw observation holds the depth of a camera.

    LeRobot puts `observation.` in front and its LIBERO processor turns all that then begins with
    `observation.images.`, so depth is turned with the pictures by the same code.
    """
    return f"images.{name}_depth"


@EnvConfig.register_subclass("libero_depth")
@dataclass
class LiberoDepthEnv(LiberoEnv):
    """LeRobot's `libero` and, for every camera, `observation.images.<camera>_depth`.

    Pictures, state, reward and success are those of `libero`, from the same rendering. A depth picture is
    float32 (1, height, width) along the view axis, turned by 180 degrees as the colours are.

    Args:
        depth_output_unit: `mm`, as LeRobot delivers recorded depth by default, or `m`.
    """

    depth_output_unit: str = "mm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth_output_unit not in UNITS:
            raise ZooError(
                "env.depth_output_unit is no unit of depth",
                got=self.depth_output_unit,
                expected=" or ".join(UNITS),
                do="correct --env.depth_output_unit",
            )
        shape = (self.observation_height, self.observation_width, 1)
        for key in self.depth_keys.values():
            self.features[key] = PolicyFeature(type=FeatureType.VISUAL, shape=shape)
            self.features_map[key] = key

    @property
    def depth_keys(self) -> dict[str, str]:
        """Camera of the simulator, such as `agentview_image`, -> feature with its depth."""
        names = CAMERA_NAMES if self.camera_name_mapping is None else self.camera_name_mapping
        cameras = parse_camera_names(self.camera_name)
        return {camera: f"{OBS_STR}.{raw_key(names.get(camera, camera))}" for camera in cameras}

    def create_envs(
        self, n_envs: int, use_async_envs: bool = False
    ) -> dict[str, dict[int, "gym.vector.VectorEnv"]]:
        """LeRobot's environments of every suite and task, each with depth."""
        from lerobot_env_libero_depth.env import vector_env_with_depth

        # Without a process for each: their factories are all that is needed of them.
        stock = super().create_envs(n_envs, use_async_envs=False)
        return {
            suite: {
                task: vector_env_with_depth(plain, self.depth_output_unit, use_async_envs and n_envs > 1)
                for task, plain in tasks.items()
            }
            for suite, tasks in stock.items()
        }
