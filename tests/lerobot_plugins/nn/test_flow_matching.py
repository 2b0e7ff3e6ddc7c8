"""Flow matching against closed forms and against LeRobot's own implementation."""

import numpy as np
import pytest
import torch
from lerobot.policies.common import flow_matching as stock

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.flow_matching import (
    NOISE_DISTRIBUTIONS,
    TIME_DISTRIBUTIONS,
    euler_integrate,
    flow_pair,
    sample_noise,
    sample_time,
    sinusoidal_embedding,
    weighted_mean,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Targets.


def test_pair_is_the_line_from_data_to_noise():
    action, noise, time = torch.tensor([[0.3, -0.7]]), torch.tensor([[1.5, 0.2]]), torch.tensor([0.25])
    x_t, target = flow_pair(action, noise, time)
    torch.testing.assert_close(x_t, torch.tensor([[0.6, -0.475]]))
    torch.testing.assert_close(target, torch.tensor([[1.2, 0.9]]))
    torch.testing.assert_close(x_t - time * target, action)


def test_the_target_is_a_velocity_and_not_the_action():
    """A network that regresses the action itself samples noise + action: an error that never sinks."""
    action, noise = torch.zeros(4, 2), torch.ones(4, 2)
    _, target = flow_pair(action, noise, torch.full((4,), 0.5))
    assert not torch.equal(target, action)

    for distribution, floor in (("uniform", 1 / 3), ("normal", 1.0)):
        action = torch.zeros(200_000, 1) + 0.4
        noise = sample_noise(rng(), (200_000, 1), distribution)
        sampled = euler_integrate(lambda x, t, a=action: -a, noise, num_steps=10)
        assert (sampled - action).square().mean() == pytest.approx(floor, rel=0.01)


def test_time_broadcasts_over_draws():
    action, noise, time = torch.rand(2, 1, 3, 4), torch.rand(2, 5, 3, 4), torch.rand(2, 5)
    x_t, _ = flow_pair(action, noise, time)
    for row in range(2):
        for draw in range(5):
            t = time[row, draw]
            torch.testing.assert_close(x_t[row, draw], t * noise[row, draw] + (1 - t) * action[row, 0])


# Euler.


@pytest.mark.parametrize("num_steps", [1, 3, 10])
def test_euler_is_exact_on_straight_paths(num_steps):
    noise, action = torch.randn(4, 3, 2), torch.randn(4, 3, 2)
    constant = euler_integrate(lambda x, t: noise - action, noise, num_steps)
    torch.testing.assert_close(constant, action)
    conditional = euler_integrate(lambda x, t: (x - action) / t[:, None, None], noise, num_steps)
    torch.testing.assert_close(conditional, action)


@pytest.mark.parametrize(
    ("num_steps", "expected"),
    [(1, 0.0), (2, 0.25), (4, 0.31640625), (10, 0.3486784401), (50, 0.3641696801)],
)
def test_euler_on_exponential_growth(num_steps, expected):
    sample = euler_integrate(lambda x, t: x, torch.ones(1, 1), num_steps)
    assert sample.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("num_steps", [1, 2, 4, 10])
def test_euler_evaluates_at_the_start_of_each_step(num_steps):
    sample = euler_integrate(lambda x, t: 2 * t[:, None], torch.ones(1, 1), num_steps)
    assert sample.item() == pytest.approx(-1 / num_steps, abs=1e-6)


@pytest.mark.parametrize(
    ("num_steps", "expected"),
    [
        (4, [0.3083, 0.4041, 0.5, 0.5959, 0.6917]),
        (10, [0.1916, 0.3458, 0.5, 0.6542, 0.8084]),
        (1000, [0.1010, 0.3005, 0.5, 0.6995, 0.8990]),
    ],
)
def test_euler_with_the_optimal_field_of_a_gaussian(num_steps, expected):
    mean, std = 0.5, 0.2

    def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t = t[:, None]
        ratio = (t - (1 - t) * std**2) / ((1 - t) ** 2 * std**2 + t**2)
        return -mean + ratio * (x - (1 - t) * mean)

    sample = euler_integrate(field, torch.tensor([[-2.0], [-1], [0], [1], [2]]), num_steps)
    torch.testing.assert_close(sample.flatten(), torch.tensor(expected), atol=6e-5, rtol=0)


@pytest.mark.parametrize("num_steps", [1, 7, 10])
def test_euler_equals_lerobots(num_steps):
    noise = torch.randn(3, 8, 7)

    def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.tanh(3 * x) + t[:, None, None].cos()

    assert torch.equal(
        euler_integrate(field, noise, num_steps), stock.euler_integrate(field, noise, num_steps)
    )


def test_a_guide_replaces_each_evaluation():
    seen = []

    def guide(*, x_t, time, original_denoise_step_partial):
        seen.append(time)
        return 2 * original_denoise_step_partial(x_t)

    sample = euler_integrate(lambda x, t: torch.ones_like(x), torch.zeros(1, 1), 4, guide)
    assert sample.item() == -2
    assert seen == [1.0, 0.75, 0.5, 0.25]


def test_euler_keeps_the_noises_dtype():
    sample = euler_integrate(lambda x, t: x.to(torch.bfloat16), torch.ones(1, 2), 10)
    assert sample.dtype == torch.float32


# Time and noise.


@pytest.mark.parametrize(
    ("distribution", "mean", "std", "low", "high"),
    [
        ("beta", 0.600 * 0.999 + 0.001, 0.2619 * 0.999, 0.001, 1.0),
        ("uniform", 0.5005, 0.999 / 12**0.5, 0.001, 1.0),
        ("beta_symmetric", 0.5, 0.05**0.5, 0.02, 0.98),
        ("logit_normal", 0.5, 0.2083, 0.0, 1.0),
    ],
)
def test_time_distributions_have_their_moments(distribution, mean, std, low, high):
    time = sample_time(rng(), (200_000,), distribution)
    assert time.dtype == torch.float32
    assert time.mean().item() == pytest.approx(mean, abs=0.003)
    assert time.std().item() == pytest.approx(std, abs=0.003)
    assert time.min() >= low
    assert time.max() <= high


def test_beta_has_openpis_quantiles():
    time = sample_time(rng(), (200_000,), "beta")
    expected = torch.tensor([0.216, 0.630, 0.932])
    torch.testing.assert_close(
        torch.quantile(time, torch.tensor([0.1, 0.5, 0.9])), expected, atol=0.004, rtol=0
    )


def test_noise_distributions_have_their_moments():
    normal, uniform = (sample_noise(rng(), (200_000,), name) for name in ("normal", "uniform"))
    assert normal.mean().item() == pytest.approx(0, abs=0.01)
    assert normal.std().item() == pytest.approx(1, abs=0.01)
    assert uniform.abs().max() <= 1
    assert uniform.std().item() == pytest.approx(3**-0.5, abs=0.01)


@pytest.mark.parametrize("sampler", [sample_time, sample_noise])
def test_unknown_distributions_are_refused_with_the_known_ones(sampler):
    known = TIME_DISTRIBUTIONS if sampler is sample_time else NOISE_DISTRIBUTIONS
    with pytest.raises(ZooError, match=known[0]):
        sampler(rng(), (2,), "cauchy")


def test_equal_generators_give_equal_draws():
    assert torch.equal(sample_noise(rng(3), (4, 2)), sample_noise(rng(3), (4, 2)))
    assert torch.equal(sample_time(rng(3), (4,)), sample_time(rng(3), (4,)))


# Time embedding.


def test_embedding_equals_lerobots():
    from lerobot.policies.pi05.modeling_pi05 import create_sinusoidal_pos_embedding

    time = torch.tensor([0.0, 0.001, 0.25, 0.5, 0.999, 1.0])
    expected = create_sinusoidal_pos_embedding(time, 64, 4e-3, 4.0, device=torch.device("cpu"))
    torch.testing.assert_close(sinusoidal_embedding(time, 64), expected.float(), atol=1e-6, rtol=0)


# Reduction.


def test_padding_leaves_numerator_and_denominator():
    error = torch.tensor([[[1.0], [4.0]], [[9.0], [100.0]]])
    weight = torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]])
    torch.testing.assert_close(weighted_mean(error, weight, keep_batch=True), torch.tensor([2.5, 9.0]))
    torch.testing.assert_close(weighted_mean(error, weight, keep_batch=False), torch.tensor(14 / 3))


def test_weights_broadcast_and_scale():
    error = torch.rand(3, 2, 4, 5)
    weight = torch.tensor([1.0, 0, 2, 0, 1])
    expected = (error * weight).sum((1, 2, 3)) / (weight.sum() * 8)
    torch.testing.assert_close(weighted_mean(error, weight, keep_batch=True), expected)


def test_a_row_without_weight_gives_zero_and_no_gradient():
    error = torch.rand(2, 3, requires_grad=True)
    loss = weighted_mean(error, torch.tensor([[0.0], [1.0]]), keep_batch=True)
    loss.sum().backward()
    assert loss[0] == 0
    assert error.grad is not None
    assert error.grad[0].abs().sum() == 0
    assert torch.isfinite(error.grad).all()


def test_reduction_happens_in_float32():
    error = torch.ones(1, 70_000, dtype=torch.bfloat16)
    assert weighted_mean(error, torch.ones(1), keep_batch=False).item() == 1


def test_time_embedding_oracle():
    """O6 of the pi0.5 study, dim 8, periods 4e-3 to 4. (It prints the second cosine of t = 0.123 with a
    minus; 0.123 / 0.04 is 27 degrees past a whole number of turns, so its cosine is positive.)
    """
    expected = torch.tensor(
        [
            [0, 0, 1, 0.707107, 1, -1, 0, 0.707107],
            [-1, 0.453990, 0.935444, 0.192008, 0, 0.891007, -0.353475, 0.981393],
        ]
    )
    found = sinusoidal_embedding(torch.tensor([0.5, 0.123]), 8)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_error_over_supervised_elements_is_pooled_over_the_batch():
    """O11 of the pi0.5 study: one mean over all supervised tokens, not a mean of the rows' means."""
    losses = torch.tensor([[2.0, 2, 2, 2], [0, 0, 0, 8]])
    masks = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 1]])
    assert weighted_mean(losses, masks, keep_batch=False) == pytest.approx(3.2)
    assert weighted_mean(losses, masks, keep_batch=True).mean() == pytest.approx(5.0)
