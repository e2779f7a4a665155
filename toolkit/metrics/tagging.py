"""The metrics of tags, each tag a two-class problem over the clips that have a label of it, as scikit-learn has them.

    average_precision     area under the precision-recall curve as a sum of steps; its mean over the tags is mAP, or PR-AUC
    roc_auc               area under the ROC curve
    f1@0.5                likewise precision@, recall@: where a probability of the threshold or more says yes; the mean of the
                          figure of the clips with the tag and of that of the clips without it (scikit-learn's macro average)

The names are those under which results are stored.  A threshold counts as yes as in the code of AttentionMIC (Gururani et al.
2019); that of EAsT (Ding, Lerch 2023) asks for more than the threshold, which differs only where a probability equals it.
Letters: N clips, K tags, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from toolkit.log import UserError, suggestion
from toolkit.metrics import bootstrap

Array = Tensor | NDArray[Any]
Measure = Callable[[Tensor], Tensor]  # how often each clip counts (R, N) to a figure of each tag (R, K)

CURVES = ("average_precision", "roc_auc")
DECISIONS = ("precision", "recall", "f1")
AT_ONCE = 4  # resamples: few enough for what is computed of them to stay near the processor


def average_precision(probabilities: Array, labels: Array, mask: Array) -> Tensor:
    """Average precision of each tag, equal probabilities taken as one step.

    Args:
        probabilities: (N, K), or whatever else ranks the clips.
        labels: (N, K), 0 or 1.
        mask: (N, K), true where there is a label.

    Returns:
        (K,), NaN of a tag without positives.
    """
    return _whole(_Ranking(probabilities, labels, mask).average_precision, probabilities)


def roc_auc(probabilities: Array, labels: Array, mask: Array) -> Tensor:
    """Area under the ROC curve of each tag (K,), of the same; NaN of a tag without positives or without negatives."""
    return _whole(_Ranking(probabilities, labels, mask).roc_auc, probabilities)


def precision(probabilities: Array, labels: Array, mask: Array, threshold: float) -> Tensor:
    """Precision of each tag (K,), the mean over both classes; a class that is never decided for has 0."""
    return _whole(_Decisions(probabilities, labels, mask, threshold).precision, probabilities)


def recall(probabilities: Array, labels: Array, mask: Array, threshold: float) -> Tensor:
    """Recall of each tag (K,), the mean over both classes; a class without clips has 0."""
    return _whole(_Decisions(probabilities, labels, mask, threshold).recall, probabilities)


def f1(probabilities: Array, labels: Array, mask: Array, threshold: float) -> Tensor:
    """F1 of each tag (K,), the mean over both classes; a class neither there nor decided for has 0."""
    return _whole(_Decisions(probabilities, labels, mask, threshold).f1, probabilities)


def check_names(metrics: Iterable[str]) -> None:
    """See that metrics are known.

    Raises:
        UserError: one of them is not; tells the nearest that is.
    """
    for metric in metrics:
        name, _, threshold = metric.partition("@")
        if metric not in CURVES and name not in DECISIONS:
            known = [*CURVES, *(f"{decision}@0.5" for decision in DECISIONS)]
            raise UserError(f"no such metric: {metric!r}{suggestion(metric, known)}")
        if name in DECISIONS and not _is_threshold(threshold):
            raise UserError(f"metric {metric!r}: expected a threshold from 0 to 1, such as {name}@0.5, found {threshold!r}")


def evaluate(probabilities: Array, labels: Array, mask: Array, names: Sequence[str]) -> dict[str, Tensor]:
    """Measure the probabilities of many clips.

    Args:
        probabilities: (N, K).
        labels: (N, K), 0 or 1.
        mask: (N, K), true where there is a label.
        names: of metrics, see above.

    Returns:
        Metric to a figure of each tag (K,), float64.  What is undefined is NaN: a tag without labels or with a probability that
        is NaN, `average_precision` without positives, `roc_auc` without positives or without negatives.

    Raises:
        UserError: a metric is unknown.
    """
    return {name: _whole(measure, probabilities) for name, measure in _measures(probabilities, labels, mask, names).items()}


def summarise(rows: Sequence[dict[str, Any]], names: Sequence[str], tags: Sequence[str]) -> dict[str, float]:
    """Every metric of scored clips.

    Args:
        rows: lines of `scores/<split>.jsonl`: `probabilities` (K) and `labels` (K), null where there is none.
        names: of metrics.
        tags: names of the tags.

    Returns:
        `<metric>/mean`, over the tags in which it is defined, and `<metric>/mean/<tag>`.
    """
    summary: dict[str, float] = {}
    for name, values in evaluate(*arrays(rows), names).items():
        summary[f"{name}/mean"] = values.nanmean().item()
        summary |= {f"{name}/mean/{tag}": value for tag, value in zip(tags, values.tolist(), strict=True)}
    return summary


def intervals(
    rows: Sequence[dict[str, Any]], names: Sequence[str], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, list[float]]:
    """Confidence intervals of the means over the tags by bootstrap over clips: `bootstrap.interval`.

    Args:
        rows: lines of `scores/<split>.jsonl`.
        names: of metrics.
        resamples: how many.
        seed: of the drawing.
        level: of confidence.

    Returns:
        `<metric>/mean` to its lower and upper bound.
    """
    measured = evaluate(*arrays(rows), names)
    means = resampled(rows, names, resamples, seed)
    return {f"{name}/mean": bootstrap.interval(means[f"{name}/mean"], measured[name].nanmean().item(), level) for name in names}


def resampled(rows: Sequence[dict[str, Any]], names: Sequence[str], resamples: int, seed: int) -> dict[str, Tensor]:
    """The means over the tags, `<metric>/mean`, of clips drawn again and again (resamples,).

    Of as many rows in the same order and the same seed, the same places are drawn: differences between them are paired.
    """
    weights = bootstrap.counts(len(rows), resamples, seed)
    found = {}
    for name, measure in _measures(*arrays(rows), names).items():
        found[f"{name}/mean"] = torch.cat([measure(some).nanmean(1) for some in weights.split(AT_ONCE)])
    return found


def arrays(rows: Sequence[dict[str, Any]]) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities, labels and mask (N, K) of lines of `scores/<split>.jsonl`."""
    probabilities = torch.tensor([row["probabilities"] for row in rows], dtype=torch.float64)
    labels = [[math.nan if label is None else label for label in row["labels"]] for row in rows]
    known = torch.tensor(labels, dtype=torch.float64)
    return probabilities, known.nan_to_num(), ~known.isnan()


class _Ranking:
    """The labelled clips of each tag by falling probability, tag behind tag; sorted once for any number of resamples.

    Sums go over the positives: of each it counts what stands before its run of equal probabilities, and to the end of it.
    """

    def __init__(self, probabilities: Array, labels: Array, mask: Array) -> None:
        probability, label, known = _by_tag(probabilities, labels, mask)
        order = probability.argsort(descending=True)
        tag, rank = known.gather(1, order).nonzero(as_tuple=True)
        clip = order[tag, rank]
        score, positive = probability[tag, clip], label[tag, clip]
        changes = (tag[1:] != tag[:-1]) | (score[1:] != score[:-1])
        bounds = torch.cat([torch.zeros(1).long(), changes.nonzero()[:, 0] + 1, torch.tensor([len(tag)])])
        place = positive.nonzero()[:, 0]
        run = torch.bucketize(place, bounds, right=True)
        self.tags = torch.searchsorted(tag, torch.arange(len(label) + 1))  # where each begins, and the end
        self.own_tag, self.own_clip = tag[place], clip[place]
        self.begin, self.end = bounds[run - 1], bounds[run]
        self.clip_before, self.positive_before = (torch.nn.functional.pad(values, (1, 0)) for values in (clip, positive))

    def average_precision(self, weights: Tensor) -> Tensor:
        """The mean of the precision at each positive clip."""
        every, positive = self._sums(weights)
        first = self.tags[self.own_tag]
        hits = positive[:, self.end] - positive[:, first]
        counted = every[:, self.end] - every[:, first]
        return self._total(weights, hits / counted.clamp(min=1)) / positive[:, self.tags].diff()

    def roc_auc(self, weights: Tensor) -> Tensor:
        """The share of pairs of a positive and a negative clip in the right order; half a pair where they are equal."""
        every, positive = self._sums(weights)
        negative = every - positive
        beaten = negative[:, self.tags[self.own_tag + 1]] - (negative[:, self.begin] + negative[:, self.end]) / 2
        return self._total(weights, beaten) / (positive[:, self.tags].diff() * negative[:, self.tags].diff())

    def _sums(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """How often all clips before a place count, and the positive ones of them: each (R, places + 1)."""
        counted = weights.index_select(1, self.clip_before)
        counted[:, 0] = 0
        return counted.cumsum(1), (counted * self.positive_before).cumsum(1)

    def _total(self, weights: Tensor, values: Tensor) -> Tensor:
        """Sums (R, K) of the values of positive clips, each as often as its clip counts."""
        total = values.new_zeros(len(weights), len(self.tags) - 1)
        return total.index_add_(1, self.own_tag, weights[:, self.own_clip] * values)


class _Decisions:
    """What is decided of each clip and tag at a threshold, counted in the four cells of a table."""

    def __init__(self, probabilities: Array, labels: Array, mask: Array, threshold: float) -> None:
        probability, label, known = _by_tag(probabilities, labels, mask)
        said = (probability >= threshold).double()
        right, wrong = label * said, (1 - label) * (1 - said)
        self.cells = torch.stack([right, label - right, said - right, wrong]) * known  # (4, K, N)

    def precision(self, weights: Tensor) -> Tensor:
        """Right decisions for a class over all decisions for it."""
        hits, misses, alarms, passes = self._table(weights)
        return (_ratio(hits, hits + alarms) + _ratio(passes, passes + misses)) / 2

    def recall(self, weights: Tensor) -> Tensor:
        """Right decisions for a class over all clips of it."""
        hits, misses, alarms, passes = self._table(weights)
        return (_ratio(hits, hits + misses) + _ratio(passes, passes + alarms)) / 2

    def f1(self, weights: Tensor) -> Tensor:
        """The harmonic mean of both, class by class."""
        hits, misses, alarms, passes = self._table(weights)
        wrong = misses + alarms
        return (_ratio(2 * hits, 2 * hits + wrong) + _ratio(2 * passes, 2 * passes + wrong)) / 2

    def _table(self, weights: Tensor) -> Tensor:
        """Hits, misses, false alarms and rightly passed clips, each (R, K); NaN of a tag without labels."""
        table = torch.einsum("rn,ckn->crk", weights, self.cells)
        return torch.where(table.sum(0) > 0, table, math.nan)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """0 where there is nothing to divide by."""
    return torch.where(whole == 0, 0.0, part / whole)


def _by_tag(probabilities: Array, labels: Array, mask: Array) -> tuple[Tensor, Tensor, Tensor]:
    """The same as (K, N) in float64; a tag with a probability that is NaN has no labels, labels that are not known are 0."""
    probability, label, known = (
        torch.as_tensor(array).double().cpu().T.contiguous() for array in (probabilities, labels, mask)
    )
    known = known * ~(probability.isnan() & (known > 0)).any(1, keepdim=True)
    label = torch.where(known > 0, label, 0.0)
    if ((label != 0) & (label != 1)).any():
        raise ValueError("labels: expected 0 or 1 where the mask is true, found other values")
    return probability, label, known


def _whole(measure: Measure, probabilities: Array) -> Tensor:
    """The figure of each tag (K,) where each clip counts once."""
    return measure(torch.ones(1, len(probabilities), dtype=torch.float64))[0]


def _measures(probabilities: Array, labels: Array, mask: Array, names: Sequence[str]) -> dict[str, Measure]:
    """What is to be asked for each metric."""
    check_names(names)
    ranking = _Ranking(probabilities, labels, mask) if any(name in CURVES for name in names) else None
    found: dict[str, Measure] = {}
    for metric in names:
        name, _, threshold = metric.partition("@")
        asked = _Decisions(probabilities, labels, mask, float(threshold)) if threshold else ranking
        found[metric] = getattr(asked, name)
    return found


def _is_threshold(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
