"""Pre- and postprocessing of `pi05_comet`.

before:  rename -> batch -> 23-d state -> (stock normaliser, off) -> exact normalisation -> prompt with the
         state's integers -> device
after:   exact un-normalisation -> (stock un-normaliser, off) -> cpu
"""

from dataclasses import dataclass
from typing import Any

import torch
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStep, ProcessorStepRegistry
from lerobot.processor.factory import make_default_policy_processor_steps, make_policy_processor_pipelines
from lerobot.utils.constants import OBS_STATE

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.processing.normalization import make_exact_steps
from lerobot_plugins.processing.state_prompt import StatePromptTokenizerStep
from lerobot_plugins.processing.text_tokenizer import BYTE
from lerobot_policy_pi05_comet.configuration_pi05_comet import VOCABULARIES, PI05CometConfig

PALIGEMMA_TOKENIZER = "google/paligemma-3b-pt-224"


@dataclass
@ProcessorStepRegistry.register("pi05_comet_state")
class R1ProStateStep(ProcessorStep):
    """Make the 23-d state of R1 Pro's 256-d proprioception; any other state passes.

    Args:
        layout: `auto`, or `as_is` to let a 256-d state pass too.
    """

    layout: str = "auto"

    def __call__(self, transition: EnvTransition) -> EnvTransition:
        observation = transition.get(TransitionKey.OBSERVATION) or {}
        state = observation.get(OBS_STATE)
        if self.layout == "as_is" or state is None or state.shape[-1] != r1pro.PROPRIOCEPTION_DIM:
            return transition
        new = transition.copy()
        reduced = r1pro.state_from_proprioception(torch.as_tensor(state))
        new[TransitionKey.OBSERVATION] = dict(observation) | {OBS_STATE: reduced}
        return new

    def get_config(self) -> dict[str, Any]:
        return {"layout": self.layout}

    def transform_features(self, features: Any) -> Any:
        return features


def make_pi05_comet_pre_post_processors(
    config: PI05CometConfig, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> tuple[Any, Any]:
    """Both pipelines of a fresh policy; LeRobot finds this function by its name.

    Raises:
        ZooError: The tokenizer cannot be found or has another vocabulary than the model, a prompt would be
            too long, or there are no statistics to normalise with.
    """
    stock = make_default_policy_processor_steps(config)
    prompt = StatePromptTokenizerStep(
        tokenizer_name=config.tokenizer_name or default_tokenizer(config),
        max_length=config.prompt_max_len,
        padding=config.tokenizer_padding,
        discrete_state=config.discrete_state_input,
        subtask_length=config.subtask_room,
    ).read_file()
    # The tokenizer also counts <image>, whose id no prompt contains and for which the table has no row.
    prompt.require_vocabulary(VOCABULARIES[config.paligemma_variant] + 1)
    state_keys = [OBS_STATE] if config.discrete_state_input else []
    normalize, unnormalize = make_exact_steps(config, state_keys, dataset_stats)
    return make_policy_processor_pipelines(
        input_steps=[
            stock.rename_observations,
            stock.add_batch_dim,
            R1ProStateStep(config.state_layout),
            stock.normalize,
            normalize,
            prompt,
            stock.to_device,
        ],
        output_steps=[unnormalize, stock.unnormalize, stock.to_cpu],
    )


def default_tokenizer(config: PI05CometConfig) -> str:
    """The tokenizer that belongs to the weights."""
    return BYTE if config.paligemma_variant == "tiny" else PALIGEMMA_TOKENIZER
