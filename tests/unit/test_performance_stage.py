"""The stage `features` of a recipe of synthesis: sound, pitch by each tracker and loudness, frame by frame alike."""

from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit import audio
from toolkit.data import manifest
from toolkit.data.manifest import Item
from toolkit.data.store import Store, folder_of
from toolkit.features.run import features

RATE, HERTZ = 16000, 440.0
CONFIG = Path(__file__).resolve().parents[2] / "egs/urmp/ddx7/conf/mini.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A tone in manifests as URMP's blocks have it: to train on two of one length, one shorter."""
    time = torch.arange(4800) / RATE
    tone = sum(((2 * np.pi * HERTZ * k * time).sin() / (3 * k) for k in range(1, 6)), torch.zeros(()))
    f0 = {"start": 0.0, "step": 0.01, "hz": [HERTZ] * 30}
    for split in ("train", "valid", "test"):
        items = []
        for name, frames in {"a": 4800, "b": 4800, "c": 3201}.items() if split == "train" else [("c", 3201)]:
            audio.write(tmp_path / split / f"{name}.wav", tone[None, :frames], RATE, "FLOAT")
            items.append(Item(name, split, RATE, frames, 1, {"recording": f"{split}/{name}.wav"}, {"f0": f0}))
        path = tmp_path / f"urmp/ddx7/violin/{split}.jsonl"
        root = manifest.relative_root(path, tmp_path)
        manifest.write(path, {"name": f"urmp/ddx7/violin/{split}", "root": root, "edition": "mini", "fingerprint": "1"}, items)
    return tmp_path


def stored(data: Path, *overrides: str) -> dict[str, Store]:
    """The stores of the training recordings by the kind of the feature."""
    heads = features(data, CONFIG, ["--score.embedding=null", *overrides], device="cpu")
    found = {head.parent.relative_to(data / "features").parts[0]: head.parent for head in heads}
    return {kind: Store(folder.with_name("train")) for kind, folder in found.items()}


def test_curves_have_a_value_every_hop(data: Path) -> None:
    found = stored(data)
    assert set(found) == {"exact_waveform", "annotated_pitch", "loudness"}
    for kind in ("annotated_pitch", "loudness"):
        assert [found[kind].frames(name) for name in "abc"] == [75, 75, 51]
    assert found["annotated_pitch"].read("a").tolist() == [HERTZ] * 75
    assert -80 < found["loudness"].read("a")[0] < -60  # most bins of a tone are silent


@pytest.mark.parametrize("tracker", ["PYINPitch", "CREPEPitch"])
def test_pitch_by_a_tracker(data: Path, tracker: str) -> None:
    size = ""
    if tracker == "CREPEPitch":
        pytest.importorskip("torchcrepe")
        size = ", size: tiny"
    found = stored(data, f"--data.f0={{class_path: {tracker}, init_args: {{sample_rate: {RATE}, hop_length: 64{size}}}}}")
    pitch = found["pyin_pitch" if tracker == "PYINPitch" else "crepe_pitch"]
    assert [pitch.frames(name) for name in "abc"] == [75, 75, 51]
    assert np.abs(1200 * np.log2(pitch.read("a")[10:60] / HERTZ)).max() < 40


def test_curves_are_stored_once(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored(data)
    with caplog.at_level("INFO", "toolkit"):
        stored(data)
    assert caplog.text.count("was stored before") == 9  # three features of three manifests
    assert folder_of(data, "annotated_pitch/16000-64", "urmp/ddx7/violin/test").is_dir()
