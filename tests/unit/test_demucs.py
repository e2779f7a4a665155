"""Demucs: sizes, lengths, slots."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.blocks import (
    Bottleneck,
    IdentityBottleneck,
    RecurrentBottleneck,
    StridedDecoderLayer,
    StridedEncoderLayer,
    TransformerBottleneck,
)
from toolkit.blocks.unet import centre, rescale_weights
from toolkit.config import subclasses
from toolkit.models import Demucs

NO_LSTM = IdentityBottleneck
BOTTLENECKS = {
    RecurrentBottleneck: partial(RecurrentBottleneck, layers=1),
    TransformerBottleneck: partial(TransformerBottleneck, width=8, heads=2, layers=1, feedforward=8),
    IdentityBottleneck: IdentityBottleneck,
}


def levels(**options) -> dict:
    return {"encoder": partial(StridedEncoderLayer, **options), "decoder": partial(StridedDecoderLayer, **options)}


def small(**options) -> Demucs:
    return Demucs(**({"channels": 4, "depth": 3, "bottleneck": NO_LSTM} | options))


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        (265_679_496, {}),
        (648_548_208, {"channels": 100, "resample": False}),
        (149_462_504, {"channels": 48}),
        (66_443_592, {"channels": 32}),
        (89_451_144, {"bottleneck": NO_LSTM}),
        (357_909_128, {"bottleneck": NO_LSTM, "depth": 7}),
        (243_307_272, levels(glu=False)),
        (220_935_048, levels(rewrite=False)),
        (243_315_336, {"decoder": partial(StridedDecoderLayer, context=1)}),
    ],
)
def test_parameters_are_as_many_as_the_authors(parameters, options):
    with torch.device("meta"):
        assert sum(p.numel() for p in Demucs(**options).parameters()) == parameters


def test_ten_seconds_are_trained_with_as_much_audio_as_the_authors_read():
    with torch.device("meta"):
        assert Demucs().input_length(441_000) == 447_146


@settings(deadline=None, max_examples=30)
@given(
    length=st.integers(1, 900),
    resample=st.booleans(),
    context=st.sampled_from([1, 3]),
    rewrite=st.booleans(),
    sizes=st.sampled_from([(8, 4), (5, 2), (3, 3)]),
)
def test_lengths(length, resample, context, rewrite, sizes):
    options = {"kernel_size": sizes[0], "stride": sizes[1], "rewrite": rewrite}
    with torch.device("meta"):
        model = small(
            resample=resample,
            encoder=partial(StridedEncoderLayer, **options),
            decoder=partial(StridedDecoderLayer, **options, context=context),
        )
    read = model.input_length(length)
    mixture = torch.empty(2, 2, read, device="meta")
    estimate = model(mixture)
    assert estimate.shape == model.target(torch.empty(2, 4, 2, read)).shape  # the loss compares the two
    assert length <= estimate.shape[-1] <= read
    assert length == 1 or model.input_length(length - 1) <= read
    assert model.separate(mixture[..., :length]).shape == (2, 4, 2, length)

    longer = torch.empty(1, 2, read + 7, device="meta")  # whole recordings have any length
    assert model(longer).shape == model.target(torch.empty(1, 4, 2, read + 7)).shape


def test_training_estimates_the_centre_of_what_separation_does():
    model = small(resample=False, depth=1)  # of deeper ones the zeros at the sides move the grid of strides
    mixture = torch.randn(1, 2, 1500)
    whole = model.separate(mixture)
    inside = slice(8, -8)  # at the ends of what it estimates, frames overlap that training has not
    torch.testing.assert_close(model(mixture)[..., inside], model.target(whole)[..., inside])


def test_a_silent_mixture_is_separated_and_too_short_a_one_is_not_trained():
    model = small()
    assert model.separate(torch.zeros(1, 2, 100)).isfinite().all()
    with pytest.raises(ValueError, match="expected at least 138 samples to estimate one, found 137"):
        model(torch.randn(1, 2, 137))
    with pytest.raises(ValueError, match=r"channels=2, samples\), found \(1, 1, 500\)"):
        model(torch.randn(1, 1, 500))


def test_every_bottleneck_is_tested_here():
    assert set(BOTTLENECKS) == set(subclasses(Bottleneck).values())


@pytest.mark.parametrize("block", BOTTLENECKS.values(), ids=BOTTLENECKS)
@pytest.mark.parametrize(("batch", "frames"), [(1, 1), (2, 7)])
def test_bottlenecks_keep_the_shape_and_pass_gradients(block, batch, frames):
    bottleneck = block(6)
    x = torch.randn(batch, 6, frames, requires_grad=True)
    out = bottleneck(x)
    assert out.shape == x.shape
    out.square().mean().backward()
    for tensor in (x, *bottleneck.parameters()):
        assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("options", [{}, {"glu": False}, {"rewrite": False}, {"activation": "gelu", "norm": "gLN"}])
def test_every_weight_learns(options):
    model = small(**levels(**options), resample=False)
    model(torch.randn(2, 2, model.input_length(300))).square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.any() for p in model.parameters() if p.dim() > 1)


def test_estimates_may_take_any_sign():
    assert (small()(torch.randn(1, 2, 500)) < 0).any()  # no activation comes after the last convolution


def test_weights_begin_between_their_deviation_and_the_wanted_one():
    model = small(rescale=None)
    first = next(model.encoder[0].parameters())
    before = first.std().item()
    rescale_weights(model, 0.1)
    assert first.std().item() == pytest.approx((before * 0.1) ** 0.5, rel=1e-4)


def test_the_centre_of_a_signal():
    assert centre(torch.arange(7), 4).tolist() == [1, 2, 3, 4]


def test_the_model_compiles():
    model = small()
    mixture = torch.randn(1, 2, 600)
    traced = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(mixture), model(mixture), atol=1e-6, rtol=1e-4)


def test_resampling_keeps_full_precision_under_autocast():
    model = small()
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.randn(1, 2, 600)).dtype == torch.float32
