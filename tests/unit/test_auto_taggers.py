"""The models of Won et al. 2020: sizes, lengths, and layers equal to a plain re-statement."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from toolkit.blocks import CRNN, FCN, DenseHead, HarmonicCNN, Musicnn, SampleCNN, SelfAttentionCNN, ShortChunkCNN
from toolkit.blocks.auto_taggers.layers import ResidualBlock
from toolkit.blocks.auto_taggers.self_attention_cnn import AttentionLayer
from toolkit.models import Tagger
from toolkit.tasks.experiment import Experiment

CONF = Path(__file__).resolve().parents[2] / "egs" / "magnatagatune" / "auto_tagging" / "conf"


class Published(NamedTuple):
    """What is known of a model of the recipe."""

    parameters: int  # of the released code's layer lists, added up by hand
    samples: int  # of a training example
    frames: int  # that are left of it
    least: int  # samples


MODELS = {
    "paper": Published(12_104_244, 59_049, 2, 1),
    "short_chunk": Published(3_687_348, 59_049, 1, 127 * 256),
    "harmonic": Published(3_631_551, 80_000, 1, 287 * 256),
    "self_attention": Published(10_521_652, 240_000, 119, 1),
    "sample_level": Published(1_869_874, 59_049, 1, 59_047),
    "sample_level_se": Published(6_951_858, 59_049, 1, 59_047),
    "musicnn": Published(784_300, 48_000, 188, 1),  # musicnn-training has 1506 features normalised once more: "787k"
    "fcn": Published(447_732, 464_000, 1, 1279 * 256),
    "crnn": Published(394_100, 464_000, 18, 95 * 256),
}


def small(name: str) -> Tagger:
    """The narrow model of the mini corpus."""
    return Experiment.read(CONF / ("mini.yaml" if name == "paper" else f"mini_{name}.yaml")).build()[0].model


@pytest.mark.parametrize("name", MODELS)
def test_the_published_models(name):
    task, built = Experiment.read(CONF / f"{name}.yaml").build("meta")
    model, published = task.model, MODELS[name]
    assert sum(p.numel() for p in model.parameters()) == published.parameters
    assert built.data.frames(built.data.segment) == built.data.frames(built.infer.chunk) == published.samples
    waveforms = torch.empty(2, published.samples, device="meta")
    assert model.features(waveforms).shape == (2, model.backbone.channels, published.frames)
    assert model(waveforms).shape == (2, 50)
    assert model.embed(waveforms).shape == (2, model.pooling.channels_out)


@pytest.mark.parametrize("name", MODELS)
def test_small_models(name):
    model = small(name)
    waveforms = torch.randn(2, MODELS[name].least + 1332 | 1)
    model(waveforms).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    torch.testing.assert_close(model(waveforms[1:]), model(waveforms)[1:], atol=1e-4, rtol=1e-4)  # a clip by itself


@pytest.mark.parametrize("name", [name for name, published in MODELS.items() if published.least > 1])
def test_too_short(name):
    model, samples = small(name).eval(), MODELS[name].least
    assert model(torch.randn(1, samples)).isfinite().all()
    frames = samples if "sample" in name else 1 + samples // 256
    with pytest.raises(ValueError, match=rf"spectrogram: expected at least {frames} frames, found {frames - 1}"):
        model(torch.randn(1, samples - 1))


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
        (lambda: HarmonicCNN(769), "harmonics: expected a divisor of the spectrogram's 769 rows, found 6"),
        (lambda: HarmonicCNN(128), "harmonics: expected a divisor"),
        (lambda: HarmonicCNN(96), "bins: expected 768 to 1530 rows"),
        (lambda: SampleCNN(96), r"bins: expected the waveform as one row \(front end RawWaveform\), found 96 rows"),
        (lambda: SelfAttentionCNN(128, width=5, heads=4), "heads: expected a divisor of channels=10, found 4"),
    ],
)
def test_options_that_do_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_spectrogram_that_does_not_fit():
    with pytest.raises(ValueError, match=r"spectrogram: expected shape \(batch, one=1, bins=96, frames\), found \(1, 1, 64"):
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


def test_the_frame_that_gathers_may_stand_first_or_last():
    backbone = SelfAttentionCNN(128, width=4, heads=2).eval()
    spectrogram = torch.randn(1, 1, 128, 50)
    frames = backbone.layers(spectrogram).squeeze(2).mT
    first = backbone.attention(torch.cat([backbone.token.view(1, 1, -1), frames], dim=1))[:, 0]
    torch.testing.assert_close(backbone(spectrogram)[..., -1], first)
    assert torch.equal(backbone.token, SelfAttentionCNN(128, width=4, heads=2).token)  # the same in every model


def test_musicnn():
    model = Musicnn(96, timbre=3, rhythm=2, width=4).double().eval()
    spectrogram = torch.randn(2, 1, 96, 30, dtype=torch.float64)
    heard = []
    for tall, rows in zip(model.timbre, (67, 38), strict=True):
        conv, norm = tall.layers
        assert conv.weight.shape == (3, 1, rows, 7)
        heard.append(norm(conv(spectrogram)).clamp(min=0).amax(2))
    for long, frames in zip(model.rhythm, (129, 65, 33), strict=True):
        conv, norm, _ = long
        assert conv.weight.shape == (2, 1, frames)
        heard.append(norm(conv(spectrogram.mean(2))).clamp(min=0))
    outputs, x = heard, torch.cat(heard, dim=1)
    for number, (conv, norm, _) in enumerate(model.layers):
        y = norm(conv(x)).clamp(min=0)
        x = y if number == 0 else y + x
        outputs.append(x)
    torch.testing.assert_close(model(spectrogram), torch.cat(outputs, dim=1))


def test_dense_head():
    head = DenseHead(6, 3, hidden=4).double().eval()
    features = torch.randn(2, 6, dtype=torch.float64)
    dense, norm, _, _, linear = head.layers
    torch.testing.assert_close(head(features), linear(norm(dense(features)).clamp(min=0)))
    assert sum(p.numel() for p in DenseHead(6, 3, norm=False).parameters()) == 6 * 6 + 6 + 6 * 3 + 3
