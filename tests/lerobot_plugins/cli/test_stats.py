"""`lerobot-plugins stats` as a user calls it, in this process."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rlds_samples import damage, libero_source
from vla_rows import recording, write

from lerobot_plugins.cli.main import main
from lerobot_plugins.statistics.formats import read_statistics_file

SAMPLE = "examples/sample_data/lerobot/libero_sample"
RLDS = "examples/sample_data/rlds"


@pytest.fixture
def root(checkout: Path, tmp_path: Path) -> Path:
    """The sample set; LeRobot averaged its quantiles."""
    return shutil.copytree(checkout / SAMPLE, tmp_path / "set")


def stats(*arguments: object) -> int:
    return main(["stats", *map(str, arguments)])


def test_a_dataset_is_described_repaired_and_agrees(root, capsys):
    assert stats(f"--root={root}") == 0
    shown = capsys.readouterr().out
    assert "gripper_right" in shown
    assert "timestamp" not in shown
    assert stats(f"--root={root}", "--compare", root) == 1
    shown = capsys.readouterr().out
    assert "54 of 135 statistics differ" in shown
    assert stats("--repo-id=../set", "--in-place") == 2
    assert stats(f"--root={root}", "--in-place", "--quantiles", 1, 99) == 0
    assert stats(f"--root={root}", "--compare", root, "--tolerance", 0) == 0
    assert main(["doctor", f"--root={root}"]) == 0
    assert "warning  statistics" not in capsys.readouterr().out


def test_episodes_of_a_bridge_have_the_statistics_of_the_dataset(checkout, root, tmp_path, capsys):
    """The sample set was made of these TFRecord files."""
    rlds = ("rlds", checkout / RLDS, "--preset", "libero")
    assert stats(f"--root={root}", "--in-place") == 0
    assert stats(*rlds, "--compare", root, "--tolerance", 0) == 0
    for name in ("norm_stats.json", "dataset_statistics.json", "normalization_stats.json", "stats.json"):
        assert stats(*rlds, "--output", tmp_path / name) == 0
        assert stats("--compare", tmp_path / name, root, "--tolerance", 0) == 0
    content = json.loads((tmp_path / "dataset_statistics.json").read_text())
    assert (content["num_transitions"], content["num_trajectories"]) == (823, 10)


def test_rows_of_parquet_files_are_episodes_too(tmp_path, capsys):
    """In the layout of their own loader; what the converter writes agrees to the last bit."""
    write(tmp_path / "rows" / "a.parquet", recording())
    rows = ("vla-parquet", tmp_path / "rows", "--fps=10")
    output = tmp_path / "normalization_stats.json"
    assert stats(*rows, "--output", output) == 0
    assert set(json.loads(output.read_text())) == {"state", "action"}
    made = tmp_path / "set"
    assert (
        main(
            [
                "convert",
                *map(str, rows),
                "--repo-id=local/x",
                f"--root={made}",
                "--workers=1",
                "--images=jpeg",
            ]
        )
        == 0
    )
    assert stats("--compare", output, made, "--tolerance", 0) == 0


def test_a_file_is_brought_to_another_format(root, tmp_path):
    flat, nested = tmp_path / "dataset_statistics.json", tmp_path / "nested.json"
    assert stats(f"--root={root}", "--output", flat) == 0
    assert stats(f"--file={flat}", "--format=openpi", "--output", tmp_path / "norm_stats.json") == 0
    assert stats(f"--root={root}", "--format=nested", "--name=libero", "--output", nested) == 0
    assert list(json.loads(nested.read_text())) == ["libero"]
    one, other = read_statistics_file(tmp_path / "norm_stats.json"), read_statistics_file(nested)
    np.testing.assert_array_equal(one["action"]["q99"], other["action"]["q99"])


def test_json(root, capsys):
    assert stats(f"--root={root}", "--json", "--features", "action", "--quantiles", 2) == 0
    content = json.loads(capsys.readouterr().out)
    assert set(content["statistics"]) == {"action"}
    assert "q02" in content["statistics"]["action"]
    assert content["frames"] == 823
    assert stats(f"--root={root}", "--compare", root, "--json") == 1
    content = json.loads(capsys.readouterr().out)
    assert not content["agrees"]
    assert {"feature", "name", "statistic", "one", "other", "share"} <= content["differences"][0].keys()


def test_damaged_episodes_are_an_exit_status(tmp_path, capsys):
    source = libero_source(tmp_path / "rlds")
    damage(source.shards[1].path, 300, b"damage")
    given = ("rlds", tmp_path / "rlds", "--preset", "libero")
    assert stats(*given) == 2
    assert "--on-error skip" in capsys.readouterr().err
    assert stats(*given, "--on-error=skip", "--json") == 1
    assert json.loads(capsys.readouterr().out)["episodes"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--root=a", "--file=b"),
        ("--compare", "a"),
        ("--root=a", "--compare", "b", "c"),
        ("--compare", "a", "b", "c"),
        ("--file=a", "--in-place"),
        ("--root=a", "--in-place", "--features", "action"),
        ("--root=a", "--cameras"),
        ("--in-place", "rlds", "x", "--preset", "libero"),
    ],
)
def test_what_is_not_clear_is_refused(arguments, capsys):
    assert stats(*arguments) == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("percent", ["0", "100", "0.5", "q01"])
def test_quantiles_are_whole_percents(percent, capsys):
    with pytest.raises(SystemExit):
        stats("--root=a", "--quantiles", percent)
    assert "whole percent" in capsys.readouterr().err
