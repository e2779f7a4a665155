"""Harmonics, noise, source and filter, strings and rooms: each against a plain statement, and in blocks of any size."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from toolkit.blocks.harmonic_noise import HarmonicNoise, SourceFilter, exp_sigmoid
from toolkit.blocks.karplus_strong import KarplusStrong
from toolkit.blocks.reverbs import ImpulseReverb, NoiseReverb
from toolkit.dsp.filtered_noise import frequency_sampling_filter, white_noise
from toolkit.dsp.harmonics import normalise_below_nyquist, oscillator_bank, pulse_train

SYNTHESIZERS = {
    "ddsp": lambda: HarmonicNoise(16000, 8, harmonics=5, bands=9),
    "hpn": lambda: HarmonicNoise(16000, 8, harmonics=5, bands=3, curve="hold", noise_bias=0.0),
    "long filter": lambda: HarmonicNoise(16000, 3, harmonics=2, bands=9, curve="linear"),
    "source and filter": lambda: SourceFilter(16000, 8, bands=7),
    "string": lambda: KarplusStrong(16000, 8, lowest=200),
}


def controls(synthesizer, frames, batch=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    parameters = torch.randn(batch, frames, synthesizer.parameters_in, dtype=torch.float64, generator=random)
    return parameters, 300 + 1500 * torch.rand(batch, frames, dtype=torch.float64, generator=random)


def interpolated(values, hop, mode="linear"):
    return F.interpolate(values[None, None], scale_factor=hop, mode=mode)[0, 0]


@pytest.mark.parametrize("curve", ["hold", "linear"])
def test_harmonics_and_noise_are_what_ddsp_says(curve):
    hop, rate, harmonics, bands, frames = 4, 8000, 6, 3, 5
    synthesizer = HarmonicNoise(rate, hop, harmonics, bands, curve, noise_bias=-1.0).eval()
    parameters, f0 = controls(synthesizer, frames, batch=1)
    expected = torch.zeros(frames * hop + 20, dtype=torch.float64)
    amplitudes = torch.zeros(frames, harmonics, dtype=torch.float64)
    for frame in range(frames):
        for harmonic in range(harmonics):
            if (harmonic + 1) * f0[0, frame] < rate / 2:
                amplitudes[frame, harmonic] = exp_sigmoid(parameters[0, frame, 1 + harmonic])
        amplitudes[frame] *= exp_sigmoid(parameters[0, frame, 0]) / amplitudes[frame].sum()
    assert (amplitudes == 0).any()  # some of them would have aliased
    cycles, frequencies = 0.0, interpolated(f0[0], hop)
    levels = [interpolated(amplitudes[:, k], hop, "nearest" if curve == "hold" else "linear") for k in range(harmonics)]
    for sample in range(frames * hop):
        cycles += frequencies[sample].item() / rate
        for k in range(harmonics):
            expected[sample] += levels[k][sample] * math.sin(2 * math.pi * (k + 1) * cycles)
    more = synthesizer.latency // hop + 1  # noise after the end reaches back, since the filter looks ahead
    noise = white_noise(torch.tensor([0]), 0, (frames + more) * hop, torch.float64)[0]
    for frame in range(frames + more):
        magnitudes = exp_sigmoid(parameters[0, min(frame, frames - 1), 1 + harmonics :] - 1)
        for sample in range(frame * hop, (frame + 1) * hop):
            for tap, weight in zip(range(-2, 2), frequency_sampling_filter(magnitudes), strict=True):
                if 0 <= sample + tap < len(expected):
                    expected[sample + tap] += noise[sample] * weight
    torch.testing.assert_close(synthesizer(parameters, f0)[0], expected[: frames * hop], atol=1e-11, rtol=1e-10)


def test_a_source_runs_through_a_filter_that_moves():
    hop, rate, bands, frames = 4, 8000, 3, 5
    synthesizer = SourceFilter(rate, hop, bands).eval()
    parameters, f0 = controls(synthesizer, frames, batch=1)
    scaled, f0 = exp_sigmoid(parameters[0]), f0[0]
    cycles, expected = 0.0, torch.zeros(frames * hop, dtype=torch.float64)
    frequencies, pulses, breath = (interpolated(values, hop) for values in (f0, scaled[:, 0], scaled[:, 1]))
    responses = frequency_sampling_filter(scaled[:, 2:])
    taps = torch.stack([interpolated(response, hop) for response in responses.T], 1)
    noise = white_noise(torch.tensor([0]), 0, frames * hop + 2, torch.float64)[0, 2:]  # half a frame is latency
    for sample in range(frames * hop):
        cycles += frequencies[sample].item() / rate
        room = rate / 2 / frequencies[sample].item() - 1
        weights = [1.0] * int(room) + [room - int(room)]
        tone = sum(w * math.cos(2 * math.pi * (k + 1) * cycles) for k, w in enumerate(weights))
        tone /= math.sqrt(sum(w * w for w in weights) / 2)
        for tap in range(-2, 2):
            if 0 <= sample + tap < frames * hop:
                expected[sample + tap] += (pulses[sample] * tone + breath[sample] * noise[sample]) * taps[sample, tap + 2]
    found = synthesizer(parameters, f0[None])[0]
    torch.testing.assert_close(found[:-2], expected[:-2], atol=1e-10, rtol=1e-10)  # the end hears what would follow


def test_a_string_is_its_difference_equation():
    hop, rate, frames = 8, 8000, 12
    synthesizer = KarplusStrong(rate, hop, lowest=300, highest=1500).eval()
    parameters, f0 = controls(synthesizer, frames, batch=1)
    pitch = f0[0].clamp(300, 1500)
    fall = torch.exp(-math.log(1000) / (10 * torch.sigmoid(parameters[0, :, 1]) * pitch))
    strength, period, gain, damping = (
        interpolated(values, hop)
        for values in (exp_sigmoid(parameters[0, :, 0]), rate / pitch, fall, torch.sigmoid(parameters[0, :, 2]) / 2)
    )
    noise = white_noise(torch.tensor([0]), hop // 2, frames * hop, torch.float64)[0]
    sound: list[float] = []

    def at(place):
        low = math.floor(place)
        left, right = (sound[i] if i >= 0 else 0.0 for i in (low, low + 1))
        return left + (place - low) * (right - left)

    for n in range(frames * hop):
        delay = (period[n] - damping[n]).item()
        came = (1 - damping[n]) * at(n - delay) + damping[n] * at(n - delay - 1)
        sound.append((strength[n] * noise[n] + gain[n] * came).item())
    expected = torch.tensor(sound, dtype=torch.float64)
    torch.testing.assert_close(synthesizer(parameters, f0)[0], expected, atol=1e-10, rtol=1e-10)


def test_a_string_is_in_tune_and_dies_away():
    synthesizer = KarplusStrong(16000, 64, longest=2.0).eval()
    parameters = torch.tensor([-30.0, 20.0, -3.0]).repeat(1, 250, 1)
    parameters[:, :3, 0] = 5.0  # plucked for 12 ms
    sound = synthesizer(parameters, torch.full((1, 250), 233.1))[0]
    spectrum = torch.fft.rfft(sound[2000:] * torch.hann_window(14000), 2**18).abs()
    low, high = (round(f * 2**18 / 16000) for f in (200, 270))
    peak = (low + spectrum[low:high].argmax()) * 16000 / 2**18
    assert abs(peak - 233.1) < 1.0
    assert sound[-2000:].std() < 0.2 * sound[1000:3000].std()


@pytest.mark.parametrize("make", SYNTHESIZERS.values(), ids=SYNTHESIZERS)
@settings(max_examples=8, deadline=None)
@given(blocks=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_blocks_of_any_size_are_the_whole(make, blocks, seed):
    synthesizer, frames = make().eval(), sum(blocks)
    more = -(-synthesizer.latency // synthesizer.hop_length)
    parameters, f0 = controls(synthesizer, frames, seed=seed)
    whole = synthesizer(parameters, f0)
    blocks = [*blocks, *[1] * more]
    parameters = torch.cat([parameters, parameters[:, -1:].expand(-1, more, -1)], 1)
    f0 = torch.cat([f0, f0[:, -1:].expand(-1, more)], 1)
    state, pieces = None, []
    for block_parameters, block_f0 in zip(parameters.split(blocks, 1), f0.split(blocks, 1), strict=True):
        piece, state = synthesizer.step(block_parameters, block_f0, state)
        assert piece.shape == (2, block_f0.shape[1] * synthesizer.hop_length)
        pieces.append(piece)
    streamed = torch.cat(pieces, 1)[:, synthesizer.latency :]
    torch.testing.assert_close(streamed[:, : whole.shape[1]], whole, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("make", SYNTHESIZERS.values(), ids=SYNTHESIZERS)
def test_gradients_are_finite_and_right(make):
    synthesizer = make().eval()
    parameters, f0 = controls(synthesizer, 3, batch=1)
    torch.autograd.gradcheck(
        synthesizer, (parameters.requires_grad_(), f0.requires_grad_()), atol=1e-4, rtol=1e-3, fast_mode=True
    )


@pytest.mark.parametrize("make", SYNTHESIZERS.values(), ids=SYNTHESIZERS)
def test_silence_between_notes_and_single_precision(make):
    synthesizer = make()
    parameters = torch.randn(1, 6, synthesizer.parameters_in, requires_grad=True)
    f0 = torch.tensor([[0.0, 0.0, 440.0, 441.0, 0.0, 9000.0]], requires_grad=True)
    sound = synthesizer(parameters, f0)
    assert sound.dtype == torch.float32
    sound.square().sum().backward()
    assert sound.isfinite().all()
    assert parameters.grad.isfinite().all()
    assert f0.grad.isfinite().all()


def a_bank(dtype=torch.float64, batch=2, frames=3, hop=8, harmonics=5):
    sizes = (batch, frames * hop), (batch, frames, harmonics), (batch, harmonics)
    return [torch.rand(size, dtype=dtype).requires_grad_() for size in sizes]


@pytest.mark.parametrize("curve", ["hold", "linear", "hann"])
def test_the_gradients_of_a_bank_are_those_of_small_changes(curve):
    assert torch.autograd.gradcheck(lambda *bank: oscillator_bank(*bank, curve), a_bank())


def test_sines_are_kept_for_the_gradient_of_amplitudes_alone():
    def kept(phases, amplitudes, previous):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            oscillator_bank(phases, amplitudes, previous)
        return max(sizes, default=0)

    phases, amplitudes, previous = a_bank()
    assert kept(phases, amplitudes, previous) == 2 * 3 * 8 * 5
    assert kept(phases.detach(), amplitudes, previous) == 2 * 3 * 8 * 5
    assert kept(phases, amplitudes.detach(), previous.detach()) < 2 * 3 * 8 * 5
    assert kept(*(x.detach() for x in (phases, amplitudes, previous))) == 0
    with torch.no_grad():
        assert kept(phases, amplitudes, previous) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_bank_under_autocast(dtype):
    phases, amplitudes, previous = a_bank(torch.float32)
    expected = oscillator_bank(phases, amplitudes, previous)
    with torch.autocast("cpu", torch.bfloat16):
        sound = oscillator_bank(phases, amplitudes.to(dtype), previous.to(dtype))
    torch.testing.assert_close(sound.float(), expected, atol=0.05, rtol=0)
    found, wanted = (torch.autograd.grad(x.float().square().sum(), (phases, amplitudes)) for x in (sound, expected))
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.05 * other.norm()


@pytest.mark.parametrize("name", SYNTHESIZERS)
def test_synthesizers_keep_full_precision_under_autocast(name):
    synthesizer = SYNTHESIZERS[name]().eval()
    parameters, f0 = (values.float() for values in controls(synthesizer, 6))
    layer = torch.nn.Linear(parameters.shape[-1], parameters.shape[-1])
    with torch.autocast("cpu", torch.bfloat16):
        coarse = layer(parameters)
        sound = synthesizer(coarse, f0)
    assert coarse.dtype == torch.bfloat16
    torch.testing.assert_close(sound, synthesizer(coarse.float(), f0), atol=0, rtol=0)
    sound.square().sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_noise_is_another_one_while_training():
    synthesizer = HarmonicNoise(16000, 8, harmonics=2, bands=5, noise_bias=0.0)
    parameters, f0 = controls(synthesizer, 4)
    assert not synthesizer(parameters, f0).equal(synthesizer(parameters, f0))
    synthesizer.eval()
    assert synthesizer(parameters, f0).equal(synthesizer(parameters, f0))


def test_harmonics_above_half_the_sample_rate_have_no_share():
    shares = normalise_below_nyquist(torch.ones(1, 3, 10), torch.tensor([[100.0, 3000.0, 9000.0]]), 16000)
    torch.testing.assert_close(shares.sum(-1), torch.tensor([[1.0, 1.0, 0.0]]))
    assert shares[0, 1].nonzero().flatten().tolist() == [0, 1]


def test_pulses_do_not_alias():
    f0 = torch.full((1, 16000), 1234.5, dtype=torch.float64)
    phases = (f0 / 16000).cumsum(1) % 1
    spectrum = torch.fft.rfft(pulse_train(phases, f0, 16000)[0] * torch.hann_window(16000, dtype=torch.float64)).abs()
    heard = {round(frequency) for frequency in (spectrum > 0.01 * spectrum.max()).nonzero().flatten().tolist()}
    assert all(min(abs(f - 1234.5 * k) for k in range(1, 7)) < 3 for f in heard)


def test_white_noise_is_white_and_the_same_wherever_it_begins():
    keys = torch.tensor([0, 1, 12345])
    noise = white_noise(keys, 0, 20000, torch.float64)
    torch.testing.assert_close(noise[:, 777:1000], white_noise(keys, 777, 223, torch.float64))
    assert noise.abs().max() <= 1
    assert noise.mean(1).abs().max() < 0.02
    assert (noise.var(1) - 1 / 3).abs().max() < 0.01
    spectra = torch.fft.rfft(noise).abs().square() / 20000
    correlations = torch.fft.irfft(spectra)[:, 1:10000] * 3
    assert correlations.abs().max() < 0.04
    assert torch.corrcoef(noise).triu(1).abs().max() < 0.03
    far = white_noise(keys, torch.tensor(2**31 + 5), 1000)  # 37 hours
    assert far.std() > 0.5


def test_a_flat_filter_is_a_delay():
    response = frequency_sampling_filter(torch.full((9,), 2.0, dtype=torch.float64))
    expected = torch.zeros(16, dtype=torch.float64)
    expected[8] = 2
    torch.testing.assert_close(response, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("reverb", [NoiseReverb(30, 100), ImpulseReverb(30, 0.1)], ids=["noise", "impulse"])
@settings(max_examples=8, deadline=None)
@given(blocks=st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_a_room_is_a_convolution_in_blocks_of_any_size(reverb, blocks):
    audio = torch.randn(2, sum(blocks), dtype=torch.float64)
    response = reverb.response().double()
    expected = torch.zeros_like(audio)
    for delay, weight in enumerate(response[: audio.shape[1]]):
        expected[:, delay:] += weight * audio[:, : audio.shape[1] - delay]
    torch.testing.assert_close(reverb(audio), expected)
    for learning in (True, False):  # what is not learned is convolved part by part while blocks are short
        state, pieces = None, []
        with torch.set_grad_enabled(learning):
            for block in audio.split(blocks, 1):
                piece, state = reverb.step(block, state)
                pieces.append(piece)
        torch.testing.assert_close(torch.cat(pieces, 1), expected)


@pytest.mark.parametrize("block", [1, 4, 7])
def test_short_blocks_of_one_size_ring_on_part_by_part(block):
    reverb, audio = NoiseReverb(30, 100).double(), torch.randn(2, 15 * block, dtype=torch.float64)
    with torch.no_grad():
        state, pieces = None, []
        for piece in audio.split(block, 1):
            wet, state = reverb.step(piece, state)
            pieces.append(wet)
            assert state["parts"].shape == (-(-30 // block), block + 1)
        torch.testing.assert_close(torch.cat(pieces, 1), reverb(audio))


def test_the_room_of_ddx7():
    reverb = NoiseReverb(16000, 16000).double()
    response, t = reverb.response(), torch.arange(16000, dtype=torch.float64) / 16000
    expected = reverb.noise * torch.exp(-F.softplus(torch.tensor(-5.0, dtype=torch.float64)) * t * 500) / 2
    torch.testing.assert_close(response[1:], expected[1:])
    assert response[0] == 1
    response.square().sum().backward()
    for parameter in reverb.parameters():
        assert parameter.grad.isfinite().all()


def test_a_string_has_a_shape_where_there_are_no_numbers():
    synthesizer = KarplusStrong(16000, 64).to("meta")
    with torch.device("meta"):
        assert synthesizer(torch.empty(2, 5, 3), torch.empty(2, 5)).shape == (2, 320)


def test_pitches_a_line_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"0 to 5333\.33 Hz"):
        KarplusStrong(16000, 64, highest=6000)
