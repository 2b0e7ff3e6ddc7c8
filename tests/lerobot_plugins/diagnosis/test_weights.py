"""What went wrong with weights is found, and what went well is not called wrong."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_policies import processors, tiny_policy, training_batch

from lerobot_plugins.cli.main import main
from lerobot_plugins.diagnosis.weights import diagnose
from lerobot_plugins.errors import ZooError

WEIGHTS = "model.safetensors"
MATRIX, VECTOR = "action_head.action_out.weight", "action_head.action_out.bias"
TOWER = "vlm.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight"


def save(policy, folder: Path) -> Path:
    policy.save_pretrained(folder)
    for pipeline in processors(policy.config):
        pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """A policy with a frozen vision tower before and after two steps."""
    folder = tmp_path_factory.mktemp("policies")
    policy = tiny_policy("paligemma_flow", freeze_vision_tower=True, freeze_language_model=False)
    before = save(policy, folder / "before")
    optimizer = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], lr=1e-2)
    policy.train()
    batch = training_batch(policy.config)
    for _ in range(2):
        policy.forward(batch)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, save(policy, folder / "after")


@pytest.fixture
def after(trained, tmp_path) -> Path:
    return shutil.copytree(trained[1], tmp_path / "after")


def change(folder: Path, **changes) -> None:
    tensors = load_file(folder / WEIGHTS)
    for name, edit in changes.items():
        edited = edit(tensors.pop(name))
        if edited is not None:
            tensors[name] = edited
    save_file(tensors, folder / WEIGHTS)


def findings(folder: Path, **options) -> list[str]:
    return diagnose(folder, progress=False, **options).findings


def nan(tensor):
    tensor.view(-1)[3] = torch.nan
    return tensor


def test_a_good_training_has_no_findings(trained):
    before, after = trained
    found = diagnose(after, initial=before, progress=False)
    assert found.findings == []
    assert found.parameters is not None
    frozen = [name for name, trains in found.parameters.items() if not trains]
    assert TOWER in frozen
    assert f"{len(frozen)} of {len(frozen)} frozen ones stayed" in found.notes[-1]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({MATRIX: nan}, f"{MATRIX}: 1 of 896 values are not finite"),
        ({MATRIX: torch.zeros_like}, "1 matrices are zero, as if never trained"),
        ({MATRIX: torch.ones_like}, "1 matrices hold one value only"),
    ],
)
def test_values_that_no_training_gives(after, edit, told):
    change(after, **edit)
    (finding,) = findings(after)
    assert finding.startswith(told)
    assert MATRIX in finding


def test_a_new_bias_of_zeros_is_a_note(after):
    change(after, **{VECTOR: torch.zeros_like})
    found = diagnose(after, progress=False)
    assert found.findings == []
    assert any(VECTOR in note for note in found.notes)


def test_parts_that_did_not_move_and_parts_that_should_not_have(trained, after):
    before = load_file(trained[0] / WEIGHTS)
    change(after, **{MATRIX: lambda _: before[MATRIX], TOWER: lambda tensor: tensor + 1})
    still, moved = findings(after, initial=trained[0])
    assert still == f"1 tensors should have been trained and did not change: {MATRIX}"
    assert moved == f"1 tensors are frozen and changed: {TOWER}"


def test_nothing_was_trained(trained):
    (finding,) = findings(trained[0], initial=trained[0])
    assert finding.startswith("nothing was trained")


def test_missing_unknown_and_reshaped_tensors(trained, after):
    change(after, **{MATRIX: lambda _: None, VECTOR: lambda tensor: tensor[:3].clone()})
    missing, reshaped = findings(after, initial=trained[0])
    assert missing.startswith("1 tensors of ")
    assert missing.endswith(f"are missing: {MATRIX}")
    assert reshaped == f"1 tensors have another shape: {VECTOR} (7,) -> (3,)"
    (unknown,) = [text for text in findings(trained[0], initial=after) if "not in" in text]
    assert unknown.endswith(MATRIX)


def test_the_optimizer_and_the_statistics_are_looked_at(after, tmp_path):
    step = tmp_path / "000010"
    shutil.copytree(after, step / "pretrained_model")
    (step / "training_state").mkdir()
    save_file({"state/0/exp_avg": nan(torch.zeros(9))}, step / "training_state/optimizer_state.safetensors")
    file = next((step / "pretrained_model").glob("policy_preprocessor*.safetensors"))
    state = load_file(file)
    state["action.min"] = state["action.max"] + 1
    save_file(state, file)
    contradiction, moments = findings(step)
    assert contradiction == "1 statistics of action in the processors contradict themselves: min above max"
    assert moments == "1 moments of the optimizer are not finite: state/0/exp_avg"


def test_policies_of_others_have_figures_and_no_rules(tmp_path):
    for name, value in (("a", 0.0), ("b", 1.0)):
        save_file({"w": torch.arange(12.0).reshape(3, 4) + value}, tmp_path / f"{name}.safetensors")
    found = diagnose(tmp_path / "b.safetensors", initial=tmp_path / "a.safetensors", progress=False)
    assert (found.findings, found.notes) == ([], ["1 of 1 tensors changed"])
    with pytest.raises(ZooError, match="there are no weights"):
        diagnose(tmp_path, progress=False)


def test_the_command(trained, after, capsys):
    assert main(["diagnose-weights", str(after), f"--initial={trained[0]}"]) == 0
    shown = capsys.readouterr().out
    assert "vlm.vision_tower.vision_model" in shown
    assert "0 of 3" in shown
    change(after, **{MATRIX: nan})
    assert main(["diagnose-weights", str(after), "--json"]) == 1
    assert '"non_finite": 1' in capsys.readouterr().out
