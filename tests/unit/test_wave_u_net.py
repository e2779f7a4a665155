"""Wave-U-Net: sizes, lengths, and that context is context."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.blocks import RecurrentBottleneck
from toolkit.models import WaveUNet, wave_u_net
from toolkit.models.wave_u_net import Upsampling

SMALL = partial(WaveUNet, layers=3, filters=4, kernel_size=5, up_kernel_size=3)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"audio_channels": 1, "context": False, "difference": False}, 10_263_028),  # M1
        ({"audio_channels": 1, "context": False}, 10_263_002),  # M2
        ({"audio_channels": 1}, 10_263_002),  # M3
        ({}, 10_263_390),  # M4
        ({"upsampling": "learned"}, 10_265_550),  # M5
        ({"sources": 4}, 10_263_498),  # M6
        ({"audio_channels": 1, "filters": 34}, 20_594_652),  # M7
    ],
)
def test_parameter_counts(options, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in WaveUNet(**options).parameters()) == parameters


def test_the_papers_lengths():
    with torch.device("meta"):
        model = WaveUNet()
        assert model.input_length(16_384) == 147_443
        assert model(torch.empty(1, 2, 147_443)).shape == (1, 2, 2, 16_389)


@given(st.integers(1, 400), st.integers(1, 4), st.sampled_from([3, 5, 7]), st.sampled_from([1, 3, 5]))
def test_lengths_are_those_of_the_layers(wanted, layers, kernel_size, up_kernel_size):
    with torch.device("meta"):
        model = WaveUNet(1, 1, layers, 1, kernel_size, up_kernel_size, difference=False)
    length = model.input_length(wanted)
    inside = length
    for _ in range(layers):
        inside = inside - kernel_size + 1
        assert inside % 2 == 1  # the first and the last sample are both kept, so both sides are cut alike
        inside = (inside + 1) // 2
    inside = inside - kernel_size + 1
    for _ in range(layers):
        inside = 2 * inside - 1 - up_kernel_size + 1
    assert inside == model.output_length(length) == length - 2 * model.margin
    assert wanted <= inside < wanted + model.step + up_kernel_size
    assert model.input_length(inside) == length


@pytest.mark.parametrize("options", [{}, {"context": False}, {"difference": False}, {"sources": 4, "upsampling": "learned"}])
@pytest.mark.parametrize("samples", [1, 7, 64, 333])
def test_any_length_is_separated(options, samples):
    model = SMALL(**options)
    mixture = torch.randn(2, 2, samples)
    estimate = model.separate(mixture)
    assert estimate.shape == (2, model.sources, 2, samples)
    if model.sums_to_mixture:
        torch.testing.assert_close(estimate.sum(1), mixture, atol=1e-5, rtol=0)
    assert model.sums_to_mixture == options.get("difference", True)


@pytest.mark.parametrize("options", [{}, {"context": False}, {"difference": False, "upsampling": "learned"}])
def test_everything_is_trained(options):
    model = SMALL(**options)
    references = torch.randn(2, 2, 2, model.input_length(50) + 3)
    estimate, target = model(references.sum(1)), model.target(references)
    assert estimate.shape == target.shape
    assert estimate.shape[-1] >= 50
    (estimate - target).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_target_is_what_the_estimate_is_of():
    model = SMALL()
    references = torch.randn(1, 2, 2, model.input_length(50))
    estimate, target = model(references.sum(1)), model.target(references)
    torch.testing.assert_close(estimate.sum(1), target.sum(1))  # the mixture's middle, by the difference output


def test_given_its_context_an_estimate_does_not_know_where_the_recording_ends():
    model = SMALL()
    song = torch.randn(1, 2, 2000)
    begin = 40 * model.step
    piece = song[..., begin - model.margin :][..., : model.input_length(100)]
    estimate = model(piece)
    torch.testing.assert_close(estimate, model.separate(song)[..., begin:][..., : estimate.shape[-1]], atol=1e-5, rtol=1e-4)


def test_pieces_make_the_same_whole(monkeypatch):
    model = SMALL()
    song = torch.randn(1, 2, 1001)
    whole = model.separate(song)
    monkeypatch.setattr(wave_u_net, "PIECE", 100)
    torch.testing.assert_close(model.separate(song), whole, atol=1e-5, rtol=1e-4)


def test_without_context_the_ends_are_zeros_and_the_interior_is_the_same():
    model = SMALL(context=False)
    song = torch.randn(1, 2, 1000)
    start, stop = 10 * model.step, 90 * model.step
    piece = model.separate(song[..., start:stop])
    reach = model.receptive_field
    inside = slice(reach, stop - start - reach)
    torch.testing.assert_close(piece[..., inside], model.separate(song)[..., start:stop][..., inside], atol=1e-5, rtol=1e-4)


def test_samples_are_put_half_way_or_as_learned():
    x = torch.tensor([[[0.0, 2.0, 4.0]]])
    half_way = torch.tensor([[[0.0, 1.0, 2.0, 3.0, 4.0]]])
    torch.testing.assert_close(Upsampling(1, "linear")(x), half_way)
    learned = Upsampling(1, "learned")
    torch.testing.assert_close(learned(x), half_way)
    torch.nn.init.constant_(learned.weight, 100)  # all of the earlier neighbour
    torch.testing.assert_close(learned(x), torch.tensor([[[0.0, 0.0, 2.0, 2.0, 4.0]]]))


def test_a_bottleneck_hears_farther():
    model = SMALL(bottleneck=partial(RecurrentBottleneck, layers=1))
    mixture = torch.randn(1, 2, 300)
    changed = mixture.clone()
    changed[..., -1] += 1
    assert model.separate(mixture).shape == (1, 2, 2, 300)
    difference = (model.separate(mixture) - model.separate(changed)).abs()
    assert difference[..., : 300 - model.receptive_field].max() > 0
    plain = SMALL()
    assert torch.equal(plain.separate(mixture)[..., :150], plain.separate(changed)[..., :150])


def test_bfloat16_autocast():
    model = SMALL(upsampling="learned")
    with torch.autocast("cpu", torch.bfloat16):
        estimate = model(torch.randn(1, 2, model.input_length(20)))
    estimate.float().mean().backward()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size: expected an odd number of samples, found 4"),
        ({"up_kernel_size": 2}, "up_kernel_size: expected an odd number"),
        ({"sources": 1}, "sources: expected at least 2 where the last one is a difference, found 1"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        SMALL(**options)


def test_a_mixture_that_does_not_fit():
    model = SMALL()
    with pytest.raises(ValueError, match=rf"mixture: expected at least {model.receptive_field} samples, found 40"):
        model(torch.randn(1, 2, 40))
    with pytest.raises(ValueError, match=r"mixture: expected shape \(batch, channels=2, samples\), found \(1, 1, 40\)"):
        model(torch.randn(1, 1, 40))
