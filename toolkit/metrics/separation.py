"""The metrics of one separated mixture, by the names under which results are stored.

    si_sdr               scale-invariant SDR, dB
    sd_sdr, snr          its scale-dependent relatives, dB
    bsseval_v3_sdr       likewise _sir, _sar: BSSEval version 3 with filters of 512 taps, dB
    stoi, estoi          intelligibility and its extended form
    pesq                 P.862 at 8 kHz, P.862.2 at 16 kHz
    mcl_si_sdr           SI-SDR where each reference takes its best estimate, be it taken already (multiple-choice learning)

and each of them with `_improvement`: less what the mixture itself would get.  Estimates are first put in the references' order,
one-to-one, so that the sum of SI-SDR is greatest; every metric but `mcl_si_sdr` keeps that order, BSSEval too, as is the habit
in speech separation.  Several audio channels are measured one by one and averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from toolkit.log import UserError, suggestion
from toolkit.metrics.aggregation import aggregate
from toolkit.metrics.assignment import assign
from toolkit.metrics.bss_eval import bss_eval_v3_pairs, bss_eval_v3_sdr
from toolkit.metrics.distortion import decibels, limited, pairwise_products, scale_invariant, sd_sdr, si_sdr, snr
from toolkit.metrics.intelligibility import stoi
from toolkit.metrics.quality import pesq

# signals (candidates, sources, time) against references (sources, time) at a sample rate: name to (candidates, sources)
Measure = Callable[[Tensor, Tensor, int], dict[str, Tensor]]

IMPROVEMENT, BEST_OF_ALL = "_improvement", "mcl_"
EPS = 1e-12


class Scores(NamedTuple):
    """What `evaluate` finds.

    Attributes:
        sources: for each reference the metrics by name.
        means: their means over the references, those that are NaN left out.
        assignment: for each reference the index of its estimate.
    """

    sources: list[dict[str, float]]
    means: dict[str, float]
    assignment: list[int]


def names() -> list[str]:
    """Every metric that `evaluate` knows."""
    plain = [*_MEASURES, BEST_OF_ALL + "si_sdr"]
    return plain + [name + IMPROVEMENT for name in plain]


def check_names(metrics: Iterable[str]) -> None:
    """See that metrics are known.

    Raises:
        UserError: one of them is not; tells the nearest that is.
    """
    known = names()
    for metric in metrics:
        if metric not in known:
            raise UserError(f"no such metric: {metric!r}{suggestion(metric, known)}")


def evaluate(mixture: Tensor, references: Tensor, estimates: Tensor, sample_rate: int, metrics: Sequence[str]) -> Scores:
    """Measure the estimates of one mixture.

    Args:
        mixture: (channels, time).
        references: (sources, channels, time).
        estimates: (hypotheses, channels, time), at least as many as references, in any order.
        sample_rate: Hz.
        metrics: names of metrics, see above.

    Returns:
        Scores in the references' order.  Ratios are kept between -100 and 100 dB; what is undefined, as for a silent reference,
        is NaN.

    Raises:
        UserError: a metric is unknown or lacks its package; shapes do not fit each other.
    """
    check_names(metrics)
    _check_shapes(mixture, references, estimates)
    agreement = decibels(*scale_invariant(pairwise_products(estimates[None], references[None], zero_mean=True)), EPS)
    assignment = assign(-agreement)[0]
    best = agreement[0].nan_to_num(nan=-torch.inf).argmax(0)
    found: dict[str, Tensor] = {}
    for prefix, order in {"": assignment, BEST_OF_ALL: best}.items():
        wanted = [name.removeprefix(prefix) for name in metrics if name.startswith(BEST_OF_ALL) == bool(prefix)]
        values = _measure(wanted, mixture, references, estimates[order], sample_rate)
        found |= {prefix + name: value for name, value in values.items()}
    sources = [{name: found[name][i].item() for name in metrics} for i in range(len(references))]
    means = {name: aggregate(source[name] for source in sources) for name in metrics}
    return Scores(sources, means, assignment.tolist())


def _check_shapes(mixture: Tensor, references: Tensor, estimates: Tensor) -> None:
    expected, found = tuple(references.shape[1:]), (tuple(mixture.shape), tuple(estimates.shape[1:]))
    if found != (expected, expected):
        raise UserError(
            f"scoring: expected mixture and estimates of the references' (channels, time) {expected}, "
            f"found {found[0]} and {found[1]}. Next: infer again"
        )
    if len(estimates) < len(references):
        raise UserError(
            f"scoring: expected at least {len(references)} estimates for as many references, found {len(estimates)}"
        )


def _measure(wanted: list[str], mixture: Tensor, references: Tensor, estimates: Tensor, sample_rate: int) -> dict[str, Tensor]:
    """Values (sources) of the wanted metrics and their relatives; estimates are in the references' order."""
    found = {}
    for measure in {_MEASURES[name.removesuffix(IMPROVEMENT)]: None for name in wanted}:
        improved = any(name.endswith(IMPROVEMENT) and _MEASURES[name.removesuffix(IMPROVEMENT)] is measure for name in wanted)
        signals = torch.stack([estimates, mixture.expand_as(references)] if improved else [estimates])
        channels = [measure(signals[:, :, c], references[:, c], sample_rate) for c in range(references.shape[1])]
        for name in channels[0]:
            values = torch.stack([channel[name] for channel in channels]).mean(0)
            found[name] = values[0]
            if improved:
                found[name + IMPROVEMENT] = values[0] - values[1]
    return found


def _bss_eval_sdr(signals: Tensor, references: Tensor, sample_rate: int) -> dict[str, Tensor]:
    return {"bsseval_v3_sdr": _matched(bss_eval_v3_sdr(signals.flatten(0, 1), references))}


def _bss_eval(signals: Tensor, references: Tensor, sample_rate: int) -> dict[str, Tensor]:
    _, sir, sar = bss_eval_v3_pairs(signals.flatten(0, 1), references)
    return {"bsseval_v3_sir": _matched(sir), "bsseval_v3_sar": _matched(sar)}


def _matched(pairs: Tensor) -> Tensor:
    """Of all pairs (candidates * sources, sources) those of a source with itself, (candidates, sources)."""
    sources = pairs.shape[1]
    return limited(pairs.reshape(-1, sources, sources).diagonal(dim1=1, dim2=2))


_MEASURES: dict[str, Measure] = {
    "si_sdr": lambda y, x, rate: {"si_sdr": si_sdr(y, x.expand_as(y))},
    "sd_sdr": lambda y, x, rate: {"sd_sdr": sd_sdr(y, x.expand_as(y))},
    "snr": lambda y, x, rate: {"snr": snr(y, x.expand_as(y))},
    "bsseval_v3_sdr": _bss_eval_sdr,
    "bsseval_v3_sir": _bss_eval,
    "bsseval_v3_sar": _bss_eval,
    "stoi": lambda y, x, rate: {"stoi": stoi(y, x.expand_as(y), rate)},
    "estoi": lambda y, x, rate: {"estoi": stoi(y, x.expand_as(y), rate, extended=True)},
    "pesq": lambda y, x, rate: {"pesq": pesq(y, x.expand_as(y), rate)},
}
