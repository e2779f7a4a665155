"""A model of pitch: absolute pitch from known tones, curves whole or as the sound comes in, how sure it is."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from toolkit.blocks.pitch import LogCQT, PESTOEncoder, PitchEncoder, VoicedHead
from toolkit.dsp.notes import midi_to_hz
from toolkit.models.pesto import HARMONICS, PESTO, TIMBRES, TONES, flatness, harmonic_tones, peak_share


class LoudestBin(PitchEncoder):
    """Each bin of the spectrum is as probable as it is loud; bin 0 stands `lowest` bins above MIDI number 0."""

    def __init__(self, bins: int, lowest: int = 30) -> None:
        super().__init__()
        self.bins, self.pitches, self.lowest = bins, 384, lowest
        self.last = nn.Identity()

    def forward(self, spectra: Tensor) -> Tensor:
        logits = spectra.new_full((len(spectra), self.pitches), -1e3)
        logits[:, self.lowest : self.lowest + self.bins] = spectra * math.log(10) / 20  # magnitudes
        return logits


def frontend(**changes) -> LogCQT:
    return LogCQT(**{"sample_rate": 8000, "hop_length": 80, "f_min": 110.0, "bins": 170} | changes)


def tone(semitone: float, seconds: float = 0.6, sample_rate: int = 8000) -> Tensor:
    time = torch.arange(round(seconds * sample_rate)) / sample_rate
    return torch.sin(2 * math.pi * 440 * 2 ** ((semitone - 69) / 12) * time)[None]


def test_the_absolute_pitch_is_read_from_tones_of_known_pitch() -> None:
    model = PESTO(frontend(), LoudestBin, widest=16).eval()  # A2 is bin 1, which is bin 31 with the encoder's, less 16 cut off
    model.calibrate()
    assert model.shift.item() == pytest.approx((1 - 16 + 30) / 3 - 45, abs=0.05)
    curve = model.track(torch.cat([tone(57.0), tone(64.5)], dim=-1))
    assert curve.hertz.shape == curve.confidence.shape == (1, 1 + 9600 // 80)
    middle = 12 * (curve.hertz[0, [30, 90]] / 440).log2() + 69
    torch.testing.assert_close(middle, torch.tensor([57.0, 64.5]), rtol=0, atol=0.1)


@settings(max_examples=10)
@given(st.floats(-12, 12))
def test_what_is_read_goes_down_by_the_shift_whatever_part_of_a_bin_it_is(shift: float) -> None:
    model = PESTO(frontend(), partial(LoudestBin, lowest=60)).eval()  # so that nothing is pushed off either end
    spectra = torch.randn(1, 3, 170) * 20
    before = model.read(spectra).hertz
    model.shift.fill_(shift)
    torch.testing.assert_close(model.read(spectra).hertz, before * 2 ** (-shift / 12), rtol=1e-4, atol=0)


@settings(max_examples=5)
@given(st.lists(st.integers(0, 2000), min_size=1, max_size=3))
def test_blocks_of_any_size_give_the_curve_of_the_whole(sizes: list[int]) -> None:
    torch.manual_seed(0)
    model = PESTO(frontend(bins=100), partial(PESTOEncoder, channels=(4, 2)), voicing=VoicedHead).eval()
    waveforms = torch.randn(2, sum(sizes) + 1)
    state, parts = None, []
    for block in waveforms.split([*sizes, 1], dim=-1):
        pitch, state = model.step(block, state)
        parts.append(pitch)
    assert state is not None
    parts.append(model.finish(state))
    for whole, found in zip(model.track(waveforms), zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(found, dim=-1), whole, rtol=1e-3, atol=1e-4)


def test_long_recordings_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, spectra = PESTO(frontend(), PESTOEncoder).eval(), torch.randn(2, 25, 170)
    whole = model.read(spectra)
    monkeypatch.setattr("toolkit.models.pesto.CHUNK", 7)
    for values, found in zip(whole, model.read(spectra), strict=True):
        torch.testing.assert_close(found, values)


def test_an_encoder_in_half_precision_does_not_blur_the_pitch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, spectra = PESTO(frontend(), LoudestBin).eval(), 20 * torch.randn(1, 9, 170)
    forward, found = model.encoder.forward, []
    for dtype in (torch.bfloat16, torch.float32):
        monkeypatch.setattr(model.encoder, "forward", lambda x, dtype=dtype: forward(x).bfloat16().to(dtype))
        found.append(model.read(spectra))
    for coarse, fine in zip(*found, strict=True):
        torch.testing.assert_close(coarse, fine, rtol=0, atol=0)


def test_confidence_tells_a_tone_from_noise_and_silence() -> None:
    model = PESTO(frontend(), LoudestBin).eval()
    torch.manual_seed(0)
    heard = [model.track(wave).confidence[0, 30].item() for wave in (tone(60), torch.randn(1, 4800), torch.zeros(1, 4800))]
    assert heard[0] > 0.5 > 0.2 > max(heard[1:])
    assert flatness(torch.ones(2, 50)).tolist() == [1, 1]
    assert peak_share(torch.eye(384)[[0, 200, 383]]).tolist() == [1, 1, 1]
    torch.testing.assert_close(peak_share(torch.full((1, 384), 1 / 384)), torch.tensor([3 / 384]))  # bins 0 to 2


def test_the_tones_are_always_the_same_and_in_tune() -> None:
    tones = harmonic_tones(8000)
    assert tones.shape == (len(TONES) * TIMBRES, 16000)
    assert tones.equal(harmonic_tones(8000))
    spectrum = torch.fft.rfft(tones.double()).abs()  # half a hertz a bin
    strongest = (spectrum > 0.05 * spectrum.amax(-1, keepdim=True)).nonzero()
    hertz = midi_to_hz(torch.tensor(TONES).repeat_interleave(TIMBRES))[strongest[:, 0]]
    harmonic = strongest[:, 1] / 2 / hertz
    assert ((harmonic - harmonic.round()).abs() * hertz < 5).all()
    assert set(harmonic.round().int().tolist()) == set(range(1, HARMONICS + 1))


def test_wrong_sizes_are_told() -> None:
    with pytest.raises(ValueError, match="widest: expected 0 to 84 bins, found 90"):
        PESTO(frontend(), PESTOEncoder, widest=90)
    with pytest.raises(ValueError, match=r"expected shape \(batch, frames, bins=170\), found \(2, 3, 100\)"):
        PESTO(frontend(), PESTOEncoder).read(torch.zeros(2, 3, 100))


def test_a_plain_linear_layer_and_linear_prefilters() -> None:
    with torch.device("meta"):
        plain = PESTOEncoder(bins=264, toeplitz=False, linear_prefilters=True)
        assert plain(torch.empty(2, 264)).shape == (2, 384)
    assert plain.last.weight.shape == (384, 792)
    assert [type(layer).__name__ for layer in plain.prefilters[1]] == ["Conv1d"]  # no leaky ReLU, no dropout
    assert sum(weight.numel() for weight in plain.parameters()) == 28_886 - 1175 + 384 * 792
