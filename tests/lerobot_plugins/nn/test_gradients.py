import pytest
import torch

from lerobot_plugins.nn.gradients import scale_gradient


@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 2.0])
def test_values_pass_and_gradients_are_scaled(scale):
    x = torch.randn(5, requires_grad=True)
    y = scale_gradient(x, scale)
    torch.testing.assert_close(y, x)
    (y * 3).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((5,), 3 * scale))


def test_zero_detaches():
    assert not scale_gradient(torch.ones(2, requires_grad=True), 0.0).requires_grad
