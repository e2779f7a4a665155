"""The recipe attention_mil: its four networks are the released ones, its forest the corpus's, its configurations fit."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from toolkit.blocks import AttentionPooling, FrameGRU, FrameMLP, LastFrame, LinearHead, MeanPooling, StoredFeatures
from toolkit.models import RandomForest, Tagger
from toolkit.models.base import TaggingModel
from toolkit.tasks.experiment import Experiment

CONF = Path(__file__).resolve().parents[2] / "egs" / "openmic2018" / "attention_mil" / "conf"
PARAMETERS = {"paper": 55_336, "fc": 986_772, "fc_t": 52_116, "rnn": 226_068, "random_forest": 0}  # as released
ABLATIONS = {"auto_pooling": 52_776, "max_pooling": 52_756, "mean_pooling": 52_756, "softmax_pooling": 52_756}


def build(name: str, device: str = "cpu") -> TaggingModel:
    return Experiment.read(CONF / f"{name}.yaml").build(device)[0].model


@pytest.mark.parametrize(("name", "parameters"), (PARAMETERS | ABLATIONS).items())
def test_parameter_counts(name, parameters):
    assert sum(p.numel() for p in build(name, "meta").parameters()) == parameters


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_fits_its_task(path):
    Experiment.read(path).build("meta")[0].check()


def bytes_of(clips):
    return torch.randint(256, (clips, 10, 128)).double()


def stirred(model):
    """The model in double precision, its batch statistics and biases not what they begin with."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.dim() == 1:
            tensor.data.uniform_(0.5, 1.5) if "running_var" in name else tensor.data.uniform_(-0.3, 0.3)
    return model.double().eval()


def normalised(x, norm):
    """Frames (B, L, C) by stored statistics."""
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def test_att_is_the_released_network():
    model, clips = stirred(build("paper")), bytes_of(3)
    raw = clips / 255
    layers = model.backbone.layers
    x = normalised(raw, model.backbone.norm)
    for conv, norm in [(layers[place], layers[place + 1]) for place in (0, 4, 8)]:
        x = F.relu(normalised(x @ conv.weight[..., 0].T, norm))
    x = x + raw  # the residual is of what came in, before its normalisation, and around all three layers
    attention = torch.sigmoid(x @ model.pooling.score.weight[..., 0].T + model.pooling.score.bias).clamp(1e-7, 1 - 1e-7)
    attention = attention / attention.sum(1, keepdim=True)
    linear = model.head.layers[1]
    pooled = F.hardtanh((attention * torch.sigmoid(x @ linear.weight.T + linear.bias)).sum(1), 0, 1)
    torch.testing.assert_close(model(clips).sigmoid(), pooled)
    torch.testing.assert_close(model.attention(clips), attention.mT)


@pytest.mark.parametrize("name", ["fc", "fc_t"])
def test_fc_and_fc_t_are_the_released_networks(name):
    model, clips = stirred(build(name)), bytes_of(3)
    x = clips / 255 if name == "fc_t" else (clips / 255).flatten(1)
    for place in (0, 3, 6):  # without drop-out, or with it: that commutes with a leaky rectifier
        conv = model.backbone.layers[place]
        x = F.leaky_relu(x @ conv.weight[..., 0].T + conv.bias, 0.01)
    x = (x + clips / 255).mean(1) if name == "fc_t" else x
    linear = model.head.layers[1]
    torch.testing.assert_close(model(clips), x @ linear.weight.T + linear.bias)
    assert torch.equal(model(clips), model.head(model.embed(clips)))


def test_rnn_is_the_released_network():
    model, clips = stirred(build("rnn")), bytes_of(3)
    gru, linear = model.backbone.gru, model.head.layers[1]
    assert (gru.num_layers, gru.hidden_size, gru.bidirectional, gru.dropout) == (3, 64, True, 0.5)
    last = gru(clips / 255)[0][:, -1]
    torch.testing.assert_close(model(clips), last @ linear.weight.T + linear.bias)


def test_first_weights_are_drawn_as_released():
    for layer in [*build("paper").backbone.layers[::4], build("paper").pooling.score, build("paper").head.layers[1]]:
        bound = (3 * 2 / 128) ** 0.5
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert layer.bias is None or not layer.bias.any()
    first = build("fc").backbone.layers[0]
    assert first.weight.std().item() == pytest.approx((2 / (1280 + 512)) ** 0.5, rel=0.01)
    assert not first.bias.any()


def test_the_forest_is_the_notebooks():
    model = build("random_forest")
    assert isinstance(model, RandomForest)
    assert (model.tags, model.trees, model.depth, model.seed) == (20, 100, 8, 0)


BACKBONES = {
    "dense": partial(FrameMLP, hidden=(6, 5)),
    "plain": partial(FrameMLP, norm=None, residual=False, hidden=(4,)),
    "stacked": partial(FrameMLP, stack=3, hidden=(7, 15), norm=None),
    "gru": partial(FrameGRU, hidden=3, layers=2),
    "forward gru": partial(FrameGRU, hidden=3, layers=1, bidirectional=False),
}


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES.keys())
@pytest.mark.parametrize("pooling", [MeanPooling, AttentionPooling, LastFrame])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_backbones_in_their_slot(backbone, pooling, frames):
    model = Tagger(StoredFeatures(5), backbone, pooling, LinearHead, tags=4, pool="probabilities")
    clips = torch.randn(2, frames, 5, requires_grad=True)
    model.train()(clips).square().sum().backward()
    assert clips.grad is not None
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    torch.testing.assert_close(model(clips)[1:], model(clips[1:]))  # clips do not touch each other


def test_stacked_frames_are_read_as_one():
    model = FrameMLP(2, hidden=(6,), norm=None, activation="linear", residual=False, stack=3).eval()
    torch.nn.init.eye_(model.layers[0].weight[..., 0])
    spectrogram = torch.arange(14.0).view(1, 1, 2, 7)  # frame l is (l, 7 + l); the seventh is left
    torch.testing.assert_close(model(spectrogram)[0].T, torch.tensor([[0.0, 7, 1, 8, 2, 9], [3, 10, 4, 11, 5, 12]]))
    torch.testing.assert_close(model(spectrogram[..., :1])[0].T, torch.tensor([[0.0, 7, 0, 0, 0, 0]]))


def test_stored_features_are_brought_to_scale():
    clips = torch.tensor([[[0.0, 128.0], [255.0, 64.0]]])
    expected = torch.tensor([[[[-0.5, 127 / 256], [0.0, -0.25]]]])
    torch.testing.assert_close(StoredFeatures(2, scale=256, offset=128)(clips), expected)
    with pytest.raises(ValueError, match=r"stored features: expected shape \(batch, frames, features=3\), found \(1, 2, 2\)"):
        StoredFeatures(3)(clips)
    with pytest.raises(ValueError, match="scale: expected anything but 0"):
        StoredFeatures(2, scale=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": (128, 64)}, "residual: expected 128 units in the last layer, as many as come in, found 64"),
        ({"stack": 0}, "stack: expected at least 1 frame, found 0"),
        ({"init": "zeros"}, "init: expected one of torch, he_uniform, xavier_normal, found 'zeros'"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        FrameMLP(128, **options)
