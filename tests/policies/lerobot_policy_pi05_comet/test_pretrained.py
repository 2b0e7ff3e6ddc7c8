"""What a fresh `pi05_comet` starts from: checkpoints of others, strictly, with a report."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_policies import observation_batch, tiny_config, tiny_policy

from lerobot_plugins.checkpoints.pi05_names import EMBEDDING, EXPERT_LM_HEAD, LM_HEAD
from lerobot_plugins.errors import ZooError
from lerobot_policy_pi05_comet.modeling_pi05_comet import PI05CometPolicy

TYPE = "pi05_comet"


@pytest.fixture(scope="module")
def base() -> PI05CometPolicy:
    return tiny_policy(TYPE, seed=3)


def save(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return folder


def started_from(folder: Path, **changes: Any) -> PI05CometPolicy:
    return PI05CometPolicy(tiny_config(TYPE, init_from=str(folder), **changes))


def weights(policy: PI05CometPolicy) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in policy.state_dict().items()}


def as_stock(policy: PI05CometPolicy) -> dict[str, torch.Tensor]:
    """LeRobot's `pi05`: the embedding twice, an unused head of the expert."""
    tensors = weights(policy)
    return tensors | {LM_HEAD: tensors[EMBEDDING].clone(), EXPERT_LM_HEAD: torch.zeros(264, 64)}


def as_openpi(policy: PI05CometPolicy) -> dict[str, torch.Tensor]:
    """openpi's PyTorch: no prefix, the embedding under the language head's name alone."""
    tensors = as_stock(policy)
    del tensors[EMBEDDING]
    return {name.removeprefix("model."): value for name, value in tensors.items()}


@pytest.mark.parametrize("layout", [weights, as_stock, as_openpi])
def test_weights_of_every_layout_arrive(base, tmp_path, layout, caplog):
    tensors = layout(base)
    with caplog.at_level("INFO"):
        policy = started_from(save(tmp_path / "base", tensors))
    assert f"{len(base.state_dict())} of {len(tensors)} tensors of {tmp_path}" in caplog.text
    assert "new:" not in caplog.text
    for name, value in base.state_dict().items():
        assert torch.equal(policy.state_dict()[name], value), name
    observation = observation_batch(base.config)
    base.reset()
    assert torch.equal(policy.predict_action_chunk(observation), base.predict_action_chunk(observation))


def test_a_tied_embedding_that_differs_is_refused(base, tmp_path):
    """openpi ties the two, so one of them is damaged."""
    tensors = as_openpi(base)
    tensors[EMBEDDING.removeprefix("model.")] = base.state_dict()[EMBEDDING] + 1
    with pytest.raises(ZooError, match="tied but different"):
        started_from(save(tmp_path / "base", tensors))


def test_lerobots_fine_tuned_embedding_wins_over_its_unused_head(base, tmp_path):
    """LeRobot's `pi05` does not tie them: training moves the embedding and leaves the head behind."""
    tensors = as_stock(base)
    tensors[LM_HEAD] = tensors[LM_HEAD] + 1
    policy = started_from(save(tmp_path / "base", tensors))
    assert torch.equal(policy.state_dict()[EMBEDDING], tensors[EMBEDDING])


@pytest.mark.parametrize("name", [EMBEDDING, "model.time_mlp_in.bias"])
def test_a_missing_tensor_is_named(base, tmp_path, name):
    tensors = weights(base)
    del tensors[name]
    with pytest.raises(ZooError, match=f"1 missing: {name}"):
        started_from(save(tmp_path / "base", tensors))


def test_another_architecture_is_refused(base, tmp_path):
    tensors = weights(base) | {"state_proj.weight": torch.zeros(64, 32)}
    with pytest.raises(ZooError, match="pi0 network"):
        started_from(save(tmp_path / "base", tensors))
    with pytest.raises(
        ZooError, match=r"111 missing(.|\n)*1 unexpected: model\.weight(.|\n)*--policy\.init_from"
    ):
        started_from(save(tmp_path / "other", {"model.weight": torch.zeros(3)}))


def test_widening_the_action_says_what_is_new(base, tmp_path, caplog):
    folder = save(tmp_path / "base", weights(base))
    with caplog.at_level("INFO"):
        policy = started_from(folder, max_action_dim=40)
    assert "widened, new in part: model.action_in_proj.weight beyond 32 of 40" in caplog.text
    old, new = base.model, policy.model
    assert torch.equal(new.action_in_proj.weight[:, :32], old.action_in_proj.weight)
    assert not new.action_in_proj.weight[:, 32:].any()
    assert torch.equal(new.action_out_proj.weight[:32], old.action_out_proj.weight)
    assert new.action_out_proj.weight[32:].any()
    # Noise in the new dims reaches nothing yet.
    x = torch.randn(1, 8, 40)
    torch.testing.assert_close(new.action_in_proj(x), old.action_in_proj(x[..., :32]))


def test_narrowing_is_not_widening(base, tmp_path):
    folder = save(tmp_path / "base", weights(base))
    with pytest.raises(ZooError, match="mis-shaped"):
        started_from(folder, max_action_dim=16)


def test_a_checkpoint_keeps_its_width_and_says_how_to_widen_it(base, tmp_path):
    base.save_pretrained(tmp_path / "base")
    config = tiny_config(TYPE, max_action_dim=40)
    words = r"max_action_dim shapes the network(.|\n)*32(.|\n)*--policy\.init_from="
    with pytest.raises(ZooError, match=words):
        PI05CometPolicy.from_pretrained(tmp_path / "base", config=config)


def test_a_missing_file_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooError, match=r"model\.safetensors"):
        started_from(tmp_path / "empty")


def test_the_default_base_must_be_there_offline():
    config = tiny_config(TYPE, paligemma_variant="paligemma_3b", action_expert_variant="gemma_300m")
    with pytest.raises(ZooError, match="lerobot/pi05_base"):
        PI05CometPolicy(config)


def test_own_checkpoints_load_by_their_own_names(base, tmp_path):
    base.save_pretrained(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == set(base.state_dict())
