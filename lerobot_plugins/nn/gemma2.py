"""What Gemma 2 (the text tower of PaliGemma 2) does otherwise than Gemma.

Attention scores are capped by a tanh, which fused attention cannot do: they are all kept, in memory that
grows with the square of the prefix. A branch is normed again before it enters the residual. The sliding
window does not apply to a prefix, which is bidirectional.

Legend: B batch, Q query heads, S tokens, E head width, D language width.
"""

from typing import Any

import torch
from torch import Tensor


def attend_capped(
    q_BQSE: Tensor, k_BQSE: Tensor, v_BQSE: Tensor, visible: Tensor, scale: float, cap: float
) -> Tensor:
    """Attention with capped scores; softmax in float32, as in transformers' eager attention."""
    score = torch.tanh((q_BQSE @ k_BQSE.transpose(2, 3)) * scale / cap) * cap
    score = score.float().masked_fill(~visible, torch.finfo(torch.float32).min)
    return score.softmax(dim=-1).to(q_BQSE.dtype) @ v_BQSE


def is_gemma2(layer: Any) -> bool:
    """Whether a decoder layer is Gemma 2's."""
    return hasattr(layer, "pre_feedforward_layernorm")


def residual(layer: Any, x_BSD: Tensor, attended_BSD: Tensor) -> Tensor:
    """A layer's output, given its input and what its attention made."""
    x_BSD = x_BSD + layer.post_attention_layernorm(attended_BSD)
    return x_BSD + layer.post_feedforward_layernorm(layer.mlp(layer.pre_feedforward_layernorm(x_BSD)))
