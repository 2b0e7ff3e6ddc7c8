"""Small PaliGemmas with random weights, written to disk by transformers itself."""

from pathlib import Path

import torch
from transformers import PaliGemmaForConditionalGeneration, PaliGemmaModel
from transformers.models.paligemma import PaliGemmaConfig

from lerobot_plugins.nn.paligemma import GEOMETRIES, build_paligemma, geometry_of


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
