"""VGGish: its input, its network, its whitening and 8 bits; and what stands in for it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.dsp.ensemble import play
from toolkit.models.vggish import PatchProjection, log_mel_patches


def plain_patches(waveform: np.ndarray) -> np.ndarray:
    """The released `mel_features.py`, said again: (L, 96, 64) of a waveform (T,) at 16 kHz."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / 400 * np.arange(400))
    frames = [waveform[start : start + 400] * hann for start in range(0, len(waveform) - 399, 160)]
    magnitudes = np.abs(np.fft.rfft(frames, 512))

    def mel(hertz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log(1.0 + hertz / 700.0)

    bins, edges = mel(np.linspace(0, 8000, 257)), np.linspace(*mel(np.array([125.0, 7500.0])), 66)
    triangles = np.zeros((257, 64))
    for band in range(64):
        low, centre, high = edges[band : band + 3]
        triangles[:, band] = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    triangles[0] = 0
    log_mel = np.log(magnitudes @ triangles + 0.01)
    return np.stack([log_mel[start : start + 96] for start in range(0, len(log_mel) - 95, 96)])


@pytest.mark.parametrize("samples", [15600, 16000, 30959, 30960, 80001])
def test_the_input_is_that_of_the_release(samples: int) -> None:
    waveform = play(["piano", "violin"], 5.1, 16000, seed=0)[0, :samples].astype(float)
    ours = log_mel_patches(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(ours, plain_patches(waveform), atol=1e-9)


def test_ten_seconds_are_ten_patches() -> None:
    assert log_mel_patches(torch.randn(2, 160000)).shape == (2, 10, 96, 64)


@given(samples=st.integers(0, 15599))
@settings(max_examples=5)
def test_a_short_recording_is_filled_up_with_silence(samples: int) -> None:
    patches = log_mel_patches(torch.randn(1, samples))
    assert patches.shape == (1, 1, 96, 64)
    assert patches.isfinite().all()


def test_a_projection_has_the_format_of_the_published_features() -> None:
    feature = PatchProjection()
    assert (feature.name, feature.sample_rate, feature.frame_rate) == ("patch_projection", 16000, pytest.approx(1.0416667))
    sound = torch.from_numpy(np.stack([play([name], 10.0, 16000, seed=1).mean(0) for name in ("flute", "bass")]))
    projected = feature.compute(sound)
    assert projected.shape == (2, 10, 128)
    assert projected.dtype == feature.dtype == torch.uint8
    assert torch.equal(projected[:1], feature.compute(sound[:1]))
    silence = feature.compute(torch.zeros(1, 16000))
    assert torch.equal(silence, feature.compute(torch.zeros(1, 16000)))


def test_a_projection_keeps_what_tells_instruments_apart() -> None:
    """A linear read-out (ridge regression), fitted to a few examples, names most instruments of new pieces."""
    names = ["accordion", "bass", "cymbals", "flute", "guitar", "trumpet", "violin", "voice"]

    def heard(seeds: range) -> np.ndarray:
        pieces = [play([name], 3.0, 16000, seed, level=0.5).mean(0) for seed in seeds for name in names]
        return PatchProjection().compute(torch.from_numpy(np.stack(pieces))).numpy() / 128.0 - 1  # (pieces, 3, 128)

    known, new = heard(range(3)), heard(range(3, 5))
    told = np.repeat(np.tile(np.eye(len(names)), (3, 1)), 3, axis=0)
    patches = known.reshape(-1, 128)
    weights = np.linalg.solve(patches.T @ patches + 3.0 * np.eye(128), patches.T @ (told - 1 / 8))
    named = (new @ weights).mean(1).argmax(1)
    assert np.mean(named == np.tile(np.arange(8), 2)) >= 0.6
