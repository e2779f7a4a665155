"""Pitch as pYIN and CREPE hear it, frame by frame of a recipe's hop."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from toolkit.blocks import CREPEPitch, PYINPitch
from toolkit.blocks.pitch_trackers import crepe_confidence
from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.metrics import melody

RATE = 16000


def glide(low: float, high: float, samples: int = 8000) -> tuple[Tensor, Tensor]:
    """A tone that glides, and its pitch at each sample."""
    hertz = low * (high / low) ** torch.linspace(0, 1, samples, dtype=torch.float64)
    phase = 2 * np.pi * hertz.cumsum(0) / RATE
    return sum(((k * phase).sin() / k for k in range(1, 6)), torch.zeros(())).float() / 3, hertz


def cents(found: Tensor, expected: Tensor) -> Tensor:
    return 1200 * (found / expected).log2().abs()


def test_pyin_gives_a_value_every_hop_and_zeros_where_unvoiced() -> None:
    pitch = PYINPitch(RATE, hop_length=64)
    sound, hertz = glide(220, 330)
    found = pitch.compute(torch.stack([sound, torch.zeros(8000)]))
    assert (found.shape, found.dtype) == ((2, 125), torch.float32)
    assert cents(found[0, 10:-10], hertz[::64][10:-10]).max() < 10  # frames stand where they are centred
    assert not found[1].any()
    assert pitch.name == "pyin_pitch/16000-64-50-2000-1024"
    assert pitch.compute(sound[None, :7937]).shape == (1, 125)


def test_crepe_gives_a_value_every_hop() -> None:
    pytest.importorskip("torchcrepe")
    sound, hertz = glide(300, 450)
    sounds = torch.stack([sound, torch.zeros(8000)])
    centred = CREPEPitch(RATE, 160, size="tiny", center=True)
    found = centred.compute(sounds)
    assert (found.shape, found.dtype) == ((2, 50), torch.float32)
    assert cents(found[0, 6:-6], hertz[::160][6:-6]).max() < 40
    assert not found[1].any()  # digital silence has no pitch
    ahead = CREPEPitch(RATE, 160, size="tiny")
    begun = ahead.compute(sounds)[0]
    assert cents(begun[3:-8], hertz[512::160][3 : len(begun) - 8]).max() < 40  # a frame that begins here is centred 32 ms later
    assert ahead.name != centred.name


def test_crepe_leaves_out_what_it_is_not_sure_of() -> None:
    pytest.importorskip("torchcrepe")
    sounds = torch.stack([glide(300, 320)[0], 0.1 * torch.randn(8000)])
    found = CREPEPitch(RATE, 160, size="tiny", least_confidence=0.5).compute(sounds)
    assert (found[0, 3:-8] > 0).all()
    assert (found[1] > 0).float().mean() < 0.2
    assert (CREPEPitch(RATE, 160, size="tiny").compute(sounds) > 0).all()
    within = CREPEPitch(RATE, 160, f_min=400, f_max=1000, size="tiny").track(sounds)
    assert within.hertz.min() > 390
    assert within.confidence[0].mean() < 0.2


def test_crepe_at_another_rate() -> None:
    with pytest.raises(ValueError, match="hears 16000 Hz, found sample_rate 8000"):
        CREPEPitch(8000, 64)


def test_without_its_package_crepe_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcrepe", None)
    pitch = CREPEPitch(RATE, 64)  # costs nothing
    with pytest.raises(UserError, match="Next: pip install torchcrepe"):
        pitch.compute(torch.zeros(1, 1000))


def test_confidence_of_a_block_is_the_mean_of_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []

    def predict(samples: Tensor, *options: object, **_: object) -> tuple[None, Tensor]:
        heard.append((samples.shape[1], *options))
        return None, torch.tensor([[0.9, 0.8, 0.4]])

    monkeypatch.setitem(sys.modules, "torchcrepe", SimpleNamespace(predict=predict))
    assert crepe_confidence(torch.ones(130)) == pytest.approx(0.7)
    assert heard == [(2 * 64 + 1024, RATE, 64, 50.0, 2000.0, "full")]  # three frames, zeros behind the samples


@pytest.mark.real
@pytest.mark.parametrize("tracker", ["pyin", "crepe"])
def test_a_real_voice(shared_data: Path, tracker: str) -> None:
    folder, begin, end = shared_data / "mirdata_samples/vocadito", 3.0, 6.0
    samples, rate = soundfile.read(folder / "Audio/vocadito_1.wav", dtype="float32")
    times, hertz = np.loadtxt(folder / "Annotations/F0/vocadito_1_f0.csv", delimiter=",").T
    if tracker == "crepe":
        pytest.importorskip("torchcrepe")
    pitch = PYINPitch(RATE, 160) if tracker == "pyin" else CREPEPitch(RATE, 160, size="tiny", center=True)
    sound = torch.from_numpy(resample(samples[int(begin * rate) : int(end * rate)], rate, RATE))
    found = pitch.compute(sound[None])[0]
    there = (times >= begin) & (times < end - 0.01)
    curves = melody.align(times[there] - begin, hertz[there], 0.01 * np.arange(len(found)), found)
    assert melody.raw_pitch_accuracy(curves) > 0.9
