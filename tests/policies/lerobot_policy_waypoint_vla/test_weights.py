"""What a fresh `waypoint_vla` starts from: pi0.5's weights, with a report of what is new."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_policies import observation_batch, tiny_config, tiny_policy

from lerobot_plugins.checkpoints.load_report import empty_parameters
from lerobot_plugins.checkpoints.pi05_names import EMBEDDING, EXPERT_LM_HEAD, LM_HEAD
from lerobot_plugins.errors import ZooError
from lerobot_policy_waypoint_vla.modeling_waypoint_vla import WaypointVLAPolicy
from lerobot_policy_waypoint_vla.weights import NEW, build_network

TYPE = "waypoint_vla"
ENCODER, PLANNER = "model.paligemma_with_expert.paligemma.model.", "model.planner."


@pytest.fixture(scope="module")
def base() -> WaypointVLAPolicy:
    return tiny_policy(TYPE, seed=3)


def is_new(name: str) -> bool:
    return name.startswith(tuple(f"model.{new}." for new in NEW))


def as_pi05(policy: WaypointVLAPolicy) -> dict[str, torch.Tensor]:
    """openpi's PyTorch names and tensors: the embedding as the head, an unused head of the expert."""
    tensors = {name: value.clone() for name, value in policy.state_dict().items() if not is_new(name)}
    tensors = {name: value for name, value in tensors.items() if not name.startswith(PLANNER)}
    tensors |= {LM_HEAD: tensors.pop(EMBEDDING), EXPERT_LM_HEAD: torch.zeros(640, 64)}
    return {name.removeprefix("model."): value for name, value in tensors.items()}


def save(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return folder


def started_from(folder: Path, **changes: Any) -> WaypointVLAPolicy:
    return WaypointVLAPolicy(tiny_config(TYPE, init_from=str(folder), **changes))


def test_pi05_arrives_whole_and_the_report_says_what_is_new(base, tmp_path, caplog):
    tensors = as_pi05(base)
    with caplog.at_level("INFO"):
        policy = started_from(save(tmp_path / "pi05", tensors))
    count = len(tensors)
    assert f"{count - 1} of {count} tensors of" in caplog.text
    assert "1 not part of this network" in caplog.text
    assert "new: duration_embed (1), proprio_encoder (2), token_rows (1)" in caplog.text
    for name, value in base.state_dict().items():
        if not is_new(name):
            assert torch.equal(policy.state_dict()[name], value), name
    # New weights are there, finite, and where they must do nothing they do nothing.
    assert policy.model.proprio_encoder.weight.std() > 0.01
    assert 0.01 < policy.model.duration_embed.weight.std() < 0.03
    assert not policy.model.token_rows.weight.any()
    assert torch.isfinite(policy.predict_action_chunk(observation_batch(policy.config))).all()


def test_as_many_tensors_as_the_published_file():
    """811 of its 812; the other is the expert's head, which nothing uses."""
    config = tiny_config(TYPE, paligemma_variant="paligemma_3b", action_expert_variant="gemma_300m")
    with empty_parameters():
        names = build_network(config).state_dict()
    assert len([name for name in names if not is_new(f"model.{name}")]) == 811
    assert len([name for name in names if is_new(f"model.{name}")]) == 4


def test_in_the_condition_the_duration_starts_without_a_say(base, tmp_path, caplog):
    with caplog.at_level("INFO"):
        policy = started_from(save(tmp_path / "pi05", as_pi05(base)), duration_mode="adarms_concat")
    width = base.model.expert.width
    weight = policy.model.time_mlp_in.weight
    assert torch.equal(weight[:, :width], base.model.time_mlp_in.weight)
    assert not weight[:, width:].any()
    assert f"model.time_mlp_in.weight beyond {width} of {2 * width}" in caplog.text
    assert "new: proprio_encoder (2), token_rows (1)" in caplog.text


def test_own_checkpoints_keep_what_they_learned(base, tmp_path, caplog):
    base.save_pretrained(tmp_path / "own")
    with caplog.at_level("INFO"):
        policy = started_from(tmp_path / "own")
    assert "new:" not in caplog.text
    assert all(torch.equal(policy.state_dict()[name], value) for name, value in base.state_dict().items())


def test_published_waypoint_names_are_known(base, tmp_path):
    """Without `model.`; the differences of token rows are this project's own."""
    own = {name: value.clone() for name, value in base.state_dict().items() if "token_rows" not in name}
    renamed = {re.sub("^model.", "", name): value for name, value in own.items()}
    policy = started_from(save(tmp_path / "published", renamed))
    assert torch.equal(policy.model.duration_embed.weight, base.model.duration_embed.weight)


@pytest.mark.parametrize("source", ["pi05", "shared", "own"])
def test_a_planner_of_its_own_is_filled(base, tmp_path, source, caplog):
    """From the same weights, from a planner that shared its PaliGemma, or from one that did not."""
    pi05 = save(tmp_path / "pi05", as_pi05(base))
    planner = tiny_policy(TYPE, seed=5, separate_planner=source == "own")
    planner.save_pretrained(tmp_path / "planner")
    given = {} if source == "pi05" else {"planner_init_from": str(tmp_path / "planner")}
    with caplog.at_level("INFO"):
        policy = started_from(pi05, separate_planner=True, **given)
    assert "the planner: " in caplog.text
    from_own = {"pi05": base.model.encoder, "shared": planner.model.encoder, "own": planner.model.planner}
    for name, value in from_own[source].state_dict().items():
        assert torch.equal(policy.model.planner.state_dict()[name], value), name
    for name, value in base.model.encoder.state_dict().items():
        assert torch.equal(policy.model.encoder.state_dict()[name], value), name


# Refusals.


@pytest.mark.parametrize("name", [EMBEDDING, "model.time_mlp_in.bias", "model.action_out_proj.weight"])
def test_a_missing_tensor_that_is_not_new_is_named(base, tmp_path, name):
    tensors = as_pi05(base)
    stored = LM_HEAD if name == EMBEDDING else name
    del tensors[stored.removeprefix("model.")]
    with pytest.raises(ZooError, match=f"1 missing: {name}"):
        started_from(save(tmp_path / "pi05", tensors))


def test_a_tensor_from_elsewhere_is_named(base, tmp_path):
    tensors = as_pi05(base) | {"somebody.else": torch.zeros(1)}
    with pytest.raises(ZooError, match=r"1 unexpected: somebody\.else"):
        started_from(save(tmp_path / "pi05", tensors))


def test_a_planner_that_lacks_a_tensor_is_refused(base, tmp_path):
    pi05 = save(tmp_path / "pi05", as_pi05(base))
    planner = {name: value.clone() for name, value in base.state_dict().items()}
    del planner[f"{ENCODER}language_model.norm.weight"]
    save(tmp_path / "planner", planner)
    with pytest.raises(ZooError, match=r"1 missing: language_model.norm.weight"):
        started_from(pi05, separate_planner=True, planner_init_from=str(tmp_path / "planner"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("token_layout", "bins256"),
        ("duration_mode", "adarms_concat"),
        ("separate_planner", True),
        ("max_state_dim", 40),
    ],
)
def test_a_checkpoint_of_another_network_is_named_by_its_option(base, tmp_path, field, value):
    base.save_pretrained(tmp_path)
    config = tiny_config(TYPE, **{field: value})
    with pytest.raises(ZooError, match=f"{field} shapes the network"):
        WaypointVLAPolicy.from_pretrained(tmp_path, config=config)


def test_a_start_from_the_other_layout_is_refused(base, tmp_path):
    base.save_pretrained(tmp_path / "own")
    with pytest.raises(ZooError, match=r"token_layout(.|\n)*bins256(.|\n)*bins300"):
        started_from(tmp_path / "own", token_layout="bins256")


def test_what_is_saved_has_the_names_of_the_network(base, tmp_path):
    base.save_pretrained(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == set(base.state_dict())
