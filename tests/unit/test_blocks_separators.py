"""Every separator in its slot, and the parts that dual-path separators share."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import toolkit.blocks
from toolkit.blocks import (
    BLSTM,
    DPRNN,
    TCN,
    DPTNet,
    LearnedFilterbank,
    MagnitudeMasks,
    MeanPooledScorer,
    Separator,
    SepFormer,
    SuDoRMRF,
)
from toolkit.blocks.dual_path import across_chunks, overlap_add, segment, within_chunks
from toolkit.blocks.recurrent import LSTM
from toolkit.models import MaskedSeparator

SMALL = {
    TCN: partial(TCN, bottleneck=6, hidden=12, skip=5, blocks=3, repeats=2),
    DPRNN: partial(DPRNN, bottleneck=6, hidden=5, chunk=10, blocks=2),
    DPTNet: partial(DPTNet, heads=2, hidden=5, chunk=10, blocks=2),
    SepFormer: partial(SepFormer, bottleneck=6, heads=2, feedforward=12, chunk=10, blocks=2, layers=2),
    SuDoRMRF: partial(SuDoRMRF, bottleneck=6, blocks=2, depth=3),
    BLSTM: partial(BLSTM, hidden=6, layers=2),
}


def test_every_separator_is_tested_here():
    exported = [getattr(toolkit.blocks, name) for name in toolkit.blocks.__all__]
    elsewhere = {Separator, MagnitudeMasks}  # the slot itself, and one that takes spectra (test_blocks_magnitude.py)
    assert set(SMALL) == {block for block in exported if isinstance(block, type) and issubclass(block, Separator)} - elsewhere


@pytest.mark.parametrize("block", SMALL.values(), ids=lambda block: block.func.__name__)
@pytest.mark.parametrize("frames", [1, 7, 32])
@pytest.mark.parametrize("batch", [1, 3])
def test_masks_and_gradients(block, frames, batch):
    separator = block(8, 2)
    features = torch.randn(batch, 8, frames, requires_grad=True)
    masks = separator(features)
    assert masks.shape == (batch, 2, 8, frames)
    assert masks.dtype == torch.float32
    masks.square().mean().backward()
    for tensor in (features, *separator.parameters()):
        assert tensor.grad is not None  # a parameter without one would stop distributed training
        assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("block", SMALL.values(), ids=lambda block: block.func.__name__)
def test_examples_do_not_touch_each_other(block):
    separator = block(8, 2).eval()
    features = torch.randn(3, 8, 21)
    torch.testing.assert_close(separator(features)[1:2], separator(features[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("block", SMALL, ids=lambda block: block.__name__)
def test_full_size_on_the_meta_device(block):
    with torch.device("meta"):
        model = MaskedSeparator(LearnedFilterbank(64, 16), block, sources=3)
        assert model(torch.empty(2, 1, 4001)).shape == (2, 3, 1, 4001)


@pytest.mark.parametrize("block", SMALL.values(), ids=lambda block: block.func.__name__)
def test_bfloat16_autocast(block):
    separator = block(8, 2)
    with torch.autocast("cpu", torch.bfloat16):
        masks = separator(torch.randn(2, 8, 21))
    masks.float().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in separator.parameters())


@pytest.mark.parametrize("block", SMALL.values(), ids=lambda block: block.func.__name__)
def test_the_contract_is_told_when_broken(block):
    separator = block(8, 2)
    with pytest.raises(ValueError, match=r"features: expected shape \(batch, channels=8, frames\), found \(2, 9, 30\)"):
        separator(torch.randn(2, 9, 30))
    with pytest.raises(ValueError, match="features"):
        separator(torch.randn(2, 1, 8, 30))


def test_conv_tasnet_for_music_has_no_bias_but_those_of_its_norms():
    separator = TCN(8, 2, 6, 12, skip=0, blocks=2, repeats=1, input_norm="cLN", bias=False, rectify=False, mask="relu")
    biased = {name for name, _ in separator.named_parameters() if name.endswith("bias")}
    assert biased == {"norm.bias"} | {f"blocks.{block}.layers.{layer}.bias" for block in range(2) for layer in (2, 5)}
    separator(torch.randn(2, 8, 30)).square().mean().backward()
    assert all(parameter.grad.any() for parameter in separator.parameters())


@pytest.mark.parametrize("norm", ["cLN", "cgLN", "BN"])
def test_a_causal_network_does_not_look_ahead(norm):
    for separator in (
        TCN(8, 2, 6, 12, 5, blocks=3, repeats=2, norm=norm, causal=True),
        BLSTM(8, 2, 6, bidirectional=False, norm=norm),
    ):
        separator.eval()
        features = torch.randn(1, 8, 40)
        changed = features.clone()
        changed[..., 25:] = 3
        torch.testing.assert_close(separator(features)[..., :25], separator(changed)[..., :25], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TCN(8, 2, causal=True), "norm: a causal network takes one of cLN, cgLN, BN, found 'gLN'"),
        (lambda: TCN(8, 2, norm="cLN", input_norm="gLN", causal=True), "norm: a causal network takes one of"),
        (lambda: BLSTM(8, 2, bidirectional=False), "norm: a causal network takes one of"),
        (lambda: DPRNN(8, 2, chunk=100, hop=30), "hop: expected a divisor of chunk=100 frames, found 30"),
        (lambda: DPTNet(9, 2), "heads: expected a divisor of channels=9, found 4"),
        (lambda: SepFormer(9, 2), "heads: expected a divisor of channels=9"),
        (lambda: SuDoRMRF(9, 2), "an even number of features per frame, found 9"),
        (lambda: TCN(8, 2, norm="LN"), "norm: expected one of gLN"),
        (lambda: TCN(8, 2, mask="exp"), "activation: expected one of linear"),
    ],
)
def test_options_that_do_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@given(frames=st.integers(1, 60), hop=st.sampled_from([1, 2, 5]), overlap=st.sampled_from([1, 2, 4]))
def test_segments_are_put_together_again(frames, hop, overlap):
    features = torch.randn(2, 3, frames)
    chunks = segment(features, chunk=hop * overlap, hop=hop)
    assert chunks.shape[2:] == (hop * overlap, 3)
    torch.testing.assert_close(overlap_add(chunks, hop, frames), features)


def test_paths_run_within_and_across_chunks():
    class Sum(torch.nn.Module):
        def forward(self, sequence):
            return sequence.cumsum(0)

    chunks = torch.randn(2, 3, 4, 5)  # two examples, three chunks of four frames
    torch.testing.assert_close(within_chunks(Sum(), chunks), chunks.cumsum(2))
    torch.testing.assert_close(across_chunks(Sum(), chunks), chunks.cumsum(1))


def test_an_lstm_on_the_meta_device_gives_its_shape_and_counts_its_work():
    lstm = LSTM(5, 4, layers=2)
    assert lstm(torch.empty(3, 7, 5)).shape == (3, 7, 8)
    with FlopCounterMode(display=False) as counter:
        assert lstm.to("meta")(torch.empty(3, 7, 5, device="meta")).shape == (3, 7, 8)
    gates, directions, steps = 4 * 4, 2, 3 * 7
    assert counter.get_total_flops() / 2 == steps * directions * gates * ((5 + 4) + (8 + 4))


def test_the_scorer_gives_a_logit_a_hypothesis():
    scorer = MeanPooledScorer(64)
    assert scorer(torch.rand(3, 5, 64, 20)).shape == (3, 5)
    assert sum(parameter.numel() for parameter in scorer.parameters()) == 8_449  # what annealed MCL's adds to DPRNN
    with pytest.raises(ValueError, match="features: expected shape"):
        scorer(torch.rand(3, 64, 20))
