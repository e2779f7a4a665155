"""Every block of synthesis and pitch in every slot it fits: forward, backward, one example, odd lengths; none left out."""

import itertools
import typing
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from toolkit import blocks, losses
from toolkit.config import subclasses
from toolkit.data.performances import Performance
from toolkit.models.resynthesizer import Resynthesizer
from toolkit.report.blocks import SLOTS, table
from toolkit.tasks import TASKS, find

RATE, HOP = 8000, 16
Cases = dict[str, Callable[..., Any]]

CONTROLLERS: Cases = {
    "CausalTCN": partial(blocks.CausalTCN, hidden=4, blocks=2),
    "RecurrentDecoder": partial(blocks.RecurrentDecoder, hidden=5, layers=1),
}
SYNTHESIZERS: Cases = {
    "FMSynthesizer": partial(blocks.FMSynthesizer, patch="2stack2"),
    "HarmonicNoise": partial(blocks.HarmonicNoise, harmonics=3, bands=5),
    "KarplusStrong": partial(blocks.KarplusStrong, lowest=150.0, longest=0.1),
    "SourceFilter": partial(blocks.SourceFilter, bands=5),
}
EFFECTS: Cases = {"ImpulseReverb": lambda: blocks.ImpulseReverb(20), "NoiseReverb": lambda: blocks.NoiseReverb(20, RATE)}
ENCODERS: Cases = {"PESTOEncoder": lambda bins: blocks.PESTOEncoder(bins, kernel_size=3, channels=(4, 3, 2))}
AUGMENTATIONS: Cases = {"SpectrumGain": blocks.SpectrumGain, "SpectrumNoise": blocks.SpectrumNoise}
OF_SOUND: Cases = {
    "MultiScaleSpectral": lambda: losses.MultiScaleSpectral((64, 32)),
    "SpectralTransport": lambda: losses.SpectralTransport(64, 32, sample_rate=RATE, low=100.0, high=3000.0),
    "WeightedSum": lambda: losses.WeightedSum([losses.MultiScaleSpectral((64,))], [0.5]),
}
OF_PITCH: Cases = {
    "ClassEquivariance": losses.ClassEquivariance,
    "ShiftedCrossEntropy": lambda: losses.ShiftedCrossEntropy(4),
    "TransportEquivariance": losses.TransportEquivariance,
}
COVERED = {
    "Controller": CONTROLLERS,
    "Synthesizer": SYNTHESIZERS,
    "Effect": EFFECTS,
    "PitchEncoder": ENCODERS,
    "FrameAugmentation": AUGMENTATIONS,
    "SynthesisLoss": OF_SOUND,
    "EquivarianceLoss": OF_PITCH,
}
CHAINS = list(itertools.product(CONTROLLERS, SYNTHESIZERS, [*EFFECTS, None]))


def fitting(slot: str) -> dict[str, type]:
    """The blocks of the toolkit that fit a slot."""
    found = subclasses(getattr(import_module(SLOTS[slot]), slot))
    return {name: cls for name, cls in found.items() if cls.__module__.startswith("toolkit.") and not name.startswith("_")}


def performance(batch: int, frames: int) -> Performance:
    f0, loudness = 200 + 100 * torch.rand(batch, frames), -30 * torch.rand(batch, frames)
    waveform = 0.1 * torch.randn(batch, frames * HOP)
    samples = torch.full((batch,), frames * HOP)
    return Performance(waveform=waveform, f0=f0, loudness=loudness, lengths=samples, ids=["a"] * batch)


def check_gradients(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("slot", COVERED)
def test_no_block_of_a_slot_is_left_out(slot: str) -> None:
    assert set(fitting(slot)) == set(COVERED[slot])


@pytest.mark.parametrize("slot", SLOTS)
def test_blocks_are_listed_with_a_sentence(slot: str) -> None:
    listed = table(slot)
    for name, cls in fitting(slot).items():
        if cls is not getattr(import_module(SLOTS[slot]), slot):
            line = next(line for line in listed.splitlines() if line.startswith(f"  {name} "))
            assert line.endswith("."), line


@pytest.mark.parametrize("task", TASKS)
def test_what_a_task_may_be_given_as_model_and_loss_is_listed(task: str) -> None:
    """Only those are left out that nothing else fits."""
    hints = typing.get_type_hints(find(task).Config)
    for slot in (hints["model"], hints.get("loss")):
        alone = slot is None or set(subclasses(slot)) <= {slot.__name__}
        assert alone or table(slot.__name__).startswith(f"{slot.__name__}: ")


@pytest.mark.parametrize(("controller", "synthesizer", "effect"), CHAINS)
def test_a_controller_a_synthesizer_and_an_effect_in_a_row_learn(controller: str, synthesizer: str, effect: str | None) -> None:
    made = EFFECTS[effect]() if effect else None
    model = Resynthesizer(CONTROLLERS[controller], SYNTHESIZERS[synthesizer], made, RATE, HOP)
    for batch, frames in ((1, 1), (2, 7)):
        model.zero_grad()
        played = performance(batch, frames)
        rendered = model(played)
        assert rendered.shape == played.waveform.shape
        (rendered - played.waveform).square().mean().backward()
        check_gradients(model)


@pytest.mark.parametrize("loss", OF_SOUND)
@pytest.mark.parametrize(("batch", "samples"), [(1, 65), (3, 501)])
def test_losses_of_sound(loss: str, batch: int, samples: int) -> None:
    estimate = (0.1 * torch.randn(batch, samples)).requires_grad_()
    value: Tensor = OF_SOUND[loss]()(estimate, 0.1 * torch.randn(batch, samples))
    assert value.shape == ()
    assert value > 0
    value.backward()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("loss", OF_PITCH)
@pytest.mark.parametrize(("batch", "bins"), [(1, 31), (3, 64)])
def test_pitch_is_learned_from_what_is_transposed(encoder: str, augmentation: str, loss: str, batch: int, bins: int) -> None:
    model, change = ENCODERS[encoder](bins), AUGMENTATIONS[augmentation]()
    spectra = 20 * torch.randn(batch, bins)
    first, second = (model(change(view)).softmax(-1) for view in (spectra, spectra.roll(2, 1)))
    assert first.shape == (batch, model.pitches)
    OF_PITCH[loss]()(first, second, torch.full((batch,), 2)).backward()
    check_gradients(model)
