"""The action expert: a Gemma whose norms the flow time steers, attending to a prefix it never changes.

Action tokens see every real token of the prefix and each other; the prefix sees none of them. So the prefix
runs once (`PrefixEncoder`), and the expert reads its keys and values in every layer: the joint attention of
pi0.5 (arXiv 2504.16054, openpi `gemma_pytorch.py`) exactly, without recomputing the prefix. Tokens may lead
the actions (a goal): they see the prefix and each other, and the actions see them.

Every norm is adaptive: y = rms(x) * (1 + scale) + shift, and the branch behind it enters the residual times
gate, with (scale, shift, gate) = Dense(c) of the time condition c. They depend on time alone, so sampling
computes them for all Euler steps at once.

Legend: B batch, H expert tokens, W expert width, Q query heads, K key/value heads, E head width,
S prefix tokens, T = S + H, N conditions (B in training, 1 per Euler step in sampling).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.fused import fused_linear
from lerobot_plugins.nn.gradients import scale_gradient
from lerobot_plugins.nn.precision import compute_dtype, float32_island, no_autocast
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder, rotate, share


@dataclass(frozen=True)
class ExpertGeometry:
    """Width and MLP width; depth and heads are those of the prefix, whose keys and values are read."""

    width: int
    mlp_width: int


GEOMETRIES = {"gemma_300m": ExpertGeometry(1024, 4096), "tiny": ExpertGeometry(64, 128)}


@dataclass
class Context:
    """What the expert attends to, prepared once per observation.

    Attributes:
        keys_values: Per layer (B, K, S, E), or (B, K, T, E) buffers whose last H places the expert
            overwrites in every step.
        visible_B1HT: True where a token may look at a key; (B, 1, 1, T) where all tokens see the same.
        cos_BHE, sin_BHE: Rotary angles of the expert's tokens.
    """

    keys_values: list[tuple[Tensor, Tensor]]
    visible_B1HT: Tensor
    cos_BHE: Tensor
    sin_BHE: Tensor


class AdaptiveRMSNorm(nn.Module):
    """RMS norm without a weight of its own; scale, shift and gate come from the condition (openpi adaRMS)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.dense = float32_island(nn.Linear(width, 3 * width))
        nn.init.zeros_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, x_BHW: Tensor, modulation_N3W: Tensor) -> tuple[Tensor, Tensor]:
        """The normalised input and the gate (N, 1, W), both in the input's dtype."""
        x = x_BHW.float()
        x = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.eps)
        scale, shift, gate = modulation_N3W.float()[:, None].chunk(3, dim=-1)
        return (x * (1 + scale) + shift).to(x_BHW.dtype), gate.to(x_BHW.dtype)


class ExpertAttention(nn.Module):
    """Projections of one layer; parameter names are transformers' (`GemmaAttention`)."""

    def __init__(self, width: int, num_heads: int, num_kv_heads: int, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.q_proj = nn.Linear(width, num_heads * head_dim, bias=False)
        self.k_proj = nn.Linear(width, num_kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(width, num_kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(num_heads * head_dim, width, bias=False)

    def forward(self, x_BHW: Tensor, keys_values: tuple[Tensor, Tensor], context: Context) -> Tensor:
        """Attend to the prefix and among the expert's tokens."""
        batch, horizon, _ = x_BHW.shape
        q, k, v = (
            part.view(batch, horizon, -1, self.head_dim).transpose(1, 2)
            for part in fused_linear(x_BHW, (self.q_proj, self.k_proj, self.v_proj))
        )
        q_BQHE = rotate(q, context.cos_BHE, context.sin_BHE)
        k_BKHE = rotate(k, context.cos_BHE, context.sin_BHE)
        k_BKTE, v_BKTE = _joined(keys_values, k_BKHE, v, context)
        group = q_BQHE.shape[1] // k_BKTE.shape[1]
        mixed = F.scaled_dot_product_attention(
            q_BQHE,
            share(k_BKTE, group),
            share(v_BKTE, group),
            attn_mask=context.visible_B1HT,
            scale=self.head_dim**-0.5,
        )
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, horizon, -1))


def _joined(
    prefix: tuple[Tensor, Tensor], k_BKHE: Tensor, v_BKHE: Tensor, context: Context
) -> tuple[Tensor, Tensor]:
    """Keys and values of prefix and expert tokens, (B, K, T, E)."""
    k_prefix, v_prefix = prefix
    total = context.visible_B1HT.shape[-1]
    if k_prefix.shape[2] < total:
        return torch.cat([k_prefix, k_BKHE], dim=2), torch.cat([v_prefix, v_BKHE], dim=2)
    horizon = k_BKHE.shape[2]
    k_prefix[:, :, total - horizon :] = k_BKHE
    v_prefix[:, :, total - horizon :] = v_BKHE
    return k_prefix, v_prefix


class ExpertMLP(nn.Module):
    """GeGLU with the tanh approximation (`GemmaMLP`)."""

    def __init__(self, width: int, mlp_width: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, mlp_width, bias=False)
        self.up_proj = nn.Linear(width, mlp_width, bias=False)
        self.down_proj = nn.Linear(mlp_width, width, bias=False)

    def forward(self, x_BHW: Tensor) -> Tensor:
        gate, up = fused_linear(x_BHW, (self.gate_proj, self.up_proj))
        return self.down_proj(F.gelu(gate, approximate="tanh") * up)


class ExpertLayer(nn.Module):
    """Attention and MLP, each behind an adaptive norm and its gate."""

    def __init__(
        self, geometry: ExpertGeometry, num_heads: int, num_kv_heads: int, head_dim: int, eps: float
    ) -> None:
        super().__init__()
        self.self_attn = ExpertAttention(geometry.width, num_heads, num_kv_heads, head_dim)
        self.mlp = ExpertMLP(geometry.width, geometry.mlp_width)
        self.input_layernorm = AdaptiveRMSNorm(geometry.width, eps)
        self.post_attention_layernorm = AdaptiveRMSNorm(geometry.width, eps)

    def forward(
        self,
        x_BHW: Tensor,
        attention_N3W: Tensor,
        mlp_N3W: Tensor,
        keys_values: tuple[Tensor, Tensor],
        context: Context,
    ) -> Tensor:
        """One layer; the modulations are those of its two norms."""
        y, gate = self.input_layernorm(x_BHW, attention_N3W)
        x_BHW = x_BHW + self.self_attn(y, keys_values, context) * gate
        y, gate = self.post_attention_layernorm(x_BHW, mlp_N3W)
        return x_BHW + self.mlp(y) * gate


class ActionExpert(nn.Module):
    """Gemma layers with adaptive norms over action tokens and what leads them.

    Args:
        variant: A key of `GEOMETRIES`.
        encoder: The prefix encoder whose keys and values the expert reads: depth and heads are its.

    Raises:
        ZooError: The variant is unknown.
    """

    def __init__(self, variant: str, encoder: PrefixEncoder) -> None:
        super().__init__()
        if variant not in GEOMETRIES:
            raise ZooError("unknown action_expert_variant", got=variant, expected=", ".join(GEOMETRIES))
        geometry = GEOMETRIES[variant]
        text = encoder.language_model.config
        if text.model_type != "gemma":
            raise ZooError(
                "the action expert reads the keys and values of a Gemma",
                got=text.model_type,
                expected="gemma (PaliGemma 1)",
                do="use paligemma_3b, or the policy type paligemma_flow",
            )
        self.width = geometry.width
        self.gradient_checkpointing = False
        self.layers = nn.ModuleList(
            ExpertLayer(
                geometry,
                text.num_attention_heads,
                text.num_key_value_heads,
                text.head_dim,
                text.rms_norm_eps,
            )
            for _ in range(text.num_hidden_layers)
        )
        self.norm = AdaptiveRMSNorm(geometry.width, text.rms_norm_eps)
        for layer in self.layers.modules():
            if isinstance(layer, nn.Linear) and layer.bias is None:  # adaptive norms start at zero
                nn.init.normal_(layer.weight, std=text.initializer_range)

    def modulations(self, condition_NW: Tensor) -> list[Tensor]:
        """Scale, shift and gate (N, 3W) of every norm: two per layer, then the last; float32."""
        norms = [n for layer in self.layers for n in (layer.input_layernorm, layer.post_attention_layernorm)]
        with no_autocast(condition_NW.device):
            return [norm.dense(condition_NW.float()) for norm in (*norms, self.norm)]

    def forward(self, x_BHW: Tensor, modulations: Sequence[Tensor], context: Context) -> Tensor:
        """Last hidden states (B, H, W) of embedded tokens.

        Args:
            x_BHW: Embedded tokens.
            modulations: What `modulations` made of the condition; rows (N) broadcast over the batch.
            context: What `expert_context` made of the prefix.
        """
        x_BHW = x_BHW.to(compute_dtype(x_BHW))
        for index, layer in enumerate(self.layers):
            arguments = (
                x_BHW,
                modulations[2 * index],
                modulations[2 * index + 1],
                context.keys_values[index],
                context,
            )
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x_BHW = checkpoint(layer, *arguments, use_reentrant=False)
            else:
                x_BHW = layer(*arguments)
        hidden_BHW, _ = self.norm(x_BHW, modulations[-1])
        return hidden_BHW


def expert_context(
    encoder: PrefixEncoder,
    prefix: Prefix,
    horizon: int,
    gradient_scale: float = 1.0,
    in_place: bool = False,
    leading: int = 0,
) -> Context:
    """Everything about the prefix that no denoising step changes.

    Args:
        encoder: Whose rotary embedding the keys carry.
        prefix: Encoded with `keys_values=True`.
        horizon: H, number of the expert's tokens.
        gradient_scale: Factor on the gradient that flows into the prefix through its keys and values: 1 is
            the identity, 0 detaches (knowledge insulation, arXiv 2505.23705).
        in_place: Give keys and values buffers with room for the expert's tokens, which every step overwrites:
            the prefix is copied once instead of once per step. Not for gradients.
        leading: How many of the tokens lead the actions and do not see them.
    """
    real_B1 = prefix.mask_BS.sum(dim=1, keepdim=True)
    position_BH = real_B1 + torch.arange(horizon, device=real_B1.device)
    reference = prefix.keys_values[0][0]
    cos, sin = encoder.language_model.rotary_emb(reference.float(), position_BH)
    visible = F.pad(prefix.mask_BS, (0, horizon), value=True)[:, None, None, :]
    if leading:
        action_H = torch.arange(horizon, device=real_B1.device) >= leading
        among_HT = F.pad(action_H[:, None] | ~action_H, (prefix.mask_BS.shape[1], 0), value=True)
        visible = visible & among_HT
    if in_place:
        keys_values = [
            (F.pad(k, (0, 0, 0, horizon)), F.pad(v, (0, 0, 0, horizon))) for k, v in prefix.keys_values
        ]
    else:
        keys_values = [
            (scale_gradient(k, gradient_scale), scale_gradient(v, gradient_scale))
            for k, v in prefix.keys_values
        ]
    return Context(keys_values, visible, cos, sin)
