"""LoRA through LeRobot's own wrapping: what is adapted, what moves, what comes back."""

import copy
from pathlib import Path

import torch
from peft import PeftModel
from surface import adapted_modules


def based_on(policy, checkpoint: Path):
    """The checkpoint's policy, as --policy.path loads it."""
    base = type(policy).from_pretrained(checkpoint)
    base.config.pretrained_path = checkpoint
    return base


def test_default_targets_match_modules(shared):
    found = adapted_modules(shared)
    assert found["adapters"] > 0
    names = {name for name, _ in shared.named_modules()}
    assert set(found["trained in full"]) <= names


def test_adapters_train_alone_and_come_back(shared, checkpoint, batch, observation, tmp_path):
    wrapped = based_on(shared, checkpoint).wrap_with_peft(peft_cli_overrides={"r": 4})
    adapters = [name for name, _ in wrapped.named_modules() if name.endswith("lora_A")]
    assert len(adapters) == adapted_modules(shared)["adapters"]

    before = copy.deepcopy(wrapped.state_dict())
    optimizer = torch.optim.AdamW(wrapped.get_optim_params(), lr=1e-2)
    wrapped.train()
    for _ in range(2):
        wrapped.forward(batch)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
        wrapped.update()
    moved = {name for name, value in wrapped.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all("lora_" in name or "modules_to_save" in name for name in moved)
    assert any("lora_B" in name for name in moved)
    assert any("modules_to_save" in name for name in moved)
    assert wrapped.config.trained_steps == 2

    wrapped.reset()
    expected = wrapped.predict_action_chunk(observation)
    wrapped.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(based_on(shared, checkpoint), tmp_path)
    assert torch.equal(loaded.predict_action_chunk(observation), expected)
    assert not torch.equal(based_on(shared, checkpoint).predict_action_chunk(observation), expected)


def test_the_adapter_knows_its_base_by_an_absolute_path(shared, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "last").symlink_to(checkpoint)
    monkeypatch.chdir(tmp_path)
    wrapped = based_on(shared, Path("last")).wrap_with_peft()
    assert wrapped.peft_config["default"].base_model_name_or_path == str(checkpoint.resolve())
