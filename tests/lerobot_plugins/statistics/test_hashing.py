import json

import numpy as np
import pytest
import torch

from lerobot_plugins.statistics.hashing import statistics_hash

STATISTICS = {
    "action": {"mean": np.array([0.1, -0.0]), "count": np.array([3])},
    "observation.images.top": {"mean": np.array([[[0.25]], [[0.5]], [[1.0]]])},
}


def test_the_hash_is_fixed_for_ever() -> None:
    """Checkpoints carry it: a changed hash would disown them."""
    assert statistics_hash(STATISTICS) == "f0ee9177f50baaf8cdfb6a3a0822cacdabebd95c9467e98b39d813b15f7d8662"


def test_order_container_and_shape_do_not_count() -> None:
    as_lists = json.loads(
        json.dumps({key: {n: v.tolist() for n, v in s.items()} for key, s in STATISTICS.items()})
    )
    as_tensors = {key: {n: torch.tensor(v) for n, v in s.items()} for key, s in reversed(STATISTICS.items())}
    flat = {key: {n: v.reshape(-1) for n, v in s.items()} for key, s in STATISTICS.items()}
    expected = statistics_hash(STATISTICS)
    assert {statistics_hash(as_lists), statistics_hash(as_tensors), statistics_hash(flat)} == {expected}


@pytest.mark.parametrize(
    "changed",
    [
        {"action": {"mean": [0.1, 1e-300], "count": [3]}},
        {"action": {"mean": [0.1], "count": [0.0, 3]}},
        {"action": {"std": [0.1, 0.0], "count": [3]}},
        {"actions": {"mean": [0.1, 0.0], "count": [3]}},
    ],
)
def test_any_other_value_or_name_counts(changed: dict) -> None:
    assert statistics_hash({**changed}) != statistics_hash({"action": STATISTICS["action"]})
