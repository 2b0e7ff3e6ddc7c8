"""Random numbers keyed by what they are for, independent of the global generators.

The global generator has moved by the time a resumed run reaches its first step, so noise drawn from it
can never be the noise of the uninterrupted run. Here a draw depends on (seed, purpose, step, rank) alone.
"""

import numpy as np
import torch

TRAINING, EVALUATION, SAMPLING, PLANNING = 1, 2, 3, 4


def keyed_generator(seed: int, purpose: int, *key: int) -> np.random.Generator:
    """A generator for one purpose and key; equal arguments give equal streams, on any machine.

    Args:
        seed: The run's seed.
        purpose: One of the constants of this module, so that purposes never share a stream.
        key: What else the draw depends on, such as step and rank. Non-negative integers.
    """
    return np.random.default_rng([seed % 2**64, purpose, *key])


def run_seed() -> int:
    """The seed of this run: what `--seed` set the global generator to before the policy was made."""
    return torch.initial_seed()


def process_rank() -> int:
    """This process's rank in data-parallel training, 0 outside of it."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
