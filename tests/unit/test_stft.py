"""The short-time Fourier transform: shapes, what PyTorch makes of the same, the way back, statistics of its bins."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.dsp.aligned_stft import AlignedSTFT
from toolkit.dsp.stft import STFT, bin_statistics


def test_it_is_torchs_with_frames_centred_on_every_hop():
    waveform, stft = torch.randn(2, 3, 1000), STFT(64, 16)
    expected = torch.stft(waveform.flatten(0, 1), 64, 16, window=torch.hann_window(64), return_complex=True)
    spectrum = stft(waveform)
    assert spectrum.shape == (2, 3, stft.bins, 1 + 1000 // 16) == (2, 3, 33, 63)
    torch.testing.assert_close(spectrum.flatten(0, 1), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(1, 300), hop=st.sampled_from([5, 16, 32]), pad=st.sampled_from(["reflect", "constant"]))
def test_the_inverse_gives_back_any_length(samples, hop, pad):
    waveform, stft = torch.randn(1, 2, samples), STFT(64, hop, pad)
    padded = torch.nn.functional.pad(waveform, (0, -samples % hop))  # with a hop of half a frame the last window must be whole
    torch.testing.assert_close(stft.inverse(stft(padded), samples), waveform, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("transform", [STFT(64, 16), AlignedSTFT(64)], ids=["centred", "aligned"])
@pytest.mark.parametrize("axes", [(), (3,), (2, 1, 3)])
def test_waveforms_may_have_any_number_of_leading_axes(axes, transform):
    waveform = torch.randn(*axes, 160)
    spectrum = transform(waveform)
    assert spectrum.shape[:-1] == (*axes, transform.bins)
    restored = transform.inverse(spectrum, 160)
    torch.testing.assert_close(restored[..., 24:-24], waveform[..., 24:-24], atol=1e-5, rtol=1e-5)
    flat = transform(waveform.reshape(-1, 160)).view(spectrum.shape)
    torch.testing.assert_close(spectrum, flat, atol=0, rtol=0)


def test_shapes_are_known_without_computing():
    stft = STFT(64, 16).to("meta")
    spectrum = stft(torch.empty(2, 100, device="meta"))
    assert spectrum.is_meta
    assert stft.inverse(spectrum, 100).shape == (2, 100)


@pytest.mark.parametrize(
    ("options", "told"), [((63,), "n_fft: expected an even"), ((64, 0), "hop_length"), ((64, 33), "1 to n_fft / 2 = 32")]
)
def test_windows_that_leave_gaps_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        STFT(*options)


def test_statistics_are_those_of_all_frames_of_all_recordings():
    recordings = [torch.rand(5, 7), torch.rand(5, 30)]
    mean, deviation = bin_statistics(recordings)
    frames = torch.cat(recordings, dim=1)
    torch.testing.assert_close(mean.float(), frames.mean(1))
    torch.testing.assert_close(deviation.float(), frames.std(1, correction=0))


def test_a_bin_that_is_never_heard_counts_as_very_quiet():
    magnitudes = torch.rand(3, 50)
    magnitudes[2] = 0
    _, deviation = bin_statistics([magnitudes])
    assert deviation[2] == 1e-4 * deviation.max()
    with pytest.raises(ValueError, match="at least one recording"):
        bin_statistics([])
