"""The generated corpus of harmonic signals."""

from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit import audio, files
from toolkit.corpora import _synthetic_signals as signals
from toolkit.corpora import synthetic
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "corpus"
    synthetic.make_mini(folder)
    return folder


def items(data: Path, split: str) -> list[Item]:
    return list(Manifest.open(data / f"synthetic/harmonics/{split}.jsonl"))


def test_what_is_drawn_for_4000_signals() -> None:
    drawn = signals.draw(4000, seed=0)
    assert [drawn.splits.count(split) for split in ("train", "valid", "test")] == [2800, 800, 400]
    assert drawn.f0.min() >= 40
    assert drawn.f0.max() <= 1950
    there = drawn.amplitudes > 0
    assert drawn.amplitudes[there].min() >= 0.4
    assert drawn.amplitudes[there].max() <= 1
    harmonics = there.sum(1)
    assert there.equal(torch.arange(8) < harmonics[:, None])  # none is missing in between
    shares = torch.bincount(harmonics, minlength=9) / 4000
    torch.testing.assert_close(shares, torch.tensor([0, 0.25, *[0.125] * 6, 0]), rtol=0, atol=0.02)


def test_a_signal_is_a_sum_of_sines_below_half_the_rate() -> None:
    drawn = signals.Signals(torch.tensor([1500.0]), torch.tensor([[0.5, 0, 0, 0, 1, 1, 0, 0]]), ["train"])
    time = np.arange(1, 4097) / 16000
    expected = 0.5 * np.sin(2 * np.pi * 1500 * time) + np.sin(2 * np.pi * 7500 * time)  # the sixth would be at 9 kHz
    np.testing.assert_allclose(signals.render(drawn, 0, 1)[0], expected, atol=1e-6)


def test_the_manifests_of_the_mini_corpus(corpus: Path, tmp_path: Path) -> None:
    synthetic.prepare(corpus, tmp_path)
    assert [len(items(tmp_path, split)) for split in ("train", "valid", "test")] == [168, 48, 24]
    one = items(tmp_path, "test")[0]
    assert one.labels["f0"]["step"] == 0.016
    assert len(one.labels["f0"]["hz"]) == 16
    manifest = Manifest.open(tmp_path / "synthetic/harmonics/test.jsonl")
    assert manifest.header["edition"] == "mini"
    sound = audio.read(manifest.path_of(one, "recording"))[0]
    assert len(sound) == 4096
    assert sound.abs().max() == pytest.approx(0.9)
    spectrum = torch.fft.rfft(sound * torch.hann_window(4096), n=1 << 16).abs()
    level = torch.linspace(0, 8000, len(spectrum)).sub(one.labels["f0"]["hz"][0]).abs().argmin()
    assert spectrum[level - 30 : level + 31].argmax().item() == pytest.approx(30, abs=2)  # a peak where the label says


def test_the_same_seed_gives_the_same_corpus(corpus: Path, tmp_path: Path) -> None:
    synthetic.make_mini(tmp_path / "same")
    synthetic.make_mini(tmp_path / "other", seed=1)
    lists = [files.sha256(folder / "signals.jsonl") for folder in (corpus, tmp_path / "same", tmp_path / "other")]
    assert lists[0] == lists[1] != lists[2]
    assert audio.read(corpus / "signals/0003.wav").equal(audio.read(tmp_path / "same/signals/0003.wav"))


def test_a_damaged_signal_is_skipped_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    corpus, data = tmp_path / "corpus", tmp_path / "data"
    synthetic.make_mini(corpus)
    (corpus / "signals/0007.wav").unlink()
    (corpus / "signals/0008.wav").write_bytes(b"RIFF")
    audio.write(corpus / "signals/0009.wav", torch.zeros(1, 100), 16000)
    synthetic.prepare(corpus, data)
    assert sum(len(items(data, split)) for split in ("train", "valid", "test")) == 237
    assert all(f"skipped 000{number}" in caplog.text for number in (7, 8, 9))
    with pytest.raises(UserError, match="expected a signal at"):
        synthetic.prepare(corpus, data, strict=True)


def test_an_interrupted_generation_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "signals").mkdir()
    with pytest.raises(UserError, match=r"expected signals\.jsonl"):
        synthetic.verify(tmp_path)
    synthetic.make_mini(tmp_path)
    assert synthetic.verify(tmp_path) == "mini"


def test_names_of_manifests() -> None:
    assert synthetic.options_for(["synthetic/harmonics/train"]) == {}
    with pytest.raises(UserError, match="expected synthetic/harmonics/train"):
        synthetic.options_for(["synthetic/sines/train"])
