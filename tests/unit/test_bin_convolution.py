"""Convolutions along the bins by tiles are the direct ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from toolkit.blocks.bin_convolution import BinConvolution


def direct(layer: BinConvolution, spectra: torch.Tensor) -> torch.Tensor:
    """The same in double precision, bins last."""
    weights = (layer.weight.double(), layer.bias.double())
    return F.conv1d(spectra.double().permute(2, 1, 0), *weights, padding="same").permute(2, 1, 0)


@settings(max_examples=25, deadline=None)
@given(
    bins=st.integers(1, 90),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    frames=st.integers(1, 5),
    kernel_size=st.sampled_from([1, 3, 15, 31]),
)
def test_any_size_gives_what_the_direct_sum_gives(bins, channels, frames, kernel_size) -> None:
    torch.manual_seed(0)
    layer = BinConvolution(*channels, kernel_size)
    spectra = torch.randn(bins, channels[0], frames)
    torch.testing.assert_close(layer(spectra).double(), direct(layer, spectra), rtol=1e-5, atol=1e-5)


def test_it_is_as_exact_as_the_direct_one_in_single_precision() -> None:
    torch.manual_seed(0)
    layer, spectra = BinConvolution(40, 40, 15), torch.randn(285, 40, 8)
    exact = direct(layer, spectra)
    plain = F.conv1d(spectra.permute(2, 1, 0), layer.weight, layer.bias, padding=7).permute(2, 1, 0)
    errors = [(found - exact).abs().max().item() for found in (layer(spectra), plain)]
    assert errors[0] < 2 * errors[1] < 1e-5


def test_gradients_are_those_of_the_direct_sum() -> None:
    torch.manual_seed(0)
    layer = BinConvolution(3, 4, 15)
    spectra = torch.randn(50, 3, 5, requires_grad=True)
    weights = torch.randn(50, 4, 5)
    inputs = [spectra, layer.weight, layer.bias]
    found = torch.autograd.grad((layer(spectra) * weights).sum(), inputs)
    expected = torch.autograd.grad((direct(layer, spectra) * weights).sum(), inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_on_the_meta_device_it_has_a_shape() -> None:
    assert BinConvolution(2, 3, 15).to("meta")(torch.empty(285, 2, 7, device="meta")).shape == (285, 3, 7)


@pytest.mark.parametrize("kernel_size", [14, 33])
def test_kernels_that_do_not_fit(kernel_size: int) -> None:
    with pytest.raises(ValueError, match="expected an odd number of bins below 32"):
        BinConvolution(1, 1, kernel_size)
