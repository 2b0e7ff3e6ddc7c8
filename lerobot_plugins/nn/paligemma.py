"""PaliGemma's geometry and weights: from a preset, a folder, or the Hub.

`geometry_of` answers which network, `build_paligemma` makes it without weights, `load_paligemma` brings
pretrained weights, strictly.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PaliGemmaConfig, PaliGemmaModel

from lerobot_plugins.errors import ZooError, first_names

logger = logging.getLogger(__name__)

SCRATCH = "scratch"
TEXT_TOWERS = ("gemma", "gemma2")  # of PaliGemma and PaliGemma 2

# Geometry presets, as arguments of `PaliGemmaConfig`. transformers' own defaults are not PaliGemma-3B's.
GEOMETRIES: dict[str, dict[str, Any]] = {
    "paligemma_3b": {
        "projection_dim": 2048,
        "hidden_size": 2048,
        "image_token_index": 257152,
        "vision_config": {
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "patch_size": 14,
            "image_size": 224,
            "vision_use_head": False,
        },
        "text_config": {
            "hidden_size": 2048,
            "intermediate_size": 16384,
            "num_hidden_layers": 18,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "vocab_size": 257216,
        },
    },
    # The same structure with under a million weights, for the byte tokenizer. Serves demo and tests.
    "tiny": {
        "projection_dim": 128,
        "hidden_size": 128,
        "image_token_index": 259,
        "vision_config": {
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "patch_size": 8,
            "image_size": 64,
            "vision_use_head": False,
        },
        "text_config": {
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "vocab_size": 264,
        },
    },
}

# Where a preset's weights come from when nothing else is said.
PRETRAINED = {"paligemma_3b": "google/paligemma-3b-pt-224", "tiny": SCRATCH}


def default_source(variant: str) -> str:
    """Where the weights of a preset come from: a hub id, or `scratch`.

    Raises:
        ZooError: The preset is unknown.
    """
    if variant not in PRETRAINED:
        raise ZooError("unknown paligemma_variant", got=variant, expected=", ".join(PRETRAINED))
    return PRETRAINED[variant]


def geometry_of(variant: str, source: str, revision: str | None = None) -> dict[str, Any]:
    """The geometry as a plain JSON-able dict: the source's own config.json, else the preset.

    Raises:
        ZooError: The source has no readable config.json.
    """
    if source == SCRATCH:
        config = PaliGemmaConfig(**_copy(GEOMETRIES[variant]))
    else:
        with _explained(source):
            config = AutoConfig.from_pretrained(source, revision=revision)
        if config.model_type != "paligemma":
            raise ZooError(
                f"{source} is not a PaliGemma model",
                got=f"model_type {config.model_type!r}",
                expected="'paligemma'",
                do="set --policy.init_from to a PaliGemma checkpoint",
            )
    return config.to_diff_dict()


def truncated(geometry: dict[str, Any], num_layers: int) -> dict[str, Any]:
    """The geometry with the language model's first layers alone.

    Raises:
        ZooError: It has fewer.
    """
    short = _copy(geometry)
    text = short["text_config"]
    if not 1 <= num_layers <= text["num_hidden_layers"]:
        raise ZooError(
            "the language model does not have that many layers",
            got=f"vlm_num_layers={num_layers}",
            expected=f"1 to {text['num_hidden_layers']}",
        )
    text["num_hidden_layers"] = num_layers
    if text.get("layer_types"):
        text["layer_types"] = text["layer_types"][:num_layers]
    return short


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _config(geometry: dict[str, Any]) -> PaliGemmaConfig:
    config = PaliGemmaConfig(**_copy(geometry))
    text = config.text_config
    if text.model_type not in TEXT_TOWERS:
        raise ZooError(
            "this text tower is not supported",
            got=text.model_type,
            expected=" or ".join(TEXT_TOWERS),
            do="use a PaliGemma or PaliGemma 2 checkpoint, such as google/paligemma-3b-pt-224",
        )
    if text.model_type == "gemma2" and not text.attn_logit_softcapping:
        raise ZooError("a Gemma 2 tower without attn_logit_softcapping is not supported")
    return config


def build_paligemma(geometry: dict[str, Any]) -> PaliGemmaModel:
    """A float32 PaliGemma of this geometry (see `geometry_of`), without its language head."""
    return PaliGemmaModel(_config(geometry)).float()


def load_paligemma(
    source: str, geometry: dict[str, Any], revision: str | None = None, first_layers_only: bool = False
) -> PaliGemmaModel:
    """Pretrained weights from a hub id or a folder; in the file's own dtype, every tensor accounted for.

    With `first_layers_only` those of language layers beyond the geometry's are left out.

    Raises:
        ZooError: The source cannot be reached, or does not hold exactly this network, or not only finite
            numbers.
    """
    logger.info("loading PaliGemma weights from %s", source)
    config = _config(geometry)
    with _explained(source):
        model, info = PaliGemmaModel.from_pretrained(
            source,
            config=config,
            revision=revision,
            dtype="auto",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, with the names
            attn_implementation="sdpa",
        )
    depth = config.text_config.num_hidden_layers
    problems = {
        "missing": set(info["missing_keys"]),
        "mis-shaped": {
            f"{name} ({tuple(stored)}, {tuple(own)})" for name, stored, own in info["mismatched_keys"]
        },
        # The language head is not part of this network.
        "unexpected": {
            key
            for key in info["unexpected_keys"]
            if "lm_head" not in key and not (first_layers_only and _language_layer(key) >= depth)
        },
        "not finite": {name for name, value in model.named_parameters() if not value.isfinite().all()},
    }
    found = "; ".join(f"{kind}: {first_names(names)}" for kind, names in problems.items() if names)
    if found:
        raise ZooError(
            f"{source} does not hold the weights of this PaliGemma",
            got=found,
            expected="every tensor of the network, no other, all of the right shape, all finite",
            do="download the checkpoint again, or set --policy.init_from to one that fits",
        )
    return model


def _language_layer(name: str) -> int:
    """Index of the language model's layer that a tensor belongs to; -1 for others."""
    found = re.search(r"language_model\..*?layers\.(\d+)\.", name)
    return int(found[1]) if found else -1


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    try:
        yield
    # transformers raises ValueError for a config.json without a model type.
    except (OSError, ValueError, SafetensorError) as error:
        raise ZooError(
            f"cannot read PaliGemma from {source}",
            got=str(error).strip().splitlines()[0],
            expected="a folder with config.json and safetensors, or a model on the Hub",
            do="accept the licence on the model's page and run `hf auth login` and `hf download "
            f"{source}`, or pass --policy.init_from=FOLDER, or --policy.init_from={SCRATCH} to train "
            "without pretrained weights",
        ) from error


def parameter_count(module: torch.nn.Module) -> int:
    """Number of parameters, tied ones once."""
    return sum(parameter.numel() for parameter in module.parameters())
