"""One training step and one chunk of `pi05_comet`'s network beside LeRobot's `pi05`, in one process.

Both hold the same float32 weights (one copy in memory), at real width with half the depth of each tower, and
see the same LIBERO-like observation: two of three cameras, 48 of 200 prompt tokens. LeRobot's computes the
third camera and the padding and masks them. Losses, gradients and actions are compared first.

Peak memory is what a step needs above weights and gradients: the growth of the process's resident set.

    python benchmarks/pi05.py [--repeats 3] [--depth 9]

The last line is JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import beside, peak_growth
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lerobot_plugins.nn import paligemma
from lerobot_plugins.nn.action_expert import GEOMETRIES
from lerobot_plugins.nn.flow_matching import flow_pair
from lerobot_plugins.nn.pi05 import PI05Network

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from stock_pi05 import MAX_ACTION, SmallStockPI05, fill

CHUNK, REAL_TOKENS, PADDED_TOKENS, STEPS = 50, 48, 200, 10


def geometry_of(depth: int) -> dict[str, Any]:
    """PaliGemma-3B with fewer layers in both towers and a small token table."""
    geometry = {**paligemma.GEOMETRIES["paligemma_3b"]}
    geometry["vision_config"] = geometry["vision_config"] | {"num_hidden_layers": round(27 * depth / 18)}
    geometry["text_config"] = geometry["text_config"] | {"num_hidden_layers": depth, "vocab_size": 1024}
    geometry["image_token_index"] = 1023
    return geometry


def networks(depth: int, device: str) -> tuple[SmallStockPI05, PI05Network]:
    """Both networks; on a real device they share every weight."""
    expert = GEOMETRIES["gemma_300m"]
    with torch.device("meta"):
        ours = PI05Network(paligemma.build_paligemma(geometry_of(depth)), "gemma_300m", MAX_ACTION)
    with torch.device(device):
        stock = SmallStockPI05(geometry_of(depth), expert.width, expert.mlp_width, CHUNK)
    if device != "meta":
        fill(stock)
        weights = dict(stock.named_parameters())
        for name, _ in list(ours.named_parameters()):
            owner, _, leaf = name.rpartition(".")
            setattr(ours.get_submodule(owner), leaf, weights[name])
        for (name, buffer), (_, real) in zip(
            list(ours.named_buffers()), _matching_buffers(ours, stock), strict=True
        ):
            owner, _, leaf = name.rpartition(".")
            assert buffer.shape == real.shape
            ours.get_submodule(owner).register_buffer(leaf, real, persistent=False)
    return stock, ours


def _matching_buffers(ours: PI05Network, stock: SmallStockPI05) -> list[tuple[str, Tensor]]:
    theirs = dict(stock.named_buffers())
    return [(name, theirs[name]) for name, _ in ours.named_buffers()]


class Sides:
    """The two networks on one observation."""

    def __init__(self, depth: int, device: str = "cpu") -> None:
        self.stock, self.ours = networks(depth, device)
        generator = torch.Generator().manual_seed(0)

        def rand(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator).to(device)

        self.images = [rand(1, 3, 224, 224).clamp(-1, 1) for _ in range(2)]
        self.tokens = torch.randint(3, 900, (1, PADDED_TOKENS), generator=generator).to(device)
        self.mask = (torch.arange(PADDED_TOKENS) < REAL_TOKENS)[None].to(device)
        self.action, self.noise = rand(1, CHUNK, MAX_ACTION), rand(1, CHUNK, MAX_ACTION)
        self.time = torch.full((1,), 0.4, device=device)
        there = torch.ones(1, dtype=torch.bool, device=device)
        black = torch.full_like(self.images[0], -1.0)
        self.stock_observation = ([*self.images, black], [there, there, ~there], self.tokens, self.mask)

    def stock_loss(self) -> Tensor:
        return self.stock(*self.stock_observation, self.action, self.noise, self.time).mean()

    def our_prefix(self) -> Any:
        tokens, mask = self.tokens[:, :REAL_TOKENS], self.mask[:, :REAL_TOKENS]
        return self.ours.encoder(self.images, [None, None], tokens, mask, keys_values=True, hidden=False)

    def our_loss(self) -> Tensor:
        x, target = flow_pair(self.action, self.noise, self.time)
        context = self.ours.context(self.our_prefix(), CHUNK)
        velocity = self.ours.velocity(x, self.ours.modulations(self.time), context)
        return (velocity - target).square().mean()

    def stock_chunk(self) -> Tensor:
        return self.stock.sample_actions(*self.stock_observation, self.noise, STEPS)

    @torch.no_grad()
    def our_chunk(self) -> Tensor:
        return self.ours.sample(self.our_prefix(), self.noise, STEPS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--depth", type=int, default=9)
    arguments = parser.parse_args()
    flops = flop_ratios(arguments.depth)
    sides = Sides(arguments.depth)
    result: dict[str, Any] = {
        "benchmark": "pi05",
        "peer": "LeRobot 0.6.1 pi05, the same weights",
        "depth": arguments.depth,
        "batch": 1,
        "prefix_tokens": {"peer": 768 + PADDED_TOKENS, "ours": 512 + REAL_TOKENS},
        "difference": differences(sides),
    }
    print(f"relative differences: {result['difference']}")
    jobs = {
        "train_step": (lambda: sides.stock_loss().backward(), lambda: sides.our_loss().backward()),
        "chunk": (sides.stock_chunk, sides.our_chunk),
    }
    for name, (stock, ours) in jobs.items():
        result[name] = beside(stock, ours, arguments.repeats) | {"flop_ratio": flops[name]}
        print(f"{name}: {result[name]}")
    memory = [peak_growth(call) for call in jobs["train_step"]]
    result["train_memory"] = {
        "peer_bytes": memory[0],
        "our_bytes": memory[1],
        "ratio": memory[1] / memory[0],
    }
    print(f"memory of a step above weights and gradients: {result['train_memory']}")
    print(json.dumps(result))


def differences(sides: Sides) -> dict[str, float]:
    """Relative differences (2-norm) of loss, gradients and chunk; also gives every weight its gradient."""
    weights = [parameter for parameter in sides.ours.parameters() if parameter.requires_grad]

    def norm() -> float:
        return sum(float(p.grad.norm()) ** 2 for p in weights if p.grad is not None) ** 0.5

    loss = sides.stock_loss()
    loss.backward()
    whole = norm()
    our_loss = sides.our_loss()
    (-our_loss).backward()  # into the same memory: what remains is the difference
    with torch.no_grad():
        chunk = sides.stock_chunk()
        return {
            "loss": abs(float(our_loss / loss) - 1),
            "gradients": norm() / whole,
            "chunk": float((sides.our_chunk() - chunk).norm() / chunk.norm()),
        }


def flop_ratios(depth: int) -> dict[str, float]:
    """LeRobot's arithmetic over ours, counted on the meta device."""
    sides = Sides(depth, "meta")

    def count(call: Callable[[], Any]) -> int:
        with FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops()

    return {
        "train_step": count(lambda: sides.stock_loss().backward())
        / count(lambda: sides.our_loss().backward()),
        "chunk": count(sides.stock_chunk) / count(sides.our_chunk),
    }


if __name__ == "__main__":
    main()
