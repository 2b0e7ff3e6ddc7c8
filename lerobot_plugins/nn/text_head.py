"""Text that a language model writes behind a prefix, for whoever reads the prefix afterwards.

    prefix (bidirectional) | <bos> text <eos> (causal)

In training and when writing the text begins behind a BOS that is fed, is causal, and ends with an EOS that is
fed too: an expert that reads the keys and values sees the same tokens either way. Each row stops at its own
EOS; what comes after it is masked. The head is the token table, as Gemma's is.

Legend: B batch, S prefix tokens, L text tokens, N supervised tokens, D language width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lerobot_plugins.nn.cached_decoding import CachedDecoder
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder


def vocabulary_logits(encoder: PrefixEncoder, hidden_ND: Tensor) -> Tensor:
    """Logits of the whole vocabulary for last hidden states, (N, V) in the dtype of the products."""
    return F.linear(hidden_ND, encoder.language_model.embed_tokens.weight)


@dataclass
class TextErrors:
    """Errors of the tokens that follow another, so of all but the BOS.

    Attributes:
        error_BL: Cross-entropies, float32, 0 behind a text's end; (B, L - 1).
        real_BL: True where a token is supervised: the text and its EOS.
        right_BL: True where the likeliest token is the right one.
    """

    error_BL: Tensor
    real_BL: Tensor
    right_BL: Tensor


def learn_text(
    encoder: PrefixEncoder, x_BSD: Tensor, mask_BS: Tensor, ids_BL: Tensor, text_mask_BL: Tensor
) -> tuple[TextErrors, Prefix]:
    """Encode a prefix with its text, and the errors of predicting the text.

    Args:
        encoder: The language model.
        x_BSD: Embedded prefix.
        mask_BS: Its real tokens.
        ids_BL: BOS, text, EOS, padded on the right.
        text_mask_BL: True where these are real.

    Returns:
        The errors, and prefix and text with keys and values.
    """
    real_BL = text_mask_BL.bool()
    text_BLD = encoder.language_model.embed_tokens(ids_BL).to(x_BSD.dtype)
    prefix = encoder.encode(
        torch.cat([x_BSD, text_BLD], dim=1),
        torch.cat([mask_BS, real_BL], dim=1),
        keys_values=True,
        causal=ids_BL.shape[1],
    )
    assert prefix.hidden_BSD is not None
    target_BL, real_BL = ids_BL[:, 1:], real_BL[:, 1:]
    # Logits where something is supervised and nowhere else: a row of them is a megabyte.
    logits_NV = vocabulary_logits(encoder, prefix.hidden_BSD[:, :-1][real_BL]).float()
    id_N = target_BL[real_BL]
    error_N = F.cross_entropy(logits_NV, id_N, reduction="none")
    error_BL = torch.zeros_like(target_BL, dtype=torch.float32).masked_scatter(real_BL, error_N)
    right_BL = torch.zeros_like(real_BL).masked_scatter(real_BL, logits_NV.detach().argmax(dim=-1) == id_N)
    return TextErrors(error_BL, real_BL, right_BL), replace(prefix, hidden_BSD=None)


@torch.no_grad()
def write_text(
    encoder: PrefixEncoder,
    prefix: Prefix,
    bos: int,
    eos: int,
    room: int,
    given: Sequence[Sequence[int] | None],
) -> tuple[list[list[int]], Prefix]:
    """Continue each prefix with its likeliest text, token by token.

    A text has at least one token before its EOS; the last place that there is room for is an EOS.

    Args:
        encoder: The language model that made the prefix.
        prefix: Encoded with `keys_values=True`.
        bos: What a text begins with.
        eos: What it ends with.
        room: Most tokens of a text, BOS and EOS included.
        given: Per row a text to take as it is, without BOS and EOS; None to write one.

    Returns:
        The texts without BOS and EOS, and prefix and text with keys and values.
    """
    device = prefix.mask_BS.device
    embed = encoder.language_model.embed_tokens
    known_BL, free_B = _known(bos, eos, room, given)
    ids_BL, free_B = known_BL.to(device), free_B.to(device)
    longest = max((len(text) + 2 for text in given if text is not None), default=0)
    decoder = CachedDecoder(encoder, prefix, room)
    if not free_B.any():
        length = longest
        decoder.feed(embed(ids_BL[:, :length]))
    else:
        going_B = free_B
        for place in range(1, room):
            hidden_BD = decoder.feed(embed(ids_BL[:, place - 1 : place]))[:, -1]
            if place == room - 1:
                chosen_B = torch.full_like(ids_BL[:, 0], eos)
            else:
                scores_BV = vocabulary_logits(encoder, hidden_BD).float()
                if place == 1:
                    scores_BV[:, eos] = -torch.inf
                chosen_B = scores_BV.argmax(dim=-1)
            ids_BL[:, place] = torch.where(going_B, chosen_B, ids_BL[:, place])
            going_B = going_B & (chosen_B != eos)
            length = place + 1
            if length >= longest and not going_B.any():
                break
        decoder.feed(embed(ids_BL[:, length - 1 : length]))
    ids_BL = ids_BL[:, :length]
    # Up to the first EOS, itself included.
    mask_BL = F.pad((ids_BL == eos).cumsum(dim=1)[:, :-1], (1, 0)) == 0
    texts = [ids[1 : int(count) - 1] for ids, count in zip(ids_BL.tolist(), mask_BL.sum(dim=1), strict=True)]
    return texts, decoder.continued(mask_BL)


def _known(bos: int, eos: int, room: int, given: Sequence[Sequence[int] | None]) -> tuple[Tensor, Tensor]:
    """Ids (B, room) as far as they are known, EOS elsewhere, and which rows are to be written (B,)."""
    ids_BL = torch.full((len(given), room), eos)
    ids_BL[:, 0] = bos
    for ids_L, text in zip(ids_BL, given, strict=True):
        if text is not None:
            ids_L[1 : 1 + len(text)] = torch.tensor(list(text), dtype=ids_L.dtype)
    return ids_BL, torch.tensor([text is None for text in given])
