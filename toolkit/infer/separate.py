"""`toolkit separate`: any recording through a trained experiment, of any rate, length and number of channels."""

from __future__ import annotations

from pathlib import Path

import torch

from toolkit import audio, log
from toolkit.tasks.experiment import load
from toolkit.train import distributed

logger = log.get(__name__)


def separate(recording: Path, exp: Path, out: Path, device: str) -> list[Path]:
    """Write what the model makes of `recording` to `<out>/<name>/<role>.wav`, at the recording's own rate.

    Args:
        recording: audio file.
        exp: a trained experiment.
        out: folder for the results.
        device: `auto`, `cpu`, `cuda`.

    Returns:
        The files written.

    Raises:
        UserError: the recording cannot be read, or the experiment is not trained.
    """
    place = distributed.start(device)
    mixture, header = audio.read(recording), audio.info(recording)
    task, _ = load(exp, place)
    with torch.inference_mode():
        predictions = task.predict(task.model, mixture.to(place), header.sample_rate)
    written = []
    for role, waveform in predictions.items():
        written.append(out / recording.stem / f"{role}.wav")
        audio.write(written[-1], waveform, header.sample_rate, subtype="FLOAT")
        logger.info("%s", written[-1])
    return written
