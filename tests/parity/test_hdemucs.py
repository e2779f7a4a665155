"""Hybrid Demucs and the improved time-only Demucs against torchaudio and the package `demucs`, with the same weights."""

from functools import partial

import pytest
import torch
import torchaudio
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.svd import svd_penalty
from torch import nn

from toolkit.blocks import DConv
from toolkit.losses import SVDPenalty
from toolkit.models import HybridDemucs, TimeDemucs
from toolkit.models.demucs_weights import hybrid_demucs_weights, time_demucs_weights

STEMS = ["drums", "bass", "other", "vocals"]
ODD = 20_011  # samples, of no whole number of hops or strides


def mixture(length: int, batch: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(batch, 2, length, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def livened(reference: nn.Module) -> nn.Module:
    """The reference in float64, its residual branches (scaled by 1e-4 at first) and norms so loud that they count."""
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            if name.endswith("scale") or "norm" in name or parameter.ndim == 1:
                parameter.copy_(0.5 + 0.5 * torch.rand_like(parameter))
    return reference.double().eval()


def compare(model: nn.Module, reference: nn.Module, length: int) -> None:
    with torch.inference_mode():
        expected = reference(mixture(length))
        found = model.double().eval()(mixture(length))
    assert found.shape == expected.shape
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=5e-7)  # their windows are rounded to float32


@pytest.mark.parametrize(("n_fft", "depth"), [(4096, 6), (2048, 6), (1024, 5)])
def test_torchaudio(n_fft: int, depth: int) -> None:
    torch.manual_seed(0)
    reference = livened(torchaudio.models.HDemucs(STEMS, channels=8, nfft=n_fft, depth=depth))
    model = HybridDemucs(8, n_fft=n_fft, depth=depth)
    model.load_state_dict(hybrid_demucs_weights(reference.state_dict()))
    compare(model, reference, ODD)


OPTIONS = {
    "complex as channels": ({}, {}),
    "short frames, so many stretches": (
        {"nfft": 1024, "depth": 5, "dconv_lstm": 3, "dconv_attn": 3},
        {"n_fft": 1024, "depth": 5, "branch": partial(DConv, lstm_from=3, attention_from=3)},
    ),
    "magnitudes": ({"cac": False}, {"spectrum": "magnitude"}),
    "magnitudes, filtered": (
        {"cac": False, "wiener_iters": 1, "end_iters": 1},
        {"spectrum": "magnitude", "wiener_iterations": 1},
    ),
    "spectrogram alone": ({"hybrid": False}, {"hybrid": False}),
    "no LSTM": ({"dconv_lstm": 10}, {"branch": partial(DConv, lstm_from=None)}),
    "no local attention": ({"dconv_attn": 10}, {"branch": partial(DConv, attention_from=None)}),
    "branches in the decoder too": ({"dconv_mode": 3}, {"branch_in": "both"}),
    "three wider branches": (
        {"dconv_depth": 3, "dconv_comp": 2},
        {"branch": partial(DConv, depth=3, compression=2)},
    ),
    "no context": ({"context": 0}, {"context": 0}),
    "no embedding": ({"freq_emb": 0}, {"embedding": 0.0}),
    "norms from level 2": ({"norm_starts": 2, "norm_groups": 2}, {"norm_from": 2, "norm_groups": 2}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_hdemucs(name: str) -> None:
    theirs, ours = OPTIONS[name]
    torch.manual_seed(0)
    reference = livened(HDemucs(STEMS, channels=8, **theirs))
    model = HybridDemucs(8, **ours)
    model.load_state_dict(hybrid_demucs_weights(reference.state_dict()))
    compare(model, reference, 60_001 if "stretches" in name else ODD)


@pytest.mark.parametrize("options", [{}, {"resample": False}, {"normalize": False}], ids=str)
@pytest.mark.parametrize("length", [ODD, 999])
def test_time_only(options: dict[str, bool], length: int) -> None:
    torch.manual_seed(0)
    reference = livened(Demucs(STEMS, channels=8, **options))
    model = TimeDemucs(8, **options)
    model.load_state_dict(time_demucs_weights(reference.state_dict()))
    compare(model, reference, length)


def test_rectifiers_in_the_levels() -> None:
    """The reference's option leaves the branches their GELU."""
    torch.manual_seed(0)
    reference = livened(Demucs(STEMS, channels=8, gelu=False))
    model = TimeDemucs(8, activation="relu")
    model.load_state_dict(time_demucs_weights(reference.state_dict()))
    compare(model, reference, ODD)


@pytest.mark.parametrize("convolutions_only", [False, True])
def test_svd_penalty(convolutions_only: bool) -> None:
    torch.manual_seed(0)
    model = Demucs(STEMS, channels=8, resample=False)
    with torch.no_grad():  # a matrix of noise has many singular values that are nearly the largest
        for parameter in model.parameters():
            parameter.add_(0.5 * parameter.std())
    options = {"min_size": 0.02, "dim": 20, "niters": 4, "convtr": True, "conv_only": convolutions_only}
    expected = svd_penalty(model, **options)
    expected.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    found = SVDPenalty(1.0, 0.02, 20, 4, convolutions_only)(model)
    found.backward()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or (parameter.grad - gradient).norm() < 0.02 * gradient.norm()
