"""How figures are written: the name and unit of a metric, its digits, durations, counts."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from toolkit.report.table import NOTHING


class Metric(NamedTuple):
    """How a metric is shown.

    Attributes:
        name: in papers.
        unit: behind its values.
        decimals: how many mean something.
        of_a_tag: its name where it is of one tag; only metrics of tags have one; that they are means goes unsaid.
        scale: what values are multiplied with to be in `unit`; shares are stored as such and shown in percent.
        at: how what follows an `@` is said.
        aim: where the best value lies.
    """

    name: str
    unit: str
    decimals: int
    of_a_tag: str = ""
    scale: float = 1.0
    at: str = " at {}"
    aim: Literal["highest", "lowest", "nearest to 0"] = "highest"


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
    "model_mb": Metric("Model", "MB", 1, aim="lowest"),
    "real_time_factor": Metric("Real-time factor", "", 3, aim="lowest"),
    "processor_factor": Metric("Processor's real-time factor", "", 3, aim="lowest"),
    "multi_scale_spectral": Metric("MSS", "", 3, aim="lowest"),
    "log_spectral_distance": Metric("LSD", "dB\N{SUPERSCRIPT TWO}", 2, aim="lowest"),
    "frechet_distance": Metric("Fréchet distance", "", 3, at=", {}", aim="lowest"),
    "rpa": Metric("RPA", "%", 1, scale=100, at="@{}"),
    "rca": Metric("RCA", "%", 1, scale=100, at="@{}"),
    "oa": Metric("OA", "%", 1, scale=100, at="@{}"),
    "octave_errors": Metric("Octave errors", "%", 1, scale=100, at="@{}", aim="lowest"),
    "octave_difference": Metric("Octave difference", "octaves", 3, aim="nearest to 0"),
    "earth_mover": Metric("EMD", "", 4, aim="lowest"),
    "distortion": Metric("Distortion", "", 5, aim="lowest"),
    "k_means": Metric("k-means' distortion", "", 5, aim="lowest"),
    "variance": Metric("Variance", "", 4, aim="lowest"),
    "weight_error": Metric("Error of the weights", "%", 1, scale=100, aim="lowest"),
    "idle_weight": Metric("Weight of idle hypotheses", "%", 1, scale=100, aim="lowest"),
    "dead_share": Metric("Dead hypotheses", "%", 1, scale=100, aim="lowest"),
    "critical_temperature": Metric("First critical temperature", "", 3),
    "token_loss": Metric("Loss per token", "nats", 4, aim="lowest"),
    "mle_line": Metric("Optimum of MLE", "nats", 4, aim="lowest"),
    "band_low": Metric("Optimum of MCL, at least", "nats", 4, aim="lowest"),
    "band_high": Metric("Optimum of MCL, at most", "nats", 4, aim="lowest"),
    "true_chains": Metric("True chains, the better one", "nats", 4, aim="lowest"),
    "above": Metric("Loss above that of the truth", "nats", 4, aim="lowest"),
    "transition_error": Metric("Error of the transition matrices", "", 4, aim="lowest"),
    "perplexity": Metric("Perplexity of a token", "", 2, aim="lowest"),
    "bits_per_character": Metric("Bits per character", "bits", 3, aim="lowest"),
    "mig": Metric("MIG", "", 3),
    "dmig": Metric("DMIG", "", 3),
    "xmig": Metric("XMIG", "", 3),
    "dlig": Metric("DLIG", "", 3),
    "sap": Metric("SAP", "", 3),
    "scc": Metric("SCC", "", 3),
    "modularity": Metric("Modularity", "", 3),
    "interpretability": Metric("Interpretability", "", 3),
    "reconstruction_accuracy": Metric("Reconstruction accuracy", "%", 1, scale=100),
    "reconstructed_whole": Metric("Reconstructed without error", "%", 1, scale=100),
    "nats": Metric("Divergence of the codes", "nats", 1, aim="lowest"),
    "voicing_recall": Metric("Voicing recall", "%", 1, scale=100),
    "voicing_false_alarm": Metric("Voicing false alarm", "%", 1, scale=100, aim="lowest"),
}
DIGITS = 6  # of a share in percent, after which there is only what floating point adds
SIZES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
IMPROVEMENT, BEST_OF_ALL, PERMUTED = "_improvement", "mcl_", "_permuted"
VARIANTS = {"untrained": "untrained", "real": "real audio"}  # what is measured in place of the estimates, before an id


def variant(identity: str) -> tuple[str, str]:
    """`untrained/rpa@50/mean` as `untrained` and `rpa@50/mean`; the former is empty where estimates are measured."""
    first, _, rest = identity.partition("/")
    return (first, rest) if first in VARIANTS else ("", identity)


def metric(identity: str) -> Metric:
    """The metric of an id such as `si_sdr_improvement/mean`; one that is not known here goes by its own name."""
    stem = variant(identity)[1].partition("/")[0]
    name, _, threshold = stem.partition("@")
    known = METRICS.get(name.removeprefix(BEST_OF_ALL).removesuffix(IMPROVEMENT).removesuffix(PERMUTED))
    if known is None:
        return Metric(stem, "", 3)
    if threshold:
        at = known.at.format(threshold.replace("_", " "))
        return known._replace(name=known.name + at, of_a_tag=known.of_a_tag and known.of_a_tag + at)
    first, *rest = known.name.split(" ")
    shown = " ".join([first + "i" * name.endswith(IMPROVEMENT), *rest])
    return known._replace(name="MCL " * name.startswith(BEST_OF_ALL) + shown + ", permuted" * (PERMUTED in name))


def label(identity: str) -> str:
    """`si_sdr_improvement/mean` as `SI-SDRi, mean (dB)`; a source follows its aggregation, a tag the metric: `AP, violin`."""
    shown, (of, stem) = metric(identity), variant(identity)
    rest = [re.sub(r"^(-?[\d.]+)dB$", r"\1 dB", part).replace("_", " ") for part in stem.split("/")[1:]] + (
        [VARIANTS[of]] if of else []
    )
    if shown.of_a_tag and rest[:1] == ["mean"]:
        return ", ".join([shown.of_a_tag, *rest[1:]]) if rest[1:] else shown.name
    return ", ".join([shown.name, *rest]) + (f" ({shown.unit})" if shown.unit else "")


def number(value: float | None, identity: str) -> str:
    """A value of a metric in its unit, with its decimals; `-` where there is none."""
    shown = metric(identity)
    return NOTHING if value is None or math.isnan(value) else f"{shown.scale * value:.{shown.decimals}f}"


def signed(value: float | None, identity: str) -> str:
    """A difference, always with its sign; one that rounds to nothing is +0."""
    shown = number(value, identity)
    return shown if shown == NOTHING else f"{float(shown) + 0.0:+.{metric(identity).decimals}f}"


def published(value: float, identity: str) -> str:
    """A figure of a paper in the unit of its metric, with as many digits as it was given with: 0.961 as `96.1`, in percent."""
    scale = metric(identity).scale
    return str(value if scale == 1 else round(scale * value, DIGITS))


def merit(value: float, identity: str) -> float:
    """What is higher the better a value of a metric is."""
    aim = metric(identity).aim
    return value if aim == "highest" else -value if aim == "lowest" else -abs(value)


def count(parameters: int | None) -> str:
    """5050545 as `5.05 M`."""
    if parameters is None:
        return NOTHING
    return str(parameters) if parameters < 1000 else large(parameters)


def large(quantity: float) -> str:
    """Three digits of it: 5050545 as `5.05 M`, 999999 as `1 M`; less than a thousand too: 104 as `0.104 k`."""
    rounded = float(f"{quantity:.3g}")
    size, letter = next((pair for pair in SIZES if rounded >= pair[0]), SIZES[-1])
    return f"{quantity / size:.3g} {letter}"


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
