"""Constant-Q and variable-Q transforms against their plain statement; in blocks as in one piece."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.dsp.cqt import CQT

SETTINGS = {
    "constant Q": {"hop_length": 128, "f_min": 55.0, "bins": 48},
    "variable Q": {"hop_length": 100, "f_min": 40.0, "bins": 150, "bins_per_octave": 36, "gamma": 15.0},
    "a hop that is odd": {"hop_length": 81, "f_min": 60.0, "bins": 40, "gamma": 30.0},
    "nnAudio's windows": {
        "hop_length": 80,
        "f_min": 60.0,
        "bins": 60,
        "bins_per_octave": 24,
        "gamma": 7.0,
        "kernels": "nnaudio",
    },
}


def noise(*shape: int) -> torch.Tensor:
    """Noise that is louder at low frequencies, as music is."""
    return 0.1 * torch.randn(*shape, dtype=torch.float64).cumsum(-1).diff(n=1, prepend=torch.zeros(*shape[:-1], 1)).cumsum(-1)


def plain(waveform: torch.Tensor, frequency: float, span: float, centre: float, gain: float, hop: int) -> torch.Tensor:
    """One bin: the product of every frame with the window and the complex tone, sample by sample."""
    side = math.ceil(span)
    time = torch.arange(-side, side + 1, dtype=torch.float64)
    window = torch.where((time - centre).abs() < span / 2, 0.5 + 0.5 * torch.cos(2 * math.pi * (time - centre) / span), 0)
    kernel = window / window.sum() * gain * torch.exp(-2j * math.pi * frequency * time)
    padded = torch.nn.functional.pad(waveform, (side, side))
    return padded.to(kernel.dtype).unfold(-1, 2 * side + 1, hop) @ kernel


@pytest.mark.parametrize("name", ["a hop that is odd", "nnAudio's windows"])
def test_bins_are_the_plain_ones(name):
    options = SETTINGS[name]
    transform, waveform, hop = CQT(8000, **options), noise(3000), options["hop_length"]
    spectrum = transform(waveform[None])[0]
    assert spectrum.dtype == torch.complex128
    assert spectrum.shape == (options["bins"], 1 + 3000 // hop)
    for number, (frequency, length) in enumerate(zip(transform.frequencies, transform.lengths, strict=True)):
        if options.get("kernels") == "nnaudio":
            span = length = math.ceil(length)
            centre = -0.5 * (span % 2)
        else:  # librosa does not halve the rate when the hop is odd: its windows are whole samples of the waveform
            span = math.ceil(length / 2) + math.floor(length / 2)
            centre = 0.5 * (span % 2)
        expected = plain(waveform, frequency / 8000, span, centre, math.sqrt(length), hop)
        assert (spectrum[number] - expected).norm() < 5e-4 * expected.norm()


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_a_tone_stands_where_it_should(options):
    transform = CQT(8000, **options)
    number = options["bins"] - 5
    tone = 0.5 * torch.sin(2 * math.pi * transform.frequencies[number] * torch.arange(8000) / 8000)
    frame = transform(tone[None])[0, :, 4000 // options["hop_length"]].abs()
    assert frame.argmax() == number
    assert frame[number].item() == pytest.approx(0.25 * math.sqrt(transform.lengths[number]), rel=0.01)


def in_blocks(transform: CQT, waveforms: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    state, parts, received = None, [], 0
    for block in waveforms.split(sizes, dim=-1):
        spectrum, state = transform.step(block, state)
        parts.append(spectrum)
        received += block.shape[-1]
        given = sum(part.shape[-1] for part in parts)
        assert given >= (received - transform.latency) // transform.hop_length + 1  # no later than the latency promises
    return torch.cat([*parts, transform.finish(state)], dim=-1)


@settings(max_examples=12)
@given(st.sampled_from(list(SETTINGS.values())), st.lists(st.integers(0, 900), min_size=1, max_size=8), st.integers(1, 3))
def test_blocks_of_any_size_give_the_frames_of_the_whole(options, sizes, batch):
    transform, waveforms = CQT(8000, **options), noise(batch, sum(sizes))
    whole = transform(waveforms)
    assert whole.shape == (batch, options["bins"], sum(sizes) // options["hop_length"] + 1)
    torch.testing.assert_close(in_blocks(transform, waveforms, sizes), whole, rtol=0, atol=1e-12)


def test_without_halving_the_latency_is_half_a_window():
    options = SETTINGS["variable Q"]
    halving, direct = CQT(8000, **options), CQT(8000, **options, halvings=0)
    assert (
        direct.latency <= max(direct.lengths) / 2 + 4 < halving.latency
    )  # windows are rounded at librosa's rate of the octave
    waveforms = noise(2, 2000)
    whole = halving(waveforms)
    assert (direct(waveforms) - whole).norm() < 5e-4 * whole.norm()
    torch.testing.assert_close(in_blocks(direct, waveforms, [900, 1, 1099]), direct(waveforms))
    with pytest.raises(ValueError, match="halvings"):
        CQT(8000, **options, halvings=-1)


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_one_frame_is_that_of_the_whole(options):
    transform = CQT(8000, **options)
    for samples in (700, 9000):  # fewer than the longest window has, and more
        waveforms = noise(2, samples)
        whole = transform(waveforms)
        for number in (0, whole.shape[-1] // 2, whole.shape[-1] - 1):
            assert (transform.frame(waveforms, number) - whole[..., number]).norm() < 5e-4 * whole[..., number].norm()
    assert transform.frame(waveforms.to(torch.bfloat16), 1).dtype == torch.complex64


def test_one_frame_is_taken_from_all_where_a_graph_is_made(monkeypatch):
    transform, waveforms = CQT(8000, **SETTINGS["constant Q"]), noise(2, 2000)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert transform.frame(waveforms, 3).equal(transform(waveforms)[..., 3])


def test_precision_batch_and_gradients():
    transform = CQT(8000, **SETTINGS["variable Q"])
    waveforms = noise(2, 1000)
    both = transform(waveforms)
    torch.testing.assert_close(transform(waveforms[1:]), both[1:])
    single = transform(waveforms.float())
    assert single.dtype == torch.complex64
    assert (single - both).norm() < 1e-5 * both.norm()
    assert transform(waveforms.to(torch.bfloat16)).dtype == torch.complex64
    waveforms.requires_grad_()
    transform(waveforms).abs().sum().backward()
    assert waveforms.grad.isfinite().all()
    assert (waveforms.grad != 0).all()


def test_it_has_no_weights_and_is_built_without_memory():
    with torch.device("meta"):
        transform = CQT(8000, **SETTINGS["constant Q"])
        assert transform(torch.empty(3, 1000)).shape == (3, 48, 8)
    assert not transform.state_dict()


@pytest.mark.parametrize(
    ("options", "told"),
    [({"bins": 0}, "positive"), ({"gamma": -1.0}, "not negative"), ({"kernels": "mine"}, "nnaudio"), ({"bins": 120}, "half")],
)
def test_what_cannot_be_is_told(options, told):
    with pytest.raises(ValueError, match=told):
        CQT(22050, **options)
