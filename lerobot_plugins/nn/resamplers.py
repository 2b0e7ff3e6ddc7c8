"""Vision resamplers: from a picture's features to its tokens in the language model.

| name        | tokens        | weights                                     | at the start                  |
|-------------|---------------|---------------------------------------------|-------------------------------|
| `none`      | all           | none                                        | PaliGemma's own projector     |
| `mlp`       | all           | an MLP beside the projector                 | exactly the projector         |
| `pool`      | a square part | none                                        | means of neighbouring tokens  |
| `perceiver` | any number    | latents that attend to the projected tokens | random, at the tokens' scale  |

A resampler is called with a picture's features, as the tower's last norm leaves them, and with the same
features projected. Each picture is resampled by itself, so a masked camera stays without influence.

Legend: P pictures, N tokens per picture of the tower, F tower width, M tokens out, D language width,
Q heads, E head width.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_plugins.errors import ZooError

RESAMPLERS = ("none", "mlp", "pool", "perceiver")
COMPRESSING = ("pool", "perceiver")  # those that make fewer tokens
HEAD_WIDTH = 64

Resampler = Callable[[Tensor, Tensor], Tensor]


class MLPResampler(nn.Module):
    """The projector plus a correction that starts at zero: W2 gelu(W1 LN(features))."""

    def __init__(self, vision_width: int, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(vision_width)
        self.up = nn.Linear(vision_width, hidden)
        self.down = nn.Linear(hidden, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, features_PNF: Tensor, tokens_PND: Tensor) -> Tensor:
        """(P, N, D)."""
        correction = self.down(F.gelu(self.up(self.norm(features_PNF)), approximate="tanh"))
        return tokens_PND + correction


class PoolResampler(nn.Module):
    """Means over square blocks of the picture's token grid.

    Raises:
        ZooError: The tokens form no square grid, or it does not divide into that many square blocks.
    """

    def __init__(self, tokens_per_picture: int, num_tokens: int) -> None:
        super().__init__()
        self.side = math.isqrt(tokens_per_picture)
        square = self.side**2 == tokens_per_picture
        blocks = [block for block in range(2, self.side + 1) if square and self.side % block == 0]
        block_of = {(self.side // block) ** 2: block for block in blocks}
        if num_tokens not in block_of:
            raise ZooError(
                f"a picture of {tokens_per_picture} tokens cannot be pooled to {num_tokens}",
                got=f"resampler_num_tokens={num_tokens}",
                expected="one of " + ", ".join(map(str, block_of)) if block_of else "a square grid of tokens",
                do="set --policy.resampler_num_tokens" if block_of else "use another vision_resampler_type",
            )
        self.block = block_of[num_tokens]

    def forward(self, features_PNF: Tensor, tokens_PND: Tensor) -> Tensor:
        """(P, M, D), row by row."""
        grid = tokens_PND.transpose(1, 2).unflatten(-1, (self.side, self.side))
        return F.avg_pool2d(grid, self.block).flatten(2).transpose(1, 2)


class PerceiverBlock(nn.Module):
    """Latents attend to tokens and to each other, then pass an MLP; norms come first."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        most = max(1, width // HEAD_WIDTH)
        self.num_heads = next(heads for heads in range(most, 0, -1) if width % heads == 0)
        self.token_norm = nn.LayerNorm(width)
        self.latent_norm = nn.LayerNorm(width)
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU("tanh"), nn.Linear(hidden, width)
        )

    def forward(self, latents_PMD: Tensor, tokens_PND: Tensor) -> Tensor:
        """(P, M, D)."""
        latents = self.latent_norm(latents_PMD)
        keys = torch.cat([self.token_norm(tokens_PND), latents], dim=1)
        q_PQME = self.q(latents).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k, v = self.kv(keys).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q_PQME, k, v)
        latents_PMD = latents_PMD + self.out(mixed.transpose(1, 2).flatten(2))
        return latents_PMD + self.mlp(latents_PMD)


class PerceiverResampler(nn.Module):
    """A fixed number of learned queries read each picture (Flamingo, arXiv 2204.14198).

    What comes out has the root mean square of the picture's projected tokens, the only scale that the
    language model knows.
    """

    def __init__(self, width: int, num_tokens: int, depth: int, hidden: int) -> None:
        super().__init__()
        self.latent_embedding = nn.Parameter(torch.randn(num_tokens, width) * 0.02)
        self.blocks = nn.ModuleList(PerceiverBlock(width, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, features_PNF: Tensor, tokens_PND: Tensor) -> Tensor:
        """(P, M, D)."""
        latents_PMD = self.latent_embedding.expand(len(tokens_PND), -1, -1)
        for block in self.blocks:
            latents_PMD = block(latents_PMD, tokens_PND)
        scale_P11 = tokens_PND.detach().float().square().mean(dim=(1, 2), keepdim=True).sqrt()
        return self.norm(latents_PMD).float() * scale_P11


def make_resampler(
    kind: str,
    *,
    vision_width: int,
    width: int,
    tokens_per_picture: int,
    num_tokens: int,
    depth: int,
    hidden: int | None,
) -> nn.Module | None:
    """The resampler of that name; None for `none`.

    Args:
        kind: One of `RESAMPLERS`.
        vision_width: F.
        width: D, also that of what comes out: the language model takes no other.
        tokens_per_picture: N.
        num_tokens: M of `pool` and `perceiver`.
        depth: Blocks of `perceiver`.
        hidden: Hidden width of the MLPs; None is F for `mlp` and 4 D for `perceiver`.

    Raises:
        ZooError: The name is unknown, or the grid cannot be pooled so.
    """
    if kind == "none":
        return None
    if kind == "mlp":
        return MLPResampler(vision_width, width, hidden or vision_width)
    if kind == "pool":
        return PoolResampler(tokens_per_picture, num_tokens)
    if kind == "perceiver":
        return PerceiverResampler(width, num_tokens, depth, hidden or 4 * width)
    raise ZooError("unknown vision_resampler_type", got=kind, expected=", ".join(RESAMPLERS))
