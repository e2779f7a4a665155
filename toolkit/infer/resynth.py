"""`toolkit resynth`: a recording played again by an instrument that a model was trained on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast, get_args

from toolkit import config, log, progress
from toolkit.audio import Encoding, Recording, writing
from toolkit.audio.encode import Format
from toolkit.blocks.pitch_trackers import CREPEPitch, PYINPitch
from toolkit.infer.synthesizer import MOST, Tracker, TrainedSynthesis
from toolkit.log import UserError
from toolkit.tasks.experiment import COMPRESSED
from toolkit.tasks.tracker import PESTOPitch
from toolkit.train import distributed

FOLDER = Path("resynthesized")
PACKAGED: dict[str, type[PYINPitch] | type[CREPEPitch]] = {"pyin": PYINPitch, "crepe": CREPEPitch}

logger = log.get(__name__)


def resynth(
    recording: Path,
    model: Path,
    instrument: str | None = None,
    transpose: float = 0.0,
    out: Path | None = None,
    pitch: str | None = None,
    device: str = "auto",
) -> Path:
    """Play a recording again.

    Args:
        recording: an audio file.
        model: a trained experiment, a pack, or a folder of such.
        instrument: that the model was trained on; None where there is one model only.
        transpose: semitones upwards.
        out: the file to write, a WAV, FLAC or MP3 file by its suffix; None for one in `FOLDER`.
        pitch: how the recording's pitch is told: `pyin`, `crepe`, or a trained experiment or pack of a model of pitch; None for
            what the model was trained with, or pYIN where that was annotated.
        device: `auto`, `cpu`, `cuda`.

    Returns:
        The file written.

    Raises:
        UserError: there is no such model or recording, or the model cannot do what is asked for.
    """
    if not -MOST <= transpose <= MOST:
        raise UserError(f"--transpose: expected {-MOST:g} to {MOST:g} semitones, found {transpose:g}")
    exp = choose(model, instrument)
    name = f"{recording.stem}-{instrument or exp.absolute().name}{f'{transpose:+g}' if transpose else ''}.wav"
    target = FOLDER / name if out is None else out
    encoding = Encoding(_format(target))
    place = distributed.start(device)
    trained = TrainedSynthesis(exp).to(place)
    if pitch is not None:
        trained.tracker = tracker(pitch, trained.sample_rate, trained.hop_length)
    sound = Recording.of_file(recording)
    if not sound.frames:
        raise UserError(f"{recording} holds no samples")
    _write(sound, trained, transpose, target, encoding)
    return target


def choose(model: Path, instrument: str | None = None) -> Path:
    """The experiment that is meant.

    Args:
        model: a trained experiment or a pack of synthesis, or a folder of such.
        instrument: a part of the name of the data that it was trained on: ``urmp/ddx7/trumpet/train``.

    Raises:
        UserError: there is none, or several; tells which there are.
    """
    found = {exp: data for exp in (model, *sorted(_folders(model))) if (data := _trained_on(exp)) is not None}
    if not found:
        raise UserError(f"no trained model of synthesis at {model}. Next: train one, or give --model another folder")
    there = ", ".join(f"{exp} ({data})" for exp, data in found.items())
    if instrument is not None:
        chosen = [exp for exp, data in found.items() if instrument in data.split("/")]
        if not chosen:
            raise UserError(f"--as {instrument}: no model was trained on that. There are: {there}")
    else:
        chosen = list(found)
    if len(chosen) > 1:
        several = ", ".join(str(exp) for exp in chosen) if instrument is not None else there
        raise UserError(f"several models are meant: {several}. Next: --model {chosen[0]}")
    return chosen[0]


def tracker(pitch: str, sample_rate: int, hop_length: int) -> Tracker:
    """What tells the pitch in the frames of a model of synthesis.

    Args:
        pitch: `pyin`, `crepe`, or a trained experiment or a pack.
        sample_rate: Hz.
        hop_length: samples of a frame.

    Raises:
        UserError: it is none of them.
    """
    try:
        if pitch in PACKAGED:
            return PACKAGED[pitch](sample_rate, hop_length).compute
    except ValueError as error:
        raise UserError(f"--pitch {pitch}: {error}") from error
    if not (Path(pitch) / "config.yaml").is_file():
        raise UserError(f"--pitch: expected {', '.join(PACKAGED)} or the folder of a trained model of pitch, found {pitch!r}")
    # However unsure the model is, there is a pitch, as in the data that DDX7 was trained on.
    return PESTOPitch(pitch, sample_rate, hop_length, least_confidence=0.0).compute


def _folders(model: Path) -> list[Path]:
    return [path for path in model.iterdir() if path.is_dir()] if model.is_dir() else []


def _trained_on(exp: Path) -> str | None:
    """Name of the data that a model of synthesis was trained on; None if there is no such model."""
    path = exp / "config.yaml"
    if not path.is_file() or not any((exp / name).is_file() for name in ("model.safetensors", COMPRESSED)):
        return None
    tree = config.read(path)
    return str(config.section(tree, "data").get("train")) if tree.get("task") == "synthesis" else None


def _format(path: Path) -> Format:
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in get_args(Format):
        raise UserError(f"--out: expected a name that ends in .{', .'.join(get_args(Format))}, found {path.name!r}")
    return cast(Format, suffix)


def _write(recording: Recording, trained: TrainedSynthesis, transpose: float, target: Path, encoding: Encoding) -> None:
    began, rate = time.monotonic(), recording.sample_rate
    seconds = recording.frames / rate
    blocks = progress.track(trained.stream(recording, transpose), target.name, seconds, lambda block: len(block) / rate, "s")
    with writing(target, recording.frames, rate, 1, encoding) as write:
        for block in blocks:
            write(block[None])
    taken = time.monotonic() - began
    logger.info("%s (%.1f s, %.1f times real time)", target, taken, seconds / taken)
