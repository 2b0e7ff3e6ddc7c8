"""Plans, segments and training steps of `waypoint_vla`, each beside its peer in one process.

plan       our decoding beside the published loop: one token per pass, forced ones too, a cache that is
           copied, logits of the whole vocabulary, every choice brought to the host. The same weights; the
           tokens are compared.
segment    prefix and ten Euler steps, beside its parts.
training   logits of supervised tokens only, beside logits of every position. The same loss; time and peak
           memory above weights and gradients.

Real width and real vocabulary in float32 with fewer layers; two cameras, a prompt of LIBERO's length. The
floor of a plan is what reading the weights of the layers takes, once for every pass that cannot be avoided,
and the prefix.

    python benchmarks/waypoint_vla.py [--repeats 5] [--depth 4] [--batch 1]

The last line is JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from measuring import beside, peak_growth, seconds
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from literal_decoding import literal_plan

from lerobot_plugins.nn import paligemma
from lerobot_plugins.nn.flow_matching import euler_times
from lerobot_plugins.nn.prefix_encoder import language_layer, positions_from_mask
from lerobot_policy_waypoint_vla.decoding import Grammar
from lerobot_policy_waypoint_vla.network import Goal, WaypointNetwork
from lerobot_policy_waypoint_vla.planner import plan_errors, write_plans
from lerobot_policy_waypoint_vla.tokens import TokenLayout

LAYOUT = TokenLayout("bins300", 257023, continuous=6, grippers=1)
GRAMMAR = Grammar(LAYOUT, waypoints=7, max_duration=32)
PROMPT, EXPERT_PROMPT, HEADER = 50, 20, [4022, 235292, 235248]
STEPS, HORIZON = 10, 32


class Side:
    """A network of real width and one observation."""

    def __init__(self, depth: int) -> None:
        geometry = {**paligemma.GEOMETRIES["paligemma_3b"]}
        geometry["vision_config"] = geometry["vision_config"] | {"num_hidden_layers": depth}
        geometry["text_config"] = geometry["text_config"] | {"num_hidden_layers": depth, "vocab_size": 257152}
        torch.manual_seed(0)
        model = paligemma.build_paligemma(geometry)
        self.network = WaypointNetwork(model, "gemma_300m", 32, 32, True, LAYOUT.rows).eval()
        generator = torch.Generator().manual_seed(0)

        def rand(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        self.images = [rand(1, 3, 224, 224).clamp(-1, 1) for _ in range(2)]
        self.prompt = self._text(PROMPT, generator)
        self.expert_prompt = self._text(EXPERT_PROMPT, generator)
        self.header = torch.tensor([HEADER])
        self.goal = Goal(rand(1, 32), rand(1, 32), torch.tensor([8]))
        self.noise = rand(1, HORIZON, 32)
        states = torch.rand(1, 7, 7, generator=generator).numpy() * 2 - 1
        self.plan_ids = torch.from_numpy(LAYOUT.encode(states, torch.full((1, 7), 6).numpy()))
        self.targets = torch.from_numpy(LAYOUT.supervised(*[torch.ones(1, 7).bool().numpy()] * 2))

    @staticmethod
    def _text(length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        ids = torch.randint(3, 200_000, (1, length), generator=generator)
        return ids, torch.ones_like(ids, dtype=torch.bool)

    def pictures(self) -> tuple[Tensor, Tensor]:
        return self.network.encoder.embed_images(self.images, [None, None])

    # Plans.

    @torch.no_grad()
    def our_plan(self) -> list[int]:
        plans = write_plans(self.network, self.pictures(), self.prompt, self.header, GRAMMAR, 0.0, [])
        return plans.ids_BL[0].tolist()

    @torch.no_grad()
    def literal_plan(self) -> list[int]:
        return literal_plan(self.network, self.pictures(), self.prompt, HEADER, GRAMMAR)

    @torch.no_grad()
    def prefix(self, prompt: tuple[Tensor, Tensor]) -> Any:
        encoder = self.network.encoder
        tokens = encoder.with_prompt(*self.pictures(), *prompt)
        return encoder.encode(*tokens, keys_values=True, hidden=False)

    @torch.no_grad()
    def read_layers(self) -> None:
        """One token's products with every weight of the layers, which is what a pass cannot avoid."""
        vectors = {2048: torch.ones(1, 2048), 16384: torch.ones(1, 16384)}
        for name, weight in self.network.encoder.language_model.layers.named_parameters():
            if weight.ndim == 2 and "lora" not in name:
                F.linear(vectors[weight.shape[1]], weight)

    # Segments.

    @torch.no_grad()
    def segment(self) -> Tensor:
        network = self.network
        context = network.goal_context(self.prefix(self.expert_prompt), self.goal, HORIZON, in_place=True)
        return network.denoise(context, network.step_modulations(euler_times(STEPS), self.goal), self.noise)

    # Training.

    def our_loss(self) -> Tensor:
        errors = plan_errors(
            self.network,
            self.pictures(),
            self.prompt,
            self.header,
            self.plan_ids,
            self.targets,
            LAYOUT,
            3.0,
            False,
        )
        return (errors.error_BL * errors.weight_BL).sum() / errors.weight_BL.sum()

    def unmasked_loss(self) -> Tensor:
        """Logits of every position, pictures and prompt included; errors are masked afterwards."""
        network, encoder = self.network, self.network.encoder
        x, mask = encoder.with_prompt(*self.pictures(), *self.prompt)
        text = torch.cat(
            [
                encoder.language_model.embed_tokens(self.header),
                network.embed_plan(self.plan_ids[:, :-1], LAYOUT.bottom),
            ],
            dim=1,
        )
        # The whole sequence is asked for, so nothing is left out in the last layer.
        hidden = self._all_hidden(torch.cat([x, text], dim=1), mask, text.shape[1])
        logits = network.logits(hidden[0], LAYOUT.bottom).float()
        count = self.plan_ids.shape[1] - 1
        ids = torch.zeros(len(logits), dtype=torch.long)
        ids[-count:] = self.plan_ids[0, 1:]
        weight = torch.zeros(len(logits))
        grippers = torch.isin(self.plan_ids[0, 1:], torch.tensor(LAYOUT.gripper.ids))
        weight[-count:] = torch.where(grippers, 3.0, 1.0) * self.targets[0, 1:]
        return (F.cross_entropy(logits, ids, reduction="none") * weight).sum() / weight.sum()

    def _all_hidden(self, x: Tensor, mask: Tensor, causal: int) -> Tensor:
        model = self.network.encoder.language_model
        mask = F.pad(mask, (0, causal), value=True)
        place = torch.arange(x.shape[1]) - (x.shape[1] - causal)
        visible = mask[:, None, None] & (place.clamp(min=-1) <= place.clamp(min=-1)[:, None])
        cos, sin = model.rotary_emb(x, positions_from_mask(mask))
        for layer in model.layers:
            x, _, _ = language_layer(layer, x, visible, cos, sin)
        return model.norm(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--depth", type=int, default=4)
    arguments = parser.parse_args()
    side = Side(arguments.depth)
    same = side.our_plan() == side.literal_plan()
    assert same, "our plan is not the literal one"
    result: dict[str, Any] = {
        "benchmark": "waypoint_vla",
        "peer": "the published loops, the same weights",
        "depth": arguments.depth,
        "batch": 1,
        "same_tokens": same,
        "passes": {"peer": 3 + GRAMMAR.length, "ours": 56},
        "plan": beside(side.literal_plan, side.our_plan, arguments.repeats),
    }
    read = min(seconds(side.read_layers) for _ in range(arguments.repeats))
    prefix = min(seconds(lambda: side.prefix(side.prompt)) for _ in range(arguments.repeats))
    floor = 56 * read + prefix
    plan = result["plan"]["our_seconds"]
    result["plan"] |= {"floor_seconds": floor, "share_of_floor": floor / plan, "prefix_seconds": prefix}
    print(f"plan: {result['plan']}")
    segment = min(seconds(side.segment) for _ in range(arguments.repeats))
    expert_prefix = min(seconds(lambda: side.prefix(side.expert_prompt)) for _ in range(arguments.repeats))
    result["segment"] = {"seconds": segment, "prefix_seconds": expert_prefix}
    print(f"segment: {result['segment']}")
    losses = float(side.our_loss().detach()), float(side.unmasked_loss().detach())
    result["training"] = {"relative_difference": abs(losses[0] / losses[1] - 1)}

    def step(loss: Callable[[], Tensor]) -> Callable[[], None]:
        return lambda: loss().backward()

    step(side.our_loss)()  # every weight has its gradient before memory is measured
    result["training"] |= beside(step(side.unmasked_loss), step(side.our_loss), arguments.repeats)
    memory = [peak_growth(step(loss)) for loss in (side.unmasked_loss, side.our_loss)]
    result["training"] |= {
        "peer_bytes": memory[0],
        "our_bytes": memory[1],
        "memory_ratio": memory[1] / memory[0],
    }
    print(f"training: {result['training']}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
