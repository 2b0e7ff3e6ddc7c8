"""The noise that chunks are sampled from, drawn so that a row does not depend on the rows beside it.

Legend: B rows, H chunk length, A real action dims, P action dims of the network.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.flow_matching import sample_noise
from lerobot_plugins.policy.randomness import SAMPLING, keyed_generator


def chunk_noise(
    seed: int,
    counts: Sequence[int],
    shape: tuple[int, int],
    real_width: int,
    given: Tensor | None,
    device: torch.device,
) -> Tensor:
    """Noise (B, H, P), float32.

    Args:
        seed: Of sampled actions.
        counts: Per row, how many chunks came before; equal counts give equal noise.
        shape: H and P.
        real_width: A.
        given: Noise to use instead, (B, H, P) or (B, H, A), whose missing dims are drawn.
        device: Where it is needed.

    Raises:
        ZooError: The given noise has another shape.
    """
    drawn = {count: sample_noise(keyed_generator(seed, SAMPLING, count), shape) for count in set(counts)}
    noise_BHP = torch.stack([drawn[count] for count in counts]).to(device)
    if given is None:
        return noise_BHP
    if given.shape[:2] != noise_BHP.shape[:2] or given.shape[2] not in (real_width, shape[1]):
        raise ZooError(
            "the noise has the wrong shape",
            got=tuple(given.shape),
            expected=f"{(len(counts), shape[0], real_width)}, or {shape[1]} dims",
        )
    return torch.cat([given.float(), noise_BHP[..., given.shape[2] :]], dim=-1)
