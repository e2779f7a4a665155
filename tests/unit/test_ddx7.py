"""DDX7 and its baseline: the parameters they are published with, what a frame hears, and running them in blocks."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from toolkit.blocks.controllers import CausalTCN, RecurrentDecoder
from toolkit.blocks.fm_synthesizer import FMSynthesizer
from toolkit.blocks.harmonic_noise import HarmonicNoise
from toolkit.blocks.reverbs import ImpulseReverb, NoiseReverb
from toolkit.tasks.experiment import Experiment

RECIPE = Path(__file__).resolve().parents[2] / "egs" / "urmp" / "ddx7"

CONTROLLERS = {
    "tcn": lambda: CausalTCN(2, 6, hidden=5, blocks=3),
    "recurrent": lambda: RecurrentDecoder(2, 6, hidden=7),
    "leaky": lambda: RecurrentDecoder(2, 6, hidden=7, layers=1, activation="leaky_relu"),
}


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("patch", "parameters"), [("1stack2", 397702), ("2stack2", 398732), ("1stack4", 398732), ("strings", 399762)]
)
def test_ddx7_has_the_parameters_it_is_published_with(patch, parameters):
    with torch.device("meta"):
        synthesizer = FMSynthesizer(16000, 64, patch)
        controller = CausalTCN(2, synthesizer.parameters_in)
        assert (size(controller), size(synthesizer), size(NoiseReverb())) == (parameters, 0, 16002)
    assert controller.receptive_field == 125


def test_the_baseline_has_the_parameters_it_is_published_with():
    with torch.device("meta"):
        synthesizer = HarmonicNoise(16000, 64, harmonics=60, bands=65, curve="hold", noise_bias=0.0)
        controller = RecurrentDecoder(2, synthesizer.parameters_in, activation="leaky_relu")
        assert (size(controller), size(synthesizer)) == (4277886, 0)
        assert size(controller) + size(NoiseReverb()) == 4293888


@pytest.mark.parametrize("instrument", ["violin", "flute", "trumpet"])
@pytest.mark.parametrize(
    ("system", "controller"), [("6", 399762), ("6_2pi", 399762), ("4", 398732), ("2", 397702), ("hpn", 4277886)]
)
def test_the_recipe_has_them_too(instrument, system, controller):
    file = "paper" if (instrument, system) == ("violin", "6") else f"{instrument}_{system}"
    built, config = Experiment.read(RECIPE / "conf" / f"{file}.yaml").build("meta")
    assert (size(built.model.controller), size(built.model)) == (controller, controller + 16002)
    assert config.data.train == f"urmp/ddx7/{instrument}/train"
    assert getattr(built.model.synthesizer, "max_level", None) == (None if system == "hpn" else 1 if "2pi" in system else 0.32)


def test_a_frame_hears_its_receptive_field():
    controller = CausalTCN(2, 4, hidden=8, blocks=3).eval().double()
    conditions = torch.randn(1, 60, 2, dtype=torch.float64, requires_grad=True)
    controller(conditions)[0, 50].sum().backward()
    heard = conditions.grad[0].abs().sum(-1).nonzero().flatten()
    assert heard.min() >= 50 - controller.receptive_field + 1
    assert heard.max() == 50


def test_the_tcn_layer_by_layer():
    controller = CausalTCN(2, 3, hidden=4, blocks=3).eval().double()
    conditions = torch.randn(1, 12, 2, dtype=torch.float64)
    x = conditions[0].T
    for number, pair in enumerate(controller.pairs):
        out, dilation = x, 2**number
        for layer in (pair.first, pair.second):
            direction, gain = layer.parametrizations.weight.original1, layer.parametrizations.weight.original0
            weight = gain * direction / direction.square().sum((1, 2), keepdim=True).sqrt()
            frames = [F.pad(out, (lag * dilation, 0))[:, : out.shape[1]] for lag in (2, 1, 0)]
            out = sum(weight[:, :, tap] @ frame for tap, frame in enumerate(frames)) + layer.bias[:, None]
            if not (number == 2 and layer is pair.second):
                out = out.relu()
        assert (pair.residual is None) == (number == 1)
        x = out if pair.residual is None else out + pair.residual.weight[..., 0] @ x + pair.residual.bias[:, None]
    torch.testing.assert_close(controller(conditions)[0], x.T)


@pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)
@settings(max_examples=8, deadline=None)
@given(blocks=st.lists(st.sampled_from([1, 2, 5, 9, 300]), min_size=1, max_size=6))
def test_blocks_of_any_size_are_the_whole(make, blocks):
    controller, conditions = make().eval().double(), torch.randn(2, sum(blocks), 2, dtype=torch.float64)
    for learning in (True, False):  # what is not learned may be carried along
        state, pieces = None, []
        with torch.set_grad_enabled(learning):
            for block in conditions.split(blocks, 1):
                piece, state = controller.step(block, state)
                pieces.append(piece)
        torch.testing.assert_close(torch.cat(pieces, 1), controller(conditions))


@pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)
@pytest.mark.parametrize("frames", [1, 7])
@pytest.mark.parametrize("batch", [1, 3])
def test_parameters_and_gradients(make, batch, frames):
    controller, conditions = make(), torch.randn(batch, frames, 2, requires_grad=True)
    parameters = controller(conditions)
    assert parameters.shape == (batch, frames, 6)
    parameters.square().mean().backward()
    for tensor in (conditions, *controller.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("synthesizer", [FMSynthesizer(8000, 16, "2stack2"), HarmonicNoise(8000, 16, harmonics=3, bands=9)])
@pytest.mark.parametrize("effect", [NoiseReverb(100, 8000), ImpulseReverb(100)])
def test_everything_in_a_row_learns(synthesizer, effect):
    controller = CausalTCN(2, synthesizer.parameters_in, hidden=8, blocks=2)
    conditions, f0 = torch.randn(2, 9, 2), 200 + 100 * torch.rand(2, 9)
    sound = effect(synthesizer(controller(conditions), f0))
    assert sound.shape == (2, 9 * 16)
    sound.square().mean().backward()
    for parameter in (*controller.parameters(), *effect.parameters()):
        assert parameter.grad.isfinite().all()


def test_too_few_blocks_are_refused():
    with pytest.raises(ValueError, match="2 or more, found 1"):
        CausalTCN(2, 6, blocks=1)
