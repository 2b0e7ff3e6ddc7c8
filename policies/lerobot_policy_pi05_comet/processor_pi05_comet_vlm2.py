"""Pre- and postprocessing of `pi05_comet_vlm2`: that of `pi05_comet`.

The prompt holds the state of the current moment; pictures and depth pass with their history.
"""

from typing import Any

from lerobot_policy_pi05_comet.configuration_pi05_comet_vlm2 import PI05CometVLM2Config
from lerobot_policy_pi05_comet.processor_pi05_comet import make_pi05_comet_pre_post_processors


def make_pi05_comet_vlm2_pre_post_processors(
    config: PI05CometVLM2Config, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> tuple[Any, Any]:
    """Both pipelines of a fresh policy; LeRobot finds this function by its name."""
    return make_pi05_comet_pre_post_processors(config, dataset_stats)
