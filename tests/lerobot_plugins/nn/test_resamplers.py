"""Vision resamplers: how many tokens they make, what they start as, that pictures keep to themselves.

Legend: P pictures, N tokens per picture, F tower width, M tokens out, D language width.
"""

import pytest
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.resamplers import RESAMPLERS, make_resampler

P, N, F, M, D = 3, 16, 12, 4, 32


def resampler(kind: str, **changes: object):
    torch.manual_seed(0)
    options = {
        "vision_width": F,
        "width": D,
        "tokens_per_picture": N,
        "num_tokens": M,
        "depth": 2,
        "hidden": None,
    }
    return make_resampler(kind, **options | changes)


def picture(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(P, N, F, generator=generator), 3 * torch.randn(P, N, D, generator=generator)


def awake(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return module


@pytest.mark.parametrize(("kind", "tokens"), [("mlp", N), ("pool", M), ("perceiver", M)])
def test_shapes(kind, tokens):
    assert resampler(kind)(*picture()).shape == (P, tokens, D)


def test_none_is_no_module():
    assert resampler("none") is None


def test_the_mlp_starts_as_the_projector():
    features, tokens = picture()
    fresh = resampler("mlp")
    assert torch.equal(fresh(features, tokens), tokens)
    assert not torch.allclose(awake(fresh)(features, tokens), tokens, atol=1e-2)


def test_pooling_is_the_mean_over_blocks():
    tokens = torch.arange(16.0).view(1, 16, 1)  # a grid of 4 x 4, row by row
    expected = [2.5, 4.5, 10.5, 12.5]
    assert resampler("pool", width=1)(tokens, tokens).flatten().tolist() == expected
    assert resampler("pool", num_tokens=1)(tokens, tokens).flatten().tolist() == [7.5]


def test_the_perceiver_speaks_at_the_tokens_scale():
    features, tokens = picture()
    tokens = tokens * torch.tensor([0.1, 1.0, 20.0])[:, None, None]
    made = resampler("perceiver")(features, tokens)
    rms = made.square().mean((1, 2)).sqrt() / tokens.square().mean((1, 2)).sqrt()
    torch.testing.assert_close(rms, torch.ones(P), atol=1e-3, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mlp", "pool", "perceiver"])
def test_pictures_do_not_see_each_other(kind):
    module = awake(resampler(kind)) if kind != "pool" else resampler(kind)
    features, tokens = picture()
    whole = module(features, tokens)
    for row in range(P):
        alone = module(features[row : row + 1], tokens[row : row + 1])
        torch.testing.assert_close(alone[0], whole[row], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(whole[0], whole[1], atol=1e-3)


@pytest.mark.parametrize("kind", ["mlp", "perceiver"])
def test_every_weight_gets_a_gradient(kind):
    module = awake(resampler(kind))
    module(*picture()).square().mean().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("tokens", [16, 64, 8, 9, 0])
def test_what_cannot_be_pooled_is_refused_with_what_can(tokens):
    with pytest.raises(ZooError, match=r"16 tokens cannot be pooled(.|\n)*one of 4, 1"):
        resampler("pool", num_tokens=tokens)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ZooError, match=", ".join(RESAMPLERS)):
        resampler("qformer")
