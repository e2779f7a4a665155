"""pYIN and the path through states that are in a row."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from toolkit.dsp import pyin as module
from toolkit.dsp.pyin import normalized_difference, pyin
from toolkit.dsp.viterbi import triangle, viterbi

RATE = 8000
ALONE = torch.ones(1, 1)  # one kind of states


def tone(hertz: float, seconds: float = 0.5) -> Tensor:
    """A tone of five harmonics."""
    phase = 2 * np.pi * hertz * torch.arange(round(seconds * RATE)) / RATE
    return sum(((k * phase).sin() / k for k in range(1, 6)), torch.zeros(()))


def best_of_all(observed: Tensor, near: Tensor) -> float:
    """The likelihood of the best of all paths through (L, N), one after another."""
    moments, places = observed.shape
    reach = len(near) // 2
    best = -np.inf
    for path in np.ndindex(*[places] * moments):
        steps = [path[i] - path[i + 1] + reach for i in range(moments - 1)]
        if all(0 <= step <= 2 * reach for step in steps):
            score = sum(float(observed[i, place].log()) for i, place in enumerate(path))
            best = max(best, score + sum(float(near[step, path[i + 1]]) for i, step in enumerate(steps)))
    return best


def test_what_leaves_a_state_adds_up_to_one() -> None:
    near = triangle(5, 1).exp()
    assert near[:, 2].tolist() == pytest.approx([0.25, 0.5, 0.25])
    assert near[:, 0].tolist() == pytest.approx([0, 2 / 3, 0.25])  # nothing comes from below; from above comes what goes there
    leaving = [sum(float(near[1 - step, i + step]) for step in (-1, 0, 1) if 0 <= i + step < 5) for i in range(5)]
    assert leaving == pytest.approx([1] * 5)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), reach=st.integers(1, 2))
def test_no_path_is_likelier(seed: int, reach: int) -> None:
    observed = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.01
    near = triangle(4, reach)
    for row, path in zip(observed, viterbi([observed[:, :, None]], near, ALONE), strict=True):
        steps = near[path[:-1] - path[1:] + reach, path[1:]]
        likelihood = row[torch.arange(5), path].log().sum() + steps.sum()
        assert float(likelihood) == pytest.approx(best_of_all(row, near))


def test_pieces_of_time_and_neighbours_change_nothing() -> None:
    observed = torch.rand(3, 20, 2, 6)
    switch = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    whole = viterbi([observed], triangle(6, 1), switch)
    assert whole.shape == (3, 20)
    assert torch.equal(viterbi(observed.split(7, dim=1), triangle(6, 1), switch), whole)
    assert torch.equal(viterbi([observed[1:2]], triangle(6, 1), switch), whole[1:2])
    with pytest.raises(ValueError, match="at least one piece"):
        viterbi([], triangle(6, 1), switch)


def test_a_path_exists_where_no_step_is_possible() -> None:
    observed = torch.eye(6)[[0, 5, 5]][None, :, None]  # from one end to the other, at most one place at a time
    assert viterbi([observed], triangle(6, 1), ALONE).tolist() == [[0, 5, 5]]


def test_the_difference_function_is_that_of_the_paper() -> None:
    frames = torch.stack([tone(200)[:512], torch.randn(512)]).double()
    delayed = torch.stack([torch.cat([frames[:, lag:], torch.zeros(2, lag)], 1) for lag in range(1, 101)], 1)
    squares = (frames[:, None] - delayed).square().sum(-1)
    expected = squares / (squares.cumsum(-1) / torch.arange(1, 101))
    torch.testing.assert_close(normalized_difference(frames, 20, 100), expected[:, 19:])
    assert expected[0, :60].argmin() + 1 == 40  # the period of 200 Hz


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tones_and_silence(dtype: torch.dtype) -> None:
    sounds = torch.stack([tone(196), tone(587.33), torch.zeros(4000)]).to(dtype)
    found = pyin(sounds, RATE, hop_length=80, frame_length=1024)
    assert found.hertz.shape == (3, 51)
    assert found.hertz.dtype == found.probability.dtype == dtype
    assert found.voiced[:2, 5:-5].all()
    assert not found.voiced[2].any()
    cents = 1200 * (found.hertz[:2, 8:-8] / torch.tensor([[196.0], [587.33]])).log2()
    assert cents.abs().max() < 10
    assert (found.probability[2] == 0).all()


def test_recordings_are_independent_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = torch.stack([tone(300), torch.randn(4000)])
    together = pyin(sounds, RATE, 64, frame_length=512)
    monkeypatch.setattr(module, "FRAMES_AT_ONCE", 7)
    for row, sound in enumerate(sounds):
        alone = pyin(sound[None], RATE, 64, frame_length=512)
        for one, other in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], other[row])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"f_max": 5000.0}, "<= 4000 Hz"), ({"f_min": 2500.0}, "f_min < f_max"), ({"frame_length": 128}, "more than 161 samples")],
)
def test_pitches_that_cannot_be_found(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pyin(torch.zeros(1, 1000), RATE, 64, **options)
