"""The order of frames in a resumed run, as LeRobot 0.6.1 makes it: what exact resume depends on."""

import torch
from accelerate import Accelerator
from lerobot.datasets.sampler import EpisodeAwareSampler, compute_sampler_state

FRAMES, BATCH = 26, 4
PER_EPOCH = 7


def batches(step: int, count: int) -> list[list[int]]:
    """The next batches of a run that starts, or resumes, at a step."""
    sampler = EpisodeAwareSampler([0], [FRAMES], shuffle=True, seed=1000)
    if step:
        sampler.load_state_dict(compute_sampler_state(step, FRAMES, BATCH, 1))
    loader = torch.utils.data.DataLoader(range(FRAMES), batch_size=BATCH, sampler=sampler)
    loader = Accelerator(cpu=True).prepare(loader)
    taken: list[list[int]] = []
    while len(taken) < count:
        taken.extend(batch.tolist() for batch in loader)
    return taken[:count]


def test_within_the_first_epoch_it_goes_on():
    assert batches(5, 20) == batches(0, 25)[5:]


def test_after_the_first_epoch_it_starts_with_the_first_epochs_order():
    """The loader tells the sampler that its first pass is epoch 0, whatever was restored.

    When this fails the host is mended: the limit in the README can go.
    """
    whole = batches(0, 25)
    assert batches(PER_EPOCH + 2, 5) == whole[2:PER_EPOCH]
    assert batches(PER_EPOCH + 2, 5) != whole[PER_EPOCH + 2 : 2 * PER_EPOCH]
