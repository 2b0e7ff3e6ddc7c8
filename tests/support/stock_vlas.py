"""Stock SmolVLA and PI0 at a size for tests: folders in the formats that they start from, random and tiny.

SmolVLA takes its geometry from the folder that `--policy.vlm_model_name` names; nothing is replaced.
PI0 knows two geometries of billions of weights; `small_pi0` replaces them, not its forwards.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.policies.pi0 import modeling_pi0
from lerobot.policies.pi_gemma import PaliGemmaForConditionalGenerationWithPiGemma, PiGemmaForCausalLM
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import GemmaConfig, PaliGemmaConfig, PreTrainedTokenizerFast
from transformers.models.smolvlm import (
    SmolVLMConfig,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

# What SmolVLM's tokenizer has beside text.
IMAGE_TOKENS = {
    "image_token": "<image>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
    "video_token": "<video>",
}
PALIGEMMA = "google/paligemma-3b-pt-224"


def byte_tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """A token per byte, padding 0, and further tokens by their attribute's name."""
    names = ["<pad>", "<eos>", "<bos>", "<unk>", *special.values()]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*names, *alphabet])}
    backend = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        extra_special_tokens=special,
    )


def write_smolvlm(folder: Path) -> Path:
    """A SmolVLM of 0.1 M weights as SmolVLA reads it: geometry, tokenizer and processors, no weights.

    Raises:
        ImportError: num2words is not installed.
    """
    tokenizer = byte_tokenizer(**IMAGE_TOKENS)
    text = {
        "model_type": "llama",
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "vocab_size": len(tokenizer),
        "pad_token_id": 0,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "patch_size": 16,
        "image_size": 64,
    }
    SmolVLMConfig(
        text_config=text,
        vision_config=vision,
        scale_factor=4,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    ).save_pretrained(folder)
    SmolVLMProcessor(SmolVLMImageProcessor(), tokenizer, SmolVLMVideoProcessor()).save_pretrained(folder)
    return folder


def write_paligemma_tokenizer(folder: Path) -> Path:
    """A tokenizer in `google/paligemma-3b-pt-224` below a folder, where PI0 finds it if started there."""
    byte_tokenizer().save_pretrained(folder / PALIGEMMA)
    return folder


class SmallPaliGemmaWithExpert(modeling_pi0.PaliGemmaWithExpertModel):
    """Stock forwards over a PaliGemma and an expert of two layers."""

    def __init__(
        self,
        vlm_config: Any,
        action_expert_config: Any,
        use_adarms: Any = None,
        precision: str = "bfloat16",
        image_size: int = 224,
        freeze_vision_encoder: bool = False,
        train_expert_only: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self.freeze_vision_encoder, self.train_expert_only = freeze_vision_encoder, train_expert_only
        heads = {"num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 16, "num_hidden_layers": 2}
        config = PaliGemmaConfig(
            projection_dim=64,
            hidden_size=64,
            image_token_index=299,
            vision_config={
                "hidden_size": 48,
                "intermediate_size": 96,
                "num_hidden_layers": 1,
                "num_attention_heads": 4,
                "patch_size": 56,
                "image_size": image_size,
                "vision_use_head": False,
            },
            text_config={**heads, "hidden_size": 64, "intermediate_size": 128, "vocab_size": 300},
        )
        config.text_config.use_adarms, config.text_config.adarms_cond_dim = False, None
        expert = GemmaConfig(
            **heads,
            hidden_size=action_expert_config.width,
            intermediate_size=128,
            vocab_size=8,
            hidden_activation="gelu_pytorch_tanh",
            use_adarms=False,
            adarms_cond_dim=None,
        )
        self.paligemma = PaliGemmaForConditionalGenerationWithPiGemma(config=config)
        self.gemma_expert = PiGemmaForCausalLM(config=expert)
        self.gemma_expert.model.embed_tokens = None
        self.to_bfloat16_for_selected_params(precision)
        self._set_requires_grad()


@contextlib.contextmanager
def small_pi0() -> Iterator[None]:
    """PI0 with small modules while the context lasts."""
    small = modeling_pi0.GemmaConfig(width=64, depth=2, mlp_dim=128, num_heads=8, num_kv_heads=1, head_dim=16)
    with (
        mock.patch.object(modeling_pi0, "PaliGemmaWithExpertModel", SmallPaliGemmaWithExpert),
        mock.patch.object(modeling_pi0, "get_gemma_config", return_value=small),
        torch.random.fork_rng(),
    ):
        yield


def write_base(folder: Path, config_class: Any, **fields: Any) -> Path:
    """A policy folder of 32 dims, trained on another robot, with random weights and both processors."""
    features = {
        f"observation.images.camera{i}": PolicyFeature(FeatureType.VISUAL, (3, 64, 64)) for i in (1, 2)
    }
    config = config_class(
        device="cpu",
        push_to_hub=False,
        input_features=features | {"observation.state": PolicyFeature(FeatureType.STATE, (6,))},
        output_features={"action": PolicyFeature(FeatureType.ACTION, (6,))},
        **fields,
    )
    get_policy_class(config.type)(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config):
        processor.save_pretrained(folder)
    return folder
