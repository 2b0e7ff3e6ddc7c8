"""The pictures of a replay: size, colours, what is drawn when."""

import numpy as np
import pytest
from replay_episodes import make_episode, make_run

from lerobot_env_dataset_replay.recording import RecordedEpisode
from lerobot_env_dataset_replay.rendering import CHUNK, PREDICTED, EpisodeCanvas, side_by_side


def recorded_episode(length=12, dims=4):
    action_TA = np.resize(make_episode(0, length).recorded_TA, (length, dims))
    return RecordedEpisode(
        0, 0, ["stack the very long named object " * 5] * length, np.arange(length) / 10, action_TA, None
    )


def run_of(dims):
    return make_run(
        [0],
        action_names=[f"a_rather_long_name_of_dimension_{d}" for d in range(dims)],
        action_min=[-1.0] * dims,
        action_max=[1.0] * dims,
    )


def amount_of(color, picture):
    return int((abs(picture.astype(int) - color).sum(axis=2) < 60).sum())


@pytest.mark.parametrize(
    ("shapes", "dims"),
    [([], 1), ([(64, 64, 3)], 7), ([(480, 640, 3), (64, 96, 3)], 4), ([(32, 32, 1)] * 3, 26)],
)
def test_every_frame_of_an_episode_has_the_same_even_size(shapes, dims):
    recorded = recorded_episode(dims=dims)
    canvas = EpisodeCanvas(recorded, run_of(dims))
    predicted_TA = np.full((12, dims), np.nan, np.float32)
    sizes = set()
    for frame in range(12):
        cameras = [np.full(shape, 10 * frame, np.uint8) for shape in shapes]
        picture = canvas.draw(cameras, frame, predicted_TA, [])
        assert picture.dtype == np.uint8
        sizes.add(picture.shape)
        predicted_TA[frame] = recorded.action_TA[frame]
    ((height, width, channels),) = sizes
    assert (height % 2, width % 2, channels) == (0, 0, 3)
    assert width >= 512


def test_predictions_appear_as_they_are_made():
    recorded = recorded_episode()
    canvas = EpisodeCanvas(recorded, run_of(4))
    predicted_TA = np.full((12, 4), np.nan, np.float32)
    first = canvas.draw([], 0, predicted_TA, [])
    predicted_TA[:6] = recorded.action_TA[:6] + 0.3
    half = canvas.draw([], 6, predicted_TA, [(6, recorded.action_TA[6:10])])
    predicted_TA[:] = recorded.action_TA + 0.3
    predicted_TA[8, 1] = np.nan
    whole = canvas.draw([], 11, predicted_TA, [(6, recorded.action_TA[6:10]), (11, recorded.action_TA[:8])])
    assert amount_of(PREDICTED, first) < amount_of(PREDICTED, half) < amount_of(PREDICTED, whole)
    # The legend alone, then a chunk of four steps, then one of which one step lies inside the episode.
    assert amount_of(CHUNK, first) == amount_of(CHUNK, whole) < amount_of(CHUNK, half)


def test_cameras_stand_side_by_side_at_one_height():
    left, right = np.full((64, 64, 3), 200, np.uint8), np.full((32, 64, 1), 50, np.uint8)
    joined = side_by_side([left, right], 64)
    assert joined.shape == (64, 64 + 128, 3)
    assert (joined[:, :64] == 200).all()
    assert (joined[:, 64:] == 50).all()
