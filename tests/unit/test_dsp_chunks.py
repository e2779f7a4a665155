"""Separating a long recording piece by piece gives what separating it whole gives."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.dsp.chunks import in_chunks


@given(length=st.integers(1, 400), chunk=st.integers(8, 120), overlap=st.sampled_from([0.1, 0.25, 0.5]))
def test_a_pointwise_separation_does_not_depend_on_chunks(length: int, chunk: int, overlap: float) -> None:
    mixture = torch.randn(1, 2, length)

    def separate(piece: torch.Tensor) -> torch.Tensor:
        return torch.stack([0.3 * piece, 0.7 * piece], dim=1)

    torch.testing.assert_close(in_chunks(separate, mixture, chunk, overlap), separate(mixture))


def test_sources_that_a_model_swaps_between_chunks_keep_their_place() -> None:
    time = torch.arange(4000) / 1000
    sources = torch.stack([torch.sin(40 * time), torch.sin(333 * time)])[None, :, None]
    calls = iter(range(100))

    def separate(piece: torch.Tensor) -> torch.Tensor:
        start = next(calls) * 750
        exact = sources[..., start : start + piece.shape[-1]]
        return exact.flip(1) if start % 1500 else exact

    torch.testing.assert_close(in_chunks(separate, sources.sum(1), 1000, 0.25), sources)
