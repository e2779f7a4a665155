"""`toolkit pitch`: the pitch curves of recordings of any rate, length and number of channels, as CSV, JSON or pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from toolkit import files, log, progress
from toolkit.audio import Recording
from toolkit.data.annotations import F0, read_f0
from toolkit.infer.told import Failures, as_csv, as_json, expand, files_for, opened_recording
from toolkit.infer.tracker import PitchCurve, TrainedPitch, joined, pieces
from toolkit.log import UserError
from toolkit.metrics import melody
from toolkit.report.table import Table
from toolkit.train import distributed

COLUMNS = ["time", "frequency", "confidence"]  # as other trackers of pitch name them
METRICS = {"raw pitch accuracy": "rpa", "raw chroma accuracy": "rca", "overall accuracy": "oa"}
TOLERANCES = (50, 25)  # cents

logger = log.get(__name__)


@dataclass(frozen=True)
class Told:
    """What is told of each recording, and how.

    Attributes:
        form: `csv`, one frame a line; `json`, one object a line and recording.
        threshold: a frame of which the model is less sure is unvoiced, 0 Hz; None for none, and beside a reference for that
            at which the model was scored.
        folder: for a file of each recording's curve; None to tell it.
        pictures: for a picture of each recording's curve over its spectrum; None for none.
        reference: an annotated curve, whose agreement with that of the one recording is told instead; None for none.

    Raises:
        UserError: the threshold is no confidence.
    """

    form: Literal["csv", "json"] = "csv"
    threshold: float | None = None
    folder: Path | None = None
    pictures: Path | None = None
    reference: Path | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UserError(f"--threshold: expected a confidence from 0 to 1, found {self.threshold:g}")


def pitch(inputs: Sequence[str], model: Path, told: Told, device: str = "auto") -> Iterator[str]:
    """Track the pitch of recordings.

    Args:
        inputs: paths of audio files, or patterns such as ``solos/*.wav``.
        model: a trained experiment, or a pack.
        told: what is told of each.
        device: `auto`, `cpu`, `cuda`.

    Yields:
        What is told, a recording at a time.

    Raises:
        UserError: there is no model or reference, or (at the end) some recordings could not be read.
    """
    paths = expand(inputs)
    if told.reference is not None and len(paths) != 1:
        raise UserError(f"--reference: expected one recording beside it, found {len(paths)}")
    reference = None if told.reference is None else read_f0(told.reference)
    tracker = TrainedPitch(model).to(distributed.start(device))
    targets = files_for(paths, told.folder, f".{told.form}") if told.folder is not None else {}
    pictures = files_for(paths, told.pictures, ".png") if told.pictures is not None else {}
    several = len(paths) > 1 and told.folder is None
    if told.form == "csv" and not targets and reference is None:
        yield as_csv([["file", *COLUMNS] if several else COLUMNS])
    failures = Failures("tracked")
    for path in paths:
        with failures.at(path):
            recording = opened_recording(path)
            tracked = _track(tracker, recording, path.name)
            curve = tracked.voiced(told.threshold or 0.0)
            if path in targets:
                files.write_text(targets[path], _file(path, curve, told.form))
                logger.info("%s", targets[path])
            elif reference is None:
                yield _text(path, curve, told.form, several)
            if path in pictures:
                _draw(pictures[path], path.name, tracker, recording, curve)
            if reference is not None:
                yield agreement(tracked, reference, tracker.voiced if told.threshold is None else told.threshold).text()
    failures.tell()


def agreement(curve: PitchCurve, reference: F0, threshold: float) -> Table:
    """How far a curve agrees with an annotation, as mir_eval.melody measures that.

    Args:
        curve: as it was tracked.
        reference: what was annotated.
        threshold: confidence from which on a frame counts as voiced.
    """
    estimate = torch.where(curve.confidence >= threshold, curve.hertz, -curve.hertz)  # below 0: a pitch, but not thought voiced
    curves = melody.align(reference.times, np.array(reference.hz), curve.seconds, estimate)
    found = melody.evaluate(curves, [f"{name}@{tolerance}" for name in METRICS.values() for tolerance in TOLERANCES])
    rows = [
        [title, *(f"{100 * found[f'{name}@{tolerance}']:.2f}" for tolerance in TOLERANCES)] for title, name in METRICS.items()
    ]
    headings = [f"{tolerance} cents" for tolerance in TOLERANCES]
    return Table(["%", *headings], rows, headings)


def _track(tracker: TrainedPitch, recording: Recording, name: str) -> PitchCurve:
    seconds = recording.frames / recording.sample_rate
    frame = tracker.hop_length / tracker.sample_rate
    return joined(progress.track(tracker.stream(recording), name, seconds, lambda part: frame * len(part.hertz), "s"))


def _text(path: Path, curve: PitchCurve, form: str, named: bool) -> str:
    if form == "csv":
        return as_csv([[path, *row] if named else row for row in _rows(curve)])
    columns: list[Sequence[float]] = list(zip(*_rows(curve), strict=True))
    return as_json({"file": str(path), **dict(zip(COLUMNS, columns, strict=True))})


def _file(path: Path, curve: PitchCurve, form: str) -> str:
    return (as_csv([COLUMNS]) if form == "csv" else "") + _text(path, curve, form, named=False)


def _rows(curve: PitchCurve) -> list[list[float]]:
    """Seconds, Hz, confidence of each frame, with as many digits as mean anything."""
    values = zip(*(part.tolist() for part in curve), strict=True)
    return [[round(seconds, 6), round(hertz, 3), round(sure, 4)] for seconds, hertz, sure in values]


def _draw(target: Path, title: str, tracker: TrainedPitch, recording: Recording, curve: PitchCurve) -> None:
    from toolkit.report.pitch_picture import Spectrogram, draw

    rate = tracker.sample_rate
    samples = -(-recording.frames * rate // recording.sample_rate)
    spectrogram = Spectrogram(rate, tracker.hop_length, samples)
    decibels = spectrogram.of(pieces(recording, rate, 4 * rate))
    draw(target, title, curve, decibels, spectrogram.frequencies, spectrogram.frames)
    logger.info("%s", target)
