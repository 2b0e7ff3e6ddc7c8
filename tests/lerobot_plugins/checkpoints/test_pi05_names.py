"""Every layout of pi0.5 files leads to one set of names."""

import pytest

from lerobot_plugins.checkpoints.pi05_names import EMBEDDING, LM_HEAD, TIES, openpi_name, rename
from lerobot_plugins.errors import ZooError

VISION = "model.paligemma_with_expert.paligemma.model.vision_tower.vision_model.post_layernorm.bias"
NORM = "model.paligemma_with_expert.gemma_expert.model.norm.dense.weight"


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        (VISION, VISION),  # stock LeRobot and our own
        (VISION.removeprefix("model."), VISION),  # openpi
        (
            "paligemma_with_expert.paligemma.vision_tower.vision_model.post_layernorm.bias",
            VISION,
        ),  # old openpi
        ("paligemma_with_expert.paligemma.language_model.model.embed_tokens.weight", EMBEDDING),
        ("paligemma_with_expert.paligemma.language_model.lm_head.weight", LM_HEAD),
        ("paligemma_with_expert.paligemma.lm_head.weight", LM_HEAD),
        (NORM.removeprefix("model."), NORM),
        ("action_in_proj.weight", "model.action_in_proj.weight"),
        ("time_mlp_out.bias", "model.time_mlp_out.bias"),
        ("model.time_mlp_out.bias", "model.time_mlp_out.bias"),
        ("paligemma_with_expert.gemma_expert.lm_head.weight", None),
        ("model.paligemma_with_expert.gemma_expert.lm_head.weight", None),
        (f"ema.{VISION}", f"ema.{VISION}"),
        ("something.else", "something.else"),
    ],
)
def test_one_name_for_every_layout(stored, name):
    assert rename(stored) == name


@pytest.mark.parametrize(
    "stored",
    [
        "state_proj.weight",
        "model.state_proj.bias",
        "action_time_mlp_in.weight",
        "model.action_time_mlp_out.bias",
        "paligemma_with_expert.gemma_expert.model.layers.17.input_layernorm.weight",
        "model.paligemma_with_expert.gemma_expert.model.layers.0.post_attention_layernorm.weight",
        "paligemma_with_expert.gemma_expert.model.norm.weight",
    ],
)
def test_pi0_is_refused_by_the_tensor_that_gives_it_away(stored):
    with pytest.raises(ZooError, match=rf"(?s)pi0 network, not pi0\.5.*{stored}.*--policy\.type=pi0"):
        rename(stored)


def test_names_of_openpi_are_the_way_back():
    for name in (VISION, NORM, "model.action_out_proj.weight"):
        assert rename(openpi_name(name)) == name
    assert TIES[rename(openpi_name(EMBEDDING))] == EMBEDDING
