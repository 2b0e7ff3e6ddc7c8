"""`lerobot-plugins waypoints` from its command line."""

from pathlib import Path

import pytest
from waypoint_data import write_walks

from lerobot_plugins.cli.main import main
from lerobot_plugins.waypoints.dataset import load_waypoints
from lerobot_plugins.waypoints.rule import PRESETS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_walks(tmp_path / "walks")


def waypoints(root: Path, *options: object) -> int:
    return main(["waypoints", f"--root={root}", "--workers=1", *map(str, options)])


def test_a_preset_and_what_differs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert waypoints(root, "--robot=libero", "--threshold=0.05", "--max-duration=none") == 0
    assert "walks/meta/waypoints/libero.json (extracted)" in capsys.readouterr().out
    rule = load_waypoints(root, "libero").rule
    assert (rule.threshold, rule.max_duration, rule.arms) == (0.05, None, PRESETS["libero"].arms)


def test_a_free_robot(root: Path) -> None:
    options = ("--threshold=0.05", "--gripper-dims=6", "--name=mine")
    assert waypoints(root, "--robot=free", *options, "--arms", "0-2,6", "3-5") == 0
    assert load_waypoints(root, "mine").rule.arms == ((0, 1, 2, 6), (3, 4, 5))


def test_kept_waypoints_are_used_unless_another_rule_is_asked_for(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert waypoints(root, "--robot=libero") == 0
    path = root / "meta" / "waypoints" / "libero.json"
    made = path.stat().st_mtime_ns
    assert waypoints(root, "--robot=libero") == 0
    assert waypoints(root, "--name=libero") == 0
    assert waypoints(root, "--robot=libero", "--threshold=0.07") == 2
    assert path.stat().st_mtime_ns == made
    error = capsys.readouterr().err
    assert "threshold 0.006" in error
    assert "threshold 0.07" in error
    assert waypoints(root, "--robot=libero", "--threshold=0.07", "--overwrite") == 0
    assert load_waypoints(root, "libero").rule.threshold == 0.07


def test_export_import_and_picture(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index_file, picture = tmp_path / "waypoint_indices.json", tmp_path / "episode.svg"
    assert waypoints(root, "--robot=libero", f"--export-to={index_file}", f"--picture={picture}") == 0
    assert picture.read_text().startswith("<?xml")
    assert waypoints(root, "--robot=libero", "--name=published", f"--import-from={index_file}") == 0
    assert "published.json (imported)" in capsys.readouterr().out
    assert waypoints(root, "--robot=libero", "--name=published", f"--import-from={index_file}") == 2
    assert waypoints(root, "--name=published") == 0
    short = ("--robot=libero", "--name=short", f"--import-from={index_file}", "--max-duration=2")
    assert waypoints(root, *short) == 0
    assert "longest 2 frames" in capsys.readouterr().out


def test_segments_over_the_limit_are_a_finding(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = write_walks(root.parent / "long", lengths=(100,))
    options = ("--robot=free", "--threshold=9", "--arms", "0-5", "--max-duration", "none", "--name=far")
    assert waypoints(long, *options) == 1
    assert "longer than 32 frames: 1 segments" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nothing says which waypoints"),
        (("--name=mine",), "need to know the robot"),
        (("--robot=free", "--arms", "0-5"), "no --threshold"),
        (("--robot=r1_lite",), "dimension 12 of observation.state"),
        (("--robot=libero", "--picture=x.pdf"), "--picture"),
        (("--robot=libero", "--picture=x.png", "--episode=9"), "no waypoints of episode 9"),
    ],
)
def test_wrong_use_is_explained(
    root: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert waypoints(root, *options) == 2
    assert message in capsys.readouterr().err


def test_dimensions_and_durations_are_read_strictly(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--gripper-dims=a", "--gripper-dims=3-", "--max-duration=long"):
        with pytest.raises(SystemExit):
            waypoints(root, "--robot=libero", option)
    assert "neither a number of frames nor none" in capsys.readouterr().err
    assert main(["waypoints", "--robot=libero"]) == 2
    assert "--repo-id" in capsys.readouterr().err
