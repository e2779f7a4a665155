"""Many values to one figure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from toolkit.log import UserError, suggestion

AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {"mean": statistics.fmean, "median": statistics.median}


def aggregate(values: Iterable[float], how: str = "mean") -> float:
    """Aggregate values; those that are NaN (undefined, as for a silent reference) are left out.

    Args:
        values: any number of them.
        how: `mean` or `median`.

    Returns:
        The figure, NaN if nothing is left.

    Raises:
        UserError: there is no such aggregation.
    """
    return _aggregate(_known(AGGREGATIONS, how), values)


def aggregate_frames(tracks: Iterable[Sequence[float]], how: str = "median_of_medians") -> float:
    """Aggregate the frames of several tracks; those that are NaN (some source is silent) are left out.

    Args:
        tracks: the values of each track's frames.
        how: `median_of_medians`, over the frames of each track, then over the tracks (SiSEC 2018; museval's default); or a
            statistic of all frames of all tracks in one pool (the tables of Wave-U-Net's paper): `pooled_median`, `pooled_mad`
            (median absolute deviation from the median), `pooled_mean`, `pooled_sd` (standard deviation of the population).

    Returns:
        The figure, NaN if nothing is left.

    Raises:
        UserError: there is no such aggregation.
    """
    reduce = _known(FRAME_AGGREGATIONS, how)
    if how.startswith(POOLED):
        return _aggregate(reduce, (value for track in tracks for value in track))
    return _aggregate(reduce, (_aggregate(reduce, track) for track in tracks))


def _median_absolute_deviation(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)


POOLED = "pooled_"
FRAME_AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "median_of_medians": statistics.median,
    "pooled_median": statistics.median,
    "pooled_mad": _median_absolute_deviation,
    "pooled_mean": statistics.fmean,
    "pooled_sd": statistics.pstdev,
}


def _aggregate(reduce: Callable[[Sequence[float]], float], values: Iterable[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return reduce(defined) if defined else math.nan


def _known(aggregations: dict[str, Callable[[Sequence[float]], float]], how: str) -> Callable[[Sequence[float]], float]:
    if how not in aggregations:
        raise UserError(f"no such aggregation: {how!r}{suggestion(how, aggregations)}")
    return aggregations[how]
