"""A performance played again: what the controller is told, how long a pitch lasts, and blocks as they come in."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.blocks.controllers import CausalTCN, RecurrentDecoder
from toolkit.blocks.fm_synthesizer import FMSynthesizer
from toolkit.blocks.harmonic_noise import HarmonicNoise, SourceFilter
from toolkit.blocks.reverbs import NoiseReverb
from toolkit.data.performances import Performance
from toolkit.models.resynthesizer import Resynthesizer, conditions, held

RATE, HOP = 8000, 16


def make(synthesizer, controller=RecurrentDecoder, effect=True) -> Resynthesizer:
    options = {"hidden": 5} if controller is RecurrentDecoder else {"hidden": 5, "blocks": 2}
    return Resynthesizer(
        lambda c, p: controller(c, p, **options),
        synthesizer,
        NoiseReverb(60, RATE) if effect else None,
        sample_rate=RATE,
        hop_length=HOP,
    ).eval()


MODELS = {
    "fm": lambda: make(lambda rate, hop: FMSynthesizer(rate, hop, "2stack2"), CausalTCN),
    "harmonic_noise": lambda: make(lambda rate, hop: HarmonicNoise(rate, hop, harmonics=3, bands=21)),
    "source_filter": lambda: make(lambda rate, hop: SourceFilter(rate, hop, bands=9), CausalTCN),
    "dry": lambda: make(lambda rate, hop: FMSynthesizer(rate, hop, "1stack2"), effect=False),
}


def performance(frames: int, batch: int = 2) -> Performance:
    """With pauses, at the beginning too."""
    f0 = (200 + 300 * torch.rand(batch, frames)) * (torch.rand(batch, frames) < 0.7)
    loudness = -80 * torch.rand(batch, frames)
    return Performance(torch.zeros(batch, 0), f0, loudness, torch.full((batch,), frames * HOP), [""] * batch)


def part(whole: Performance, begin: int, end: int) -> Performance:
    return whole._replace(f0=whole.f0[:, begin:end], loudness=whole.loudness[:, begin:end])


def test_the_controller_is_told_midi_pitch_and_loudness():
    whole = performance(3)._replace(f0=torch.tensor([[440.0, 0.0, 880.0]]), loudness=torch.tensor([[-80.0, -40.0, 0.0]]))
    expected = torch.tensor([[[69 / 127, 0.0], [0.0, 0.5], [81 / 127, 1.0]]])
    torch.testing.assert_close(conditions(whole), expected)


def test_a_pitch_lasts_until_the_next():
    lasting, last = held(torch.tensor([[0.0, 300.0, 0.0, 0.0, 200.0, 0.0]]))
    assert lasting.tolist() == [[0, 300, 300, 300, 200, 200]]
    assert last.tolist() == [[200]]
    assert held(torch.zeros(1, 2), last)[0].tolist() == [[200, 200]]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@settings(max_examples=4, deadline=None)
@given(blocks=st.lists(st.sampled_from([1, 2, 7]), min_size=1, max_size=4))
def test_blocks_of_any_size_are_the_whole_late(model, blocks):
    model, frames = model().double(), sum(blocks)
    whole = performance(frames + -(-model.latency // HOP))
    whole = whole._replace(f0=whole.f0.double(), loudness=whole.loudness.double())
    state, begin, pieces = None, 0, []
    for block in [*blocks, -(-model.latency // HOP)]:
        piece, state = model.step(part(whole, begin, begin + block), state)
        assert piece.shape == (2, block * HOP)
        pieces.append(piece)
        begin += block
    streamed = torch.cat(pieces, 1)
    assert streamed[:, : model.latency].abs().max() < 1e-12
    expected = model(whole)[:, : frames * HOP]
    torch.testing.assert_close(streamed[:, model.latency :][:, : frames * HOP], expected)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_everything_learns(model):
    model = model()
    sound = model(performance(9))
    assert sound.shape == (2, 9 * HOP)
    sound.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all()
    assert model.pitch(performance(2)) is None
