"""Hybrid Demucs and the improved time-only Demucs: sizes, lengths, slots, what is equal to what."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolkit.blocks import DConv, NoBranch, ResidualBranch
from toolkit.blocks.framed_blstm import FramedBLSTM
from toolkit.blocks.hybrid_unet import BinEmbedding, Gate, TransposedConv, _part_by_part
from toolkit.blocks.local_attention import LocalAttention
from toolkit.config import subclasses
from toolkit.dsp.aligned_stft import AlignedSTFT
from toolkit.log import UserError
from toolkit.models import HybridDemucs, TimeDemucs
from toolkit.models.demucs_weights import hybrid_demucs_weights, time_demucs_weights

SHALLOW = partial(DConv, lstm_from=None, attention_from=None)


def small(**options) -> HybridDemucs:
    return HybridDemucs(**({"channels": 4, "n_fft": 256, "depth": 4, "branch": SHALLOW} | options))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("parameters", "build"),
    [
        (83_637_832, HybridDemucs),
        (83_633_984, partial(HybridDemucs, spectrum="magnitude")),
        (75_293_768, partial(HybridDemucs, hybrid=False)),
        (148_599_192, partial(HybridDemucs, channels=64)),
        (133_753_064, TimeDemucs),
        (75_274_560, partial(TimeDemucs, channels=48)),
    ],
)
def test_parameters_are_as_many_as_the_authors(parameters, build):
    with torch.device("meta"):
        assert sum(p.numel() for p in build().parameters()) == parameters


@settings(deadline=None, max_examples=20)
@given(
    length=st.integers(1, 3000),
    hybrid=st.booleans(),
    spectrum=st.sampled_from(["complex", "magnitude"]),
    batch=st.integers(1, 2),
)
def test_any_length_is_separated(length, hybrid, spectrum, batch):
    model = small(channels=8, hybrid=hybrid, spectrum=spectrum).eval()
    with torch.no_grad():
        estimate = model(noise(batch, 2, length))
    assert estimate.shape == (batch, 4, 2, length)
    assert estimate.dtype == torch.float32
    assert estimate.isfinite().all()


@settings(deadline=None, max_examples=20)
@given(
    length=st.integers(1, 3000),
    resample=st.booleans(),
    channels=st.sampled_from([1, 2]),
    sizes=st.sampled_from([(8, 4), (5, 2)]),
)
def test_any_length_is_separated_over_time(length, resample, channels, sizes):
    kernel_size, stride = sizes
    model = TimeDemucs(
        4, depth=3, kernel_size=kernel_size, stride=stride, resample=resample, audio_channels=channels, sources=3
    )
    with torch.no_grad():
        estimate = model(noise(1, channels, length))
    assert estimate.shape == (1, 3, channels, length)
    assert estimate.isfinite().all()


@pytest.mark.parametrize("n_fft", [128, 256, 512, 1024, 2048, 4096])
def test_branches_meet_whatever_the_frames(n_fft):
    with torch.device("meta"):
        assert HybridDemucs(8, n_fft=n_fft)(torch.empty(1, 2, 9001)).shape == (1, 4, 2, 9001)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"depth": 2}, "depth: expected more than 2 levels for n_fft 256"),
        ({"n_fft": 16}, "depth: expected more than 0 levels"),
        ({"n_fft": 240}, "n_fft: expected a number whose half is divided by 4 in every level"),
        ({"kernel_size": 6}, "kernel_size: expected a multiple of 4, found 6"),
        ({"kernel_size": 12, "n_fft": 432}, "hops of 108 samples cannot be reached from strides of 36"),
    ],
)
def test_levels_that_do_not_meet_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        small(**options)


def test_louder_mixtures_have_louder_sources():
    model = small().double().eval()
    mixture = noise(1, 2, 2000).double()
    torch.testing.assert_close(model(8 * mixture), 8 * model(mixture), rtol=1e-3, atol=1e-4)


def test_every_weight_learns():
    model = HybridDemucs(8, n_fft=256, depth=5, branch=partial(DConv, lstm_from=2, attention_from=2), branch_in="both")
    model(noise(2, 2, 2000)).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("hybrid", [True, False])
def test_parts_without_gradients_are_the_whole_with_them(hybrid, monkeypatch):
    monkeypatch.setattr("toolkit.blocks.hybrid_unet.CACHED", 300)
    model, mixture = small(hybrid=hybrid).eval(), noise(1, 2, 4000)
    with torch.no_grad():
        torch.testing.assert_close(model(mixture), model.requires_grad_()(mixture), atol=1e-6, rtol=1e-5)
        whole = model(mixture)
    torch.testing.assert_close(model(mixture), whole, atol=1e-6, rtol=1e-5)


def test_few_bins_at_a_time(monkeypatch):
    monkeypatch.setattr("toolkit.blocks.hybrid_unet.CACHED", 20)
    seen = []
    with torch.no_grad():
        result = _part_by_part(lambda part: (seen.append(part.shape[2]), 2 * part)[1], noise(1, 2, 7, 5))
    torch.testing.assert_close(result, 2 * noise(1, 2, 7, 5))
    assert seen == [2, 2, 2, 1]


def test_activations_stay_in_one_order():
    """No level changes how its activations lie in memory, which would cost copies."""
    model, orders = small(), []
    for module in model.modules():
        if isinstance(module, Gate | TransposedConv):
            module.register_forward_hook(lambda *call: orders.append(call[2].stride(1) == 1))
    model(noise(2, 2, 2000))
    assert len(orders) > 10
    assert all(orders)


@pytest.mark.parametrize("length", [1, 999, 4096])
def test_aligned_spectrograms_are_inverted_but_for_the_ends(length):
    stft, waveform = AlignedSTFT(64), noise(2, 3, length).double()
    inner = slice(24, max(24, length - 40))  # one and a half hops from the ends, of which the last may be incomplete
    torch.testing.assert_close(stft.inverse(stft(waveform), length)[..., inner], waveform[..., inner])


def test_aligned_frames_are_as_many_as_hops_and_lie_on_their_centres():
    stft = AlignedSTFT(64)
    assert stft(torch.zeros(1, 320)).shape == (1, 33, 20)
    assert stft(torch.zeros(1, 321)).shape == (1, 33, 21)
    click = torch.zeros(1, 320)
    click[0, 7 * 16 + 8] = 1.0
    assert stft(click).abs().sum(1).argmax() == 7


@pytest.mark.parametrize("size", [(1, 8), (1, 4), (8, 1), (1, 5)])
def test_transposed_convolutions_in_another_form(size):
    stride = (max(1, size[0] // 2), max(1, size[1] // 2))
    conv = TransposedConv(3, 2, size, stride).double()
    x = noise(2, 3, 4, 6).double()
    torch.testing.assert_close(conv(x), nn.functional.conv_transpose2d(x, conv.weight, conv.bias, stride))


BRANCHES = {
    DConv: [SHALLOW, partial(DConv, lstm_from=0, attention_from=None), partial(DConv, depth=3, activation="relu"), DConv],
    NoBranch: [NoBranch],
}


def test_every_branch_in_its_slot():
    assert set(BRANCHES) == set(subclasses(ResidualBranch).values())
    x = noise(2, 16, 3, 11).requires_grad_()
    for build in (build for builds in BRANCHES.values() for build in builds):
        for level in (0, 4):
            made = build(16, level)(x)
            assert made.shape == x.shape
            made.sum().backward()


def test_bins_are_kept_apart_by_a_branch():
    branch, x = DConv(16, 4).eval(), noise(1, 16, 3, 50)
    torch.testing.assert_close(branch(x)[:, :, 1:2], branch(x[:, :, 1:2]))


@pytest.mark.parametrize(("frames", "dtype"), [(9, torch.float32), (301, torch.bfloat16)])
def test_attention_without_sight_is_near(frames, dtype):
    """With gates wide open, only the nearest frames are attended to, and never the frame itself."""
    attention = LocalAttention(8, heads=2).eval().to(dtype)
    with torch.no_grad():
        for conv in (attention.query, attention.key):
            conv.weight.zero_()
        attention.decay.bias.fill_(100.0)
        attention.decay.weight.zero_()
        for conv in (attention.content, attention.projection):
            conv.weight.copy_(torch.eye(8)[:, :, None, None])
            conv.bias.zero_()
        x, middle = torch.zeros(1, 8, 1, frames, dtype=dtype), frames - 5
        x[..., middle] = 1.0
        found = attention(x)[0, 0, 0] - x[0, 0, 0]
    assert found.argsort(descending=True)[:2].sort().values.tolist() == [middle - 1, middle + 1]
    assert found[middle] == 0
    with pytest.raises(ValueError, match="expected channels that 4 heads can share, found 6"):
        LocalAttention(6)


def test_stretches_join_without_a_gap():
    """With an LSTM that gives its input, a long sequence comes through as it is."""
    blstm = FramedBLSTM(2, steps=8)
    blstm.lstm = nn.Identity()
    blstm.projection = nn.Identity()
    for length in (5, 8, 9, 12, 33):
        x = noise(3, 2, 1, length)
        torch.testing.assert_close(blstm(x), 2 * x)


def test_neighbouring_bins_begin_alike():
    vectors = BinEmbedding(64, 16).vectors
    near, far = (vectors[1:] - vectors[:-1]).norm(), (vectors[32:] - vectors[:-32]).norm() * (63 / 32) ** 0.5
    assert near < 0.5 * far


def test_weights_of_another_model_are_refused():
    with pytest.raises(UserError, match=r"lstm\.weight: no weight of such a Demucs"):
        hybrid_demucs_weights({"lstm.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="no weight of such a Demucs"):
        time_demucs_weights({"freq_encoder.0.conv.weight": torch.zeros(1)})
