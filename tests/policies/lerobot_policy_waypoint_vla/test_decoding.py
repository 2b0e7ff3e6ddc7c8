"""Constrained decoding with made-up networks: what it feeds, what it may choose, when it stops."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lerobot_policy_waypoint_vla.decoding import Grammar, decode_plans
from lerobot_policy_waypoint_vla.tokens import DURATIONS, TokenFamily, TokenLayout, centres

LIBERO = TokenLayout("bins300", 257023, continuous=6, grippers=1)
OLDER = TokenLayout("bins256", 257023, continuous=8, grippers=0)
TWO_ARMS = TokenLayout("bins300", 639, continuous=12, grippers=2)
CPU = torch.device("cpu")


class RandomNetwork:
    """Random scores; remembers what it was fed."""

    # Drawn once and read from another place in every pass: drawing would take most of the time.
    POOL = torch.randn(3_000_000, generator=torch.Generator().manual_seed(0))

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rows, self.fed, self.asked = rows, [], []
        self.rng = np.random.default_rng(seed)

    def feed(self, ids_BN: Tensor) -> Tensor:
        self.fed.append(ids_BN)
        return torch.empty(self.rows, 1)

    def score(self, hidden_BD: Tensor, family: TokenFamily) -> Tensor:
        self.asked.append(family.name)
        count = self.rows * family.size
        start = int(self.rng.integers(len(self.POOL) - count))
        return self.POOL[start : start + count].view(self.rows, family.size)


def decoded(grammar: Grammar, rows: int, seed: int = 0, **options: object):
    network = RandomNetwork(rows, seed)
    return network, decode_plans(network.feed, network.score, rows, grammar, CPU, **options)


def require_legal(ids_BL: Tensor, grammar: Grammar) -> None:
    """Every token is one that its place allows."""
    block = grammar.layout.block
    slots = ids_BL.view(len(ids_BL), -1, len(block))
    for place, meaning in enumerate(block):
        ids = slots[:, :, place]
        if not isinstance(meaning, TokenFamily):
            assert (ids == meaning).all()
            continue
        classes = meaning.first - ids
        assert ((classes >= 0) & (classes < meaning.size)).all()
        if meaning.name == "duration":
            assert (classes <= grammar.max_duration).all()
            assert grammar.terminal_first or (classes[:, 0] > 0).all()


@pytest.mark.parametrize("terminal_first", [False, True])
@pytest.mark.parametrize("layout", [LIBERO, OLDER, TWO_ARMS], ids=["libero", "older", "two arms"])
def test_random_scores_give_legal_plans(layout, terminal_first):
    """100,000 plans in all."""
    grammar = Grammar(layout, 7, max_duration=20, terminal_first=terminal_first)
    for seed in range(2):
        _, plans = decoded(grammar, rows=8334, seed=seed)
        require_legal(plans.ids_BL, grammar)
        assert plans.duration_BM.max() <= 20
        assert plans.duration_BM.min() >= 0


@pytest.mark.parametrize(("layout", "passes"), [(LIBERO, 56), (OLDER, 63), (TWO_ARMS, 105)])
def test_forced_tokens_cost_no_pass(layout, passes):
    """One pass for each chosen token; every token but the last is fed once, in order."""
    grammar = Grammar(layout, 7, 32)
    network, plans = decoded(grammar, rows=50)
    assert plans.ids_BL.shape == (50, grammar.length)
    assert len(network.fed) == len(network.asked) == passes
    assert torch.equal(torch.cat(network.fed, dim=1), plans.ids_BL[:, :-1])
    assert [ids.shape[1] for ids in network.fed[: layout.continuous]] == [1] * layout.continuous
    durations = [
        ids.shape[1] for ids, asked in zip(network.fed, network.asked, strict=True) if asked == "duration"
    ]
    assert durations == [2] * 7, "the last number or gripper, and the delimiter"


def test_states_and_durations_are_the_tokens():
    grammar = Grammar(LIBERO, 7, 32)
    _, plans = decoded(grammar, rows=20)
    ids_BMK = plans.ids_BL.view(20, 7, 10)
    numbers = torch.from_numpy(centres(300))[257023 - ids_BMK[:, :, 1:7]]
    assert torch.equal(plans.state_BMK[..., :6], numbers)
    assert torch.equal(plans.state_BMK[..., 6], (ids_BMK[:, :, 7] == 256687).float())
    ended = (plans.duration_BM == 0).cumsum(dim=1) > 0
    assert torch.equal(plans.duration_BM[~ended], (256723 - ids_BMK[:, :, 9])[~ended])
    assert not plans.duration_BM[ended].any()


class Scripted:
    """Durations by row and slot; numbers and grippers are class 0."""

    def __init__(self, duration_BM: list[list[int]]) -> None:
        self.duration_BM, self.slot, self.passes = torch.tensor(duration_BM), 0, 0

    def feed(self, ids_BN: Tensor) -> Tensor:
        self.passes += 1
        return torch.empty(len(self.duration_BM), 1)

    def score(self, hidden_BD: Tensor, family: TokenFamily) -> Tensor:
        scores = torch.zeros(len(self.duration_BM), family.size)
        if family.name == "duration":
            scores.scatter_(1, self.duration_BM[:, self.slot, None], 1.0)
            self.slot += 1
        return scores


def test_a_plan_ends_at_its_first_duration_0():
    network = Scripted([[4, 0, 3], [5, 6, 7]])
    plans = decode_plans(network.feed, network.score, 2, Grammar(LIBERO, 3, 32), CPU)
    assert plans.duration_BM.tolist() == [[4, 0, 0], [5, 6, 7]]


def test_decoding_stops_when_all_rows_have_ended():
    network = Scripted([[4, 0, 3], [5, 0, 7]])
    plans = decode_plans(network.feed, network.score, 2, Grammar(LIBERO, 3, 32), CPU)
    assert network.passes == 2 * 8
    assert plans.duration_BM.tolist() == [[4, 0, 0], [5, 0, 0]]
    assert plans.state_BMK.shape == (2, 3, 7)


def test_an_episode_cannot_end_before_it_moves():
    """Unless it may: a plan that ends at once would never make progress."""
    scores = [[0, 3, 3]]
    never = Scripted(scores)
    plans = decode_plans(never.feed, never.score, 1, Grammar(LIBERO, 3, 32), CPU)
    assert plans.duration_BM[0, 0] > 0
    may = Scripted(scores)
    plans = decode_plans(may.feed, may.score, 1, Grammar(LIBERO, 3, 32, terminal_first=True), CPU)
    assert plans.duration_BM.tolist() == [[0, 0, 0]]


def test_durations_beyond_the_longest_are_never_chosen():
    network = Scripted([[33, 33, 33]])
    plans = decode_plans(network.feed, network.score, 1, Grammar(LIBERO, 3, 10), CPU)
    assert plans.duration_BM.max() <= 10
    assert DURATIONS - 1 == 33


def test_sampling_follows_the_rows_generator_alone():
    grammar = Grammar(LIBERO, 3, 32)

    class Flat(RandomNetwork):
        def score(self, hidden_BD: Tensor, family: TokenFamily) -> Tensor:
            return torch.zeros(self.rows, family.size)

    def sampled(seeds: list[int]) -> list[list[int]]:
        network = Flat(len(seeds))
        rngs = [np.random.default_rng(seed) for seed in seeds]
        return decode_plans(network.feed, network.score, len(seeds), grammar, CPU, 1.0, rngs).ids_BL.tolist()

    together, alone = sampled([1, 2, 1]), sampled([2])
    assert together[0] == together[2] != together[1]
    assert together[1][: len(alone[0])] == alone[0]


def test_sampling_follows_the_scores():
    class Biased(RandomNetwork):
        def score(self, hidden_BD: Tensor, family: TokenFamily) -> Tensor:
            scores = torch.full((self.rows, family.size), -torch.inf)
            scores[:, :2] = torch.tensor([0.0, np.log(3.0)])
            return scores

    grammar = Grammar(TokenLayout("bins300", 639, 1, 0), 1, 32, terminal_first=True)
    network = Biased(2000)
    rngs = [np.random.default_rng(row) for row in range(2000)]
    plans = decode_plans(network.feed, network.score, 2000, grammar, CPU, 1.0, rngs)
    assert plans.duration_BM.float().mean().item() == pytest.approx(0.75, abs=0.04)
