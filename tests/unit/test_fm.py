"""FM synthesis: the patches, a statement operator by operator and sample by sample, aliasing, long sounds, streaming."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from toolkit.blocks.fm_synthesizer import FMSynthesizer
from toolkit.dsp.control_rate import accumulate_phase, upsample
from toolkit.dsp.fm import PATCHES, Patch

# ratios of the patches, and the output of each as its wiring diagram is read, of a function of operator and modulation
DIAGRAMS = {
    "strings": ((1, 1, 1, 1, 3, 14), lambda op: op(3, op(4, op(5, op(6)))) + op(1, op(2))),
    "flute": ((1, 1, 1, 2, 2, 1.5), lambda op: op(1, op(2) + op(3, op(4)) + op(5, op(6)))),
    "brass": ((1, 1, 1, 1, 3.2, 8.5), lambda op: op(1, op(2) + op(3) + op(4, op(5, op(6))))),
    "ablated_brass": ((1, 1, 1, 3.2), lambda op: op(1, op(2) + op(3, op(4)))),
    "ablated_flute": ((1, 1, 1, 2), lambda op: op(1, op(2) + op(3, op(4)))),
    "1stack2": ((1, 1), lambda op: op(1, op(2))),
    "2stack2": ((1, 1, 1, 1), lambda op: op(3, op(4)) + op(1, op(2))),
    "1stack4": ((1, 1, 3, 14), lambda op: op(1, op(2, op(3, op(4))))),
}


def per_sample(name, parameters, f0, hop, sample_rate, max_level):
    """One sound (L, operators), (L) after the other, one sample after the other."""
    ratios, diagram = DIAGRAMS[name]

    def interpolated(values):
        return F.interpolate(values[None, None], scale_factor=hop, mode="linear")[0, 0].tolist()

    levels = [interpolated(max_level * torch.sigmoid(parameters[:, o])) for o in range(len(ratios))]
    cycles, out = 0.0, []
    for sample, frequency in enumerate(interpolated(f0)):
        cycles += frequency / sample_rate

        def operator(number, modulation=0.0, at=sample, phase=cycles):
            return levels[number - 1][at] * math.sin(2 * math.pi * (ratios[number - 1] * phase + modulation))

        out.append(diagram(operator) / max_level)
    return torch.tensor(out, dtype=torch.float64)


@pytest.mark.parametrize("hop", [5, 8])
@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_is_what_its_diagram_says(name, hop):
    synthesizer = FMSynthesizer(16000, hop, name, max_level=0.6, antialias=False)
    parameters = torch.randn(2, 4, synthesizer.parameters_in, dtype=torch.float64)
    f0 = 200 + 300 * torch.rand(2, 4, dtype=torch.float64)
    expected = [per_sample(name, *example, hop, 16000, 0.6) for example in zip(parameters, f0, strict=True)]
    torch.testing.assert_close(synthesizer(parameters, f0), torch.stack(expected), atol=1e-11, rtol=1e-11)


def test_gradients_reach_levels_and_pitch():
    synthesizer = FMSynthesizer(16000, 4, "flute")
    parameters = torch.randn(1, 3, 6, dtype=torch.float64, requires_grad=True)
    f0 = (300 + 10 * torch.rand(1, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(synthesizer, (parameters, f0), atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    hop=st.sampled_from([1, 3, 16]),
    name=st.sampled_from(list(PATCHES)),
)
def test_blocks_of_any_size_are_the_whole(blocks, hop, name):
    synthesizer, frames = FMSynthesizer(16000, hop, name), sum(blocks)
    parameters = torch.randn(2, frames, synthesizer.parameters_in, dtype=torch.float64)
    f0 = 1000 * torch.rand(2, frames, dtype=torch.float64)
    state, pieces = None, []
    for block_parameters, block_f0 in zip(parameters.split(blocks, 1), f0.split(blocks, 1), strict=True):
        piece, state = synthesizer.step(block_parameters, block_f0, state)
        assert piece.shape == (2, block_f0.shape[1] * hop)
        pieces.append(piece)
    pieces.append(synthesizer.step(parameters[:, -1:], f0[:, -1:], state)[0])
    streamed, late = torch.cat(pieces, 1), synthesizer.latency
    assert late == hop // 2
    assert not streamed[:, :late].any()
    torch.testing.assert_close(streamed[:, late : late + frames * hop], synthesizer(parameters, f0), atol=1e-9, rtol=1e-9)


def test_phase_stays_exact_in_long_sounds_of_single_precision():
    synthesizer = FMSynthesizer(16000, 64, "custom", ratios=[1.5])
    frames, frequency = 16000, 441.3  # 64 s
    f0 = torch.full((1, frames), frequency)
    audio = synthesizer(torch.full((1, frames, 1), 30.0), f0)[0, -1000:]
    samples = torch.arange(frames * 64 - 1000, frames * 64, dtype=torch.float64) + 1
    expected = torch.sin(2 * math.pi * 1.5 * f0[0, 0].double() / 16000 * samples)
    torch.testing.assert_close(audio.double(), expected, atol=1e-5, rtol=0)


def test_operators_above_half_the_sample_rate_are_silent():
    parameters, f0 = torch.zeros(1, 20, 2), torch.full((1, 20), 600.0)
    patch = {"ratios": [1, 14], "carriers": [1, 2]}  # 600 Hz and 8400 Hz
    clean = FMSynthesizer(16000, 64, "custom", **patch)(parameters, f0)
    lone = FMSynthesizer(16000, 64, "custom", ratios=[1])(parameters[..., :1], f0)
    torch.testing.assert_close(clean, lone)
    aliased = FMSynthesizer(16000, 64, "custom", **patch, antialias=False)(parameters, f0)
    assert (aliased - clean).abs().max() > 0.4


def test_any_wiring_is_done_in_topological_order():
    assert Patch((1, 1, 1), ((1, 2), (2, 3)), (3,)).order == (1, 2, 3)
    assert Patch((1, 1, 1), ((3, 1), (2, 3)), (1,)).order == (2, 3, 1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (((), (), (1,)), "1 to 6 operators"),
        (((1,) * 7, (), (1,)), "found 7"),
        (((1, 1), ((3, 1),), (1,)), r"found \[3\]"),
        (((1, 1), (), ()), "found none"),
        (((1, 1), ((1, 2), (2, 1)), (1,)), "circle"),
        (((1,), ((1, 1),), (1,)), "circle"),
    ],
)
def test_what_cannot_be_wired_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        Patch(*options)


def test_wrong_input_is_told():
    with pytest.raises(ValueError, match="patch: expected custom or one of strings"):
        FMSynthesizer(patch="organ")
    synthesizer = FMSynthesizer()
    with pytest.raises(ValueError, match="parameters=6"):
        synthesizer(torch.zeros(1, 3, 5), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="frames=3"):
        synthesizer(torch.zeros(1, 3, 6), torch.zeros(1, 4))


@pytest.mark.parametrize(("curve", "mode"), [("linear", "linear"), ("hold", "nearest")])
@pytest.mark.parametrize("hop", [4, 7])
def test_interpolation_is_torchs_half_a_frame_later(curve, mode, hop):
    frames = torch.randn(2, 5, 3, dtype=torch.float64)
    late = upsample(torch.cat([frames, frames[:, -1:]], 1), hop, frames[:, 0], curve)[..., hop // 2 :][..., : 5 * hop]
    torch.testing.assert_close(late, F.interpolate(frames.transpose(1, 2), scale_factor=hop, mode=mode))


def test_hann_windows_lead_from_frame_to_frame():
    rising = upsample(torch.ones(1, 1, 1, dtype=torch.float64), 64, torch.zeros(1, 1, dtype=torch.float64), "hann")[0, 0]
    window = torch.hann_window(128, dtype=torch.float64)
    torch.testing.assert_close(rising, (window[:64] + window[1:65]) / 2, atol=1e-3, rtol=0)
    with pytest.raises(ValueError, match="linear, hann or hold"):
        upsample(torch.ones(1, 1, 1), 4, torch.zeros(1, 1), "cubic")


def test_phases_go_on_where_they_ended():
    f0, ratios = 100 + 50 * torch.rand(1, 40, dtype=torch.float64), torch.tensor([1, 2.5])
    start = torch.tensor([[0.25, 0.5]], dtype=torch.float64)
    whole, end = accumulate_phase(f0, ratios, 8000, start)
    first, middle = accumulate_phase(f0[:, :15], ratios, 8000, start)
    second, last = accumulate_phase(f0[:, 15:], ratios, 8000, middle)
    torch.testing.assert_close(torch.cat([first, second], -1), whole)
    torch.testing.assert_close(last, end)
    assert whole.min() >= 0
    assert whole.max() < 1


def test_many_frames_at_a_time_are_few(monkeypatch):
    synthesizer = FMSynthesizer(16000, 16, "brass")
    parameters, f0 = torch.randn(2, 9, 6, dtype=torch.float64, requires_grad=True), 500 * torch.rand(2, 9, dtype=torch.float64)
    whole = synthesizer(parameters, f0)
    monkeypatch.setattr("toolkit.dsp.fm.CACHEFUL", 48)  # three frames; the last ones are fewer
    pieces = synthesizer(parameters, f0)
    torch.testing.assert_close(pieces, whole)
    wanted = torch.randn_like(whole)
    torch.testing.assert_close(*(torch.autograd.grad(sound, parameters, wanted)[0] for sound in (pieces, whole)))


def test_an_operator_nobody_hears_learns_nothing():
    synthesizer = FMSynthesizer(16000, 16, "custom", ratios=[1, 2, 3], modulations=[(3, 2)], carriers=[1])
    parameters = torch.randn(1, 4, 3, requires_grad=True)
    synthesizer(parameters, torch.full((1, 4), 300.0)).square().sum().backward()
    assert parameters.grad[..., 0].all()
    assert not parameters.grad[..., 1:].any()


def test_half_precision_is_left_alone():
    synthesizer, f0 = FMSynthesizer(16000, 16, "flute"), torch.full((1, 4), 300.0)
    parameters = torch.randn(1, 4, 6).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        sound = synthesizer(parameters, f0)
    torch.testing.assert_close(sound, synthesizer(parameters, f0))
    torch.testing.assert_close(sound, synthesizer(parameters.float(), f0), atol=0.3, rtol=0)
