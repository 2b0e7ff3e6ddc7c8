"""Attention of one sequence to another, with biased projections (Vaswani et al., 2017).

    out = O softmax(Q x (K m)^T / sqrt(E)) V m        rows without anything to read give zeros

Legend: B batch, N queries, M keys, D width of the queries, C width of the keys, H heads, E = D / H.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class CrossAttention(nn.Module):
    """Multi-head attention from `width` to `key_width`.

    Args:
        width: D, of queries and of the output.
        key_width: C.
        heads: H, a divisor of D.
    """

    def __init__(self, width: int, key_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(key_width, width)
        self.v_proj = nn.Linear(key_width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, query_BND: Tensor, keys_BMC: Tensor, visible_BM: Tensor | None = None) -> Tensor:
        """What each query reads, (B, N, D).

        Args:
            query_BND: Queries.
            keys_BMC: What they read.
            visible_BM: False where a key must not be read; None is all of them.
        """

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        mask = None
        if visible_BM is not None:
            any_B1 = visible_BM.any(dim=1, keepdim=True)
            # A softmax over nothing is NaN, and so is its gradient: read something and forget it below.
            mask = (visible_BM | ~any_B1)[:, None, None]
        read = F.scaled_dot_product_attention(
            heads(self.q_proj(query_BND)),
            heads(self.k_proj(keys_BMC)),
            heads(self.v_proj(keys_BMC)),
            attn_mask=mask,
        )
        out_BND = self.out_proj(read.transpose(1, 2).flatten(2))
        return out_BND if visible_BM is None else out_BND * any_B1[..., None]
