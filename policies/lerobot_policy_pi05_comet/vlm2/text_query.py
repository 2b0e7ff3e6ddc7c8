"""Text-guided retrieval: the instruction decides what the memories are asked for.

    Q = LN(H + attention(query = H, keys = values = text))

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.

Legend: B batch, N picture tokens, L text tokens, D width.
"""

import torch
from torch import Tensor, nn


class TextQuery(nn.Module):
    """Queries of the memories from picture tokens and the embedded instruction.

    Args:
        width: D, also of the text.
        heads: Attention heads, a divisor of D.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor) -> Tensor:
        """Queries (B, N, D); a row without text asks with its picture tokens as they are."""
        some_B1 = text_mask_BL.any(dim=1, keepdim=True)
        # A softmax over nothing is NaN: such a row reads its padding, and what it reads is dropped below.
        hidden_BL = ~text_mask_BL & some_B1
        read_BND, _ = self.attention(
            tokens_BND, text_BLD, text_BLD, key_padding_mask=hidden_BL, need_weights=False
        )
        return torch.where(some_B1[..., None], self.layer_norm(tokens_BND + read_BND), tokens_BND)
