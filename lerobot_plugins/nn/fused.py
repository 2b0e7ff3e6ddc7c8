"""Several projections of one input as one matrix product.

At batch 1 a projection is bound by reading its weights and by launching it; one launch is cheaper than three.
The weights of the projections become views of one matrix, so nothing is stored twice, and the optimizer does
not notice. safetensors refuses to save views, so each weight gets memory of its own again before its state
dict is taken.
"""

import weakref
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_plugins.nn.precision import compute_dtype

# first projection -> the matrix whose rows are the weights of all
_matrices: "weakref.WeakKeyDictionary[nn.Linear, Tensor]" = weakref.WeakKeyDictionary()


def fused_linear(x: Tensor, projections: Sequence[nn.Module]) -> Sequence[Tensor]:
    """Each projection of x.

    One product when nothing is trained through it, all are plain linear layers without bias, and their
    weights are stored in the dtype that computes (autocast would convert the whole matrix in every call, but
    keeps what it made of a parameter). Otherwise one by one; so also while torch.compile traces.
    """
    plain = all(type(p) is nn.Linear and p.bias is None for p in projections)
    as_stored = projections[0].weight.dtype == compute_dtype(x)
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or not (plain and as_stored):
        return [projection(x) for projection in projections]
    return F.linear(x, _matrix(projections)).split([p.out_features for p in projections], dim=-1)


def _matrix(projections: Sequence[Any]) -> Tensor:
    """The shared matrix, laid out (again) when the weights do not lie in it: first use, saved, moved."""
    first = projections[0]
    matrix = _matrices.get(first)
    if matrix is None or not _lie_in(matrix, projections):
        with torch.inference_mode(False):  # the weights must stay trainable afterwards
            matrix = torch.cat([projection.weight.data for projection in projections])
        start = 0
        for projection in projections:
            if first not in _matrices:
                projection.register_state_dict_pre_hook(_own_memory)
            projection.weight.data = matrix[start : start + projection.out_features]
            start += projection.out_features
        _matrices[first] = matrix
    return matrix


def _lie_in(matrix: Tensor, projections: Sequence[nn.Linear]) -> bool:
    address = matrix.data_ptr()
    for projection in projections:
        weight = projection.weight
        if weight.data_ptr() != address or weight.dtype != matrix.dtype or weight.device != matrix.device:
            return False
        address += weight.numel() * weight.element_size()
    return True


def _own_memory(projection: Any, _prefix: str, _keep_vars: bool) -> None:
    weight = projection.weight
    if weight.untyped_storage().nbytes() > weight.nbytes:
        with torch.inference_mode(False):
            weight.data = weight.data.clone()
