"""LeRobot's own `pi05` with small modules: the oracle of our network. Its forwards are untouched."""

from types import SimpleNamespace
from typing import Any

import torch
from lerobot.policies.pi05.modeling_pi05 import PaliGemmaWithExpertModel, PI05Pytorch
from lerobot.policies.pi_gemma import PaliGemmaForConditionalGenerationWithPiGemma, PiGemmaForCausalLM
from torch import nn
from transformers import GemmaConfig, PaliGemmaConfig

from lerobot_plugins.nn import paligemma
from lerobot_plugins.nn.action_expert import GEOMETRIES
from lerobot_plugins.nn.pi05 import PI05Network

# Eight heads, because stock pi05 writes that number into its attention.
GEOMETRY: dict[str, Any] = {
    "projection_dim": 64,
    "hidden_size": 64,
    "image_token_index": 299,
    "vision_config": {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "patch_size": 14,
        "image_size": 28,
        "vision_use_head": False,
    },
    "text_config": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "vocab_size": 300,
    },
}
CHUNK, MAX_ACTION = 6, 32


class SmallPaliGemmaWithExpert(PaliGemmaWithExpertModel):
    """Stock forwards over modules of any geometry."""

    def __init__(self, geometry: dict[str, Any], width: int, mlp_width: int) -> None:
        nn.Module.__init__(self)
        config = PaliGemmaConfig(**paligemma._copy(geometry))
        text = config.text_config
        text.use_adarms, text.adarms_cond_dim = False, None
        expert = GemmaConfig(
            head_dim=text.head_dim,
            hidden_size=width,
            intermediate_size=mlp_width,
            num_attention_heads=text.num_attention_heads,
            num_hidden_layers=text.num_hidden_layers,
            num_key_value_heads=text.num_key_value_heads,
            vocab_size=8,
            hidden_activation="gelu_pytorch_tanh",
            use_adarms=True,
            adarms_cond_dim=width,
        )
        self.freeze_vision_encoder = self.train_expert_only = False
        self.paligemma = PaliGemmaForConditionalGenerationWithPiGemma(config=config)
        self.gemma_expert = PiGemmaForCausalLM(config=expert)
        self.gemma_expert.model.embed_tokens = None


class SmallStockPI05(PI05Pytorch):
    """Stock `PI05Pytorch` of any geometry."""

    def __init__(
        self, geometry: dict[str, Any], width: int, mlp_width: int, chunk: int = CHUNK, steps: int = 10
    ) -> None:
        nn.Module.__init__(self)
        self.config = SimpleNamespace(
            chunk_size=chunk,
            max_action_dim=MAX_ACTION,
            num_inference_steps=steps,
            min_period=4e-3,
            max_period=4.0,
            rtc_config=None,
        )
        self.rtc_processor = None
        self.gradient_checkpointing_enabled = False
        self.paligemma_with_expert = SmallPaliGemmaWithExpert(geometry, width, mlp_width)
        self.action_in_proj = nn.Linear(MAX_ACTION, width)
        self.action_out_proj = nn.Linear(width, MAX_ACTION)
        self.time_mlp_in = nn.Linear(width, width)
        self.time_mlp_out = nn.Linear(width, width)


def fill(module: nn.Module, seed: int = 0) -> None:
    """Random weights everywhere: adaptive norms start at zero, and behind zeros nothing can be seen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            scale = 0.3 if "dense" in name or "norm" in name else parameter.shape[-1] ** -0.5
            parameter.normal_(std=min(scale, 0.3), generator=generator)


def stock_and_ours(
    geometry: dict[str, Any] | None = None, variant: str = "tiny", chunk: int = CHUNK
) -> tuple[SmallStockPI05, PI05Network]:
    """The same weights in both networks, copied by name."""
    geometry = geometry or GEOMETRY
    expert = GEOMETRIES[variant]
    stock = SmallStockPI05(geometry, expert.width, expert.mlp_width, chunk)
    fill(stock)
    ours = PI05Network(paligemma.build_paligemma(geometry), variant, MAX_ACTION)
    stored = stock.state_dict()
    ours.load_state_dict({name: stored[name] for name in ours.state_dict()})
    return stock.eval(), ours.eval()


def observation(batch: int = 2, cameras: int = 3, length: int = 12, real: int = 7) -> dict[str, Any]:
    """Pictures in [-1, 1], the last camera absent; prompts of `real` and fewer tokens, padded to `length`."""
    generator = torch.Generator().manual_seed(1)
    size = GEOMETRY["vision_config"]["image_size"]
    images = [torch.rand(batch, 3, size, size, generator=generator) * 2 - 1 for _ in range(cameras)]
    images[-1] = torch.full_like(images[-1], -1)
    masks = [torch.ones(batch, dtype=torch.bool) for _ in range(cameras - 1)] + [
        torch.zeros(batch, dtype=torch.bool)
    ]
    tokens = torch.randint(3, 290, (batch, length), generator=generator)
    token_mask = torch.arange(length)[None] < torch.tensor([real - row for row in range(batch)])[:, None]
    return {
        "images": images,
        "image_masks": masks,
        "tokens": tokens * token_mask,
        "token_mask": token_mask,
        "action": torch.randn(batch, CHUNK, MAX_ACTION, generator=generator),
        "noise": torch.randn(batch, CHUNK, MAX_ACTION, generator=generator),
        "time": torch.linspace(0.2, 0.9, batch),
    }
