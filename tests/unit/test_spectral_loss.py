"""Magnitudes compared at several resolutions: against a plain statement, the published variants, gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.dsp.spectra import normalised_magnitude, normalised_power, periodic_window
from toolkit.losses import MultiScaleSpectral, SynthesisLoss, WeightedSum

TENSORFLOW = {"floor": 1e-5, "floored": "raised", "framing": "onward"}  # DDSP's and spectral optimal transport's


def noise(*shape: int, seed: int = 0, level: float = 0.3) -> torch.Tensor:
    return level * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def magnitudes(wave: np.ndarray, size: int, framing: str) -> np.ndarray:
    """Of one waveform, frame by frame."""
    hop = size // 4
    padded = np.pad(wave, size // 2, mode="reflect") if framing == "centred" else np.pad(wave, (0, size))
    starts = range(0, len(wave) + 1 if framing == "centred" else len(wave), hop)
    frames = [padded[start : start + size] * np.hanning(size + 1)[:-1] for start in starts]
    return np.abs(np.fft.rfft(frames)) / np.sqrt(size)


@pytest.mark.parametrize("length", [1024, 2000, 1100])
def test_the_published_losses_as_they_are_written_down(length):
    x, y = noise(2, length), noise(2, length, seed=1, level=1e-4)
    sizes = (1024, 256, 64)
    ddx7 = mss_lin = mss_loglin = 0.0
    for size in sizes:
        a, b = (np.stack([magnitudes(row, size, "centred") for row in z.numpy()]) for z in (x, y))
        ddx7 += np.abs(a - b).mean() + np.abs(np.log(a + 1e-7) - np.log(b + 1e-7)).mean()
        a, b = (np.stack([magnitudes(row, size, "onward") for row in z.numpy()]) for z in (x, y))
        mss_lin += np.abs(a - b).mean()
        mss_loglin += np.abs(a - b).mean() + np.abs(np.log(np.maximum(a, 1e-5)) - np.log(np.maximum(b, 1e-5))).mean()
    assert MultiScaleSpectral(sizes)(x, y).item() == pytest.approx(ddx7, rel=1e-10)
    assert MultiScaleSpectral(sizes, log=0, **TENSORFLOW)(x, y).item() == pytest.approx(mss_lin, rel=1e-10)
    assert MultiScaleSpectral(sizes, **TENSORFLOW)(x, y).item() == pytest.approx(mss_loglin, rel=1e-10)


def test_the_parts_are_told_with_their_weights():
    x, y = noise(1, 3000), noise(1, 3000, seed=1)
    loss = MultiScaleSpectral(linear=2.0, log=0.5)
    total = loss(x, y)
    assert sum(loss.parts.values()).item() == pytest.approx(total.item())
    assert loss.parts["linear"].item() == pytest.approx(2 * MultiScaleSpectral(log=0)(x, y).item())
    assert loss.parts["log"].item() == pytest.approx(0.5 * MultiScaleSpectral(linear=0)(x, y).item())


@pytest.mark.parametrize("options", [{}, TENSORFLOW, {"log": 0.0}])
@pytest.mark.parametrize("samples", [2, 63, 700, 2049])
def test_any_length_has_finite_gradients_even_silence(options, samples):
    loss = MultiScaleSpectral(**options)
    for level in (0.0, 0.3):
        x = noise(2, samples, level=level).float().requires_grad_()
        value = loss(x, noise(2, samples, seed=1).float())
        value.backward()
        assert value > 0
        assert x.grad.isfinite().all()
        assert loss(x, x) == 0


@settings(max_examples=20)
@given(st.integers(100, 600), st.floats(0.1, 10), st.sampled_from(["centred", "onward"]))
def test_it_is_symmetric_and_its_linear_part_grows_with_the_level(samples, level, framing):
    x, y = noise(2, samples), noise(2, samples, seed=1)
    loss = MultiScaleSpectral((256, 64), log=0, framing=framing)
    value = loss(x, y).item()
    assert loss(y, x).item() == pytest.approx(value)
    assert loss(-x, y).item() == pytest.approx(value)  # signs are not heard
    assert loss(level * x, level * y).item() == pytest.approx(level * value)


def test_half_precision_is_not_enough_for_it():
    x, y = noise(1, 3000).float(), noise(1, 3000, seed=1).float()
    expected = MultiScaleSpectral()(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(MultiScaleSpectral()(x, y), expected)


@pytest.mark.parametrize(("framing", "frames"), [("centred", 1 + 1000 // 48), ("onward", -(-1000 // 48))])
def test_frames_there_are(framing, frames):
    powers = normalised_power(torch.randn(2, 3, 1000), periodic_window("flattop", 192), 48, framing)
    assert powers.shape == (2, 3, 97, frames)


def torchs_spectrum(x: torch.Tensor, taper: torch.Tensor, hop: int, framing: str) -> torch.Tensor:
    options = {"window": taper, "normalized": True, "return_complex": True}
    if framing == "centred":
        return torch.stft(x, len(taper), hop, **options)
    onward = torch.nn.functional.pad(x, (0, len(taper) + hop))
    return torch.stft(onward, len(taper), hop, center=False, **options)[..., : -(-x.shape[-1] // hop)]


@pytest.mark.parametrize("framing", ["centred", "onward"])
@pytest.mark.parametrize(("size", "hop", "length"), [(64, 16, 333), (64, 16, 64), (64, 20, 333), (32, 32, 100), (16, 20, 100)])
def test_powers_magnitudes_and_their_gradients_are_those_of_torchs_spectra(framing, size, hop, length):
    x, taper = noise(2, length).requires_grad_(), periodic_window("hann", size)
    absolute = torchs_spectrum(x, taper, hop, framing).abs()
    pairs = [
        (normalised_power(x, taper, hop, framing), absolute.square()),
        (normalised_magnitude(x, taper, hop, framing), absolute),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs)
        weight = torch.randn_like(ours)
        gradients = [torch.autograd.grad((z * weight).sum(), x, retain_graph=True)[0] for z in (ours, theirs)]
        torch.testing.assert_close(*gradients)


def test_the_gradient_of_a_magnitude_does_not_grow_towards_silence():
    taper, ramp = periodic_window("hann", 64), torch.linspace(-1, 1, 200)
    steepest = []
    for level in (1.0, 1e-5, 1e-18, 1e-30, 0.0):
        x = (level * ramp)[None].requires_grad_()
        normalised_magnitude(x, taper, 16, "onward").sum().backward()
        steepest.append(x.grad.abs().max().item())
    assert max(steepest) < 1.01 * steepest[0]
    assert steepest[-1] == 0


def test_nothing_is_kept_of_a_reference():
    x, y, kept = noise(1, 500).requires_grad_(), noise(1, 500, seed=1), []
    with torch.autograd.graph.saved_tensors_hooks(lambda z: kept.append(z) or z, lambda z: z):
        normalised_magnitude(y, periodic_window("hann", 64), 16, "onward")
        assert not kept
        normalised_magnitude(x, periodic_window("hann", 64), 16, "onward")
        assert kept


def test_losses_may_be_added():
    x, y = noise(1, 500), noise(1, 500, seed=1)
    one, other = MultiScaleSpectral((64,)), MultiScaleSpectral((128,))
    both = WeightedSum([one, other], [1.0, 0.05])
    assert isinstance(both, SynthesisLoss)
    assert both(x, y).item() == pytest.approx((one(x, y) + 0.05 * other(x, y)).item())
    assert both.parts["MultiScaleSpectral"].item() == pytest.approx(both(x, y).item())
    with pytest.raises(ValueError, match="one for each"):
        WeightedSum([one], [])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fft_sizes": (64, 30)}, "multiples of 4"),
        ({"overlap": 1.0}, "overlap"),
        ({"linear": 0.0, "log": 0.0}, "not both 0"),
        ({"floor": 0.0}, "floor"),
    ],
)
def test_what_cannot_be_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        MultiScaleSpectral(**options)


def test_waveforms_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"estimate: expected shape \(batch=1, samples=100\)"):
        MultiScaleSpectral()(torch.zeros(1, 99), torch.zeros(1, 100))
