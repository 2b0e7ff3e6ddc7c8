"""Text behind a prefix: in one pass, and written a few tokens at a time.

Legend: B rows, S prefix tokens, L tokens of text, D language width.
"""

import pytest
import torch
import torch.nn.functional as F
from tiny_paligemma import tiny_model
from torch import Tensor

from lerobot_plugins.nn.cached_decoding import CachedDecoder
from lerobot_plugins.nn.paligemma import build_paligemma, geometry_of
from lerobot_plugins.nn.precision import autocast
from lerobot_plugins.nn.prefix_encoder import (
    Prefix,
    PrefixEncoder,
    language_layer,
    positions_from_mask,
)

B, S, L, D = 3, 9, 6, 128


@pytest.fixture(scope="module")
def encoder() -> PrefixEncoder:
    return PrefixEncoder(tiny_model()).eval()


def embedded(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Prefix tokens (B, S, D) with padding at the end of each row, and text (B, L, D)."""
    generator = torch.Generator().manual_seed(seed)
    mask_BS = torch.arange(S) < torch.tensor([[S], [5], [7]])
    return (
        torch.randn(B, S, D, generator=generator),
        mask_BS,
        torch.randn(B, L, D, generator=generator),
    )


def in_one_pass(encoder: PrefixEncoder, prefix_BSD: Tensor, mask_BS: Tensor, text_BLD: Tensor) -> Prefix:
    mask = F.pad(mask_BS, (0, L), value=True)
    return encoder.encode(torch.cat([prefix_BSD, text_BLD], dim=1), mask, keys_values=True, causal=L)


@torch.no_grad()
def test_the_prefix_does_not_see_the_text(encoder):
    prefix_BSD, mask_BS, text_BLD = embedded()
    alone = encoder.encode(prefix_BSD, mask_BS, keys_values=True).keys_values
    together = in_one_pass(encoder, prefix_BSD, mask_BS, text_BLD).keys_values
    for own, joint in zip(alone, together, strict=True):
        for mine, theirs in zip(own, joint, strict=True):
            rows = [part.transpose(1, 2)[:, :S][mask_BS] for part in (theirs, mine)]
            torch.testing.assert_close(*rows, rtol=0, atol=2e-6)


@torch.no_grad()
def test_the_last_layer_computes_the_text_alone(encoder):
    """Against whole layers with a literal mask: the prefix sees itself, text what is before it."""
    prefix_BSD, mask_BS, text_BLD = embedded()
    seen = in_one_pass(encoder, prefix_BSD, mask_BS, text_BLD).hidden_BSD
    assert seen.shape == (B, L, D)
    x = torch.cat([prefix_BSD, text_BLD], dim=1)
    mask = F.pad(mask_BS, (0, L), value=True)
    cos, sin = encoder.language_model.rotary_emb(x, positions_from_mask(mask))
    place = torch.arange(S + L)
    visible = mask[:, None, None] & ((place < S) | (place <= place[:, None]))
    for layer in encoder.language_model.layers:
        x, _, _ = language_layer(layer, x, visible, cos, sin)
    torch.testing.assert_close(seen, encoder.language_model.norm(x)[:, S:], rtol=0, atol=5e-6)


@torch.no_grad()
def test_text_sees_what_is_before_it_and_nothing_after(encoder):
    prefix_BSD, mask_BS, text_BLD = embedded()
    before = in_one_pass(encoder, prefix_BSD, mask_BS, text_BLD).hidden_BSD
    changed = text_BLD.clone()
    changed[:, 3] += 1
    after = in_one_pass(encoder, prefix_BSD, mask_BS, changed).hidden_BSD
    moved_BL = (after - before).abs().amax(dim=-1) > 1e-4
    assert moved_BL.tolist() == [[False] * 3 + [True] * 3] * B


@torch.no_grad()
@pytest.mark.parametrize("groups", [[1] * L, [4, 2], [2, 1, 1, 2], [L]], ids=str)
def test_written_in_groups_it_equals_one_pass(encoder, groups):
    prefix_BSD, mask_BS, text_BLD = embedded()
    expected = in_one_pass(encoder, prefix_BSD, mask_BS, text_BLD).hidden_BSD
    prefix = encoder.encode(prefix_BSD, mask_BS, keys_values=True, hidden=False)
    decoder = CachedDecoder(encoder, prefix, L)
    written = torch.cat([decoder.feed(part) for part in text_BLD.split(groups, dim=1)], dim=1)
    torch.testing.assert_close(written, expected, rtol=0, atol=5e-6)


@torch.no_grad()
def test_rows_are_written_as_if_alone_and_unpadded(encoder):
    prefix_BSD, mask_BS, text_BLD = embedded()
    prefix = encoder.encode(prefix_BSD, mask_BS, keys_values=True, hidden=False)
    together = CachedDecoder(encoder, prefix, L).feed(text_BLD)
    for row in range(B):
        real = int(mask_BS[row].sum())
        own = encoder.encode(
            prefix_BSD[row : row + 1, :real], mask_BS[row : row + 1, :real], keys_values=True, hidden=False
        )
        alone = CachedDecoder(encoder, own, L).feed(text_BLD[row : row + 1])
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=5e-6)


@torch.no_grad()
@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_any_number_of_key_value_heads(key_value_heads):
    geometry = geometry_of("tiny", "scratch")
    geometry["text_config"]["num_key_value_heads"] = key_value_heads
    encoder = PrefixEncoder(build_paligemma(geometry)).eval()
    prefix_BSD, mask_BS, text_BLD = embedded()
    expected = in_one_pass(encoder, prefix_BSD, mask_BS, text_BLD).hidden_BSD
    prefix = encoder.encode(prefix_BSD, mask_BS, keys_values=True, hidden=False)
    decoder = CachedDecoder(encoder, prefix, L)
    written = torch.cat([decoder.feed(part) for part in text_BLD.split(2, dim=1)], dim=1)
    torch.testing.assert_close(written, expected, rtol=0, atol=5e-6)


@torch.no_grad()
def test_the_prefix_is_left_as_it_is(encoder):
    prefix_BSD, mask_BS, text_BLD = embedded()
    prefix = encoder.encode(prefix_BSD, mask_BS, keys_values=True, hidden=False)
    before = [k.clone() for k, _ in prefix.keys_values]
    CachedDecoder(encoder, prefix, L).feed(text_BLD)
    assert all(torch.equal(k, kept) for (k, _), kept in zip(prefix.keys_values, before, strict=True))


def test_more_tokens_than_announced_are_a_mistake(encoder):
    prefix_BSD, mask_BS, text_BLD = embedded()
    with torch.no_grad():
        prefix = encoder.encode(prefix_BSD, mask_BS, keys_values=True, hidden=False)
        decoder = CachedDecoder(encoder, prefix, L - 1)
        with pytest.raises(AssertionError, match="room"):
            decoder.feed(text_BLD)


@torch.no_grad()
def test_bfloat16_stays_close(encoder):
    prefix_BSD, mask_BS, text_BLD = embedded()
    expected = in_one_pass(encoder, prefix_BSD, mask_BS, text_BLD).hidden_BSD
    with autocast(torch.device("cpu"), torch.bfloat16):
        prefix = encoder.encode(prefix_BSD.bfloat16(), mask_BS, keys_values=True, hidden=False)
        written = CachedDecoder(encoder, prefix, L).feed(text_BLD)
    assert F.cosine_similarity(written.float().flatten(), expected.flatten(), dim=0) > 0.999


def test_gradients_flow_through_causal_text(encoder):
    prefix_BSD, mask_BS, text_BLD = embedded()
    prefix_BSD.requires_grad_(True)
    in_one_pass(encoder, prefix_BSD, mask_BS, text_BLD).hidden_BSD.square().sum().backward()
    assert prefix_BSD.grad[mask_BS].abs().min() > 0
    assert not prefix_BSD.grad[~mask_BS].any()
