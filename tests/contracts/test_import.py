"""Importing the door is cheap: every LeRobot command of every user pays for it."""

import json
import subprocess
import sys

from tiny_policies import policy_types

PROBE = """
import json, socket, sys

def refuse(*_):
    raise AssertionError("network at import")

socket.socket.connect = refuse
import lerobot.policies
from lerobot.utils.import_utils import register_third_party_plugins
before = set(sys.modules)
import lerobot_policy_zoo
register_third_party_plugins()
import torch
from lerobot.configs import PreTrainedConfig
from lerobot_plugins import registry
print(json.dumps({
    "new": sorted(set(sys.modules) - before),
    "cuda": torch.cuda.is_initialized(),
    "types": sorted(PreTrainedConfig.get_known_choices()),
    "states": {p.name: p.state for kind in registry.HOST_GROUPS for p in registry.find_plugins(kind)},
}))
"""
HEAVY = {"tensorflow", "jax", "mujoco", "robosuite", "matplotlib", "av", "gymnasium", "peft", "wandb"}


def test_the_door_is_light():
    output = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout
    found = json.loads(output.splitlines()[-1])
    assert not found["cuda"]
    assert set(policy_types()) <= set(found["types"])
    assert set(found["states"].values()) == {"loaded"}
    packages = {name.split(".")[0] for name in found["new"]}
    assert packages & HEAVY == set()
    assert [
        name for name in found["new"] if name.startswith("transformers.models") or ".modeling_" in name
    ] == []
