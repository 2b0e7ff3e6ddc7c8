"""How other writers call the tensors of a pi0.5 network, and what this project calls them.

Ours are the names of LeRobot's stock `pi05`: `model.paligemma_with_expert...`, `model.action_in_proj...`.
openpi's PyTorch files lack the prefix `model.`;
its oldest ones nest PaliGemma as transformers did before 4.52.
"""

import re

from lerobot_plugins.errors import ZooError

PALIGEMMA = "model.paligemma_with_expert.paligemma"
EXPERT = "model.paligemma_with_expert.gemma_expert"
EMBEDDING = f"{PALIGEMMA}.model.language_model.embed_tokens.weight"
LM_HEAD = f"{PALIGEMMA}.lm_head.weight"
EXPERT_LM_HEAD = f"{EXPERT}.lm_head.weight"
PROJECTIONS = ("action_in_proj", "action_out_proj", "time_mlp_in", "time_mlp_out")

# The language head is the transposed embedding. Of the two shared tensors safetensors keeps one name.
TIES = {LM_HEAD: EMBEDDING}
# Stored under this very name it comes from LeRobot's `pi05`, which does not tie the two and never uses its
# head: where such a file has both, training has moved the embedding alone.
UNTIED = frozenset({LM_HEAD})

_WITHOUT_PREFIX = ("paligemma_with_expert.", *(f"{name}." for name in PROJECTIONS))
_OLD_LAYOUT = {
    f"{PALIGEMMA}.language_model.model.": f"{PALIGEMMA}.model.language_model.",
    f"{PALIGEMMA}.language_model.lm_head.": f"{PALIGEMMA}.lm_head.",
    f"{PALIGEMMA}.vision_tower.": f"{PALIGEMMA}.model.vision_tower.",
    f"{PALIGEMMA}.multi_modal_projector.": f"{PALIGEMMA}.model.multi_modal_projector.",
}
_ONLY_IN_PI0 = re.compile(
    r"(model\.)?(state_proj|action_time_mlp_(in|out))\.|"
    r".*gemma_expert\.model\.(layers\.\d+\.(input|post_attention)_layernorm|norm)\.weight$"
)


def rename(stored: str) -> str | None:
    """Our name of a stored tensor; None for the expert's language head, which no computation uses.

    Raises:
        ZooError: The tensor belongs to pi0, another architecture.
    """
    if _ONLY_IN_PI0.match(stored):
        raise pi0_error(stored)
    name = f"model.{stored}" if stored.startswith(_WITHOUT_PREFIX) else stored
    for old, new in _OLD_LAYOUT.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
    return None if name == EXPERT_LM_HEAD else name


def openpi_name(name: str) -> str:
    """What openpi's PyTorch files call one of our tensors; the embedding is stored as the language head."""
    return (LM_HEAD if name == EMBEDDING else name).removeprefix("model.")


def pi0_error(tensor: str) -> ZooError:
    """The refusal of a pi0 checkpoint, by the tensor that gives it away."""
    return ZooError(
        "the checkpoint is a pi0 network, not pi0.5",
        got=f"the tensor {tensor}, which pi0.5 does not have",
        expected="time through adaptive RMS norms (`...layernorm.dense`) and the state in the prompt",
        do="use a pi0.5 checkpoint (openpi: pi05_base, pi05_libero, ...); "
        "pi0 runs as LeRobot's --policy.type=pi0",
    )
