"""Open-Unmix and its Wiener filter are those of the `openunmix` package."""

from functools import partial

import pytest
import torch

from toolkit.blocks import OpenUnmix, load_openunmix
from toolkit.dsp.wiener import wiener
from toolkit.models import SpectrogramSeparator

filtering = pytest.importorskip("openunmix.filtering")
reference = pytest.importorskip("openunmix.model")

BINS, MAX_BIN, HIDDEN = 129, 93, 16
TARGETS = ("vocals", "drums", "bass", "other")


def networks(channels=2, targets=TARGETS, seed=0):
    """The package's networks, with running statistics and scales that are not those of a fresh network."""
    torch.manual_seed(seed)
    made = {name: reference.OpenUnmix(BINS, channels, HIDDEN, max_bin=MAX_BIN) for name in targets}
    for network in made.values():
        for name, values in [*network.named_parameters(), *network.named_buffers()]:
            if name.startswith(("input", "output", "bn")) and values.is_floating_point():
                values.data.add_(0.3 * torch.rand_like(values))
        network.eval()
    return made


def ours(theirs, channels=2, **options):
    masker = partial(OpenUnmix, hidden=HIDDEN, max_bin=MAX_BIN)
    sources = len(theirs) + options.get("residual", False)
    model = SpectrogramSeparator(masker, sources, channels, 2 * BINS - 2, 64, **options)
    load_openunmix(model.masker, [network.state_dict() for network in theirs.values()])
    return model.eval()


def theirs_filtered(magnitudes, mixture, *args, **options):
    """Their layout is (frames, bins, channels, [2,] sources)."""
    filtered = filtering.wiener(
        magnitudes[0].permute(3, 2, 1, 0), torch.view_as_real(mixture[0].permute(2, 1, 0).contiguous()), *args, **options
    )
    return torch.view_as_complex(filtered.transpose(-1, -2).contiguous()).permute(3, 2, 1, 0)[None]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"iterations": 0},
        {"iterations": 0, "softmask": True},
        {"iterations": 0, "residual": True},
        {"iterations": 1},
        {"iterations": 2},
        {"iterations": 1, "softmask": True},
        {"iterations": 2, "residual": True},
        {"iterations": 1, "scale_factor": 3.0},
        {"iterations": 1, "eps": 1e-4},
    ],
    ids=str,
)
@torch.inference_mode()
def test_wiener(options, dtype, channels):
    torch.manual_seed(0)
    levels = torch.logspace(-2, 3, 20, dtype=torch.float64)[:, None]  # of the bins: 100 dB apart
    mixture = levels * torch.randn(1, channels, 20, 230, dtype=torch.complex128)
    magnitudes = mixture.abs()[:, None] * torch.rand(1, 3, channels, 20, 230, dtype=torch.float64)
    magnitudes, mixture = magnitudes.to(dtype), mixture.to(dtype.to_complex())
    expected = theirs_filtered(magnitudes, mixture, **options)
    tolerance = 1e-6 if dtype == torch.float64 else 1e-4  # they round √eps to single precision
    difference = (wiener(magnitudes, mixture, **options) - expected).abs() / mixture.abs().amax((1, 3), keepdim=True)[:, None]
    assert difference.max() < tolerance


@pytest.mark.parametrize("channels", [1, 2])
@torch.inference_mode()
def test_one_network(channels):
    theirs = networks(channels, ["vocals"])
    magnitudes = 10 * torch.rand(3, channels, BINS, 17)
    expected = theirs["vocals"](magnitudes.clone())
    estimate = ours(theirs, channels, wiener_iterations=0).masker(magnitudes)
    torch.testing.assert_close(estimate[:, 0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"wiener_iterations": 1},
        {"wiener_iterations": 0},
        {"wiener_iterations": 2, "softmask": True},
        {"wiener_iterations": 1, "wiener_window": 300},
        {"wiener_iterations": 1, "wiener_window": None, "residual": True},
    ],
    ids=str,
)
@torch.inference_mode()
def test_separator(options):
    theirs = networks()
    renamed = {"wiener_iterations": "niter", "wiener_window": "wiener_win_len"}
    separator = reference.Separator(
        theirs, n_fft=2 * BINS - 2, n_hop=64, **{renamed.get(name, name): value for name, value in options.items()}
    ).eval()
    mixture = torch.randn(2, 2, 64 * 320 + 5)
    expected = separator(mixture)
    estimate = ours(theirs, **options).separate(mixture)
    torch.testing.assert_close(estimate[:, :4], expected[:, :4], atol=1e-5, rtol=1e-4)
    if "residual" in options:  # ours is all that the others leave, theirs what the filter lets pass of it
        torch.testing.assert_close(estimate[:, 4], expected[:, 4], atol=1e-2, rtol=1e-2)


def test_training_sees_the_same_gradients():
    torch.manual_seed(0)
    theirs = reference.OpenUnmix(BINS, 2, HIDDEN, nb_layers=1, max_bin=MAX_BIN)
    masker = OpenUnmix(BINS, 2, 1, HIDDEN, layers=1, max_bin=MAX_BIN)
    load_openunmix(masker, [theirs.state_dict()])
    magnitudes = torch.rand(2, 2, BINS, 9)
    theirs(magnitudes).square().mean().backward()
    masker(magnitudes)[:, 0].square().mean().backward()
    network = masker.networks[0]
    pairs = [("input_shift", "input_mean"), ("reduce.weight", "fc1.weight"), ("lstm.weight_hh_l0", "lstm.weight_hh_l0")]
    for name, their_name in pairs:
        torch.testing.assert_close(
            network.get_parameter(name).grad, theirs.get_parameter(their_name).grad, atol=1e-6, rtol=1e-4
        )
