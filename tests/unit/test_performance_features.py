"""The curves that a performance is described by."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.blocks import AnnotatedPitch, Loudness
from toolkit.data import manifest
from toolkit.data.manifest import Item, Manifest
from toolkit.data.store import Store
from toolkit.features.label import label
from toolkit.log import UserError


def performance(frames: int, rate: int = 16000, **labels: Any) -> Item:
    return Item("p0", "train", rate, frames, 1, {"recording": "p0.wav"}, labels)


def f0(hz: list[float], start: float = 0.0, step: float = 0.01) -> dict[str, Any]:
    return {"start": start, "step": step, "hz": hz}


def test_the_pitch_moves_along_a_line_of_cents_between_voiced_annotations() -> None:
    pitch = AnnotatedPitch(sample_rate=16000, hop_length=80)  # every 5 ms, twice as often as annotated
    found = pitch.of_labels(performance(481, f0=f0([220, 440, 440])))
    assert pitch.frame_rate == 200
    torch.testing.assert_close(found, torch.tensor([220, 220 * 2**0.5, 440, 440, 440, 440, 0]))  # the last lasts a step


def test_nothing_is_interpolated_towards_silence() -> None:
    found = AnnotatedPitch(16000, 40).of_labels(performance(480, f0=f0([0, 400, 0])))  # every 2.5 ms
    assert found.tolist() == [0, 0, 400, 400, 400, 400, 0, 0, 0, 0, 0, 0]


def test_what_is_annotated_first_is_true_from_the_beginning() -> None:
    found = AnnotatedPitch(16000, 160).of_labels(performance(800, f0=f0([300, 300, 300], start=0.023)))
    assert found.tolist() == [300] * 5
    unvoiced = AnnotatedPitch(16000, 160).of_labels(performance(800, f0=f0([])))
    assert unvoiced.tolist() == [0] * 5


@given(frames=st.integers(1, 100_000), rate=st.sampled_from([16000, 22050, 48000]), hop=st.integers(1, 999))
def test_a_curve_has_the_frames_of_the_resampled_recording(frames: int, rate: int, hop: int) -> None:
    samples = -(-frames * 16000 // rate)
    found = AnnotatedPitch(16000, hop).of_labels(performance(frames, rate, f0=f0([100.0, 0.0] * 20)))
    assert len(found) == -(-samples // hop)


@pytest.mark.parametrize(
    ("labels", "message"),
    [({}, "expected an annotated pitch"), ({"f0": [1]}, "expected start"), ({"f0": f0([1], step=0)}, "positive step")],
)
def test_a_recording_without_annotation_is_named(labels: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"p0: .*{message}"):
        AnnotatedPitch(16000, 64).of_labels(performance(800, **labels))
    with pytest.raises(UserError, match="a recording alone has none"):
        AnnotatedPitch(16000, 64).compute(torch.zeros(1, 100))


def test_loudness_is_in_decibels_of_frames_that_look_ahead() -> None:
    loudness = Loudness(sample_rate=16000, hop_length=64)
    assert loudness.name == "loudness/16000-64-2048"
    sound = torch.cat([torch.randn(2, 4096), torch.zeros(2, 4100)], dim=1)
    found = loudness.compute(sound)
    assert (found.shape, found.dtype) == ((2, 129), torch.float32)
    assert (found[:, :32] > -20).all()
    assert (found[:, 64:] == -80).all()


def test_labels_are_stored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(name, "train", 16000, 1600, 1, {}, {"f0": f0([100.0] * 10)}) for name in ("a", "b")]
    manifest.write(tmp_path / "m.jsonl", {"name": "m", "root": ".", "fingerprint": "1"}, items)
    clips, pitch = Manifest.open(tmp_path / "m.jsonl"), AnnotatedPitch(16000, 64)
    head = label(pitch, clips, tmp_path / "store")
    store = Store(head.parent)
    assert (list(store), store.dtype, store.frames("a")) == (["a", "b"], np.float32, 25)
    with monkeypatch.context() as patch:
        patch.setattr(AnnotatedPitch, "of_labels", lambda *_: pytest.fail("they were stored"))
        label(pitch, clips, tmp_path / "store")
    manifest.write(tmp_path / "m.jsonl", {"name": "m", "root": ".", "fingerprint": "2"}, items[:1])
    label(pitch, Manifest.open(tmp_path / "m.jsonl"), tmp_path / "store")
    assert list(Store(tmp_path / "store")) == ["a"]
