"""Closed at the start, open in whatever direction the loss asks for."""

import torch
from torch import nn

from lerobot_policy_pi05_comet.vlm2.zero_gate import ZeroGate


def test_how_far_it_is_open():
    gate = ZeroGate(4)
    assert gate.opening() == 0
    nn.init.eye_(gate.weight)
    assert gate.opening() == 1
    nn.init.orthogonal_(gate.weight, gain=0.5)
    torch.testing.assert_close(gate.opening(), torch.tensor(0.5))


def test_the_first_step_adds_what_the_loss_asks_for():
    """Also where the sum over all tokens, all that a scalar gate sees, is zero."""
    gate, x, wanted = ZeroGate(2), torch.eye(2), torch.diag(torch.tensor([1.0, -1.0]))
    (-(gate(x) * wanted).sum()).backward()
    assert (x * wanted).sum() == 0
    with torch.no_grad():
        gate.weight -= gate.weight.grad
    torch.testing.assert_close(gate(x), wanted)
