"""SI-SDR and its relatives: known values, invariances, and what silence means."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.log import UserError
from toolkit.metrics import aggregate, nsdr, sd_sdr, si_sdr, snr


def orthogonal_noise(reference: torch.Tensor, level_db: float) -> torch.Tensor:
    """Noise of a level relative to the reference, orthogonal to it and without mean."""
    noise = torch.randn_like(reference)
    noise -= noise.mean(-1, keepdim=True)
    noise -= (noise * reference).sum(-1, keepdim=True) / reference.square().sum(-1, keepdim=True) * reference
    return noise * reference.norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True) * 10 ** (level_db / 20)


@pytest.fixture
def reference() -> torch.Tensor:
    x = torch.randn(3, 400, dtype=torch.float64)
    return x - x.mean(-1, keepdim=True)


def test_noise_of_a_known_level(reference: torch.Tensor) -> None:
    estimate = reference + orthogonal_noise(reference, -12)
    for metric in (si_sdr, snr, sd_sdr):
        torch.testing.assert_close(metric(estimate, reference), torch.full((3,), 12.0, dtype=torch.float64))


def test_a_wrong_level_counts_for_two_of_them(reference: torch.Tensor) -> None:
    half = 0.5 * reference
    assert (si_sdr(half, reference) == 100).all()  # the most that is told
    assert snr(half, reference)[0].item() == pytest.approx(10 * math.log10(4))
    assert sd_sdr(half, reference)[0].item() == pytest.approx(0)


@given(st.floats(1e-4, 1e4), st.floats(1e-4, 1e4), st.floats(-1, 1), st.integers(0, 1000))
def test_si_sdr_knows_neither_scale_nor_offset(first: float, second: float, offset: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    reference, noise = torch.randn(2, 100, generator=generator, dtype=torch.float64)
    estimate = reference + 0.3 * noise
    expected = si_sdr(estimate, reference)
    torch.testing.assert_close(si_sdr(first * estimate, second * reference), expected)
    torch.testing.assert_close(si_sdr(estimate + offset, reference), expected)
    torch.testing.assert_close(si_sdr(-estimate, reference), expected)


def test_silence() -> None:
    sound, silence = torch.randn(1, 100), torch.zeros(1, 100)
    for metric in (si_sdr, snr, sd_sdr):
        assert metric(sound, silence).isnan().all()  # undefined
    assert si_sdr(silence, sound).item() == -100  # the worst that is told
    assert snr(silence, sound).item() == pytest.approx(0)


def test_an_estimate_that_is_not_finite_is_the_worst() -> None:
    assert si_sdr(torch.full((10,), torch.nan), torch.randn(10)).item() == -100


def test_nsdr_takes_the_whole_track_and_all_its_channels(reference: torch.Tensor) -> None:
    track = reference.reshape(1, 3, 400) * torch.tensor([1.0, 0.1, 0.0])[:, None]
    error = torch.randn_like(track)
    expected = 10 * math.log10(track.square().sum() / (0.01 * error.square().sum()))
    torch.testing.assert_close(nsdr(track + 0.1 * error, track), torch.tensor([expected], dtype=torch.float64))
    assert nsdr(0 * track, 0 * track).item() == 0
    assert nsdr(track.float(), track.float()).item() == pytest.approx(10 * math.log10(track.square().sum() / 1e-7), abs=1e-3)


def test_aggregation_leaves_out_what_is_undefined() -> None:
    values = [1.0, math.nan, 2.0, 6.0]
    assert aggregate(values, "mean") == 3
    assert aggregate(values, "median") == 2
    assert math.isnan(aggregate([math.nan]))
    with pytest.raises(UserError, match="did you mean 'median'"):
        aggregate(values, "medien")


def test_half_precision_is_measured_in_full() -> None:
    sound = torch.randn(100)
    assert si_sdr(sound.bfloat16(), sound).dtype == torch.float32
