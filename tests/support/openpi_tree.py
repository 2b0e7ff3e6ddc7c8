"""Parameter trees of openpi's pi0.5 with the real names, and Orbax directories as JAX writes them.

The shapes are stated here once more, on their own, so that the table under test is compared with something.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

REAL = {
    "vision": {"width": 1152, "layers": 27, "heads": 16, "mlp": 4304, "patch": 14, "tokens": 256},
    "language": {"width": 2048, "mlp": 16384},
    "expert": {"width": 1024, "mlp": 4096},
    "attention": {"layers": 18, "heads": 8, "kv_heads": 1, "head_dim": 256},
    "vocabulary": 257152,
    "action_dim": 32,
}
TINY = {
    "vision": {"width": 96, "layers": 2, "heads": 4, "mlp": 192, "patch": 8, "tokens": 64},
    "language": {"width": 128, "mlp": 384},
    "expert": {"width": 64, "mlp": 128},
    "attention": {"layers": 3, "heads": 4, "kv_heads": 1, "head_dim": 32},
    "vocabulary": 264,
    "action_dim": 32,
}


def shapes(geometry: dict[str, Any] = TINY) -> dict[str, tuple[int, ...]]:
    """Every leaf of the tree below `params` and its shape."""
    vision, language, expert = geometry["vision"], geometry["language"], geometry["expert"]
    V, layers, heads, F = vision["width"], vision["layers"], vision["heads"], vision["mlp"]
    D, E, A = language["width"], expert["width"], geometry["action_dim"]
    depth = geometry["attention"]["layers"]
    H, G, K = (geometry["attention"][name] for name in ("heads", "kv_heads", "head_dim"))
    image = {
        "embedding/kernel": (vision["patch"], vision["patch"], 3, V),
        "embedding/bias": (V,),
        "pos_embedding": (1, vision["tokens"], V),
        "Transformer/encoder_norm/scale": (V,),
        "Transformer/encoder_norm/bias": (V,),
        "head/kernel": (V, D),
        "head/bias": (D,),
    }
    block = {
        "LayerNorm_0/scale": (V,),
        "LayerNorm_0/bias": (V,),
        "LayerNorm_1/scale": (V,),
        "LayerNorm_1/bias": (V,),
        "MlpBlock_0/Dense_0/kernel": (V, F),
        "MlpBlock_0/Dense_0/bias": (F,),
        "MlpBlock_0/Dense_1/kernel": (F, V),
        "MlpBlock_0/Dense_1/bias": (V,),
        "MultiHeadDotProductAttention_0/out/kernel": (heads, V // heads, V),
        "MultiHeadDotProductAttention_0/out/bias": (V,),
    }
    for name in ("query", "key", "value"):
        block[f"MultiHeadDotProductAttention_0/{name}/kernel"] = (V, heads, V // heads)
        block[f"MultiHeadDotProductAttention_0/{name}/bias"] = (heads, V // heads)
    llm: dict[str, tuple[int, ...]] = {
        "embedder/input_embedding": (geometry["vocabulary"], D),
        "layers/pre_attention_norm/scale": (depth, D),
        "layers/pre_ffw_norm/scale": (depth, D),
        "final_norm/scale": (D,),
        "layers/pre_attention_norm_1/Dense_0/kernel": (depth, E, 3 * E),
        "layers/pre_attention_norm_1/Dense_0/bias": (depth, 3 * E),
        "layers/pre_ffw_norm_1/Dense_0/kernel": (depth, E, 3 * E),
        "layers/pre_ffw_norm_1/Dense_0/bias": (depth, 3 * E),
        "final_norm_1/Dense_0/kernel": (E, 3 * E),
        "final_norm_1/Dense_0/bias": (3 * E,),
    }
    for suffix, width, mlp in (("", D, language["mlp"]), ("_1", E, expert["mlp"])):
        llm |= {
            f"layers/attn/q_einsum{suffix}/w": (depth, H, width, K),
            f"layers/attn/kv_einsum{suffix}/w": (depth, 2, G, width, K),
            f"layers/attn/attn_vec_einsum{suffix}/w": (depth, H, K, width),
            f"layers/mlp{suffix}/gating_einsum": (depth, 2, width, mlp),
            f"layers/mlp{suffix}/linear": (depth, mlp, width),
        }
    blocks = {f"Transformer/encoderblock/{name}": (layers, *shape) for name, shape in block.items()}
    tree = {f"PaliGemma/img/{name}": shape for name, shape in (image | blocks).items()}
    tree |= {f"PaliGemma/llm/{name}": shape for name, shape in llm.items()}
    for name, (d_in, d_out) in {
        "action_in_proj": (A, E),
        "action_out_proj": (E, A),
        "time_mlp_in": (E, E),
        "time_mlp_out": (E, E),
    }.items():
        tree |= {f"{name}/kernel": (d_in, d_out), f"{name}/bias": (d_out,)}
    return tree


def random_tree(seed: int = 0, geometry: dict[str, Any] = TINY) -> dict[str, np.ndarray]:
    """Small random numbers in every leaf."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes(geometry).items()}


def write_orbax(
    directory: Path, tree: dict[str, np.ndarray], root: str = "params", value: bool = False
) -> Path:
    """An Orbax directory with these leaves, the large ones in several chunks."""
    import tensorstore as ts

    directory.mkdir(parents=True)
    base = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{directory}/"}}
    metadata = {}
    # One transaction is one commit of the store; a commit per leaf takes seconds.
    transaction = ts.Transaction()
    writes = []
    for name, array in tree.items():
        path = ([root] if root else []) + name.split("/") + (["value"] if value else [])
        chunks = [-(-size // 2) if size > 50 else max(size, 1) for size in array.shape]
        spec = {
            "driver": "zarr",
            "kvstore": {**base, "path": ".".join(path) + "/"},
            "metadata": {"chunks": chunks, "compressor": {"id": "zstd"}},
            "store_data_equal_to_fill_value": True,
        }
        store = ts.open(
            spec, create=True, dtype=array.dtype, shape=array.shape, transaction=transaction
        ).result()
        writes.append(store.write(array))
        metadata[str(tuple(path))] = {
            "key_metadata": [{"key": key, "key_type": 2} for key in path],
            "value_metadata": {"value_type": "jax.Array", "skip_deserialize": False},
        }
    transaction.commit_sync()
    for write in writes:
        write.result()
    content = {
        "tree_metadata": metadata,
        "use_ocdbt": True,
        "use_zarr3": False,
        "store_array_data_equal_to_fill_value": True,
    }
    (directory / "_METADATA").write_text(json.dumps(content))
    return directory


def norm_stats(state: int = 23, action: int = 23, padded: int = 32) -> dict[str, Any]:
    """Content of a norm_stats.json, padded with zeros as openpi pads."""

    def entry(width: int) -> dict[str, list[float]]:
        ramp = np.linspace(0.5, 1.5, width)
        vectors = {"mean": 0.1 * ramp, "std": 0.4 * ramp, "q01": -ramp, "q99": ramp + 0.25}
        return {name: [*value.tolist(), *[0.0] * (padded - width)] for name, value in vectors.items()}

    return {"norm_stats": {"state": entry(state), "actions": entry(action)}}
