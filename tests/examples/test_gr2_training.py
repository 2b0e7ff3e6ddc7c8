"""The GR-2 recipes for real and tiny: what stock `lerobot-record` records of the simulated robot is trained
on with the recipes' own options, reloaded, and replayed.

Of the zoo's policies and ACT only the size is another. SmolVLA and PI0 start from random stand-ins of the
weights that they download, of 32 dims, widened as the recipes say.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evaluating import lerobot_eval_here
from recipes import EXAMPLES, calls_of
from training import Run, lerobot_train_here

from lerobot_plugins.errors import ZooError

pytest.importorskip("mujoco")
pytestmark = pytest.mark.slow

NETWORK = (
    "--policy.paligemma_variant=tiny",
    "--policy.action_expert_variant=tiny",
    "--policy.dtype=float32",
    "--policy.tokenizer_name=byte",
    "--policy.init_from=scratch",
)
# Policy -> options that make it small.
SMALL: dict[str, tuple[str, ...]] = {
    "act": ("--policy.dim_model=64", "--policy.n_heads=2", "--policy.dim_feedforward=64"),
    "paligemma_flow": NETWORK,
    "pi05_comet": NETWORK,
    "waypoint_vla": NETWORK,
    "smolvla": ("--policy.resize_imgs_with_padding=[64, 64]",),
    "pi0": (),
}
SHORT = (
    "--policy.device=cpu",
    "--batch_size=2",
    "--steps=2",
    "--save_freq=1",
    "--log_freq=1",
    "--num_workers=0",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes with colour and depth."""
    from simulated_recordings import record

    return record(tmp_path_factory.mktemp("recorded") / "gr2")


@pytest.fixture
def commands(root: Path, tmp_path: Path) -> Callable[..., list[list[str]]]:
    """The commands of a policy's recipe on that recording."""

    def commands_of(policy: str, **variables: str) -> list[list[str]]:
        given = {
            "DATA": str(root),
            "OUT": str(tmp_path / "out"),
            "HELD": "1",
            "HEIGHT": "48",
            "WIDTH": "64",
            "BACKBONE": "null",
        }
        return calls_of(EXAMPLES / "robots" / f"gr2_{policy}.sh", tmp_path, **(given | variables))

    return commands_of


def changed(words: list[str], *options: str) -> list[str]:
    """A command's options, some of them replaced."""
    return list({option.split("=")[0]: option for option in [*words[1:], *options]}.values())


def train(words: list[str], folder: Path, *options: str) -> Run:
    return lerobot_train_here(folder / "out", *changed(words, *SHORT, *options))


def replayed(words: list[str], root: Path, folder: Path) -> dict[str, Any]:
    """The report of a recipe's replay: its checkpoint reloads and acts through the held-out episode."""
    policy = Path(words[1].removeprefix("--policy.path="))
    report = f"--env.report_dir={folder / 'report'}"
    metrics = lerobot_eval_here(policy, root, folder, *words[2:], report)
    assert metrics["complete"]
    assert metrics["counts"]["non_finite"]["executed_values"] == 0
    assert len(metrics["executed"]["per_dim"]) == 37
    return metrics


@pytest.mark.parametrize("policy", ["act", "paligemma_flow", "pi05_comet"])
def test_a_recipe_trains_goes_on_and_acts(policy, commands, root, tmp_path):
    words, replay = commands(policy)
    run = train(words, tmp_path, *SMALL[policy])
    assert len(run.losses) == 2
    again, _ = commands(policy)
    assert "--resume=true" in again
    assert len(lerobot_train_here(run.output, *again[1:], "--steps=3").losses) == 1
    replayed(replay, root, tmp_path)


def test_waypoints_of_joints_are_planned_by_an_adapter(commands, root, tmp_path):
    from lerobot_plugins.cli.main import main

    init, words, replay = commands("waypoint_vla")
    assert main(changed(["", *init[1:]], *SMALL["waypoint_vla"], "--policy.device=cpu")) == 0
    assert len(train(words, tmp_path).losses) == 2
    assert len(replayed(replay, root, tmp_path)["plan"]["per_dim"]) == 29


def test_smolvla_acts_from_a_widened_checkpoint(commands, root, tmp_path, monkeypatch):
    from lerobot.policies.smolvla.configuration_smolvla import SmolVLAConfig
    from stock_vlas import write_base, write_smolvlm
    from transformers.models.smolvlm import processing_smolvlm
    from widen import widen

    # SmolVLM's processor asks for the package and uses it for videos only.
    monkeypatch.setattr(processing_smolvlm, "num2words", str)
    vlm = str(write_smolvlm(tmp_path / "vlm"))
    small = {"vlm_model_name": vlm, "resize_imgs_with_padding": (64, 64)}
    base = write_base(tmp_path / "base", SmolVLAConfig, **small)
    words, _ = commands("smolvla", BASE=str(base), VLM=vlm)
    with pytest.raises(RuntimeError, match=r"size mismatch for model\.state_proj\.weight"):
        train(words, tmp_path, *SMALL["smolvla"])

    widen(base, tmp_path / "wide", state=45, action=37)
    words, replay = commands("smolvla", BASE=str(tmp_path / "wide"), VLM=vlm)
    assert len(train(words, tmp_path, *SMALL["smolvla"]).losses) == 2
    replayed(replay, root, tmp_path)


def test_pi0_acts_from_a_widened_checkpoint(commands, root, tmp_path, monkeypatch, capsys):
    from lerobot.policies.pi0.configuration_pi0 import PI0Config
    from stock_vlas import small_pi0, write_base, write_paligemma_tokenizer
    from widen import widen

    monkeypatch.chdir(write_paligemma_tokenizer(tmp_path))
    with small_pi0():
        base = write_base(tmp_path / "base", PI0Config)
        widen(base, tmp_path / "wide", state=45, action=37)
        words, replay = commands("pi0", BASE=str(tmp_path / "wide"))
        assert len(train(words, tmp_path).losses) == 2
        assert "All keys loaded successfully!" in capsys.readouterr().out
        replayed(replay, root, tmp_path)


@pytest.mark.parametrize("policy", ["act", "paligemma_flow"])
def test_depth_is_no_colour(policy, commands, tmp_path):
    """What the recipes keep from the policies that would take every picture for a colour camera."""
    words, _ = commands(policy)
    seen = [word for word in words if not word.startswith("--policy.input_features=")]
    with pytest.raises((RuntimeError, ZooError), match=r"to have 3 channels, but got 1|out of range"):
        train(seen, tmp_path, *SMALL[policy])
