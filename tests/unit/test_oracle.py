"""Oracles: their definitions, what they add up to, their task."""

import numpy as np
import pytest
import torch
from scipy.signal import istft, stft

from toolkit import audio
from toolkit.data.manifest import Item, Manifest, write
from toolkit.log import UserError
from toolkit.models import Oracle
from toolkit.tasks.experiment import Experiment

STEMS = ("drums", "bass", "other", "vocals")
SAMPLES = 5001


def recording(samples=SAMPLES, channels=2, sources=4, seed=0):
    """Sources (S, C, T), each with a colour and a place of its own."""
    torch.manual_seed(seed)
    slow = torch.randn(sources, 1, samples).cumsum(-1) / 30
    mono = slow * torch.linspace(0, 1, sources)[:, None, None] + torch.randn(sources, 1, samples)
    sides = torch.linspace(0.2, 1, channels * sources).view(sources, channels, 1)
    return sides * mono + 0.05 * torch.randn(sources, channels, samples)


def estimate(kind, references, **options):
    stacked = torch.cat([references.sum(0), *references])[None]
    return Oracle(kind, len(references), references.shape[1], **options)(stacked)[0]


def error(estimate, references):
    return float(10 * torch.log10((estimate - references).square().sum() / references.square().sum()))


@pytest.mark.parametrize("kind", ["mix", "irm1", "irm2", "mwf"])
def test_estimates_add_up_to_the_mixture(kind):
    references = recording()
    torch.testing.assert_close(estimate(kind, references, n_fft=256).sum(0), references.sum(0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["ibm1", "ibm2", "irm1", "irm2", "mwf"])
def test_every_oracle_is_better_than_the_mixture(kind, channels):
    references = recording(channels=channels)
    assert error(estimate(kind, references, n_fft=256), references) < error(estimate("mix", references), references) - 0.5


def test_the_wiener_filter_makes_use_of_places():
    """Two sources that sound alike, one on each side."""
    torch.manual_seed(0)
    left, right = torch.randn(2, SAMPLES)
    references = torch.stack([torch.stack([left, 0.5 * left]), torch.stack([0.5 * right, right])])
    references += 0.01 * torch.randn_like(references)
    assert error(estimate("mwf", references), references) < error(estimate("irm2", references), references) - 10


def spectra(references):
    """SciPy's, of the mixture and of the sources: what the definitions are written in."""
    return stft(references.sum(0).double().numpy(), nperseg=2048)[-1], stft(references.double().numpy(), nperseg=2048)[-1]


def waveform(spectrum):
    return torch.from_numpy(istft(spectrum)[1][..., :SAMPLES]).float()


@pytest.mark.parametrize("power", [1, 2])
def test_masks_are_as_defined(power):
    references = recording()
    mixture, sources = spectra(references)
    shares = np.abs(sources) ** power
    binary = shares / np.abs(mixture) ** power > 0.5
    torch.testing.assert_close(estimate(f"ibm{power}", references), waveform(mixture * binary), atol=2e-3, rtol=0)
    ratio = shares / shares.sum(0)
    torch.testing.assert_close(estimate(f"irm{power}", references), waveform(mixture * ratio), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["mwf", "mwf_sisec"])
def test_the_wiener_filter_is_as_defined(kind):
    references = recording()
    mixture, sources = spectra(references)
    observed = np.einsum("scfl,sdfl->sflcd", sources, sources.conj())
    power = (np.abs(sources) ** 2).mean(1)
    covariance = (observed / power[..., None, None]).mean(2)
    if kind == "mwf_sisec":
        trace = np.stack([np.trace(each) for each in covariance])[:, None, None]
    else:
        trace = np.trace(covariance, axis1=2, axis2=3)[..., None, None]
    covariance *= 2 / trace
    power = np.einsum("sfcd,sfldc->sfl", np.linalg.inv(covariance), observed).real / 2
    model = power[..., None, None] * covariance[:, :, None]
    filtered = model @ np.linalg.solve(model.sum(0), mixture.transpose(1, 2, 0)[..., None])
    expected = waveform(filtered[..., 0].transpose(0, 3, 1, 2))
    torch.testing.assert_close(estimate(kind, references), expected, atol=1e-4, rtol=1e-3)


def test_silence_stays_silent():
    references = recording()
    references[2] = 0
    references[:, :, 2500:] = 0
    for kind in ("ibm1", "irm2", "mwf"):
        silent = estimate(kind, references, n_fft=256)
        assert silent.isfinite().all()
        assert silent[2].abs().max() < 1e-6


def config(**model):
    return {
        "task": "oracle",
        "data": {
            **dict.fromkeys(("train", "valid", "test"), "all"),
            "sample_rate": 44100,
            "sources": list(STEMS),
            "segment": None,
            "batch_size": 1,
        },
        "model": {"class_path": "Oracle", "init_args": {"kind": "irm2", "n_fft": 256, **model}},
        "score": {"metrics": ["si_sdr"]},
    }


@pytest.fixture
def manifest(tmp_path):
    references = recording(3000)
    for stem, reference in zip(("mixture", *STEMS), [references.sum(0), *references], strict=True):
        audio.write(tmp_path / f"{stem}.wav", 0.01 * reference, 44100, subtype="FLOAT")
    item = Item("song", "test", 44100, 3000, 2, {stem: f"{stem}.wav" for stem in ("mixture", *STEMS)})
    write(tmp_path / "all.jsonl", {"root": ".", "name": "all", "corpus": "musdb18", "edition": "mini"}, [item])
    return Manifest.open(tmp_path / "all.jsonl")


def test_the_task_predicts_from_the_references(manifest):
    task, _ = Experiment(config()).build()
    task.check()
    item = manifest[0]
    inputs = task.inputs(manifest, item)
    assert inputs.shape == (5 * 2, 3000)
    predictions = task.predict(task.model, inputs, 44100)
    assert list(predictions) == list(STEMS)
    references = torch.stack([audio.read(manifest.path_of(item, stem)) for stem in STEMS])
    assert error(torch.stack(list(predictions.values())), references) < -1


def test_stems_may_be_summed(manifest):
    tree = config(sources=2)
    tree["data"]["sources"] = {"vocals": ["vocals"], "accompaniment": ["drums", "bass", "other"]}
    task, _ = Experiment(tree).build()
    task.check()
    inputs = task.inputs(manifest, manifest[0])
    torch.testing.assert_close(inputs[2:4] + inputs[4:6], inputs[:2])


def test_an_oracle_is_not_trained_and_has_as_many_sources_as_are_named(manifest):
    task, _ = Experiment(config(sources=3)).build()
    assert not list(task.model.parameters())
    with pytest.raises(UserError, match=r"the model has 3 sources, data\.sources names 4"):
        task.check()
    with pytest.raises(UserError, match="not trained"):
        task.training(manifest.root)
