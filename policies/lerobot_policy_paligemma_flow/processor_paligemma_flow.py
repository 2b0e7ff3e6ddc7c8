"""Pre- and postprocessing of `paligemma_flow`.

before:  rename -> batch -> prompt tokens -> device -> (stock normaliser, off) -> exact normalisation
after:   exact un-normalisation -> (stock un-normaliser, off) -> cpu
"""

from typing import Any

from lerobot.processor.factory import make_default_policy_processor_steps, make_policy_processor_pipelines
from lerobot.utils.constants import OBS_STATE

from lerobot_plugins.processing.normalization import make_exact_steps
from lerobot_plugins.processing.prompt import PromptTokenizerStep
from lerobot_plugins.processing.text_tokenizer import BYTE
from lerobot_policy_paligemma_flow.configuration_paligemma_flow import PaliGemmaFlowConfig


def make_paligemma_flow_pre_post_processors(
    config: PaliGemmaFlowConfig, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> tuple[Any, Any]:
    """Both pipelines of a fresh policy; LeRobot finds this function by its name.

    Raises:
        ZooError: The tokenizer cannot be found or has another vocabulary than the model, or there are no
            statistics to normalise with.
    """
    stock = make_default_policy_processor_steps(config)
    prompt = PromptTokenizerStep(
        tokenizer_name=config.tokenizer_name or default_tokenizer(config),
        max_length=config.prompt_max_len,
        padding=config.tokenizer_padding,
        template=config.prompt_template,
    ).read_file(config.init_revision if config.tokenizer_name is None else None)
    if config.vlm_config is not None:  # known once the policy was made
        prompt.require_vocabulary(config.vlm_config["text_config"]["vocab_size"])
    state_keys = [OBS_STATE] if config.use_state_input else []
    normalize, unnormalize = make_exact_steps(config, state_keys, dataset_stats)
    return make_policy_processor_pipelines(
        input_steps=[
            stock.rename_observations,
            stock.add_batch_dim,
            prompt,
            stock.to_device,
            stock.normalize,
            normalize,
        ],
        output_steps=[unnormalize, stock.unnormalize, stock.to_cpu],
    )


def default_tokenizer(config: PaliGemmaFlowConfig) -> str:
    """The tokenizer that belongs to the weights."""
    if config.paligemma_variant == "tiny":
        return BYTE
    return config.init_from if config.init_from not in (None, "scratch") else "google/paligemma-3b-pt-224"
