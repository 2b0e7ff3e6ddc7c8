"""`lerobot-plugins convert rlds` as a user calls it, in this process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rlds_samples import damage, libero_source, tree

from lerobot_dataset_rlds import PRESETS
from lerobot_plugins.cli.main import main


def convert(source: Path, root: Path, *arguments: str) -> int:
    options = ["--repo-id", "local/x", "--root", str(root), "--workers", "1", *arguments]
    return main(["convert", "rlds", str(source), *options])


def test_a_data_set_is_converted(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    libero_source(tmp_path / "rlds")
    assert convert(tmp_path / "rlds", tmp_path / "out", "--preset", "libero") == 0
    shown = capsys.readouterr().out
    assert "3 episodes, 17 frames" in shown
    assert "train: lerobot-train" in shown
    dataset = LeRobotDataset("local/x", root=tmp_path / "out", video_backend="pyav")
    assert (dataset.num_episodes, dataset.meta.robot_type) == (3, "franka")
    assert convert(tmp_path / "rlds", tmp_path / "out", "--preset", "libero") == 2


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    libero_source(tmp_path / "rlds")
    mapping = tmp_path / "mine.yaml"
    mapping.write_text((PRESETS / "libero.yaml").read_text().replace("fps: 20", "fps: 10"))
    assert convert(tmp_path / "rlds", tmp_path / "out", "--mapping", str(mapping), "--images", "jpeg") == 0
    assert json.loads((tmp_path / "out/meta/info.json").read_text())["fps"] == 10


def test_pictures_to_be_rotated_cannot_keep_their_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    libero_source(tmp_path / "rlds")
    mapping = tmp_path / "mine.yaml"
    rotated = "{source: observation/image, rotate: 180}"
    mapping.write_text((PRESETS / "libero.yaml").read_text().replace("observation/image\n", f"{rotated}\n"))
    before = tree(tmp_path)
    arguments = ("--mapping", str(mapping), "--images", "jpeg", "--on-error", "skip")
    assert convert(tmp_path / "rlds", tmp_path / "out", *arguments) == 2
    shown = capsys.readouterr().err
    assert "rotate: 180 for observation.images.image\n" in shown
    assert "--images video" in shown
    assert "--on-error" not in shown
    assert tree(tmp_path) == before


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    libero_source(tmp_path / "rlds")
    before = tree(tmp_path)
    assert convert(tmp_path / "rlds", tmp_path / "out", "--preset", "libero", "--dry-run") == 0
    assert "frames      17" in capsys.readouterr().out
    assert tree(tmp_path) == before


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["convert", "dry run"])
@pytest.mark.parametrize("kind", ["folder", "link to nowhere", "below a file"])
def test_a_root_that_cannot_be_made_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture, kind: str, dry: tuple[str, ...]
) -> None:
    libero_source(tmp_path / "rlds")
    root = tmp_path / "out"
    if kind == "folder":
        (root / "mine").mkdir(parents=True)
    elif kind == "link to nowhere":
        root.symlink_to(tmp_path / "nowhere")
    else:
        root.touch()
        root = root / "below"
    before = sorted(tmp_path.iterdir())
    assert convert(tmp_path / "rlds", root, "--preset", "libero", *dry) == 2
    shown = capsys.readouterr().err
    assert all(label in shown for label in ("got:", "expected:", "do:", str(root)))
    assert "converting" not in shown
    assert sorted(tmp_path.iterdir()) == before


def test_skipped_episodes_are_listed_and_counted_as_findings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    source = libero_source(tmp_path / "rlds")
    damage(source.shards[1].path, 300, b"damage")
    assert convert(tmp_path / "rlds", tmp_path / "out", "--preset", "libero", "--images", "jpeg") == 2
    assert "episode 2 (sample-train.tfrecord-00001-of-00002, record 0, byte 0)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    arguments = ("--preset", "libero", "--images", "jpeg", "--on-error", "skip")
    assert convert(tmp_path / "rlds", tmp_path / "out", *arguments) == 1
    assert "skipped episode 2" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "libero", "--repo-id", "../x"), "--repo-id names no dataset"),
        (("--preset", "libero", "--workers", "0"), "--workers names no number of processes"),
        (("--preset", "libero", "--json"), "--json is the form of a dry run's report"),
        (("--preset", "libero", "--shard", "0"), "--shard and --num-shards go together"),
        (
            ("--preset", "libero", "--shard", "2", "--num-shards", "2"),
            "--shard and --num-shards name no part",
        ),
        (("--preset", "bridge"), "names other dimensions for 'observation.state' than the data set has"),
        (("--preset", "libero", "--split", "val"), "no split 'val'"),
    ],
)
def test_wrong_use_is_explained(
    tmp_path: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture
) -> None:
    libero_source(tmp_path / "rlds")
    assert convert(tmp_path / "rlds", tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_bridge_is_light_to_import() -> None:
    """The command's help needs nothing but the standard library."""
    heavy = "numpy", "av", "PIL", "torch", "lerobot", "pyarrow", "yaml"
    code = f"import sys, lerobot_dataset_rlds; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_workers_import_neither_torch_nor_lerobot() -> None:
    code = (
        "import sys, lerobot_plugins.conversion.workers, lerobot_dataset_rlds.source;"
        "print([name for name in ('torch', 'lerobot', 'datasets', 'transformers') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
