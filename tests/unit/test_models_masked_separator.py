"""Masked separators: sizes, contracts, configurations, taps."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn

from toolkit.blocks import DPRNN, TCN, DPTNet, LearnedFilterbank, SepFormer, STFTDecoder, STFTFilterbank, SuDoRMRF
from toolkit.config import Resolved
from toolkit.log import UserError
from toolkit.models import MaskedSeparator, ScoredSeparator, SeparationModel, tap

WIDE, NARROW = partial(LearnedFilterbank, 512, 16), partial(LearnedFilterbank, 64, 16)
PAPER_DPRNN = partial(DPRNN, bottleneck=64, chunk=250)
MUSIC = {"input_norm": "cLN", "bias": False, "rectify": False, "mask": "relu", "skip": 0}
MUSIC_TCN = partial(TCN, bottleneck=256, blocks=10, repeats=4, **MUSIC)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (lambda: MaskedSeparator(), 5_050_545),  # Conv-TasNet, the paper's 5.1 million
        (lambda: MaskedSeparator(sources=3), 5_116_593),
        (lambda: MaskedSeparator(separator=partial(TCN, skip=0)), 3_474_609),
        (lambda: MaskedSeparator(LearnedFilterbank(256, 20, audio_channels=2), MUSIC_TCN, sources=4), 10_977_872),
        (lambda: MaskedSeparator(LearnedFilterbank(64, 2), PAPER_DPRNN), 2_608_065),  # the paper's 2.6 million
        (lambda: MaskedSeparator(NARROW(), DPTNet), 2_855_553),
        (lambda: MaskedSeparator(LearnedFilterbank(512, 21), SuDoRMRF), 2_584_196),
        # SpeechBrain's recipe, by arithmetic: 32 layers of 789,760; their 4 norms, those of the paths and of the input 4,608;
        # four convolutions between 394,240; one slope; filters 8,192.
        (lambda: MaskedSeparator(LearnedFilterbank(256, 16), SepFormer), 25_679_361),
        *(
            (lambda sources=sources: MaskedSeparator(NARROW(), DPRNN, sources=sources), parameters)
            for sources, parameters in {
                2: 3_652_865,
                3: 3_669_377,
                4: 3_685_889,
                5: 3_702_401,
                10: 3_784_961,
                20: 3_950_081,
            }.items()
        ),
        *(
            (lambda sources=sources: ScoredSeparator(NARROW(), DPRNN, sources=sources), parameters)
            for sources, parameters in {2: 3_661_314, 3: 3_677_826, 4: 3_694_338, 5: 3_710_850}.items()
        ),
    ],
)
def test_parameter_counts(model, parameters):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in model().parameters()) == parameters


SMALL = partial(TCN, bottleneck=6, hidden=12, skip=5, blocks=2, repeats=2)


@pytest.mark.parametrize("samples", [1, 15, 16, 4001])
@pytest.mark.parametrize("channels", [1, 2])
def test_as_many_samples_come_out_as_go_in(samples, channels):
    model = MaskedSeparator(LearnedFilterbank(8, 16, audio_channels=channels), SMALL, sources=3)
    assert isinstance(model, SeparationModel)
    assert (model.sources, model.audio_channels) == (3, channels)
    assert model(torch.randn(2, channels, samples)).shape == (2, 3, channels, samples)


def test_the_encoder_is_swapped_with_its_decoder():
    model = MaskedSeparator(STFTFilterbank(32), SMALL, STFTDecoder)
    mixture = torch.randn(2, 1, 333)
    model.separator.register_forward_hook(lambda _module, _inputs, masks: torch.ones_like(masks))
    torch.testing.assert_close(model(mixture), mixture[:, None].expand(2, 2, 1, 333), atol=1e-5, rtol=1e-5)


@dataclass
class Config:
    """A schema that holds nothing but a model."""

    model: SeparationModel


def test_a_configuration_names_only_what_it_changes():
    separator = {"class_path": "SepFormer", "init_args": {"layers": 1}}
    encoder = {"class_path": "LearnedFilterbank", "init_args": {"filters": 32}}
    tree = {"model": {"class_path": "ScoredSeparator", "init_args": {"encoder": encoder, "separator": separator, "sources": 3}}}
    model = Resolved(Config, tree).build().model
    assert isinstance(model, ScoredSeparator)
    assert isinstance(model.separator, SepFormer)
    assert len(model.separator.blocks) == 2  # SepFormer's own default, not that of the separator it stands in for
    assert model.separator.bottleneck.out_channels == 32


def test_a_configuration_with_a_wrong_norm_is_refused():
    tree = {
        "model": {
            "class_path": "MaskedSeparator",
            "init_args": {"separator": {"class_path": "TCN", "init_args": {"norm": "LN"}}},
        }
    }
    with pytest.raises(UserError, match="'gLN', 'cLN', 'cgLN', 'BN', 'GN'"):
        Resolved(Config, tree)


def test_the_receptive_field_of_conv_tasnet_is_the_papers():
    assert MaskedSeparator(WIDE()).receptive_field / 8000 == pytest.approx(1.53, abs=0.005)  # seconds, its table II
    assert MaskedSeparator(NARROW(), DPRNN).receptive_field == 0  # everything


def test_scores_come_with_the_hypotheses():
    model = ScoredSeparator(LearnedFilterbank(8, 16), SMALL, sources=4)
    estimate, scores = model(torch.randn(2, 1, 333))
    assert estimate.shape == (2, 4, 1, 333)
    assert scores.shape == (2, 4)
    scores.sum().backward()
    assert model.encoder.filters.weight.grad.abs().sum() > 0  # the scores train the separator too


def test_a_wrong_mixture_is_told():
    model = MaskedSeparator(LearnedFilterbank(8, 16), SMALL)
    with pytest.raises(ValueError, match=r"waveform: expected shape \(batch, channels=1, samples\), found \(2, 333\)"):
        model(torch.randn(2, 333))
    with pytest.raises(ValueError, match="waveform"):
        model(torch.randn(2, 1, 0))


def test_taps_read_activations_and_keep_their_gradients():
    model = MaskedSeparator(LearnedFilterbank(8, 16), SMALL)
    with tap(model, {"first": "separator.blocks.0", "masks": "separator"}) as activations:
        model(torch.randn(2, 1, 333))
        features, skip = activations["first"]
    assert features.shape == (2, 6, 41)
    assert skip.shape == (2, 5, 41)
    activations["masks"].sum().backward()
    assert model.encoder.filters.weight.grad is not None
    assert not model.separator._forward_hooks  # nothing is left behind


def test_a_tap_needs_a_module():
    with pytest.raises(ValueError, match=r"tap 'x': the model has no module 'separator.block.0'; it has separator.blocks.0"):
        tap(MaskedSeparator(separator=SMALL), {"x": "separator.block.0"}).__enter__()


def test_the_model_compiles():
    model = MaskedSeparator(LearnedFilterbank(8, 16), SMALL)
    traced = torch.compile(model, backend="eager", fullgraph=True)
    mixture = torch.randn(2, 1, 333)
    torch.testing.assert_close(traced(mixture), model(mixture), atol=1e-5, rtol=1e-4)


def test_double_precision_is_kept():
    model: nn.Module = MaskedSeparator(LearnedFilterbank(8, 16), SMALL).double()
    assert model(torch.randn(1, 1, 100, dtype=torch.double)).dtype == torch.double
