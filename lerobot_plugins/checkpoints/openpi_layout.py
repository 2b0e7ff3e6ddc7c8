"""openpi's JAX parameter tree of pi0.5 and its place in our network: one table of rules.

Legend of the shapes: D model width, H heads, K head dim, F MLP width, P patch, C colours, L low rank.
JAX kernels are (in, out) and einsum weights keep their axes; torch's Linear weights are (out, in). Arrays of
stacked layers carry the layer as their first axis and are taken apart.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lerobot_plugins.checkpoints.pi05_names import EXPERT, PALIGEMMA, PROJECTIONS, pi0_error
from lerobot_plugins.errors import ZooError, first_names

# The formula as it is printed in the proof sheet, and the formula.
TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "w": lambda w: w,
    "w.T": lambda w: w.T,
    "w[0]": lambda w: w[0],
    "w[0].T": lambda w: w[0].T,
    "w[1].T": lambda w: w[1].T,
    "w.flatten()": lambda w: w.flatten(),
    "w.flatten(1).T": lambda w: w.flatten(1).T,  # (D, H, K)
    "w.flatten(0, 1).T": lambda w: w.flatten(0, 1).T,  # (H, K, D)
    "w.permute(0, 2, 1).flatten(0, 1)": lambda w: w.permute(0, 2, 1).flatten(0, 1),  # (H, D, K)
    "w[0].permute(0, 2, 1).flatten(0, 1)": lambda w: w[0].permute(0, 2, 1).flatten(0, 1),  # (2, H, D, K)
    "w[1].permute(0, 2, 1).flatten(0, 1)": lambda w: w[1].permute(0, 2, 1).flatten(0, 1),
    "w.permute(3, 2, 0, 1)": lambda w: w.permute(3, 2, 0, 1),  # (P, P, C, D)
}

VISION = f"{PALIGEMMA}.model.vision_tower.vision_model"
VISION_LAYER = f"{VISION}.encoder.layers.{{layer}}"
PROJECTOR = f"{PALIGEMMA}.model.multi_modal_projector.linear"
BLOCK = "PaliGemma/img/Transformer/encoderblock"

Rules = dict[str, list[tuple[str, str]]]


def _dense(source: str, target: str) -> Rules:
    return {f"{source}/kernel": [(f"{target}.weight", "w.T")], f"{source}/bias": [(f"{target}.bias", "w")]}


def _layer_norm(source: str, target: str) -> Rules:
    return {f"{source}/scale": [(f"{target}.weight", "w")], f"{source}/bias": [(f"{target}.bias", "w")]}


def _vision() -> Rules:
    rules: Rules = {
        "PaliGemma/img/embedding/kernel": [
            (f"{VISION}.embeddings.patch_embedding.weight", "w.permute(3, 2, 0, 1)")
        ],
        "PaliGemma/img/embedding/bias": [(f"{VISION}.embeddings.patch_embedding.bias", "w")],
        "PaliGemma/img/pos_embedding": [(f"{VISION}.embeddings.position_embedding.weight", "w[0]")],
    }
    for own, theirs in (("layer_norm1", "LayerNorm_0"), ("layer_norm2", "LayerNorm_1")):
        rules |= _layer_norm(f"{BLOCK}/{theirs}", f"{VISION_LAYER}.{own}")
    for own, theirs in (("fc1", "Dense_0"), ("fc2", "Dense_1")):
        rules |= _dense(f"{BLOCK}/MlpBlock_0/{theirs}", f"{VISION_LAYER}.mlp.{own}")
    attention = f"{BLOCK}/MultiHeadDotProductAttention_0"
    for own, theirs in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")):
        target = f"{VISION_LAYER}.self_attn.{own}"
        rules[f"{attention}/{theirs}/kernel"] = [(f"{target}.weight", "w.flatten(1).T")]
        rules[f"{attention}/{theirs}/bias"] = [(f"{target}.bias", "w.flatten()")]
    out = f"{VISION_LAYER}.self_attn.out_proj"
    rules[f"{attention}/out/kernel"] = [(f"{out}.weight", "w.flatten(0, 1).T")]
    rules[f"{attention}/out/bias"] = [(f"{out}.bias", "w")]
    rules |= _layer_norm("PaliGemma/img/Transformer/encoder_norm", f"{VISION}.post_layernorm")
    return rules | _dense("PaliGemma/img/head", PROJECTOR)


def _gemma(suffix: str, target: str) -> Rules:
    """One Gemma; openpi marks the second of its two with the suffix `_1`."""
    source, layer = "PaliGemma/llm/layers", f"{target}.layers.{{layer}}"
    attention, mlp = f"{layer}.self_attn", f"{layer}.mlp"
    return {
        f"{source}/attn/q_einsum{suffix}/w": [
            (f"{attention}.q_proj.weight", "w.permute(0, 2, 1).flatten(0, 1)")
        ],
        f"{source}/attn/kv_einsum{suffix}/w": [
            (f"{attention}.k_proj.weight", "w[0].permute(0, 2, 1).flatten(0, 1)"),
            (f"{attention}.v_proj.weight", "w[1].permute(0, 2, 1).flatten(0, 1)"),
        ],
        f"{source}/attn/attn_vec_einsum{suffix}/w": [(f"{attention}.o_proj.weight", "w.flatten(0, 1).T")],
        f"{source}/mlp{suffix}/gating_einsum": [
            (f"{mlp}.gate_proj.weight", "w[0].T"),
            (f"{mlp}.up_proj.weight", "w[1].T"),
        ],
        f"{source}/mlp{suffix}/linear": [(f"{mlp}.down_proj.weight", "w.T")],
    }


def _language() -> Rules:
    target, source = f"{PALIGEMMA}.model.language_model", "PaliGemma/llm"
    layer = f"{target}.layers.{{layer}}"
    return _gemma("", target) | {
        f"{source}/embedder/input_embedding": [(f"{target}.embed_tokens.weight", "w")],
        f"{source}/layers/pre_attention_norm/scale": [(f"{layer}.input_layernorm.weight", "w")],
        f"{source}/layers/pre_ffw_norm/scale": [(f"{layer}.post_attention_layernorm.weight", "w")],
        f"{source}/final_norm/scale": [(f"{target}.norm.weight", "w")],
    }


def _expert() -> Rules:
    target, source = f"{EXPERT}.model", "PaliGemma/llm"
    layer = f"{target}.layers.{{layer}}"
    return (
        _gemma("_1", target)
        | _dense(f"{source}/layers/pre_attention_norm_1/Dense_0", f"{layer}.input_layernorm.dense")
        | _dense(f"{source}/layers/pre_ffw_norm_1/Dense_0", f"{layer}.post_attention_layernorm.dense")
        | _dense(f"{source}/final_norm_1/Dense_0", f"{target}.norm.dense")
    )


def _projections() -> Rules:
    rules: Rules = {}
    for name in PROJECTIONS:
        rules |= _dense(name, f"model.{name}")
    return rules


RULES: Rules = _vision() | _language() | _expert() | _projections()

_EXPERT_NORM = "PaliGemma/llm/final_norm_1"
_ONLY_IN_PI0 = ("state_proj/", "action_time_mlp_in/", "action_time_mlp_out/")


@dataclass(frozen=True)
class Placement:
    """One tensor of our network and where it comes from.

    Attributes:
        target: Our name.
        source: The leaf of openpi's tree, without its root `params/`.
        layer: Index into the leaf's first axis, None for a leaf of no layer.
        transform: Key of `TRANSFORMS`.
        shape: Of the target.
    """

    target: str
    source: str
    layer: int | None
    transform: str
    shape: tuple[int, ...]


def lora_names(source: str) -> tuple[str, str]:
    """The leaves that hold the low-rank update of a leaf, where there is one."""
    stem = source.removesuffix("/w")
    separator = "/" if stem != source else "_"
    return f"{stem}{separator}lora_a", f"{stem}{separator}lora_b"


def plan(shapes: Mapping[str, tuple[int, ...]]) -> list[Placement]:
    """Where every leaf of a tree goes, by shapes alone.

    Args:
        shapes: Leaves without the root `params/`.

    Raises:
        ZooError: The tree is pi0's, or lacks leaves, or has others, or ones of the wrong rank.
    """
    leaves = set(shapes)
    for name in sorted(leaves):
        if name.startswith(_ONLY_IN_PI0) or name == f"{_EXPERT_NORM}/scale":
            raise pi0_error(name)
    expected = set(RULES)
    for source in RULES:
        expected |= leaves.intersection(pair := lora_names(source)) and set(pair)
    problems = {"missing": expected - leaves, "unexpected": leaves - expected}
    if any(problems.values()):
        raise ZooError(
            "the parameter tree is not openpi's pi0.5",
            got="; ".join(f"{kind}: {first_names(names)}" for kind, names in problems.items() if names),
            expected=f"its {len(RULES)} leaves, LoRA leaves in pairs, no other",
            do="look at it with `lerobot-plugins checkpoint inspect`",
        )
    return [placement for source in RULES for placement in _placements(source, shapes[source])]


def _placements(source: str, shape: tuple[int, ...]) -> Iterator[Placement]:
    stacked = "{layer}" in RULES[source][0][0]
    # Shapes follow from the transforms themselves, run on a tensor without memory.
    one = torch.empty(shape[1:] if stacked else shape, device="meta")
    for layer in range(shape[0]) if stacked else (None,):
        for target, transform in RULES[source]:
            try:
                result = tuple(TRANSFORMS[transform](one).shape)
            except (RuntimeError, IndexError) as error:
                raise ZooError(
                    f"the leaf {source} has an unknown shape",
                    got=shape,
                    expected=f"one that fits {transform}",
                ) from error
            yield Placement(target.format(layer=layer), source, layer, transform, result)


def merge_lora(source: str, w: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A weight with its low-rank update added, for one layer or for stacked ones.

    openpi runs the weight's own einsum twice: with the last axis replaced by L for `a`, then with the one
    before it replaced by L for `b`, scaled by alpha / rank. Its presets set alpha = rank and the checkpoint
    stores neither, so the scale is 1. For `attn_vec_einsum` (H, K, D) either einsum sums over the heads:
    y = (sum_hk x_hk a_hkl) (sum_h b_hld).

    Raises:
        ZooError: The shapes are not those of a low-rank update of this weight.
    """
    if "attn_vec_einsum" in source:
        b = b.sum(-3, keepdim=True)
    if a.shape[-1] != b.shape[-2] or (a @ b).shape != w.shape:
        raise ZooError(
            f"the LoRA leaves of {source} do not fit it",
            got=f"w {tuple(w.shape)}, a {tuple(a.shape)}, b {tuple(b.shape)}",
            expected="a (..., in, rank) and b (..., rank, out)",
        )
    return w + a @ b
