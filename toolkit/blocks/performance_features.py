"""The curves that a performance is described by: annotated pitch and loudness, a value every hop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolkit.blocks.features import Feature, LabelFeature
from toolkit.data.manifest import Item
from toolkit.dsp.a_weighting import a_weighted_loudness
from toolkit.log import UserError

PREPARE = "Next: run the stage `prepare` with --force"


class AnnotatedPitch(LabelFeature):
    """The pitch that a corpus tells of each recording, from its label `f0`.

    Hz, 0 where unvoiced; frame l stands at l · hop_length / sample_rate seconds. Between two voiced annotations the pitch moves
    along a line of cents; where one of the two is unvoiced, the nearer is taken. What is annotated first is also true before
    it; the last annotation lasts one step.

    Args:
        sample_rate: Hz of the waveforms whose frames these are.
        hop_length: samples between frames.
    """

    def __init__(self, sample_rate: int, hop_length: int) -> None:
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.frame_rate = sample_rate / hop_length

    @property
    def name(self) -> str:
        """``annotated_pitch/16000-64``."""
        return f"annotated_pitch/{self.sample_rate}-{self.hop_length}"

    def of_labels(self, item: Item) -> Tensor:
        """(L,) Hz, L = ⌈T / hop_length⌉ for the T samples that the item has at `sample_rate`.

        Raises:
            UserError: the item has no label `f0`, or one that is no curve.
        """
        samples = -(-item.frames * self.sample_rate // item.sample_rate)
        times = np.arange(-(-samples // self.hop_length)) * (self.hop_length / self.sample_rate)
        start, step, hertz = _curve(item)
        if not len(hertz):
            return torch.zeros(len(times))
        places = (times - start) / step
        clipped = np.clip(places, 0, len(hertz) - 1)
        before = clipped.astype(np.int64)
        after = np.minimum(before + 1, len(hertz) - 1)
        share = clipped - before
        nearest = np.where(share < 0.5, hertz[before], hertz[after])
        both = (hertz[before] > 0) & (hertz[after] > 0)
        line = _positive(hertz[before]) ** (1 - share) * _positive(hertz[after]) ** share
        pitch = np.where(both, line, nearest) * (places < len(hertz))
        return torch.from_numpy(pitch).float()


class Loudness(Feature):
    """A-weighted loudness of frames that begin at every hop, as DDSP and DDX7 are told it (dB, -80 to about 0).

    The mean over the bins of a Hann-windowed spectrum of their A-weighted decibels, of which 20.7 dB (white noise of amplitude
    1) count as 0 and none counts as less than -80; zeros stand behind the recording
    (github.com/fcaspe/ddx7, ddx7/spectral_ops.py, `calc_loudness` with `center=False`).

    Args:
        sample_rate: Hz.
        hop_length: samples between frames.
        n_fft: samples of a frame.
    """

    def __init__(self, sample_rate: int, hop_length: int, n_fft: int = 2048) -> None:
        self.sample_rate, self.hop_length, self.n_fft = sample_rate, hop_length, n_fft
        self.frame_rate = sample_rate / hop_length

    @property
    def name(self) -> str:
        """``loudness/16000-64-2048``."""
        return f"loudness/{self.sample_rate}-{self.hop_length}-{self.n_fft}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L) dB, L = ⌈T / hop_length⌉."""
        return a_weighted_loudness(waveforms.float(), self.sample_rate, self.n_fft, self.hop_length)


def _curve(item: Item) -> tuple[float, float, np.ndarray]:
    label: dict[str, Any] | None = item.labels.get("f0")
    if label is None:
        raise UserError(
            f"{item.id}: expected an annotated pitch (label `f0`), found none. "
            "Next: take the pitch from the sound, e.g. data.f0: {class_path: PYINPitch, ...}"
        )
    try:
        start, step, hertz = float(label["start"]), float(label["step"]), np.asarray(label["hz"], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{item.id}: label `f0`: expected start, step and hz, found another ({error!r}). {PREPARE}") from error
    if step <= 0 or hertz.ndim != 1:
        raise UserError(f"{item.id}: label `f0`: expected a positive step and a list of Hz, found {step:g}. {PREPARE}")
    return start, step, hertz


def _positive(hertz: np.ndarray) -> np.ndarray:
    return np.where(hertz > 0, hertz, 1.0)
