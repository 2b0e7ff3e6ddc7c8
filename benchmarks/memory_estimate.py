"""The estimate of a training's memory beside what a training really took: the peak of the process.

    python benchmarks/memory_estimate.py

Each run is a process of its own: three steps of AdamW on the sample episodes. Measured is the highest
resident memory after the policy was built, less that before. The peer is the estimate.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "examples" / "sample_data" / "lerobot" / "libero_sample"
CASES = [("paligemma_flow", 16), ("paligemma_flow", 64), ("pi05_comet", 16), ("pi05_comet", 64), ("act", 16)]


def measure(name: str, batch_size: int) -> dict[str, float]:
    import psutil
    import torch
    from lerobot.datasets import LeRobotDataset
    from lerobot.datasets.factory import resolve_delta_timestamps
    from lerobot.policies import make_policy, make_pre_post_processors
    from lerobot.policies.factory import make_policy_config
    from torch.utils.data import DataLoader

    from lerobot_plugins import registry
    from lerobot_plugins.checkpoints.first import DatasetSource, dataset_metadata
    from lerobot_plugins.runs.memory import counted, kept_activations

    registry.load_host_plugins()
    tiny = {"paligemma_variant": "tiny", "action_expert_variant": "tiny", "dtype": "float32"}
    config = make_policy_config(
        name, device="cpu", **(tiny if name != "act" else {"pretrained_backbone_weights": None})
    )
    source = DatasetSource("local/sample", str(SAMPLE))
    meta = dataset_metadata(source)
    dataset = LeRobotDataset(
        source.repo_id,
        root=source.root,
        delta_timestamps=resolve_delta_timestamps(config, meta),
        video_backend="pyav",
    )
    preprocess, _ = make_pre_post_processors(config, dataset_stats=meta.stats)
    raw = {rows: next(iter(DataLoader(dataset, batch_size=rows))) for rows in (1, 2, batch_size)}
    before = psutil.Process().memory_info().rss
    policy = make_policy(config, ds_meta=meta).train()
    one, two = (kept_activations(policy, preprocess(raw[rows])) for rows in (1, 2))
    found = counted(policy, one + (batch_size - 1) * (two - one), two - one, batch_size)
    optimizer = torch.optim.AdamW(p for p in policy.parameters() if p.requires_grad)
    for _ in range(3):
        optimizer.zero_grad()
        policy.forward(preprocess(raw[batch_size]))[0].backward()
        optimizer.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {"estimated": found.total, "measured": peak, "ratio": found.total / peak}


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
        return
    results = {}
    for name, batch_size in CASES:
        command = [sys.executable, __file__, name, str(batch_size)]
        line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        results[f"{name}, batch {batch_size}"] = found = json.loads(line)
        print(
            f"{name}, batch {batch_size}: estimated {found['estimated'] / 1e9:.2f} GB, "
            f"measured {found['measured'] / 1e9:.2f} GB, {found['ratio']:.2f}"
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
