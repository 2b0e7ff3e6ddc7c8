"""`lerobot-plugins doctor --root`: output, JSON, exit status."""

import json
import shutil

import pytest
from number_faults import FAULTS, lite_arms
from recorded_dataset import edit_info, write_recording

from lerobot_plugins.cli.main import main

ARMS = "arms exchanged in the state"


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_recording(lite_arms(), tmp_path_factory.mktemp("clean") / "set", images="jpeg")


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    fault = FAULTS[ARMS]
    return write_recording(
        fault.seed(fault.recording()), tmp_path_factory.mktemp("spoiled") / "set", cameras=()
    )


def test_a_clean_dataset_exits_with_0(clean, capsys):
    assert main(["doctor", f"--root={clean}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert any("galaxea_r1_lite, arms_14_unit" in line for line in lines)


def test_a_problem_exits_with_1_and_says_what_to_do(spoiled, capsys):
    assert main(["doctor", f"--root={spoiled}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = [i for i, text in enumerate(lines) if text.startswith("problem")]
    assert "left and right are exchanged" in lines[line]
    assert lines[line + 1].strip().startswith("do: find out whether")


def test_json_names_fields_and_numbers(spoiled, capsys):
    assert main(["doctor", f"--root={spoiled}", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["schema_version"] == 1
    assert told["dataset"] == {"root": str(spoiled), "repo_id": None}
    (finding,) = [finding for finding in told["findings"] if finding["state"] == "problem"]
    assert finding["name"] == "order"
    assert set(finding["columns"]) == set(FAULTS[ARMS].told[0].columns)
    assert finding["value"] > finding["limit"] > 0


def test_the_name_of_a_dataset_finds_its_folder(clean, capsys, monkeypatch):
    monkeypatch.setattr("lerobot.utils.constants.HF_LEROBOT_HOME", clean.parent)
    assert main(["doctor", f"--repo-id={clean.name}"]) == 0


def test_another_robot_is_a_problem(clean, capsys):
    assert main(["doctor", f"--root={clean}", "--robot=fourier_gr2"]) == 1
    assert "problem  layout" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--root=/no/such/folder"], "holds no LeRobotDataset"),
        (["--repo-id=../secret"], "names no dataset"),
        (["--robot=fourier_gr2"], "describe a dataset"),
        (["--root=CLEAN", "--robot=r2d2"], "unknown robot"),
        (["--root=CLEAN", "--robot=fourier_gr2", "--layout=v9"], "unknown layout"),
        (["--root=CLEAN", "--online"], "about this machine"),
    ],
)
def test_wrong_use_exits_with_2(clean, capsys, options, message):
    assert main(["doctor", *(option.replace("CLEAN", str(clean)) for option in options)]) == 2
    assert message in capsys.readouterr().err


def test_an_older_format_is_wrong_use_and_says_how_to_convert(clean, tmp_path, capsys):
    root = shutil.copytree(clean, tmp_path / "set")
    edit_info(root, codebase_version="v2.1")
    assert main(["doctor", f"--root={root}"]) == 2
    told = capsys.readouterr().err
    assert "convert_dataset_v21_to_v30" in told
    assert str(root) in told
