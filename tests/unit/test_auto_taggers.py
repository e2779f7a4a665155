"""The models of Won et al. 2020: sizes, lengths, and layers equal to a plain re-statement."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import nn

from toolkit.blocks import (
    CRNN,
    FCN,
    DenseHead,
    HarmonicCNN,
    HarmonicFilters,
    LastFrame,
    LinearHead,
    MaxMeanPooling,
    MaxPooling,
    MeanPooling,
    MelSpectrogram,
    Musicnn,
    RawWaveform,
    SampleCNN,
    SelfAttentionCNN,
    ShortChunkCNN,
)
from toolkit.blocks.auto_taggers.layers import ResidualBlock
from toolkit.blocks.auto_taggers.self_attention_cnn import AttentionLayer
from toolkit.models import Tagger

MEL96, MEL128 = partial(MelSpectrogram, 16000, bins=96), partial(MelSpectrogram, 16000, bins=128)
TANH = partial(DenseHead, norm=False, activation="tanh")


class Published(NamedTuple):
    """A model as it was published, and a narrow one of the same layers."""

    frontend: partial
    backbone: partial
    pooling: type
    head: partial
    samples: int  # of a training example
    frames: int  # that are left of it
    parameters: int
    least: int  # samples
    small: dict


MODELS = {
    "FCN": Published(
        MEL96, partial(FCN), MeanPooling, partial(LinearHead, dropout=0.5), 464_000, 1, 447_732, 1279 * 256, {"width": 4}
    ),
    "CRNN": Published(
        MEL96, partial(CRNN), LastFrame, partial(LinearHead, dropout=0.5), 464_000, 18, 394_100, 95 * 256, {"width": 4}
    ),
    "Musicnn": Published(
        MEL96,
        partial(Musicnn),
        MaxMeanPooling,
        partial(DenseHead, hidden=200),
        48_000,
        188,
        784_300,  # musicnn-training says 787k of its model, which has one batch normalisation of 1506 features more
        1,
        {"timbre": 4, "rhythm": 3, "width": 4},
    ),
    "SampleCNN": Published(
        partial(RawWaveform),
        partial(SampleCNN),
        MeanPooling,
        partial(LinearHead, dropout=0.5),
        59_049,
        1,
        1_869_874,
        59_047,
        {"width": 4},
    ),
    "SampleCNN, excitation": Published(
        partial(RawWaveform),
        partial(SampleCNN, excitation=True),
        MeanPooling,
        partial(DenseHead),
        59_049,
        1,
        6_951_858,
        59_047,
        {"width": 4},
    ),
    "ShortChunkCNN": Published(
        MEL128,
        partial(ShortChunkCNN, residual=False),
        MaxPooling,
        partial(DenseHead),
        59_049,
        1,
        3_687_348,
        127 * 256,
        {"width": 4},
    ),
    "ShortChunkCNN, residual": Published(
        MEL128, partial(ShortChunkCNN), MaxPooling, partial(DenseHead), 59_049, 2, 12_104_244, 1, {"width": 4}
    ),
    "HarmonicCNN": Published(
        partial(HarmonicFilters, 16000),
        partial(HarmonicCNN),
        MaxPooling,
        partial(DenseHead),
        80_000,
        1,
        3_631_551,
        287 * 256,
        {"width": 4},
    ),
    "SelfAttentionCNN": Published(
        MEL128, partial(SelfAttentionCNN), LastFrame, TANH, 240_000, 119, 10_521_652, 1, {"width": 4, "heads": 2}
    ),
}
every_model = pytest.mark.parametrize("published", MODELS.values(), ids=MODELS)


def small(published: Published, tags: int = 5) -> Tagger:
    backbone = partial(published.backbone, **published.small)
    return Tagger(published.frontend(), backbone, published.pooling, published.head, tags)


@every_model
def test_parameter_counts_and_frames(published):
    """The counts are those of the released code's layer lists, added up by hand."""
    with torch.device("meta"):
        model = Tagger(published.frontend(), published.backbone, published.pooling, published.head, tags=50)
        assert sum(p.numel() for p in model.parameters()) == published.parameters
        assert model.features(torch.empty(2, published.samples)).shape == (2, model.backbone.channels, published.frames)
        assert model(torch.empty(2, published.samples)).shape == (2, 50)
        assert model.embed(torch.empty(2, published.samples)).shape == (2, model.pooling.channels_out)


@every_model
def test_everything_is_trained(published):
    model = small(published)
    odd = published.least + 1333 | 1
    model(torch.randn(2, odd)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@every_model
def test_a_clip_alone_is_told_as_in_a_batch(published):
    model = small(published).eval()
    waveforms = torch.randn(2, published.least)
    both = model(waveforms)
    assert both.isfinite().all()
    torch.testing.assert_close(model(waveforms[1:]), both[1:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name, published in MODELS.items() if published.least > 1])
def test_too_short(name):
    published = MODELS[name]
    model = small(published).eval()
    least = model.backbone.least_frames if hasattr(model.backbone, "least_frames") else published.least
    with pytest.raises(ValueError, match=rf"picture: expected at least {least} frames, found {least - 1}"):
        model(torch.randn(1, published.least - 1))


FRAMES = {
    "FCN": (FCN, 96, 1280, lambda frames: frames // 1280),
    "CRNN": (CRNN, 96, 96, lambda frames: frames // 96),
    "Musicnn": (partial(Musicnn, timbre=2, rhythm=2), 96, 1, lambda frames: frames),
    "SampleCNN": (SampleCNN, 1, 59_047, lambda samples: -(-samples // 3) // 3**9),
    "ShortChunkCNN": (partial(ShortChunkCNN, residual=False), 128, 128, lambda frames: frames // 128),
    "ShortChunkCNN, residual": (ShortChunkCNN, 128, 1, lambda frames: -(-frames // 128)),
    "HarmonicCNN": (partial(HarmonicCNN, harmonics=2), 256, 288, lambda frames: frames // 288),
    "SelfAttentionCNN": (partial(SelfAttentionCNN, heads=2), 128, 1, lambda frames: -(-frames // 8) + 1),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_are_left(name):
    build, bins, least, expected = FRAMES[name]
    with torch.device("meta"):
        backbone = build(bins, width=2).eval()
        for length in (least, least + 1, least + 191, 2 * least + 1):
            assert backbone(torch.empty(2, 1, bins, length)).shape == (2, backbone.channels, expected(length))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FCN(64), "bins: expected 96 to 191 rows, of which FCN leaves one, found 64"),
        (lambda: ShortChunkCNN(192), "bins: expected 1 to 128 rows"),
        (lambda: ShortChunkCNN(96, residual=False), "bins: expected 128 to 255 rows"),
        (lambda: HarmonicCNN(769), "harmonics: expected a divisor of the picture's 769 rows, found 6"),
        (lambda: HarmonicCNN(128), "harmonics: expected a divisor"),
        (lambda: HarmonicCNN(96), "bins: expected 768 to 1530 rows"),
        (lambda: SampleCNN(96), r"bins: expected the waveform as one row \(front end RawWaveform\), found 96 rows"),
        (lambda: SelfAttentionCNN(128, width=5, heads=4), "heads: expected a divisor of channels=10, found 4"),
    ],
)
def test_options_that_do_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_picture_that_does_not_fit():
    with pytest.raises(ValueError, match=r"picture: expected shape \(batch, one=1, bins=96, frames\), found \(1, 1, 64, 100\)"):
        CRNN(96, width=2)(torch.zeros(1, 1, 64, 100))


def test_residual_block_with_excitation():
    block = ResidualBlock(1, 3, 4, pool=3, excitation=True).double().eval()
    x = torch.randn(2, 3, 17, dtype=torch.float64)
    first, first_norm, _, second, second_norm = block.layers
    y = second_norm(second(first_norm(first(x)).clamp(min=0)))
    dense, _, scale, _ = block.excitation
    y = y * torch.sigmoid(scale(dense(y.mean(2)).clamp(min=0)))[:, :, None]
    y = (y + block.shortcut[1](block.shortcut[0](x))).clamp(min=0)  # rectified before the maximum
    expected = torch.stack([y[:, :, 3 * n : 3 * n + 3].amax(2) for n in range(5)], dim=2)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("options", "identity"), [({}, True), ({"stride": 2}, False), ({"stride": (2, 1)}, False)])
def test_the_shortcut_is_a_convolution_where_sizes_change(options, identity):
    block = ResidualBlock(2, 4, 4, **options)
    assert isinstance(block.shortcut, nn.Identity) == identity
    assert isinstance(ResidualBlock(2, 4, 5).shortcut, nn.Sequential)


def test_attention_layer_is_that_of_a_transformer():
    ours = AttentionLayer(16, heads=4, dropout=0.4, attention_dropout=0.5).double().eval()
    theirs = nn.TransformerEncoderLayer(16, 4, 64, activation="gelu", layer_norm_eps=1e-12, batch_first=True).double().eval()
    theirs.self_attn.in_proj_weight, theirs.self_attn.in_proj_bias = ours.projections.weight, ours.projections.bias
    theirs.self_attn.out_proj, theirs.norm1, theirs.norm2 = ours.output, ours.attention_norm, ours.dense_norm
    theirs.linear1, theirs.linear2 = ours.dense[0], ours.dense[2]
    frames = torch.randn(2, 7, 16, dtype=torch.float64)
    torch.testing.assert_close(ours(frames), theirs(frames))


def test_attention_knows_no_order():
    backbone = SelfAttentionCNN(128, width=4, heads=2).eval()
    frames = torch.randn(1, 6, 8)
    torch.testing.assert_close(backbone.attention(frames.flip(1)), backbone.attention(frames).flip(1))
    assert torch.equal(backbone.token, SelfAttentionCNN(128, width=4, heads=2).token)  # the same in every model


def test_dense_head():
    head = DenseHead(6, 3, hidden=4).double().eval()
    features = torch.randn(2, 6, dtype=torch.float64)
    dense, norm, _, _, linear = head.layers
    torch.testing.assert_close(head(features), linear(norm(dense(features)).clamp(min=0)))
    assert sum(p.numel() for p in DenseHead(6, 3, norm=False).parameters()) == 6 * 6 + 6 + 6 * 3 + 3
