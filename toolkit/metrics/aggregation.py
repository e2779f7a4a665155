"""Many values to one figure."""

from __future__ import annotations

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
    if how not in AGGREGATIONS:
        raise UserError(f"no such aggregation: {how!r}{suggestion(how, AGGREGATIONS)}")
    defined = [value for value in values if value == value]
    return AGGREGATIONS[how](defined) if defined else float("nan")
