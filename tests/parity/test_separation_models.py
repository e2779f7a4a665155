"""Our separators give what Asteroid's and torchaudio's give, forward and backward, with the same weights."""

import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks import DPRNN, TCN, DPTNet, LearnedFilterbank, SuDoRMRF
from toolkit.models import MaskedSeparator

Names = list[tuple[str, str]]

FILTERBANKS = [
    ("encoder.filterbank._filters", "encoder.filters.weight"),
    ("decoder.filterbank._filters", "decoder.filters.weight"),
]
MASKS = [("first_out.0", "rectifier"), ("first_out.1", "split"), ("net_out.0", "value"), ("net_gate.0", "gate")]
AFFINE = [("gamma", "weight"), ("beta", "bias")]

CONV_TASNET: Names = [
    *FILTERBANKS,
    *AFFINE,
    ("masker.bottleneck.0", "separator.norm"),
    ("masker.bottleneck.1", "separator.bottleneck"),
    ("masker.TCN", "separator.blocks"),
    ("shared_block", "layers"),
    ("layers.3.0", "layers.3"),  # causal convolutions are followed by a cut
    ("res_conv", "paths"),
    ("skip_conv", "paths"),
    ("masker.mask_net.0", "separator.rectifier"),
    ("masker.mask_net.1", "separator.mask"),
]
DPRNN_TASNET: Names = [
    *FILTERBANKS,
    *AFFINE,
    *MASKS,
    ("masker.bottleneck.0", "masker.norm"),
    ("masker.bottleneck.1", "masker.bottleneck"),
    ("masker.net.", "masker.blocks."),
    ("_RNN.rnn", ".lstm"),
    ("_linear", ".projection"),
    ("mask_net", "output"),
    ("masker.", "separator."),
]
DPTNET: Names = [
    *FILTERBANKS,
    *AFFINE,
    *MASKS,
    ("masker.in_norm", "separator.norm"),
    ("masker.layers.", "separator.blocks."),
    (".0.mha", ".intra.attention"),
    (".1.mha", ".inter.attention"),
    (".0.norm_mha", ".intra.attention_norm"),
    (".1.norm_mha", ".inter.attention_norm"),
    (".0.recurrent", ".intra.lstm"),
    (".1.recurrent", ".inter.lstm"),
    (".0.linear", ".intra.projection"),
    (".1.linear", ".inter.projection"),
    (".0.norm_ff", ".intra.projection_norm"),
    (".1.norm_ff", ".inter.projection_norm"),
    ("masker.", "separator."),
]
SUDO_RM_RF: Names = [
    ("encoder.encoder", "encoder"),
    *FILTERBANKS,
    ("masker.ln", "separator.norm"),
    ("masker.l1", "separator.bottleneck"),
    ("masker.sm.", "separator.blocks."),
    ("masker.reshape_before_masks", "separator.expand"),
    ("masker.m.", "separator.mask."),
    ("proj_1x1.conv", "widen.0"),
    ("proj_1x1.norm", "widen.1"),
    ("proj_1x1.act", "widen.2"),
    ("spp_dw", "resolutions"),
    ("final_norm.norm", "narrow.0"),
    ("final_norm.act", "narrow.1"),
    ("conv_1x1_exp.conv", "narrow.2"),
    ("conv_1x1_exp.norm", "narrow.3"),
    ("module_act.norm", "output.0"),
    ("module_act.act", "output.1"),
    (".conv.", ".0."),
    (".norm.weight", ".1.weight"),
    (".norm.bias", ".1.bias"),
    ("separator.1.", "separator.norm."),
]
TORCHAUDIO: Names = [
    ("encoder.weight", "encoder.filters.weight"),
    ("decoder.weight", "decoder.filters.weight"),
    ("mask_generator.input_norm", "separator.norm"),
    ("mask_generator.input_conv", "separator.bottleneck"),
    ("mask_generator.output_prelu", "separator.rectifier"),
    ("mask_generator.output_conv", "separator.mask"),
    ("mask_generator.conv_layers", "separator.blocks"),
    ("conv_layers", "layers"),
    ("res_out", "paths"),
    ("skip_out", "paths"),
]


def copy_weights(reference: nn.Module, model: nn.Module, names: Names) -> None:
    """Rename the reference's weights; two that get one name are joined, as the residual and the skip path of a block are."""
    renamed: dict[str, list[Tensor]] = {}
    for name, weight in reference.named_parameters():
        for theirs, ours in names:
            name = name.replace(theirs, ours)
        renamed.setdefault(name, []).append(weight.data)
    state = model.state_dict()
    assert renamed.keys() == state.keys()
    for name, weights in renamed.items():
        joined = torch.cat(weights)
        unread = len(state[name]) - len(joined)  # torchaudio leaves out the last residual path, which nothing reads
        state[name].copy_(F.pad(joined, (0, 0) * (joined.dim() - 1) + (unread, 0)).view_as(state[name]))


def assert_same(
    reference: Callable[[Tensor], Tensor], model: nn.Module, mixture: Tensor, margin: tuple[int, int] = (0, 0)
) -> None:
    """Compare estimates, and gradients with respect to the mixture.

    Args:
        reference: (B, 1, T) to (B, S, T).
        model: ours, given the zeros in front and behind that the reference's filterbank adds itself.
        mixture: (B, 1, T).
        margin: how many in front and behind.
    """
    ours, theirs = mixture.clone().requires_grad_(), mixture.clone().requires_grad_()
    estimate = model(F.pad(ours, margin))[..., 0, margin[0] : margin[0] + mixture.shape[-1]]
    expected = reference(theirs)
    torch.testing.assert_close(estimate, expected, atol=1e-9, rtol=1e-7)
    torch.testing.assert_close(
        torch.autograd.grad(estimate.square().sum(), ours),
        torch.autograd.grad(expected.square().sum(), theirs),
        atol=1e-9,
        rtol=1e-7,
    )


def randomise(model: nn.Module) -> nn.Module:
    """Double precision, and no parameter at a value that would hide a mistake (norms begin at one and zero)."""
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model.double()


@pytest.fixture(scope="module")
def asteroid() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("asteroid.models")


MIXTURE = torch.randn(2, 1, 1600, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("skip", [16, 0])
@pytest.mark.parametrize(("causal", "norm"), [(False, "gLN"), (True, "cLN"), (True, "cgLN")])
def test_conv_tasnet_is_asteroids(asteroid, skip, causal, norm):
    options = {"skip_chan": skip, "causal": causal, "norm_type": norm, "encoder_activation": "relu"}
    reference = randomise(asteroid.ConvTasNet(2, n_filters=32, n_blocks=5, n_repeats=2, bn_chan=12, hid_chan=24, **options))
    separator = partial(TCN, bottleneck=12, hidden=24, skip=skip, blocks=5, repeats=2, causal=causal, norm=norm)
    model = MaskedSeparator(LearnedFilterbank(32, 16), separator).double()
    copy_weights(reference, model, CONV_TASNET)
    assert_same(reference, model, MIXTURE)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_dprnn_is_asteroids(asteroid, bidirectional):
    options = {"chunk_size": 20, "n_repeats": 2, "bidirectional": bidirectional}
    reference = randomise(asteroid.DPRNNTasNet(3, n_filters=16, bn_chan=12, hid_size=10, **options))
    separator = partial(DPRNN, bottleneck=12, hidden=10, chunk=20, blocks=2, bidirectional=bidirectional)
    model = MaskedSeparator(LearnedFilterbank(16, 16, activation="linear"), separator, sources=3).double()
    copy_weights(reference, model, DPRNN_TASNET)
    assert_same(reference, model, MIXTURE)


def test_dptnet_is_asteroids(asteroid):
    reference = randomise(asteroid.DPTNet(2, n_filters=16, ff_hid=12, chunk_size=20, hop_size=5, n_repeats=2))
    model = MaskedSeparator(LearnedFilterbank(16, 16), partial(DPTNet, hidden=12, chunk=20, hop=5)).double()
    copy_weights(reference, model, DPTNET)
    assert_same(reference, model, MIXTURE)


def test_sudo_rm_rf_is_asteroids(asteroid):
    reference = randomise(asteroid.SuDORMRFNet(2, n_filters=32, bn_chan=12, num_blocks=3))
    model = MaskedSeparator(LearnedFilterbank(32, 21), partial(SuDoRMRF, bottleneck=12, blocks=3)).double()
    copy_weights(reference, model, SUDO_RM_RF)
    assert_same(reference, model, MIXTURE, margin=(10, 1))


def test_conv_tasnet_is_torchaudios():
    sizes = {"msk_num_feats": 12, "msk_num_hidden_feats": 24, "msk_num_layers": 5, "msk_num_stacks": 2}
    reference = randomise(torchaudio.models.ConvTasNet(2, 16, 32, msk_activate="relu", **sizes))
    separator = partial(TCN, bottleneck=12, hidden=24, skip=12, blocks=5, repeats=2, mask="relu")
    model = MaskedSeparator(LearnedFilterbank(32, 16, activation="linear"), separator).double()
    copy_weights(reference, model, TORCHAUDIO)
    assert_same(reference, model, MIXTURE, margin=(8, 8))
