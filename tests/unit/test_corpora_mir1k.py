"""MIR-1K: layout, pitch in MIDI numbers, channels, splits by singer; the mini corpus and the truth of its annotations."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit import audio, files
from toolkit.corpora import _mir1k_mini, mir1k
from toolkit.data.annotations import F0
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.prepare import run

RATE = 16000
FEMALE = {"amy", "Ani", "annar", "ariel", "heycat", "tammy", "titon", "yifen"}
MALE = {"abjones", "bobon", "bug", "davidson", "fdps", "geniusturtle", "jmzen", "Kenshin", "khair", "leon", "stool"}
CLIPS = {"abjones_1_01": 60, "abjones_1_02": 62, "leon_2_03": 64, "yifen_5_01": 69}  # MIDI numbers


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four clips of the corpus, one second each: noise left, a tone right."""
    root = tmp_path / "corpus" / "MIR-1K"
    frames = RATE - 10  # not whole frames
    for clip, pitch in CLIPS.items():
        voice = 0.1 * torch.sin(2 * torch.pi * hertz(pitch) * torch.arange(frames) / RATE)
        audio.write(root / "Wavfile" / f"{clip}.wav", torch.stack([0.1 * torch.rand(frames), voice]), RATE)
        lines = ["0", *[str(pitch)] * 47]
        files.write_text(root / "PitchLabel" / f"{clip}.pv", "".join(f"{line}\n" for line in lines))
    (root / "readme.txt").touch()
    return root.parent


def hertz(pitch: float) -> float:
    return 440 * 2 ** ((pitch - 69) / 12)


def items(data: Path, name: str) -> list[Item]:
    return list(Manifest.open(data / f"{name}.jsonl"))


def test_singers_are_in_one_split_each() -> None:
    splits = {split: {name for name in FEMALE | MALE if mir1k.split_of(name) == split} for split in ("train", "valid", "test")}
    assert [len(part) for part in splits.values()] == [13, 2, 4]
    assert all(part & FEMALE and part & MALE for part in splits.values())


def test_pitch_is_told_in_midi_numbers_from_20_ms_on(tmp_path: Path) -> None:
    path = tmp_path / "amy_3_01.pv"
    path.write_text("0.000000\n69\n57.5\n")
    assert mir1k.read_pitch(path) == F0(0.02, 0.02, [0.0, 440.0, round(hertz(57.5), 3)])
    path.write_text("0\n440.0\n")
    with pytest.raises(UserError, match=r"expected MIDI numbers, 0 where unvoiced, found 0 to 440: .*amy_3_01\.pv"):
        mir1k.read_pitch(path)


@pytest.mark.parametrize("rate", [16000, 8000])
def test_a_clip_is_taken_apart(corpus: Path, tmp_path: Path, rate: int) -> None:
    data = tmp_path / "data"
    assert mir1k.verify(corpus) == mir1k.verify(corpus / "MIR-1K") == "partial (4 of 1000 clips)"
    mir1k.prepare(corpus, data, sample_rates=[rate], nj=1)
    assert [len(items(data, f"mir1k/{rate}/{split}")) for split in ("train", "valid", "test", "all")] == [2, 1, 1, 4]
    manifest = Manifest.open(data / f"mir1k/{rate}/all.jsonl")
    assert manifest.header["rule"] == "ours, by singer"
    for item in manifest:
        singer, song, _ = item.id.split("_")
        assert item.frames == 15990 * rate // RATE
        assert {key: value for key, value in item.labels.items() if key != "f0"} == {
            "instrument": "voice",
            "singer": singer,
            "song": f"{singer}_{song}",
        }
        assert set(item.labels["f0"]["hz"]) == {0.0, round(hertz(CLIPS[item.id]), 3)}
        parts = {role: audio.read(manifest.path_of(item, role)) for role in item.audio}
        assert {role: part.shape for role, part in parts.items()} == dict.fromkeys(mir1k.ROLES, (1, item.frames))
        torch.testing.assert_close(parts["recording"] + parts["accompaniment"], parts["mixture"])
        strongest = torch.fft.rfft(parts["recording"][0]).abs().argmax() * rate / item.frames
        assert strongest == pytest.approx(hertz(CLIPS[item.id]), abs=1)
        if rate == RATE:  # nothing is changed
            original = audio.read(corpus / f"MIR-1K/Wavfile/{item.id}.wav")
            torch.testing.assert_close(torch.cat([parts["accompaniment"], parts["recording"]]), original, rtol=0, atol=0)


def test_preparing_again_makes_only_what_is_missing(corpus: Path, tmp_path: Path) -> None:
    mir1k.prepare(corpus, tmp_path, nj=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    text = (tmp_path / "mir1k/16000/all.jsonl").read_text()
    (tmp_path / "mir1k/16000/audio/mixture/leon_2_03.wav").unlink()
    mir1k.prepare(corpus, tmp_path, nj=1)
    assert {path.stem for path, time in before.items() if path.stat().st_mtime_ns != time} == {"leon_2_03"}
    assert (tmp_path / "mir1k/16000/all.jsonl").read_text() == text


def test_what_is_damaged_is_named(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, data = corpus / "MIR-1K", tmp_path / "data"
    (root / "PitchLabel/abjones_1_01.pv").write_text("60\n" * 30)  # cut short
    (root / "PitchLabel/abjones_1_02.pv").unlink()
    audio.write(root / "Wavfile/leon_2_03.wav", torch.zeros(1, RATE), RATE)
    assert mir1k.verify(corpus) == "partial (3 of 1000 clips)"
    mir1k.prepare(corpus, data, splits=["all"], nj=1)
    assert [item.id for item in items(data, "mir1k/16000/all")] == ["yifen_5_01"]
    assert "skipped abjones_1_01: expected about 48 lines for a clip of that length, found 30" in caplog.text
    assert "skipped abjones_1_02: cannot read the annotation" in caplog.text
    assert "skipped leon_2_03: expected accompaniment and voice in 2 channels at 16000 Hz, found 1 channels" in caplog.text
    with pytest.raises(UserError, match=r"abjones_1_0[12]: .*Next: mend the file"):
        mir1k.prepare(corpus, data, splits=["train"], nj=1, strict=True)
    (root / "Wavfile/leon_2_03.wav").unlink()
    with pytest.raises(UserError, match=r"mir1k valid: none of its recordings is in .*Next: see egs/mir1k/README\.md"):
        mir1k.prepare(corpus, data, nj=1)
    with pytest.raises(UserError, match=r"expected Wavfile/\*\.wav such as abjones_1_01\.wav and PitchLabel, found"):
        mir1k.verify(tmp_path)
    with pytest.raises(UserError, match="may not be downloaded by anyone"):
        run.fetch("mir1k", "download", tmp_path, [])


def test_names_of_a_config_say_what_is_made() -> None:
    assert mir1k.options_for(["mir1k/16000/test", "mir1k/16000/train"]) == {
        "sample_rates": [16000],
        "splits": ["train", "test"],
    }


# The mini corpus


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mir1k") / "mini"
    with pytest.MonkeyPatch.context() as patch:  # every second singer: the whole takes a quarter of a minute
        patch.setattr(_mir1k_mini, "SINGERS", _mir1k_mini.SINGERS[1::2])
        mir1k.make_mini(root)
    return root


def test_the_mini_corpus_has_every_file_of_the_layout(mini: Path, tmp_path: Path) -> None:
    assert mir1k.verify(mini) == "mini"
    assert sum(path.stat().st_size for path in mini.rglob("*") if path.is_file()) < 10e6  # of half the singers
    root = mini / "MIR-1K"
    suffixes = {"Wavfile": ".wav", "PitchLabel": ".pv", "UnvoicedFrameLabel": ".unv", "Lyrics": ".txt"}
    clips = {path.stem for path in (root / "Wavfile").iterdir()}
    for folder, suffix in (suffixes | {"vocal-nonvocalLabel": ".vocal"}).items():
        assert {path.name for path in (root / folder).iterdir()} == {f"{clip}{suffix}" for clip in clips}
    for clip in clips:
        frames = (audio.info(root / f"Wavfile/{clip}.wav").frames - 640) // 320 + 1
        pitch, unvoiced, vocal = (
            np.loadtxt(root / folder / f"{clip}{suffix}")
            for folder, suffix in (("PitchLabel", ".pv"), ("UnvoicedFrameLabel", ".unv"), ("vocal-nonvocalLabel", ".vocal"))
        )
        assert len(pitch) == len(unvoiced) == len(vocal) == frames
        assert ((pitch > 0) == (vocal == 1)).all()
        assert ((pitch > 0) == (unvoiced == 5)).all()
        assert (root / f"Lyrics/{clip}.txt").read_text(encoding="big5")
    for song in (root / "UndividedWavfile").iterdir():
        parts = [audio.read(path) for path in sorted((root / "Wavfile").glob(f"{song.stem}_*.wav"))]
        torch.testing.assert_close(torch.cat(parts, 1), audio.read(song), rtol=0, atol=0)
    mir1k.prepare(mini, tmp_path, splits=["train", "valid", "test"], nj=1)
    assert [len(items(tmp_path, f"mir1k/16000/{split}")) for split in ("train", "valid", "test")] == [6, 2, 2]


def test_the_annotated_pitch_is_that_of_the_right_channel(mini: Path, cents_off: Callable[..., np.ndarray]) -> None:
    for path in sorted(mini.glob("MIR-1K/Wavfile/*"))[::3]:
        samples, f0 = audio.read(path).numpy(), mir1k.read_pitch(mini / f"MIR-1K/PitchLabel/{path.stem}.pv")
        cents = cents_off(samples[1], RATE, f0.start + f0.step * np.arange(len(f0.hz)), np.array(f0.hz))
        assert np.abs(samples).max() < 0.95
        assert samples[0].std() > 0.02
        assert len(cents) > 40
        assert np.percentile(np.abs(cents), 95) < 20, path.name
        assert abs(np.median(cents)) < 2.5, path.name


def test_the_mini_corpus_is_deterministic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mir1k_mini, "SINGERS", (_mir1k_mini.Singer("amy", 3, (1.5, 1.2)),))

    def made(folder: Path) -> dict[str, bytes]:
        return {path.as_posix().partition("MIR-1K")[2]: path.read_bytes() for path in folder.rglob("amy*")}

    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        mir1k.make_mini(tmp_path / name, seed)
    first, second, third = (made(tmp_path / name) for name in "123")
    assert first == second
    assert first.keys() == third.keys()
    assert first["/Wavfile/amy_1_01.wav"] != third["/Wavfile/amy_1_01.wav"]
    mir1k.make_mini(tmp_path / "1", 1)
    assert made(tmp_path / "1") == third
