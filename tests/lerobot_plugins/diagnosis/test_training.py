"""What a configuration trains is what its policy trains."""

import json

import pytest
from safetensors.torch import save_file
from tiny_policies import policy_types, tiny_policy
from torch import zeros

from lerobot_plugins.diagnosis.stored import stored_weights
from lerobot_plugins.diagnosis.training import trained_parameters
from lerobot_plugins.errors import ZooError


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", policy_types())
def test_it_is_known_without_building_the_policy(tmp_path, kind, frozen):
    policy = tiny_policy(kind, freeze_vision_tower=frozen)
    policy.save_pretrained(tmp_path)
    found = trained_parameters(stored_weights(tmp_path))
    assert found == {name: parameter.requires_grad for name, parameter in policy.named_parameters()}
    assert any("vision_tower" in name and not trains for name, trains in found.items()) == frozen


def test_nothing_is_claimed_of_other_peoples_policies(tmp_path):
    save_file({"w": zeros(2)}, tmp_path / "model.safetensors")
    assert trained_parameters(stored_weights(tmp_path)) is None
    assert trained_parameters(stored_weights(tmp_path / "model.safetensors")) is None
    (tmp_path / "config.json").write_text(json.dumps({"type": "act"}))
    assert trained_parameters(stored_weights(tmp_path)) is None
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ZooError, match=r"config.json is no JSON"):
        stored_weights(tmp_path)
