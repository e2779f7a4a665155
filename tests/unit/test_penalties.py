"""Penalties on weights: which matrices, which value, which gradient."""

import pytest
import torch
from torch import nn

from toolkit.losses import SVDPenalty


def of_values(*values: float, size: int = 8) -> torch.Tensor:
    """A square matrix with these singular values, the others being zero."""
    left, right = (torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(k)))[0] for k in (0, 1))
    return left[:, : len(values)] @ torch.diag(torch.tensor(values)) @ right[: len(values)]


def everything(**options) -> SVDPenalty:
    return SVDPenalty(**({"weight": 1.0, "min_size": 0.0} | options))


def filled(module: nn.Module, matrix: torch.Tensor) -> nn.Module:
    with torch.no_grad():
        module.weight.copy_(matrix.view_as(module.weight))
    return module


def test_the_square_of_the_largest_singular_value_and_its_gradient() -> None:
    linear = filled(nn.Linear(8, 8), of_values(3.0, 1.0, 0.5))
    value = everything(weight=0.1)(linear)
    value.backward()
    exact = linear.weight.detach().clone().requires_grad_()
    expected = 0.1 * torch.linalg.matrix_norm(exact, 2).square()
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(linear.weight.grad, exact.grad, atol=1e-5, rtol=1e-4)


def test_convolutions_are_matrices_to_their_output_channels() -> None:
    matrix = of_values(2.0, 1.0)  # 8 output channels, 4 input channels times 2 taps
    assert everything()(filled(nn.Conv1d(4, 8, 2), matrix)).item() == pytest.approx(4.0, rel=1e-4)
    transposed = filled(nn.ConvTranspose1d(4, 8, 2), matrix.view(8, 4, 2).transpose(0, 1))
    assert everything()(transposed).item() == pytest.approx(4.0, rel=1e-4)


def test_all_matrices_are_summed_but_small_ones_and_vectors() -> None:
    model = nn.Sequential(filled(nn.Linear(8, 8), of_values(2.0, 1.0)), filled(nn.Conv1d(8, 8, 1), of_values(3.0, 1.0)))
    assert everything()(model).item() == pytest.approx(13.0, rel=1e-4)
    assert everything(convolutions_only=True)(model).item() == pytest.approx(9.0, rel=1e-4)
    assert everything(min_size=1.0)(model).item() == 0


def test_under_autocast_it_is_computed_in_full() -> None:
    linear = filled(nn.Linear(8, 8), of_values(3.0, 1.0))
    with torch.autocast("cpu", torch.bfloat16):
        value = everything()(linear)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(9.0, rel=1e-4)
