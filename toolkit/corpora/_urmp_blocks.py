"""Blocks of one instrument, cut out of its stems as DDX7 prepares them (F. Caspe, A. McPherson, M. Sandler, ISMIR 2022).

A stem at 16 kHz is scaled to a peak of 1, split where it is silent, and cut into blocks of at most 4 s; those of more than 3 s
whose pitch is sure enough are kept and filled up with zeros (github.com/fcaspe/ddx7, dataset/create_data.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

RATE = 16000  # Hz
LONGEST, SHORTEST = 4 * RATE, 3 * RATE  # samples
SILENCE = 40.0  # dB below the loudest frame
FRAME, HOP = 2048, 512  # samples, in which silence is looked for
FLOOR = 1e-10  # power that no frame is below
SEED, TRAIN = 1234, 0.75  # of the random split
LEAST = {"flute": 0.80, "violin": 0.85, "trumpet": 0.85}  # mean confidence of a block, as published
LEAST_OF_OTHERS = 0.80

Confidence = Callable[[np.ndarray, np.ndarray], float]  # of samples (time,) at 16 kHz and F0 (frames,) in Hz, 0 to 1


def voiced_share(samples: np.ndarray, f0: np.ndarray) -> float:
    """How many of the annotated frames (frames,) are voiced: what stands in for the confidence of a pitch tracker."""
    return float(np.mean(f0 > 0)) if len(f0) else 0.0


def crepe(samples: np.ndarray, _: np.ndarray) -> float:
    """The mean confidence of CREPE in samples (time,), as published; where there is a GPU, it is used."""
    import torch

    from toolkit.blocks.pitch_trackers import crepe_confidence

    return crepe_confidence(torch.from_numpy(samples).to("cuda" if torch.cuda.is_available() else "cpu"))


CONFIDENCES: dict[str, Confidence] = {"annotation": voiced_share, "crepe": crepe}  # how sure the pitch of a block is


def normalize(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """Samples (time,) with a peak of 1, and the peak they had; silence stays as it is."""
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / np.float32(peak), peak) if peak > np.finfo(np.float32).tiny else (samples, 1.0)


def non_silent(samples: np.ndarray, silence: float = SILENCE, frame: int = FRAME, hop: int = HOP) -> list[tuple[int, int]]:
    """Where samples (time,) are not silent, as `librosa.effects.split` finds it.

    Frames are centred on every hop, zeros stand around the samples; a frame is silent that has `silence` dB less power than the
    loudest one. All of digital silence counts as sound.

    Returns:
        First sample and end of each stretch, whole hops but for the last end.
    """
    time = len(samples)
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    centres = hop * np.arange(1 + time // hop)
    begins, ends = (np.clip(centres + offset, 0, time) for offset in (-(frame // 2), frame - frame // 2))
    power = np.maximum((sums[ends] - sums[begins]) / frame, FLOOR)
    loud = 10 * np.log10(power / power.max()) > -silence
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]])))
    return [(int(begin), int(end)) for begin, end in np.minimum(hop * edges, time).reshape(-1, 2)]


def cut(stretches: Iterable[tuple[int, int]], longest: int = LONGEST, shortest: int = SHORTEST) -> list[tuple[int, int]]:
    """Cut stretches into blocks of `longest` samples, one after another; the last is shorter, and kept if above `shortest`."""
    tiles = [(at, min(at + longest, end)) for begin, end in stretches for at in range(begin, end, longest)]
    return [(begin, end) for begin, end in tiles if end - begin > shortest]


def fill(samples: np.ndarray, whole: bool = False) -> np.ndarray:
    """Samples (time,) with zeros behind them: 4 s, or for `whole` recordings the next multiple of 4 s above their length."""
    frames = (len(samples) // LONGEST + 1) * LONGEST if whole else LONGEST
    return np.pad(samples, (0, frames - len(samples)))


def random_split(count: int, share: float = TRAIN, seed: int = SEED) -> dict[str, list[int]]:
    """Places 0 to count - 1 as `torch.utils.data.random_split` deals them out after `torch.manual_seed(seed)`.

    Returns:
        `train`, `share` of all; `valid` and `test`, half of the others each, `valid` one more if they are odd.
    """
    import torch

    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    train = int(share * count)
    valid = count - (count - train) // 2
    return {"train": order[:train], "valid": order[train:valid], "test": order[valid:]}
