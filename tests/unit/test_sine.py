"""Sines and cosines without a gradient."""

import math

import pytest
import torch

from toolkit.dsp.sine import SHARED, cosine, sine


@pytest.mark.parametrize("number", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("ours", "reference"), [(sine, torch.sin), (cosine, torch.cos)])
def test_equal_to_torch_at_any_size_and_in_place(ours, reference, number) -> None:
    for count in (0, 7, SHARED + 1):
        angles = torch.linspace(-400, 400, count).to(number)
        expected = reference(angles.double()).to(number)
        out = torch.empty_like(angles)
        ours(angles, out=out)
        torch.testing.assert_close(out, expected, atol=2 * torch.finfo(number).eps, rtol=0)
        ours(angles, out=angles)
        assert torch.equal(angles, out)


def test_views_are_written_where_they_lie() -> None:
    angles = torch.full((3, 4), math.pi / 2)
    sine(angles[:, 1], out=angles[:, 1])
    assert angles[:, 1].tolist() == [1.0] * 3
    assert angles[0, 0] == pytest.approx(math.pi / 2)


def test_captured_graphs_hold_the_operation_and_not_its_numbers() -> None:
    def played(angles: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(angles)
        sine(angles, out=out)
        return out

    traced = torch.jit.trace(played, torch.zeros(5))
    exported = torch.export.export(_Played(played), (torch.zeros(5),)).module()
    angles = torch.linspace(-1, 1, 5)
    torch.testing.assert_close(traced(angles), angles.sin())
    torch.testing.assert_close(exported(angles), angles.sin())


class _Played(torch.nn.Module):
    def __init__(self, play) -> None:
        super().__init__()
        self.play = play

    def forward(self, angles: torch.Tensor) -> torch.Tensor:
        return self.play(angles)
