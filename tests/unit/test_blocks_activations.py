"""Activations by their names."""

from typing import get_args

import pytest
import torch
from torch import nn

from toolkit.blocks import activations
from toolkit.blocks.activations import Activation, PReLU, Snake


@pytest.mark.parametrize("name", get_args(Activation))
def test_every_activation_keeps_the_shape_and_has_finite_gradients(name):
    x = torch.randn(2, 3, 5, 7, requires_grad=True)
    y = activations.build(name, 3)(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad.isfinite().all()


def test_softmax_goes_over_the_sources():
    masks = activations.build("softmax")(torch.randn(2, 3, 5, 7))
    torch.testing.assert_close(masks.sum(1), torch.ones(2, 5, 7))


@pytest.mark.parametrize("channels", [1, 3])
def test_prelu_is_pytorchs_forward_and_backward(channels):
    ours, theirs = PReLU(channels).double(), nn.PReLU(channels).double()
    x = torch.randn(2, 3, 7, dtype=torch.double, requires_grad=True)
    gradients = [torch.autograd.grad(layer(x).square().sum(), [x, layer.weight]) for layer in (ours, theirs)]
    assert torch.equal(ours(x), theirs(x))
    torch.testing.assert_close(*gradients)
    assert torch.autograd.gradcheck(ours, x)


def test_prelu_under_autocast():
    layer = PReLU()
    x = torch.randn(2, 3, 8, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert x.grad.isfinite().all()


def test_snake_of_frequency_zero_is_the_identity():
    snake = Snake(3)
    x = torch.randn(2, 3, 7)
    torch.testing.assert_close(snake(x), x + x.sin().square())
    nn.init.zeros_(snake.weight)
    torch.testing.assert_close(snake(x), x)


def test_a_wrong_name_is_told_with_the_right_ones():
    with pytest.raises(ValueError, match=r"activation: expected one of linear, relu, .*, found 'swish'"):
        activations.build("swish")  # type: ignore[arg-type]
