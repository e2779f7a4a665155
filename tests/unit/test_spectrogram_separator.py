"""Spectrogram separators and Open-Unmix: sizes, contracts, sums, statistics, learning."""

from functools import partial

import pytest
import torch

from toolkit import audio
from toolkit.blocks import Masker, OpenUnmix, load_openunmix
from toolkit.data.manifest import Item, write
from toolkit.dsp.stft import bin_statistics
from toolkit.models import SpectrogramSeparator
from toolkit.tasks.experiment import Experiment

TINY = partial(OpenUnmix, hidden=8, layers=1, max_bin=20)
SMALL = partial(SpectrogramSeparator, TINY, n_fft=64, hop_length=16)


class EqualShares(Masker):
    """Every source has an equal share of the mixture's magnitude."""

    def __init__(self, bins, audio_channels, sources):
        super().__init__()
        self.sources = sources

    def forward(self, magnitudes):
        return (magnitudes / self.sources)[:, None].expand(-1, self.sources, -1, -1, -1)


@pytest.mark.parametrize(("hidden", "parameters"), [(512, 8_893_348), (1024, 28_257_188)])  # as the openunmix package has them
def test_parameter_counts(hidden, parameters):
    with torch.device("meta"):
        masker = OpenUnmix(2049, 2, 4, hidden=hidden, max_bin=1487)
    assert sum(parameter.numel() for parameter in masker.parameters()) == 4 * parameters


@pytest.mark.parametrize("samples", [1, 31, 1000])
@pytest.mark.parametrize("residual", [False, True])
def test_contracts(samples, residual):
    model = SMALL(residual=residual).eval()
    mixture, references = torch.randn(2, 2, samples), torch.randn(2, 4, 2, samples)
    estimate = model(mixture)
    assert estimate.shape == model.target(references).shape == (2, 3 if residual else 4, 2, 33, 1 + samples // 16)
    assert model.separate(mixture).shape == references.shape


@pytest.mark.parametrize(
    "options", [{"wiener_iterations": 0}, {"wiener_iterations": 2, "wiener_window": 20}, {"softmask": True}]
)
def test_with_a_residual_the_sources_add_up_to_the_mixture(options):
    model = SMALL(residual=True, **options).eval()
    mixture = torch.randn(1, 2, 1000)
    assert model.sums_to_mixture
    assert (model.separate(mixture).sum(1) - mixture).abs().max() < 1e-4
    assert not SMALL(**options).sums_to_mixture


def test_masks_with_the_mixtures_phase_are_shares_of_the_waveform():
    model = SpectrogramSeparator(EqualShares, 3, 1, 64, 16, wiener_iterations=0)
    mixture = torch.randn(1, 1, 500)
    torch.testing.assert_close(model.separate(mixture), (mixture / 3)[:, None].expand(-1, 3, -1, -1), atol=1e-5, rtol=1e-4)


def test_networks_share_nothing():
    model = SMALL()
    model(torch.randn(2, 2, 600))[:, 0].sum().backward()
    first, *others = model.masker.networks
    assert all(parameter.grad.any() for parameter in first.parameters() if parameter.ndim > 1)
    assert not any(parameter.grad.any() for network in others for parameter in network.parameters())


def test_what_lies_above_max_bin_is_not_listened_to():
    model = SMALL().eval()
    magnitudes = torch.rand(1, 2, 33, 7)
    louder = magnitudes.clone()
    louder[:, :, 20:] *= 2
    expected = model.masker(magnitudes)
    expected[..., 20:, :] *= 2  # the same masks
    torch.testing.assert_close(model.masker(louder), expected)


def test_inputs_are_brought_to_zero_mean_and_unit_deviation():
    model = SMALL(audio_channels=1)
    assert model.needs_statistics
    assert not SpectrogramSeparator(EqualShares).needs_statistics
    mixtures = [torch.randn(1, 3000), 3 * torch.randn(1, 5000)]
    model.fit_statistics(iter(mixtures))
    frames = torch.cat([model.stft(mixture).abs()[0] for mixture in mixtures], dim=1)[:20]
    for network in model.masker.networks:
        heard = (frames + network.input_shift[:, None]) * network.input_scale[:, None]
        torch.testing.assert_close(heard.mean(1), torch.zeros(20), atol=1e-4, rtol=0)
        torch.testing.assert_close(heard.std(1, correction=0), torch.ones(20))


def test_training_begins_with_the_statistics_of_the_training_split(tmp_path):
    stems = {stem: torch.randn(2, 3000) / 10 for stem in ("bass", "vocals")}
    for role, waveform in {"mixture": sum(stems.values()), **stems}.items():
        audio.write(tmp_path / f"{role}.wav", waveform, 8000, subtype="FLOAT")
    item = Item("song", "train", 8000, 3000, 2, {role: f"{role}.wav" for role in ("mixture", *stems)})
    write(tmp_path / "train.jsonl", {"root": ".", "name": "train", "corpus": "songs", "edition": "full"}, [item])
    masker = {"class_path": "OpenUnmix", "init_args": {"hidden": 8, "layers": 1, "max_bin": 20}}
    sizes = {"sources": 2, "n_fft": 64, "hop_length": 16}
    config = {
        "data": {
            **dict.fromkeys(("train", "valid", "test"), "train"),
            **{"sample_rate": 8000, "sources": list(stems), "segment": 0.1, "batch_size": 1},
        },
        "model": {"class_path": "SpectrogramSeparator", "init_args": {"masker": masker, **sizes}},
        "loss": {"class_path": "FixedOrder", "init_args": {"distance": "mse"}},
        "optimizer": {"class_path": "Adam"},
    }
    task, _ = Experiment(config).build()
    task.prepare_training(tmp_path)
    mean, _ = bin_statistics([task.model.stft(sum(stems.values())).abs().mean(0)])
    torch.testing.assert_close(task.model.masker.networks[1].input_shift, -mean[:20].float())


def test_it_learns():
    torch.manual_seed(0)
    model = SMALL(sources=2)
    references = torch.randn(4, 2, 2, 400)
    references[:, 1] = references[:, 1].cumsum(-1) / 5  # one bright source, one dark
    mixture, target = references.sum(1), model.target(references)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        loss = (model(mixture) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("samples", [2560, 2561, 2815])
def test_a_hop_of_half_a_frame_leaves_no_click_at_the_end(samples):
    model = SpectrogramSeparator(TINY, n_fft=512, hop_length=256).eval()
    estimate = model.separate(torch.randn(1, 2, samples))
    assert estimate.shape == (1, 4, 2, samples)
    assert estimate[..., -3:].abs().max() < 3  # without a last frame: hundreds


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="residual: expected two sources or more"):
        SMALL(sources=1, residual=True)
    with pytest.raises(ValueError, match="wiener_iterations: expected 0 with one source"):
        SMALL(sources=1)
    with pytest.raises(ValueError, match="hop_length: expected 1 to n_fft / 2 = 32 samples, found 33"):
        SpectrogramSeparator(TINY, n_fft=64, hop_length=33)
    with pytest.raises(ValueError, match="hidden: expected an even"):
        OpenUnmix(33, 2, 4, hidden=7)
    with pytest.raises(ValueError, match="max_bin: expected 1 to 33"):
        OpenUnmix(33, 2, 4, max_bin=34)
    with pytest.raises(ValueError, match=r"expected shape .*bins=33"):
        SMALL().masker(torch.rand(1, 2, 32, 5))


def test_weights_that_do_not_fit_are_refused():
    masker = TINY(33, 2, 1)
    with pytest.raises(ValueError, match="one for each of 1 sources, found 0"):
        load_openunmix(masker, [])
    with pytest.raises(ValueError, match=r"expected a weight 'input_mean', found fc1\.weight"):
        load_openunmix(masker, [{"fc1.weight": torch.ones(1)}])
