"""Every kind of checkpoint is described without its weights, and what is wrong with it is found."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from openpi_tree import norm_stats, random_tree, write_orbax
from safetensors.torch import save_file
from tiny_policies import processors, tiny_policy

from lerobot_plugins.checkpoints.inspection import inspect
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError

BIAS = np.zeros(4, np.float32)


def save_policy(folder: Path) -> Path:
    policy = tiny_policy("paligemma_flow")
    policy.save_pretrained(folder)
    for processor in processors(policy.config):
        processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of lerobot-train with one checkpoint, by its files."""
    folder = tmp_path_factory.mktemp("run")
    step = folder / "checkpoints/000020"
    save_policy(step / "pretrained_model")
    state = step / "training_state"
    state.mkdir()
    (state / "training_step.json").write_text('{"step": 20}')
    (state / "optimizer_param_groups.json").write_text("[]")
    for name in ("rng_state", "optimizer_state"):
        save_file({f"{name}/0": torch.zeros(3)}, state / f"{name}.safetensors")
    (folder / "checkpoints/last").symlink_to("000020")
    return folder


@pytest.fixture
def step(run, tmp_path) -> Path:
    return Path(shutil.copytree(run / "checkpoints/000020", tmp_path / "000020"))


def test_a_policy_folder_lists_tensors_processors_and_statistics(run):
    found = inspect(run / "checkpoints/last/pretrained_model")
    assert found.kind == "LeRobot policy, type paligemma_flow"
    assert found.facts["processors"] == "postprocessor, preprocessor"
    assert found.facts["statistics"].startswith("observation.state min_max, action min_max, of ")
    names = {tensor.name: tensor for tensor in found.tensors}
    assert names["action_head.action_in.weight"].shape == (128, 7)
    assert names["action_head.action_in.weight"].dtype == "float32"
    assert found.totals() == {"float32": sum(tensor.size for tensor in found.tensors)}
    assert found.all_findings() == []


def test_layers_are_shown_as_one(run):
    found = inspect(run / "checkpoints/last/pretrained_model")
    shown = {name: count for name, count, _, _ in found.collapsed()}
    assert shown["vlm.language_model.layers.*.mlp.up_proj.weight"] == 3
    assert sum(count for _, count, _, _ in found.collapsed()) == len(found.tensors)


def test_a_training_checkpoint_has_step_and_optimizer(step):
    found = inspect(step)
    assert (found.kind, found.facts["step"]) == ("LeRobot training checkpoint", 20)
    assert [part.kind for part in found.parts] == ["LeRobot policy, type paligemma_flow", "optimizer state"]
    assert found.all_findings() == []


@pytest.mark.parametrize("name", ["training_step.json", "optimizer_param_groups.json"])
def test_a_save_that_was_cut_short_is_a_finding(step, name):
    (step / "training_state" / name).unlink()
    assert inspect(step).findings == [f"the save did not finish: training_state lacks {name}"]


def test_damaged_weights_are_a_finding(step):
    weights = step / "pretrained_model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    (finding,) = inspect(step).all_findings()
    assert f"cannot read weights from {weights}" in finding


def test_lora_and_averages_are_counted(tmp_path):
    (tmp_path / "config.json").write_text('{"type": "pi05_comet"}')
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "/policies/base"}')
    save_file(
        {"q.lora_A.weight": torch.zeros(2, 3), "q.lora_B.weight": torch.zeros(3, 2), "ema.b": torch.zeros(1)},
        tmp_path / "adapter_model.safetensors",
    )
    found = inspect(tmp_path)
    assert found.kind == "LeRobot policy, type pi05_comet (adapter)"
    assert (found.facts["LoRA tensors"], found.facts["EMA tensors"]) == (2, 1)
    assert found.facts["base"] == "/policies/base"


def test_a_run_shows_its_checkpoints_and_where_last_leads(run):
    found = inspect(run)
    assert (found.kind, found.facts) == ("run", {"checkpoints": 1, "last": "000020"})
    assert found.all_findings() == []


def test_a_link_into_nothing_and_empty_steps_are_findings(step):
    folder = step.parent
    (folder / "last").symlink_to("000040")
    (folder / "000040").mkdir()
    assert inspect(folder).findings == ["000040 is empty"]
    (folder / "000040").rmdir()
    assert inspect(folder).findings == ["the link `last` leads nowhere"]


@pytest.fixture
def jax(tmp_path) -> Path:
    """A step of openpi with averages: `params` holds them, the training state the raw weights."""
    folder = tmp_path / "exp/29999"
    write_orbax(folder / "params", random_tree(), value=True)
    raw = {"params/time_mlp_in/bias": BIAS, "opt_state/mu/time_mlp_in/bias": BIAS, "step": np.array(29999)}
    write_orbax(folder / "train_state", raw, root="")
    assets = folder / "assets/droid"
    assets.mkdir(parents=True)
    (assets / "norm_stats.json").write_text(json.dumps(norm_stats()))
    return folder


def test_an_openpi_step_shows_tree_optimizer_averages_and_statistics(jax):
    found = inspect(jax)
    assert found.kind == "openpi JAX checkpoint"
    assert found.facts["statistics"] == "droid"
    assert found.facts["optimizer state"] == "in train_state"
    assert "averaged" in found.facts["EMA"]
    params, state = found.parts
    assert params.facts["committed"] == "yes"
    assert {tensor.name for tensor in params.tensors} == {f"params/{name}" for name in random_tree()}
    assert len(state.tensors) == 3
    assert inspect(jax / "params").kind == "Orbax tree"
    assert inspect(jax.parent).kind == "run"


def test_lora_leaves_are_found_in_the_tree(tmp_path):
    write_orbax(tmp_path / "params", {"PaliGemma/llm/layers/mlp/linear_lora_a": BIAS, "b": BIAS})
    assert inspect(tmp_path).parts[0].facts["LoRA tensors"] == 1


def test_an_unfinished_save_was_never_committed(jax):
    write_orbax(jax.parent / "30000.orbax-checkpoint-tmp-0/params.orbax-checkpoint-tmp-2", {"b": BIAS})
    findings = inspect(jax.parent).all_findings()
    assert findings
    assert all("30000.orbax-checkpoint-tmp-0" in finding for finding in findings)
    assert all("never committed" in finding for finding in findings)


def test_a_step_without_params_has_no_weights(jax):
    shutil.rmtree(jax / "params")
    assert inspect(jax).findings == ["params is missing: there are no weights to use"]


def test_an_openpi_pytorch_folder(tmp_path):
    save_file({"time_mlp_in.bias": torch.zeros(4)}, tmp_path / "model.safetensors")
    (tmp_path / "optimizer.pt").touch()
    found = inspect(tmp_path)
    assert found.kind == "openpi PyTorch checkpoint"
    assert found.facts == {"optimizer state": "optimizer.pt", "statistics": "none"}


def test_nothing_to_inspect_is_wrong_use(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ZooError, match=r"(?s)no checkpoint in .*notes\.txt"):
        inspect(tmp_path)
    with pytest.raises(ZooError, match="no folder"):
        inspect(tmp_path / "absent")


def test_the_command_prints_and_its_status_tells(step, capsys):
    assert main(["checkpoint", "inspect", str(step)]) == 0
    shown = capsys.readouterr().out
    assert "000020: LeRobot training checkpoint" in shown
    assert "vlm.language_model.layers.*.mlp.up_proj.weight  3 x (384, 128) float32" in shown
    (step / "training_state/training_step.json").unlink()
    assert main(["checkpoint", "inspect", str(step), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["all_findings"][0].endswith("training_state lacks training_step.json")
    assert content["parts"][0]["tensors"][0].keys() == {"name", "shape", "dtype"}
    assert main(["checkpoint", "inspect", str(step / "nothing")]) == 2
