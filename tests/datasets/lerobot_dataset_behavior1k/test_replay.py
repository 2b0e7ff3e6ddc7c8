"""A converted set in stock `lerobot-eval`: errors of the robot's parts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from behavior1k_samples import EPISODES, actions, proprioception, write_sample
from replay_episodes import skip_figures
from replay_policies import OraclePolicy, evaluate, identity_postprocessor
from torch import Tensor

from lerobot_dataset_behavior1k.options import Options
from lerobot_dataset_behavior1k.source import Behavior1kSource
from lerobot_plugins.contracts import r1pro
from lerobot_plugins.conversion.writer import write_dataset

LENGTHS = (4, 5, 6)


class FollowingPolicy(OraclePolicy):
    """Asks each joint to stay where the state says it is."""

    def select_action(self, batch: dict[str, Tensor], **_: Any) -> Tensor:
        self.seen.append(batch)
        return batch["observation.state"][:, list(r1pro.ACTION_TO_STATE)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("b1k")
    source = Behavior1kSource.open(
        write_sample(folder / "demos", frames=4, depth="yuv420p12le"), Options(depth="head")
    )
    return write_dataset(source, folder / "converted").root


def test_the_report_tells_base_arms_and_grippers_apart(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_figures(monkeypatch)
    policy = FollowingPolicy([])
    evaluate(policy, root, postprocessor=identity_postprocessor(), report_dir=tmp_path / "report")
    seen = policy.seen[0]
    assert seen["observation.images.rgb.head"].shape == (1, 3, 64, 64)
    assert seen["observation.images.depth.head"].shape == (1, 1, 64, 64)
    assert seen["observation.proprioception"].shape == (1, 228)

    metrics = json.loads((tmp_path / "report/metrics.json").read_text())
    groups = {entry["group"]: entry for entry in metrics["executed"]["per_group"]}
    assert {name: len(entry["dims"]) for name, entry in groups.items()} == {
        "base": 3,
        "torso": 4,
        "left arm": 7,
        "right arm": 7,
        "grippers": 2,
    }
    pairs = list(zip(EPISODES, LENGTHS, strict=True))
    recorded = np.concatenate([actions(*pair) for pair in pairs])
    state = np.concatenate([r1pro.state_from_proprioception(proprioception(*pair)) for pair in pairs])
    error = abs(state[:, list(r1pro.ACTION_TO_STATE)] - recorded)
    assert groups["left arm"]["raw"]["mae"] == pytest.approx(error[:, 7:14].mean(), rel=1e-5)
    assert groups["grippers"]["raw"]["mae"] == pytest.approx(error[:, [14, 22]].mean(), rel=1e-5)
    # Widths in metres are no commands between -1 and 1.
    assert metrics["baselines"]["hold"]["executed"] is None
    assert torch.equal(seen["observation.state"], torch.from_numpy(state[:1]))
