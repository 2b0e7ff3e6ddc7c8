"""Draws depend on (seed, purpose, key) and on nothing else."""

import itertools

import numpy as np
import torch

from lerobot_plugins.policy.randomness import (
    EVALUATION,
    SAMPLING,
    TRAINING,
    keyed_generator,
    process_rank,
    run_seed,
)


def first_draws(seed: int, purpose: int, *key: int) -> tuple[float, ...]:
    return tuple(keyed_generator(seed, purpose, *key).standard_normal(4))


def test_equal_keys_give_equal_streams():
    assert first_draws(7, TRAINING, 3, 1) == first_draws(7, TRAINING, 3, 1)


def test_every_part_of_the_key_matters():
    keys = itertools.product((0, 1, 1000), (TRAINING, EVALUATION, SAMPLING), (0, 1, 2), (0, 1))
    draws = [first_draws(*key) for key in keys]
    assert len(set(draws)) == len(draws)


def test_the_stream_is_the_same_on_any_machine():
    """numpy keeps PCG64 and its seeding stable; so resumed runs on other machines draw alike."""
    draw = keyed_generator(1000, TRAINING, 5, 0).integers(0, 2**32, 2)
    assert draw.tolist() == [1704523410, 3597907671]


def test_negative_and_huge_seeds_are_fine():
    assert first_draws(-1, TRAINING) != first_draws(2**64, TRAINING)


def test_drawing_leaves_the_global_generators_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first_draws(0, SAMPLING)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])


def test_the_run_seed_is_what_the_host_set():
    with torch.random.fork_rng():
        torch.manual_seed(1234)
        torch.rand(3)
        assert run_seed() == 1234


def test_outside_of_distributed_training_the_rank_is_zero():
    assert process_rank() == 0
