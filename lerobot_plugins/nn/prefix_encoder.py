"""The prefix: pictures and prompt through PaliGemma, once per observation.

The encoder holds transformers' own sub-modules under their own parameter names (`vision_tower`,
`multi_modal_projector`, `language_model`) and runs its own loop over their layers. The loop keeps each
layer's keys and values for experts that attend to them, which transformers drops while checkpointing, and
checkpoints each layer with `torch.utils.checkpoint`. The prefix is fully bidirectional among valid
tokens; suffix tokens (actions) are never part of it. Text that the model writes behind a prefix is causal:
`encode` takes it along in training, `cached_decoding` continues a prefix token by token.

Since transformers 5.4 the embedding multiplies by sqrt(D) itself and picture features are not divided:
nothing is scaled here.

Legend: B batch, V cameras, C channels, h w picture size, N tokens per picture, L prompt tokens,
S = V*N + L prefix tokens, D language width, Q query heads, K key/value heads, E head width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PaliGemmaModel

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.gemma2 import attend_capped, is_gemma2, residual
from lerobot_plugins.nn.precision import compute_dtype, float32_island, no_autocast
from lerobot_plugins.nn.resamplers import Resampler


@dataclass
class Prefix:
    """What the encoder knows about an observation.

    Attributes:
        hidden_BSD: Last hidden states after the final norm, of the causal tokens alone where there are some;
            None if only keys and values were asked for.
        mask_BS: True where a token is real.
        position_BS: Rotary positions: each real token's rank among the real tokens of its row, from 0.
        keys_values: Per layer, rotated keys and values, each (B, K, S, E); empty unless asked for.
        between: Hidden states (B, S, D) between layers, without a norm, as `after` asked for.
    """

    hidden_BSD: Tensor | None
    mask_BS: Tensor
    position_BS: Tensor
    keys_values: list[tuple[Tensor, Tensor]]
    between: list[Tensor] = field(default_factory=list)


def positions_from_mask(mask_BS: Tensor) -> Tensor:
    """Rank of each real token among the real ones, so that masked tokens leave no gap.

    A masked camera is then numerically the same as an absent one.
    """
    return (mask_BS.long().cumsum(dim=1) - 1).clamp(min=0)


def rotate(x_BHSE: Tensor, cos_BSE: Tensor, sin_BSE: Tensor) -> Tensor:
    """Rotary position embedding (Gemma's half-split layout), computed in float32."""
    x = x_BHSE.float()
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x * cos_BSE[:, None] + turned * sin_BSE[:, None]).to(x_BHSE.dtype)


def share(x_BKSE: Tensor, group: int) -> Tensor:
    """Each key/value head repeated for the `group` query heads that it serves, (B, K*group, S, E)."""
    return x_BKSE[:, :, None].expand(-1, -1, group, -1, -1).flatten(1, 2)


class PrefixEncoder(nn.Module):
    """Encode pictures and prompt tokens into a `Prefix`.

    Args:
        model: A PaliGemma without language head; its sub-modules are taken over.
    """

    def __init__(self, model: PaliGemmaModel) -> None:
        super().__init__()
        self.vision_tower = model.vision_tower
        self.multi_modal_projector = model.multi_modal_projector
        self.language_model = model.language_model
        embeddings = getattr(self.vision_tower, "vision_model", self.vision_tower).embeddings
        float32_island(embeddings.patch_embedding)
        float32_island(embeddings.position_embedding)
        self.gradient_checkpointing = False
        self._frozen: list[nn.Module] = []

        vision, text = model.config.vision_config, model.config.text_config
        self.image_size: int = vision.image_size
        self.tokens_per_image: int = (vision.image_size // vision.patch_size) ** 2
        self.vision_width: int = vision.hidden_size
        self.width: int = text.hidden_size
        self.num_layers: int = text.num_hidden_layers
        scale = getattr(self.language_model.embed_tokens, "scalar_embed_scale", None)
        if scale != self.width**0.5:
            raise ZooError(
                "this transformers release scales Gemma's embeddings differently",
                got=f"a factor of {scale}",
                expected=f"sqrt(width) = {self.width**0.5:.3f} inside the embedding layer",
                do="install transformers>=5.4,<5.6",
            )

    def freeze(
        self, *, vision_tower: bool, projector: bool, language_model: bool, embeddings: bool
    ) -> "PrefixEncoder":
        """Stop the training of parts; autograd then keeps no activations for what nothing trains through.

        `embeddings` freezes the token table alone; a frozen language model includes it.
        """
        parts = {
            self.vision_tower: vision_tower,
            self.multi_modal_projector: projector,
            self.language_model: language_model,
            self.language_model.embed_tokens: embeddings or language_model,
        }
        for part, frozen in parts.items():
            if frozen:
                part.requires_grad_(False)
        self._frozen = [part for part, frozen in parts.items() if frozen]
        return self.train(self.training)

    def train(self, mode: bool = True) -> "PrefixEncoder":
        """Frozen parts stay in evaluation mode whatever the policy around them is set to.

        Unless adapters are trained in them, whose dropout is meant.
        """
        super().train(mode)
        for part in self._frozen:
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()
        return self

    def forward(
        self,
        images_BChw: Sequence[Tensor],
        image_masks_B: Sequence[Tensor | None],
        tokens_BL: Tensor,
        token_mask_BL: Tensor,
        *,
        keys_values: bool = False,
        hidden: bool = True,
        after: Sequence[int] = (),
        resampler: Resampler | None = None,
    ) -> Prefix:
        """Encode one batch of observations.

        Args:
            images_BChw: One (B, C, h, w) float tensor in [-1, 1] per camera that is present, in camera
                order. A camera that no row has is simply left out: it costs nothing.
            image_masks_B: Per camera a bool (B,) that is False for rows without it, or None.
            tokens_BL: Prompt token ids.
            token_mask_BL: True where a prompt token is real.
            keys_values: Keep every layer's keys and values.
            hidden: Compute the last hidden states. Without them the last layer stops at its keys and values.
            after: Layers, counted from 1 and in order, whose outputs are kept too.
            resampler: See `embed_images`.

        Raises:
            ZooError: No camera, or a camera without its mask.
        """
        pictures = self.embed_images(images_BChw, image_masks_B, resampler)
        x_BSD, mask_BS = self.with_prompt(*pictures, tokens_BL, token_mask_BL)
        return self.encode(x_BSD, mask_BS, keys_values=keys_values, hidden=hidden, after=after)

    def with_prompt(
        self, pictures_BND: Tensor, picture_mask_BN: Tensor, tokens_BL: Tensor, token_mask_BL: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Embedded pictures and a prompt behind them: tokens (B, S, D) and their mask (B, S)."""
        text_BLD = self.language_model.embed_tokens(tokens_BL).to(pictures_BND.dtype)
        return (
            torch.cat([pictures_BND, text_BLD], dim=1),
            torch.cat([picture_mask_BN, token_mask_BL.bool()], dim=1),
        )

    def embed_images(
        self,
        images_BChw: Sequence[Tensor],
        image_masks_B: Sequence[Tensor | None],
        resampler: Resampler | None = None,
    ) -> tuple[Tensor, Tensor]:
        """All cameras in one call of the vision tower.

        Args:
            images_BChw: See `forward`; likewise `image_masks_B`.
            resampler: Makes a picture's tokens from its features and projected tokens, see `nn.resamplers`;
                N is then the number that it makes.

        Returns:
            Projected tokens (B, V*N, D), camera after camera, and their mask (B, V*N).
        """
        if not images_BChw or len(images_BChw) != len(image_masks_B):
            raise ZooError(
                "the prefix needs pictures and one mask entry for each",
                got=f"{len(images_BChw)} pictures, {len(image_masks_B)} masks",
                expected="at least one camera",
            )
        batch = images_BChw[0].shape[0]
        stacked = torch.stack(list(images_BChw), dim=1).flatten(0, 1)
        tower = getattr(self.vision_tower, "vision_model", self.vision_tower)
        with no_autocast(stacked.device):
            x = tower.embeddings(stacked.float())
        x = x.to(compute_dtype(x))
        for layer in tower.encoder.layers:
            x = self._run(_vision_layer, layer, x)
        features = tower.post_layernorm(x)
        x = self.multi_modal_projector(features)
        if resampler is not None:
            x = resampler(features, x)
        tokens = x.to(compute_dtype(x)).reshape(batch, -1, self.width)
        valid = [
            torch.ones(batch, dtype=torch.bool, device=x.device) if mask is None else mask.to(x.device).bool()
            for mask in image_masks_B
        ]
        mask = torch.stack(valid, dim=1).repeat_interleave(x.shape[1], dim=1)
        return tokens, mask

    def encode(
        self,
        x_BSD: Tensor,
        mask_BS: Tensor,
        *,
        keys_values: bool = False,
        hidden: bool = True,
        causal: int = 0,
        after: Sequence[int] = (),
    ) -> Prefix:
        """Run the language model over embedded tokens, bidirectional among the unmasked ones.

        The last `causal` tokens see only those before them, and the others do not see them (prefix-LM). With
        such tokens the hidden states are theirs alone, and the last layer computes no others.
        """
        position_BS = positions_from_mask(mask_BS)
        cos, sin = self.language_model.rotary_emb(x_BSD.float(), position_BS)
        visible = mask_BS[:, None, None, :]
        if causal:
            length = mask_BS.shape[1]
            rank_S = (torch.arange(length, device=mask_BS.device) - (length - causal)).clamp(min=-1)
            visible = visible & (rank_S <= rank_S[:, None])
        kept: list[tuple[Tensor, Tensor]] = []
        between: list[Tensor] = []
        layers = self.language_model.layers
        for index, layer in enumerate(layers):
            last = index == len(layers) - 1
            outputs = None if not last else 0 if not hidden else causal or None
            x_BSD, k, v = self._run(language_layer, layer, x_BSD, visible, cos, sin, outputs)
            if keys_values:
                kept.append((k, v))
            if index + 1 in after:
                between.append(x_BSD)
        final = self.language_model.norm(x_BSD) if hidden else None
        return Prefix(final, mask_BS, position_BS, kept, between)

    def _run(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """One layer, recomputed in the backward pass when checkpointing is on."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(step, *arguments, use_reentrant=False)
        return step(*arguments)


def _vision_layer(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, attention_mask=None)


def language_layer(
    layer: Any,
    x_BSD: Tensor,
    visible: Tensor,
    cos: Tensor,
    sin: Tensor,
    outputs: int | None = None,
    attend: Callable[..., Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """One Gemma decoder layer; returns its output and its rotated keys and values.

    Args:
        layer: transformers' `GemmaDecoderLayer` or `Gemma2DecoderLayer`.
        x_BSD: Hidden states.
        visible: Mask of the attention, broadcastable to (B, Q, S, keys).
        cos: Cosines of the rotary angles, (B, S, E); `sin` likewise.
        outputs: Compute the output of the last so many tokens only; 0 leaves after keys and values, which is
            all that is read of the last layer of a prefix.
        attend: Replaces the attention: (q_BQSE, k_BKSE, v_BKSE, visible, scale) -> (B, Q, S, E).
    """
    attention = layer.self_attn
    normed = layer.input_layernorm(x_BSD)

    def heads(projection: nn.Module, x: Tensor) -> Tensor:
        return projection(x).view(*x.shape[:2], -1, attention.head_dim).transpose(1, 2)

    k_BKSE = rotate(heads(attention.k_proj, normed), cos, sin)
    v_BKSE = heads(attention.v_proj, normed)
    if outputs == 0:
        return x_BSD, k_BKSE, v_BKSE
    if outputs is not None:
        x_BSD, normed, cos, sin = (x[:, -outputs:] for x in (x_BSD, normed, cos, sin))
        visible = visible[:, :, -outputs:]
    q_BQSE = rotate(heads(attention.q_proj, normed), cos, sin)
    if is_gemma2(layer):
        assert attend is None, "decoding from buffers knows no capped scores"
        group = q_BQSE.shape[1] // k_BKSE.shape[1]
        keys_values = share(k_BKSE, group), share(v_BKSE, group)
        mixed = attend_capped(
            q_BQSE, *keys_values, visible, attention.scaling, attention.attn_logit_softcapping
        )
        attended_BSD = attention.o_proj(mixed.transpose(1, 2).flatten(2))
        return residual(layer, x_BSD, attended_BSD), k_BKSE, v_BKSE
    mixed = (attend or _attend)(q_BQSE, k_BKSE, v_BKSE, visible, attention.scaling)
    x_BSD = x_BSD + attention.o_proj(mixed.transpose(1, 2).flatten(2))
    return x_BSD + layer.mlp(layer.post_attention_layernorm(x_BSD)), k_BKSE, v_BKSE


def _attend(q_BQSE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, visible: Tensor, scale: float) -> Tensor:
    # Not `enable_gqa`: together with a mask it leaves CUDA's fused kernels. Gemma has one key/value head, so
    # sharing it among the query heads is a view.
    group = q_BQSE.shape[1] // k_BKSE.shape[1]
    return F.scaled_dot_product_attention(
        q_BQSE, share(k_BKSE, group), share(v_BKSE, group), attn_mask=visible, scale=scale
    )
