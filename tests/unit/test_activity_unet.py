"""The U-Net that hears activity, and the loss that teaches it to."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from toolkit.blocks import ActivityUNet
from toolkit.blocks.activity_unet import median_filter
from toolkit.dsp.stft import STFT
from toolkit.losses import SeparationAndActivity
from toolkit.losses.activity import active_frames
from toolkit.models import SpectrogramSeparator

SMALL = partial(ActivityUNet, max_bin=50, widths=(4, 6, 8))


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts():
    with torch.device("meta"):
        masker = ActivityUNet(2049, 2, sources=3, max_bin=1487)
    network = masker.networks[0]
    assert count(network) == 3_205_682
    assert count(network.down) + count(network.skips) == 75_984
    assert count(network.up) + count(network.last) == 66_577
    assert count(network.activity) == 7_137
    assert count(network.bins) == 3_048_912
    assert count(masker) == 3 * 3_205_682


@pytest.mark.parametrize("bins", [50, 65, 100])
@pytest.mark.parametrize("frames", [1, 6, 31])
@pytest.mark.parametrize("channels", [1, 2])
def test_shapes_and_gradients(bins, frames, channels):
    masker = SMALL(bins, channels, 2)
    magnitudes = torch.rand(3, channels, bins, frames)
    estimate, logits = masker(magnitudes)
    assert estimate.shape == (3, 2, channels, bins, frames)
    assert logits.shape == (3, 2, frames)
    assert estimate.min() >= 0
    (estimate.mean() + logits.mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in masker.parameters())


def test_separation_mutes_frames_that_are_not_active():
    masker = SMALL(65, 2, 2, median_frames=3).eval()
    magnitudes = torch.rand(1, 2, 65, 12)
    estimate, logits = masker(magnitudes)
    assert logits.sigmoid().sub(0.5).abs().min() > 0
    masker.threshold = logits.sigmoid().median().item()
    weights = median_filter((logits.sigmoid() > masker.threshold).float(), 3)
    assert 0 < weights.mean() < 1
    torch.testing.assert_close(masker.separate(magnitudes), estimate * weights[:, :, None, None])
    masker.weighting = "probability"
    soft = estimate * median_filter(logits.sigmoid(), 3)[:, :, None, None]
    torch.testing.assert_close(masker.separate(magnitudes), soft)
    masker.weighting = "none"
    torch.testing.assert_close(masker.separate(magnitudes), estimate)


def test_a_median_over_frames():
    activity = torch.tensor([[[1.0, 0, 0, 1, 0, 1, 1, 1]]])
    torch.testing.assert_close(median_filter(activity, 3), torch.tensor([[[1.0, 0, 0, 0, 1, 1, 1, 1]]]))
    torch.testing.assert_close(median_filter(activity, 1), activity)
    assert median_filter(activity[..., :1], 21).item() == 1


def test_statistics_bring_each_bin_to_zero_mean_and_unit_deviation():
    masker = SMALL(65, 2, 1)
    loudness = torch.linspace(0.1, 3, 65)[:, None]
    songs = [loudness * torch.rand(2, 65, frames) for frames in (40, 300)]
    masker.fit_statistics(songs)
    network = masker.networks[0]
    frames = torch.cat([song.mean(0) for song in songs], dim=-1)[:50]
    normalised = (frames - network.input_mean[:, None]) / network.input_scale[:, None]
    torch.testing.assert_close(normalised.mean(-1), torch.zeros(50), atol=1e-4, rtol=0)
    torch.testing.assert_close(normalised.std(-1, correction=0), torch.ones(50), atol=1e-4, rtol=0)


def test_in_its_model():
    model = SpectrogramSeparator(SMALL, sources=2, audio_channels=2, n_fft=128, hop_length=32)
    references = torch.randn(2, 2, 2, 500)
    estimate, logits = model(references.sum(1))
    target = model.target(references)
    assert estimate.shape == target.shape
    loss = SeparationAndActivity()(estimate, target, logits)
    assert loss.shape == (2,)
    assert model.separate(references.sum(1)).shape == references.shape


def test_the_loss_adds_both():
    target = torch.stack([torch.ones(1, 65, 4), torch.zeros(1, 65, 4)])[None]  # one source sounds, one is silent
    estimate = target + 0.5
    logits = torch.tensor([[[2.0] * 4, [-1.0] * 4]])
    entropy = (F.softplus(torch.tensor(-2.0)) + F.softplus(torch.tensor(-1.0))) / 2
    loss = SeparationAndActivity(weight=3.0)
    torch.testing.assert_close(loss(estimate, target, logits), 0.25 + 3 * entropy[None])
    assert loss.assign(estimate, target).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="expected a model that also gives activities"):
        loss(estimate, target)


@pytest.mark.parametrize("n_fft", [512, 4096])
def test_activity_is_a_matter_of_level(n_fft):
    noise = torch.randn(2, 1, 44_100)
    levels = torch.tensor([-45.0, -55.0])  # dB of the mean square
    stems = noise / noise.square().mean(-1, keepdim=True).sqrt() * 10 ** (levels / 20)[:, None, None]
    active = active_frames(STFT(n_fft)(stems).abs(), floor_db=-50.0)
    assert active[0].all()
    assert not active[1].any()


def test_options_that_do_not_fit():
    with pytest.raises(ValueError, match="median_frames: expected an odd number, found 20"):
        SMALL(65, 2, 1, median_frames=20)
    with pytest.raises(ValueError, match="max_bin: expected 27 to 49, the bins of the spectrogram, found 50"):
        SMALL(49, 2, 1)


def test_a_wrong_spectrogram_is_told():
    with pytest.raises(ValueError, match=r"magnitudes: expected shape \(batch, channels=2, bins=65, frames\)"):
        SMALL(65, 2, 1)(torch.rand(1, 1, 65, 4))
