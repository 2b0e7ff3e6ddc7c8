"""Writing plans: greedy (or sampled) decoding that can only produce legal ones.

Every place of a plan allows one token or one family of tokens, so only the rows of the head that are possible
are multiplied, a delimiter costs no forward pass (it is fed together with the token before it), and the last
token is never fed. A plan of 7 waypoints of LIBERO takes 56 passes instead of 73.

Choices stay on the device; once per waypoint it is asked whether all rows have ended.

Legend: B rows, N tokens fed at once, D language width, M waypoints, K planned state dims.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lerobot_policy_waypoint_vla.tokens import DURATIONS, TokenFamily, TokenLayout, centres

# Feeds ids (B, N); returns the last hidden states (B, D) of the last of them.
Feed = Callable[[Tensor], Tensor]
# Scores (B, classes) of a family's tokens for hidden states (B, D), float32.
Score = Callable[[Tensor, TokenFamily], Tensor]


@dataclass(frozen=True)
class Grammar:
    """What a legal plan is.

    Args:
        layout: The tokens.
        waypoints: M.
        max_duration: Longest duration.
        terminal_first: Whether the first waypoint may already end the plan.
    """

    layout: TokenLayout
    waypoints: int
    max_duration: int
    terminal_first: bool = False

    @property
    def length(self) -> int:
        """Tokens of a whole plan."""
        return self.waypoints * len(self.layout.block)

    def forbidden(self, slot: int, device: torch.device) -> Tensor:
        """-inf for durations that a slot does not allow, else 0, float32 (34,)."""
        duration = torch.arange(DURATIONS, device=device)
        wrong = duration > self.max_duration
        if slot == 0 and not self.terminal_first:
            wrong |= duration == 0
        return torch.zeros(DURATIONS, device=device).masked_fill(wrong, -torch.inf)


@dataclass
class Plans:
    """Decoded plans.

    Attributes:
        state_BMK: Normalised numbers at the centres of their bins, then grippers, 0 closed or 1 open.
        duration_BM: int64 control steps from the waypoint before; from the first 0 on a plan has ended.
        ids_BL: The tokens; shorter than a whole plan where all rows ended early.
    """

    state_BMK: Tensor
    duration_BM: Tensor
    ids_BL: Tensor


@torch.no_grad()
def decode_plans(
    feed: Feed,
    score: Score,
    rows: int,
    grammar: Grammar,
    device: torch.device,
    temperature: float = 0.0,
    rngs: Sequence[np.random.Generator] = (),
) -> Plans:
    """Write one plan per row.

    Args:
        feed: Feeds tokens behind prompt and header.
        score: Scores the tokens of a family.
        rows: B.
        grammar: What is legal.
        device: Where tokens are chosen.
        temperature: 0 takes the best token; above, tokens are sampled from the softmax at this temperature.
        rngs: For sampling, one per row, so that a plan does not depend on its batch.
    """
    layout = grammar.layout
    pending: list[Tensor] = []
    ids: list[Tensor] = []
    states: list[Tensor] = []
    durations: list[Tensor] = []
    ended_B = torch.zeros(rows, dtype=torch.bool, device=device)
    value = torch.from_numpy(centres(layout.bins)).to(device)
    for slot in range(grammar.waypoints):
        for place in layout.block:
            if not isinstance(place, TokenFamily):
                id_B1 = torch.full((rows, 1), place, device=device)
                pending.append(id_B1)
            else:
                scores = score(feed(torch.cat(pending, dim=1)), place)
                if place == layout.duration:
                    scores = scores + grammar.forbidden(slot, device)
                class_B = _choose(scores, temperature, rngs)
                if place == layout.duration:
                    durations.append(class_B.masked_fill(ended_B, 0))
                else:
                    states.append(value[class_B] if place == layout.number else 1.0 - class_B)
                id_B1 = (place.first - class_B)[:, None]
                pending = [id_B1]
            ids.append(id_B1)
        ended_B = ended_B | (durations[-1] == 0)
        if bool(ended_B.all()):
            break
    slots = len(durations)
    state_BMK = torch.stack(states, dim=1).view(rows, slots, -1)
    missing = grammar.waypoints - slots
    return Plans(
        torch.cat([state_BMK, state_BMK[:, -1:].expand(-1, missing, -1)], dim=1),
        torch.nn.functional.pad(torch.stack(durations, dim=1), (0, missing)),
        torch.cat(ids, dim=1),
    )


def _choose(scores: Tensor, temperature: float, rngs: Sequence[np.random.Generator]) -> Tensor:
    """The best class, or one sampled by adding Gumbel noise."""
    if temperature > 0:
        noise = np.stack([rng.gumbel(size=scores.shape[-1]) for rng in rngs]).astype(np.float32)
        scores = scores / temperature + torch.from_numpy(noise).to(scores.device)
    return scores.argmax(dim=-1)
