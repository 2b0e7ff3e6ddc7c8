"""Whose statistics a mixture of datasets has is a choice: how far those of its datasets are apart."""

from collections.abc import Sequence

import numpy as np

from lerobot_plugins.conversion.matching import ADDED_COLUMNS
from lerobot_plugins.conversion.part import Part
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.comparison import compare
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.recorded import names_of

#: As a part of a number's range: less is rounding.
_TOLERANCE = 1e-6


def furthest(parts: Sequence[Part]) -> str | None:
    """Where the recorded statistics of a dataset differ most from the first one's; None where all agree."""
    found = [
        (difference.share, other, difference)
        for other in parts[1:]
        for difference in compare(_described(parts[0]), _described(other), _TOLERANCE).differences
    ]
    if not found:
        return None
    share, other, difference = max(found, key=lambda entry: entry[0])
    return (
        f"{difference.statistic} of {difference.feature}, {difference.name}: {difference.one:.6g} in "
        f"{parts[0].root}, {difference.other:.6g} in {other.root}, {share:.1%} of the range"
    )


def require_choice(parts: Sequence[Part]) -> None:
    """Refuse to choose in silence.

    Raises:
        ZooError: The datasets' statistics differ by more than rounding.
    """
    if (apart := furthest(parts)) is not None:
        raise ZooError(
            "the datasets have different statistics, and a mixture can have one of several",
            got=apart,
            expected="--statistics-of",
            do="pass --statistics-of=all for exact ones of the mixture, or --statistics-of="
            f"{parts[0].root} to go on with those that a policy of it was trained with",
        )


def _described(part: Part) -> Described:
    features = part.info["features"]
    stats = {
        key: {name: np.array(value) for name, value in entry.items()}
        for key, entry in part.statistics.items()
        if key in features and key not in (*ADDED_COLUMNS, *part.cameras)
    }
    return Described(stats, str(part.root), names_of(features))
