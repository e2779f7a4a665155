"""The quicker convolutions give what `nn.Conv1d` gives."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from toolkit.blocks.convolutions import DepthwiseConv, PointwiseConv


@pytest.mark.parametrize("bias", [True, False])
def test_pointwise_convolution(bias):
    layer = PointwiseConv(5, 3, bias=bias)
    x = torch.randn(2, 5, 9)
    torch.testing.assert_close(layer(x), F.conv1d(x, layer.weight, layer.bias))


@given(
    frames=st.integers(1, 40),
    kernel_size=st.sampled_from([1, 3, 5]),
    dilation=st.sampled_from([1, 2, 7, 16]),
    causal=st.booleans(),
    bias=st.booleans(),
)
def test_depthwise_convolution(frames, kernel_size, dilation, causal, bias):
    layer = DepthwiseConv(4, kernel_size, dilation, causal, bias).double()
    x = torch.randn(2, 4, frames, dtype=torch.double, requires_grad=True)
    reach = (kernel_size - 1) * dilation
    padded = F.pad(x, (reach, 0) if causal else (reach // 2, reach // 2))
    expected = F.conv1d(padded, layer.weight, layer.bias, dilation=dilation, groups=4)
    wanted = [x, *layer.parameters()]
    gradients = [torch.autograd.grad(y.square().sum(), wanted) for y in (layer(x), expected)]
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(*gradients)


def test_a_causal_convolution_does_not_look_ahead():
    layer = DepthwiseConv(4, kernel_size=2, dilation=3, causal=True)
    x = torch.randn(1, 4, 20)
    changed = x.clone()
    changed[..., 10:] = 9
    torch.testing.assert_close(layer(x)[..., :10], layer(changed)[..., :10])


def test_an_even_kernel_cannot_lie_centred():
    with pytest.raises(ValueError, match="kernel_size: expected an odd number of frames, found 4"):
        DepthwiseConv(4, kernel_size=4)
