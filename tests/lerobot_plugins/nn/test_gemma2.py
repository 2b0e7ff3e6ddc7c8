"""PaliGemma 2: the encoder against transformers' own forward, with scores that the cap bends."""

import pytest
import torch
from tiny_paligemma import micro_geometry
from transformers import PaliGemmaModel

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.action_expert import ActionExpert
from lerobot_plugins.nn.paligemma import build_paligemma
from lerobot_plugins.nn.prefix_encoder import PrefixEncoder

# A window shorter than the prefix, which must not matter, and a low cap, which must.
GEMMA2 = {
    "model_type": "gemma2",
    "num_key_value_heads": 1,
    "query_pre_attn_scalar": 16,
    "sliding_window": 4,
    "attn_logit_softcapping": 2.0,
}
B, L = 2, 6


def model() -> PaliGemmaModel:
    torch.manual_seed(0)
    made = build_paligemma(micro_geometry(GEMMA2)).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "q_proj" in name or "k_proj" in name:
                parameter.mul_(20)
    made.set_attn_implementation("eager")
    return made


def observation() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask_BL = torch.ones(B, L, dtype=torch.bool)
    mask_BL[-1, 4:] = False
    image = torch.rand(B, 3, 32, 32, generator=generator) * 2 - 1
    return image, torch.randint(3, 250, (B, L), generator=generator), mask_BL


@torch.no_grad()
def test_hidden_states_equal_transformers():
    paligemma = model()
    image, tokens, mask = observation()
    prefix = PrefixEncoder(paligemma)([image], [None], tokens, mask)

    features = paligemma.get_image_features(pixel_values=image).pooler_output
    text = paligemma.get_input_embeddings()(tokens)
    visible = torch.cat([torch.ones(features.shape[:2], dtype=torch.bool), mask], 1)
    additive = torch.zeros(B, 1, 1, visible.shape[1]).masked_fill(
        ~visible[:, None, None], torch.finfo(torch.float32).min
    )
    expected = paligemma.language_model(
        inputs_embeds=torch.cat([features, text], 1),
        attention_mask=additive.expand(-1, 1, visible.shape[1], -1),
        position_ids=(visible.long().cumsum(1) - 1).clamp(min=0),
        use_cache=False,
    ).last_hidden_state
    real = visible[..., None]
    torch.testing.assert_close(prefix.hidden_BSD * real, expected * real, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_cap_matters():
    paligemma = model()
    image, tokens, mask = observation()
    encoder = PrefixEncoder(paligemma)
    capped = encoder([image], [None], tokens, mask).hidden_BSD
    for layer in paligemma.language_model.layers:
        layer.self_attn.attn_logit_softcapping = 1e6
    assert not torch.allclose(encoder([image], [None], tokens, mask).hidden_BSD, capped, atol=1e-2)


def test_the_expert_of_pi05_refuses_it():
    with pytest.raises(ZooError, match="gemma2"):
        ActionExpert("tiny", PrefixEncoder(model()))
