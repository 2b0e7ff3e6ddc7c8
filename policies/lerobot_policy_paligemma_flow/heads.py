"""Which action head a policy has, and which layers of the language model it attends to."""

import math
from typing import Any

from lerobot_policy_paligemma_flow.configuration_paligemma_flow import PaliGemmaFlowConfig
from lerobot_policy_paligemma_flow.head import FlowHead
from lerobot_policy_paligemma_flow.mlp_head import MLPFlowHead


def attended_layers(config: PaliGemmaFlowConfig, num_layers: int) -> list[int]:
    """Per block of the head, the layer of the language model, counted from 1, whose output it attends to.

    The last block always attends to the last layer.
    """
    depth = config.head_geometry[1]
    if config.context_source == "last":
        return [num_layers] * depth
    return [math.ceil((block + 1) * num_layers / depth) for block in range(depth)]


def build_head(
    config: PaliGemmaFlowConfig, context_width: int, context_of_block: list[int]
) -> FlowHead | MLPFlowHead:
    """The action head of a policy."""
    common: dict[str, Any] = {
        "action_width": config.action_width,
        "state_width": config.state_width if config.use_state_input else 0,
        "state_steps": config.n_obs_steps,
        "chunk_size": config.chunk_size,
        "context_width": context_width,
        "dropout": config.resolved_dropout,
        "min_period": config.time_min_period,
        "max_period": config.time_max_period,
    }
    if config.head_type == "mlp":
        return MLPFlowHead(hidden_dims=config.mlp_hidden_dims, **common)
    width, depth, num_heads = config.head_geometry
    return FlowHead(
        width=width,
        depth=depth,
        num_heads=num_heads,
        mlp_ratio=config.head_mlp_ratio,
        context_of_block=context_of_block,
        **common,
    )
