"""pYIN and its decoding against librosa's.

Tolerances: the voicing of every frame; a pitch of the same 10 cents in every voiced frame (0.01 cents); probabilities within
1e-5 in single and 1e-9 in double precision.  Of real recordings, which hold close decisions, 99.5 % of the frames.  (librosa
0.11 drops the first sample of a frame from the difference at lag 1, which moves all others by about 1e-4; we do not.)
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from toolkit.dsp.pyin import pyin
from toolkit.dsp.viterbi import triangle, viterbi

librosa = pytest.importorskip("librosa")

RATE = 16000
REAL = {
    "vocadito": ("mirdata_samples/vocadito/Audio/vocadito_1.wav", 3.0),
    "mdb_stem_synth": ("mirdata_samples/mdb_stem_synth/audio_stems/AClassicEducation_NightOwl_STEM_08.RESYN.wav", 1.0),
    "trumpet": ("recordings/sorohanro_-_solo-trumpet-06.hq.ogg", 1.0),
}


def vibrato_and_noise(seconds: float = 1.0) -> np.ndarray:
    """Harmonics at 200 to 400 Hz, then silence, then noise, 440 Hz and a little noise."""
    generator = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    hertz = 200 * 2 ** (time / seconds) * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * time))
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 8))
    tone = np.sin(2 * np.pi * 440 * time[:6000]) + 0.1 * generator.standard_normal(6000)
    return np.concatenate([voice, np.zeros(4000), 0.3 * generator.standard_normal(6000), tone])


def compare(samples: np.ndarray, hop: int, frame: int, probability: float, least: float, **limits: float) -> None:
    low, high = limits.get("f_min", 50.0), limits.get("f_max", 2000.0)
    hertz, voiced, probable = librosa.pyin(
        samples, fmin=low, fmax=high, sr=RATE, frame_length=frame, hop_length=hop, fill_na=None
    )
    found = pyin(torch.from_numpy(samples)[None], RATE, hop, low, high, frame)
    assert found.hertz.shape == (1, len(hertz))
    both = voiced & found.voiced[0].numpy()
    assert both.mean() > 0.3
    assert (found.voiced[0].numpy() == voiced).mean() >= least
    cents = 1200 * np.abs(np.log2(found.hertz[0].numpy() / hertz))[both]
    assert (cents < 0.01).mean() >= least
    apart = np.abs(found.probability[0].numpy() - probable)
    assert (apart < probability).mean() >= least


@pytest.mark.parametrize(("dtype", "probability"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.parametrize(("hop", "frame"), [(256, 2048), (200, 1024)])
def test_synthetic_sound(dtype: type, probability: float, hop: int, frame: int) -> None:
    compare(vibrato_and_noise().astype(dtype), hop, frame, probability, least=1.0)


def test_another_range() -> None:
    compare(vibrato_and_noise(), 256, 1024, 1e-9, least=1.0, f_min=110.0, f_max=350.0)  # of which the sound leaves both


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_real_excerpts(shared_data: Path, name: str) -> None:
    file, start = REAL[name]
    samples, rate = soundfile.read(shared_data / file, dtype="float32", always_2d=True)
    excerpt = samples[round(start * rate) : round((start + 2) * rate)].mean(1)
    compare(librosa.resample(excerpt, orig_sr=rate, target_sr=RATE), 256, 2048, 1e-5, least=0.995)


@pytest.mark.parametrize("sparse", [0.0, 0.7])
def test_the_path(sparse: float) -> None:
    generator = np.random.default_rng(2)
    probabilities = generator.random((2, 40, 2, 15)) * (generator.random((2, 40, 2, 15)) >= sparse)
    switch = np.array([[0.9, 0.1], [0.2, 0.8]])
    transition = np.kron(switch, librosa.sequence.transition_local(15, 5, window="triangle", wrap=False))
    flat = probabilities.reshape(2, 40, 30).swapaxes(1, 2)
    expected = librosa.sequence.viterbi(flat, transition, p_init=np.full(30, 1 / 30))
    found = viterbi([torch.from_numpy(probabilities)], triangle(15, 2), torch.from_numpy(switch))
    np.testing.assert_array_equal(found.numpy(), expected)
