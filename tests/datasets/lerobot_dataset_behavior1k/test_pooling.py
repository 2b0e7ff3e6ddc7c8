"""Exact quantiles beside the two rules that pool the quantiles of episodes.

BEHAVIOR-1K's own statistics take percentiles over the episodes' quantiles; LeRobot averages them by frames.
"""

import numpy as np
import pytest

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.statistics.exact import exact_statistics

Q01 = np.array([-1, -0.5, -0.2, -0.8])
Q99 = np.array([1, 0.6, 0.4, 0.9])
FRAMES = np.array([100, 300, 100, 500])


def percentiles_of_episodes(low, high):
    return np.percentile(low, 1), np.percentile(high, 99)


def average_of_episodes(low, high, frames):
    return np.average(low, weights=frames), np.average(high, weights=frames)


def test_the_two_rules_on_given_numbers():
    assert percentiles_of_episodes(Q01, Q99) == pytest.approx((-0.994, 0.997))
    assert average_of_episodes(Q01, Q99, FRAMES) == pytest.approx((-0.67, 0.77))


def test_exact_quantiles_lie_between_the_two_rules():
    """Episodes that span these quantiles evenly: one rule is too wide, the other too narrow."""
    generator = np.random.default_rng(0)
    margin = (Q99 - Q01) / 98
    episodes = [
        generator.uniform(low - m, high + m, frames)
        for low, high, m, frames in zip(Q01, Q99, margin, FRAMES, strict=True)
    ]
    exact = exact_statistics(np.concatenate(episodes)[:, None])
    own = [exact_statistics(episode[:, None]) for episode in episodes]
    low, high = (np.array([float(entry[name][0]) for entry in own]) for name in ("q01", "q99"))
    wide, narrow = percentiles_of_episodes(low, high), average_of_episodes(low, high, FRAMES)
    assert wide[0] < exact["q01"][0] < narrow[0]
    assert narrow[1] < exact["q99"][0] < wide[1]
    every = np.concatenate(episodes)
    assert np.mean((every > exact["q01"]) & (every < exact["q99"])) == pytest.approx(0.98, abs=1e-3)


def test_the_width_of_a_gripper_has_quantiles_of_its_own():
    """Summing the fingers' quantiles is right only where both fingers move as one."""
    generator = np.random.default_rng(0)
    proprioception = np.zeros((2000, 256))
    proprioception[:, 193:195] = generator.uniform(0, 0.05, (2000, 2))
    proprioception[:, 232:234] = generator.uniform(0, 0.05, (2000, 1))
    fingers = exact_statistics(proprioception)["q99"]
    widths = exact_statistics(r1pro.state_from_proprioception(proprioception))["q99"]
    assert widths[22] == pytest.approx(fingers[232] + fingers[233])
    assert widths[21] < 0.97 * (fingers[193] + fingers[194])
