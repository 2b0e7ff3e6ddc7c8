"""Stock `lerobot-train` with averaged weights: resume, fine-tuning, evaluation of the average."""

import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class
from safetensors.torch import load_file
from training import TINY, Run, differences, interrupted_after, resume, train

from lerobot_plugins.errors import ZooError

DECAY = "--policy.ema_decay=0.9"


@pytest.fixture(scope="module")
def averaged(toy_root, tmp_path_factory) -> Run:
    """Four steps with checkpoints after 2 and 4."""
    return train(toy_root, tmp_path_factory.mktemp("averaged") / "run", *TINY, DECAY)


def tensors(run: Run, step: int | str = "last") -> dict[str, torch.Tensor]:
    return load_file(run.policy(step) / "model.safetensors")


def test_training_itself_does_not_notice(averaged, uninterrupted):
    assert averaged.losses == uninterrupted.losses[:4]


def test_a_resumed_run_continues_the_average(averaged, tmp_path):
    resumed = resume(interrupted_after(averaged, 2, tmp_path / "run"))
    assert resumed.losses == averaged.losses[2:]
    # The host advances torch's global generator while it sets up; nothing of ours draws from it.
    assert differences(averaged.checkpoint(4), resumed.checkpoint(4)) == [
        "training_state/rng_state.safetensors:torch_rng_state"
    ]
    stored = tensors(averaged)
    assert any(
        not torch.equal(stored[f"ema.{name}"], stored[name]) for name in stored if f"ema.{name}" in stored
    )


def test_the_average_is_what_a_loaded_policy_acts_with(averaged):
    config = PreTrainedConfig.from_pretrained(averaged.policy())
    policy = get_policy_class(config.type).from_pretrained(averaged.policy(), config=config)
    stored = tensors(averaged)
    for name, parameter in policy.named_parameters():
        assert torch.equal(parameter, stored.get(f"ema.{name}", stored[name]))


def test_fine_tuning_starts_an_average_from_the_loaded_weights(uninterrupted, other_root, tmp_path):
    base = uninterrupted.policy()
    tuned = train(
        other_root,
        tmp_path / "run",
        f"--policy.path={base}",
        "--policy.push_to_hub=false",
        DECAY,
        "--steps=1",
    )
    assert "the average starts from its weights" in tuned.log
    before, after = tensors(uninterrupted), tensors(tuned)
    averages = {name.removeprefix("ema."): value for name, value in after.items() if name.startswith("ema.")}
    assert averages
    for name, value in averages.items():
        torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * after[name], atol=1e-6, rtol=0)


def test_fine_tuning_does_not_drop_an_average(averaged, other_root, tmp_path):
    with pytest.raises(ZooError, match="checkpoint export"):
        train(
            other_root,
            tmp_path / "run",
            *(f"--policy.path={averaged.policy()}", "--policy.push_to_hub=false", "--policy.ema_decay=null"),
        )
