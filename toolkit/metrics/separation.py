"""The metrics of one separated mixture, by the names under which results are stored.

    si_sdr               scale-invariant SDR, dB
    sd_sdr, snr          its scale-dependent relatives, dB
    bsseval_v3_sdr       likewise _sir, _sar: BSSEval version 3 with filters of 512 taps, dB
    stoi, estoi          intelligibility and its extended form
    pesq                 P.862 at 8 kHz, P.862.2 at 16 kHz
    mcl_si_sdr           SI-SDR where each reference takes its best estimate, be it taken already (multiple-choice learning)
    nsdr                 the SDR of the Music Demixing Challenge 2021, dB
    bsseval_v4_sdr       and its relatives: see `toolkit.metrics.framewise`

and each of them with `_improvement`: over what the mixture would get (see `evaluate`).  Estimates of speakers are put in the
references' order, one-to-one, so that the sum of SI-SDR is greatest; every metric but `mcl_si_sdr` keeps that order, BSSEval
too, as is the habit in speech separation.  Several audio channels are measured one by one and averaged, but for `nsdr` and
version 4 of BSSEval, which take them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from toolkit.log import UserError, suggestion
from toolkit.metrics import framewise
from toolkit.metrics.aggregation import aggregate
from toolkit.metrics.assignment import assign
from toolkit.metrics.bss_eval import bss_eval_v3_pairs, bss_eval_v3_sdr
from toolkit.metrics.distortion import decibels, limited, nsdr, pairwise_products, scale_invariant, sd_sdr, si_sdr, snr
from toolkit.metrics.intelligibility import stoi
from toolkit.metrics.quality import pesq

# signals (candidates, sources, …, time) against references (sources, …, time) at a sample rate: name to (candidates, sources)
Measure = Callable[[Tensor, Tensor, int], dict[str, Tensor]]

IMPROVEMENT, BEST_OF_ALL = "_improvement", "mcl_"
EPS = 1e-12
VOCALS, ACCOMPANIMENT = "vocals", "accompaniment"


class Scores(NamedTuple):
    """What `evaluate` finds.

    Attributes:
        sources: for each reference the metrics by name; of one that has a value for each second the median.
        means: their means over the references, those that are NaN left out.
        assignment: for each reference the index of its estimate.
        frames: for each reference the values of those metrics for each second.
        accompaniment: where it is measured besides, its metrics and the values for each second.
    """

    sources: list[dict[str, float]]
    means: dict[str, float]
    assignment: list[int]
    frames: list[dict[str, list[float]]]
    accompaniment: tuple[dict[str, float], dict[str, list[float]]] | None


def all_names() -> list[str]:
    """Every metric that `evaluate` knows."""
    plain = [*_MEASURES, BEST_OF_ALL + "si_sdr"]
    return plain + [name + IMPROVEMENT for name in plain] + framewise.NAMES


def check_names(metrics: Iterable[str]) -> None:
    """See that metrics are known.

    Raises:
        UserError: one of them is not; tells the nearest that is.
    """
    known = all_names()
    for metric in metrics:
        if metric not in known:
            raise UserError(f"no such metric: {metric!r}{suggestion(metric, known)}")


def evaluate(
    mixture: Tensor,
    references: Tensor,
    estimates: Tensor,
    sample_rate: int,
    metrics: Sequence[str],
    permute: bool = True,
    names: Sequence[str] = (),
) -> Scores:
    """Measure the estimates of one mixture.

    Where there are vocals and other named sources but no accompaniment, version 4 of BSSEval is measured as museval does it:
    once with all the sources; once with vocals and accompaniment, the sum of all others, which is where the values of those two
    come from.  SDR and ISR of the vocals are the same in both; SIR and SAR are not, as they depend on all the references.

    Improvements are over the mixture; of named sources, whose levels count, over the mixture divided by their number, SiSEC's
    "MIX": the whole mixture would be worse than silence, and every estimate an improvement.

    Args:
        mixture: (channels, time).
        references: (sources, channels, time).
        estimates: (hypotheses, channels, time), at least as many as references, in any order.
        sample_rate: Hz.
        metrics: names of metrics, see above.
        permute: find out which estimate belongs to which reference; else they are in the references' order.
        names: of the sources.

    Returns:
        Scores in the references' order.  Ratios are kept between -100 and 100 dB; what is undefined, as for a silent reference,
        is NaN.

    Raises:
        UserError: a metric is unknown or lacks its package; shapes do not fit each other.
    """
    check_names(metrics)
    _check_shapes(mixture, references, estimates)
    mixture = mixture / max(1, len(names))
    assignment = best = torch.arange(len(references))
    if permute or any(name.startswith(BEST_OF_ALL) for name in metrics):
        agreement = decibels(*scale_invariant(pairwise_products(estimates[None], references[None], zero_mean=True)), EPS)
        assignment = assign(-agreement)[0] if permute else assignment
        best = agreement[0].nan_to_num(nan=-torch.inf).argmax(0)
    whole = [name for name in metrics if name not in framewise.NAMES]
    found: dict[str, Tensor] = {}
    for prefix, order in {"": assignment, BEST_OF_ALL: best}.items():
        wanted = [name.removeprefix(prefix) for name in whole if name.startswith(BEST_OF_ALL) == bool(prefix)]
        values = _measure(wanted, mixture, references, estimates[order], sample_rate)
        found |= {prefix + name: value for name, value in values.items()}
    by_second = [name for name in metrics if name in framewise.NAMES]
    frames = _frames(by_second, mixture, references, estimates[assignment], sample_rate, names)
    medians = [{name: aggregate(values, "median") for name, values in source.items()} for source in frames]
    sources = [
        {name: medians[i][name] if name in medians[i] else found[name][i].item() for name in metrics}
        for i in range(len(references))
    ]
    means = {name: aggregate(source[name] for source in sources) for name in metrics}
    accompaniment = (medians.pop(), frames.pop()) if len(frames) > len(references) else None
    return Scores(sources, means, assignment.tolist(), frames, accompaniment)


def _frames(
    wanted: list[str], mixture: Tensor, references: Tensor, estimates: Tensor, sample_rate: int, names: Sequence[str]
) -> list[dict[str, list[float]]]:
    """Values for each second by metric of each source and, where there is one, of the accompaniment."""
    if not wanted:
        return [{} for _ in references]
    measured = framewise.measure(wanted, mixture[None], references, estimates, sample_rate)
    found = [{name: measured[name][i].tolist() for name in wanted} for i in range(len(references))]
    if len(names) > 1 and VOCALS in names and ACCOMPANIMENT not in names:
        vocals = list(names).index(VOCALS)
        halves = [torch.stack([x[vocals], x[:vocals].sum(0) + x[vocals + 1 :].sum(0)]) for x in (references, estimates)]
        shares = torch.stack([mixture, mixture * (len(names) - 1)])
        measured = framewise.measure(wanted, shares, halves[0], halves[1], sample_rate)
        found[vocals] = {name: measured[name][0].tolist() for name in wanted}
        found.append({name: measured[name][1].tolist() for name in wanted})
    return found


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
        for name, values in measure(signals, references, sample_rate).items():
            found[name] = values[0]
            if improved:
                found[name + IMPROVEMENT] = values[0] - values[1]
    return found


def _by_channel(measure: Measure) -> Measure:
    """A measure of (candidates, sources, time) made one of (candidates, sources, channels, time): the channels' mean."""

    def measured(signals: Tensor, references: Tensor, sample_rate: int) -> dict[str, Tensor]:
        channels = [measure(signals[:, :, c], references[:, c], sample_rate) for c in range(references.shape[1])]
        return {name: torch.stack([channel[name] for channel in channels]).mean(0) for name in channels[0]}

    return measured


def _bss_eval_sdr(signals: Tensor, references: Tensor, sample_rate: int) -> dict[str, Tensor]:
    return {"bsseval_v3_sdr": _matched(bss_eval_v3_sdr(signals.flatten(0, 1), references))}


def _bss_eval(signals: Tensor, references: Tensor, sample_rate: int) -> dict[str, Tensor]:
    _, sir, sar = bss_eval_v3_pairs(signals.flatten(0, 1), references)
    return {"bsseval_v3_sir": _matched(sir), "bsseval_v3_sar": _matched(sar)}


def _matched(pairs: Tensor) -> Tensor:
    """Those of all pairs (candidates * sources, sources) that join a source with itself, (candidates, sources)."""
    sources = pairs.shape[1]
    return limited(pairs.reshape(-1, sources, sources).diagonal(dim1=1, dim2=2))


_SIR_AND_SAR = _by_channel(_bss_eval)
_MEASURES: dict[str, Measure] = {
    "si_sdr": _by_channel(lambda y, x, rate: {"si_sdr": si_sdr(y, x.expand_as(y))}),
    "sd_sdr": _by_channel(lambda y, x, rate: {"sd_sdr": sd_sdr(y, x.expand_as(y))}),
    "snr": _by_channel(lambda y, x, rate: {"snr": snr(y, x.expand_as(y))}),
    "nsdr": lambda y, x, rate: {"nsdr": limited(nsdr(y, x.expand_as(y)))},
    "bsseval_v3_sdr": _by_channel(_bss_eval_sdr),
    "bsseval_v3_sir": _SIR_AND_SAR,
    "bsseval_v3_sar": _SIR_AND_SAR,
    "stoi": _by_channel(lambda y, x, rate: {"stoi": stoi(y, x.expand_as(y), rate)}),
    "estoi": _by_channel(lambda y, x, rate: {"estoi": stoi(y, x.expand_as(y), rate, extended=True)}),
    "pesq": _by_channel(lambda y, x, rate: {"pesq": pesq(y, x.expand_as(y), rate)}),
}
