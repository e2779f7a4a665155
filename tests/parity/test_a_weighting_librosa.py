"""A-weighted loudness against its definition in librosa's terms, as DDSP and DDX7 compute it."""

import numpy as np
import pytest
import torch

from toolkit.dsp.a_weighting import a_weighted_loudness, a_weighting

librosa = pytest.importorskip("librosa")

RATE, N_FFT, HOP = 16000, 2048, 64


def test_the_weights() -> None:
    frequencies = librosa.fft_frequencies(sr=RATE, n_fft=N_FFT)
    with np.errstate(divide="ignore"):
        expected = librosa.A_weighting(frequencies)
    np.testing.assert_allclose(a_weighting(torch.from_numpy(frequencies)).numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("level", [1.0, 1e-3, 0.0])
def test_the_loudness(level: float) -> None:
    time = np.arange(20001) / RATE
    samples = level * (np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time)).astype(np.float32)
    frames = -(-len(samples) // HOP)
    padded = np.pad(samples, (0, (frames - 1) * HOP + N_FFT - len(samples)))
    magnitudes = np.abs(librosa.stft(padded, n_fft=N_FFT, hop_length=HOP, center=False))
    with np.errstate(divide="ignore"):
        weights = librosa.A_weighting(librosa.fft_frequencies(sr=RATE, n_fft=N_FFT))[:, None]
    decibels = 20 * np.log10(np.maximum(1e-20, magnitudes)) + weights - 20.7
    expected = np.maximum(decibels, -80).mean(0)
    found = a_weighted_loudness(torch.from_numpy(samples), RATE).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-2)
