"""What a policy's training loss is the sum of.

Legend: B batch, H chunk length, A action dims.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from lerobot_plugins.nn.flow_matching import weighted_mean


@dataclass
class LossTerm:
    """One weighted mean of errors.

    Args:
        error: (B, ...) errors; those of actions end in (H, A).
        weight: Non-negative weights, broadcastable to the errors.
        coefficient: Factor of this term in the loss.
        per_action: The errors are those of actions: what lies behind an episode's end is masked.
    """

    error: Tensor
    weight: Tensor
    coefficient: float = 1.0
    per_action: bool = False

    def masked(self, valid_BH: Tensor) -> "LossTerm":
        """The term without the actions that do not count; others as they are."""
        if not self.per_action:
            return self
        batch, horizon = valid_BH.shape
        valid = valid_BH.view(batch, *[1] * (self.error.ndim - 3), horizon, 1)
        return LossTerm(self.error, self.weight * valid, self.coefficient, True)


def total(terms: Sequence[LossTerm], keep_batch: bool) -> Tensor:
    """The loss, float32: a scalar, or one value per row (B,)."""
    return sum(term.coefficient * weighted_mean(term.error, term.weight, keep_batch) for term in terms)
