"""A trained model of synthesis on recordings of one's own: from Python, from the command line, live, as a pack."""

import copy
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pitch_verb import CONFIG as TINY_PESTO
from test_pitch_verb import experiment
from torch import Tensor

import toolkit
from toolkit import audio
from toolkit.audio import Recording
from toolkit.cli import main
from toolkit.data.performances import Performance
from toolkit.infer.resynth import choose, tracker
from toolkit.infer.synthesizer import TrainedSynthesis
from toolkit.infer.tracker import TrainedPitch
from toolkit.log import UserError

RATE, HOP = 8000, 64
RATES = {"sample_rate": RATE, "hop_length": HOP}
FM = {"class_path": "FMSynthesizer", "init_args": {"patch": "1stack2", "max_level": 0.3}}
NOISY = {"class_path": "HarmonicNoise", "init_args": {"harmonics": 4, "bands": 100}}
CONFIG: dict[str, Any] = {
    "task": "synthesis",
    "data": {
        **dict.fromkeys(("train", "valid", "test"), "urmp/ddx7/violin/train"),
        "waveform": {"class_path": "ExactWaveform", "init_args": {"sample_rate": RATE}},
        "f0": {"class_path": "AnnotatedPitch", "init_args": RATES},
        "loudness": {"class_path": "Loudness", "init_args": {**RATES, "n_fft": 512}},
        "batch_size": 2,
    },
    "model": {
        "class_path": "Resynthesizer",
        "init_args": {
            **RATES,
            "controller": {"class_path": "CausalTCN", "init_args": {"hidden": 4, "blocks": 2, "dropout": 0.0}},
            "synthesizer": FM,
            "effect": {"class_path": "NoiseReverb", "init_args": {"taps": 50, "sample_rate": RATE}},
        },
    },
    "loss": {"class_path": "MultiScaleSpectral"},
    "optimizer": {"class_path": "Adam"},
}
LISTENING = {
    "class_path": "SpectralAutoencoder",
    "init_args": {"sample_rate": RATE, "f_min": 65.4, "bins": 150, "channels": [4, 3], "harmonics": 3},
}


def of(instrument: str, **model: Any) -> dict[str, Any]:
    tree = copy.deepcopy(CONFIG)
    tree["data"] |= dict.fromkeys(("train", "valid", "test"), f"urmp/ddx7/{instrument}/train")
    tree["model"]["init_args"] |= model
    return tree


@pytest.fixture(scope="module")
def exps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of experiments, as a recipe leaves it."""
    folder = tmp_path_factory.mktemp("exp")
    experiment(folder / "violin_6", of("violin"))
    experiment(folder / "flute_hpn", of("flute", synthesizer=NOISY))
    listening = {**CONFIG, "data": {**CONFIG["data"], "f0": None, "loudness": None}, "model": LISTENING}
    experiment(folder / "other" / "listening", listening)
    experiment(folder / "other" / "pesto", TINY_PESTO)
    experiment(folder / "untrained", of("trumpet"))
    (folder / "untrained" / "model.safetensors").unlink()
    return folder


@pytest.fixture(scope="module", params=["violin_6", "flute_hpn"])
def synthesis(request: pytest.FixtureRequest, exps: Path) -> TrainedSynthesis:
    """Operators, whose latency is half a frame, and harmonics with noise, whose latency is longer than a frame."""
    return TrainedSynthesis(exps / request.param)


@pytest.fixture(scope="module")
def violin(exps: Path) -> TrainedSynthesis:
    return TrainedSynthesis(exps / "violin_6")


def tone(seconds: float = 0.5, hertz: float = 330.0, channels: int = 1, rate: int = RATE) -> Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    wave = sum((torch.sin(2 * torch.pi * hertz * number * time) / number for number in (1, 2, 3)), torch.zeros(len(time)))
    return torch.stack([0.2 * wave * (1 - 0.1 * channel) for channel in range(channels)])


def curves(frames: int) -> tuple[Tensor, Tensor]:
    """Pitch with a gap, and loudness."""
    f0 = 300 + 3 * torch.arange(float(frames))
    f0[frames // 3 : frames // 2] = 0
    return f0, -30 + 10 * torch.sin(torch.arange(float(frames)) / 5)


def whole(trained: TrainedSynthesis, f0: Tensor, loudness: Tensor) -> Tensor:
    """What the model makes of curves in one piece: (T,)."""
    with torch.no_grad():
        rendered: Tensor = trained.model(Performance(torch.zeros(1, 0), f0[None], loudness[None], torch.tensor([0]), [""]))
    return rendered[0]


# From Python


def test_a_recording_is_played_again(exps: Path) -> None:
    model = toolkit.load(exps / "violin_6")
    assert isinstance(model, TrainedSynthesis)
    wave = tone()
    played = model.resynthesize(wave, RATE)
    assert played.shape == wave.shape[1:]
    performance, peak = model.performance(Recording.of_waveform(wave, RATE))
    assert peak == pytest.approx(float(wave.abs().max()))
    assert performance.f0[0, 20:40].tolist() == pytest.approx(20 * [330], rel=0.01)
    torch.testing.assert_close(played, peak * whole(model, performance.f0[0], performance.loudness[0])[: len(played)])


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 2), (11025, 1), (48000, 2)])
def test_other_rates_and_channels_there_and_back(synthesis: TrainedSynthesis, rate: int, channels: int) -> None:
    played = synthesis.resynthesize(tone(0.31, rate=rate, channels=channels), rate)
    assert played.shape == (round(0.31 * rate),)
    at_own_rate = synthesis.resynthesize(tone(0.31, channels=channels), RATE)
    assert played.square().mean().item() == pytest.approx(at_own_rate.square().mean().item(), rel=0.15)


@pytest.mark.parametrize("samples", [1, HOP - 1, HOP + 1])
def test_what_is_very_short_is_as_long_again(synthesis: TrainedSynthesis, samples: int) -> None:
    assert synthesis.resynthesize(tone()[:, :samples], RATE).shape == (samples,)


def test_silence_is_played(synthesis: TrainedSynthesis) -> None:
    assert not synthesis.resynthesize(torch.zeros(1, 500), RATE).any()


def test_what_is_rendered_is_as_loud_as_what_was_played(synthesis: TrainedSynthesis) -> None:
    loud, soft = (synthesis.resynthesize(gain * tone(), RATE) for gain in (1, 0.01))
    torch.testing.assert_close(soft, 0.01 * loud, rtol=1e-3, atol=1e-6)


def test_transposition_is_of_the_pitch(violin: TrainedSynthesis) -> None:
    performance, peak = violin.performance(Recording.of_waveform(tone(), RATE))
    higher = whole(violin, performance.f0[0] * 2, performance.loudness[0])
    torch.testing.assert_close(violin.resynthesize(tone(), RATE, transpose=12), peak * higher[: tone().shape[1]])


def test_a_model_that_listens_is_given_the_sound(exps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = TrainedSynthesis(exps / "other" / "listening")
    assert not trained.live
    played, higher = (trained.resynthesize(tone(), RATE, semitones) for semitones in (0, 12))
    assert played.shape == higher.shape == (4000,)
    assert (played - higher).abs().max() > 1e-3
    with pytest.raises(UserError, match="does not play while it is told what"):
        trained.player()
    monkeypatch.delattr(type(trained.model), "transposed")
    with pytest.raises(UserError, match="reads the pitch from the sound itself, so that it cannot transpose"):
        trained.resynthesize(tone(), RATE, 12)


def test_a_model_of_pitch_may_tell_it(exps: Path, violin: TrainedSynthesis, monkeypatch: pytest.MonkeyPatch) -> None:
    pitch = TrainedPitch(exps / "other" / "pesto")
    monkeypatch.setattr(violin, "tracker", tracker(str(exps / "other" / "pesto"), RATE, HOP))
    performance, _ = violin.performance(Recording.of_waveform(tone(), RATE))
    curve = pitch.pitch(tone() / tone().abs().max(), RATE)
    assert performance.f0.shape == (1, math.ceil(4000 / HOP))
    assert performance.f0[0, 5].item() == pytest.approx(curve.hertz[4].item(), rel=1e-3)  # both at 40 ms


@pytest.mark.parametrize("wave", [torch.ones(1, 100, dtype=torch.int16), torch.ones(0)])
def test_what_is_no_waveform_is_not_played(synthesis: TrainedSynthesis, wave: Tensor) -> None:
    with pytest.raises(ValueError, match="wave: expected"):
        synthesis.resynthesize(wave, RATE)


# Live


@given(cuts=st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=10)
def test_frames_a_few_at_a_time_sound_as_all_at_once(synthesis: TrainedSynthesis, cuts: list[int]) -> None:
    f0, loudness = curves(60)
    player, places = synthesis.player(), np.sort(cuts)
    parts = [
        player.play(hertz, decibels)
        for hertz, decibels in zip(np.split(f0.numpy(), places), np.split(loudness.numpy(), places), strict=True)
    ]
    assert sum(map(len, parts)) == 60 * HOP
    played = torch.cat([*parts, player.rest()])
    assert played[: player.latency].abs().max() < 1e-5
    torch.testing.assert_close(played[player.latency :], whole(synthesis, f0, loudness), rtol=1e-4, atol=1e-5)


def test_nothing_told_nothing_played(synthesis: TrainedSynthesis) -> None:
    player = synthesis.player()
    assert not len(player.play([], []))
    assert not len(player.rest())
    with pytest.raises(ValueError, match="of one length"):
        player.play([440.0, 440.0], [-20.0])


def test_long_recordings_are_rendered_in_blocks(exps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = TrainedSynthesis(exps / "flute_hpn")
    monkeypatch.setattr("toolkit.infer.synthesizer.AT_ONCE", 0.1)
    f0, loudness = curves(60)
    performance = Performance(torch.zeros(1, 0), f0[None], loudness[None], torch.tensor([60 * HOP - 7]), [""])
    blocks = list(trained.render(performance))
    assert len(blocks) > 4
    torch.testing.assert_close(torch.cat(blocks), whole(trained, f0, loudness)[:-7], rtol=1e-4, atol=1e-5)


def test_long_recordings_are_heard_in_pieces(violin: TrainedSynthesis, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording.of_waveform(torch.cat([tone(1), tone(1.01, hertz=440)], 1), RATE)
    once, _ = violin.performance(recording)
    monkeypatch.setattr("toolkit.infer.synthesizer.HEARD_AT_ONCE", 0.5)
    monkeypatch.setattr("toolkit.infer.synthesizer.MARGIN", 0.3)
    pieces, _ = violin.performance(recording)
    torch.testing.assert_close(pieces.loudness, once.loudness)
    assert (pieces.f0 == once.f0).float().mean() > 0.97


# From the command line


@pytest.fixture
def solo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    audio.write(tmp_path / "solo.wav", tone(0.5, channels=2, rate=11025), 11025)
    return tmp_path / "solo.wav"


def test_the_model_that_was_trained_on_an_instrument(exps: Path, violin: TrainedSynthesis, solo: Path) -> None:
    main(["resynth", str(solo), "--model", str(exps), "--as", "violin", "--transpose", "-5"])
    played = solo.parent / "resynthesized" / "solo-violin-5.wav"
    assert audio.info(played) == audio.info(solo)._replace(channels=1)
    expected = violin.resynthesize(audio.read(solo), 11025, -5)
    torch.testing.assert_close(audio.read(played)[0], expected, rtol=0, atol=1e-4)


def test_a_model_that_one_stands_in_has_a_name(exps: Path, solo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(exps / "violin_6", solo.parent / "violin_6"))
    main(["resynth", str(solo), "--model", "."])
    assert [path.name for path in Path("resynthesized").iterdir()] == ["solo-violin_6.wav"]


@pytest.mark.parametrize("name", ["deep/out.flac", "out.mp3"])
def test_formats(exps: Path, solo: Path, name: str) -> None:
    main(["resynth", str(solo), "--model", str(exps / "flute_hpn"), "--out", name, "--pitch", "pyin"])
    assert audio.info(name).sample_rate == 11025


def test_pitch_by_a_trained_model(exps: Path, solo: Path) -> None:
    words = ["resynth", str(solo), "--model", str(exps / "violin_6")]
    main([*words, "--pitch", str(exps / "other" / "pesto"), "--out", "a.wav"])
    main([*words, "--out", "b.wav"])
    assert not torch.equal(audio.read("a.wav"), audio.read("b.wav"))


@pytest.mark.parametrize(
    ("model", "words", "told"),
    [
        ("", ["--as", "trumpet"], r"--as trumpet: no model was trained on that. There are: .*flute_hpn \(urmp/ddx7/flute"),
        ("", [], "several models are meant: .*flute_hpn"),
        ("violin_6", ["--as", "flute"], "--as flute: no model was trained on that"),
        ("untrained", [], "no trained model of synthesis at"),
        ("nowhere", [], "no trained model of synthesis at"),
        ("other/pesto", [], "no trained model of synthesis at"),
        ("violin_6", ["--pitch", "ear"], "--pitch: expected pyin, crepe or the folder"),
        ("violin_6", ["--pitch", "crepe"], "--pitch crepe: CREPE hears 16000 Hz"),
        ("violin_6", ["--transpose", "49"], "--transpose: expected -48 to 48"),
        ("violin_6", ["--out", "out.ogg"], "--out: expected a name that ends in"),
    ],
)
def test_what_cannot_be(
    exps: Path, solo: Path, capsys: pytest.CaptureFixture[str], model: str, words: list[str], told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["resynth", str(solo), "--model", str(exps / model), *words])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(told, said)


@pytest.mark.parametrize(
    ("name", "told"), [("no.wav", "no such audio file"), ("bad.wav", "cannot read"), ("0.wav", "no samples")]
)
def test_files_that_cannot_be_read(exps: Path, solo: Path, capsys: pytest.CaptureFixture[str], name: str, told: str) -> None:
    (solo.parent / "bad.wav").write_text("no sound")
    audio.write(solo.parent / "0.wav", torch.zeros(1, 0), RATE)
    with pytest.raises(SystemExit) as ended:
        main(["resynth", name, "--model", str(exps / "violin_6")])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert not (solo.parent / "resynthesized").exists()


def test_two_models_of_one_instrument_are_told_apart_by_their_folders(exps: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(exps / "violin_6", tmp_path / name)
    with pytest.raises(UserError, match=r"several models are meant: .*one, .*two. Next: --model .*one"):
        choose(tmp_path, "violin")
    assert choose(tmp_path / "two") == tmp_path / "two"


# As a pack


def test_a_packed_model_plays_as_the_experiment_does(exps: Path, violin: TrainedSynthesis, tmp_path: Path) -> None:
    main(["pack", str(exps / "violin_6"), "-o", str(tmp_path / "fm_violin")])
    packed = TrainedSynthesis(tmp_path / "fm_violin")
    torch.testing.assert_close(
        packed.resynthesize(tone(), RATE), TrainedSynthesis(exps / "violin_6").resynthesize(tone(), RATE)
    )
    card = (tmp_path / "fm_violin" / "MODEL_CARD.md").read_text()
    assert "toolkit resynth solo.wav --model fm_violin" in card
    assert "f0" not in card.partition("## Use")[0]
    assert "sound = model.player().play(f0, loudness)" in card


@pytest.mark.real
def test_a_real_trumpet(exps: Path, violin: TrainedSynthesis, shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "recordings" / "sorohanro_-_solo-trumpet-06.hq.ogg"
    main(["resynth", str(path), "--model", str(exps), "--as", "violin", "--out", str(tmp_path / "out.wav")])
    assert audio.info(tmp_path / "out.wav") == audio.info(path)._replace(channels=1)
    assert audio.read(tmp_path / "out.wav").any()
    performance, _ = violin.performance(Recording.of_file(path))
    played = performance.f0[performance.f0 > 0]
    assert len(played) > 200  # of 8 ms
    assert played.quantile(0.05) == pytest.approx(350, rel=0.03)  # F4
    assert played.quantile(0.95) == pytest.approx(582, rel=0.03)  # D5
    assert performance.loudness[0, :300].mean() > performance.loudness[0, -100:].mean() + 20
