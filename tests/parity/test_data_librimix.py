"""Our examples against those of Asteroid's LibriMix class, from the same files."""

import sys
import types
from pathlib import Path

import pytest
import torch

from toolkit import audio
from toolkit.data import manifest
from toolkit.data.segments import SegmentDataset

pytest.importorskip("asteroid")
sys.modules.setdefault("librosa", types.ModuleType("librosa"))  # Asteroid imports it for other corpora
ROLES = ("mixture", "s1", "s2")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six mixtures of 1.0, 1.4, … s at 8 kHz, as a manifest and as LibriMix's table."""
    items, rows = [], ["mixture_ID,mixture_path,source_1_path,source_2_path,length"]
    for number in range(6):
        frames = 8000 + 3200 * number
        paths = {role: f"{role}/{number}.wav" for role in ROLES}
        for path in paths.values():
            audio.write(tmp_path / path, 0.1 * torch.randn(1, frames), 8000)
        items.append(manifest.Item(str(number), "train", 8000, frames, 1, paths))
        rows.append(",".join([str(number), *(str(tmp_path / path) for path in paths.values()), str(frames)]))
    manifest.write(tmp_path / "train.jsonl", {"root": "."}, items)
    (tmp_path / "mixture_train_mix_clean.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_whole_recordings_are_equal(corpus: Path) -> None:
    from asteroid.data import LibriMix

    theirs = LibriMix(str(corpus), "sep_clean", 8000, 2, segment=None)
    ours = SegmentDataset(manifest.Manifest.open(corpus / "train.jsonl"), segment=None)
    assert len(ours) == len(theirs)
    for index in range(len(ours)):
        mixture, references, _ = ours.example(0, index)
        expected_mixture, expected_references = theirs[index]
        assert torch.equal(mixture[0], expected_mixture)
        assert torch.equal(references[:, 0], expected_references)


def test_the_same_recordings_are_long_enough(corpus: Path) -> None:
    from asteroid.data import LibriMix

    for segment in (0.9, 1.0, 1.4, 2.3, 3.0):
        theirs = LibriMix(str(corpus), "sep_clean", 8000, 2, segment=segment)
        ours = SegmentDataset(manifest.Manifest.open(corpus / "train.jsonl"), segment=segment)
        assert [ours.example(0, i).id for i in range(len(ours))] == theirs.df["mixture_ID"].astype(str).tolist()
        assert ours.example(0, 0).mixture.shape[-1] == len(theirs[0][0])
