"""Text behind a prefix: learned with teacher forcing, written row by row.

Legend: B rows, S prefix tokens, L tokens of text, D language width.
"""

import pytest
import torch
from tiny_paligemma import tiny_model

from lerobot_plugins.nn.flow_matching import weighted_mean
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder
from lerobot_plugins.nn.text_head import learn_text, write_text

B, S, D, BOS, EOS, ROOM = 3, 9, 128, 2, 1, 7


@pytest.fixture(scope="module")
def encoder() -> PrefixEncoder:
    return PrefixEncoder(tiny_model()).eval()


def observed(encoder: PrefixEncoder, rows: slice = slice(None)) -> tuple[torch.Tensor, torch.Tensor, Prefix]:
    x_BSD = torch.randn(B, S, D, generator=torch.Generator().manual_seed(1))[rows]
    mask_BS = (torch.arange(S) < torch.tensor([[S], [5], [7]]))[rows]
    return x_BSD, mask_BS, encoder.encode(x_BSD, mask_BS, keys_values=True, hidden=False)


@torch.no_grad()
def test_a_row_writes_what_it_would_write_alone_whatever_the_others_do(encoder):
    """Also beside rows whose text is given and ends earlier or later."""
    given = [None, [9], [9, 8, 7, 6]]
    texts, prefix = write_text(encoder, observed(encoder)[2], BOS, EOS, ROOM, given)
    assert texts[1:] == given[1:]
    alone, own = write_text(encoder, observed(encoder, slice(0, 1))[2], BOS, EOS, ROOM, [None])
    assert texts[0] == alone[0]
    assert 1 <= len(texts[0]) <= ROOM - 2
    lengths = [len(text) + 2 for text in texts]
    assert prefix.mask_BS[:, S:].sum(dim=1).tolist() == lengths
    length = own.mask_BS.shape[1]
    for (k, _), (mine, _) in zip(prefix.keys_values, own.keys_values, strict=True):
        torch.testing.assert_close(k[:1, :, :length], mine, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_it_writes_is_what_learning_finds_likeliest(encoder):
    x_BSD, mask_BS, prefix = observed(encoder)
    texts, written = write_text(encoder, prefix, BOS, EOS, ROOM, [None] * B)
    ids_BL = torch.zeros(B, written.mask_BS.shape[1] - S, dtype=torch.long)
    for ids_L, text in zip(ids_BL, texts, strict=True):
        ids_L[: len(text) + 2] = torch.tensor([BOS, *text, EOS])
    errors, _ = learn_text(encoder, x_BSD, mask_BS, ids_BL, written.mask_BS[:, S:])
    # The last place is an EOS whether or not it is the likeliest.
    for right_L, text in zip(errors.right_BL, texts, strict=True):
        assert right_L[1 : len(text)].all()


def test_errors_are_averaged_over_the_tokens_of_the_batch():
    """Not over the means of its rows, which would be 5."""
    error_BL = torch.tensor([[2.0, 2, 2, 2], [0, 0, 0, 8]])
    real_BL = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 1]])
    assert weighted_mean(error_BL, real_BL, keep_batch=False).item() == pytest.approx(3.2)
