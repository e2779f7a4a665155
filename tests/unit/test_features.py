"""The stage `features`: what is stored of each recording, and what happens when something is wrong or in the way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from toolkit import audio
from toolkit.blocks.features import Feature, StoredSpectrum, Waveform
from toolkit.blocks.tagging import Frontend
from toolkit.config import fingerprint
from toolkit.data import manifest
from toolkit.data.manifest import Item, Manifest
from toolkit.data.store import Store, folder_of, write
from toolkit.dsp.resample import resample
from toolkit.features import compute as module
from toolkit.features.compute import compute
from toolkit.features.run import features
from toolkit.launch.parts import WHOLE, Part
from toolkit.log import UserError

CPU = torch.device("cpu")


class MeanAndPeak(Feature):
    """Mean and peak of every hundredth of a second; remembers the batches that it was given."""

    sample_rate, frame_rate = 8000, 100.0

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    @property
    def name(self) -> str:
        return "loudness"

    def compute(self, waveforms: Tensor) -> Tensor:
        self.batches.append(tuple(waveforms.shape))
        frames = waveforms.unfold(1, 80, 80)
        return torch.stack([frames.mean(-1), frames.amax(-1)], dim=-1)


class Columns(Frontend):
    """The waveform in columns of `bins` samples, times a gain."""

    def __init__(self, bins: int, gain: float = 1.0) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer("gain", torch.tensor(gain))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.get_buffer("gain") * inputs.unfold(1, self.bins, self.bins).mT[:, None]


def corpus(folder: Path, seconds: list[float], rate: int = 11025, **header: Any) -> Manifest:
    """Stereo clips of noise, c00, c01, …, and their manifest `corpus/train`."""
    generator = torch.Generator().manual_seed(0)
    items = []
    for number, length in enumerate(seconds):
        wave = 0.2 * torch.randn(2, round(length * rate), generator=generator)
        audio.write(folder / "audio" / f"c{number:02d}.flac", wave, rate)
        items.append(
            Item(f"c{number:02d}", "train", rate, wave.shape[1], 2, {"recording": f"c{number:02d}.flac"}, {"tags": [1]})
        )
    path = folder / "corpus" / "train.jsonl"
    root = {"root": manifest.relative_root(path, folder / "audio"), "name": "corpus/train", "edition": "mini"}
    manifest.write(path, {**root, "fingerprint": "f1", **header}, items)
    return Manifest.open(path)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_CLIPS", 4)


def contents(folder: Path) -> Iterator[tuple[str, list[Any]]]:
    store = Store(folder)
    for identity in store:
        yield identity, store.read(identity).tolist()


def test_stored_waveforms_are_the_recordings_mono_at_the_rate_asked_for(tmp_path: Path) -> None:
    clips = corpus(tmp_path, [1.0, 0.4, 1.0, 0.7, 1.0, 1.0])
    feature = Waveform(8000)
    head = compute(feature, clips, folder_of(tmp_path, feature.name, "corpus/train"), CPU)
    assert head == tmp_path / "features" / "waveform/8000" / "corpus/train" / "store.json"
    store = Store(head.parent)
    assert list(store) == [item.id for item in clips]
    for item in clips:
        mono = audio.read(clips.path_of(item, "recording")).mean(0).numpy()
        expected = np.rint(resample(mono, 11025, 8000) * 32768).astype(np.int16)
        np.testing.assert_allclose(store.read(item.id), expected, atol=1)  # what lies half-way between two steps


def test_recordings_of_equal_length_are_computed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.BATCH_SECONDS, "cpu", 3.0)
    clips, feature = corpus(tmp_path, [1.0, 0.4, 1.0, 1.0, 1.0], rate=8000), MeanAndPeak()
    compute(feature, clips, tmp_path / "store", CPU)
    assert feature.batches == [(3, 8000), (1, 3200), (1, 8000)]  # a shard of four, then the fifth
    store = Store(tmp_path / "store")
    assert (store.shape, store.dtype, store.frames("c01")) == ((2,), np.float32, 40)
    alone = feature.compute(audio.read(clips.path_of(clips[1], "recording")).mean(0, keepdim=True))[0]
    np.testing.assert_allclose(store.read("c01"), alone, atol=1e-7)


def test_the_device_gets_the_next_batch_before_the_last_one_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.BATCH_SECONDS, "cpu", 1.0)
    done: list[str] = []
    give, fetch = module._give, module._fetch
    monkeypatch.setattr(module, "_give", lambda *given: done.append("give") or give(*given))
    monkeypatch.setattr(module, "_fetch", lambda *given: done.append("fetch") or fetch(*given))
    compute(MeanAndPeak(), corpus(tmp_path, [1.0, 1.0, 1.0], rate=8000), tmp_path / "store", CPU)
    assert done == ["give", "give", "fetch", "give", "fetch", "fetch"]


def test_parts_of_the_shards_come_to_the_same_store(tmp_path: Path) -> None:
    clips = corpus(tmp_path, [0.3, 0.2, 0.3, 0.3, 0.2, 0.3, 0.3, 0.2, 0.3])
    compute(MeanAndPeak(), clips, tmp_path / "whole", CPU)
    for part in (Part(2, 2), Part(1, 2), WHOLE):
        assert not (tmp_path / "parts" / "store.json").exists()
        compute(feature := MeanAndPeak(), clips, tmp_path / "parts", CPU, part)
    assert not feature.batches  # all was there
    assert dict(contents(tmp_path / "parts")) == dict(contents(tmp_path / "whole"))


def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = corpus(tmp_path, [0.3, 0.2, 0.3, 0.3, 0.2, 0.3, 0.3, 0.2, 0.3])
    compute(MeanAndPeak(), clips, tmp_path / "whole", CPU)

    class Killed(MeanAndPeak):
        def compute(self, waveforms: Tensor) -> Tensor:
            if len(self.batches) == 3:  # two of the first shard, one of the second
                raise KeyboardInterrupt
            return super().compute(waveforms)

    with pytest.raises(KeyboardInterrupt):
        compute(Killed(), clips, tmp_path / "cut", CPU)
    assert sorted(path.name for path in (tmp_path / "cut").glob("*.npy")) == ["00000.npy"]
    with pytest.raises(UserError, match="no stored features"):
        Store(tmp_path / "cut")
    again = MeanAndPeak()
    with caplog.at_level("INFO", "toolkit"):
        compute(again, clips, tmp_path / "cut", CPU)
    assert "1 of 3 shards were stored before" in caplog.text
    assert sum(batch for batch, _ in again.batches) == 5
    assert list(contents(tmp_path / "cut")) == list(contents(tmp_path / "whole"))


def test_what_is_complete_is_kept_until_the_recordings_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def batches(clips: Manifest) -> int:
        feature = MeanAndPeak()
        compute(feature, clips, tmp_path / "store", CPU)
        return len(feature.batches)

    lengths = [0.2, 0.2]
    with caplog.at_level("INFO", "toolkit"):
        assert batches(corpus(tmp_path, lengths)) == 1
        assert "h of audio a minute" in caplog.text
        assert batches(corpus(tmp_path, lengths)) == 0
        assert "loudness of corpus/train: was stored before" in caplog.text
    assert batches(corpus(tmp_path, lengths, fingerprint="f2")) == 1
    assert batches(corpus(tmp_path, [*lengths, 0.2], fingerprint="f2")) == 1


def test_a_broken_recording_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = corpus(tmp_path, [0.2] * 4)
    (tmp_path / "audio" / "c01.flac").write_text("no sound")
    soundfile.write(tmp_path / "audio" / "c02.flac", np.zeros((0, 2)), 11025, format="WAV")
    compute(MeanAndPeak(), clips, tmp_path / "store", CPU)
    assert "skipped c01: cannot read audio file" in caplog.text
    assert "2 of 4 recordings are not in it" in caplog.text
    store = Store(tmp_path / "store")
    assert list(store) == ["c00", "c03"]
    assert "holds no samples" in store.skipped["c02"]
    with pytest.raises(UserError, match=r"nothing is stored of 'c02': .*c02\.flac holds no samples"):
        store.read("c02")


def test_a_store_without_any_recording_is_an_error(tmp_path: Path) -> None:
    clips = corpus(tmp_path, [0.2])
    (tmp_path / "audio" / "c00.flac").write_text("no sound")
    with pytest.raises(UserError, match="found none; the first was skipped since: cannot read audio file"):
        compute(MeanAndPeak(), clips, tmp_path / "store", CPU)


def test_a_recording_that_has_gone_is_waited_for(tmp_path: Path) -> None:
    clips = corpus(tmp_path, [0.2] * 6)
    audio.write(tmp_path / "kept.flac", audio.read(tmp_path / "audio" / "c04.flac"), 11025)
    (tmp_path / "audio" / "c04.flac").unlink()
    with pytest.raises(UserError, match=r"no such audio file: .*c04\.flac.*Next: bring it back and run the same command again"):
        compute(MeanAndPeak(), clips, tmp_path / "store", CPU)
    (tmp_path / "kept.flac").rename(tmp_path / "audio" / "c04.flac")
    compute(MeanAndPeak(), clips, tmp_path / "store", CPU)
    assert len(Store(tmp_path / "store")) == 6


def test_clips_without_audio_are_passed_over(tmp_path: Path) -> None:
    clips = corpus(tmp_path, [0.2, 0.2])
    items = [clips[0], Item("c01", "train", 8000, 1, 1, {})]
    header = {key: clips.header[key] for key in ("root", "name")}
    manifest.write(clips.path, header, items)
    compute(MeanAndPeak(), Manifest.open(clips.path), tmp_path / "store", CPU)
    assert list(Store(tmp_path / "store")) == ["c00"]
    manifest.write(clips.path, header, items[1:])
    with pytest.raises(UserError, match="none of the 1 recordings has any"):
        compute(MeanAndPeak(), Manifest.open(clips.path), tmp_path / "store", CPU)


def test_a_shard_is_full_by_number_or_by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_SECONDS", 10.0)
    seconds = [1, 1, 1, 1, 1, 6, 5, 30, 1]
    shards = [[seconds[number] for number in shard] for shard in module.shards(seconds)]
    assert shards == [[1, 1, 1, 1], [1, 6], [5], [30], [1]]


def test_stores_of_the_same_recordings_are_known_again(tmp_path: Path) -> None:
    clips = corpus(tmp_path, [0.2, 0.2, 0.3])
    found = module.Clips(clips, "recording")
    assert found.fingerprint == fingerprint([(item.id, item.audio["recording"]) for item in clips])
    assert found.seconds.tolist() == [0.2, 0.2, pytest.approx(0.3, abs=1e-4)]
    assert [clip.path for clip in found.of(range(1, 3))] == [clips.path_of(clips[number], "recording") for number in (1, 2)]


def test_a_stored_spectrum_is_the_picture_with_time_first() -> None:
    feature = StoredSpectrum(Columns(bins=5), sample_rate=8000, frame_rate=1600)
    waveforms = torch.randn(3, 20)
    stored = feature.compute(waveforms)
    assert (stored.shape, stored.dtype) == ((3, 4, 5), torch.float16)
    torch.testing.assert_close(stored.float(), waveforms.unflatten(1, (4, 5)), atol=1e-3, rtol=1e-3)


def test_another_front_end_is_stored_elsewhere() -> None:
    def name(rate: int = 8000, **options: Any) -> str:
        return StoredSpectrum(Columns(**options), rate, 100).name

    assert name(bins=5) == name(bins=5)
    assert name(bins=5).startswith("spectrum/Columns-")
    assert len({name(bins=5), name(bins=6), name(bins=5, gain=2.0), name(rate=16000, bins=5)}) == 4


def test_a_model_on_waveforms_needs_manifests_of_its_rate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    corpus(tmp_path, [0.2], rate=11025)
    splits = dict.fromkeys(("train", "valid", "test"), "corpus/train")
    config = {
        "data": {**splits, "sample_rate": 11025, "segment": 1.0, "batch_size": 1},
        "model": {"class_path": "WaveUNet", "init_args": {"sources": 2, "layers": 2, "filters": 3, "kernel_size": 5}},
        "loss": {"class_path": "FixedOrder", "init_args": {"distance": "l1"}},
        "optimizer": {"class_path": "Adam"},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    with caplog.at_level("INFO", "toolkit"):
        assert features(tmp_path, tmp_path / "config.yaml", [], "cpu") == []
    assert "no features are stored" in caplog.text
    with pytest.raises(UserError, match=r"expected 8000 Hz as data\.sample_rate says, found 11025 Hz"):
        features(tmp_path, tmp_path / "config.yaml", ["--data.sample_rate", "8000"], "cpu")
    path = tmp_path / "corpus" / "train.jsonl"
    path.write_text(path.read_text().replace('"edition": "mini", ', ""))  # as one written by hand may be
    assert features(tmp_path, tmp_path / "config.yaml", [], "cpu") == []


def test_the_stage_stores_what_the_task_reads_of_each_manifest(tmp_path: Path) -> None:
    corpus(tmp_path, [0.3, 0.2])
    config = tmp_path / "config.yaml"
    frontend = {"class_path": "MelSpectrogram", "init_args": {"sample_rate": 8000, "n_fft": 256, "hop_length": 80, "bins": 8}}
    spectrum = {"frontend": frontend, "sample_rate": 8000, "frame_rate": 100}
    tree: dict[str, Any] = {
        "task": "tagging",
        "data": {
            **dict.fromkeys(("train", "valid", "test"), "corpus/train"),
            "input": {"class_path": "StoredSpectrum", "init_args": spectrum},
            "teacher": {"class_path": "Waveform", "init_args": {"sample_rate": 4000}},
            "batch_size": 1,
        },
        "model": {"class_path": "RandomForest", "init_args": {"tags": 1, "trees": 1, "depth": 1}},
        "loss": "BinaryCrossEntropy",
        "optimizer": "Adam",
    }
    config.write_text(json.dumps(tree))
    made = features(tmp_path, config, [], "cpu")
    assert [path.parent.relative_to(tmp_path / "features").parts[0] for path in made] == ["spectrum", "waveform"]
    store = Store(made[0].parent)
    assert (store.shape, store.dtype, store.frames("c00")) == ((8,), np.float16, 31)
    assert Store(made[1].parent).frames("c01") == 800

    tree["data"]["input"] = {"class_path": "Published", "init_args": {"name": "vggish", "frame_rate": 1.04}}
    config.write_text(json.dumps(tree))
    with pytest.raises(UserError, match=r"features that come with the corpus, found none\. Next: run the stage `prepare`"):
        features(tmp_path, config, [], "cpu")
    write(folder_of(tmp_path, "published/vggish", "corpus/train"), {}, [("c00", np.zeros((1, 128), np.uint8))])
    assert [path.parent.parent.parent.name for path in features(tmp_path, config, [], "cpu")] == ["4000"]
