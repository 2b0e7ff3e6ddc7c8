"""Our pi0.5 network against LeRobot's: identical weights, pictures, tokens, noise and times."""

import pytest
import torch
from lerobot.policies.common.vla_utils import make_att_2d_masks, prepare_attention_masks_4d
from stock_pi05 import CHUNK, observation, stock_and_ours
from torch import Tensor

from lerobot_plugins.nn.flow_matching import euler_integrate, flow_pair
from lerobot_plugins.nn.pi05 import PI05Network
from lerobot_plugins.nn.precision import store_for_inference
from lerobot_plugins.nn.prefix_encoder import positions_from_mask

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def networks():
    return stock_and_ours()


@pytest.fixture(scope="module")
def given():
    return observation()


def prefix_of(ours: PI05Network, given: dict, pruned: bool = True):
    """Pruned: without the absent camera and the columns that are padding in every row."""
    if not pruned:
        images, masks, length = given["images"], given["image_masks"], given["tokens"].shape[1]
    else:
        images, masks = given["images"][:-1], [None] * (len(given["images"]) - 1)
        length = int(given["token_mask"].sum(1).max())
    return ours.encoder(
        images,
        masks,
        given["tokens"][:, :length],
        given["token_mask"][:, :length],
        keys_values=True,
        hidden=False,
    )


def our_velocity(ours: PI05Network, given: dict, pruned: bool = True, scale: float = 1.0) -> Tensor:
    x, _ = flow_pair(given["action"], given["noise"], given["time"])
    context = ours.context(prefix_of(ours, given, pruned), CHUNK, scale)
    return ours.velocity(x, ours.modulations(given["time"]), context)


def stock_loss(stock, given: dict) -> Tensor:
    return stock(
        given["images"],
        given["image_masks"],
        given["tokens"],
        given["token_mask"],
        given["action"],
        given["noise"],
        given["time"],
    )


def our_loss(ours: PI05Network, given: dict, **options) -> Tensor:
    target = given["noise"] - given["action"]
    return (our_velocity(ours, given, **options) - target).square()


@pytest.mark.parametrize("pruned", [False, True])
def test_prefix_keys_and_values(networks, given, pruned):
    """Those of the tokens that are real: stock computes and masks the others."""
    stock, ours = networks
    with torch.no_grad():
        prefix = prefix_of(ours, given, pruned)
        embeddings, pad, attention = stock.embed_prefix(
            given["images"], given["image_masks"], given["tokens"], given["token_mask"]
        )
        stock.paligemma_with_expert.paligemma.model.language_model.config._attn_implementation = "eager"
        _, cache = stock.paligemma_with_expert(
            attention_mask=prepare_attention_masks_4d(make_att_2d_masks(pad, attention)),
            position_ids=torch.cumsum(pad, dim=1) - 1,
            inputs_embeds=[embeddings, None],
            use_cache=True,
        )
    assert len(prefix.keys_values) == len(cache.layers) == 4
    for (k, v), layer in zip(prefix.keys_values, cache.layers, strict=True):
        for mine, theirs in ((k, layer.keys), (v, layer.values)):
            for row in range(len(pad)):
                torch.testing.assert_close(
                    mine[row][:, prefix.mask_BS[row]], theirs[row][:, pad[row]], **TOLERANCE
                )


def test_who_sees_whom():
    """O7 of the pi0.5 study: token i sees j iff both are real and cumsum(block)[j] <= cumsum(block)[i].

    The suffix opens a block, so real prefix tokens see the prefix and suffix tokens see everything real: what
    a prefix on its own and a suffix attending to it compute.
    """
    block = torch.tensor([0, 0, 1, 1, 1, 0])
    real = torch.tensor([1, 1, 1, 0, 1, 1]).bool()
    rank = block.cumsum(0)
    sees = (rank[None] <= rank[:, None]) & real[None] & real[:, None]
    rows = ["".join(map(str, row)) for row in sees.int().tolist()]
    assert rows == ["110000", "110000", "111000", "000000", "111011", "111011"]
    assert positions_from_mask(real[None])[0, real].tolist() == [0, 1, 2, 3, 4]

    block, real = torch.tensor([0, 0, 0, 1, 0, 0]), torch.tensor([1, 1, 0, 1, 1, 1]).bool()
    rank = block.cumsum(0)
    sees = (rank[None] <= rank[:, None]) & real[None] & real[:, None]
    assert torch.equal(sees[:2], torch.tensor([1, 1, 0, 0, 0, 0]).bool().expand(2, 6))
    assert torch.equal(sees[3:], real.expand(3, 6))


@pytest.mark.parametrize("pruned", [False, True])
def test_what_action_tokens_see_and_where_they_stand(networks, given, pruned):
    """The same rule, of the mask and the positions that the network makes."""
    _, ours = networks
    with torch.no_grad():
        prefix = prefix_of(ours, given, pruned)
        context = ours.context(prefix, CHUNK)
    real = torch.nn.functional.pad(prefix.mask_BS, (0, CHUNK), value=True)
    block = torch.zeros_like(real, dtype=torch.long)
    block[:, -CHUNK] = 1
    sees = make_att_2d_masks(real, block)[:, -CHUNK:]
    assert torch.equal(context.visible_B1HT[:, 0].expand_as(sees), sees)
    cos, sin = ours.encoder.language_model.rotary_emb(given["noise"], (real.cumsum(1) - 1)[:, -CHUNK:])
    assert torch.equal(context.cos_BHE, cos)
    assert torch.equal(context.sin_BHE, sin)


@pytest.mark.parametrize("pruned", [False, True])
def test_loss(networks, given, pruned):
    stock, ours = networks
    with torch.no_grad():
        torch.testing.assert_close(
            our_loss(ours, given, pruned=pruned), stock_loss(stock, given), **TOLERANCE
        )


def test_gradients(given):
    """Of every weight. Stock's last prefix layer computes outputs that nothing reads: no gradient there."""
    stock, ours = stock_and_ours()
    stock_loss(stock, given).mean().backward()
    our_loss(ours, given).mean().backward()
    theirs = {name: p.grad for name, p in stock.named_parameters()}
    compared = 0
    for name, parameter in ours.named_parameters():
        expected = theirs[name]
        if parameter.grad is None:
            assert expected is None or not expected.any(), name
            continue
        torch.testing.assert_close(parameter.grad, expected, **TOLERANCE, msg=name)
        compared += 1
    assert compared > 100


@pytest.mark.parametrize("steps", [1, 10])
def test_sampled_actions(networks, given, steps):
    stock, ours = networks
    expected = stock.sample_actions(
        given["images"], given["image_masks"], given["tokens"], given["token_mask"], given["noise"], steps
    )
    with torch.inference_mode():
        actions = ours.sample(prefix_of(ours, given), given["noise"], steps)
    torch.testing.assert_close(actions, expected, **TOLERANCE)


def test_tabulated_times_buffers_and_fused_projections_change_nothing(networks, given):
    """Sampling's shortcuts against the plain velocity of training, step by step."""
    _, ours = networks
    plain = euler_integrate(
        lambda x, time: ours.velocity(
            x, ours.modulations(time), ours.context(prefix_of(ours, given), CHUNK)
        ).detach(),
        given["noise"],
        10,
    )
    with torch.no_grad():
        quick = ours.sample(prefix_of(ours, given), given["noise"], 10)
    assert (quick - plain).norm() / plain.norm() < 2e-6


@pytest.mark.slow
def test_a_compiled_step_changes_nothing(networks, given):
    """One graph without breaks; compilation takes about half a minute."""
    _, ours = networks
    _, compiled = stock_and_ours()
    compiled.compile_step("default")
    with torch.no_grad():
        plain = ours.sample(prefix_of(ours, given), given["noise"], 10)
        quick = compiled.sample(prefix_of(compiled, given), given["noise"], 10)
    assert (quick - plain).norm() / plain.norm() < 2e-6


def test_training_goes_on_after_sampling(given):
    """Fused projections share memory with the weights; both must follow the optimizer."""
    _, ours = stock_and_ours()
    with torch.inference_mode():
        before = ours.sample(prefix_of(ours, given), given["noise"], 2)
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    our_loss(ours, given).mean().backward()
    optimizer.step()
    _, fresh = stock_and_ours()
    fresh.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        after = ours.sample(prefix_of(ours, given), given["noise"], 2)
        torch.testing.assert_close(after, fresh.sample(prefix_of(fresh, given), given["noise"], 2))
    assert not torch.allclose(before, after)


@pytest.mark.parametrize("scale", [0.0, 0.25, 1.0])
def test_gradient_scale_acts_on_the_prefix_alone(given, scale):
    _, ours = stock_and_ours()

    def gradients(value: float) -> dict[str, Tensor]:
        ours.zero_grad()
        our_loss(ours, given, scale=value).mean().backward()
        return {n: p.grad.clone() for n, p in ours.named_parameters() if p.grad is not None}

    full, scaled = gradients(1.0), gradients(scale)
    for name, gradient in full.items():
        if ".paligemma." not in name:
            torch.testing.assert_close(scaled[name], gradient)
        elif scale == 0.0:
            assert name not in scaled
        else:
            torch.testing.assert_close(scaled[name], gradient * scale)


def test_checkpointing_changes_no_gradient(given):
    _, ours = stock_and_ours()
    our_loss(ours, given).mean().backward()
    plain = {n: p.grad.clone() for n, p in ours.named_parameters() if p.grad is not None}
    ours.zero_grad()
    ours.encoder.gradient_checkpointing = ours.expert.gradient_checkpointing = True
    our_loss(ours, given).mean().backward()
    for name, gradient in plain.items():
        assert torch.equal(ours.get_parameter(name).grad, gradient), name


def test_bfloat16_stays_close(networks, given):
    """Cosine with float32 at least 0.9999, in training's autocast and with weights stored for inference."""
    _, ours = networks
    with torch.inference_mode():
        expected = ours.sample(prefix_of(ours, given), given["noise"], 10)
    _, half = stock_and_ours()
    for store in (False, True):
        if store:
            store_for_inference(half, torch.bfloat16)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            got = half.sample(prefix_of(half, given), given["noise"], 10)
        assert got.dtype == torch.float32
        assert torch.cosine_similarity(got.flatten(), expected.flatten(), dim=0) > 0.9999


@pytest.mark.parametrize("stored", [False, True], ids=["masters", "stored for inference"])
def test_patches_and_action_tokens_are_embedded_in_float32(given, stored):
    """As in openpi, whose weights were trained that way."""
    _, exact = stock_and_ours()
    _, rough = stock_and_ours()
    if stored:
        store_for_inference(rough, torch.bfloat16)
    seen: dict[str, list[Tensor]] = {"patches": [], "actions": []}
    for network in (exact, rough):
        for name, layer in (
            ("patches", network.encoder.vision_tower.vision_model.embeddings),
            ("actions", network.action_in_proj),
        ):
            layer.register_forward_hook(lambda _m, _i, out, name=name: seen[name].append(out))
    with torch.no_grad():
        our_velocity(exact, given)
        with torch.autocast("cpu", torch.bfloat16):
            our_velocity(rough, given)
    for expected, got in seen.values():
        assert torch.equal(got, expected)
