"""The first checkpoint of a policy, as `lerobot-plugins checkpoint init` writes it."""

from pathlib import Path

import pytest
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors

from lerobot_plugins.cli.main import main


def options(root: Path, output: Path, *more: str, repo_id: str = "local/toy") -> list[str]:
    return [
        "checkpoint",
        "init",
        "--policy.type=paligemma_flow",
        "--policy.paligemma_variant=tiny",
        "--policy.action_expert_variant=tiny",
        "--policy.device=cpu",
        f"--dataset.repo_id={repo_id}",
        f"--dataset.root={root}",
        f"--output={output}",
        *more,
    ]


@pytest.fixture(scope="module")
def base(toy_root, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "base"
    assert main(options(toy_root, folder)) == 0
    return folder


def test_it_is_a_whole_checkpoint_at_step_zero(base):
    config = PreTrainedConfig.from_pretrained(base)
    assert config.trained_steps == 0
    assert config.output_features["action"].shape == (7,)
    get_policy_class(config.type).from_pretrained(base)
    before, after = make_pre_post_processors(config, pretrained_path=str(base))
    assert before.steps[-1].dataset == after.steps[0].dataset == "local/toy"
    assert before.steps[-1].stats_hash


def test_an_existing_folder_is_refused(base, toy_root, capsys):
    weights = (base / "model.safetensors").stat().st_mtime_ns
    assert main(options(toy_root, base)) == 2
    assert "output folder exists" in capsys.readouterr().err
    assert (base / "model.safetensors").stat().st_mtime_ns == weights


def test_the_seed_decides_the_weights(base, toy_root, tmp_path):
    main(options(toy_root, tmp_path / "same"))
    main(options(toy_root, tmp_path / "other", "--seed=1"))
    content = (base / "model.safetensors").read_bytes()
    assert (tmp_path / "same/model.safetensors").read_bytes() == content
    assert (tmp_path / "other/model.safetensors").read_bytes() != content


def test_a_failure_leaves_nothing(toy_root, tmp_path, capsys):
    output = tmp_path / "base"
    assert main(options(toy_root, output, "--policy.init_from=some-lab/absent")) == 2
    assert "hf download some-lab/absent" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("repo_id", ["local/toy", "no dataset"])
def test_a_dataset_that_is_not_there_is_explained(tmp_path, capsys, repo_id):
    root = tmp_path / "nowhere"
    assert main(options(root, tmp_path / "base", repo_id=repo_id)) == 2
    shown = capsys.readouterr().err
    assert f"no LeRobot dataset '{repo_id}' in {root}" in shown
    assert f"hf download {repo_id}" in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "explanation"),
    [
        ("--policy.chunk_size=many", "`policy.chunk_size`: Couldn't parse 'many' into an int"),
        ("--policy.dtype=float16", "float16 overflows in Gemma"),
    ],
)
def test_a_wrong_value_of_a_policy_option_is_explained(toy_root, tmp_path, capsys, option, explanation):
    assert main(options(toy_root, tmp_path / "base", option)) == 2
    assert explanation in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
