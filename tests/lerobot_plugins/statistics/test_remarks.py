"""Numbers that normalisation has trouble with are listed by name."""

import numpy as np

from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.exact import exact_statistics
from lerobot_plugins.statistics.remarks import remarks


def columns(**values_T: np.ndarray) -> Described:
    stats = exact_statistics(np.stack(list(values_T.values()), axis=1))
    return Described(
        {"action": stats, "task_index": exact_statistics(np.zeros(5))}, "here", {"action": list(values_T)}
    )


def test_constants_rare_changes_and_outliers_are_told_apart():
    rng = np.random.default_rng(0)
    spiky = rng.uniform(-1, 1, 1000)
    spiky[7] = -80
    rare = np.zeros(1000)
    rare[:3] = 1
    found = remarks(
        columns(
            good=rng.uniform(-1, 1, 1000),
            normal=rng.normal(size=1000),
            still=np.full(1000, 5.0),
            nearly_still=5 + 1e-7 * rng.normal(size=1000),
            gripper=(np.arange(1000) < 500).astype(float),
            rare=rare,
            spiky=spiky,
        )
    )
    assert [(remark.name, remark.kind) for remark in found] == [
        ("still", "constant"),
        ("nearly_still", "constant"),
        ("rare", "rarely changes"),
        ("spiky", "outlier"),
    ]
    assert str(found[0]) == "action still: 5 in every frame"
    assert "-80 lies 4" in str(found[3])
    assert found[3].to_dict()["dimension"] == 6


def test_statistics_without_extremes_or_quantiles_are_passed_over():
    stats = {"action": {"mean": np.zeros(3), "std": np.zeros(3)}}
    assert remarks(Described(stats, "openpi")) == []
