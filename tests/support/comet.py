"""A tiny `pi05_comet` for the stock commands, and what its checkpoints normalise with."""

from pathlib import Path
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.policies import make_pre_post_processors

NETWORK = ("--policy.paligemma_variant=tiny", "--policy.action_expert_variant=tiny")
SHORT_CHUNKS = ("--policy.chunk_size=8", "--policy.n_action_steps=8")
CPU = ("--policy.device=cpu", "--policy.dtype=float32", "--policy.push_to_hub=false")
COMET = (
    "--policy.type=pi05_comet",
    *NETWORK,
    *SHORT_CHUNKS,
    *CPU,
    "--policy.scheduler_warmup_steps=2",
)
# The host advances torch's global generator while it sets up; nothing of ours draws from it.
HOST_GENERATOR = "training_state/rng_state.safetensors:torch_rng_state"


def normalizer_of(policy: Path) -> Any:
    """The step that normalises state and action, as a checkpoint stores it."""
    before, _ = make_pre_post_processors(PreTrainedConfig.from_pretrained(policy), str(policy))
    return next(step for step in before.steps if hasattr(step, "stats_hash"))
