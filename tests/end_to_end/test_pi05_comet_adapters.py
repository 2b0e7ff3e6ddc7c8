"""LoRA on `pi05_comet`: a base, stock `lerobot-train --peft`, resume, a merged policy that acts the same."""

import csv
from pathlib import Path

import numpy as np
import pytest
from comet import COMET, HOST_GENERATOR
from evaluating import lerobot_eval_here
from safetensors.torch import load_file
from training import Run, differences, interrupted_after, resume, train

from lerobot_plugins.cli.main import main
from lerobot_plugins.processing import runtime

# The tiny network has three layers; each of both Gemmas has seven linear ones.
ADAPTED = 3 * 7 * 2


@pytest.fixture(scope="module")
def adapted(toy_root, tmp_path_factory) -> Run:
    """Four steps on what `checkpoint init` writes, fast enough to see the adapter act."""
    folder = tmp_path_factory.mktemp("comet-lora")
    dataset = ("--dataset.repo_id=local/toy", f"--dataset.root={toy_root}")
    assert main(["checkpoint", "init", *COMET, *dataset, f"--output={folder / 'base'}"]) == 0
    runtime.bind(None, None)
    lora = (
        "--peft.method_type=LORA",
        "--peft.r=4",
        "--policy.push_to_hub=false",
        "--policy.optimizer_lr=1e-2",
    )
    return train(toy_root, folder / "run", f"--policy.path={folder / 'base'}", *lora)


def predictions(policy: Path, root: Path, folder: Path) -> np.ndarray:
    """The actions that lerobot-eval executed."""
    lerobot_eval_here(policy, root, folder)
    with (folder / "report/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("pred_")]
    return np.array([[float(row[name]) for name in names] for row in rows])


def test_adapters_and_their_number_are_logged_and_stored(adapted):
    assert f"adapters go into {ADAPTED} linear layers" in adapted.log
    names = load_file(adapted.policy() / "adapter_model.safetensors").keys()
    assert sum("lora_A" in name for name in names) == ADAPTED
    whole = {name.split(".")[-2] for name in names if "lora" not in name}
    assert whole == {"action_in_proj", "action_out_proj", "time_mlp_in", "time_mlp_out"}


def test_it_resumes_exactly(adapted, tmp_path):
    resumed = resume(interrupted_after(adapted, 2, tmp_path / "run"))
    assert resumed.losses == adapted.losses[2:]
    assert differences(adapted.checkpoint(4), resumed.checkpoint(4)) == [HOST_GENERATOR]


@pytest.mark.slow
def test_the_merged_policy_acts_as_adapter_and_base_do(adapted, toy_root, tmp_path):
    merged = tmp_path / "merged"
    assert main(["checkpoint", "merge-lora", str(adapted.policy()), f"--output={merged}"]) == 0
    base = adapted.output.parent / "base"
    paths = {"merged": merged, "adapter": adapted.policy(), "base": base}
    acted = {name: predictions(path, toy_root, tmp_path / name) for name, path in paths.items()}
    np.testing.assert_allclose(acted["merged"], acted["adapter"], atol=1e-4)
    assert abs(acted["merged"] - acted["base"]).max() > 0.1
