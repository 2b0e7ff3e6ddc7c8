"""The memory that a training will need, before it starts.

Weights, gradients, AdamW's two moments and averages are counted. Activations are measured: two forward passes
on frames of the dataset, one with a batch of 1 and one of 2, add up the tensors that autograd keeps for the
backward pass; the difference is what each further row costs. The weights are random: only their sizes matter.

Not in it: the framework itself, work space of kernels, unused parts of the allocator's blocks, pictures that
wait in the loader, and with gradient checkpointing the one layer that is computed anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lerobot.configs import PreTrainedConfig
from lerobot.datasets import LeRobotDataset
from lerobot.datasets.factory import resolve_delta_timestamps
from lerobot.policies import make_policy, make_pre_post_processors
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lerobot_plugins.checkpoints.first import DatasetSource, dataset_metadata
from lerobot_plugins.errors import ZooError

_MOMENTS = 2  # AdamW's, in the dtype of the weights


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of a training, by what they hold.

    Args:
        weights: All parameters and buffers, averages excluded.
        gradients: Of the trained parameters.
        moments: AdamW's.
        averages: `ema_decay`'s.
        activations: Kept for the backward pass at this batch.
        per_row: What one more row of the batch adds to them.
        batch_size: The batch.
    """

    weights: int
    gradients: int
    moments: int
    averages: int
    activations: int
    per_row: int
    batch_size: int

    @property
    def total(self) -> int:
        """The sum; the peak is at the end of the first backward pass or at the first optimizer step."""
        return self.weights + self.gradients + self.moments + self.averages + self.activations

    def largest_batch(self, memory: int) -> int:
        """The largest batch for so many bytes; 0 if even one row does not fit."""
        rest = memory - (self.total - self.activations) - (self.activations - self.batch_size * self.per_row)
        return max(int(rest // self.per_row), 0) if self.per_row > 0 else 0


def estimate(config: PreTrainedConfig, source: DatasetSource, batch_size: int) -> MemoryEstimate:
    """Estimate a training of a policy from scratch or from pretrained weights, which need the same.

    Args:
        config: The policy as lerobot-train would get it.
        source: The dataset it would be trained on; a few of its frames are read.
        batch_size: Of one process.

    Raises:
        ZooError: No batch, or a dataset of too few frames.
    """
    if batch_size < 1:
        raise ZooError("a batch has at least one row", got=batch_size, expected="1 or more")
    if hasattr(config, "init_from"):
        config.init_from = "scratch"
    meta = dataset_metadata(source)
    policy: Any = make_policy(config, ds_meta=meta)
    preprocess, _ = make_pre_post_processors(config, dataset_stats=meta.stats)
    dataset = LeRobotDataset(
        source.repo_id,
        root=source.root,
        delta_timestamps=resolve_delta_timestamps(config, meta),
        video_backend="pyav",
    )
    policy.train()
    one, two = (kept_activations(policy, preprocess(_rows(dataset, rows))) for rows in (1, 2))
    return counted(policy, one + (batch_size - 1) * (two - one), two - one, batch_size)


def counted(policy: nn.Module, activations: int, per_row: int, batch_size: int) -> MemoryEstimate:
    """What a policy holds, beside given activations."""
    averages = getattr(policy, "ema", None)
    average = _bytes(averages.buffers()) if isinstance(averages, nn.Module) else 0
    held = _bytes(policy.parameters()) + _bytes(policy.buffers()) - average
    trained = _bytes(p for p in policy.parameters() if p.requires_grad)
    return MemoryEstimate(held, trained, _MOMENTS * trained, average, activations, per_row, batch_size)


def kept_activations(policy: nn.Module, batch: Mapping[str, Any]) -> int:
    """Bytes of the tensors that autograd keeps between forward and backward pass, parameters excluded.

    Args:
        policy: In training mode.
        batch: Preprocessed.
    """
    own = {parameter.untyped_storage()._cdata for parameter in policy.parameters()}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = tensor  # held, so that no other tensor gets its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        policy.forward(batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _rows(dataset: LeRobotDataset, rows: int) -> dict[str, Any]:
    if len(dataset) < rows:
        raise ZooError("the dataset has too few frames", got=len(dataset), expected=f"at least {rows}")
    batch: dict[str, Any] = next(iter(DataLoader(dataset, batch_size=rows)))
    return batch


def _bytes(tensors: Any) -> int:
    return sum(tensor.nbytes for tensor in tensors)
