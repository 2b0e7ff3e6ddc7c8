"""The estimate of a training's memory against what a policy really holds and keeps."""

import json

import pytest
import torch
from lerobot.datasets import LeRobotDataset
from lerobot.datasets.factory import resolve_delta_timestamps
from lerobot.policies import make_policy, make_pre_post_processors
from tiny_policies import TINY, policy_types
from torch.utils.data import DataLoader

from lerobot_plugins.checkpoints.first import DatasetSource, dataset_metadata
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.memory import MemoryEstimate, estimate, kept_activations

POLICIES = [name for name in policy_types() if name != "waypoint_vla"]  # the toy dataset has no waypoints


def config_of(name: str, **changes):
    from lerobot.policies.factory import make_policy_config

    return make_policy_config(name, device="cpu", dtype="float32", **TINY[name] | changes)


@pytest.mark.parametrize("name", POLICIES)
def test_a_larger_batch_keeps_what_was_estimated(name, toy_root):
    """Two rows give the slope; at six the same is counted directly."""
    source = DatasetSource("local/toy", str(toy_root))
    found = estimate(config_of(name), source, 6)
    config, meta = config_of(name, init_from="scratch"), dataset_metadata(source)
    policy = make_policy(config, ds_meta=meta).train()
    timestamps = resolve_delta_timestamps(config, meta)
    dataset = LeRobotDataset("local/toy", root=toy_root, delta_timestamps=timestamps, video_backend="pyav")
    preprocess, _ = make_pre_post_processors(config, dataset_stats=meta.stats)
    kept = kept_activations(policy, preprocess(next(iter(DataLoader(dataset, batch_size=6)))))
    assert found.activations == pytest.approx(kept, rel=0.03)
    trained = sum(p.nbytes for p in policy.parameters() if p.requires_grad)
    assert (found.gradients, found.moments, found.averages) == (trained, 2 * trained, 0)
    assert found.weights == sum(t.nbytes for t in (*policy.parameters(), *policy.buffers()))
    optimizer = torch.optim.AdamW(p for p in policy.parameters() if p.requires_grad)
    for parameter in policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moments = [t for state in optimizer.state.values() for name, t in state.items() if name != "step"]
    assert found.moments == sum(t.nbytes for t in moments)


def test_freezing_and_averages_are_seen(toy_root):
    source = DatasetSource("local/toy", str(toy_root))
    whole = estimate(config_of("paligemma_flow", ema_decay=0.99), source, 1)
    frozen = config_of("paligemma_flow", freeze_vision_tower=True, freeze_language_model=True)
    assert whole.averages == whole.gradients
    part = estimate(frozen, source, 1)
    assert part.gradients < whole.gradients
    assert part.activations < whole.activations


def test_the_largest_batch_fits_and_the_next_does_not():
    found = MemoryEstimate(100, 100, 200, 0, 50 + 4 * 30, 30, 4)
    batch = found.largest_batch(1000)
    assert 450 + batch * 30 <= 1000 < 450 + (batch + 1) * 30
    assert found.largest_batch(400) == 0


def test_the_command(toy_root, capsys):
    options = ["--policy.type=paligemma_flow", "--policy.paligemma_variant=tiny", "--policy.device=cpu"]
    options += [
        "--policy.action_expert_variant=tiny",
        "--dataset.repo_id=local/toy",
        f"--dataset.root={toy_root}",
    ]
    assert main(["runs", "estimate", *options, "--batch_size=4", "--memory=1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["bytes"]
    assert found["total"] == sum(
        found[name] for name in ("weights", "gradients", "moments", "averages", "activations")
    )
    assert found["largest_batch"] > 4
    assert main(["runs", "estimate", *options, "--batch_size=0"]) == 2
    with pytest.raises(ZooError, match="at least one row"):
        estimate(config_of("paligemma_flow"), DatasetSource("local/toy", str(toy_root)), 0)
