"""A table of loss weights: read and checked, and what it makes of the loss of `pi05_comet`."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny_policies import tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.policy.loss_weights import LossWeights, read_loss_weights

LENGTHS = np.array([3, 2])
EPISODES = [0.5, 2.0]
FRAMES = [0.5, 0.5, 0.5, 2.0, 2.0]


def written(folder, content, name="weights"):
    if isinstance(content, pa.Table):
        pq.write_table(content, folder / f"{name}.parquet")
        return folder / f"{name}.parquet"
    (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / f"{name}.json"


@pytest.mark.parametrize(
    "content",
    [
        {"episodes": EPISODES},
        {"frames": FRAMES},
        pa.table({"episode_index": [1, 0], "weight": [2.0, 0.5]}),
        pa.table({"index": [4, 0, 3, 1, 2], "weight": [2.0, 0.5, 2.0, 0.5, 0.5], "why": list("abcde")}),
    ],
)
def test_tables_of_episodes_and_frames_say_the_same(tmp_path, content):
    found = read_loss_weights(written(tmp_path, content), LENGTHS)
    assert found.dtype == np.float32
    assert found.tolist() == FRAMES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"episodes": [1.0]}, "1 episodes are missing"),
        ({"episodes": [1.0] * 3}, "not in the dataset"),
        ({"frames": [1.0] * 4}, "1 frames are missing[^$]*is 4"),
        ({"frames": [1, 1, -1, 1, 1]}, "-1.0 for frame 2"),
        ('{"frames": [1, 1, NaN, 1, 1]}', "nan for frame 2"),
        ('{"frames": [1, 1, Infinity, 1, 1]}', "inf for frame 2"),
        ({"frames": [0] * 5}, "weighs nothing"),
        ({"frames": [1, 1, True, 1, 1]}, "no list of weights"),
        ({"frames": [1] * 5, "episodes": [1, 1]}, "no list of weights"),
        ([1, 1], "no list of weights"),
        ("{", "cannot be read"),
        (pa.table({"episode_index": [0, 0, 1], "weight": [1.0] * 3}), "there twice"),
        (pa.table({"episode_index": [0, 2], "weight": [1.0] * 2}), "not in the dataset[^$]*is 2"),
        (pa.table({"episode_index": [0, 1], "weight": [1.0, None]}), "nan for episode 1"),
        (pa.table({"episode_index": [0.0, 1.0], "weight": [1.0] * 2}), "no table"),
        (pa.table({"episode_index": [0, 1], "weight": ["1", "1"]}), "no table"),
        (pa.table({"episode": [0, 1], "weight": [1.0] * 2}), "no table"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, content, said):
    with pytest.raises(ZooError, match=said):
        read_loss_weights(written(tmp_path, content), LENGTHS)
    with pytest.raises(ZooError, match="cannot be read"):
        read_loss_weights(tmp_path / "absent.json", LENGTHS)


@pytest.fixture(scope="module")
def trained():
    """A policy in training mode, a batch whose last row is half padding, the number of frames."""
    policy = tiny_policy("pi05_comet").train()
    batch = training_batch(policy.config)
    assert batch["index"].shape == (3,)
    return policy, batch, int(batch["index"].max()) + 1


def loss_of(policy, batch, weights=None, **options):
    policy.loss_weights = weights
    try:
        return policy(batch, **options)[0].detach()
    finally:
        policy.loss_weights = None


def weighing(batch, frames, values):
    weight_F = np.ones(frames, np.float32)
    weight_F[batch["index"].numpy()] = values
    return LossWeights(weight_F)


def test_the_loss_is_the_mean_of_the_rows_weighed_by_frame(trained):
    policy, batch, frames = trained
    plain = loss_of(policy, batch)
    assert torch.equal(loss_of(policy, batch, LossWeights(np.ones(frames, np.float32))), plain)
    row_B = loss_of(policy, batch, reduction="none")
    counts_B = (~batch["action_is_pad"]).sum(1)
    for values in ([1, 2, 0.5], [0, 0, 3], [4, 0, 4]):
        weight_B = torch.tensor(values) * counts_B
        expected = (weight_B * row_B).sum() / weight_B.sum()
        torch.testing.assert_close(loss_of(policy, batch, weighing(batch, frames, values)), expected)
    assert loss_of(policy, batch, weighing(batch, frames, [0, 0, 0])) == 0


def test_losses_of_evaluation_are_not_weighed(trained):
    policy, batch, frames = trained
    policy.eval()
    try:
        weights = weighing(batch, frames, [1, 2, 0.5])
        assert torch.equal(loss_of(policy, batch, weights), loss_of(policy, batch))
    finally:
        policy.train()


def test_frames_without_a_weight_are_refused(trained):
    policy, batch, frames = trained
    with pytest.raises(ZooError, match="a frame has no weight"):
        loss_of(policy, batch, LossWeights(np.ones(frames - 1, np.float32)))
    without = {key: value for key, value in batch.items() if key != "index"}
    with pytest.raises(ZooError, match="the batch has none"):
        loss_of(policy, without, LossWeights(np.ones(frames, np.float32)))


def test_the_table_is_read_for_training_only(tmp_path):
    path = str(written(tmp_path, {"episodes": EPISODES}))
    meta = SimpleNamespace(episodes={"length": LENGTHS.tolist()})
    found = LossWeights.of_run(path, meta)
    assert found is not None
    assert found.weight_F.tolist() == FRAMES
    assert LossWeights.of_run(path, None) is None
    assert LossWeights.of_run(None, meta) is None
    assert tiny_config("pi05_comet").loss_weights_path is None
