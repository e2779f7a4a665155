"""The scores of many recordings to the figures of a split."""

from __future__ import annotations

import math
from typing import Any

from toolkit.metrics.aggregation import AGGREGATIONS, FRAME_AGGREGATIONS, aggregate, aggregate_frames


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Every metric of the items, aggregated.

    Returns:
        `<metric>/<aggregation>`: of speakers, the items' means aggregated, `si_sdr/mean`; of named sources, the mean of what is
        aggregated for each of them, which also stands there by itself, `nsdr/mean/vocals`.  Metrics that have a value for each
        second have aggregations of their own, `bsseval_v4_sdr/median_of_medians`, and may have an accompaniment, which does not
        count in the mean.
    """
    summary: dict[str, float] = {}
    named = rows[0].get("named", [])
    for name in dict.fromkeys(name for row in rows for name in row["metrics"]):
        framewise = any(name in values for values in rows[0].get("frames", {}).values())
        for how in FRAME_AGGREGATIONS if framewise else AGGREGATIONS:
            if not framewise and not named:
                summary[f"{name}/{how}"] = aggregate((row["metrics"].get(name, math.nan) for row in rows), how)
                continue
            by_source = _by_source(rows, name, how, framewise)
            summary[f"{name}/{how}"] = aggregate(by_source[source] for source in named or by_source)
            summary |= {f"{name}/{how}/{source}": value for source, value in by_source.items()}
    return summary


def _by_source(rows: list[dict[str, Any]], name: str, how: str, framewise: bool) -> dict[str, float]:
    """A metric of each source, aggregated over the items that have it."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for source, measured in row["frames" if framewise else "sources"].items():
            if name in measured:
                values.setdefault(source, []).append(measured[name])
    return {source: aggregate_frames(v, how) if framewise else aggregate(v, how) for source, v in values.items()}
