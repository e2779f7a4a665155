"""New mixtures on the fly: who speaks with whom, how loud, for how long."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import audio, config
from toolkit.data import loader, manifest
from toolkit.data.examples import ExampleSource
from toolkit.data.mixing import DynamicMixing, OppositeLevels, UniformLoudness
from toolkit.data.segments import SegmentDataset
from toolkit.log import UserError

RATE = 1000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three fixed mixtures of two, and 12 utterances: speaker k is a tone of 50 + 10 k Hz of amplitude 0.1."""
    root = tmp_path_factory.mktemp("data")
    silence = torch.zeros(1, 3000)
    audio.write(root / "silence.wav", silence, RATE)
    fixed = [
        manifest.Item(f"fixed{n}", "train", RATE, 3000, 1, dict.fromkeys(("mixture", "s1", "s2"), "silence.wav"))
        for n in range(3)
    ]
    manifest.write(root / "fixed.jsonl", {"name": "fixed", "root": "."}, fixed)
    utterances = []
    for number in range(12):
        speaker, frames = number % 4, 1500 + 250 * number
        tone = 0.1 * torch.sin(2 * torch.pi * (50 + 10 * speaker) * torch.arange(frames) / RATE)[None]
        audio.write(root / f"{number}.wav", tone, RATE)
        labels = {"speaker": f"spk{speaker}", "active_level": 0.005, "loudness_lufs": -23.0}
        utterances.append(manifest.Item(f"utt{number:02d}", "train", RATE, frames, 1, {"speech": f"{number}.wav"}, labels))
    manifest.write(root / "speech.jsonl", {"name": "speech", "root": "."}, utterances)
    return root


def mixing(data: Path, segment: float | None = 1.0, **options) -> DynamicMixing:
    static = SegmentDataset(manifest.Manifest.open(data / "fixed.jsonl"), segment)
    return DynamicMixing(data, static, 0, **({"utterances": "speech", "levels": OppositeLevels()} | options))


def test_every_epoch_has_new_mixtures_of_different_speakers(data: Path) -> None:
    source = mixing(data)
    assert len(source) == 3
    first, again, later = source.example(0, 1), source.example(0, 1), source.example(1, 1)
    assert first.mixture.shape == (1, 1000)
    assert first.references.shape == (2, 1, 1000)
    assert torch.allclose(first.mixture, first.references.sum(0))
    assert torch.equal(first.mixture, again.mixture)
    assert not torch.equal(first.mixture, later.mixture)
    for epoch in range(30):
        numbers = [int(name.removeprefix("utt")) for name in source.example(epoch, 0).id.split("+")]
        assert len({number % 4 for number in numbers}) == 2


def decibels(reference: torch.Tensor) -> float:
    return 10 * math.log10(reference.square().mean())


def test_levels_of_wsj0_mix(data: Path) -> None:
    source = mixing(data, levels=OppositeLevels(spread=2.5), speeds=(1.0,))
    examples = [source.example(epoch, 0) for epoch in range(60)]
    ratios = [decibels(e.references[0]) - decibels(e.references[1]) for e in examples]
    assert max(map(abs, ratios)) < 5.1
    assert max(map(abs, ratios)) > 4
    assert all(max(e.mixture.abs().max(), e.references.abs().max()) == pytest.approx(0.9) for e in examples)


def test_levels_of_librimix(data: Path) -> None:
    source = mixing(data, levels=UniformLoudness(-33, -25), speeds=(1.0,))
    levels = [decibels(r) for epoch in range(40) for r in source.example(epoch, 0).references]
    # an amplitude of 0.1 is -23 dB here and -23 LUFS by its label
    assert -33.1 < min(levels) < -31.5
    assert -26.5 < max(levels) < -24.9


def test_three_sources_have_a_pair_and_one_between() -> None:
    levels = OppositeLevels(2.5).draw(3, np.random.default_rng(0))
    assert levels[0] == -levels[1]
    assert levels[2] == 0
    assert OppositeLevels().draw(4, np.random.default_rng(0)).shape == (4,)


def test_a_level_that_no_label_tells_is_measured(data: Path) -> None:
    items = [
        dataclasses.replace(item, labels={"speaker": item.labels["speaker"]})
        for item in manifest.Manifest.open(data / "speech.jsonl")
    ]
    manifest.write(data / "unlabelled.jsonl", {"root": "."}, items)
    labelled = mixing(data, speeds=(1.0,)).example(0, 0)
    measured = mixing(data, speeds=(1.0,), utterances="unlabelled").example(0, 0)
    assert labelled.id == measured.id
    assert torch.allclose(labelled.mixture, measured.mixture, atol=0.01)


def test_probability_mixes_fixed_and_new(data: Path) -> None:
    source = mixing(data, probability=0.5)
    ids = [source.example(epoch, index).id for epoch in range(40) for index in range(3)]
    assert 40 < sum(id.startswith("fixed") for id in ids) < 80
    assert all(mixing(data, probability=0.0).example(e, 2).id == "fixed2" for e in range(5))


def test_an_epoch_may_have_more_mixtures_than_the_fixed_set(data: Path) -> None:
    source = mixing(data, examples=8, probability=0.5)
    assert len(source) == 8
    assert len({source.example(0, index).id for index in range(8)}) > 3


def test_speed_moves_the_pitch(data: Path) -> None:
    source = mixing(data, speeds=(1.05,), levels=UniformLoudness())
    example = source.example(0, 0)
    for name, reference in zip(example.id.split("+"), example.references, strict=True):
        wanted = 1.05 * (50 + 10 * (int(name.removeprefix("utt")) % 4))
        spectrum = torch.fft.rfft(reference[0] * torch.hann_window(1000), 100000).abs()
        assert spectrum.argmax() / 100 == pytest.approx(wanted, abs=0.3)


@settings(max_examples=30, deadline=None)
@given(overlap=st.floats(0.1, 1.0), segment=st.sampled_from([0.5, 1.0, 2.0]), epoch=st.integers(0, 1000))
def test_all_speak_together_long_enough(data: Path, overlap: float, segment: float, epoch: int) -> None:
    source = mixing(data, segment, min_overlap=overlap, levels=UniformLoudness())
    references = source.example(epoch, 0).references
    assert references.shape == (2, 1, segment * RATE)
    spans = []
    for reference in references:
        sounding = reference[0].abs().gt(1e-4).nonzero()
        spans.append((sounding.min().item(), sounding.max().item()))
    together = min(end for _, end in spans) - max(begin for begin, _ in spans)
    assert together >= overlap * segment * RATE - 25  # a tone is near zero for a few samples


def test_whole_utterances_are_cut_to_the_shortest(data: Path) -> None:
    source = mixing(data, segment=None, speeds=(1.0,))
    example = source.example(0, 0)
    numbers = [int(name.removeprefix("utt")) for name in example.id.split("+")]
    assert example.mixture.shape[-1] == 1500 + 250 * min(numbers)
    batch = next(loader.batches(source, batch_size=3, seed=0, epoch=0))
    assert batch.mixture.shape[-1] == batch.lengths.max()


def test_processes_make_the_same_mixtures(data: Path) -> None:
    source = mixing(data, probability=0.7)
    expected, found = (list(loader.batches(source, batch_size=1, seed=0, epoch=4, workers=w)) for w in (0, 2))
    assert all(torch.equal(a.references, b.references) and a.ids == b.ids for a, b in zip(expected, found, strict=True))


def test_short_utterances_are_left_out(data: Path) -> None:
    source = mixing(data, segment=3.0, speeds=(1.0,))
    names = {name for epoch in range(60) for name in source.example(epoch, 0).id.split("+")}
    assert names == {f"utt{number:02d}" for number in range(6, 12)}
    fixed = SegmentDataset(manifest.Manifest.open(data / "fixed.jsonl"), 4.4, drop_short=False)
    with pytest.raises(UserError, match=r"expected 2 speakers with 4\.4 s or more of speech, found 0"):
        DynamicMixing(data, fixed, 0, "speech", OppositeLevels(), speeds=(1.0,))


def test_what_does_not_fit_is_told(data: Path) -> None:
    items = list(manifest.Manifest.open(data / "speech.jsonl"))
    manifest.write(data / "fast.jsonl", {"root": "."}, [dataclasses.replace(item, sample_rate=16000) for item in items])
    with pytest.raises(UserError, match="utt00: expected 1000 Hz, 1 channels as fixed has, found 16000 Hz"):
        mixing(data, utterances="fast")
    manifest.write(data / "nobody.jsonl", {"root": "."}, [dataclasses.replace(item, labels={}) for item in items])
    with pytest.raises(UserError, match="utt00: expected a role `speech` and a label `speaker`"):
        mixing(data, utterances="nobody")
    with pytest.raises(ValueError, match="min_overlap: expected more than 0"):
        mixing(data, min_overlap=0)


@dataclasses.dataclass
class Data:
    """As a task has it."""

    mixing: Callable[[Path, SegmentDataset, int], ExampleSource] | None = None


def test_it_is_built_from_a_configuration(data: Path) -> None:
    tree = {
        "mixing": {
            "class_path": "DynamicMixing",
            "init_args": {
                "utterances": "speech",
                "levels": {"class_path": "UniformLoudness", "init_args": {"low": -30.0}},
                "probability": 0.5,
            },
        }
    }
    make = config.Resolved(Data, tree).build().mixing
    assert make is not None
    source = make(data, SegmentDataset(manifest.Manifest.open(data / "fixed.jsonl"), 1.0), 3)
    assert isinstance(source, DynamicMixing)
    assert (source.probability, source.levels.low, source.seed) == (0.5, -30.0, 3)
    with pytest.raises(UserError, match="has no option 'speed'; did you mean 'speeds'"):
        config.Resolved(Data, {"mixing": {"class_path": "DynamicMixing", "init_args": {"speed": [1.0]}}})
