"""Small PaliGemmas with random weights, written to disk by transformers itself."""

from pathlib import Path

import torch
from transformers import PaliGemmaForConditionalGeneration, PaliGemmaModel
from transformers.models.paligemma import PaliGemmaConfig

from lerobot_plugins.nn.paligemma import GEOMETRIES, build_paligemma, geometry_of

# Smaller still than the tiny preset: 16 tokens per picture of 32 pixels.
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 8,
    "image_size": 32,
    "vision_use_head": False,
}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "vocab_size": 264,
}
# What makes it a PaliGemma 2.
GEMMA2 = {"model_type": "gemma2", "query_pre_attn_scalar": 16, "attn_logit_softcapping": 5.0}


def micro_geometry(text: dict | None = None, vision: dict | None = None) -> dict:
    """A geometry of a few ten thousand weights, as `vlm_config` takes it, with changes to its towers."""
    text = TEXT | (text or {})
    return PaliGemmaConfig(
        projection_dim=text["hidden_size"],
        hidden_size=text["hidden_size"],
        image_token_index=259,
        vision_config=VISION | (vision or {}),
        text_config=text,
    ).to_diff_dict()


MICRO_HEAD = {"head_width": 32, "head_depth": 2, "head_num_heads": 2}


def tiny_model(seed: int = 0) -> PaliGemmaModel:
    """The tiny preset with random weights, without its language head."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_paligemma(geometry_of("tiny", "scratch")).eval()


def save_tiny(folder: Path, dtype: torch.dtype = torch.float32, seed: int = 0) -> Path:
    """A whole PaliGemma, language head included, as `save_pretrained` writes it to a model's folder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = PaliGemmaForConditionalGeneration(PaliGemmaConfig(**GEOMETRIES["tiny"]))
    model.to(dtype).save_pretrained(folder)
    return folder
