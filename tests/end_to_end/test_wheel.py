"""The built wheel in a clean environment, beside a foreign plugin and beside broken ones."""

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "lerobot_plugins", "policies", "robots", "datasets")

# distribution -> its entry points, its modules
FOREIGN: dict[str, tuple[dict[str, dict[str, str]], dict[str, str]]] = {
    "lerobot_policy_foreign": (
        {},
        {
            "lerobot_policy_foreign": """
from dataclasses import dataclass
from lerobot.configs import PreTrainedConfig

@PreTrainedConfig.register_subclass("foreign")
@dataclass
class ForeignConfig(PreTrainedConfig):
    pass
"""
        },
    ),
    "lerobot_robot_broken": ({}, {"lerobot_robot_broken": "import no_such_sdk"}),
    "some-labs-plugins": (
        {
            "lerobot_plugins.robots": {"their_arm": "their_arm", "their_wreck": "their_wreck"},
            "lerobot_plugins.datasets": {"their_format": "their_format"},
        },
        {"their_arm": "", "their_wreck": "raise RuntimeError('no driver')", "their_format": ""},
    ),
}

PROBE = """
import json
from lerobot.utils.import_utils import register_third_party_plugins
register_third_party_plugins()
from lerobot.configs import PreTrainedConfig
from lerobot_plugins import registry
import datasets, lerobot_policy_zoo
print(json.dumps({
    "types": sorted(PreTrainedConfig.get_known_choices()),
    "plugins": {p.name: [p.distribution, p.state, p.cause] for p in registry.list_plugins()},
    "file": lerobot_policy_zoo.__file__,
    "datasets": datasets.load_dataset.__module__,
}))
"""


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves build folders in the tree it builds."""
    tree = tmp_path_factory.mktemp("wheel") / "source"
    tree.mkdir()
    for name in SOURCES:
        source = checkout / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, tree / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tree.parent, tree)
    (built,) = tree.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that sees our dependencies but not our editable install."""
    folder = tmp_path_factory.mktemp("clean")
    dependencies = folder / "dependencies"
    dependencies.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "lerobot_policy_zoo" not in entry.name and not entry.name.startswith(("pip", "__editable__")):
            (dependencies / entry.name).symlink_to(entry)
    run(sys.executable, "-m", "venv", folder / "venv")
    (site_packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (site_packages / "dependencies.pth").write_text(f"{dependencies}\n")
    foreign = [write_project(folder / "foreign", name, *content) for name, content in FOREIGN.items()]
    python = folder / "venv/bin/python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", wheel, *foreign)
    return folder / "venv"


def run(*command: object) -> str:
    """Run a command; where it fails, show what it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def write_project(
    folder: Path, name: str, points: dict[str, dict[str, str]], modules: dict[str, str]
) -> Path:
    """A project with one file per module."""
    project = folder / name
    project.mkdir(parents=True)
    lines = [
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"',
        f'[project]\nname = "{name}"\nversion = "0.3"',
        f"[tool.setuptools]\npy-modules = {json.dumps(sorted(modules))}",
    ]
    for group, members in points.items():
        lines.append(f'[project.entry-points."{group}"]')
        lines += [f'{point} = "{module}"' for point, module in members.items()]
    (project / "pyproject.toml").write_text("\n".join(lines))
    for module, source in modules.items():
        (project / f"{module}.py").write_text(source)
    return project


def test_the_name_keeps_its_underscores(wheel):
    """LeRobot imports the module of exactly the distribution's name."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert message_from_bytes(archive.read(metadata))["Name"] == "lerobot_policy_zoo"


def test_nothing_else_is_packed(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packages = {name.split("/")[0] for name in archive.namelist()}
        files = archive.namelist()
    assert all(package.startswith("lerobot_") for package in packages)
    assert [name for name in files if "tests/" in name or "__pycache__" in name] == []
    assert any(name.startswith("lerobot_dataset_rlds/presets/") for name in files)


def test_ours_are_found_beside_foreign_and_broken_ones(environment):
    found = json.loads(run(environment / "bin/python", "-c", PROBE).splitlines()[-1])
    assert Path(found["file"]).is_relative_to(environment), "the wheel, not the source tree"
    assert {"paligemma_flow", "foreign"} <= set(found["types"])

    plugins = found["plugins"]
    ours = {name: state for name, (owner, state, _) in plugins.items() if owner == "lerobot_policy_zoo"}
    assert "paligemma_flow" in ours
    assert set(ours.values()) == {"loaded"}
    assert plugins["their_arm"] == ["some-labs-plugins", "loaded", None]
    assert plugins["their_format"] == ["some-labs-plugins", "loaded", None]
    assert plugins["their_wreck"] == ["some-labs-plugins", "broken", "RuntimeError: no driver"]
    assert found["datasets"].startswith("datasets."), "the Hugging Face package is not hidden"


def test_the_command_is_installed(environment):
    assert "checkpoint" in run(environment / "bin/lerobot-plugins", "--help")
