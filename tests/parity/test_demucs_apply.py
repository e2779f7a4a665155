"""Chunks, cross-fades and shifts against the reference implementation, `demucs.apply`."""

import random

import pytest
import torch
from torch import Tensor, nn

from toolkit.dsp.chunks import Chunking, stream

apply = pytest.importorskip("demucs.apply")
RATE, LENGTH = 100, 250


class Smear(nn.Module):
    """Estimates that depend on what is around them, zeros beyond the ends included."""

    samplerate, segment, sources, audio_channels = RATE, 1.0, ("a", "b"), 2

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(2, 4, 31, padding=15, stride=1)

    def forward(self, mixture: Tensor) -> Tensor:
        return self.convolution(mixture.cumsum(-1)).unflatten(1, (2, 2))


@pytest.fixture
def mixture() -> Tensor:
    return torch.randn(1, 2, LENGTH)


def ours(model: nn.Module, mixture: Tensor, **options: object) -> Tensor:
    chunking = Chunking(align=False, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        return torch.cat(list(stream(model, mixture.split(33, dim=-1), chunking)), dim=-1)


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_cross_fades(mixture: Tensor, overlap: float) -> None:
    """Up to the last overlap, where Demucs hears a scrap of the song and we a whole chunk."""
    model = Smear()
    expected = apply.apply_model(model, mixture, shifts=0, split=True, overlap=overlap)
    shared = round(RATE * overlap)
    made = ours(model, mixture, chunk=RATE, overlap=overlap)
    torch.testing.assert_close(made[..., :-shared], expected[..., :-shared], atol=1e-5, rtol=1e-5)


def test_shifts(mixture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same draws; Demucs counts them from the other end."""
    model, draw = Smear(), random.Random(0)
    monkeypatch.setattr(apply.random, "randint", lambda low, high: high - draw.randint(low, high))
    expected = apply.apply_model(model, mixture, shifts=3, split=False)
    torch.testing.assert_close(ours(model, mixture, shifts=3, longest_shift=RATE // 2), expected, atol=1e-5, rtol=1e-5)
