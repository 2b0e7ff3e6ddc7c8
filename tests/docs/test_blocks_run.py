"""The code blocks of the documentation run as they are printed, where nothing else is said.

Placeholders stand for small things, and `lerobot-train` gets options that make it short.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks_of
from recipes import SAMPLE

# Words of the pages that stand for the reader's own dataset, by folder and by name.
FOLDERS = ("DIR", "path/to/dataset")
NAMES = ("me/data", "me/libero", "me/b1k")
# What a page's `lerobot-train` is made short with; pages that are not here have short commands already.
SHORT = {"dataset_replay.md": (), "waypoint_vla.md": ("--policy.prompt_max_len=160",)}
SHORT |= {f"{name}.md": () for name in ("lerobot_scripts",)} | {
    "waypoint_branches.md": SHORT["waypoint_vla.md"]
}
WRAPPER = """#!/usr/bin/env bash
exec {command} "$@" {options}
"""
OPTIONS = (
    "--policy.paligemma_variant=tiny --policy.action_expert_variant=tiny --policy.dtype=float32 "
    "--policy.device=cpu --policy.push_to_hub=false --steps=2 --save_freq=2 --batch_size=2 --num_workers=0"
    " --env_eval_freq=0 --dataset.video_backend=pyav"
)


def runnable(page: Path, *languages: str):
    return [b for b in blocks_of(page) if b.language in languages and not b.reason]


RUN = ("bash", "console", "python")


def pages():
    for page in PAGES:
        blocks = runnable(page, *RUN)
        long = any(re.search(r"^(\$ )?lerobot-", b.text, re.MULTILINE) for b in blocks)
        if blocks:
            yield pytest.param(page, id=page.name, marks=[pytest.mark.slow, pytest.mark.cli] if long else [])


@pytest.fixture
def home(tmp_path) -> Path:
    """A folder in which the placeholders of the pages exist."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for folder in FOLDERS:
        shutil.copytree(SAMPLE, tmp_path / folder)
    for name in NAMES:
        shutil.copytree(SAMPLE, tmp_path / "lerobot" / name)
    return tmp_path


def environment(home: Path, page: Path) -> dict[str, str]:
    commands = Path(sys.executable).parent
    bin_folder = home / "bin"
    bin_folder.mkdir()
    if page.name in SHORT:
        wrapper = bin_folder / "lerobot-train"
        options = " ".join([*SHORT[page.name], OPTIONS])
        wrapper.write_text(WRAPPER.format(command=commands / "lerobot-train", options=options))
        wrapper.chmod(stat.S_IRWXU)
    return os.environ | {
        "PATH": f"{bin_folder}:{commands}:{os.environ['PATH']}",
        "HF_LEROBOT_HOME": str(home / "lerobot"),
        "HF_HUB_OFFLINE": "1",
        "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"),
        "OMP_WAIT_POLICY": "passive",
    }


@pytest.mark.parametrize("page", pages())
def test_blocks_run(page, home):
    """In order and in one shell. What a `console` block shows beside its commands, and a `text` block right
    after a `python` block, is what is printed."""
    blocks = blocks_of(page)
    if any("--robot.type" in block.text for block in runnable(page, *RUN)):
        pytest.importorskip("mujoco")
    script, shown = ["set -eo pipefail"], []
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.reason:
            continue
        lines = block.text.splitlines()
        if block.language == "bash":
            script += lines
        elif block.language == "console":
            script += [f"{line[2:]} || test $? = 1" for line in lines if line.startswith("$ ")]
            shown += [line.removesuffix("...").strip() for line in lines if not line.startswith("$ ")]
        elif block.language == "python":
            script += ["python - <<'PYTHON'", *lines, "PYTHON"]
            if following and following.language == "text":
                shown += following.text.splitlines()
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=home,
        env=environment(home, page),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not [line for line in shown if line not in done.stdout], done.stdout
