"""Recorded observations on their way through LeRobot's environment interface, unchanged at the end.

Stock `preprocess_observation` knows a few keys of raw observations and turns everything else into float32
named `observation.<key>`:

    dataset                         raw observation               after preprocess_observation
    observation.images.top (RGB)    pixels/top, uint8 HWC         observation.images.top
    observation.image (RGB)         pixels/observation.image      observation.images.observation.image  *
    observation.state               agent_pos                     observation.state
    observation.environment_state   environment_state             observation.environment_state
    observation.anything_else       observation.anything_else     observation.observation.anything_else *

The environment's own preprocessor, `RestoreObservations`, gives the rows marked * their name, type and shape
back. So a policy sees what it sees in training, and no two features can collide.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, PipelineFeatureType, PolicyFeature
from lerobot.processor import ObservationProcessorStep
from lerobot.utils.constants import OBS_ENV_STATE, OBS_IMAGES, OBS_STATE, OBS_STR
from lerobot.utils.feature_utils import dataset_to_policy_features
from lerobot.utils.utils import get_channel_first_image_shape

PIXELS = "pixels"
STATE_KEYS = {OBS_STATE: "agent_pos", OBS_ENV_STATE: "environment_state"}


@dataclass(frozen=True)
class ObservationLayout:
    """Which raw key carries which feature of the dataset.

    Args:
        features: What a policy gets, as `dataset_to_policy_features` says.
        cameras: Feature -> name under `pixels`, for RGB cameras.
        columns: Feature -> raw key, for everything else that is observed.
        dtypes: Feature -> the dataset's dtype, for `columns`.
    """

    features: dict[str, PolicyFeature]
    cameras: dict[str, str]
    columns: dict[str, str]
    dtypes: dict[str, str]

    @classmethod
    def of(cls, dataset_features: dict[str, dict]) -> "ObservationLayout":
        """The layout of a dataset; text columns are left out, as policies get none of them."""
        features = {
            key: feature
            for key, feature in dataset_to_policy_features(dataset_features).items()
            if dataset_features[key]["dtype"] != "string"
        }
        observed = [key for key, feature in features.items() if feature.type is not FeatureType.ACTION]
        cameras = [key for key in observed if _is_rgb(dataset_features[key])]
        return cls(
            features=features,
            cameras={key: key.removeprefix(f"{OBS_IMAGES}.") for key in cameras},
            columns={key: STATE_KEYS.get(key, key) for key in observed if key not in cameras},
            dtypes={key: dataset_features[key]["dtype"] for key in observed if key not in cameras},
        )

    @property
    def features_map(self) -> dict[str, str]:
        """Key of the environment's features -> key of the dataset."""
        return {self._env_key(key): key for key in self.features}

    @property
    def env_features(self) -> dict[str, PolicyFeature]:
        """Features under their environment keys, images channel-last, as stock configs list them."""
        return {
            self._env_key(key): PolicyFeature(type=feature.type, shape=_channel_last(feature))
            for key, feature in self.features.items()
        }

    def _env_key(self, key: str) -> str:
        # Not `pixels/top`: recording an evaluation makes dataset features of these names.
        return f"{OBS_IMAGES}.{self.cameras[key]}" if key in self.cameras else self.columns.get(key, key)

    def raw(self, item: dict[str, Any]) -> dict[str, Any]:
        """The raw observation of one item of the dataset."""
        observation: dict[str, Any] = {
            # The dataset yields shape (1,) as a scalar; environments and recordings keep the shape.
            raw: item[key].numpy().reshape(self.features[key].shape)
            for key, raw in self.columns.items()
        }
        if self.cameras:
            observation[PIXELS] = {name: to_uint8(item[key]) for key, name in self.cameras.items()}
        return observation

    def restore(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The dataset's names, types and shapes for what stock preprocessing has renamed."""
        restored = dict(observation)
        for key, name in self.cameras.items():
            restored[key] = restored.pop(f"{OBS_IMAGES}.{name}")
        for key, raw in self.columns.items():
            if raw == key:
                column = restored.pop(f"{OBS_STR}.{raw}").to(getattr(torch, self.dtypes[key], torch.float32))
                restored[key] = column.squeeze(-1) if self.features[key].shape == (1,) else column
        return restored


class RestoreObservations(ObservationProcessorStep):
    """The environment's preprocessor: observations as training shows them."""

    def __init__(self, layout: ObservationLayout) -> None:
        self.layout = layout

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        return self.layout.restore(observation)

    def transform_features(
        self, features: dict[PipelineFeatureType, dict[str, PolicyFeature]]
    ) -> dict[PipelineFeatureType, dict[str, PolicyFeature]]:
        return features


def to_uint8(image_CHW: torch.Tensor) -> np.ndarray:
    """A dataset's image, uint8 or k/255 as float32, as (H, W, C) uint8; exact."""
    pixels_CHW = image_CHW.numpy()
    if pixels_CHW.dtype != np.uint8:
        pixels_CHW = np.rint(pixels_CHW * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0))


def _is_rgb(feature: dict[str, Any]) -> bool:
    # The two older spellings are those that LeRobot still reads.
    info, video_info = feature.get("info") or {}, feature.get("video_info") or {}
    depth = (info.get("is_depth_map"), info.get("video.is_depth_map"), video_info.get("video.is_depth_map"))
    return feature["dtype"] in ("image", "video") and not any(depth)


def _channel_last(feature: PolicyFeature) -> tuple[int, ...]:
    if feature.type is not FeatureType.VISUAL:
        return feature.shape
    channels, height, width = get_channel_first_image_shape(feature.shape)
    return (height, width, channels)
