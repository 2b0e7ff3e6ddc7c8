"""Averaged weights (`ema_decay`) in every policy type: kept, used in evaluation, saved, resumed."""

import pytest
import torch
from safetensors.torch import load_file
from tiny_policies import tiny_config, tiny_policy, walks

from lerobot_plugins.processing import runtime

DECAY = 0.9


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def averaged(policy_type, request):
    """A policy in the middle of training, whose average is not its weights."""
    policy = tiny_policy(policy_type, ema_decay=DECAY, dtype=request.param)
    policy.ema.restart()
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.mul_(0.5)
    policy.train().update()
    return policy


def loaded(averaged, folder, **options):
    config = tiny_config(averaged.name, ema_decay=DECAY, dtype=averaged.config.dtype)
    try:
        return type(averaged).from_pretrained(folder, config=config, **options)
    finally:
        runtime.bind(None, None)


def test_every_trained_weight_and_no_other_is_averaged(averaged):
    trained = {name for name, parameter in averaged.named_parameters() if parameter.requires_grad}
    assert set(averaged.ema.state_dict()) == trained


def test_evaluation_and_deployment_act_with_the_average(averaged, observation, batch, tmp_path):
    # Acting first: what it leaves behind must not disturb saving, nor training.
    averaged.reset()
    chunk = averaged.predict_action_chunk(observation)
    raw = {name: value.clone() for name, value in averaged.state_dict().items()}
    averaged.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert set(stored) == set(raw)
    assert all(torch.equal(stored[name], value) for name, value in raw.items())

    deployed = loaded(averaged, tmp_path)
    tolerance = (
        {"atol": 1e-5, "rtol": 1e-4} if averaged.config.dtype == "float32" else {"atol": 0.05, "rtol": 0}
    )
    torch.testing.assert_close(deployed.predict_action_chunk(observation), chunk, **tolerance)

    resumed = loaded(averaged, tmp_path, dataset_meta=walks()[0])
    assert torch.equal(resumed.predict_action_chunk(observation), chunk)
    resumed.seed, resumed.config.trained_steps = averaged.seed, averaged.config.trained_steps
    losses = [policy.train()(batch)[0] for policy in (averaged, resumed)]
    assert losses[0] == losses[1]
    losses[1].backward()
    resumed.update()
    averaged.eval()
    assert averaged(batch)[0] != losses[0]
