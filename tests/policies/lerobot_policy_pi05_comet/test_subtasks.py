"""Subtasks of `pi05_comet`: learned, written per row, and what the actions follow."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from subtask_data import write_subtask_dataset
from tiny_policies import TASKS, processors, raw_batch, tiny_config, tiny_policy, toy_statistics

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.processing import runtime
from lerobot_policy_pi05_comet.subtasks import HeldSubtasks, learn_subtasks, write_subtasks

TYPES = ("pi05_comet", "pi05_comet_vlm2")
TEXTS = ("go", "grasp")
# Frames 0, 5 and 10 of the dataset.
EXPECTED = [TEXTS[0], TEXTS[1], TEXTS[0]]
ONLY_TRAINING = ("action", "action_is_pad", "index", "episode_index")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_subtask_dataset(tmp_path_factory.mktemp("subtasks") / "data", TEXTS)


def subtask_policy(policy_type: str = TYPES[0], **changes: Any) -> Any:
    return tiny_policy(policy_type, subtask_prediction=True, subtask_max_len=9, **changes)


def training_batch(config: Any, root: Path) -> dict[str, Any]:
    """Three rows of the dataset with subtasks."""
    features = ("index", "subtask_index")
    meta = SimpleNamespace(
        root=root,
        repo_id="local/toy",
        stats=toy_statistics(),
        tasks=pd.DataFrame(index=TASKS),
        features=features,
    )
    runtime.bind(meta, config)
    try:
        return processors(config)[0](raw_batch(config, history=True) | {"index": torch.tensor([0, 5, 10])})
    finally:
        runtime.bind(None, None)


def observation_batch(config: Any) -> dict[str, Any]:
    """The same rows to act on."""
    raw = raw_batch(config)
    return processors(config)[0]({key: value for key, value in raw.items() if key not in ONLY_TRAINING})


def test_off_nothing_of_it_is_there(root):
    plain = tiny_policy(TYPES[0])
    batch = training_batch(plain.config, root)
    assert not [key for key in batch if "subtask" in key]
    assert not plain.model.encoder.language_model.layers[-1].mlp.up_proj.weight.requires_grad
    assert sorted(plain(batch)[1]) == ["loss_over_padded_dims", "loss_over_real_dims", "pad_fraction"]
    text = bytes(i - 3 for i in batch["observation.language.tokens"][0].tolist() if i > 2).decode()
    assert text.startswith("Task: pick up the soup, State: ")
    assert text.endswith(";\nAction: ")


def test_it_overfits_and_writes_to_each_row_what_it_learned(root):
    policy = subtask_policy(image_augmentation=False, subtask_loss_weight=1.0).train()
    batch = training_batch(policy.config, root)
    optimizer = torch.optim.Adam(policy.get_optim_params(), lr=5e-3)
    for _ in range(150):
        loss, logs = policy(batch)
        if logs["accuracy_whole_subtask"] == 1 and logs["loss_subtask"] < 0.05:
            break
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert logs["accuracy_whole_subtask"] == logs["accuracy_subtask"] == 1
    policy.reset()
    trace.start()
    try:
        policy.select_action(observation_batch(policy.config))
        assert [trace.take_subtask(row) for row in range(3)] == EXPECTED
        assert trace.take_subtask(0) is None
    finally:
        trace.stop()


@pytest.mark.parametrize("policy_type", TYPES)
@torch.no_grad()
def test_actions_see_when_acting_what_they_saw_in_training(policy_type, root):
    """Keys, values and positions of the same text are the same to rounding, taught or written."""
    policy = subtask_policy(policy_type, image_augmentation=False)
    batch = training_batch(policy.config, root)
    encoder = policy.model.encoder
    _, taught = learn_subtasks(encoder, batch, *policy.embed(batch))
    ids = [[i for i in row if i > 2] for row in batch["observation.subtask.tokens"].tolist()]
    texts, written = write_subtasks(encoder, policy.encode(batch), batch, 9, ids)
    assert texts == ids
    assert torch.equal(written.mask_BS, taught.mask_BS)
    for mine, theirs in zip(written.keys_values, taught.keys_values, strict=True):
        for a_BKSE, b_BKSE in zip(mine, theirs, strict=True):
            real_BS = taught.mask_BS[:, None, :, None]
            torch.testing.assert_close(a_BKSE * real_BS, b_BKSE * real_BS, rtol=1e-4, atol=1e-5)


def test_the_text_changes_the_actions_and_is_kept_until_it_is_due():
    policy = subtask_policy(subtask_refresh=2)
    observation = observation_batch(policy.config)
    first = policy.predict_action_chunk(observation)
    written = dict(policy.subtasks.text_of)
    policy.chunks_since_reset = 0
    assert torch.allclose(policy.predict_action_chunk(observation), first, atol=1e-5), "held, not written"
    policy.reset()
    policy.subtasks.keep([[5, 6]] * 3)
    assert not torch.allclose(policy.predict_action_chunk(observation), first, atol=1e-4)
    policy.predict_action_chunk(observation)
    assert policy.subtasks.text_of == written, "due again"


def test_rows_hold_their_own_subtasks():
    held = HeldSubtasks(refresh=2)
    assert held.recall(2) == [None, None]
    held.keep([[7], [8]])
    with held.rows([1]):
        assert held.recall(1) == [[8]]
        held.keep([[8]])
        assert held.recall(1) == [None]
    assert held.recall(2) == [[7], None]
    held.clear()
    assert held.recall(2) == [None, None]


@pytest.mark.parametrize(
    "changes",
    [
        {"freeze_vision_tower": True, "gradient_checkpointing": True, "vlm_grad_scale": 0.0},
        {"freeze_language_model": True},
    ],
)
def test_what_is_frozen_and_recomputed(root, changes, caplog):
    with caplog.at_level(logging.WARNING):
        policy = subtask_policy(image_augmentation=False, **changes).train()
    frozen = "freeze_language_model" in changes
    assert ("nothing learns to write" in caplog.text) == frozen
    loss, _ = policy(training_batch(policy.config, root))
    loss.backward()
    trained = {name for name, p in policy.named_parameters() if p.requires_grad and p.grad is not None}
    assert trained == {name for name, p in policy.named_parameters() if p.requires_grad}
    assert any("language_model.norm" in name for name in trained) != frozen
    plain = subtask_policy(image_augmentation=False).train()
    assert plain(training_batch(plain.config, root))[0].item() == pytest.approx(loss.item(), rel=1e-5)


def test_refusals(root):
    with pytest.raises(ZooError, match="subtask_max_len=2"):
        tiny_config(TYPES[0], subtask_max_len=2)
    policy = subtask_policy()
    batch = training_batch(policy.config, root)
    del batch["observation.subtask.tokens"]
    with pytest.raises(ZooError, match="no subtasks to learn"):
        policy(batch)
    other = tiny_policy(TYPES[0])
    for acting, asked in ((policy, other), (other, policy)):
        with pytest.raises(ZooError, match="leave --policy\\.subtask_prediction out"):
            acting.predict_action_chunk(observation_batch(asked.config))
    short = tiny_config(TYPES[0], subtask_prediction=True, subtask_max_len=6)
    with pytest.raises(ZooError, match=r"7 tokens for 'grasp'(.|\n)*subtask_max_len=7"):
        training_batch(short, root)
