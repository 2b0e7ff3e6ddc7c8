"""Tokens of plans against the ids, bins and centres of published checkpoints."""

import numpy as np
import pytest

from lerobot_plugins.errors import ZooError
from lerobot_policy_waypoint_vla.tokens import (
    DURATIONS,
    TokenLayout,
    bins_of,
    centres,
    expert_prompt,
    planner_prompt,
)

TOP = 257023
BINS300 = TokenLayout("bins300", TOP, continuous=6, grippers=1)
BINS256 = TokenLayout("bins256", TOP, continuous=8, grippers=0)


# value: (bin, id, centre) of 256 bins, then of 300
NUMBERS = {
    -1.5: ((0, 257023, -0.99609375), (0, 257023, -0.99666667)),
    -1.0: ((0, 257023, -0.99609375), (0, 257023, -0.99666667)),
    -0.5: ((64, 256959, -0.49609375), (75, 256948, -0.49666667)),
    -0.25: ((96, 256927, -0.24609375), (112, 256911, -0.25)),
    0.0: ((128, 256895, 0.00390625), (150, 256873, 0.00333333)),
    0.1: ((140, 256883, 0.09765625), (164, 256859, 0.09666667)),
    0.3333: ((170, 256853, 0.33203125), (199, 256824, 0.33)),
    0.75: ((224, 256799, 0.75390625), (262, 256761, 0.75)),
    0.999: ((255, 256768, 0.99609375), (299, 256724, 0.99666667)),
    1.0: ((255, 256768, 0.99609375), (299, 256724, 0.99666667)),
    2.0: ((255, 256768, 0.99609375), (299, 256724, 0.99666667)),
}


@pytest.mark.parametrize("layout", [BINS256, BINS300], ids=lambda layout: layout.name)
@pytest.mark.parametrize("value", NUMBERS)
def test_numbers(layout, value):
    number, token, centre = NUMBERS[value][layout.name == "bins300"]
    assert bins_of(np.array(value), layout.bins) == number
    assert layout.number.first - number == token
    assert centres(layout.bins)[number] == pytest.approx(centre, abs=1e-7)
    assert centres(layout.bins).dtype == np.float32


def test_the_ids_of_300_bins():
    layout = BINS300
    assert (layout.number.ids[0], layout.number.ids[-1]) == (257023, 256724)
    assert (layout.duration.ids[0], layout.duration.ids[-1]) == (256723, 256690)
    assert (layout.waypoint_id, layout.duration_id) == (256689, 256688)
    assert layout.gripper.ids == [256687, 256686]
    assert (layout.bottom, layout.rows) == (256686, 338)
    assert len(layout.block) * 7 == 70


def test_the_ids_of_256_bins():
    layout = BINS256
    assert (layout.number.ids[0], layout.number.ids[-1]) == (257023, 256768)
    assert (layout.duration.ids[0], layout.duration.ids[-1]) == (256767, 256734)
    assert (layout.waypoint_id, layout.duration_id) == (256733, 256732)
    assert (layout.bottom, layout.rows) == (256732, 292)
    assert len(layout.block) * 7 == 77


@pytest.mark.parametrize("layout", [BINS256, BINS300], ids=lambda layout: layout.name)
def test_every_id_has_one_meaning(layout):
    ids = [*layout.number.ids, *layout.duration.ids, layout.waypoint_id, layout.duration_id]
    ids += layout.gripper.ids if layout.grippers else []
    assert sorted(ids) == list(range(layout.bottom, layout.top + 1))


# The worked plan: three waypoints, the episode ends after the third, seven slots.
STATES = np.array(
    [
        [0.305, 0.105, 0.055, 0.605, 0.105, 0.005, 1],
        [0.405, 0.205, -0.205, 0.605, 0.105, 0.005, 1],
        [0.405, 0.205, -0.305, 0.605, 0.105, 0.005, 0],
        *np.zeros((4, 7)),
    ]
)[None]
DURATION = np.array([[8, 5, 3, 0, 0, 0, 0]])
BLOCKS = [
    [256689, 256828, 256858, 256865, 256783, 256858, 256873, 256687, 256688, 256715],
    [256689, 256813, 256843, 256904, 256783, 256858, 256873, 256687, 256688, 256718],
    [256689, 256813, 256843, 256919, 256783, 256858, 256873, 256686, 256688, 256720],
    *[[256689, *[256873] * 6, 256686, 256688, 256723]] * 4,
]


def test_a_worked_plan():
    assert BINS300.encode(STATES, DURATION).reshape(7, 10).tolist() == BLOCKS


def test_what_is_supervised():
    real = np.arange(7) < np.array([[3], [2], [1], [7], [0]])
    ends = np.array([[3], [2], [1], [7], [7]])
    terminal = np.arange(7) == ends
    learned = BINS300.supervised(real, real | terminal)
    rows = ["".join(map(str, row)) for row in learned[0].reshape(7, 10).astype(int)]
    assert rows == ["0111111101"] * 3 + ["0000000001"] + ["0000000000"] * 3
    assert learned.sum(axis=1).tolist() == [25, 17, 9, 56, 0]


def test_the_older_layout_writes_grippers_as_numbers():
    plan = BINS256.encode(np.full((1, 7, 8), 0.75), DURATION).reshape(7, 11)
    assert plan[0].tolist() == [256733, *[256799] * 8, 256732, 256759]
    assert BINS256.supervised(np.ones((1, 7), bool), np.ones((1, 7), bool)).sum() == 63


def test_two_arms():
    layout = TokenLayout("bins300", TOP, continuous=12, grippers=2)
    state = np.zeros((2, 3, 14))
    state[0, :, 12] = 1
    plan = layout.encode(state, np.full((2, 3), 4)).reshape(2, 3, -1)
    assert plan.shape == (2, 3, 12 + 2 + 3)
    assert plan[0, 0, 13:15].tolist() == [256687, 256686]


@pytest.mark.parametrize("duration", [-1, DURATIONS])
def test_a_duration_without_token_is_refused(duration):
    with pytest.raises(ZooError, match=r"duration has no token(.|\n)*--max-duration"):
        BINS300.encode(np.zeros((1, 1, 7)), np.array([[duration]]))


def test_the_older_layout_has_no_gripper_tokens():
    with pytest.raises(ZooError, match="bins256 has no tokens for grippers"):
        TokenLayout("bins256", TOP, continuous=6, grippers=1)


# Prompts.


def test_prompts():
    numbers = [186, 147, 159, 228, 159, 158]
    text = " Pick_up the milk\nand place it in the basket"
    assert planner_prompt(text, numbers, [True]) == (
        "Task: pick up the milk and place it in the basket, State: 186 147 159 228 159 158, Gripper: open;\n"
    )
    assert planner_prompt("go", [1, 2], [False, True]) == "Task: go, State: 1 2, Gripper: closed open;\n"
    assert planner_prompt("go", [1, 2], []) == "Task: go, State: 1 2;\n"
    assert expert_prompt(text) == "Task: pick up the milk and place it in the basket, \n"


def test_the_prompts_bins_are_the_tokens_bins():
    values = np.linspace(-1, 1, 10_001)
    for layout in (BINS256, BINS300):
        tokens = layout.number.first - layout.encode(
            np.repeat(values[:, None, None], layout.continuous + layout.grippers, axis=2),
            np.ones((len(values), 1), int),
        )
        assert (tokens[:, 1] == bins_of(values, layout.bins)).all()


def test_bins_and_centres_invert_each_other():
    for bins in (256, 300):
        assert (bins_of(centres(bins), bins) == np.arange(bins)).all()
        values = np.random.default_rng(0).uniform(-1, 1, 10_000)
        assert np.abs(centres(bins)[bins_of(values, bins)] - values).max() <= 1 / bins + 1e-6


def test_the_golden_normalised_state():
    """Raw numbers through quantiles to bins, ids and back."""
    q01 = np.array([-0.43, -0.33, 0.02, 1.5, -3.4, -1.1], np.float32)
    q99 = np.array([0.18, 0.36, 1.30, 3.6, 3.2, 0.7], np.float32)
    raw = np.array([[-0.05, 0.01, 0.70, 3.10, 0.10, -0.15], [0.30, -0.40, 1.29, 1.51, -3.39, 0.69]])
    normalised = np.clip(2 * (raw.astype(np.float32) - q01) / (q99 - q01) - 1, -1, 1)
    assert normalised[0] == pytest.approx(
        [0.245902, -0.014493, 0.0625, 0.523810, 0.060606, 0.055556], abs=1e-6
    )
    bins = bins_of(normalised, 300)
    assert bins.tolist() == [[186, 147, 159, 228, 159, 158], [299, 0, 297, 1, 0, 298]]
    assert (TOP - bins[0]).tolist() == [256837, 256876, 256864, 256795, 256864, 256865]
    back = 0.5 * (centres(300)[bins[0]] + 1) * (q99 - q01) + q01
    assert back == pytest.approx([-0.050783, 0.009250, 0.700533, 3.0995, 0.1090, -0.1490], abs=1e-6)
    assert bins_of(normalised[0], 256).tolist() == [159, 126, 136, 195, 135, 135]
