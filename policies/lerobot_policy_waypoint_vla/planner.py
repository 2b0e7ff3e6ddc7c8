"""The planner: the loss of plans given pictures and prompt, and writing them.

The plan is causal text behind a bidirectional prefix. Logits are computed where a token is supervised and
nowhere else: 56 of some 650 positions at most, and a row of logits is a megabyte.

Legend: B batch, S prefix tokens, X header tokens, L plan tokens, N supervised tokens, D language width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lerobot_plugins.nn.cached_decoding import CachedDecoder
from lerobot_plugins.nn.precision import no_autocast
from lerobot_policy_waypoint_vla.decoding import Grammar, Plans, decode_plans
from lerobot_policy_waypoint_vla.network import WaypointNetwork
from lerobot_policy_waypoint_vla.tokens import TokenFamily, TokenLayout


@dataclass
class PlanErrors:
    """Errors of the tokens that follow another, so of all but the first.

    Attributes:
        error_BL: Cross-entropies, float32, 0 where nothing is supervised; (B, L - 1).
        weight_BL: 0 where nothing is supervised, `gripper_weight` for grippers, else 1.
        right: Per family, which supervised tokens the constrained choice hits (N of the family,).
    """

    error_BL: Tensor
    weight_BL: Tensor
    right: dict[str, Tensor]


def plan_errors(
    network: WaypointNetwork,
    pictures: tuple[Tensor, Tensor],
    prompt: tuple[Tensor, Tensor],
    header_BX: Tensor,
    plan_BL: Tensor,
    target_BL: Tensor,
    layout: TokenLayout,
    gripper_weight: float,
    over_family: bool,
) -> PlanErrors:
    """Errors of a batch of plans.

    Args:
        network: Whose planner predicts.
        pictures: What `PrefixEncoder.embed_images` made: tokens and their mask.
        prompt: Token ids and their mask.
        header_BX: Ids between prompt and plan.
        plan_BL: Ids of the plans.
        target_BL: True where an id is supervised.
        layout: What stands where.
        gripper_weight: Weight of a gripper's token.
        over_family: Normalise over the tokens that are possible in a place, not over the vocabulary.
    """
    encoder = network.planner_encoder
    prefix_BSD, mask_BS = encoder.with_prompt(*pictures, *prompt)
    # The last token of a plan is predicted and never read.
    header_BXD = encoder.language_model.embed_tokens(header_BX)
    text_BTD = torch.cat([header_BXD, network.embed_plan(plan_BL[:, :-1], layout.bottom)], dim=1)
    text_BTD = text_BTD.to(prefix_BSD.dtype)
    count = text_BTD.shape[1]
    prefix = encoder.encode(
        torch.cat([prefix_BSD, text_BTD], dim=1), F.pad(mask_BS, (0, count), value=True), causal=count
    )
    assert prefix.hidden_BSD is not None
    # The header's last token would predict the first delimiter, which is never chosen.
    hidden_BLD = prefix.hidden_BSD[:, -(plan_BL.shape[1] - 1) :]
    target_BL, plan_BL = target_BL[:, 1:], plan_BL[:, 1:]
    hidden_ND, id_N = hidden_BLD[target_BL], plan_BL[target_BL]
    logits_NV = None if over_family else network.logits(hidden_ND, layout.bottom)
    error_N = hidden_ND.new_zeros(len(id_N), dtype=torch.float32)
    weight_N = torch.ones_like(error_N)
    right = {}
    for family in {
        family.name: family for family in layout.block if isinstance(family, TokenFamily)
    }.values():
        member_N = (id_N <= family.first) & (id_N > family.first - family.size)
        ids = torch.tensor(family.ids, device=id_N.device)
        class_N = family.first - id_N[member_N]
        if logits_NV is None:
            scores = F.linear(hidden_ND[member_N], network.head(ids, layout.bottom)).float()
            error_N = error_N.masked_scatter(member_N, F.cross_entropy(scores, class_N, reduction="none"))
        else:
            scores = logits_NV.detach()[member_N][:, ids]
        right[family.name] = scores.argmax(dim=-1) == class_N
        if family == layout.gripper:
            weight_N[member_N] = gripper_weight
    if logits_NV is not None:
        error_N = F.cross_entropy(logits_NV.float(), id_N, reduction="none")
    error_BL = hidden_BLD.new_zeros(target_BL.shape, dtype=torch.float32)
    return PlanErrors(
        error_BL.masked_scatter(target_BL, error_N),
        torch.zeros_like(error_BL).masked_scatter(target_BL, weight_N),
        right,
    )


@torch.no_grad()
def write_plans(
    network: WaypointNetwork,
    pictures: tuple[Tensor, Tensor],
    prompt: tuple[Tensor, Tensor],
    header_BX: Tensor,
    grammar: Grammar,
    temperature: float,
    rngs: Sequence[np.random.Generator],
) -> Plans:
    """Plans of a batch over a static cache; see `plan_errors` and `decode_plans` for the arguments."""
    encoder, layout = network.planner_encoder, grammar.layout
    prefix = encoder.encode(*encoder.with_prompt(*pictures, *prompt), keys_values=True, hidden=False)
    header_BXD = encoder.language_model.embed_tokens(header_BX)
    decoder = CachedDecoder(encoder, prefix, header_BX.shape[1] + grammar.length - 1)
    heads = {
        family: network.head(torch.tensor(family.ids, device=header_BX.device), layout.bottom).float()
        for family in layout.families
    }
    waiting = [header_BXD]

    def feed(ids_BN: Tensor) -> Tensor:
        x_BND = torch.cat([*waiting, network.embed_plan(ids_BN, layout.bottom)], dim=1)
        waiting.clear()
        return decoder.feed(x_BND)[:, -1]

    def score(hidden_BD: Tensor, family: TokenFamily) -> Tensor:
        # In float32: neighbouring bins differ by less than bfloat16 can say.
        with no_autocast(hidden_BD.device):
            return F.linear(hidden_BD.float(), heads[family])

    return decode_plans(feed, score, len(header_BX), grammar, header_BX.device, temperature, rngs)
