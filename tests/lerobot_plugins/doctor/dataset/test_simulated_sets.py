"""What stock `lerobot-record` makes of this project's simulated robots has no problem.

These recordings have no noise, LeRobot's own statistics, and actions that robots follow only as fast as their
limits of rate and their ramp allow.
"""

import pytest

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")

from said import assert_said
from simulated_recordings import record

from lerobot_plugins.doctor.dataset.examination import examine

pytestmark = pytest.mark.slow

LITE = ("--robot.type=galaxea_r1_lite", "--teleop.robot=galaxea_r1_lite", "--dataset.fps=15")
PRO = ("--robot.type=galaxea_r1_pro", "--teleop.robot=galaxea_r1_pro", "--dataset.fps=15")
RECORDINGS = {
    "GR-2": ("--dataset.fps=30", "--teleop.period_s=4"),
    "GR-2 that starts slowly": ("--dataset.fps=30", "--teleop.period_s=3", "--robot.ramp_s=6"),
    "GR-2 with videos": ("--dataset.video=true", "--dataset.fps=10"),
    "R1 Lite with a torso that is too slow": LITE,
    "R1 Lite with one arm": (*LITE, "--teleop.groups=[right_arm]"),
    "R1 Pro that starts slowly": (*PRO, "--robot.ramp_s=6"),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_simulated_recording_has_no_problem(tmp_path, name):
    root = record(tmp_path / "set", "--dataset.episode_time_s=6", *RECORDINGS[name])
    assert_said(examine(root, progress=False), [])
