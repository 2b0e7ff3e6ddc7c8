"""Text behind a prefix, written a few tokens at a time over keys and values that stay where they are.

The buffers have room for every token there will be, so nothing is copied while decoding and shapes never
change. Rows may have prefixes of different length: each row's tokens continue at its own position, and
padding of a prefix is never a key.

Legend: B batch, N tokens fed at once, L tokens there will be, S prefix tokens, T = S + L, D language width,
Q query heads, K key/value heads, E head width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder, language_layer, positions_from_mask


class CachedDecoder:
    """Continues one batch of encoded prefixes.

    Args:
        encoder: The language model that made the prefix.
        prefix: Encoded with `keys_values=True`; its tensors are copied once.
        length: L, how many tokens will be fed at most.
    """

    def __init__(self, encoder: PrefixEncoder, prefix: Prefix, length: int) -> None:
        self._model = encoder.language_model
        self._buffers = [
            (F.pad(k, (0, 0, 0, length)), F.pad(v, (0, 0, 0, length))) for k, v in prefix.keys_values
        ]
        self._fed = 0
        self._prefix = prefix
        self._start = prefix.mask_BS.shape[1]
        token_L = torch.arange(length, device=prefix.mask_BS.device)
        position_BL = prefix.mask_BS.sum(dim=1, keepdim=True) + token_L
        self._cos, self._sin = self._model.rotary_emb(prefix.keys_values[0][0].float(), position_BL)
        causal_LL = token_L <= token_L[:, None]
        prefix_BLS = prefix.mask_BS[:, None].expand(-1, length, -1)
        causal_BLL = causal_LL.expand(len(prefix_BLS), -1, -1)
        self._visible_B1LT = torch.cat([prefix_BLS, causal_BLL], dim=2)[:, None]

    def feed(self, x_BND: Tensor) -> Tensor:
        """Feed N embedded tokens, causal among themselves; returns their last hidden states, (B, N, D)."""
        first, last = self._fed, self._fed + x_BND.shape[1]
        assert last <= self._cos.shape[1], "more tokens than there is room for"
        self._fed = last
        cos, sin = self._cos[:, first:last], self._sin[:, first:last]
        visible = self._visible_B1LT[:, :, first:last]
        place = slice(self._start + first, self._start + last)
        x = x_BND.to(self._buffers[0][0].dtype)
        for layer, (keys_BKTE, values_BKTE) in zip(self._model.layers, self._buffers, strict=True):

            def attend(
                q: Tensor,
                k: Tensor,
                v: Tensor,
                visible: Tensor,
                scale: float,
                keys: Tensor = keys_BKTE,
                values: Tensor = values_BKTE,
            ) -> Tensor:
                keys[:, :, place], values[:, :, place] = k, v
                return _attend_grouped(q, keys, values, visible, scale)

            x, _, _ = language_layer(layer, x, visible, cos, sin, attend=attend)
        return self._model.norm(x)

    def continued(self, mask_BL: Tensor) -> Prefix:
        """The prefix with what has been fed behind it, of which `mask_BL` says what is real; without hidden
        states."""
        assert mask_BL.shape[1] == self._fed, "one mask entry for each token fed"
        mask_BT = torch.cat([self._prefix.mask_BS, mask_BL.bool()], dim=1)
        end = self._start + self._fed
        keys_values = [(k[:, :, :end], v[:, :, :end]) for k, v in self._buffers]
        return Prefix(None, mask_BT, positions_from_mask(mask_BT), keys_values)


def _attend_grouped(
    q_BQNE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, visible_B1NT: Tensor, scale: float
) -> Tensor:
    """Query heads that share a key/value head become more queries of it, which is read once instead of once
    per head."""
    batch, heads, count, width = q_BQNE.shape
    shared = k_BKTE.shape[1]
    group = heads // shared
    mixed = F.scaled_dot_product_attention(
        q_BQNE.reshape(batch, shared, group * count, width),
        k_BKTE,
        v_BKTE,
        attn_mask=visible_B1NT.repeat(1, 1, group, 1) if count > 1 else visible_B1NT,
        scale=scale,
    )
    return mixed.reshape(batch, heads, count, width)
