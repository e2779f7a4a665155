"""Encoders and decoders."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.blocks import LearnedDecoder, LearnedFilterbank, STFTDecoder, STFTFilterbank

ENCODERS = {
    "learned": lambda channels: LearnedFilterbank(12, 16, audio_channels=channels),
    "stft": lambda channels: STFTFilterbank(16, 4, audio_channels=channels),
}
DECODERS = {"learned": LearnedDecoder, "stft": STFTDecoder}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 15, 16, 17, 101])
def test_any_length_goes_there_and_back(kind, channels, samples):
    encoder = ENCODERS[kind](channels)
    decoder = DECODERS[kind](encoder)
    features = encoder(torch.randn(3, channels, samples))
    assert features.shape[:2] == (3, encoder.channels)
    assert (features.shape[-1] - 1) * encoder.stride + encoder.kernel_size >= samples  # every sample lies in a frame
    estimate = decoder(torch.stack([features, features], dim=1), samples)
    assert estimate.shape == (3, 2, channels, samples)


@given(samples=st.integers(1, 200), n_fft=st.sampled_from([8, 32]), parts=st.sampled_from([2, 4, 8]))
def test_the_stft_is_perfectly_reconstructed(samples, n_fft, parts):
    encoder = STFTFilterbank(n_fft, n_fft // parts, audio_channels=2)
    waveform = torch.randn(2, 2, samples)
    estimate = STFTDecoder(encoder)(encoder(waveform).unsqueeze(1), samples)
    torch.testing.assert_close(estimate[:, 0], waveform, atol=1e-5, rtol=1e-5)


def test_the_stft_holds_real_parts_then_imaginary_parts():
    encoder = STFTFilterbank(n_fft=8, hop_length=4)
    cosine = torch.cos(2 * torch.pi * torch.arange(64) / 8)  # bin 1, in phase with every second frame
    real, imaginary = encoder(cosine[None, None]).unflatten(1, (2, 5))[0].unbind(0)
    middle = real.shape[-1] // 2
    assert real[:, middle].abs().argmax() == 1
    assert imaginary[:, middle].abs().max() < 1e-5


def test_an_stft_decoder_needs_an_stft():
    with pytest.raises(ValueError, match="STFTDecoder inverts an STFTFilterbank, found LearnedFilterbank"):
        STFTDecoder(LearnedFilterbank())


def test_frames_must_not_leave_samples_out():
    assert LearnedFilterbank(8, kernel_size=20).stride == 10
    with pytest.raises(ValueError, match="stride: expected 1 to kernel_size=16 samples, found 17"):
        LearnedFilterbank(8, kernel_size=16, stride=17)
    with pytest.raises(ValueError, match="hop_length: expected a half, a third"):
        STFTFilterbank(n_fft=512, hop_length=500)


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_contract_is_told_when_broken(kind):
    encoder = ENCODERS[kind](2)
    with pytest.raises(ValueError, match=r"waveform: expected shape \(batch, channels=2, samples\), found \(3, 100\)"):
        encoder(torch.randn(3, 100))
    with pytest.raises(ValueError, match="features: expected shape"):
        DECODERS[kind](encoder)(torch.randn(3, 2, 5, 7), 10)
