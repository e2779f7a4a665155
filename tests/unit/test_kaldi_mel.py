"""Kaldi's log-mel spectrograms against torchaudio and a plain re-statement; what is hidden and mixed in them while training."""

import math

import pytest
import torch
from torch import nn
from torchaudio.compliance.kaldi import get_mel_banks

from toolkit.blocks import KaldiMel, SpecAugment
from toolkit.blocks.kaldi_mel import mel_banks
from toolkit.blocks.mixup import Mixup
from toolkit.blocks.spec_augment import stretch


@pytest.mark.parametrize(
    ("sample_rate", "bands", "low", "high"), [(32000, 128, 0, 16000), (16000, 96, 0, 8000), (32000, 64, 19, 14001)]
)
def test_triangles_are_torchaudios(sample_rate, bands, low, high):
    ours = mel_banks(bands, 1024, sample_rate, torch.tensor([low]).double(), torch.tensor([high]).double())[0]
    theirs, _ = get_mel_banks(bands, 1024, sample_rate, low, high, 100.0, -500.0, 1.0)
    torch.testing.assert_close(ours[:, :-1].float(), theirs, atol=1e-4, rtol=0)
    assert (ours[:, -1] == 0).all()


def plain(waveform: torch.Tensor, banks: torch.Tensor) -> torch.Tensor:
    """One waveform's spectrogram, frame by frame."""
    emphasised = [float(waveform[t] - 0.97 * waveform[t - 1]) for t in range(1, len(waveform))]
    mirrored = emphasised[512:0:-1] + emphasised + emphasised[-2:-514:-1]
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 799) for n in range(800)]
    frames = []
    for start in range(0, len(mirrored) - 1023, 320):
        piece = torch.tensor(mirrored[start + 112 : start + 912], dtype=torch.float64) * torch.tensor(
            window, dtype=torch.float64
        )
        power = torch.fft.rfft(piece, 1024).abs() ** 2  # where in the frame the window lies does not matter to a power
        frames.append(((banks @ power + 1e-5).log() + 3.7) / 3.1)
    return torch.stack(frames, dim=1)


def test_pictures_are_the_plain_ones():
    frontend = KaldiMel(16000, 96).eval()
    waveforms = 0.1 * torch.randn(2, 3001, dtype=torch.float64)
    spectrograms = frontend(waveforms)
    assert spectrograms.shape == (2, 1, 96, 1 + 3000 // 320)
    for spectrogram, waveform in zip(spectrograms[:, 0], waveforms, strict=True):
        torch.testing.assert_close(spectrogram, plain(waveform, frontend.banks))
    torch.testing.assert_close(frontend(waveforms.float()), spectrograms.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("samples", [1, 2, 100, 513, 514])
def test_short_waveforms(samples):
    assert KaldiMel(16000, 40)(torch.randn(1, samples)).isfinite().all()


def test_bands_move_while_training_only():
    frontend = KaldiMel(32000, 32, f_min_jitter=20, f_max_jitter=2000)
    waveforms = torch.randn(1, 4000).expand(8, -1)
    assert len({float(spectrogram.sum()) for spectrogram in frontend(waveforms)}) > 1
    torch.manual_seed(7)
    moved = frontend(waveforms[:1])
    torch.manual_seed(7)
    low, high = torch.randint(20, (1,)), torch.randint(2000, (1,))
    fixed = KaldiMel(32000, 32, f_min=float(low), f_max=16000 - float(high))
    torch.testing.assert_close(moved, fixed(waveforms[:1]))
    assert torch.equal(frontend.eval()(waveforms), KaldiMel(32000, 32)(waveforms))


def test_autocast_does_not_coarsen_pictures():
    frontend, waveforms = KaldiMel(16000, 40), torch.randn(1, 4000)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(frontend(waveforms), KaldiMel(16000, 40)(waveforms))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"win_length": 1025}, "win_length: expected 1 to n_fft = 1024 samples, found 1025"),
        ({"sample_rate": 16000, "f_max": 9000.0}, r"expected bands within 0 to 8000 Hz, found 0 \(\+0\) to 9000 \(-0\) Hz"),
        ({"f_min": 200.0, "f_max": 210.0, "f_min_jitter": 20}, r"found 200 \(\+20\) to 210"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        KaldiMel(**options)


def test_one_band_and_one_stretch_are_hidden():
    frontend = SpecAugment(KaldiMel(16000, 40), freq_mask=20, time_mask=10, value=9.0)
    waveforms = torch.randn(16, 8000)
    spectrogram, hidden = frontend.frontend(waveforms)[:, 0], frontend(waveforms)[:, 0] == 9.0
    rows, frames = hidden.all(2), hidden.all(1)
    assert torch.equal(hidden, rows[:, :, None] | frames[:, None, :])
    assert rows.any()
    assert frames.any()
    assert rows.sum(1).max() < 20
    assert frames.sum(1).max() < 10
    for axis in (rows, frames):  # no second one
        assert (axis.int().diff(dim=1).abs().sum(1) <= 2).all()
    torch.testing.assert_close(frontend.eval()(waveforms)[:, 0], spectrogram)


def test_stretches_are_drawn_evenly_and_by_the_seed():
    torch.manual_seed(0)
    places = stretch(20_000, 30, 12)
    lengths = places.sum(1)
    assert lengths.max() == 11
    assert lengths.double().mean() == pytest.approx(5.5, abs=0.1)
    torch.manual_seed(0)
    assert torch.equal(stretch(20_000, 30, 12), places)
    assert stretch(100, 5, 192).shape == (100, 5)  # longer than the spectrogram


def test_pictures_are_mixed_after_the_frontend():
    frontend = nn.Sequential(KaldiMel(16000, 40))
    waveforms, labels = torch.randn(6, 4000), torch.eye(6)
    plain_pictures = frontend(waveforms)
    mixup = Mixup.draw(6, 0.3)
    assert ((mixup.shares >= 0.5) & (mixup.shares <= 1)).all()
    assert sorted(mixup.partners.tolist()) == list(range(6))
    with mixup.after(frontend):
        mixed = frontend(waveforms)
    for index, (partner, share) in enumerate(zip(mixup.partners, mixup.shares, strict=True)):
        torch.testing.assert_close(mixed[index], share * plain_pictures[index] + (1 - share) * plain_pictures[partner])
        torch.testing.assert_close(mixup(labels)[index], share * labels[index] + (1 - share) * labels[partner])
    assert torch.equal(frontend(waveforms), plain_pictures)
    mask = torch.tensor([[1.0], [0.0], [0.0]])
    assert Mixup(torch.tensor([1, 0, 2]), torch.ones(3)).either(mask).tolist() == [[1.0], [1.0], [0.0]]
