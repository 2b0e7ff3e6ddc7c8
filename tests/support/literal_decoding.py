"""Writing a plan as the published loop does: the oracle of our decoding, and its peer in the benchmark.

One row; one token per forward pass, forced ones too; a cache that grows by concatenation; a mask built in
every step; logits of the whole vocabulary in float32; every choice brought to the host; one more pass at the
end.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lerobot_plugins.nn.prefix_encoder import language_layer
from lerobot_policy_waypoint_vla.decoding import Grammar
from lerobot_policy_waypoint_vla.network import WaypointNetwork
from lerobot_policy_waypoint_vla.tokens import DURATIONS, TokenFamily


@torch.no_grad()
def literal_plan(
    network: WaypointNetwork,
    pictures: tuple[Tensor, Tensor],
    prompt: tuple[Tensor, Tensor],
    header: list[int],
    grammar: Grammar,
) -> list[int]:
    """The tokens of one plan, all slots written out.

    Args:
        network: The planner is its PaliGemma.
        pictures: Tokens (1, N, D) and mask (1, N).
        prompt: Ids (1, L) and mask (1, L); without padding.
        header: Ids between prompt and plan.
        grammar: What is legal.
    """
    encoder, layout = network.planner_encoder, grammar.layout
    x_BSD, mask_BS = encoder.with_prompt(*pictures, *prompt)
    assert mask_BS.all(), "the published loop sees padding"
    prefix = encoder.encode(x_BSD, mask_BS, keys_values=True)
    cache = list(prefix.keys_values)
    position = mask_BS.shape[1]
    ids: list[int] = []
    for token in header:
        hidden, position = _feed(network, cache, token, position, layout.bottom)
    for slot in range(grammar.waypoints):
        for place in layout.block:
            if isinstance(place, TokenFamily):
                logits = _whole_logits(network, hidden, layout.bottom)
                legal = torch.full_like(logits, -torch.inf)
                legal[_legal(place, slot, grammar)] = 0.0
                token = int((logits + legal).argmax().item())
            else:
                token = place
            ids.append(token)
            hidden, position = _feed(network, cache, token, position, layout.bottom)
    return ids


def _feed(
    network: WaypointNetwork, cache: list[Any], token: int, position: int, bottom: int
) -> tuple[Tensor, int]:
    """One token through all layers; returns its hidden state (D,) and the next position."""
    model = network.planner_encoder.language_model
    ids = torch.tensor([[token]])
    x = network.embed_plan(ids, bottom) if token >= bottom else model.embed_tokens(ids)
    cos, sin = model.rotary_emb(x.float(), torch.tensor([[position]]))
    visible = torch.ones(1, 1, 1, cache[0][0].shape[2] + 1, dtype=torch.bool)
    for index, layer in enumerate(model.layers):

        def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float, index: int = index) -> Tensor:
            cache[index] = tuple(torch.cat(pair, dim=2) for pair in zip(cache[index], (k, v), strict=True))
            keys, values = (part.expand(-1, q.shape[1], -1, -1) for part in cache[index])
            return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, scale=scale)

        x, _, _ = language_layer(layer, x, visible, cos, sin, attend=attend)
    return model.norm(x)[0, 0], position + 1


def _whole_logits(network: WaypointNetwork, hidden_D: Tensor, bottom: int) -> Tensor:
    return network.logits(hidden_D[None].float(), bottom)[0]


def _legal(family: TokenFamily, slot: int, grammar: Grammar) -> list[int]:
    if family.name != "duration":
        return family.ids
    first = 1 if slot == 0 and not grammar.terminal_first else 0
    return [family.first - d for d in range(first, min(grammar.max_duration, DURATIONS - 1) + 1)]
