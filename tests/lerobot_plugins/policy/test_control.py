"""Control modes against the reference values of the deployment wrapper.

Chunk number s says 100 s + t + 0.01 d for its step t and dimension d.
"""

import numpy as np
import pytest
import torch
from stub_policy import WIDTH, StubPolicy, stub_config, stub_observation

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.policy.control import ChunkEnsemble, make_queues
from lerobot_plugins.policy.queues import ActionQueues

HORIZON, ACTION_WIDTH = 32, 23
GRIPPERS = [14, 22]
SHOWN = [0, 14, 22]


def chunk(number: int, horizon: int = HORIZON) -> torch.Tensor:
    steps = torch.arange(horizon, dtype=torch.float64)[:, None]
    return 100 * number + steps + 0.01 * torch.arange(ACTION_WIDTH, dtype=torch.float64)


def queues(mode: str, newest_dims: list[int] = GRIPPERS, interval: int = 5) -> ActionQueues:
    return make_queues(mode, interval=interval, size=None, decay=0.005, newest_dims=newest_dims)


def act(modes: ActionQueues, rows: int, steps: int, horizon: int = HORIZON) -> torch.Tensor:
    """(steps, rows, A) actions where every chunk of a row is the next number."""
    numbers = [0] * rows
    taken = []
    for _ in range(steps):
        for row in modes.dry_rows(rows):
            modes.push(row, chunk(numbers[row], horizon))
            numbers[row] += 1
        taken.append(modes.pop())
    return torch.stack(taken)


def expect(actions: torch.Tensor, step: int, values: list[float]) -> None:
    for row in actions[step]:
        assert row[SHOWN].tolist() == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "mean", "weights"),
    [((1, 2, 4), 2.3383347, (0.33166806, 0.33333056, 0.33500138)), ((0, 1), 0.50125, (0.49875, 0.50125))],
)
def test_newer_chunks_weigh_more(values, mean, weights):
    def averaged(heads: torch.Tensor) -> float:
        ensemble = ChunkEnsemble(size=5, interval=1, decay=0.005, newest_dims=[])
        for head in heads:
            ensemble.push(head.view(1, 1))
        return ensemble.pop().item()

    assert averaged(torch.tensor(values, dtype=torch.float64)) == pytest.approx(mean, abs=1e-6)
    # One chunk says 1, the others 0: the average is its weight.
    ones = torch.eye(len(weights), dtype=torch.float64)
    assert [averaged(row) for row in ones] == pytest.approx(weights, abs=1e-6)


@pytest.mark.parametrize("rows", [1, 3])
def test_temporal_ensemble(rows):
    actions = act(queues("temporal_ensemble"), rows, 7)
    expect(actions, 0, [0, 0.14, 0.22])
    expect(actions, 1, [50.62375, 100.14, 100.22])
    expect(actions, 2, [101.329999, 200.14, 200.22])
    expect(actions, 4, [202.989989, 400.14, 400.22])
    expect(actions, 6, [402.989989, 600.14, 600.22])


@pytest.mark.parametrize("rows", [1, 3])
def test_receding_temporal(rows):
    actions = act(queues("receding_temporal"), rows, 16)
    expect(actions, 0, [0, 0.14, 0.22])
    expect(actions, 4, [4, 4.14, 4.22])
    # The wrapper itself takes grippers from the oldest chunk here (5.14, 5.22), against its own intention.
    expect(actions, 5, [52.61875, 100.14, 100.22])
    expect(actions, 6, [53.61875, 101.14, 101.22])
    expect(actions, 10, [105.316665, 200.14, 200.22])
    expect(actions, 15, [205.316665, 300.14, 300.22])


@pytest.mark.parametrize("rows", [1, 3])
def test_receding_horizon(rows):
    actions = act(queues("receding_horizon"), rows, 34)
    expect(actions, 31, [31, 31.14, 31.22])
    expect(actions, 32, [100, 100.14, 100.22])


def test_without_newest_dims_everything_is_averaged():
    actions = act(queues("temporal_ensemble", newest_dims=[]), 1, 2)
    expect(actions, 1, [50.62375, 50.76375, 50.84375])


def test_exhausted_chunks_no_longer_count():
    """Chunks of six, one every five steps: two overlap at one step in five."""
    actions = act(queues("receding_temporal"), 1, 11, horizon=6)[:, 0, 0]
    assert actions[:5].tolist() == [0, 1, 2, 3, 4]
    assert actions[5] == pytest.approx(0.49875 * 5 + 0.50125 * 100)
    assert actions[6:10].tolist() == [101, 102, 103, 104]


def test_a_chunk_shorter_than_the_interval_is_followed_at_once():
    assert act(queues("receding_temporal"), 1, 5, horizon=2)[:, 0, 0].tolist() == [0, 1, 100, 101, 200]


def test_rows_may_be_out_of_step():
    """A row that got its chunk three steps later plans three steps later."""
    modes = queues("receding_temporal")
    modes.dry_rows(2)
    for late in (0, 3):
        modes._rows[1 if late else 0].push(chunk(0))
        for _ in range(late):
            modes._rows[0].pop()
    dry = []
    for _ in range(6):
        dry.append(modes.dry_rows(2))
        for row in dry[-1]:
            modes.push(row, chunk(1))
        last = modes.pop()
    assert dry == [[], [], [0], [], [], [1]]
    # Row 0 is three steps into its second chunk, row 1 at the start of its own.
    expected = [[0.49875 * 8 + 0.50125 * 103, 103.14], [0.49875 * 5 + 0.50125 * 100, 100.14]]
    assert last[:, [0, 14]].flatten().tolist() == pytest.approx(np.ravel(expected).tolist(), abs=1e-5)


def test_the_pushed_chunk_is_left_as_it_was():
    given = chunk(1)
    modes = queues("temporal_ensemble")
    modes.dry_rows(1)
    modes.push(0, chunk(0))
    modes.push(0, given)
    modes.pop()
    assert torch.equal(given, chunk(1))


@pytest.mark.parametrize("mode", ["temporal_ensemble", "receding_temporal"])
def test_reset_starts_anew_and_a_changed_batch_needs_it(mode):
    modes = queues(mode)
    first = act(modes, 2, 8)
    with pytest.raises(ZooError, match=r"policy\.reset\(\)"):
        modes.dry_rows(3)
    modes.reset()
    assert torch.equal(act(modes, 2, 8), first)


# In a policy.


class EnsemblePolicy(StubPolicy):
    """The stub with a control mode; dimension 1 is its gripper."""

    mode = "temporal_ensemble"

    def make_queues(self) -> ActionQueues:
        return queues(self.mode, newest_dims=[1], interval=2)


class RecedingPolicy(EnsemblePolicy):
    mode = "receding_temporal"


def ensemble_policy(policy_class: type[StubPolicy]) -> StubPolicy:
    return policy_class(stub_config()).eval()


def test_a_policy_predicts_at_every_step_and_averages():
    policy = ensemble_policy(EnsemblePolicy)
    taken = torch.stack([policy.select_action(stub_observation(2)) for _ in range(3)])
    # Chunk c of the stub says 10 c + step, plus 100 per row.
    assert policy.chunks_since_reset == 3
    assert taken[1, 0].tolist() == pytest.approx([0.49875 * 1 + 0.50125 * 10, 10], abs=1e-4)
    assert taken[2, 1, 1] == 120


def test_only_the_executed_steps_of_a_chunk_are_averaged():
    policy = ensemble_policy(EnsemblePolicy)
    policy.config.n_action_steps = 1
    taken = [policy.select_action(stub_observation(1))[0, 0].item() for _ in range(3)]
    assert taken == [0, 10, 20]


def test_every_predicted_chunk_is_published():
    policy = ensemble_policy(RecedingPolicy)
    trace.start()
    try:
        trace.publish_decoder(lambda action: action)
        published = []
        for _ in range(5):
            policy.select_action(stub_observation(1))
            chunk_HA = trace.take(0)
            published.append(None if chunk_HA is None else chunk_HA[0, 0])
            assert chunk_HA is None or chunk_HA.shape == (4, WIDTH)
        assert published == [0, None, 10, None, 20]
    finally:
        trace.stop()


def test_an_error_in_prediction_is_raised_and_nothing_is_replayed(monkeypatch):
    policy = ensemble_policy(RecedingPolicy)
    policy.select_action(stub_observation(1))
    policy.select_action(stub_observation(1))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(policy, "sample_chunk", broken)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of memory"):
            policy.select_action(stub_observation(1))
