"""Widening SmolVLA's and PI0's checkpoints: what was there stays, what is new is zero, misfits are named."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from widen import GROWING, main, widen

from lerobot_plugins.errors import ZooError

W = 6


def policy_folder(folder: Path, prefix: str = "model.", policy_type: str = "smolvla") -> Path:
    """A policy of 32 dims with the layers that know them, and one that does not."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    tensors = {
        "state_proj.weight": rand(W, 32),
        "state_proj.bias": rand(W),
        "action_in_proj.weight": rand(W, 32).bfloat16(),
        "action_out_proj.weight": rand(32, W),
        "action_out_proj.bias": rand(32),
        "lm_expert.layers.0.mlp.weight": rand(W, W),
    }
    folder.mkdir()
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    config = {"type": policy_type, "max_state_dim": 32, "max_action_dim": 32, "chunk_size": 50}
    features = {"input_features": {"observation.state": {"type": "STATE", "shape": [6]}}}
    (folder / "config.json").write_text(json.dumps(config | features))
    (folder / "policy_preprocessor.json").write_text("{}")
    return folder


@pytest.mark.parametrize("prefix", ["", "model."])
def test_known_dims_keep_their_weights_and_new_ones_are_zero(tmp_path, prefix):
    source = policy_folder(tmp_path / "base", prefix, "pi0")
    grown = widen(source, tmp_path / "wide", state=45, action=37)
    assert grown == {
        prefix + end: (32, {"max_state_dim": 45}.get(field, 37)) for end, (_, field) in GROWING.items()
    }
    before, after = (load_file(folder / "model.safetensors") for folder in (source, tmp_path / "wide"))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        wide = after[name]
        assert wide.dtype == tensor.dtype
        kept = tuple(slice(size) for size in tensor.shape)
        assert torch.equal(wide[kept], tensor)
        wide[kept] = 0
        assert not wide.any()
    # Outputs of known dims do not change, whatever the new inputs are; in double, as longer sums round
    # otherwise.
    state = torch.randn(45, dtype=torch.double)
    weight, bias = (f"{prefix}state_proj.{part}" for part in ("weight", "bias"))
    wide = load_file(tmp_path / "wide" / "model.safetensors")
    torch.testing.assert_close(
        wide[weight].double() @ state + wide[bias].double(),
        before[weight].double() @ state[:32] + before[bias].double(),
        rtol=0,
        atol=1e-6,
    )


def test_the_configuration_forgets_the_old_robot_only(tmp_path):
    source = policy_folder(tmp_path / "base")
    widen(source, tmp_path / "wide", state=45, action=37)
    config = json.loads((tmp_path / "wide" / "config.json").read_text())
    assert (config["max_state_dim"], config["max_action_dim"], config["chunk_size"]) == (45, 37, 50)
    assert (config["input_features"], config["output_features"]) == ({}, {})
    assert (tmp_path / "wide" / "policy_preprocessor.json").read_text() == "{}"


def test_what_does_not_fit_is_refused_and_nothing_is_left(tmp_path):
    source = policy_folder(tmp_path / "base")
    with pytest.raises(ZooError, match="wider already"):
        widen(source, tmp_path / "narrow", state=45, action=7)
    act = policy_folder(tmp_path / "act", policy_type="act")
    with pytest.raises(ZooError, match="only SmolVLA and PI0"):
        widen(act, tmp_path / "out", state=45, action=37)
    with pytest.raises(ZooError, match=r"no .*config\.json"):
        widen(tmp_path, tmp_path / "out", state=45, action=37)
    tensors = load_file(source / "model.safetensors")
    save_file({"model.state_proj.weight": tensors["model.state_proj.weight"]}, source / "model.safetensors")
    with pytest.raises(ZooError, match=r"no action_in_proj\.weight, action_out_proj\.weight"):
        widen(source, tmp_path / "out", state=45, action=37)
    assert not list(tmp_path.glob("narrow*"))
    assert not list(tmp_path.glob("out*"))


def test_the_command_says_what_it_widened(tmp_path, capsys):
    source = policy_folder(tmp_path / "base")
    main([str(source), f"--output={tmp_path / 'wide'}"])
    assert "model.state_proj.weight: 32 -> 45" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        main([str(source), f"--output={tmp_path / 'wide'}"])
    assert exit_.value.code == 2
    assert "exists" in capsys.readouterr().err
