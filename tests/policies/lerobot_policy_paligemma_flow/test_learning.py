"""The head learns: five chunks, each told by its context, are sampled back."""

import numpy as np
import pytest
import torch

from lerobot_plugins.nn.flow_matching import euler_integrate, flow_pair, sample_noise, sample_time
from lerobot_policy_paligemma_flow.head import FlowHead

H, A, D = 8, 7, 16


@pytest.mark.slow
def test_five_chunks_are_learned():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    chunks = torch.rand(5, H, A) * 2 - 1
    contexts, mask = torch.randn(5, 3, D), torch.ones(5, 3, dtype=torch.bool)
    head = FlowHead(
        action_width=A,
        state_width=0,
        chunk_size=H,
        context_width=D,
        width=64,
        depth=2,
        num_heads=4,
        mlp_ratio=2.0,
        dropout=0.0,
        min_period=4e-3,
        max_period=4.0,
    )
    optimizer = torch.optim.Adam(head.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    losses = []
    for _ in range(600):
        rows = torch.from_numpy(rng.integers(0, 5, 32))
        time = sample_time(rng, (32,))
        x, target = flow_pair(chunks[rows], sample_noise(rng, (32, H, A)), time)
        velocity = head(x, time, None, head.context_keys_values(contexts[None, rows]), mask[rows])
        loss = (velocity - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[0] > 1.1
    assert np.mean(losses[-50:]) < 0.05

    with torch.no_grad():
        keys_values = head.context_keys_values(contexts[None])
        noise = sample_noise(rng, (5, H, A))
        errors = {
            steps: (euler_integrate(lambda x, t: head(x, t, None, keys_values, mask), noise, steps) - chunks)
            .square()
            .mean()
            .item()
            for steps in (1, 2, 10)
        }
    assert errors[10] < 2e-3
    assert errors[10] < errors[1]
