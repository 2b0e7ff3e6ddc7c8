"""What each exact shortcut of the pi0.5 network is worth: the same computation with it and without it.

Rows follow the order in which they act. Each is timed alone, on a network of an eighth of the width, so that
what is measured is the shortcut and not the matrix products of a CPU; outputs are compared first.

    python benchmarks/pi05_wins.py [--repeats 7]

The last row takes a minute to compile. The last line is JSON.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from lerobot_plugins.nn import action_expert
from lerobot_plugins.nn.flow_matching import euler_integrate
from lerobot_plugins.nn.paligemma import build_paligemma
from lerobot_plugins.nn.pi05 import PI05Network
from lerobot_plugins.nn.prefix_encoder import Prefix

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).parent))
from measuring import seconds
from prefix_encoder import GEOMETRY
from stock_pi05 import MAX_ACTION, fill

CHUNK, STEPS, REAL, PADDED = 50, 10, 48, 200


class Wins:
    """A small network and one LIBERO-like observation."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = PI05Network(build_paligemma(GEOMETRY), "tiny", MAX_ACTION).eval()
        fill(self.net)
        self.images = [torch.rand(1, 3, 224, 224) * 2 - 1 for _ in range(2)]
        self.tokens = torch.randint(3, 250, (1, PADDED))
        self.mask = torch.arange(PADDED)[None] < REAL
        self.noise = torch.randn(1, CHUNK, MAX_ACTION)

    def prefix(self, *, pruned: bool = True, hidden: bool = False) -> Prefix:
        images: list[Tensor] = list(self.images)
        masks: list[Tensor | None] = [None, None]
        length = REAL
        if not pruned:
            images.append(torch.full_like(images[0], -1.0))
            masks.append(torch.zeros(1, dtype=torch.bool))
            length = PADDED
        tokens, mask = self.tokens[:, :length], self.mask[:, :length]
        return self.net.encoder(images, masks, tokens, mask, keys_values=True, hidden=hidden)

    def real_keys(self, prefix: Prefix) -> Tensor:
        """Keys of the last layer, of the tokens that are real."""
        return prefix.keys_values[-1][0][:, :, prefix.mask_BS[0]]

    def steps(self, velocity: Callable[[Tensor, Any], Tensor], conditions: Any = None) -> Tensor:
        return euler_integrate(velocity, self.noise, STEPS, conditions=conditions)

    def plain_steps(self, prefix: Prefix, *, context: str, times: str) -> Tensor:
        """Sampling with the context rebuilt, joined, or written in place; times embedded per step or once."""
        net = self.net
        fixed = net.context(prefix, CHUNK, in_place=context == "in place")
        once = net.modulations(torch.tensor([1 - i / STEPS for i in range(STEPS)]))
        rows = [[norm[i : i + 1] for norm in once] for i in range(STEPS)]

        def velocity(x: Tensor, given: Any) -> Tensor:
            now = net.context(prefix, CHUNK) if context == "rebuilt" else fixed
            return net.velocity(x, given if times == "once" else net.modulations(given), now)

        return self.steps(velocity, rows if times == "once" else None)


def eager_attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, scale: Any = None, **_: Any
) -> Tensor:
    """Attention with its score matrix in memory, as transformers' `eager`."""
    scores = q @ k.transpose(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1, dtype=torch.float32).to(q.dtype) @ v


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    wins = Wins()
    with torch.no_grad():
        prefix = wins.prefix()
        rows = [measure(name, *row, arguments.repeats) for name, row in table(wins, prefix).items()]
    for row in rows:
        print(
            f"{row['win']:44} {row['speedup_median']:5.2f}x  {1e3 * row['without_seconds']:8.1f} -> "
            f"{1e3 * row['with_seconds']:8.1f} ms   relative difference {row['difference']:.1e}"
        )
    print(
        json.dumps({"benchmark": "pi05_wins", "peer": "the same network without the shortcut", "rows": rows})
    )


Row = tuple[Callable[[], Tensor], Callable[[], Tensor], AbstractContextManager]


def table(wins: Wins, prefix: Prefix) -> dict[str, Row]:
    """Per shortcut: without it, with it, and what must be patched to be without it."""

    def separate(x: Tensor, projections: Any) -> list[Tensor]:
        return [projection(x) for projection in projections]

    def sample() -> Tensor:
        return wins.net.sample(prefix, wins.noise, STEPS)

    def one_camera_at_a_time() -> Tensor:
        return torch.cat([wins.net.encoder.embed_images([image], [None])[0] for image in wins.images], dim=1)

    def keys(**options: bool) -> Callable[[], Tensor]:
        return lambda: wins.real_keys(wins.prefix(**options))

    def steps(context: str, times: str) -> Callable[[], Tensor]:
        return lambda: wins.plain_steps(prefix, context=context, times=times)

    none = nullcontext()
    eager = mock.patch.object(F, "scaled_dot_product_attention", eager_attention)
    return {
        "1 absent camera and padding left out": (keys(pruned=False), keys(), none),
        "2 last prefix layer stops at its keys": (keys(hidden=True), keys(), none),
        "3 one vision call for all cameras": (
            one_camera_at_a_time,
            lambda: wins.net.encoder.embed_images(wins.images, [None, None])[0],
            none,
        ),
        "4 fused attention": (keys(), keys(), eager),
        "5 keys and values written in place": (steps("joined", "once"), steps("in place", "once"), none),
        "6 masks and positions built once": (steps("rebuilt", "once"), steps("joined", "once"), none),
        "7 time embedding of all steps at once": (steps("in place", "each"), steps("in place", "once"), none),
        "8 fused projections": (sample, sample, mock.patch.object(action_expert, "fused_linear", separate)),
        "9 denoising step compiled (no CUDA graph here)": compiled(wins, prefix),
    }


def compiled(wins: Wins, prefix: Prefix) -> Row:
    """Row 9 on a CPU: one compiled graph per step. CUDA graphs need a GPU."""
    net = PI05Network(build_paligemma(GEOMETRY), "tiny", MAX_ACTION).eval()
    net.load_state_dict(wins.net.state_dict())
    net.compile_step("default")
    return (
        lambda: wins.net.sample(prefix, wins.noise, STEPS),
        lambda: net.sample(prefix, wins.noise, STEPS),
        nullcontext(),
    )


def measure(
    name: str,
    without: Callable[[], Tensor],
    with_it: Callable[[], Tensor],
    patch: AbstractContextManager,
    repeats: int,
) -> dict[str, Any]:
    """Both ways in turn, after a first call of each."""
    with patch:
        expected = without()
    difference = float((with_it() - expected).norm() / expected.norm())
    pairs = []
    for _ in range(repeats):
        with patch:
            slow = seconds(without)
        pairs.append((slow, seconds(with_it)))
    ratios = sorted(slow / quick for slow, quick in pairs)
    return {
        "win": name,
        "difference": difference,
        "without_seconds": min(slow for slow, _ in pairs),
        "with_seconds": min(quick for _, quick in pairs),
        "speedup_median": ratios[len(ratios) // 2],
        "speedup_range": [ratios[0], ratios[-1]],
    }


if __name__ == "__main__":
    main()
