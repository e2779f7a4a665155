"""STOI and extended STOI against pystoi."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from toolkit.metrics import stoi

pystoi = pytest.importorskip("pystoi")


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("sample_rate", [8000, 10_000, 16_000, 22_050, 44_100])
def test_noise_with_pauses(sample_rate: int, extended: bool) -> None:
    generator = np.random.default_rng(0)
    samples = 2 * sample_rate + 7
    envelope = np.repeat(generator.random(21) ** 2 * (generator.random(21) > 0.3), samples // 20)[:samples]
    clean = envelope * generator.standard_normal(samples)
    noisy = clean + 0.1 * generator.standard_normal(samples)
    expected = pystoi.stoi(clean, noisy, sample_rate, extended)
    found = stoi(torch.from_numpy(noisy), torch.from_numpy(clean), sample_rate, extended).item()
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.real
@pytest.mark.parametrize("extended", [False, True])
def test_speech(shared_data: Path, extended: bool) -> None:
    path = next(iter(sorted((shared_data / "librispeech").rglob("*.flac"))), None)
    if path is None:
        pytest.skip("no speech here")
    clean, sample_rate = soundfile.read(path)
    noisy = clean + 0.02 * np.random.default_rng(0).standard_normal(len(clean))
    expected = pystoi.stoi(clean, noisy, sample_rate, extended)
    found = stoi(torch.from_numpy(noisy), torch.from_numpy(clean), sample_rate, extended).item()
    assert found == pytest.approx(expected, abs=1e-9)
