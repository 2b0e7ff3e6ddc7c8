"""Averaged weights: openpi's rule, raw weights in training, averages in evaluation, checkpoints."""

import copy
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from stub_policy import StubPolicy, stub_config, stub_observation
from torch import nn

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.fused import fused_linear
from lerobot_plugins.policy.ema import WeightAverage
from lerobot_plugins.processing import runtime

DECAY = 0.9


@pytest.fixture(autouse=True)
def _no_run():
    yield
    runtime.bind(None, None)


def averaged_policy(**changes: object) -> StubPolicy:
    policy = StubPolicy(stub_config(ema_decay=DECAY, **changes))
    with torch.no_grad():
        policy.weight.copy_(torch.arange(4.0).view(2, 2))
    policy.ema.restart()
    return policy


def train(policy: StubPolicy, steps: int, start: int = 0) -> list[torch.Tensor]:
    """Steps of a made-up optimizer, each followed by what LeRobot calls; returns the raw weights."""
    policy.train()
    seen = []
    for step in range(start, start + steps):
        with torch.no_grad():
            policy.weight.add_(torch.tensor(float(step + 1)).sin())
        policy.update()
        seen.append(policy.weight.detach().clone())
    return seen


def load(folder: Path, training: bool = True, **changes: object) -> StubPolicy:
    """As LeRobot loads a policy, for a training run or for evaluation."""
    config = stub_config(**{"ema_decay": DECAY} | changes)
    return StubPolicy.from_pretrained(folder, config=config, dataset_meta="meta" if training else None)


def batch() -> dict[str, torch.Tensor]:
    return stub_observation(1) | {"action": torch.linspace(-1, 1, 8).view(1, 4, 2)}


# The rule.


def test_the_average_follows_openpis_rule_from_the_first_step():
    policy = averaged_policy()
    expected = policy.weight.detach().double()
    for weight in train(policy, 5):
        expected = DECAY * expected + (1 - DECAY) * weight.double()
    torch.testing.assert_close(policy.ema.weight.double(), expected, atol=1e-6, rtol=0)
    assert not policy.ema.weight.requires_grad


def test_it_starts_as_the_weights_and_is_off_by_default():
    policy = StubPolicy(stub_config(ema_decay=DECAY))
    assert torch.equal(policy.ema.weight, policy.weight)
    assert StubPolicy(stub_config()).ema is None
    assert set(StubPolicy(stub_config()).state_dict()) == {"weight"}


def test_names_trees_and_frozen_weights():
    module = nn.ModuleDict({"a": nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), "b": nn.Linear(3, 1)})
    module["b"].requires_grad_(False)
    average = WeightAverage(module, DECAY)
    expected = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert set(average.state_dict()) == expected == set(dict(average.named_buffers()))
    assert not list(average.parameters())


def test_it_is_float32_state_that_the_optimizer_and_ddp_leave_alone():
    policy = averaged_policy(dtype="bfloat16")
    assert policy.ema.weight.dtype == torch.float32
    assert [parameter is policy.weight for parameter in policy.get_optim_params()] == [True]
    names = {name for name, _ in policy.named_buffers()}
    assert set(policy._ddp_params_and_buffers_to_ignore) == names == {"ema.weight"}


# Which weights compute.


def test_training_sees_raw_weights_and_evaluation_their_average():
    policy = averaged_policy()
    train(policy, 3)
    other = StubPolicy(stub_config())

    def loss_with(weight: torch.Tensor, training: bool) -> torch.Tensor:
        other.weight.data.copy_(weight)
        other.seed = policy.seed
        other.config.trained_steps = 3
        return other.train(training)(batch())[0]

    raw, average = policy.weight.detach().clone(), policy.ema.weight.clone()
    assert policy.train()(batch())[0] == loss_with(raw, training=True)
    assert policy.eval()(batch())[0] == loss_with(average, training=False)
    assert loss_with(raw, training=False) != loss_with(average, training=False)
    # What is saved afterwards is what was trained.
    assert torch.equal(policy.weight, raw)
    assert isinstance(policy.weight, nn.Parameter)
    assert torch.equal(policy.ema.weight, average)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_sampling_uses_the_average_and_puts_the_weights_back(mode, monkeypatch):
    policy = averaged_policy()
    train(policy, 2)
    seen = []
    sample = policy.sample_chunk
    monkeypatch.setattr(
        policy, "sample_chunk", lambda *given, **rtc: (seen.append(policy.weight), sample(*given, **rtc))[1]
    )
    with mode():
        policy.select_action(stub_observation(2))
    assert seen[0] is policy.ema.weight
    weight = policy.weight
    train(policy, 1)
    policy.train()(batch())[0].backward()
    assert policy.weight is weight
    assert policy.weight.grad is not None


def test_an_error_in_between_leaves_the_weights_in_place():
    policy = averaged_policy()
    raw = policy.weight
    with pytest.raises(KeyError):
        policy.eval().predict_action_chunk({})
    assert policy.weight is raw


def test_moved_and_copied_policies_average_their_own_weights():
    policy = copy.deepcopy(averaged_policy()).to(torch.float64)
    before = policy.ema.weight.clone()
    train(policy, 1)
    assert not torch.equal(policy.ema.weight, before)
    torch.testing.assert_close(policy.ema.weight, DECAY * before + (1 - DECAY) * policy.weight.detach())


def test_an_average_that_fused_projections_used_can_be_saved(tmp_path):
    """They make views of one matrix of the weights they compute with."""
    module = nn.ModuleDict({"q": nn.Linear(3, 2, bias=False), "k": nn.Linear(3, 2, bias=False)})
    average = WeightAverage(module, DECAY)
    expected = {name: value.clone() for name, value in average.state_dict().items()}
    with torch.no_grad(), average.in_place():
        fused_linear(torch.ones(1, 3), [module["q"], module["k"]])
    save_file(average.state_dict(), tmp_path / "average.safetensors")
    stored = load_file(tmp_path / "average.safetensors")
    assert set(stored) == set(expected)
    assert all(torch.equal(stored[name], value) for name, value in expected.items())


# Checkpoints.


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    policy = averaged_policy()
    train(policy, 3)
    policy.save_pretrained(tmp_path)
    return tmp_path


def test_a_resumed_run_continues_the_average_exactly(saved):
    assert set(load_file(saved / "model.safetensors")) == {"weight", "ema.weight"}
    whole = averaged_policy()
    train(whole, 7)
    resumed = load(saved, trained_steps=3)
    train(resumed, 4, start=3)
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.ema.weight, whole.ema.weight)


def test_outside_of_training_the_average_becomes_the_policy(saved):
    stored = load_file(saved / "model.safetensors")
    policy = load(saved, training=False)
    assert torch.equal(policy.weight, stored["ema.weight"])
    assert policy.ema is None
    assert policy.config.ema_decay is None
    assert set(policy.state_dict()) == {"weight"}


def test_a_checkpoint_without_average_starts_one_and_says_so(tmp_path, caplog):
    plain = StubPolicy(stub_config())
    plain.weight.data.normal_()
    plain.save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO):
        policy = load(tmp_path)
    assert torch.equal(policy.ema.weight, plain.weight)
    assert "the average starts from its weights" in caplog.text


def test_an_average_is_not_dropped_without_being_told(saved):
    with pytest.raises(ZooError, match=r"checkpoint export .* --ema` of the averaged"):
        load(saved, ema_decay=None)


class WiderPolicy(StubPolicy):
    """One weight more, that trains or not."""

    trains = True

    def settle_parameters(self) -> None:
        self.second = nn.Parameter(torch.zeros(1), requires_grad=self.trains)
        super().settle_parameters()


class FrozenPolicy(WiderPolicy):
    trains = False


@pytest.mark.parametrize(
    ("stored", "loaded", "message"),
    [
        (WiderPolicy, FrozenPolicy, r"also of ema\.second"),
        (FrozenPolicy, WiderPolicy, r"none of ema\.second"),
    ],
)
def test_an_average_of_other_weights_is_refused(tmp_path, stored, loaded, message):
    stored(stub_config(ema_decay=DECAY)).save_pretrained(tmp_path)
    with pytest.raises(ZooError, match=rf"other weights(.|\n)*{message}(.|\n)*freeze_\*"):
        loaded.from_pretrained(tmp_path, config=stub_config(ema_decay=DECAY))


def test_other_problems_of_a_checkpoint_are_still_found(saved):
    save_file({"ema.weight": torch.zeros(2, 2)}, saved / "model.safetensors")
    with pytest.raises(ZooError, match="1 missing: weight"):
        load(saved)
    save_file({"other": torch.zeros(2, 2)}, saved / "model.safetensors")
    with pytest.raises(ZooError, match="1 missing: weight; 1 unexpected: other"):
        load(saved)


def test_adapters_are_refused(tmp_path):
    policy = averaged_policy()
    policy.config.pretrained_path = tmp_path
    with pytest.raises(ZooError, match=r"--policy\.ema_decay=null"):
        policy._validate_peft_config(None)
