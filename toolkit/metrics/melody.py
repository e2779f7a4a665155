"""The metrics of pitch curves, as mir_eval.melody has them (Salamon et al. 2014; with confidences, Bittner & Bosch 2019).

    rpa@50                raw pitch accuracy: voiced frames whose pitch is right within fewer cents than the tolerance
    rca@50                raw chroma accuracy: the same, octaves forgiven
    oa@50                 overall accuracy: of all frames, those right in voicing and, where voiced, in pitch
    octave_errors@50      voiced frames of right chroma but wrong pitch: rca less rpa
    octave_difference     mean number of octaves by which estimates lie above the reference, below being negative
                          (Torres et al. 2024, the sign as in their table)
    voicing_recall        voiced frames that are estimated as voiced
    voicing_false_alarm   unvoiced frames that are estimated as voiced

The names are those under which results are stored.  Where there is nothing to divide by, voicing_recall is 1, the others 0.
Frequencies are in Hz, times in seconds.  A reference of 0 Hz is unvoiced; so is an estimate of 0 Hz, or of a negative
frequency, whose amount says the pitch in case there is one.  A pitch is right if it is off by less than `tolerance` cents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from toolkit.log import UserError, suggestion

Array = Tensor | NDArray[Any]
Floats = NDArray[np.float64]

BASE = 10.0  # Hz, of 0 cents
OCTAVE = 1200.0  # cents
LEEWAY = 50.0  # cents that an estimate may lack of an octave to be counted as off by one
DIGITS = 10  # of seconds, beyond which times are the same


class Curves(NamedTuple):
    """Two pitch curves at the same N times.

    Attributes:
        voicing: of the reference, 0 to 1; where voiced, what a right frame counts.
        cents: of the reference, over 10 Hz; 0 where it has no pitch.
        estimated_voicing: 0 to 1.
        estimated_cents: over 10 Hz; 0 where there is none.
    """

    voicing: Floats
    cents: Floats
    estimated_voicing: Floats
    estimated_cents: Floats


def align(
    reference_times: Array,
    reference: Array,
    times: Array,
    estimate: Array,
    voicing: Array | None = None,
    reward: Array | None = None,
) -> Curves:
    """Bring an estimate to the times of its reference.

    The pitch is interpolated along a line between estimates, in cents, and lasts where the next one is missing; voiced or not
    is what the estimate before says.  After the last estimate nothing is voiced.  A curve that begins after 0 s begins there
    with its first value.

    Args:
        reference_times: (N), rising.
        reference: (N), Hz.
        times: (M), rising.
        estimate: (M), Hz.
        voicing: (M), 0 to 1: confidences of the estimates, which are then positive; its frequencies say it if not given.
        reward: (N), 0 to 1: what each frame of the reference counts, 0 being unvoiced; its frequencies say it if not given.

    Returns:
        (N) of each, or (N + 1) where the reference begins after 0 s.

    Raises:
        ValueError: sizes differ, times do not rise, or numbers are not finite or outside 0 to 1.
    """
    at, hertz, reward_ = _curve("reference", reference_times, reference, reward)
    own, estimated, voicing_ = _curve("estimate", times, estimate, voicing)
    cents, estimated_cents = _cents(hertz), _cents(estimated)
    if own.shape != at.shape or not np.allclose(own, at):
        estimated_cents, voicing_ = _resample(own, estimated_cents, voicing_, at)
    return Curves(reward_, cents, voicing_, estimated_cents)


def pooled(recordings: Iterable[Curves]) -> Curves:
    """The curves of several recordings as one, in which every frame counts the same, whatever recording it is of."""
    return Curves(*(np.concatenate(parts) for parts in zip(*recordings, strict=True)))


def raw_pitch_accuracy(curves: Curves, tolerance: float = 50.0) -> float:
    """Share of the voiced frames whose pitch is right."""
    return _share_of_voiced(curves, _apart(curves) < tolerance)


def raw_chroma_accuracy(curves: Curves, tolerance: float = 50.0) -> float:
    """Share of the voiced frames whose pitch is right but for octaves."""
    apart = _apart(curves)
    return _share_of_voiced(curves, np.abs(apart - OCTAVE * np.floor(apart / OCTAVE + 0.5)) < tolerance)


def octave_errors(curves: Curves, tolerance: float = 50.0) -> float:
    """Share of the voiced frames whose chroma is right and whose pitch is not."""
    return raw_chroma_accuracy(curves, tolerance) - raw_pitch_accuracy(curves, tolerance)


def octave_difference(curves: Curves) -> float:
    """Mean over the voiced frames of the whole octaves, within 50 cents, by which the estimate is too high."""
    apart = curves.estimated_cents - curves.cents
    return _share_of_voiced(curves, np.sign(apart) * np.floor((np.abs(apart) + LEEWAY) / OCTAVE))


def overall_accuracy(curves: Curves, tolerance: float = 50.0) -> float:
    """Share of all frames that are right."""
    voiced, counted = curves.voicing > 0, curves.voicing.sum()
    right = (curves.voicing * curves.estimated_voicing)[_both(curves) & (_apart(curves) < tolerance)].sum()
    ratio = voiced.sum() / counted if counted else 0.0
    return float((ratio * right + (1 - curves.estimated_voicing)[~voiced].sum()) / len(voiced))


def voicing_recall(curves: Curves) -> float:
    """Share of the voiced frames that are estimated as voiced; 1 where there are none."""
    return _mean(curves.estimated_voicing[curves.voicing > 0], 1.0)


def voicing_false_alarm(curves: Curves) -> float:
    """Share of the unvoiced frames that are estimated as voiced."""
    return _mean(curves.estimated_voicing[curves.voicing == 0], 0.0)


WITHIN: dict[str, Callable[[Curves, float], float]] = {  # a tolerance
    "rpa": raw_pitch_accuracy,
    "rca": raw_chroma_accuracy,
    "oa": overall_accuracy,
    "octave_errors": octave_errors,
}
PLAIN: dict[str, Callable[[Curves], float]] = {
    "octave_difference": octave_difference,
    "voicing_recall": voicing_recall,
    "voicing_false_alarm": voicing_false_alarm,
}


def check_names(metrics: Iterable[str]) -> None:
    """See that metrics are known.

    Raises:
        UserError: one of them is not; tells the nearest that is.
    """
    for metric in metrics:
        name, _, tolerance = metric.partition("@")
        if metric not in PLAIN and name not in WITHIN:
            raise UserError(f"no such metric: {metric!r}{suggestion(metric, [*PLAIN, *(f'{name}@50' for name in WITHIN)])}")
        if name in WITHIN and not _is_tolerance(tolerance):
            raise UserError(f"metric {metric!r}: expected a tolerance in cents, such as {name}@50, found {tolerance!r}")


def evaluate(curves: Curves, names: Iterable[str]) -> dict[str, float]:
    """Measure the estimate of one recording, or of those that are `pooled`.

    Raises:
        UserError: a metric is unknown.
    """
    names = list(names)
    check_names(names)
    found = {}
    for metric in names:
        name, _, tolerance = metric.partition("@")
        found[metric] = WITHIN[name](curves, float(tolerance)) if tolerance else PLAIN[metric](curves)
    return found


def _curve(name: str, times: Array, hertz: Array, voicing: Array | None) -> tuple[Floats, Floats, Floats]:
    """Times, frequencies and voicing of a curve, which begins at 0 s at the latest."""
    at, frequencies = (np.asarray(values, dtype=np.float64) for values in (times, hertz))
    if not len(at):
        raise ValueError(f"{name}: expected at least one frame, found none")
    if voicing is None:
        voiced = (frequencies > 0).astype(np.float64)
    else:
        voiced = np.where(frequencies == 0, 0.0, np.asarray(voicing, dtype=np.float64))
    if at.ndim != 1 or not at.shape == frequencies.shape == voiced.shape:
        raise ValueError(f"{name}: expected as many times as values, found {at.shape}, {frequencies.shape}, {voiced.shape}")
    if not (np.isfinite(at).all() and np.isfinite(frequencies).all() and ((voiced >= 0) & (voiced <= 1)).all()):
        raise ValueError(f"{name}: expected finite times and frequencies and voicing from 0 to 1, found others")
    if (np.diff(np.round(at, DIGITS)) <= 0).any():
        raise ValueError(f"{name}: expected times that rise, found others")
    if at[0] > 0:
        at = np.insert(at, 0, 0.0)
        frequencies, voiced = (np.insert(values, 0, values[0]) for values in (frequencies, voiced))
    return at, np.abs(frequencies), voiced


def _cents(hertz: Floats) -> Floats:
    """Cents over 10 Hz; 0 where there is no frequency."""
    cents = np.zeros_like(hertz)
    np.log2(hertz / BASE, where=hertz > 0, out=cents)
    return OCTAVE * cents


def _resample(times: Floats, cents: Floats, voicing: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Cents and voicing at other times."""
    times, at = np.round(times, DIGITS), np.round(at, DIGITS)
    if at[0] < times[0]:
        raise ValueError(f"reference: expected to begin with the estimate at {times[0]:g} s, found {at[0]:g} s")
    if at[-1] > times[-1]:
        times, cents, voicing = np.append(times, at[-1]), np.append(cents, 0.0), np.append(voicing, 0.0)
    before = np.searchsorted(times, at, side="right") - 1
    last = np.maximum.accumulate(np.where(cents != 0, np.arange(len(cents)), 0))  # where the pitch was heard last
    pitch = np.interp(at, times, cents[last]) * (cents[before] != 0)
    binary = ((voicing == 0) | (voicing == 1)).all()
    return pitch, voicing[before] if binary else np.interp(at, times, voicing)


def _apart(curves: Curves) -> Floats:
    return np.abs(curves.cents - curves.estimated_cents)


def _both(curves: Curves) -> NDArray[np.bool_]:
    """Where both have a pitch."""
    return (curves.cents != 0) & (curves.estimated_cents != 0)


def _share_of_voiced(curves: Curves, values: NDArray[Any]) -> float:
    """The mean of values over the voiced frames, 0 counting for those without an estimate."""
    counted, both = curves.voicing.sum(), _both(curves)
    return float((curves.voicing * values)[both].sum() / counted) if counted else 0.0


def _mean(values: Floats, otherwise: float) -> float:
    return float(values.mean()) if len(values) else otherwise


def _is_tolerance(text: str) -> bool:
    try:
        return 0 < float(text) < np.inf
    except ValueError:
        return False
