"""Demucs gives what its authors' code gives with the same weights, and resamples as julius does.

The package `demucs` holds the third version.  The first two are what is left of it without norms, GELU and residual branches,
and without padding: then it reads as much more of the mixture as its decoder loses.
"""

import math
from functools import partial

import julius
import pytest
import torch
from demucs.demucs import Demucs as Reference
from demucs.demucs import rescale_module
from torch import Tensor, nn

from toolkit.blocks import RecurrentBottleneck, StridedDecoderLayer, StridedEncoderLayer
from toolkit.blocks.unet import rescale_weights
from toolkit.dsp.sinc import SincResample
from toolkit.models import Demucs

PLAIN = {"gelu": False, "norm_starts": 99, "dconv_mode": 0, "normalize": False}
LEVELS = {"kernel_size": 8, "stride": 4}


class Unpadded(Reference):
    """The reference without the padding that its third version brought."""

    def __init__(self, **options) -> None:
        super().__init__(["a", "b", "c"], channels=4, depth=3, lstm_layers=2, **PLAIN, **options)
        for module in self.decoder.modules():
            if isinstance(module, nn.Conv1d):
                module.padding = (0,)

    def valid_length(self, length: int) -> int:
        """As versions one and two read, going by their documentation: each level loses `2 * context` frames of its own."""
        length *= 2 if self.resample else 1
        for _ in range(self.depth):
            length = max(1, math.ceil((length - self.kernel_size) / self.stride) + 1) + 2 * self.context
        for _ in range(self.depth):
            length = (length - 1) * self.stride + self.kernel_size
        return math.ceil(length / 2) if self.resample else length


def copy_weights(reference: Reference, model: Demucs) -> None:
    for theirs, ours in [
        (reference.encoder, model.encoder),
        (reference.decoder, model.decoder),
        (reference.lstm, model.bottleneck),
    ]:
        for source, place in zip(theirs.parameters(), ours.parameters(), strict=True):
            place.data.copy_(source.data)


@pytest.mark.parametrize(("resample", "context", "glu"), [(True, 3, True), (False, 3, True), (True, 1, False)])
def test_outputs_and_gradients_are_the_authors(resample, context, glu):
    torch.manual_seed(0)
    reference = Unpadded(resample=resample, context=context // 2, glu=glu, rewrite=True)
    model = Demucs(
        channels=4,
        depth=3,
        encoder=partial(StridedEncoderLayer, **LEVELS, glu=glu),
        decoder=partial(StridedDecoderLayer, **LEVELS, glu=glu, context=context),
        bottleneck=RecurrentBottleneck,
        resample=resample,
        sources=3,
    )
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # as drawn, the biases are much of the output, the mixture little
    copy_weights(reference, model)
    for length in (1, 777, 2000):
        mixture = torch.randn(2, 2, length)
        assert model.input_length(length) == reference.valid_length(length)
        torch.testing.assert_close(model.separate(mixture), reference(mixture), atol=2e-6, rtol=1e-4)
    assert (reference(mixture) - reference(-mixture)).std() > 0.05

    weight = torch.randn(2, 3, 2, length)
    (reference(mixture) * weight).sum().backward()
    (model.separate(mixture) * weight).sum().backward()
    for theirs, ours in zip(reference.encoder.parameters(), model.encoder.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-3)


def test_initial_weights_are_rescaled_as_the_authors_do():
    torch.manual_seed(0)
    reference = Unpadded(resample=True, context=1, rescale=0)
    model = Demucs(channels=4, depth=3, sources=3, rescale=None)
    copy_weights(reference, model)
    rescale_module(reference, 0.1)
    rescale_weights(model, 0.1)
    for theirs, ours in zip(reference.decoder.parameters(), model.decoder.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("up", "down"), [(2, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 1000])
def test_resampling_is_that_of_julius(up: int, down: int, length: int):
    waveform = torch.randn(2, 3, length)
    expected: Tensor = julius.resample_frac(waveform, down, up)
    found = SincResample(up, down)(waveform)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)
