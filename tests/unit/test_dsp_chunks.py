"""Separating a long recording piece by piece gives what separating it whole gives."""

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from toolkit.dsp.chunks import Chunking, in_parallel, stream


def pointwise(piece: Tensor) -> Tensor:
    return torch.stack([0.3 * piece, 0.7 * piece], dim=1)


def together(separate: Callable[[Tensor], Tensor], mixture: Tensor, chunking: Chunking, block: int = 50) -> Tensor:
    return torch.cat(list(stream(separate, mixture.split(block, dim=-1), chunking)), dim=-1)


@settings(max_examples=40)
@given(length=st.integers(1, 400), chunk=st.integers(8, 120), overlap=st.sampled_from([0.1, 0.25, 0.5]))
def test_a_pointwise_separation_does_not_depend_on_chunks(length: int, chunk: int, overlap: float) -> None:
    mixture = torch.randn(1, 2, length)
    torch.testing.assert_close(together(pointwise, mixture, Chunking(chunk, overlap)), pointwise(mixture))


@settings(max_examples=40)
@given(length=st.integers(1, 400), chunk=st.integers(2, 120), block=st.integers(1, 150), shifts=st.integers(0, 2))
def test_nor_on_the_blocks_it_comes_in_nor_on_shifts(length: int, chunk: int, block: int, shifts: int) -> None:
    mixture = torch.randn(2, 1, length)
    chunking = Chunking(chunk, align=False, shifts=shifts, longest_shift=40)
    torch.testing.assert_close(together(pointwise, mixture, chunking, block), pointwise(mixture))


@pytest.mark.parametrize("chunk", [None, 100])
def test_the_model_hears_whole_chunks_and_what_was_before_them(chunk: int | None) -> None:
    heard: list[Tensor] = []

    def separate(piece: Tensor) -> Tensor:
        heard.append(piece)
        return pointwise(piece)

    mixture = torch.arange(1.0, 431.0).expand(1, 1, -1)
    together(separate, mixture, Chunking(chunk, align=False))
    assert {piece.shape[-1] for piece in heard} == {chunk or 430}

    heard.clear()
    together(separate, mixture, Chunking(chunk, align=False, shifts=3, longest_shift=20))
    lengths = [piece.shape[-1] - (chunk or 430) for piece in heard]
    assert 0 <= min(lengths) < max(lengths) <= 20
    first, last = heard[2][0, 0], heard[-1][0, 0]
    assert first[lengths[2] :].equal(mixture[0, 0, : chunk or 430])
    assert not first[: lengths[2]].any()  # nothing was before the beginning
    assert chunk is None or last.equal(mixture[0, 0, -len(last) :])


def test_shifts_are_the_same_each_time() -> None:
    mixture = torch.randn(1, 1, 300)

    def smear(piece: Tensor) -> Tensor:
        return piece.cumsum(-1)[:, None]

    once, again, other = (
        together(smear, mixture, Chunking(80, align=False, shifts=2, longest_shift=9, seed=seed)) for seed in (0, 0, 1)
    )
    assert once.equal(again)
    assert not once.equal(other)


def test_sources_that_a_model_swaps_between_chunks_keep_their_place() -> None:
    time = torch.arange(4000) / 1000
    sources = torch.stack([torch.sin(40 * time), torch.sin(333 * time)])[None, :, None]
    calls = iter(range(100))

    def separate(piece: Tensor) -> Tensor:
        start = next(calls) * 750
        exact = sources[..., start : start + piece.shape[-1]]
        return exact.flip(1) if start % 1500 else exact

    torch.testing.assert_close(together(separate, sources.sum(1), Chunking(1000)), sources)


def test_sources_of_a_fixed_order_are_never_exchanged() -> None:
    """Where two sources change their sounds, correlation would be wrong about which is which."""
    mixture = torch.randn(1, 1, 4000)

    def separate(piece: Tensor) -> Tensor:
        return torch.stack([piece, torch.zeros_like(piece)], dim=1) * (1 if piece[..., 0] > 0 else -1)

    estimate = together(separate, mixture, Chunking(100, align=False))
    assert not estimate[:, 1].any()


def test_chunks_are_separated_side_by_side_in_their_order() -> None:
    meeting = threading.Barrier(2, timeout=60)  # breaks unless two are at work at a time

    def work(number: int) -> int:
        meeting.wait()
        return -number

    assert list(in_parallel(work, range(6), jobs=2)) == [0, -1, -2, -3, -4, -5]


def test_no_more_is_begun_than_asked_for() -> None:
    taken = []

    def given_one_by_one() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    for number in in_parallel(abs, given_one_by_one(), jobs=3):
        assert len(taken) <= number + 4
    mixture = torch.randn(1, 1, 500)
    torch.testing.assert_close(together(pointwise, mixture, Chunking(60, jobs=3)), pointwise(mixture))


def test_a_chunk_of_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 samples, found 1"):
        Chunking(1)
    with pytest.raises(ValueError, match=r"0 to 0\.5, found 0\.6"):
        Chunking(10, overlap=0.6)
