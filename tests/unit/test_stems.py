"""Examples from stems: where they are cut, which tracks meet in a mixture, and what is done to them on the way."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from toolkit import audio, config
from toolkit.data import loader, manifest
from toolkit.data.augment import Augmentation, ChannelSwap, Gain, PitchTempo, SignFlip
from toolkit.data.examples import Mixing
from toolkit.data.segments import SegmentDataset
from toolkit.data.stems import StemMixing
from toolkit.log import UserError

RATE, SECONDS = 100, (20.0, 30.0, 25.5)
STEMS = ["drums", "bass", "other", "vocals"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tracks: each stem tells its time (samples / 4096) on the left and its track (from 1) on the right."""
    root = tmp_path_factory.mktemp("data")
    items = []
    for number, seconds in enumerate(SECONDS):
        frames = round(seconds * RATE)
        waveform = torch.stack([torch.arange(frames) / 4096, torch.full((frames,), number + 1.0)])
        for stem in STEMS:
            audio.write(root / f"{number}/{stem}.wav", waveform, RATE, "FLOAT")
        audio.write(root / f"{number}/mixture.wav", 4 * waveform, RATE, "FLOAT")
        paths = {role: f"{number}/{role}.wav" for role in ["mixture", *STEMS]}
        labels = {"mixture_mean": 0.5 * number, "mixture_deviation": 2.0}
        items.append(manifest.Item(f"track{number}", "train", RATE, frames, 2, paths, labels))
    manifest.write(root / "train.jsonl", {"name": "stems", "root": "."}, items)
    return root


def stored(data: Path, segment: float | None = 2.0, **options) -> SegmentDataset:
    return SegmentDataset(manifest.Manifest.open(data / "train.jsonl"), segment, **options)


def mixing(data: Path, segment: float | None = 2.0, **options) -> StemMixing:
    return StemMixing(data, stored(data, segment), 7, **options)


def pieces(references: Tensor) -> list[tuple[int, int]]:
    """Track and first sample of each stem (stems, channels, time)."""
    return [(round(stem[1, 0].item()) - 1, round(stem[0, 0].item() * 4096)) for stem in references]


def test_open_unmix_draws_track_and_place_of_every_stem(data: Path) -> None:
    source = mixing(data, remix="tracks", examples_per_track=64)
    assert len(source) == 3 * 64
    mixture, references, id = source.example(epoch=0, index=5)
    assert references.shape == (4, 2, 200)
    assert torch.equal(mixture, references.sum(0))
    assert id.split("+") == [f"track{track}" for track in dict.fromkeys(track for track, _ in pieces(references))]
    assert torch.equal(references[:, 0, -1] - references[:, 0, 0], torch.full((4,), 199 / 4096))

    drawn = np.array([pieces(source.example(epoch, 0).references) for epoch in range(200)])
    assert np.bincount(drawn[..., 0].ravel()).min() > 200
    for track, seconds in enumerate(SECONDS):
        starts = drawn[..., 1][drawn[..., 0] == track]
        assert 0 <= starts.min() < 100
        assert (seconds - 3) * RATE < starts.max() <= (seconds - 2) * RATE


def test_wave_u_net_leaves_the_stems_of_a_track_together(data: Path) -> None:
    source = mixing(data, remix="none", examples_per_track=10)
    found = [pieces(source.example(0, index).references) for index in range(len(source))]
    assert all(len(set(stems)) == 1 for stems in found)
    assert [stems[0][0] for stems in found] == [0] * 10 + [1] * 10 + [2] * 10
    assert len({stems[0] for stems in found}) > 25


def test_demucs_cuts_windows_and_shifts_each_stem(data: Path) -> None:
    source = mixing(data, place="windows", remix="batch", stride=1.0, shift=1.0, repeat=2)
    windows = [18, 28, 24]  # of 2 + 1 s; the last of track 2 begins at 22.5 s
    assert len(source) == 2 * sum(windows)
    expected = (
        [(0, 100 * n) for n in range(18)] + [(1, 100 * n) for n in range(28)] + [(2, min(100 * n, 2250)) for n in range(24)]
    )
    shifts = []
    for index in range(len(source)):
        track, begin = expected[index % len(expected)]
        for stem_track, start in pieces(source.example(0, index).references):
            assert stem_track == track
            shifts.append(start - begin)
    assert (min(shifts), max(shifts)) == (0, 100)
    assert np.std(np.reshape(shifts, (-1, 4)), axis=1).min() > 0


def test_demucs_exchanges_stems_among_four_neighbours(data: Path) -> None:
    source = mixing(data, place="windows", remix="batch")
    indices = [3, 40, 60, 20, 5, 6, 50, 51, 1, 2]
    batch = source.batch(2, indices)
    alone = np.array([pieces(source.example(2, index).references) for index in indices])
    mixed = np.array([pieces(references) for references in batch.references])
    for group in (slice(0, 4), slice(4, 8), slice(8, 10)):
        for stem in range(4):
            assert sorted(map(tuple, mixed[group, stem])) == sorted(map(tuple, alone[group, stem]))
    assert not np.array_equal(mixed, alone)
    assert torch.equal(batch.mixture, batch.references.sum(1))
    assert batch.ids[0].split("+") == [f"track{track}" for track in dict.fromkeys(mixed[0, :, 0])]

    again, later = source.batch(2, indices), source.batch(3, indices)
    assert torch.equal(batch.references, again.references)
    orders = [[pieces(r)[0][0] for r in b.references] for b in (batch, later)]
    assert orders[0] != orders[1]


@pytest.mark.parametrize("remix", ["none", "tracks", "batch"])
def test_processes_make_the_same_examples(data: Path, remix) -> None:
    source = mixing(data, remix=remix, examples_per_track=6, augment=[Gain(), SignFlip(), PitchTempo(0.5, sample_rate=RATE)])
    expected, found = (list(loader.batches(source, batch_size=4, seed=0, epoch=1, workers=w)) for w in (0, 1))
    assert len(expected) == 4
    assert all(torch.equal(a.references, b.references) and a.ids == b.ids for a, b in zip(expected, found, strict=True))


def test_stems_are_read_straight_into_the_given_memory(data: Path) -> None:
    source = mixing(data, remix="batch")
    memory = np.full(4 * 5 * 2 * 200 + 3, np.nan, np.float32)
    batch = source.batch(0, [1, 2, 3, 4], memory)
    assert batch.mixture.data_ptr() == memory.ctypes.data
    assert torch.isfinite(batch.references).all()


class Later(Augmentation):
    """The same change, made after reading."""

    def __init__(self, change: Augmentation) -> None:
        self.change = change

    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        return self.change(references, rng)


def test_what_happens_in_reading_equals_the_augmentation(data: Path) -> None:
    changes = [Gain(0.5, 1.5), SignFlip(), ChannelSwap()]
    for remix in ("none", "tracks", "batch"):
        reading = mixing(data, remix=remix, augment=changes)
        after = mixing(data, remix=remix, augment=[Later(change) for change in changes])
        first, second = reading.batch(0, list(range(8))), after.batch(0, list(range(8)))
        assert torch.allclose(first.references, second.references)
        assert torch.allclose(first.mixture, second.mixture, atol=1e-5)
    plain = mixing(data, remix="batch").batch(0, list(range(8)))
    assert first.ids == plain.ids
    assert not torch.allclose(first.references, plain.references)


def test_another_tempo_needs_longer_pieces(data: Path) -> None:
    class Half(Augmentation):
        stretch = 2.0

        def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
            return references[..., ::2]

    source = mixing(data, remix="tracks", augment=[Half()])
    for index in range(40):
        references = source.example(0, index).references
        assert torch.equal(references[:, 0, -1] - references[:, 0, 0], torch.full((4,), 2 * 199 / 4096))


def test_tracks_shorter_than_a_piece_are_filled_up(data: Path) -> None:
    filling = StemMixing(data, stored(data, 22.0, drop_short=False), 0, examples_per_track=1)
    batch = filling.batch(0, [0, 1])
    assert batch.lengths.tolist() == [2000, 2200]
    assert not batch.references[0, ..., 2000:].any()
    assert batch.references[0, :, 1, :2000].eq(1).all()
    windows = StemMixing(data, stored(data, 22.0, drop_short=False), 0, place="windows")
    assert len(windows) == 1 + 8 + 4
    assert len(StemMixing(data, stored(data, 22.0), 0, examples_per_track=1)) == 2


def test_tracks_are_brought_to_one_level(data: Path) -> None:
    plain, normalised = (stored(data, normalize=normalize).batch(0, [1, 2]) for normalize in (False, True))
    mean = torch.tensor([0.5, 1.0])
    assert torch.allclose(normalised.mixture, (plain.mixture - mean[:, None, None]) / 2, atol=1e-6)
    assert torch.allclose(normalised.references, (plain.references - mean[:, None, None, None]) / 2, atol=1e-6)

    options = {"remix": "tracks", "augment": [Gain(0.5, 1.5)]}
    references = StemMixing(data, stored(data, normalize=True), 7, **options).example(0, 3).references
    plain_references = mixing(data, **options).example(0, 3).references
    for stem, raw in zip(references, plain_references, strict=True):
        gain = (raw[0, -1] - raw[0, 0]) * 4096 / 199
        track = round((raw[1, 0] / gain).item()) - 1
        assert torch.allclose(stem, (raw - gain * 0.5 * track) / 2, atol=1e-5)


def test_what_does_not_fit_is_told(data: Path) -> None:
    with pytest.raises(UserError, match=r"stems: expected a length to cut stems to, found none\. Next: --data\.segment"):
        mixing(data, segment=None)
    bare = [dataclasses.replace(item, labels={"genre": "Rock"}) for item in manifest.Manifest.open(data / "train.jsonl")]
    manifest.write(data / "bare.jsonl", {"root": "."}, bare)
    with pytest.raises(UserError, match="track0: expected the label 'mixture_deviation' to normalise by, found only genre"):
        SegmentDataset(manifest.Manifest.open(data / "bare.jsonl"), 2.0, normalize=True)


@dataclasses.dataclass
class Data:
    """As a task has it."""

    mixing: Callable[[Path, SegmentDataset, int], Mixing] | None = None


def test_it_is_built_from_a_configuration(data: Path) -> None:
    tree = {
        "class_path": "StemMixing",
        "init_args": {
            "place": "windows",
            "remix": "batch",
            "repeat": 2,
            "augment": [
                {"class_path": "Gain", "init_args": {"low": 0.7, "high": 1.0, "together": [0, 1, 2]}},
                {"class_path": "SignFlip"},
                {"class_path": "PitchTempo", "init_args": {"probability": 0.2}},
            ],
        },
    }
    make = config.Resolved(Data, {"mixing": tree}).build().mixing
    assert make is not None
    source = make(data, stored(data), 3)
    assert isinstance(source, StemMixing)
    assert (source.remix, source.repeat, source.seed) == ("batch", 2, 3)
    assert [type(change) for change in source.rescale + source.change] == [Gain, SignFlip, PitchTempo]
    assert 224 <= source.wanted <= 225
    with pytest.raises(UserError, match="has no option 'per_track'"):
        config.Resolved(Data, {"mixing": {"class_path": "StemMixing", "init_args": {"per_track": 1}}})
