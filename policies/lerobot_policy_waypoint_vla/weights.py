"""The network of a configuration: how it is built, what of it trains, and what it starts from."""

import logging
from dataclasses import replace
from typing import Any

from safetensors import safe_open
from torch import nn

from lerobot_plugins.checkpoints import pi05_names
from lerobot_plugins.checkpoints.load_report import load_weights
from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn import paligemma
from lerobot_plugins.policy.pi05_weights import (
    WIDENED,
    Changes,
    describe,
    load_pretrained,
    pretrained_source,
    source_file,
)
from lerobot_policy_waypoint_vla.configuration_waypoint_vla import VOCABULARIES, WaypointVLAConfig
from lerobot_policy_waypoint_vla.network import WaypointNetwork
from lerobot_policy_waypoint_vla.tokens import LAYOUTS

logger = logging.getLogger(__name__)

# What pi0.5 does not have.
NEW = ("proprio_encoder", "duration_embed", "token_rows")
PLANNER = "model.planner."
ROWS = "model.token_rows.weight"
_ENCODER = f"{pi05_names.PALIGEMMA}.model."


def own_name(stored: str) -> str | None:
    """The name here of a tensor of this policy, of LeRobot's `pi05`, or of published waypoint checkpoints."""
    if stored.startswith(tuple(f"{name}." for name in NEW)):
        return f"model.{stored}"
    return pi05_names.rename(stored)


def build_network(config: WaypointVLAConfig) -> WaypointNetwork:
    """The network without pretrained weights."""
    geometry = paligemma.geometry_of(config.paligemma_variant, paligemma.SCRATCH)
    geometry["text_config"]["vocab_size"] = VOCABULARIES[config.paligemma_variant][0]
    return WaypointNetwork(
        paligemma.build_paligemma(geometry),
        config.action_expert_variant,
        config.max_action_dim,
        config.max_state_dim,
        duration_token=config.duration_mode == "token",
        token_rows=config.layout.rows,
        planner=paligemma.build_paligemma(geometry) if config.separate_planner else None,
    )


def freeze(network: WaypointNetwork, config: WaypointVLAConfig) -> None:
    """Stop the training of what the configuration keeps, and of what no loss can reach.

    A weight without a gradient would stall data-parallel training.
    """
    plans, acts = config.loss_mode != "ae", config.loss_mode != "vlm"
    shared = network.planner is None
    kept = config.gradient_strategy == "freeze" or not (acts or shared)
    table_kept = config.freeze_language_model or config.freeze_token_table
    network.encoder.freeze(
        vision_tower=kept or config.freeze_vision_tower,
        projector=kept or config.freeze_language_model,
        language_model=kept or config.freeze_language_model,
        embeddings=kept or table_kept,
    )
    if not (plans and shared):
        _freeze_the_unread(network)
    if network.planner is not None:
        network.planner.freeze(
            vision_tower=not plans or config.freeze_vision_tower,
            projector=not plans or config.freeze_language_model,
            language_model=not plans or config.freeze_language_model,
            embeddings=not plans or table_kept,
        )
    # Where the table trains, differences for its rows would be the same weights twice.
    rows_train = plans and table_kept and not (shared and config.gradient_strategy == "freeze")
    network.token_rows.requires_grad_(rows_train)
    if not acts:
        expert_parts = (network.expert, network.proprio_encoder, network.duration_embed)
        heads = (getattr(network, name) for name in pi05_names.PROJECTIONS)
        for part in (*expert_parts, *heads):
            if part is not None:
                part.requires_grad_(False)


def _freeze_the_unread(network: WaypointNetwork) -> None:
    """Where no plan is read from it, the last layer of the prefix gives keys and values only."""
    last = network.encoder.language_model.layers[-1]
    unread = (last.self_attn.q_proj, last.self_attn.o_proj, last.mlp, last.post_attention_layernorm)
    for part in (*unread, network.encoder.language_model.norm):
        part.requires_grad_(False)


def load_initial(policy: nn.Module, config: WaypointVLAConfig, source: str) -> None:
    """Fill a policy whose parameters have no memory from a checkpoint of pi0.5 or of this type.

    Raises:
        ZooError: A tensor is missing that is not new here, is unexpected, mis-shaped or not finite.
    """
    network: Any = policy.model
    _require_layout(config, source)
    for name in NEW:
        module = getattr(network, name)
        if module is not None:
            module.to_empty(device="cpu")
    network.reset_new_modules()
    widened = WIDENED | {"model.proprio_encoder.weight": (1, True)}
    if config.duration_mode == "adarms_concat":
        # The time keeps its half of the condition, and the duration starts without a say.
        widened |= {"model.time_mlp_in.weight": (1, True)}
    changes = Changes(
        new=[f"model.{name}." for name in NEW],
        widened=widened,
        elsewhere=[PLANNER] if network.planner is not None else [],
        rename=own_name,
    )
    load_pretrained(policy, source, changes)
    if network.planner is not None:
        load_planner(network.planner, config.planner_init_from or source)


def _require_layout(config: WaypointVLAConfig, source: str) -> None:
    """Refuse the weights of a planner that wrote other tokens."""
    with safe_open(source_file(source), framework="pt") as file:
        if ROWS not in file.keys():  # noqa: SIM118
            return
        stored = file.get_slice(ROWS).get_shape()[0]
    if stored != config.layout.rows:
        names = {replace(config.layout, name=name, grippers=0).rows: name for name in LAYOUTS}
        raise ZooError(
            "token_layout is another than that of the initial weights",
            got=f"{config.token_layout}, {config.layout.rows} tokens",
            expected=f"{names.get(stored, 'another layout')}, {stored} tokens, as in {source}",
            do=f"pass --policy.token_layout={names.get(stored)}, or start from weights without a planner",
        )


def load_planner(planner: nn.Module, source: str) -> None:
    """Fill the planner's own PaliGemma from the planner of a checkpoint, else from its only PaliGemma.

    Raises:
        ZooError: As for `load_initial`.
    """
    path = source_file(source)
    with safe_open(path, framework="pt") as file:
        stored = list(file.keys())
    prefix = PLANNER if any(name.startswith(PLANNER) for name in stored) else _ENCODER

    def rename(name: str) -> str | None:
        own = own_name(name)
        if own is None or own == pi05_names.LM_HEAD:
            return own
        return own.removeprefix(prefix) if own.startswith(prefix) else None

    ties = {pi05_names.LM_HEAD: "language_model.embed_tokens.weight"} if prefix == _ENCODER else {}
    report = load_weights(planner, path, rename=rename, ties=ties, untied=pi05_names.UNTIED)
    if prefix == PLANNER:
        report.unexpected = [name for name in report.unexpected if name != pi05_names.LM_HEAD]
    report.require_complete(str(path))
    logger.info("the planner: %s", describe(report, path, [], []))


__all__ = ["build_network", "freeze", "load_initial", "own_name", "pretrained_source"]
