"""The prefix encoder against transformers' own forward, and what must not change its output.

Legend: B batch, V cameras, N tokens per picture, L prompt tokens, S prefix tokens.
"""

import copy

import pytest
import torch
from tiny_paligemma import tiny_model
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.paligemma import GEOMETRIES, build_paligemma, geometry_of
from lerobot_plugins.nn.precision import autocast, store_parameters
from lerobot_plugins.nn.prefix_encoder import PrefixEncoder, positions_from_mask

B, V, L = 2, 2, 7


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def shared(model) -> PrefixEncoder:
    """For tests that only read."""
    return PrefixEncoder(model).eval()


@pytest.fixture
def encoder(model) -> PrefixEncoder:
    """For tests that change it."""
    return PrefixEncoder(copy.deepcopy(model))


def observation(seed: int = 0, batch: int = B, cameras: int = V) -> dict[str, object]:
    generator = torch.Generator().manual_seed(seed)
    mask_BL = torch.ones(batch, L, dtype=torch.bool)
    mask_BL[-1, 4:] = False
    return {
        "images_BChw": [torch.rand(batch, 3, 64, 64, generator=generator) * 2 - 1 for _ in range(cameras)],
        "image_masks_B": [None] * cameras,
        "tokens_BL": torch.randint(3, 259, (batch, L), generator=generator),
        "token_mask_BL": mask_BL,
    }


def kept(prefix) -> Tensor:
    """Hidden states of the real tokens only."""
    return prefix.hidden_BSD[prefix.mask_BS]


# The same numbers as transformers.


@torch.no_grad()
@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_hidden_states_keys_and_values_equal_transformers(key_value_heads):
    geometry = copy.deepcopy(GEOMETRIES["tiny"])
    geometry["text_config"]["num_key_value_heads"] = key_value_heads
    model = build_paligemma(geometry).eval()
    shared = PrefixEncoder(model)
    given = observation()
    prefix = shared(**given, keys_values=True)

    pictures = torch.stack(given["images_BChw"], 1).flatten(0, 1)
    features = model.get_image_features(pixel_values=pictures).pooler_output.reshape(B, -1, shared.width)
    text = model.get_input_embeddings()(given["tokens_BL"])
    visible = torch.cat([torch.ones(features.shape[:2], dtype=torch.bool), given["token_mask_BL"]], 1)
    additive = torch.zeros(B, 1, 1, visible.shape[1]).masked_fill(
        ~visible[:, None, None], torch.finfo(torch.float32).min
    )
    expected = model.language_model(
        inputs_embeds=torch.cat([features, text], 1),
        attention_mask=additive.expand(-1, 1, visible.shape[1], -1),
        position_ids=(visible.long().cumsum(1) - 1).clamp(min=0),
        use_cache=True,
    )
    assert torch.equal(prefix.mask_BS, visible)
    torch.testing.assert_close(prefix.hidden_BSD, expected.last_hidden_state, atol=2e-6, rtol=1e-5)
    for (k, v), layer in zip(prefix.keys_values, expected.past_key_values.layers, strict=True):
        torch.testing.assert_close(k, layer.keys, atol=2e-6, rtol=1e-5)
        torch.testing.assert_close(v, layer.values, atol=2e-6, rtol=1e-5)


@torch.no_grad()
def test_keys_and_values_need_no_hidden_states(shared):
    given = observation()
    full, short = shared(**given, keys_values=True), shared(**given, keys_values=True, hidden=False)
    assert short.hidden_BSD is None
    assert len(short.keys_values) == shared.num_layers
    for whole, stopped in zip(full.keys_values, short.keys_values, strict=True):
        assert all(map(torch.equal, whole, stopped))
    assert shared(**given).keys_values == []


# What must not matter.


@torch.no_grad()
def test_a_masked_camera_equals_an_absent_one(shared):
    given = observation()
    masked = given | {"image_masks_B": [None, torch.zeros(B, dtype=torch.bool)]}
    absent = given | {"images_BChw": given["images_BChw"][:1], "image_masks_B": [None]}
    other = copy.deepcopy(masked)
    other["images_BChw"][1] = -other["images_BChw"][1]

    torch.testing.assert_close(kept(shared(**masked)), kept(shared(**absent)), atol=1e-6, rtol=0)
    assert torch.equal(kept(shared(**masked)), kept(shared(**other)))


@torch.no_grad()
def test_a_camera_may_be_masked_for_some_rows(shared):
    given = observation()
    part = shared(**given | {"image_masks_B": [None, torch.tensor([True, False])]})
    both = shared(**given)
    first = shared(**given | {"images_BChw": given["images_BChw"][:1], "image_masks_B": [None]})
    torch.testing.assert_close(part.hidden_BSD[0], both.hidden_BSD[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(
        part.hidden_BSD[1][part.mask_BS[1]], first.hidden_BSD[1][first.mask_BS[1]], atol=1e-6, rtol=0
    )


@torch.no_grad()
def test_padding_of_the_prompt_does_not_matter(shared):
    given = observation(batch=1)
    real = int(given["token_mask_BL"].sum())
    short = given | {
        "tokens_BL": given["tokens_BL"][:, :real],
        "token_mask_BL": given["token_mask_BL"][:, :real],
    }
    torch.testing.assert_close(kept(shared(**given)), kept(shared(**short)), atol=1e-6, rtol=0)

    other = given | {"tokens_BL": torch.where(given["token_mask_BL"], given["tokens_BL"], 99)}
    assert torch.equal(kept(shared(**given)), kept(shared(**other)))


@torch.no_grad()
def test_rows_do_not_see_each_other(shared):
    given = observation()
    whole = shared(**given)
    for row in range(B):
        alone = shared(
            [image[row : row + 1] for image in given["images_BChw"]],
            given["image_masks_B"],
            given["tokens_BL"][row : row + 1],
            given["token_mask_BL"][row : row + 1],
        )
        torch.testing.assert_close(kept(alone), whole.hidden_BSD[row][whole.mask_BS[row]], atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_last_prompt_token_reaches_the_first_picture_token(shared):
    given = observation()
    other = copy.deepcopy(given)
    other["tokens_BL"][0, -1] += 1
    change = (shared(**given).hidden_BSD - shared(**other).hidden_BSD).abs().amax(-1)
    assert (change[0] > 1e-5).all()
    assert change[1].max() == 0


@torch.no_grad()
def test_the_order_of_cameras_matters(shared):
    given = observation()
    swapped = shared(**given | {"images_BChw": given["images_BChw"][::-1]}).hidden_BSD
    assert not torch.allclose(shared(**given).hidden_BSD[:, -1], swapped[:, -1], atol=1e-4)


def test_positions_are_ranks_among_real_tokens():
    mask = torch.tensor([[1, 1, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0]]).bool()
    assert positions_from_mask(mask).tolist() == [[0, 1, 1, 1, 2, 3], [0, 0, 1, 2, 2, 2]]


# Wrong use.


def test_no_camera_is_refused(shared):
    with pytest.raises(ZooError, match="at least one camera"):
        shared(**observation() | {"images_BChw": [], "image_masks_B": []})


def test_a_camera_without_its_mask_entry_is_refused(shared):
    with pytest.raises(ZooError, match="2 pictures, 1 masks"):
        shared(**observation() | {"image_masks_B": [None]})


def test_a_transformers_release_that_scales_differently_is_refused(model):
    other = copy.deepcopy(model)
    other.language_model.embed_tokens.scalar_embed_scale = 1.0
    with pytest.raises(ZooError, match=r"transformers>=5\.4"):
        PrefixEncoder(other)


# Training.


def gradients(encoder: PrefixEncoder, **options: bool) -> dict[str, Tensor]:
    encoder.zero_grad()
    prefix = encoder(**observation(), keys_values=True, **options)
    loss = sum(k.square().mean() + v.square().mean() for k, v in prefix.keys_values)
    if prefix.hidden_BSD is not None:
        loss = loss + prefix.hidden_BSD.square().mean()
    loss.backward()
    return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}


def count_layer_calls(encoder: PrefixEncoder) -> dict[str, int]:
    """Forward calls per kind of layer, counted at their first norm: recomputation counts again."""
    calls = {"vision": 0, "language": 0}

    def counter(kind: str):
        def hook(*_: object) -> None:
            calls[kind] += 1

        return hook

    for layer in encoder.vision_tower.vision_model.encoder.layers:
        layer.layer_norm1.register_forward_hook(counter("vision"))
    for layer in encoder.language_model.layers:
        layer.input_layernorm.register_forward_hook(counter("language"))
    return calls


@pytest.mark.parametrize("hidden", [True, False])
def test_checkpointing_changes_no_gradient_and_recomputes_every_layer(encoder, hidden):
    plain = gradients(encoder.train(), hidden=hidden)
    calls = count_layer_calls(encoder)
    encoder.gradient_checkpointing = True
    again = gradients(encoder, hidden=hidden)
    assert calls == {"vision": 2 * 2, "language": 2 * 3}
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_checkpointing_recomputes_nothing_that_is_frozen(encoder):
    encoder.freeze(vision_tower=True, projector=False, language_model=False, embeddings=False).train()
    encoder.gradient_checkpointing = True
    calls = count_layer_calls(encoder)
    gradients(encoder)
    assert calls == {"vision": 2, "language": 2 * 3}


def test_without_gradients_nothing_is_recomputed(encoder):
    encoder.train().gradient_checkpointing = True
    calls = count_layer_calls(encoder)
    with torch.no_grad():
        encoder(**observation())
    assert calls == {"vision": 2, "language": 3}


FREEZE_CASES = {
    "vision": ("vision_tower",),
    "language": ("language_model", "projector"),
    "table": ("embeddings",),
    "all": ("vision_tower", "projector", "language_model", "embeddings"),
}


@pytest.mark.parametrize("case", FREEZE_CASES)
def test_frozen_parts_do_not_move(encoder, case):
    frozen = FREEZE_CASES[case]
    flags = dict.fromkeys(("vision_tower", "projector", "language_model", "embeddings"), False)
    encoder.freeze(**flags | dict.fromkeys(frozen, True)).train()
    still = {
        "vision_tower": "vision_tower.",
        "projector": "multi_modal_projector.",
        "language_model": "language_model.",
        "embeddings": "language_model.embed_tokens.",
    }
    prefixes = tuple(still[part] for part in frozen)
    before = copy.deepcopy(encoder.state_dict())
    if case != "all":
        trainable = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=1e-2)
        for _ in range(2):
            gradients(encoder)
            optimizer.step()
    moved = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    expected = {name for name in before if not name.startswith(prefixes)}
    # Keys at every position move alike under softmax: their bias has no gradient.
    assert expected - moved <= {name for name in expected if "k_proj.bias" in name}
    assert moved <= expected


def test_nothing_is_kept_for_a_frozen_tower(encoder):
    encoder.freeze(vision_tower=True, projector=True, language_model=False, embeddings=True).train()
    encoder.gradient_checkpointing = True
    given = observation()
    tokens, _ = encoder.embed_images(given["images_BChw"], given["image_masks_B"])
    assert not tokens.requires_grad


def test_frozen_parts_stay_in_evaluation_mode(encoder):
    encoder.freeze(vision_tower=True, projector=False, language_model=False, embeddings=True)
    encoder.eval().train()
    assert not encoder.vision_tower.training
    assert not encoder.language_model.embed_tokens.training
    assert encoder.language_model.layers[0].training


def test_gradients_pass_through_a_frozen_language_model(encoder):
    encoder.freeze(vision_tower=False, projector=False, language_model=True, embeddings=True).train()
    found = gradients(encoder)
    assert found["vision_tower.vision_model.embeddings.patch_embedding.weight"].abs().sum() > 0


# Precision.


def test_buffers_stay_float32():
    encoder = PrefixEncoder(build_paligemma(geometry_of("tiny", "scratch")))
    encoder.requires_grad_(False)
    store_parameters(encoder, torch.bfloat16)
    encoder.to("cpu")
    floating = {name: b.dtype for name, b in encoder.named_buffers() if b.is_floating_point()}
    assert floating
    assert set(floating.values()) == {torch.float32}
    whole = {name for name, value in encoder.named_parameters() if value.dtype == torch.float32}
    assert {name.split(".")[-2] for name in whole} == {"patch_embedding", "position_embedding"}


@torch.no_grad()
@pytest.mark.parametrize("frozen", [True, False], ids=["bfloat16 weights", "float32 weights"])
def test_bfloat16_stays_near_float32(encoder, frozen):
    given = observation()
    exact = encoder.eval()(**given, keys_values=True)
    encoder.requires_grad_(not frozen)
    store_parameters(encoder, torch.bfloat16)
    with autocast(torch.device("cpu"), torch.bfloat16):
        rough = encoder(**given, keys_values=True)
    assert rough.keys_values[0][0].dtype == torch.bfloat16
    relative = (kept(rough).float() - kept(exact)).norm() / kept(exact).norm()
    assert relative < 0.02
