"""What a configuration trains is what its policy trains."""

import json

import pytest
import torch
from lerobot.policies import get_policy_class
from safetensors.torch import save_file
from tiny_policies import policy_types, tiny_config, tiny_policy
from torch import zeros

from lerobot_plugins.diagnosis.stored import stored_weights
from lerobot_plugins.diagnosis.training import frozen_at_zero, trained_parameters
from lerobot_plugins.diagnosis.weights import diagnose
from lerobot_plugins.errors import ZooError


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", policy_types())
def test_it_is_known_without_building_the_policy(tmp_path, kind, frozen):
    policy = tiny_policy(kind, freeze_vision_tower=frozen)
    policy.save_pretrained(tmp_path)
    found = trained_parameters(stored_weights(tmp_path))
    assert found == {name: parameter.requires_grad for name, parameter in policy.named_parameters()}
    assert any("vision_tower" in name and not trains for name, trains in found.items()) == frozen


@pytest.mark.parametrize("changes", [{}, {"loss_mode": "vlm"}], ids=["as usual", "the planner alone"])
def test_zeros_that_stay_by_design_are_no_finding(tmp_path, changes):
    """And zeros in a matrix that is trained are one, as are those in a frozen one that begins otherwise."""
    policy = get_policy_class("waypoint_vla")(tiny_config("waypoint_vla", **changes))
    policy.save_pretrained(tmp_path)
    zeros = {
        name: parameter.requires_grad
        for name, parameter in policy.named_parameters()
        if parameter.ndim > 1 and not parameter.any()
    }
    stays = {name for name, trains in zeros.items() if not trains}
    assert "model.token_rows.weight" in stays
    found = diagnose(tmp_path, progress=False)
    assert any(note.startswith(f"{len(stays)} matrices are zero as they began") for note in found.notes)
    trained = len(zeros) - len(stays)
    assert never_trained(found) == ([trained] if trained else [])

    with torch.no_grad():
        policy.model.encoder.language_model.embed_tokens.weight.requires_grad_(False).zero_()
    policy.save_pretrained(tmp_path)
    assert never_trained(diagnose(tmp_path, progress=False)) == [trained + 1]


def never_trained(found) -> list[int]:
    return [int(text.split()[0]) for text in found.findings if "as if never trained" in text]


@pytest.mark.parametrize("kind", policy_types())
def test_every_policy_tells_what_it_keeps_at_zero(tmp_path, kind):
    policy = get_policy_class(kind)(tiny_config(kind))
    policy.save_pretrained(tmp_path)
    assert frozen_at_zero(stored_weights(tmp_path)) == {
        name
        for name, parameter in policy.named_parameters()
        if parameter.ndim > 1 and not parameter.requires_grad and not parameter.any()
    }


def test_nothing_is_claimed_of_other_peoples_policies(tmp_path):
    save_file({"w": zeros(2)}, tmp_path / "model.safetensors")
    assert trained_parameters(stored_weights(tmp_path)) is None
    assert trained_parameters(stored_weights(tmp_path / "model.safetensors")) is None
    for kind in ("act", "of_a_package_that_is_not_here"):
        (tmp_path / "config.json").write_text(json.dumps({"type": kind}))
        assert trained_parameters(stored_weights(tmp_path)) is None
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ZooError, match=r"config.json is no JSON"):
        stored_weights(tmp_path)
