"""A conversion in shards by datatrove: here, and as it is submitted to a cluster."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("datatrove")

from convert_in_shards import main
from rlds_samples import libero_source, tree

from lerobot_plugins.cli.main import main as lerobot_plugins_main
from lerobot_plugins.conversion import pipeline
from lerobot_plugins.conversion.pipeline import ConvertShard, MergeShards
from lerobot_plugins.conversion.writer import write_dataset
from lerobot_plugins.errors import ZooError

LENGTHS = (5, 4, 3)
OPTIONS = ["--preset", "libero", "--repo-id", "local/x", "--images", "jpeg", "--workers", "1"]


def content(root: Path) -> dict[str, str]:
    return {name: digest for name, digest in tree(root).items() if name != "meta/provenance.json"}


@pytest.fixture(params=["in this process", pytest.param("in processes", marks=pytest.mark.slow)])
def conversions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where shards are converted: a process of its own takes half a minute to import LeRobot."""

    def here(command: list[str], **_: object) -> subprocess.CompletedProcess:
        assert command[:3] == [sys.executable, "-m", "lerobot_plugins.cli.main"]
        return subprocess.CompletedProcess(command, lerobot_plugins_main(command[3:]))

    if request.param == "in this process":
        monkeypatch.setattr(pipeline.subprocess, "run", here)


@pytest.mark.usefixtures("conversions")
def test_shards_are_converted_and_merged_here(tmp_path: Path) -> None:
    source = libero_source(tmp_path / "rlds", LENGTHS)
    write_dataset(source, tmp_path / "whole", images="jpeg")
    root = tmp_path / "out"
    arguments = [
        "--root",
        str(root),
        "--shards",
        "2",
        "--local",
        "1",
        "rlds",
        str(tmp_path / "rlds"),
        *OPTIONS,
    ]
    main(arguments)
    assert content(root) == content(tmp_path / "whole")
    completions = sorted(path.name for path in (tmp_path / "out-logs/convert/completions").iterdir())
    assert completions == ["00000", "00001"]
    before = tree(root)
    main(arguments)
    assert tree(root) == before


@pytest.mark.usefixtures("conversions")
def test_a_failed_shard_fails_its_task_and_what_is_there_is_left_alone(tmp_path: Path) -> None:
    step = ConvertShard(["rlds", str(tmp_path / "nowhere"), *OPTIONS], tmp_path / "out")
    with pytest.raises(ZooError, match="shard 0 of 2 was not converted"):
        step.run(rank=0, world_size=2)
    (tmp_path / "out-00001-of-00002").mkdir()
    step.run(rank=1, world_size=2)
    with pytest.raises(ZooError, match="by one task"):
        MergeShards(tmp_path / "out", 2).run(world_size=2)
    (tmp_path / "out").mkdir()
    MergeShards(tmp_path / "out", 2).run()


def test_what_is_submitted_to_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for `sbatch` keeps what it is given and answers as it does."""
    fake = tmp_path / "bin/sbatch"
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, sys\n"
        f"kept = pathlib.Path({str(tmp_path / 'jobs.json')!r})\n"
        "jobs = json.loads(kept.read_text()) if kept.exists() else []\n"
        "jobs.append([sys.argv[1:-1], pathlib.Path(sys.argv[-1]).read_text()])\n"
        "kept.write_text(json.dumps(jobs))\n"
        "print('Submitted batch job', 70 + len(jobs))\n"
    )
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    slurm = ["--partition", "cpu", "--parallel", "8", "--env-command", "source env/bin/activate"]
    main(["--root", str(tmp_path / "out"), "--shards", "20", *slurm, "rlds", "rlds", *OPTIONS])
    jobs = json.loads((tmp_path / "jobs.json").read_text())
    (_, convert), (_, convert_stats), (options, merge), (_, merge_stats) = jobs
    assert "#SBATCH --array=0-19%8" in convert
    assert "#SBATCH --partition=cpu" in convert
    assert "source env/bin/activate" in convert
    assert "launch_pickled_pipeline" in convert
    assert "#SBATCH --array=0-0" in merge
    assert "--dependency=afterok:71" in options
    assert "merge_stats" in convert_stats
    assert "merge_stats" in merge_stats
