"""From a manifest to batches: pieces, their order, several processes, unusable files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import audio
from toolkit.data import loader, manifest
from toolkit.data.augment import Augmentation, ChannelSwap, Gain, SignFlip, SpeedPerturb
from toolkit.data.segments import SegmentDataset
from toolkit.log import UserError

RATE = 100  # Hz, so that seconds are easy numbers


def corpus(root: Path, seconds: list[float], channels: int = 1) -> manifest.Manifest:
    """Item n has n / 100 in s2, and its own time (in samples / 10000) in s1, so that a piece tells where it is from."""
    items = []
    for number, length in enumerate(seconds):
        frames = round(length * RATE)
        s1 = torch.arange(frames).expand(channels, -1) / 10000
        s2 = torch.full((channels, frames), number / 100)
        paths = {}
        for role, waveform in {"mixture": s1 + s2, "s1": s1, "s2": s2}.items():
            paths[role] = f"{role}/{number}.wav"
            audio.write(root / paths[role], waveform, RATE, "FLOAT")
        items.append(manifest.Item(f"item{number}", "train", RATE, frames, channels, paths))
    manifest.write(root / "train.jsonl", {"name": "tiny", "root": "."}, items)
    return manifest.Manifest.open(root / "train.jsonl")


def test_a_piece_has_the_same_place_in_all_roles(tmp_path: Path) -> None:
    dataset = SegmentDataset(corpus(tmp_path, [3.0, 5.5]), segment=2.0, seed=1)
    mixture, references, id = dataset.example(epoch=0, index=1)
    assert mixture.shape == (1, 200)
    assert references.shape == (2, 1, 200)
    assert id == "item1"
    assert torch.allclose(mixture, references.sum(0))
    start = round(references[0, 0, 0].item() * 10000)
    assert torch.allclose(references[0, 0] * 10000, torch.arange(start, start + 200.0), atol=1e-2)


def test_pieces_differ_from_epoch_to_epoch_and_stay_inside(tmp_path: Path) -> None:
    dataset = SegmentDataset(corpus(tmp_path, [2.0, 2.01, 9.0]), segment=2.0)
    starts = torch.tensor([[dataset.example(e, i).references[0, 0, 0] * 10000 for i in range(3)] for e in range(60)]).round()
    assert starts[:, 0].unique().tolist() == [0]
    assert starts[:, 1].unique().tolist() == [0, 1]
    assert len(starts[:, 2].unique()) > 30
    assert starts[:, 2].max() <= 700
    assert starts[:, 2].std() > 100
    assert torch.equal(dataset.example(7, 2).mixture, dataset.example(7, 2).mixture)


def test_short_recordings_are_dropped_or_filled_up(tmp_path: Path) -> None:
    tiny = corpus(tmp_path, [3.0, 1.0, 2.0])
    dropping = SegmentDataset(tiny, segment=2.0)
    assert (len(dropping), dropping.dropped) == (2, 1)

    filling = SegmentDataset(tiny, segment=2.0, drop_short=False)
    batch = filling.batch(0, [0, 1])
    assert batch.mixture.shape == (2, 1, 200)
    assert batch.references.shape == (2, 2, 1, 200)
    assert batch.lengths.tolist() == [200, 100]
    assert batch.ids == ["item0", "item1"]
    assert not batch.mixture[1, :, 100:].any()
    assert not batch.references[1, :, :, 100:].any()

    with pytest.raises(UserError, match="recordings of at least 9 s, found 3 shorter ones"):
        SegmentDataset(tiny, segment=9.0)


def test_validation_takes_fixed_pieces_or_whole_recordings(tmp_path: Path) -> None:
    tiny = corpus(tmp_path, [5.0, 2.5])
    centre = SegmentDataset(tiny, segment=2.0, crop="centre")
    assert [round(centre.example(e, 0).references[0, 0, 0].item() * 10000) for e in (0, 1)] == [150, 150]

    tiles = SegmentDataset(tiny, segment=2.0, crop="tiles")
    found = [(e.id, round(e.references[0, 0, 0].item() * 10000)) for e in (tiles.example(0, i) for i in range(len(tiles)))]
    assert found == [("item0", 0), ("item0", 200), ("item1", 0)]

    whole = SegmentDataset(tiny, segment=None)
    batch = whole.batch(0, [0, 1])
    assert batch.lengths.tolist() == [500, 250]
    assert batch.mixture.shape == (2, 1, 500)
    assert not batch.references[1, ..., 250:].any()


def test_without_a_mixture_the_sum_is_the_mixture(tmp_path: Path) -> None:
    tiny = corpus(tmp_path, [2.0], channels=2)
    items = [manifest.Item(i.id, i.split, i.sample_rate, i.frames, 2, {r: i.audio[r] for r in i.sources}) for i in tiny]
    manifest.write(tmp_path / "stems.jsonl", {"root": "."}, items)
    dataset = SegmentDataset(manifest.Manifest.open(tmp_path / "stems.jsonl"), segment=1.0)
    batch = dataset.batch(0, [0])
    assert torch.equal(batch.mixture, batch.references.sum(1))


def test_sources_are_chosen_by_role(tmp_path: Path) -> None:
    tiny = corpus(tmp_path, [2.0])
    assert SegmentDataset(tiny, 1.0, sources=["s2"]).example(0, 0).references.shape == (1, 1, 100)
    with pytest.raises(UserError, match="item0: expected a file for the role 'drums', found only mixture, s1, s2"):
        SegmentDataset(tiny, 1.0, sources=["drums"])


def test_a_wrong_rate_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"item0: expected 8000 Hz, found 100 Hz\. Next: --data\.sample_rate 100"):
        SegmentDataset(corpus(tmp_path, [2.0]), 1.0, sample_rate=8000)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def put_nan(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400] + np.full(100, np.nan, "<f4").tobytes())


def change_rate(path: Path) -> None:
    audio.write(path, audio.read(path), 200, "FLOAT")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, r"cannot read audio file .*s2/1\.wav: truncated: its header says 300 samples, the file holds 290"),
        (put_nan, r"cannot read audio file .*s2/1\.wav: expected finite samples, found nan"),
        (change_rate, r"s2/1\.wav: expected 300 samples, 100 Hz, 1 channels as .*train\.jsonl says, found 300 samples, 200 Hz"),
        (Path.unlink, r"no such audio file: .*s2/1\.wav"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_an_unusable_file_is_named_in_one_line(tmp_path: Path, damage, message: str, workers: int) -> None:
    dataset = SegmentDataset(corpus(tmp_path, [3.0, 3.0, 3.0]), segment=3.0)
    damage(tmp_path / "s2" / "1.wav")
    with pytest.raises(UserError, match=message) as error:
        list(loader.batches(dataset, batch_size=1, seed=0, epoch=0, workers=workers))
    assert "\n" not in str(error.value)


def epoch_of(dataset: SegmentDataset, epoch: int = 0, **options) -> list[loader.Batch]:
    return list(loader.batches(dataset, **({"batch_size": 2, "seed": 5} | options), epoch=epoch))


def same(first: list[loader.Batch], second: list[loader.Batch]) -> bool:
    return len(first) == len(second) and all(
        a.ids == b.ids and all(torch.equal(x, y) for x, y in zip(a[:3], b[:3], strict=True))
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("segment", [1.0, None])
def test_batches_do_not_depend_on_the_number_of_processes(tmp_path: Path, segment: float | None) -> None:
    dataset = SegmentDataset(corpus(tmp_path, [1.5 + 0.3 * n for n in range(11)]), segment)
    for epoch in (0, 1):
        expected = epoch_of(dataset, epoch, workers=0)
        assert len(expected) == 5
        for workers in (1, 2):
            assert same(epoch_of(dataset, epoch, workers=workers), expected)
    assert not same(epoch_of(dataset, 0), epoch_of(dataset, 1))
    assert not same(epoch_of(dataset, 0), epoch_of(dataset, 0, seed=6))
    assert same(epoch_of(dataset, 0, shuffle=False), epoch_of(dataset, 0, shuffle=False, seed=6))


@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_batches_equals_dropping_them(tmp_path: Path, workers: int) -> None:
    dataset = SegmentDataset(corpus(tmp_path, [2.0] * 9), segment=1.0)
    assert same(epoch_of(dataset, 3, workers=workers, skip=2), epoch_of(dataset, 3)[2:])
    assert epoch_of(dataset, 3, workers=workers, skip=4) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_may_be_left_early(tmp_path: Path, workers: int) -> None:
    dataset = SegmentDataset(corpus(tmp_path, [2.0] * 40), segment=1.0)
    for _ in range(4):
        next(loader.batches(dataset, batch_size=2, seed=5, epoch=0, workers=workers))
    assert same(epoch_of(dataset, 1, workers=workers), epoch_of(dataset, 1))


def test_batches_that_are_kept_are_not_written_over(tmp_path: Path) -> None:
    """Worker processes use shared memory again, but only what nobody looks at any more."""
    dataset = SegmentDataset(corpus(tmp_path, [2.0] * 60), segment=1.0)
    kept = [batch.references[0, 1] for batch in loader.batches(dataset, batch_size=1, seed=0, epoch=0, workers=1)]
    copies = [batch.references[0, 1] for batch in loader.batches(dataset, batch_size=1, seed=0, epoch=0)]
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


def test_too_few_examples_for_a_batch(tmp_path: Path) -> None:
    dataset = SegmentDataset(corpus(tmp_path, [2.0] * 3), segment=1.0)
    with pytest.raises(UserError, match=r"expected at least 4 examples for one batch, found 3.*batch_size"):
        epoch_of(dataset, batch_size=4)
    assert len(epoch_of(dataset, batch_size=4, drop_last=False)[0].ids) == 3


@given(
    examples=st.integers(0, 60),
    batch_size=st.integers(1, 7),
    world_size=st.integers(1, 4),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_shards_are_disjoint_and_cover(examples: int, batch_size: int, world_size: int, shuffle: bool, drop_last: bool) -> None:
    shards = [loader.order(examples, batch_size, 3, 2, shuffle, rank, world_size, drop_last) for rank in range(world_size)]
    used = [index for shard in shards for row in shard for index in row]
    assert len(used) == len(set(used))
    if drop_last:
        step = batch_size * world_size
        assert len(used) == examples // step * step
        assert all([len(row) for row in shard] == [batch_size] * (examples // step) for shard in shards)
    else:
        assert sorted(used) == list(range(examples))


@settings(max_examples=20, deadline=None)
@given(seconds=st.lists(st.floats(0.5, 6.0), min_size=1, max_size=4), segment=st.floats(0.1, 4.0))
def test_every_piece_lies_inside_its_recording(tmp_path_factory, seconds: list[float], segment: float) -> None:
    tiny = corpus(tmp_path_factory.mktemp("tiny"), seconds)
    for crop in ("random", "centre", "tiles"):
        dataset = SegmentDataset(tiny, segment, drop_short=False, crop=crop)
        for index in range(len(dataset)):
            references = dataset.example(2, index).references[0, 0] * 10000
            number = int(dataset.example(2, index).id.removeprefix("item"))
            assert len(references) == min(round(segment * RATE), round(seconds[number] * RATE))
            assert references[-1] <= round(seconds[number] * RATE) - 1 + 1e-2


class Louder(Augmentation):
    """What a user may write."""

    def __call__(self, references: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        return 2 * references


def test_augmentation_changes_references_and_mixture_alike(tmp_path: Path) -> None:
    tiny = corpus(tmp_path, [5.0, 6.0])
    plain = SegmentDataset(tiny, 2.0).example(0, 1)
    louder = SegmentDataset(tiny, 2.0, augment=[Louder()]).example(0, 1)
    assert torch.equal(louder.references, 2 * plain.references)
    assert torch.allclose(louder.mixture, 2 * plain.mixture)

    several = SegmentDataset(tiny, 2.0, augment=[Gain(0.5, 1.5), SignFlip(), SpeedPerturb()])
    assert several.batch(0, [0, 1]).mixture.shape == (2, 1, 200)
    assert torch.equal(several.example(0, 0).mixture, several.example(0, 0).mixture)
    assert not torch.equal(several.example(0, 0).mixture, several.example(1, 0).mixture)


def test_augmentations_one_by_one() -> None:
    rng = np.random.default_rng(0)
    stereo = torch.rand(12, 2, 500) + 0.1
    ratio = Gain(0.5, 2.0)(stereo, rng) / stereo
    assert torch.allclose(ratio, ratio[:, :1, :1].expand_as(ratio))
    assert 0.5 <= ratio.min() < ratio.max() <= 2.0
    assert (SignFlip()(stereo, rng) / stereo)[:, 0, 0].unique().tolist() == [-1, 1]
    swapped = ChannelSwap()(stereo, rng)
    assert {torch.equal(a, b) for a, b in zip(swapped, stereo, strict=True)} == {True, False}
    assert torch.equal(swapped.sum(1), stereo.sum(1))


def test_stems_of_one_source_share_a_factor() -> None:
    ratio = Gain(0.5, 2.0, together=[0, 1, 3])(torch.ones(4, 2, 5), np.random.default_rng(0))[:, 0, 0]
    assert ratio[0] == ratio[1] == ratio[3]
    assert ratio[0] != ratio[2]


def test_a_faster_tone_is_higher() -> None:
    tone = torch.sin(2 * torch.pi * 200 * torch.arange(8000) / 8000).reshape(1, 1, -1)
    faster = SpeedPerturb((1.05,))(tone, np.random.default_rng(0))
    assert faster.shape == (1, 1, 7620)  # ceil(8000 / 1.05)
    expected = torch.sin(2 * torch.pi * 210 * torch.arange(7620) / 8000)
    assert torch.allclose(faster[0, 0, 200:-200], expected[200:-200], atol=0.01)


def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly.py").write_text(
        "import os\n"
        "from toolkit.data.segments import SegmentDataset\n"
        "class Deadly(SegmentDataset):\n"
        "    def example(self, epoch, index):\n"
        "        return super().example(epoch, index) if epoch == 0 else os._exit(9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import deadly

    dataset = deadly.Deadly(corpus(tmp_path, [2.0] * 4))
    assert len(epoch_of(dataset, 0, workers=1)) == 2
    with pytest.raises(UserError, match=r"a process that loads data died.*fewer --data\.workers"):
        epoch_of(dataset, 1, workers=1)


def test_worker_processes_end_with_their_parent(tmp_path: Path) -> None:
    """A script that leaves an epoch in the middle ends at once, and says nothing."""
    corpus(tmp_path, [2.0] * 20)
    script = tmp_path / "train.py"
    script.write_text(
        "from toolkit.data import loader, manifest\n"
        "from toolkit.data.segments import SegmentDataset\n"
        "if __name__ == '__main__':\n"
        f"    dataset = SegmentDataset(manifest.Manifest.open({str(tmp_path / 'train.jsonl')!r}), 1.0)\n"
        "    for batch in loader.batches(dataset, batch_size=2, seed=0, epoch=0, workers=2):\n"
        "        print(batch.ids)\n"
        "        break\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("['item")


@pytest.mark.real
def test_real_speech_as_flac_and_wav(shared_data: Path, tmp_path: Path) -> None:
    flac = sorted((shared_data / "librispeech" / "train-clean-100").glob("*.flac"))[:4]
    wav = sorted((shared_data / "fsdd").rglob("*.wav"))[:20]
    for paths in (flac, wav):
        items = []
        for path in paths:
            frames, rate, channels = audio.info(path)
            items.append(manifest.Item(path.stem, "test", rate, frames, channels, {"mixture": path.name, "s1": path.name}))
        manifest.write(tmp_path / "real.jsonl", {"root": str(paths[0].parent)}, items)
        dataset = SegmentDataset(manifest.Manifest.open(tmp_path / "real.jsonl"), segment=0.25)
        for index in range(len(dataset)):
            mixture, references, id = dataset.example(0, index)
            whole = audio.read(next(path for path in paths if path.stem == id))
            pieces = whole[0].unfold(0, mixture.shape[-1], 1)
            assert torch.equal(mixture, references[0])
            assert (pieces == mixture).all(-1).any()
