"""WSJ0-mix: from the LDC's folders and the published lists to mixtures, on a corpus of a few short noises."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from toolkit import audio
from toolkit.audio import sphere
from toolkit.corpora import _wsj0, _wsj0_mini, wsj0_mix
from toolkit.data.manifest import Manifest
from toolkit.dsp.active_level import active_level
from toolkit.dsp.resample import resample
from toolkit.log import UserError

UTTERANCES = {  # disc and folder to utterances; tr and cv share speakers, tt has others
    "11-1.1/wsj0/si_tr_s": ("01ta0101", "01ta0102", "20ga0101", "20ga0102"),
    "11-6.1/wsj0/si_dt_05": ("050a0101",),
    "11-14.1/wsj0/si_et_05": ("440a0101",),
}
LISTS = {
    "tr": "wsj0/si_tr_s/01t/01ta0101.wav 0.5 wsj0/si_tr_s/20g/20ga0101.wav -0.5 \n",
    "cv": "wsj0/si_tr_s/20g/20ga0102.wav 1.1567 wsj0/si_tr_s/01t/01ta0102.wav -1.1567 \n",
    "tt": "wsj0/si_dt_05/050/050a0101.wav 0 wsj0/si_et_05/440/440a0101.wav 0 \n",
}


def noise(name: str, level: float = 0.05) -> np.ndarray:
    """(time,) int16 at 16 kHz, between 0.5 and 0.75 s, with a pause in it."""
    rng = np.random.default_rng([ord(letter) for letter in name])
    samples = rng.standard_normal(rng.integers(8000, 12000)) * level
    samples[3000:4000] = 0
    return np.rint(samples * 2**15).astype(np.int16)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Discs with SPHERE files, and lists of two speakers."""
    root = tmp_path / "wsj0-discs"
    for folder, names in UTTERANCES.items():
        for name in names:
            sphere.write(root / folder / name[:3] / f"{name}.wv1", noise(name)[None], 16000)
            sphere.write(root / folder / name[:3] / f"{name}.wv2", noise(name + "2")[None], 16000)
    (root / "lists").mkdir()
    for split, text in LISTS.items():
        (root / "lists" / f"mix_2_spk_{split}.txt").write_text(text)
    return root


def integers(path: Path) -> np.ndarray:
    return np.rint(audio.read(path)[0].numpy() * 2**15).astype(int)


def triple(data: Path, name: str, folder: str = "2speakers/wav8k/min/tr") -> np.ndarray:
    """Mixture and sources of a file, (3, time), integers."""
    return np.stack([integers(data / folder / role / f"{name}.wav") for role in ("mix", "s1", "s2")])


def matlab_mixture(names: list[str], gains: list[float], rate: int = 8000, mode: str = "min") -> np.ndarray:
    """The steps of `create_wav_2speakers.m`, in its order, in double precision: (3, time), integers."""
    sources = []
    for name, gain in zip(names, gains, strict=True):
        speech = noise(name) / 2**15
        level = active_level(resample(speech, 16000, 8000), 8000)
        sources.append(10 ** (gain / 20) * resample(speech, 16000, rate) / np.sqrt(level))
    lengths = [len(source) for source in sources]
    if mode == "min":
        sources = [source[: min(lengths)] for source in sources]
    else:
        sources = [np.concatenate([source, np.zeros(max(lengths) - len(source))]) for source in sources]
    signals = np.stack([sources[0] + sources[1], *sources])
    scaled = 2**15 * signals / np.abs(signals).max() * 0.9
    return (np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)).astype(int)


@pytest.mark.parametrize(("rate", "mode"), [(8000, "min"), (8000, "max"), (16000, "min"), (16000, "max")])
def test_mixtures_are_those_of_the_matlab_scripts(corpus: Path, tmp_path: Path, rate: int, mode: str) -> None:
    wsj0_mix.prepare(corpus, tmp_path / "data", sample_rate=rate, mode=mode, nj=1)
    folder = f"2speakers/wav{rate // 1000}k/{mode}/tr"
    found = triple(tmp_path / "data", "01ta0101_0.5_20ga0101_-0.5", folder)
    expected = matlab_mixture(["01ta0101", "20ga0101"], [0.5, -0.5], rate, mode)
    assert found.shape == expected.shape
    assert np.abs(found).max() == round(0.9 * 2**15)
    difference = found - expected  # utterances are kept in single precision: now and then a last bit
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.01


def test_quiet_mixtures_stay_quiet_in_the_python_variant(corpus: Path, tmp_path: Path) -> None:
    name = "01ta0101_0.5_20ga0101_-0.5"
    sources = []
    for utterance, gain in (("01ta0101", 0.5), ("20ga0101", -0.5)):
        speech = resample((noise(utterance) / 2**15).astype(np.float32), 16000, 8000)
        sources.append(speech / np.sqrt(active_level(speech, 8000)) * 10 ** (gain / 20))
    time = min(map(len, sources))
    signals = np.stack([sources[0][:time] + sources[1][:time], sources[0][:time], sources[1][:time]])
    loud = np.rint(2**15 * signals / (np.abs(signals).max() / 0.9))
    wsj0_mix.prepare(corpus, tmp_path / "data", variant="pywsj0", nj=1)
    assert np.abs(triple(tmp_path / "data", name) - loud).max() <= 1

    levels = tmp_path / "levels"  # so large a level that no scaling is needed
    levels.mkdir()
    names = [utterance for group in UTTERANCES.values() for utterance in group]
    (levels / "activlev_all.txt").write_text("".join(f"{utterance} 1e2\n" for utterance in names))
    wsj0_mix.prepare(corpus, tmp_path / "data", variant="pywsj0", levels=levels, nj=1)
    source = np.rint(2**15 * 0.9 * resample(noise("01ta0101") / 2**15, 16000, 8000)[:time] / 10 * 10 ** (0.5 / 20))
    assert np.abs(triple(tmp_path / "data", name)[1] - source).max() <= 1


def test_manifests_tell_all_about_a_mixture(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    wsj0_mix.prepare(corpus, data, nj=1)
    manifest = Manifest.open(data / "wsj0-2mix/8k/min/cv.jsonl")
    (item,) = manifest
    assert item.id == "20ga0102_1.1567_01ta0102_-1.1567"
    assert (item.split, item.sample_rate, item.channels, item.sources) == ("cv", 8000, 1, ["s1", "s2"])
    assert item.labels["speakers"] == ["20g", "01t"]
    assert item.labels["utterances"] == ["20ga0102", "01ta0102"]
    assert item.labels["gains_db"] == [1.1567, -1.1567]
    assert manifest.header["edition"].startswith("partial (si_tr_s 4 of 12776, si_dt_05 1 of 1206, si_et_05 1 of 651)")
    assert "unverified lists mix_2_spk_tr.txt" in manifest.header["edition"]

    waveforms = {role: audio.read(manifest.path_of(item, role)) for role in item.audio}
    assert waveforms["mixture"].shape == (1, item.frames)
    torch.testing.assert_close(waveforms["s1"] + waveforms["s2"], waveforms["mixture"], atol=1e-4, rtol=0)
    speech = resample(noise("20ga0102") / 2**15, 16000, 8000)[: item.frames]
    np.testing.assert_allclose(waveforms["s1"][0], speech * item.labels["scaling"][0], atol=2e-5)

    utterances = Manifest.open(data / "wsj0/8k/tt.jsonl")
    assert [(u.id, u.labels["speaker"]) for u in utterances] == [("050a0101", "050"), ("440a0101", "440")]
    kept = audio.read(utterances.path_of(utterances[0], "speech"))
    np.testing.assert_allclose(kept[0], resample(noise("050a0101") / 2**15, 16000, 8000), atol=1e-7)
    assert utterances[0].labels["active_level"] == pytest.approx(active_level(kept[0].numpy(), 8000), rel=1e-6)


def test_a_second_run_does_nothing_and_a_changed_file_only_what_hangs_on_it(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"

    def times() -> dict[str, int]:
        return {str(path.relative_to(data)): path.stat().st_mtime_ns for path in data.rglob("*.wav")}

    wsj0_mix.prepare(corpus, data, nj=1)
    before, header = times(), Manifest.open(data / "wsj0-2mix/8k/min/tr.jsonl").header
    wsj0_mix.prepare(corpus, data, nj=1)
    assert times() == before
    assert Manifest.open(data / "wsj0-2mix/8k/min/tr.jsonl").header == header

    os.utime(corpus / "11-1.1/wsj0/si_tr_s/20g/20ga0101.wv1", ns=(1, 1))
    (data / "2speakers/wav8k/min/tt/s1/050a0101_0_440a0101_0.wav").unlink()
    wsj0_mix.prepare(corpus, data, nj=1)
    changed = {path for path, time in times().items() if before[path] != time}
    assert {path for path in changed if path.startswith("wsj0")} == {"wsj0/8k/tr/20g/20ga0101.wav"}
    assert {path.split("/")[3] for path in changed if path.startswith("2speakers")} == {"tr", "tt"}
    assert Manifest.open(data / "wsj0-2mix/8k/min/tr.jsonl").header["fingerprint"] != header["fingerprint"]


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def damage_stereo(path: Path) -> None:
    sphere.write(path, np.stack([noise("a")[:8000], noise("b")[:8000]]), 16000)


def damage_rate(path: Path) -> None:
    sphere.write(path, noise("a")[None], 8000)


def damage_silent(path: Path) -> None:
    sphere.write(path, np.zeros((1, 8000), np.int16), 16000)


def damage_nan(path: Path) -> None:
    soundfile.write(path.with_suffix(".wav"), np.full(8000, np.nan), 16000, subtype="FLOAT")  # preferred to .wv1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_truncated, "truncated"),
        (damage_stereo, "expected one channel at 16000 Hz, found 2 at 16000 Hz"),
        (damage_rate, "expected one channel at 16000 Hz, found 1 at 8000 Hz"),
        (damage_silent, "silent throughout"),
        (damage_nan, "expected finite samples"),
    ],
)
def test_a_bad_utterance_is_skipped_by_name_with_its_mixtures(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage, reason: str
) -> None:
    with (corpus / "lists/mix_2_spk_tr.txt").open("a") as stream:
        stream.write("wsj0/si_tr_s/01t/01ta0102.wav 1 wsj0/si_tr_s/20g/20ga0101.wav -1 \n")
    damage(corpus / "11-1.1/wsj0/si_tr_s/01t/01ta0101.wv1")
    wsj0_mix.prepare(corpus, tmp_path / "data", nj=1)
    assert [item.id for item in Manifest.open(tmp_path / "data/wsj0-2mix/8k/min/tr.jsonl")] == ["01ta0102_1_20ga0101_-1"]
    assert "skipped si_tr_s/01t/01ta0101: " in caplog.text
    assert reason in caplog.text
    assert "tr utterances: 1 of 3 skipped" in caplog.text
    assert "wsj0-2mix tr: 1 of 2 mixtures left out" in caplog.text
    with pytest.raises(UserError, match=r"si_tr_s/01t/01ta0101: .*Next"):
        wsj0_mix.prepare(corpus, tmp_path / "data", nj=1, strict=True)


def test_a_list_naming_a_missing_file(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (corpus / "lists/mix_2_spk_tr.txt").open("a") as stream:
        stream.write("wsj0/si_tr_s/01t/01ta0199.wav 1 wsj0/si_tr_s/20g/20ga0101.wav -1 \n")
    wsj0_mix.prepare(corpus, tmp_path / "data", nj=1)
    assert "tr: 1 utterances that are to be mixed are not in" in caplog.text
    assert "si_tr_s/01t/01ta0199" in caplog.text
    assert len(Manifest.open(tmp_path / "data/wsj0-2mix/8k/min/tr.jsonl")) == 1
    with pytest.raises(UserError, match=r"si_tr_s/01t/01ta0199\. Next"):
        wsj0_mix.prepare(corpus, tmp_path / "data", nj=1, strict=True)


def test_a_split_without_a_mixture_is_an_error_before_any_work(corpus: Path, tmp_path: Path) -> None:
    (corpus / "11-14.1/wsj0/si_et_05/440/440a0101.wv1").unlink()
    with pytest.raises(UserError, match=r"wsj0-2mix tt: expected the 2 utterances of its list in .*, found 1, too few"):
        wsj0_mix.prepare(corpus, tmp_path / "data", nj=1)
    assert not (tmp_path / "data").exists()


def test_more_speakers_than_voices_are_counted(corpus: Path, tmp_path: Path) -> None:
    line = "".join(
        f"wsj0/si_tr_s/{name[:3]}/{name}.wav {gain} "
        for name, gain in zip(UTTERANCES["11-1.1/wsj0/si_tr_s"], "1212", strict=True)
    )
    for split in LISTS:
        (corpus / "lists" / f"mix_4_spk_{split}.txt").write_text(line + "\n")
    wsj0_mix.prepare(corpus, tmp_path / "data", speakers=[4], nj=1)
    manifest = Manifest.open(tmp_path / "data/wsj0-4mix/8k/min/tr.jsonl")
    assert manifest.header["with_repeated_speaker"] == 1
    assert manifest[0].sources == ["s1", "s2", "s3", "s4"]


@pytest.mark.parametrize(
    "line", ["wsj0/si_tr_s/01t/a.wav 0.5 wsj0/si_tr_s/20g/b.wav", "a.wav 0.5 b.wav -0.5", "x/y/z.wav one x/y/w.wav two"]
)
def test_a_list_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "mix_2_spk_tr.txt"
    path.write_text(LISTS["tr"] + line + "\n")
    with pytest.raises(UserError, match=r"mix_2_spk_tr.txt, line 2: expected 2 paths and gains by turns"):
        _wsj0.read_list(path, 2)


def test_levels_of_another_form_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected files activlev_\*\.txt"):
        _wsj0.read_levels(tmp_path)
    (tmp_path / "activlev_x.txt").write_text("01ta0101 5.0e-04\n01ta0102\n")
    with pytest.raises(UserError, match=r"activlev_x.txt, line 2"):
        _wsj0.read_levels(tmp_path)


def test_utterances_are_found_in_any_case_and_the_second_microphone_is_not(tmp_path: Path) -> None:
    for name in (
        "D/WSJ0/SI_TR_S/01T/01TA0101.WV1",
        "D/WSJ0/SI_TR_S/01T/01TA0101.WV2",
        "D/WSJ0/SI_TR_S/01T/01TA0102.WV2",
        "D/WSJ0/SI_TR_S/01T/._01TA0101.WV1",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert _wsj0.index(tmp_path) == {"si_tr_s/01t/01ta0101": tmp_path / "D/WSJ0/SI_TR_S/01T/01TA0101.WV1"}
    merged = tmp_path / "wsj0/si_tr_s/01t/01ta0101.wav"
    merged.parent.mkdir(parents=True)
    merged.touch()
    assert _wsj0.index(tmp_path) == {"si_tr_s/01t/01ta0101": merged}  # quicker to read


def test_links_between_discs_are_followed_once(tmp_path: Path) -> None:
    disc = tmp_path / "disc/si_tr_s/01t"
    disc.mkdir(parents=True)
    (disc / "01ta0101.wv1").touch()
    (tmp_path / "wsj0").mkdir()
    (tmp_path / "wsj0/si_tr_s").symlink_to(tmp_path / "disc/si_tr_s")
    (tmp_path / "disc/loop").symlink_to(tmp_path)
    assert list(_wsj0.index(tmp_path / "wsj0")) == ["si_tr_s/01t/01ta0101"]
    assert list(_wsj0.index(tmp_path)) == ["si_tr_s/01t/01ta0101"]


def test_wrong_folders_are_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"WSJ0: no such folder: .*Next: see egs/wsj0_mix/README.md"):
        wsj0_mix.prepare(tmp_path / "nowhere", tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="the folder is empty"):
        wsj0_mix.verify(tmp_path / "empty")
    (tmp_path / "other/music").mkdir(parents=True)
    with pytest.raises(UserError, match=r"expected WSJ0 .*found music\. Next"):
        wsj0_mix.verify(tmp_path / "other")
    with pytest.raises(UserError, match=r"--speakers: expected numbers from 2 up"):
        wsj0_mix.prepare(tmp_path / "other", tmp_path / "data", speakers=[1])


def test_lists_that_were_not_fetched(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such list of mixtures: .*mix_3_spk_tr.txt\. Next: run the stage `fetch`"):
        wsj0_mix.prepare(corpus, tmp_path / "data", speakers=[3])


def test_fetch_takes_the_published_lists_only(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected sha256 9ba81d1d"):
        wsj0_mix.fetch(corpus, tmp_path / "data", url=str(corpus / "lists"))
    with pytest.raises(UserError, match="cannot fetch"):
        wsj0_mix.fetch(corpus, tmp_path / "data", url=(tmp_path / "nowhere").as_uri())


@pytest.mark.real
def test_published_lists(corpus: Path, tmp_path: Path, shared_data: Path) -> None:
    published = shared_data / "wsj0mix"
    wsj0_mix.fetch(corpus, tmp_path / "data", url=str(published))
    levels = _wsj0.read_levels(published / "activlev")
    assert len(levels) == sum(_wsj0.FOLDERS.values())
    for n in (2, 3):
        for split, count in _wsj0.MIXTURES.items():
            mixtures = _wsj0.read_list(tmp_path / "data/lists" / f"mix_{n}_spk_{split}.txt", n)
            assert len({mixture.name for mixture in mixtures}) == len(mixtures) == count
            assert all(len({key.split("/")[1] for key in mixture.utterances}) == n for mixture in mixtures)
            assert all(key.rpartition("/")[2] in levels for mixture in mixtures for key in mixture.utterances)
            if n == 2:
                names = (published / f"mix_2_spk_min_{split}_mix").read_text().split()
                assert [mixture.name for mixture in mixtures] == names


def test_mixtures_already_made_are_checked_and_listed(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made, data = tmp_path / "made", tmp_path / "data"
    wsj0_mix.prepare(corpus, made, nj=1)
    bad = made / "2speakers/wav8k/min/tr"
    for role in ("mix", "s1"):
        path = next((bad / role).glob("*.wav"))
        path.with_name(f".{path.stem}.123.partial.wav").touch()
        path.with_name("01ta0101_2_20ga0101_-2.wav").write_bytes(path.read_bytes())
    assert wsj0_mix.verify(made) == "partial (tr 2 of 20000 mixtures, cv 1 of 5000 mixtures, tt 1 of 3000 mixtures)"
    wsj0_mix.fetch(made, data)
    wsj0_mix.prepare(made, data, nj=1)
    assert "skipped 01ta0101_2_20ga0101_-2: no such audio file" in caplog.text
    (item,) = manifest = Manifest.open(data / "wsj0-2mix/8k/min/tr.jsonl")
    assert item.labels == {"speakers": ["01t", "20g"], "utterances": ["01ta0101", "20ga0101"], "gains_db": [0.5, -0.5]}
    assert manifest.path_of(item, "s2").resolve() == (bad / "s2" / f"{item.id}.wav").resolve()
    assert not list(data.rglob("*.wav"))
    with pytest.raises(UserError, match=r"expected WSJ0"):
        wsj0_mix.prepare(made, data, mode="max")


def test_the_mini_corpus_is_small_whole_and_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {folder: names[:1] for folder, names in _wsj0_mini.SPEAKERS.items()}
    monkeypatch.setattr(
        _wsj0_mini, "SPEAKERS", few | {"11-1.1/wsj0/si_tr_s": ("011", "01a"), "11-6.1/wsj0/si_dt_05": ("050", "22g")}
    )
    for name, value in {"TRAINING": 2, "VALIDATION": 1, "TEST": 1, "MIXTURES": {"tr": 6, "cv": 1, "tt": 1}}.items():
        monkeypatch.setattr(_wsj0_mini, name, value)
    first, second, other = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    for folder, seed in ((first, 0), (second, 0), (other, 1)):
        wsj0_mix.make_mini(folder, seed)
    contents = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (first, second, other)]
    assert contents[0] == contents[1] != contents[2]
    assert wsj0_mix.verify(first) == "mini"
    utterance = next(first.glob("11-6.1/wsj0/si_dt_05/050/*.wv1"))
    assert sphere.read_header(str(utterance)).coding.startswith("pcm,embedded-shorten")
    wsj0_mix.fetch(first, tmp_path / "data")
    wsj0_mix.prepare(first, tmp_path / "data", speakers=[2, 3], nj=1)
    assert len(Manifest.open(tmp_path / "data/wsj0-3mix/8k/min/tr.jsonl")) == 6
    assert Manifest.open(tmp_path / "data/wsj0/8k/tr.jsonl").header["edition"] == "mini"
