"""Numeric precision: one policy, stated once.

`dtype="bfloat16"`: trainable weights are float32 masters, frozen weights are stored in bfloat16, buffers
are never cast, and one autocast region, opened by the policy's public methods, computes in bfloat16. In
bfloat16 a weight loses updates smaller than 2^-9 of itself, and a rotary frequency cast to it is wrong by
0.7 rad at position 512.

Islands that stay in float32 inside that region:

| island                      | where                                  | why                             |
|-----------------------------|----------------------------------------|---------------------------------|
| RMSNorm statistics          | transformers' `GemmaRMSNorm`           | mean of squares                 |
| patches and their positions | `PrefixEncoder.embed_images`            | as in openpi                    |
| rotary angles and rotation  | `PrefixEncoder`                        | phases up to the prefix length  |
| normalised context          | the policy's context norm              | enters every cross-attention    |
| time embedding              | `flow_matching.sinusoidal_embedding`   | phases up to 1570 rad           |
| action tokens               | `pi05.velocity`                        | as in openpi                    |
| time MLP, adaptive norms    | `pi05.modulations`                     | as in openpi                    |
| velocity output, loss       | the head's last layer, `weighted_mean` | differences of near-equal terms |
| sampled action, Euler steps | `flow_matching.euler_integrate`        | sums of small increments        |
"""

import contextlib

import torch
from torch import nn

from lerobot_plugins.errors import ZooError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def parse_dtype(name: str) -> torch.dtype:
    """`float32`, `bfloat16`, also spelled `torch.bfloat16`.

    Raises:
        ZooError: Any other name. float16 is refused by name: Gemma's activations leave its range.
    """
    dtype = DTYPES.get(name.removeprefix("torch."))
    if dtype is None:
        hint = "float16 overflows in Gemma; use bfloat16" if "16" in name else "set --policy.dtype"
        raise ZooError("unknown dtype", got=name, expected=" or ".join(DTYPES), do=hint)
    return dtype


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """The one autocast region; disabled (and shielding from an outer one) for float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """A float32 island."""
    if device.type == "meta":  # no autocast there; shapes and operations are counted on it
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def compute_dtype(reference: torch.Tensor) -> torch.dtype:
    """What matrix products compute in here: the autocast dtype, else the reference's own."""
    kind = reference.device.type
    if kind != "meta" and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return reference.dtype


def store_parameters(module: nn.Module, dtype: torch.dtype) -> None:
    """Store trainable parameters and islands in float32, frozen ones in `dtype`; buffers stay as they are."""
    islands = {
        id(parameter)
        for layer in module.modules()
        if getattr(layer, "float32_island", False)
        for parameter in layer.parameters(recurse=False)
    }
    for parameter in module.parameters():
        whole = parameter.requires_grad or id(parameter) in islands
        parameter.data = parameter.data.to(torch.float32 if whole else dtype)


def float32_island(layer: nn.Module) -> nn.Module:
    """Mark a layer whose weights stay in float32, also frozen and where weights are stored for inference."""
    layer.float32_island = True
    return layer


def store_for_inference(module: nn.Module, dtype: torch.dtype) -> None:
    """Store the matrices that compute in `dtype` in it; norms, biases and islands stay in float32.

    Without training there are no small updates to keep, and half the memory is read.
    """
    for layer in module.modules():
        matrix = isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding)
        if matrix and not getattr(layer, "float32_island", False):
            layer.weight.data = layer.weight.data.to(dtype)
