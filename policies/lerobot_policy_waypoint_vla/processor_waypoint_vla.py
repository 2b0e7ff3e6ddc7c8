"""Pre- and postprocessing of `waypoint_vla`.

before:  rename -> batch -> states of waypoints (training) -> (stock normaliser, off) -> exact normalisation,
         grippers to 0 closed .. 1 open -> prompts and plan -> device
after:   exact un-normalisation, grippers to commands -> (stock un-normaliser, off) -> cpu
"""

from typing import Any

from lerobot.processor.factory import make_default_policy_processor_steps, make_policy_processor_pipelines
from lerobot.utils.constants import OBS_STATE

from lerobot_plugins.processing.normalization import make_exact_steps
from lerobot_plugins.processing.text_tokenizer import BYTE
from lerobot_policy_waypoint_vla.configuration_waypoint_vla import VOCABULARIES, WaypointVLAConfig
from lerobot_policy_waypoint_vla.plan_step import PlanTokenizerStep
from lerobot_policy_waypoint_vla.target_step import WaypointTargetStep

PALIGEMMA_TOKENIZER = "google/paligemma-3b-pt-224"


def make_waypoint_vla_pre_post_processors(
    config: WaypointVLAConfig, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> tuple[Any, Any]:
    """Both pipelines of a fresh policy; LeRobot finds this function by its name.

    Raises:
        ZooError: The tokenizer cannot be found or has another vocabulary than the model, a prompt would be
            too long, or there are no statistics to normalise with.
    """
    stock = make_default_policy_processor_steps(config)
    vocabulary, top = VOCABULARIES[config.paligemma_variant]
    robot = config.robot
    plan = PlanTokenizerStep(
        tokenizer_name=config.tokenizer_name or default_tokenizer(config),
        max_length=config.prompt_max_len,
        padding=config.tokenizer_padding,
        layout=config.token_layout,
        top=top,
        continuous=list(robot.continuous),
        grippers=list(robot.grippers),
        terminal_fill=config.terminal_fill,
    ).read_file()
    # The tokenizer also counts <image>, whose id no prompt contains and for which the table has no row.
    plan.require_vocabulary(vocabulary + 1)
    normalize, unnormalize = make_exact_steps(config, [OBS_STATE], dataset_stats)
    return make_policy_processor_pipelines(
        input_steps=[
            stock.rename_observations,
            stock.add_batch_dim,
            WaypointTargetStep(),
            stock.normalize,
            normalize,
            plan,
            stock.to_device,
        ],
        output_steps=[unnormalize, stock.unnormalize, stock.to_cpu],
    )


def default_tokenizer(config: WaypointVLAConfig) -> str:
    """The tokenizer that belongs to the weights."""
    return BYTE if config.paligemma_variant == "tiny" else PALIGEMMA_TOKENIZER
