"""What else a stranger's checkpoint may try: classes of its choice, links, an adapter's processors."""

import json
import shutil

import pytest
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class

from lerobot_plugins.checkpoints.policy_folder import copy_processors
from lerobot_plugins.errors import ZooError


def load(source, **changes):
    config = PreTrainedConfig.from_pretrained(source)
    for name, value in changes.items():
        setattr(config, name, value)
    return get_policy_class(config.type).from_pretrained(source, config=config)


@pytest.fixture
def running(checkpoint, tmp_path):
    """A copy whose preprocessor has a step that runs a command, as LeRobot would do it."""
    folder = shutil.copytree(checkpoint, tmp_path / "running")
    path = folder / "policy_preprocessor.json"
    content = json.loads(path.read_text())
    command = ["touch", str(tmp_path / "was-here")]
    content["steps"].insert(0, {"class": "subprocess.Popen", "config": {"args": command}})
    path.write_text(json.dumps(content))
    return folder


def test_a_step_that_would_run_a_command_is_refused(running):
    with pytest.raises(ZooError, match="instead of a registered step"):
        load(running)
    assert not (running.parent / "was-here").exists()


def test_an_adapters_processors_are_looked_at_too(checkpoint, running):
    with pytest.raises(ZooError, match="instead of a registered step"):
        load(checkpoint, use_peft=True, pretrained_path=running)


def test_what_a_whole_policy_was_tuned_from_need_not_be_there(checkpoint):
    load(checkpoint, pretrained_path="/home/somebody/base")


def test_a_processor_that_is_a_link_is_refused(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "policy")
    (folder / "policy_preprocessor.json").rename(tmp_path / "elsewhere.json")
    (folder / "policy_preprocessor.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ZooError, match="a link out of"):
        load(folder)


def test_copying_processors_follows_no_link(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "policy")
    (tmp_path / "secret").write_text("secret")
    (folder / "policy_preprocessor_more.json").symlink_to(tmp_path / "secret")
    (tmp_path / "copy").mkdir()
    with pytest.raises(ZooError, match="a link out of"):
        copy_processors(folder, tmp_path / "copy")


def test_an_adapter_whose_base_is_elsewhere_says_so(checkpoint):
    config = PreTrainedConfig.from_pretrained(checkpoint)
    with pytest.raises(ZooError, match="/home/somebody/base"):
        get_policy_class(config.type).from_pretrained("/home/somebody/base", config=config)
