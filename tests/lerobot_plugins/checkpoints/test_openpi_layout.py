"""Each rule of the table against the einsum that openpi runs with the leaf.

Legend: B rows, D width in, E width out, H heads, G kv heads, K head dim, F MLP width, L low rank.
"""

import numpy as np
import pytest
import torch
from openpi_tree import REAL, TINY, random_tree, shapes
from torch.nn import functional as F

from lerobot_plugins.checkpoints import openpi_layout
from lerobot_plugins.checkpoints.openpi_layout import RULES, TRANSFORMS, lora_names, merge_lora, plan
from lerobot_plugins.errors import ZooError

PALIGEMMA = "model.paligemma_with_expert.paligemma.model"
EXPERT = "model.paligemma_with_expert.gemma_expert.model"
LAYERS = "PaliGemma/llm/layers"
BLOCK = "PaliGemma/img/Transformer/encoderblock"
ATTENTION = f"{BLOCK}/MultiHeadDotProductAttention_0"


@pytest.fixture(scope="module")
def tree() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in random_tree().items()}


@pytest.fixture(scope="module")
def ours(tree) -> dict[str, torch.Tensor]:
    """All tensors of our network, by the plan."""
    tensors = {}
    for place in plan({name: tuple(leaf.shape) for name, leaf in tree.items()}):
        leaf = tree[place.source] if place.layer is None else tree[place.source][place.layer]
        tensors[place.target] = TRANSFORMS[place.transform](leaf)
        assert tuple(tensors[place.target].shape) == place.shape
    return tensors


def rows(width: int, batch: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(batch, width)).astype(np.float32))


def assert_equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected.reshape(found.shape), rtol=1e-5, atol=1e-6)


SIDES = [("", PALIGEMMA + ".language_model", 128), ("_1", EXPERT, 64)]


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize(("suffix", "target", "width"), SIDES)
def test_query_key_and_value_projections(tree, ours, suffix, target, width, layer):
    x_BD = rows(width)
    attention = f"{target}.layers.{layer}.self_attn"
    q = torch.einsum("bd,hdk->bhk", x_BD, tree[f"{LAYERS}/attn/q_einsum{suffix}/w"][layer])
    assert_equal(F.linear(x_BD, ours[f"{attention}.q_proj.weight"]), q)
    k, v = torch.einsum("bd,cgdk->cbgk", x_BD, tree[f"{LAYERS}/attn/kv_einsum{suffix}/w"][layer])
    assert_equal(F.linear(x_BD, ours[f"{attention}.k_proj.weight"]), k)
    assert_equal(F.linear(x_BD, ours[f"{attention}.v_proj.weight"]), v)


@pytest.mark.parametrize(("suffix", "target", "width"), SIDES)
def test_output_projection(tree, ours, suffix, target, width):
    x_BHK = rows(4 * 32).view(5, 4, 32)
    y = torch.einsum("bhk,hkd->bd", x_BHK, tree[f"{LAYERS}/attn/attn_vec_einsum{suffix}/w"][1])
    assert_equal(F.linear(x_BHK.flatten(1), ours[f"{target}.layers.1.self_attn.o_proj.weight"]), y)


@pytest.mark.parametrize(("suffix", "target", "width"), SIDES)
def test_gated_mlp(tree, ours, suffix, target, width):
    x_BD = rows(width)
    mlp = f"{target}.layers.2.mlp"
    gate, up = torch.einsum("bd,cdf->cbf", x_BD, tree[f"{LAYERS}/mlp{suffix}/gating_einsum"][2])
    assert_equal(F.linear(x_BD, ours[f"{mlp}.gate_proj.weight"]), gate)
    assert_equal(F.linear(x_BD, ours[f"{mlp}.up_proj.weight"]), up)
    down = gate @ tree[f"{LAYERS}/mlp{suffix}/linear"][2]
    assert_equal(F.linear(gate, ours[f"{mlp}.down_proj.weight"]), down)


def test_norms_of_the_language_model_are_as_they_were(tree, ours):
    language = f"{PALIGEMMA}.language_model"
    for layer in range(3):
        for own, theirs in (
            ("input_layernorm", "pre_attention_norm"),
            ("post_attention_layernorm", "pre_ffw_norm"),
        ):
            assert_equal(
                ours[f"{language}.layers.{layer}.{own}.weight"], tree[f"{LAYERS}/{theirs}/scale"][layer]
            )
    assert_equal(ours[f"{language}.norm.weight"], tree["PaliGemma/llm/final_norm/scale"])
    assert_equal(ours[f"{language}.embed_tokens.weight"], tree["PaliGemma/llm/embedder/input_embedding"])


def test_adaptive_norms_of_the_expert(tree, ours):
    condition_BD = rows(64)
    places = {
        f"{EXPERT}.layers.1.input_layernorm.dense": (f"{LAYERS}/pre_attention_norm_1/Dense_0", 1),
        f"{EXPERT}.layers.1.post_attention_layernorm.dense": (f"{LAYERS}/pre_ffw_norm_1/Dense_0", 1),
        f"{EXPERT}.norm.dense": ("PaliGemma/llm/final_norm_1/Dense_0", ...),
    }
    for target, (source, layer) in places.items():
        y = condition_BD @ tree[f"{source}/kernel"][layer] + tree[f"{source}/bias"][layer]
        assert_equal(F.linear(condition_BD, ours[f"{target}.weight"], ours[f"{target}.bias"]), y)


def test_patch_embedding_is_the_same_convolution(tree, ours):
    image_BPPC = rows(8 * 8 * 3).view(5, 8, 8, 3)
    y = torch.einsum("bhwc,hwcd->bd", image_BPPC, tree["PaliGemma/img/embedding/kernel"])
    y = y + tree["PaliGemma/img/embedding/bias"]
    patch = f"{PALIGEMMA}.vision_tower.vision_model.embeddings.patch_embedding"
    found = F.conv2d(image_BPPC.permute(0, 3, 1, 2), ours[f"{patch}.weight"], ours[f"{patch}.bias"], stride=8)
    assert_equal(found.flatten(1), y)
    position = f"{PALIGEMMA}.vision_tower.vision_model.embeddings.position_embedding.weight"
    assert_equal(ours[position], tree["PaliGemma/img/pos_embedding"][0])


@pytest.mark.parametrize(("own", "theirs"), [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")])
def test_vision_attention(tree, ours, own, theirs):
    x_BD = rows(96)
    y = torch.einsum("bd,dhk->bhk", x_BD, tree[f"{ATTENTION}/{theirs}/kernel"][1])
    y = y + tree[f"{ATTENTION}/{theirs}/bias"][1]
    target = f"{PALIGEMMA}.vision_tower.vision_model.encoder.layers.1.self_attn.{own}"
    assert_equal(F.linear(x_BD, ours[f"{target}.weight"], ours[f"{target}.bias"]), y)


def test_vision_output_mlp_norms_and_projector(tree, ours):
    tower = f"{PALIGEMMA}.vision_tower.vision_model"
    layer = f"{tower}.encoder.layers.0"
    x_BHK = rows(96).view(5, 4, 24)
    y = (
        torch.einsum("bhk,hkd->bd", x_BHK, tree[f"{ATTENTION}/out/kernel"][0])
        + tree[f"{ATTENTION}/out/bias"][0]
    )
    out = f"{layer}.self_attn.out_proj"
    assert_equal(F.linear(x_BHK.flatten(1), ours[f"{out}.weight"], ours[f"{out}.bias"]), y)
    for own, theirs, width in (("fc1", "Dense_0", 96), ("fc2", "Dense_1", 192)):
        x_BD = rows(width)
        source = f"{BLOCK}/MlpBlock_0/{theirs}"
        y = x_BD @ tree[f"{source}/kernel"][0] + tree[f"{source}/bias"][0]
        assert_equal(F.linear(x_BD, ours[f"{layer}.mlp.{own}.weight"], ours[f"{layer}.mlp.{own}.bias"]), y)
    for own, theirs in (("layer_norm1", "LayerNorm_0"), ("layer_norm2", "LayerNorm_1")):
        assert_equal(ours[f"{layer}.{own}.weight"], tree[f"{BLOCK}/{theirs}/scale"][0])
        assert_equal(ours[f"{layer}.{own}.bias"], tree[f"{BLOCK}/{theirs}/bias"][0])
    assert_equal(ours[f"{tower}.post_layernorm.weight"], tree["PaliGemma/img/Transformer/encoder_norm/scale"])
    assert_equal(ours[f"{tower}.post_layernorm.bias"], tree["PaliGemma/img/Transformer/encoder_norm/bias"])
    x_BD = rows(96)
    projector = f"{PALIGEMMA}.multi_modal_projector.linear"
    y = x_BD @ tree["PaliGemma/img/head/kernel"] + tree["PaliGemma/img/head/bias"]
    assert_equal(F.linear(x_BD, ours[f"{projector}.weight"], ours[f"{projector}.bias"]), y)


@pytest.mark.parametrize("name", ["action_in_proj", "action_out_proj", "time_mlp_in", "time_mlp_out"])
def test_projections(tree, ours, name):
    x_BD = rows(tree[f"{name}/kernel"].shape[0])
    y = x_BD @ tree[f"{name}/kernel"] + tree[f"{name}/bias"]
    assert_equal(F.linear(x_BD, ours[f"model.{name}.weight"], ours[f"model.{name}.bias"]), y)


def test_the_table_has_every_leaf_of_openpi_and_no_other():
    assert set(RULES) == set(shapes(TINY)) == set(shapes(REAL))


def test_real_size_gives_the_inventory_of_openpi_without_its_two_language_heads():
    places = plan(shapes(REAL))
    sizes = {place.target: place.shape for place in places}
    assert len(sizes) == len(places) == 811
    assert sum(int(np.prod(shape)) for shape in sizes.values()) == 3_616_757_520 - 257152 * 1024
    tower = [name for name in sizes if ".vision_tower." in name]
    assert len(tower) == 437
    assert len([name for name in sizes if ".gemma_expert." in name]) == 200
    assert sizes[f"{PALIGEMMA}.language_model.layers.17.mlp.down_proj.weight"] == (2048, 16384)
    assert sizes[f"{EXPERT}.layers.17.self_attn.o_proj.weight"] == (1024, 2048)
    assert sizes["model.action_in_proj.weight"] == (1024, 32)


@pytest.mark.parametrize(
    "name", ["action_in_proj/bias", f"{LAYERS}/attn/q_einsum/w", "PaliGemma/img/head/bias"]
)
def test_missing_and_unexpected_leaves_are_named(name):
    tree = shapes()
    tree["other/kernel"] = tree.pop(name)
    with pytest.raises(ZooError, match=f"(?s)missing: {name}; unexpected: other/kernel"):
        plan(tree)


def test_a_leaf_of_the_wrong_rank_is_named():
    tree = shapes() | {"PaliGemma/img/embedding/kernel": (8, 8, 96)}
    with pytest.raises(ZooError, match="PaliGemma/img/embedding/kernel has an unknown shape"):
        plan(tree)


@pytest.mark.parametrize(
    "name", ["state_proj/kernel", "action_time_mlp_in/bias", "PaliGemma/llm/final_norm_1/scale"]
)
def test_pi0_is_refused(name):
    with pytest.raises(ZooError, match=rf"(?s)pi0 network, not pi0\.5.*{name}"):
        plan(shapes() | {name: (64,)})


# The einsums of openpi's modules, and with one axis of the weight replaced by L.
LORA = {
    "attn/q_einsum": ("bd,hdk->bhk", "bd,hdl->bhl", "bhl,hlk->bhk"),
    "attn/kv_einsum": ("bd,cgdk->cbgk", "bd,cgdl->cbgl", "cbgl,cglk->cbgk"),
    "attn/attn_vec_einsum": ("bhk,hkd->bd", "bhk,hkl->bl", "bl,hld->bd"),
    "mlp/gating_einsum": ("bd,cdf->cbf", "bd,cdl->cbl", "cbl,clf->cbf"),
    "mlp/linear": ("bf,fd->bd", "bf,fl->bl", "bl,ld->bd"),
}


@pytest.mark.parametrize("name", LORA)
def test_a_merged_update_is_what_openpi_computes(name):
    source = f"{LAYERS}/{name}/w" if name.startswith("attn") else f"{LAYERS}/{name}"
    eqn, eqn_a, eqn_b = LORA[name]
    w = torch.from_numpy(random_tree()[source][0])
    rng = np.random.default_rng(2)
    a = torch.from_numpy(rng.normal(size=(*w.shape[:-1], 4)).astype(np.float32))
    b = torch.from_numpy(rng.normal(size=(*w.shape[:-2], 4, w.shape[-1])).astype(np.float32))
    x = rows(4 * 32).view(5, 4, 32) if "vec" in name else rows(w.shape[-2])
    expected = torch.einsum(eqn, x, w) + torch.einsum(eqn_b, torch.einsum(eqn_a, x, a), b)
    merged = merge_lora(source, w, a, b)
    torch.testing.assert_close(torch.einsum(eqn, x, merged), expected, rtol=1e-4, atol=1e-4)
    stacked = merge_lora(source, w[None], a[None], b[None])
    torch.testing.assert_close(stacked[0], merged)


def test_lora_leaves_come_in_pairs_that_fit():
    assert lora_names(f"{LAYERS}/attn/q_einsum_1/w")[0] == f"{LAYERS}/attn/q_einsum_1/lora_a"
    assert lora_names(f"{LAYERS}/mlp/linear")[1] == f"{LAYERS}/mlp/linear_lora_b"
    lone = shapes() | {f"{LAYERS}/mlp/linear_lora_a": (3, 384, 4)}
    with pytest.raises(ZooError, match="missing: PaliGemma/llm/layers/mlp/linear_lora_b"):
        plan(lone)
    with pytest.raises(ZooError, match=r"LoRA leaves of mlp do not fit"):
        merge_lora("mlp", torch.zeros(6, 5), torch.zeros(6, 2), torch.zeros(3, 5))


def test_transforms_that_no_rule_uses_do_not_exist():
    used = {transform for targets in openpi_layout.RULES.values() for _, transform in targets}
    assert used == set(TRANSFORMS)
