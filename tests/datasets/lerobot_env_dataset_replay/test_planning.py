"""Plans announced while episodes are played: kept per episode, in both units, beside the true waypoints."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lerobot_env_dataset_replay.planning import PlanLog
from lerobot_env_dataset_replay.playback import Playback
from lerobot_env_dataset_replay.recording import RecordedEpisode
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.waypoints.rule import WaypointRule

FRAMES, STATES, ACTIONS = 9, 3, 2
RULE = WaypointRule(arms=((0, 1),), threshold=0.01, gripper_dims=(1,), gripper_atol=0.5)


class Doubling:
    """Normalised states are twice the raw ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float() * 2

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        return y / 2


@pytest.fixture(autouse=True)
def _listening():
    trace.start()
    yield
    trace.stop()


def recorded(state_TS: np.ndarray | None = None) -> RecordedEpisode:
    """A straight line in x; the gripper's action flips at frame 5."""
    t = np.arange(FRAMES, dtype=np.float32)
    if state_TS is None:
        state_TS = np.column_stack([t / 10, np.zeros(FRAMES), np.ones(FRAMES)]).astype(np.float32)
    action_TA = np.column_stack([np.zeros(FRAMES), np.where(t < 5, 0.0, 1.0)]).astype(np.float32)
    return RecordedEpisode(0, 0, ["go"] * FRAMES, t / 10, action_TA, None, state_TS)


def plan(value: float = 0.4) -> trace.Plan:
    state = np.full((2, STATES), np.nan, np.float32)
    state[:, :2] = value
    return trace.Plan(state, np.array([3, 4]), (0, 1), (), RULE)


def test_plans_are_kept_in_both_units_beside_the_truth():
    log = PlanLog(recorded())
    assert log.gathered() is None
    log.add(0, plan(), Doubling())
    log.add(3, plan(0.8), Doubling())
    found = log.gathered()
    assert found.frame_P.tolist() == [0, 3]
    assert found.duration_PM.tolist() == [[3, 4], [3, 4]]
    np.testing.assert_allclose(found.state_PMS[:, 0, :2], [[0.2, 0.2], [0.4, 0.4]])
    np.testing.assert_allclose(found.scaled_PMS[:, 0, :2], [[0.4, 0.4], [0.8, 0.8]])
    assert np.isnan(found.state_PMS[:, :, 2]).all()
    np.testing.assert_allclose(found.recorded_scaled_TS, 2 * found.recorded_TS)
    assert found.waypoint_W.tolist() == [0, 5, 8], "the line's ends and the gripper"


def test_each_row_takes_its_own_plan():
    trace.publish_plan([plan(0.1), plan(0.2)], [0, 2])
    assert trace.take_plan(1) is None
    assert trace.take_plan(2).state_MS[0, 0] == np.float32(0.2)
    assert trace.take_plan(2) is None, "taken"
    trace.discard(0)
    assert trace.take_plan(0) is None


def test_nobody_listening_nothing_is_kept():
    trace.stop()
    trace.publish_plan([plan()], [0])
    trace.publish_state_map(Doubling())
    assert trace.take_plan(0) is None
    assert trace.state_map() is None
    trace.start()


def test_an_episode_holds_plans_and_chunks_of_their_own_length():
    trace.publish_state_map(Doubling())
    playback = Playback(recorded(), ["x", "gripper"], keep_pictures=False)
    for frame in range(FRAMES):
        playback.show({}, frame)
        playback.execute(np.zeros(ACTIONS))
        if frame in (0, 3, 7):
            playback.intend(plan(frame / 10))
            playback.announce(np.full((3 if frame < 7 else 2, ACTIONS), frame, np.float32))
    episode = playback.finished()
    assert episode.plans.frame_P.tolist() == [0, 3, 7]
    assert episode.chunk_lengths.tolist() == [3, 3, 2]
    assert episode.chunk_CHA[2, :2].tolist() == [[7, 7], [7, 7]]
    assert np.isnan(episode.chunk_CHA[2, 2]).all()


def test_chunks_of_one_length_are_stored_as_before():
    playback = Playback(recorded(), ["x", "gripper"], keep_pictures=False)
    playback.announce(np.zeros((4, ACTIONS)))
    playback.announce(np.ones((4, ACTIONS)))
    episode = playback.finished()
    assert episode.chunk_length_C is None
    assert episode.plans is None
    assert episode.chunk_CHA.shape == (2, 4, ACTIONS)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (np.zeros((FRAMES, 5), np.float32), r"5 dimensions(.|\n)*3 dimensions"),
        (None, "no vector observation.state"),
    ],
)
def test_states_that_the_dataset_does_not_have(state, words):
    with pytest.raises(ZooError, match=words):
        PlanLog(replace(recorded(), state_TS=state)).add(0, plan(), Doubling())


def test_states_of_which_no_waypoints_can_be_made():
    state_TS = recorded().state_TS
    state_TS[4, 0] = np.nan
    with pytest.raises(ZooError, match=r"not finite in frame 4"):
        PlanLog(recorded(state_TS)).add(0, plan(), Doubling())


def test_a_plan_in_unknown_units_is_refused():
    with pytest.raises(ZooError, match="publish_state_map"):
        PlanLog(recorded()).add(0, plan(), None)


def test_plans_of_one_episode_are_alike():
    log = PlanLog(recorded())
    log.add(0, plan(), Doubling())
    with pytest.raises(ZooError, match=r"2 waypoints of 3 dims(.|\n)*1 waypoints of 3 dims"):
        log.add(2, replace(plan(), state_MS=plan().state_MS[:1], duration_M=np.array([3])), Doubling())


def test_what_is_not_finite_is_nan():
    first = plan()
    first.state_MS[:, 0] = [np.inf, -np.inf]
    log = PlanLog(recorded())
    log.add(0, first, Doubling())
    found = log.gathered()
    for states_PMS in (found.scaled_PMS, found.state_PMS):
        assert np.isnan(states_PMS[..., 0]).all()
        assert np.isfinite(states_PMS[..., 1]).all()
