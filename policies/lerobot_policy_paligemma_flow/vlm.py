"""The PaliGemma of a policy and what is built around it."""

import logging

from torch import nn

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn import paligemma
from lerobot_plugins.nn.prefix_encoder import PrefixEncoder
from lerobot_plugins.nn.resamplers import make_resampler
from lerobot_policy_paligemma_flow.configuration_paligemma_flow import PaliGemmaFlowConfig

logger = logging.getLogger(__name__)


def build_encoder(config: PaliGemmaFlowConfig, load_backbone: bool) -> PrefixEncoder:
    """The PaliGemma of a policy: pretrained, from scratch, or empty for a checkpoint's weights.

    Fills in `config.vlm_config`, so that the checkpoint needs its base model only once.
    """
    source = config.init_from or paligemma.default_source(config.paligemma_variant)
    if config.vlm_config is None:
        config.vlm_config = paligemma.geometry_of(config.paligemma_variant, source, config.init_revision)
        if config.vlm_num_layers is not None:
            config.vlm_config = paligemma.truncated(config.vlm_config, config.vlm_num_layers)
    depth = config.vlm_config["text_config"]["num_hidden_layers"]
    if config.vlm_num_layers not in (None, depth):
        raise ZooError(
            "vlm_num_layers is chosen when a policy is first made",
            got=config.vlm_num_layers,
            expected=f"{depth}, as in the policy's vlm_config",
            do="leave --policy.vlm_num_layers out",
        )
    if load_backbone and source != paligemma.SCRATCH:
        model = paligemma.load_paligemma(
            source, config.vlm_config, config.init_revision, config.vlm_num_layers is not None
        )
    else:
        if load_backbone:
            logger.warning("PaliGemma (%s) starts from random weights", config.paligemma_variant)
        model = paligemma.build_paligemma(config.vlm_config)
    encoder = PrefixEncoder(model)
    encoder.gradient_checkpointing = config.gradient_checkpointing
    projector = config.freeze_projector
    return encoder.freeze(
        vision_tower=config.freeze_vision_tower,
        projector=config.freeze_language_model if projector is None else projector,
        language_model=config.freeze_language_model,
        embeddings=not config.train_embeddings and source != paligemma.SCRATCH,
    )


def build_resampler(config: PaliGemmaFlowConfig, encoder: PrefixEncoder) -> nn.Module | None:
    """The resampler of a policy, for its PaliGemma's geometry."""
    if config.vision_resampler_type == "perceiver" and config.freeze_language_model:
        logger.warning(
            "the language model is frozen and will see tokens of the perceiver, which it was never trained "
            "on; vision_resampler_type=mlp or =pool stays nearer to what it knows"
        )
    return make_resampler(
        config.vision_resampler_type,
        vision_width=encoder.vision_width,
        width=encoder.width,
        tokens_per_picture=encoder.tokens_per_image,
        num_tokens=config.resampler_num_tokens,
        depth=config.resampler_depth,
        hidden=config.resampler_hidden_dim,
    )
