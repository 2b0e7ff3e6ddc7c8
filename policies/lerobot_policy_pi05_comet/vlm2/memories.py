"""Memories by name."""

from typing import Any

from lerobot_plugins.nn.precision import parse_dtype
from lerobot_policy_pi05_comet.vlm2.dual_memory import DualMemory
from lerobot_policy_pi05_comet.vlm2.hamlet import HamletMemory
from lerobot_policy_pi05_comet.vlm2.memory import Memory
from lerobot_policy_pi05_comet.vlm2.memory_vla import MemoryVLAMemory

MEMORIES = ("dual", "hamlet", "memory_vla", "none")


def make_memory(config: Any, width: int) -> Memory | None:
    """The memory of a configuration; None for `none`."""
    dtype = parse_dtype(config.memory_store_dtype)
    if config.memory == "none":
        return None
    if config.memory == "hamlet":
        return HamletMemory(width, config.memory_heads, history=config.memory_working, store_dtype=dtype)
    if config.memory == "memory_vla":
        return MemoryVLAMemory(
            width,
            slots=config.memory_episodic,
            tau=config.memory_tau,
            alpha=config.memory_alpha,
            store_dtype=dtype,
        )
    return DualMemory(
        width,
        config.memory_heads,
        config.memory_hidden,
        working=config.memory_working,
        episodic=config.memory_episodic,
        tau=config.memory_tau,
        alpha=config.memory_alpha,
        residual_mode=config.residual_mode,
        pool_to=config.memory_pool_tokens or None,
        views=len(config.spatial_cameras),
        store_dtype=dtype,
    )
