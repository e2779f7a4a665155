"""PESTO's front end, network and read-out: sizes as published, and what a transposition does to each of them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from toolkit.blocks.pitch import (
    LogCQT,
    PESTOEncoder,
    ToeplitzLinear,
    VoicedHead,
    crop,
    load_pesto,
    local_average,
    shifted_crops,
)
from toolkit.dsp.cqt import CQT
from toolkit.dsp.notes import midi_to_hz

VERSION_2 = {"bins": 219, "kernel_size": 39, "prefilters": 3}


@pytest.mark.parametrize(("options", "count"), [({}, 28_886), (VERSION_2, 130_461)], ids=["PESTO", "second version"])
def test_sizes_are_the_published_ones(options, count):
    with torch.device("meta"):
        encoder = PESTOEncoder(**options)
        logits = encoder(torch.empty(5, encoder.bins))
    assert sum(weight.numel() for weight in encoder.parameters()) == count
    assert logits.shape == (5, 384) == (5, encoder.pitches)


def test_voiced_head_is_the_released_one_in_size():
    head = VoicedHead()
    assert head.linear.in_features == 72  # 71 places of the convolution, and the flatness
    energies = torch.rand(4, 251) + 1e-3
    voiced = head(energies)
    assert voiced.shape == (4,)
    assert ((voiced > 0) & (voiced < 1)).all()
    with torch.autocast("cpu", torch.bfloat16):
        assert head(energies).equal(voiced)


def test_toeplitz_layer_is_a_padded_convolution():
    layer, features = ToeplitzLinear(12, 7), torch.randn(3, 12)
    expected = F.conv1d(features[:, None], layer.weight, padding=6)[:, 0]
    torch.testing.assert_close(layer(features), expected)


def test_a_centred_layer_begins_by_putting_the_bins_in_the_middle():
    layer, bins = ToeplitzLinear(2 * 6, 10), torch.randn(3, 2, 6)
    layer.weight.data.zero_()
    layer.centre(channels=2)
    torch.testing.assert_close(layer(bins.flatten(1))[:, 2:-2], bins.sum(1))
    with pytest.raises(ValueError, match="toeplitz: false"):
        PESTOEncoder(toeplitz=False, centred=True)


def plain(weights: dict[str, torch.Tensor], spectra: torch.Tensor) -> torch.Tensor:
    """Probabilities of the released network, under its names of weights."""
    hidden = F.layer_norm(spectra[:, None], (1, spectra.shape[-1]), weights["layernorm.weight"], weights["layernorm.bias"])
    hidden = F.leaky_relu(F.conv1d(hidden, weights["conv1.0.weight"], weights["conv1.0.bias"], padding=19), 0.3)
    for number in range(2):
        name = f"prefilt_layers.{number}.0"
        layer = F.conv1d(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=19)
        hidden = F.leaky_relu(layer, 0.3) + hidden
    for number in (0, 3, 6, 9):
        name = f"conv_layers.{number}"
        hidden = F.leaky_relu(F.conv1d(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]), 0.3)
    return F.conv1d(hidden.flatten(1)[:, None], weights["fc.weight"], padding=383)[:, 0].softmax(-1)


def test_released_weights_give_what_the_released_network_gives():
    wide = [("conv1.0", 40, 1, 39), ("prefilt_layers.0.0", 40, 40, 39), ("prefilt_layers.1.0", 40, 40, 39)]
    narrow = [
        ("conv_layers.0", 30, 40, 1),
        ("conv_layers.3", 30, 30, 1),
        ("conv_layers.6", 10, 30, 1),
        ("conv_layers.9", 3, 10, 1),
    ]
    weights = {"layernorm.weight": torch.randn(1, 219), "layernorm.bias": torch.randn(1, 219)}
    weights["fc.weight"] = torch.randn(1, 1, 1040) / 20
    for name, after, before, size in wide + narrow:
        weights[f"{name}.weight"] = torch.randn(after, before, size) / math.sqrt(before * size)
        weights[f"{name}.bias"] = torch.randn(after)
    encoder, spectra = PESTOEncoder(**VERSION_2).eval(), 20 * torch.randn(2, 219)
    load_pesto(
        {f"encoder.{name}": weight for name, weight in weights.items()} | {"confidence.linear.bias": torch.ones(1)}, encoder
    )
    torch.testing.assert_close(encoder(spectra).softmax(-1), plain(weights, spectra), rtol=1e-4, atol=1e-6)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_pesto(weights, PESTOEncoder(prefilters=3, kernel_size=39))


@settings(max_examples=20)
@given(st.integers(-20, 20), st.sampled_from([{}, VERSION_2 | {"bins": 319}]))
def test_a_transposed_input_gives_a_transposed_output(shift, options):
    encoder = PESTOEncoder(**options).double().eval()
    encoder.norm = nn.Identity()  # over all bins, it knows no places but its weights', which are learnt
    spectra = torch.zeros(2, encoder.bins, dtype=torch.float64)
    middle = encoder.bins // 2  # the convolutions of the second version look 57 bins to either side, and so does the edge
    spectra[:, middle - 10 : middle + 10] = torch.randn(2, 20, dtype=torch.float64)
    silence = encoder(torch.zeros_like(spectra))
    logits, transposed = encoder(spectra) - silence, encoder(spectra.roll(shift, -1)) - silence
    inside = slice(20, encoder.pitches - 20)
    torch.testing.assert_close(transposed[:, inside], logits.roll(shift, -1)[:, inside])
    assert logits[:, inside].abs().max() > 1e-3


def test_loudness_does_not_matter_to_the_encoder():
    encoder, spectra = PESTOEncoder().eval(), 20 * torch.randn(3, 264)
    torch.testing.assert_close(encoder(spectra - 30).softmax(-1), encoder(spectra).softmax(-1))


def test_every_weight_learns():
    encoder = PESTOEncoder(bins=60, channels=(8, 4, 2))
    encoder(torch.randn(3, 60)).square().sum().backward()
    assert all((weight.grad != 0).any() for weight in encoder.parameters())


@given(st.integers(1, 6), st.integers(0, 5))
def test_the_second_view_is_the_first_one_shifted(batch, widest):
    spectra = torch.arange(batch * 31).reshape(batch, 31)
    view, moved, shifts = shifted_crops(spectra, widest)
    assert view.shape == moved.shape == (batch, 31 - 2 * widest)
    assert (shifts.abs() <= widest).all()
    assert (view == crop(spectra, widest)).all()
    assert (moved == view - shifts[:, None]).all()  # what was at bin k is at k + shift


def test_all_shifts_occur():
    assert set(shifted_crops(torch.zeros(2000, 296), 16)[2].tolist()) == set(range(-16, 17))


def test_no_shift_is_wider_than_the_spectrum():
    with pytest.raises(ValueError, match="0 to 4 bins"):
        shifted_crops(torch.zeros(1, 10), 5)


def test_a_peak_is_read_between_the_bins():
    probabilities = torch.zeros(3, 384)
    probabilities[0, [206, 207, 208]] = torch.tensor([0.2, 0.6, 0.2])  # 207 is the bin of MIDI number 69
    probabilities[1, [207, 208, 300]] = torch.tensor([0.3, 0.3, 0.29])  # what is far away does not count
    probabilities[2, 383] = 1.0
    torch.testing.assert_close(local_average(probabilities), torch.tensor([69.0, 207.5 / 3, 383 / 3]))
    torch.testing.assert_close(midi_to_hz(torch.tensor([69.0, 57.0])), torch.tensor([440.0, 220.0]))
    with pytest.raises(ValueError, match="multiple of 128"):
        local_average(torch.zeros(2, 200))


@settings(max_examples=8)
@given(st.floats(45, 80), st.sampled_from([16000, 22050]), st.sampled_from([0.0, 7.0]))
def test_a_semitone_higher_is_three_bins_higher(semitone, sample_rate, gamma):
    frontend = LogCQT(sample_rate, sample_rate // 100, bins=251, gamma=gamma)
    time = torch.arange(sample_rate // 2) / sample_rate
    tones = [torch.sin(2 * math.pi * 440 * 2 ** ((number - 69) / 12) * time) for number in (semitone, semitone + 1)]
    pictures = frontend(torch.stack(tones))
    assert pictures.shape == (2, 1, 251, 1 + len(time) // (sample_rate // 100))
    lower, higher = pictures[:, 0, :, 25].argmax(-1).tolist()
    assert lower == pytest.approx(3 * (semitone - 21) + 1, abs=0.55)  # bin 1 is A0, MIDI 21; in the middle of two, either one
    assert higher - lower in (2, 3, 4)


def test_the_front_end_is_the_transform_in_decibels():
    frontend, transform = LogCQT(), CQT(16000, 160, 27.5 / 2 ** (1 / 36), 296, 36, kernels="nnaudio")
    waveforms = torch.randn(2, 1000)
    picture = frontend(waveforms)
    torch.testing.assert_close(picture[:, 0], 20 * transform(waveforms).abs().log10(), rtol=0, atol=0.01)
    first, state = frontend.step(waveforms)
    rest, _ = frontend.step(torch.zeros(2, transform.latency), state)
    torch.testing.assert_close(torch.cat([first, rest], dim=-1)[..., : picture.shape[-1]], picture, rtol=0, atol=0.01)
    assert frontend(torch.zeros(1, 400)).max() == pytest.approx(-138.47, abs=0.01)
