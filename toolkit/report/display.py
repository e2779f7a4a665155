"""How figures are written: the name and unit of a metric, its digits, durations, counts."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from toolkit.report.table import NOTHING


class Metric(NamedTuple):
    """How a metric is shown.

    Attributes:
        name: in papers.
        unit: behind its values.
        decimals: how many mean something.
        of_a_tag: its name where it is of one tag; only metrics of tags have one; that they are means goes unsaid.
    """

    name: str
    unit: str
    decimals: int
    of_a_tag: str = ""


METRICS = {
    "si_sdr": Metric("SI-SDR", "dB", 2),
    "sd_sdr": Metric("SD-SDR", "dB", 2),
    "snr": Metric("SNR", "dB", 2),
    "bsseval_v3_sdr": Metric("SDR", "dB", 2),
    "bsseval_v3_sir": Metric("SIR", "dB", 2),
    "bsseval_v3_sar": Metric("SAR", "dB", 2),
    "bsseval_v4_sdr": Metric("SDR v4", "dB", 2),
    "bsseval_v4_isr": Metric("ISR v4", "dB", 2),
    "bsseval_v4_sir": Metric("SIR v4", "dB", 2),
    "bsseval_v4_sar": Metric("SAR v4", "dB", 2),
    "bsseval_v4_sources_sdr": Metric("SDR v4 (sources)", "dB", 2),
    "bsseval_v4_sources_sir": Metric("SIR v4 (sources)", "dB", 2),
    "bsseval_v4_sources_sar": Metric("SAR v4 (sources)", "dB", 2),
    "nsdr": Metric("nSDR", "dB", 2),
    "stoi": Metric("STOI", "", 3),
    "estoi": Metric("ESTOI", "", 3),
    "pesq": Metric("PESQ", "MOS-LQO", 2),
    "average_precision": Metric("mAP", "", 3, "AP"),
    "roc_auc": Metric("ROC-AUC", "", 3, "ROC-AUC"),
    "precision": Metric("Precision", "", 3, "Precision"),
    "recall": Metric("Recall", "", 3, "Recall"),
    "f1": Metric("F1", "", 3, "F1"),
    "model_mb": Metric("Model", "MB", 1),
}
IMPROVEMENT, BEST_OF_ALL, PERMUTED = "_improvement", "mcl_", "_permuted"


def metric(identity: str) -> Metric:
    """The metric of an id such as `si_sdr_improvement/mean`; one that is not known here goes by its own name."""
    name, _, threshold = identity.partition("/")[0].partition("@")
    known = METRICS.get(name.removeprefix(BEST_OF_ALL).removesuffix(IMPROVEMENT).removesuffix(PERMUTED))
    if known is None:
        return Metric(identity.partition("/")[0], "", 3)
    if threshold:
        return known._replace(name=f"{known.name} at {threshold}", of_a_tag=f"{known.of_a_tag} at {threshold}")
    first, *rest = known.name.split(" ")
    shown = " ".join([first + "i" * name.endswith(IMPROVEMENT), *rest])
    return known._replace(name="MCL " * name.startswith(BEST_OF_ALL) + shown + ", permuted" * (PERMUTED in name))


def label(identity: str) -> str:
    """`si_sdr_improvement/mean` as `SI-SDRi, mean (dB)`; a source follows its aggregation, a tag the metric: `AP, violin`."""
    shown = metric(identity)
    rest = [part.replace("_", " ") for part in identity.split("/")[1:]]
    if shown.of_a_tag and rest[:1] == ["mean"]:
        return ", ".join([shown.of_a_tag, *rest[1:]]) if rest[1:] else shown.name
    return ", ".join([shown.name, *rest]) + (f" ({shown.unit})" if shown.unit else "")


def number(value: float | None, identity: str) -> str:
    """A value of a metric with its decimals; `-` where there is none."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.{metric(identity).decimals}f}"


def signed(value: float | None, identity: str) -> str:
    """A difference, always with its sign; one that rounds to nothing is +0."""
    shown = number(value, identity)
    return shown if shown == NOTHING else f"{float(shown) + 0.0:+.{metric(identity).decimals}f}"


def count(parameters: int | None) -> str:
    """5050545 as `5.05 M`."""
    if parameters is None:
        return NOTHING
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if parameters >= size:
            return f"{parameters / size:.3g} {letter}"
    return str(parameters)


def duration(seconds: float | None) -> str:
    """`42 s`, `3.5 min`, `7.1 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def typographic(text: str) -> str:
    """A minus sign before a figure instead of a hyphen."""
    return re.sub(r"(^|[\s(])-(?=[\d.])", "\\1\N{MINUS SIGN}", text)
