"""Metrics of tags: what perfect, random and constant probabilities get, labels that are missing, intervals by bootstrap."""

import csv
import itertools
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from toolkit.log import UserError
from toolkit.metrics import bootstrap
from toolkit.metrics import tagging as metrics

NAMES = ["average_precision", "roc_auc", "precision@0.5", "recall@0.5", "f1@0.5"]


def column(*values: float) -> Tensor:
    """One tag of many clips, (N, 1)."""
    return torch.tensor(values)[:, None]


def everywhere(labels: Tensor) -> Tensor:
    return torch.ones_like(labels, dtype=torch.bool)


def draw(clips: int, tags: int, share: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities in steps of a tenth, labels that go with them a little, a mask."""
    labels = (torch.rand(clips, tags) < share).double()
    probabilities = ((torch.rand(clips, tags) + 0.5 * labels) / 1.5 * 10).round() / 10
    return probabilities, labels, torch.rand(clips, tags) < 0.8


def as_rows(probabilities: Tensor, labels: Tensor, mask: Tensor) -> list[dict[str, Any]]:
    """The lines that the stage `score` writes."""
    known = torch.where(mask, labels, math.nan).tolist()
    rows = [[None if math.isnan(label) else label for label in row] for row in known]
    return [{"probabilities": p, "labels": y} for p, y in zip(probabilities.tolist(), rows, strict=True)]


def test_a_ranking_by_hand() -> None:
    labels, probabilities = column(1, 0, 1, 0), column(0.9, 0.7, 0.6, 0.1)
    assert metrics.average_precision(probabilities, labels, everywhere(labels)).item() == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.roc_auc(probabilities, labels, everywhere(labels)).item() == pytest.approx(3 / 4)


def test_equal_probabilities_are_one_step() -> None:
    labels, probabilities = column(1, 0, 1, 0), column(0.7, 0.7, 0.6, 0.1)
    assert metrics.average_precision(probabilities, labels, everywhere(labels)).item() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metrics.roc_auc(probabilities, labels, everywhere(labels)).item() == pytest.approx(2.5 / 4)


def test_decisions_by_hand() -> None:
    labels, probabilities = column(1, 1, 1, 0, 0), column(0.9, 0.4, 0.2, 0.4, 0.1)
    mask = everywhere(labels)
    # Said of the five at 0.4: yes yes no yes no; a probability of the threshold says yes
    assert metrics.precision(probabilities, labels, mask, 0.4).item() == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.recall(probabilities, labels, mask, 0.4).item() == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.f1(probabilities, labels, mask, 0.41).item() == pytest.approx((2 / 4 + 4 / 6) / 2)


def test_perfect_constant_and_random_probabilities() -> None:
    labels = (torch.rand(20000, 3) < torch.tensor([0.1, 0.3, 0.5])).double()
    mask, prior = everywhere(labels), labels.mean(0)
    for values in metrics.evaluate(labels, labels, mask, NAMES).values():
        assert values.tolist() == [1, 1, 1]
    constant = torch.full_like(labels, 0.2)
    torch.testing.assert_close(metrics.average_precision(constant, labels, mask), prior)
    torch.testing.assert_close(metrics.roc_auc(constant, labels, mask), torch.full_like(prior, 0.5))
    chance = torch.rand(20000, 3)
    torch.testing.assert_close(metrics.average_precision(chance, labels, mask), prior, rtol=0, atol=0.03)
    torch.testing.assert_close(metrics.roc_auc(chance, labels, mask), torch.full_like(prior, 0.5), rtol=0, atol=0.03)


def test_what_has_no_label_does_not_count() -> None:
    probabilities, labels, mask = draw(200, 4)
    whole = metrics.evaluate(probabilities, torch.where(mask, labels, 1 - labels), mask, NAMES)
    for tag in range(4):
        known = mask[:, tag]
        p, y = probabilities[known, tag, None], labels[known, tag, None]
        for name, values in metrics.evaluate(p, y, everywhere(y), NAMES).items():
            torch.testing.assert_close(values[0], whole[name][tag])


def test_what_is_not_defined_is_nan() -> None:
    probabilities = torch.rand(4, 4)
    labels = torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 1], [1, 0, 1, 0], [0, 0, 1, 0]])
    mask = everywhere(labels)
    mask[:, 3] = False
    probabilities[2, 0] = math.nan
    found = {name: values.isnan().tolist() for name, values in metrics.evaluate(probabilities, labels, mask, NAMES).items()}
    broken, without_positives, without_negatives, without_labels = True, True, True, True
    assert found["average_precision"] == [broken, without_positives, False, without_labels]
    assert found["roc_auc"] == [broken, without_positives, without_negatives, without_labels]
    assert found["f1@0.5"] == [broken, False, False, without_labels]
    assert metrics.average_precision(probabilities, labels, mask)[2] == 1


def test_labels_are_no_or_yes() -> None:
    with pytest.raises(ValueError, match="expected 0 or 1"):
        metrics.roc_auc(torch.rand(2, 1), column(0.7, 1), torch.ones(2, 1))


def test_arrays_of_numpy_and_of_lower_precision() -> None:
    probabilities, labels, mask = draw(100, 2)
    expected = metrics.average_precision(probabilities, labels, mask)
    found = metrics.average_precision(probabilities.numpy(), labels.numpy().astype(np.int8), mask.numpy().astype(np.float32))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("average_precison", "did you mean 'average_precision'"),
        ("f1", "expected a threshold from 0 to 1, such as f1@0.5, found ''"),
        ("roc_auc@0.5", "did you mean 'roc_auc'"),
        ("f1@half", "expected a threshold from 0 to 1, such as f1@0.5, found 'half'"),
        ("recall@40", "expected a threshold from 0 to 1"),
    ],
)
def test_an_unknown_metric_ends_with_a_suggestion(name: str, told: str) -> None:
    metrics.check_names([*NAMES, "f1@0.4"])
    with pytest.raises(UserError, match=told):
        metrics.check_names([name])


def test_a_summary_has_means_and_figures_of_each_tag() -> None:
    probabilities, labels, mask = draw(60, 3)
    labels[:, 1] = 0  # without positives there is no average precision, and the mean goes over the others
    summary = metrics.summarise(as_rows(probabilities, labels, mask), ["average_precision", "f1@0.5"], ["a", "b", "c"])
    expected = metrics.average_precision(probabilities, labels, mask)
    assert list(summary)[:4] == [f"average_precision/mean{tag}" for tag in ("", "/a", "/b", "/c")]
    assert summary["average_precision/mean"] == pytest.approx((expected[0] + expected[2]).item() / 2)
    assert summary["average_precision/mean/c"] == pytest.approx(expected[2].item())
    assert math.isnan(summary["average_precision/mean/b"])
    assert not math.isnan(summary["f1@0.5/mean/b"])


def test_intervals_are_those_of_clips_drawn_again() -> None:
    probabilities, labels, mask = draw(25, 3)
    rows, resamples = as_rows(probabilities, labels, mask), 50
    found = metrics.intervals(rows, NAMES, resamples, seed=3, level=0.9)
    means = defaultdict(list)
    for drawn in bootstrap.counts(len(rows), resamples, seed=3).long():
        again = [row for row, times in zip(rows, drawn.tolist(), strict=True) for _ in range(times)]
        for name, values in metrics.evaluate(*metrics.arrays(again), NAMES).items():
            means[name].append(values.nanmean().item())
    assert list(found) == [f"{name}/mean" for name in NAMES]
    summary = metrics.summarise(rows, NAMES, "abc")
    for name, values in means.items():
        bounds = np.quantile(values, [0.05, 0.95]) - np.mean(values) + summary[f"{name}/mean"]
        assert found[f"{name}/mean"] == pytest.approx(bounds.tolist(), abs=1e-12)


def test_an_interval_of_few_clips_tagged_by_chance_holds_the_figure() -> None:
    _, labels, mask = draw(16, 50, share=0.2)
    rows, names = as_rows(torch.rand(16, 50), labels, mask), ["average_precision"]
    low, high = metrics.intervals(rows, names)["average_precision/mean"]
    assert low < metrics.summarise(rows, names, [str(tag) for tag in range(50)])["average_precision/mean"] < high


def test_an_interval_holds_the_figure_and_narrows_with_more_clips() -> None:
    widths = []
    for clips in (100, 1600):
        rows = as_rows(*draw(clips, 5))
        low, high = metrics.intervals(rows, ["roc_auc"], 200)["roc_auc/mean"]
        assert low < metrics.summarise(rows, ["roc_auc"], list("abcde"))["roc_auc/mean"] < high
        widths.append(high - low)
    assert 2.5 < widths[0] / widths[1] < 6  # a quarter for sixteen times as many


def test_draws_are_the_same_for_a_seed() -> None:
    drawn = bootstrap.counts(7, 100, seed=1)
    assert (drawn.sum(1) == 7).all()
    assert torch.equal(drawn, bootstrap.counts(7, 100, seed=1))
    assert not torch.equal(drawn, bootstrap.counts(7, 100, seed=2))


@pytest.mark.real
@pytest.mark.parametrize("edition", ["original", "clean"])
def test_the_test_clips_of_magnatagatune(shared_data: Path, edition: str) -> None:
    if edition == "clean":
        labels = torch.from_numpy(np.load(shared_data / "mtat/jongpillee/y_test_pub.npy", allow_pickle=False)).double()
    else:
        lines = (shared_data / "mtat/musicnn/test_gt_mtt.tsv").read_text().splitlines()
        labels = torch.tensor([json.loads(line.partition("\t")[2]) for line in lines], dtype=torch.float64)
    assert labels.shape == ((4332 if edition == "clean" else 5329), 50)
    mask, prior = everywhere(labels), labels.mean(0)
    for values in metrics.evaluate(labels, labels, mask, NAMES).values():
        assert (values == 1).all()
    chance = metrics.evaluate(torch.rand(labels.shape), labels, mask, NAMES)
    assert chance["average_precision"].mean().item() == pytest.approx(prior.mean().item(), abs=0.01)
    assert chance["roc_auc"].mean().item() == pytest.approx(0.5, abs=0.01)


def decisions(no: dict[str, str], yes: dict[str, str]) -> tuple[int, int]:
    """How many of its positives and of its negatives a classifier got right, from what was printed of it, to two places."""
    positives, negatives = int(yes["support"]), int(no["support"])
    near = [
        range(math.floor((float(row["recall"]) - 0.005) * clips), math.ceil((float(row["recall"]) + 0.005) * clips) + 1)
        for row, clips in ((yes, positives), (no, negatives))
    ]
    fitting = []
    for hits, passes in itertools.product(*near):
        misses, alarms = positives - hits, negatives - passes
        figures = [
            (yes["recall"], hits / positives),
            (no["recall"], passes / negatives),
            (yes["precision"], hits / (hits + alarms)),
            (no["precision"], passes / (passes + misses)),
            (yes["f1"], 2 * hits / (2 * hits + misses + alarms)),
            (no["f1"], 2 * passes / (2 * passes + misses + alarms)),
        ]
        if all(abs(float(printed) - figure) < 0.00501 for printed, figure in figures):
            fitting.append((hits, passes))
    return fitting[len(fitting) // 2]


@pytest.mark.real
def test_the_published_figures_of_openmic(shared_data: Path) -> None:
    with (shared_data / "openmic2018/baseline_rf_notebook_report.csv").open() as stream:
        printed = {(row["class"], row["label"]): row for row in csv.DictReader(stream) if row["split"] == "test"}
    found = defaultdict(list)
    for name in dict.fromkeys(name for name, _ in printed):
        no, yes = printed[name, "False"], printed[name, "True"]
        hits, passes = decisions(no, yes)
        positives, negatives = int(yes["support"]), int(no["support"])
        labels = column(*[1] * positives, *[0] * negatives)
        said = column(*[1] * hits, *[0] * (positives - hits), *[0] * passes, *[1] * (negatives - passes))
        for metric, (value,) in metrics.evaluate(said, labels, everywhere(labels), NAMES[2:]).items():
            column_of = metric.removesuffix("@0.5")
            assert value.item() == pytest.approx((float(yes[column_of]) + float(no[column_of])) / 2, abs=0.00501)
            found[metric].append(value.item())
    means = {metric: sum(values) / 20 for metric, values in found.items()}
    assert means == pytest.approx({"f1@0.5": 0.784, "precision@0.5": 0.823, "recall@0.5": 0.775}, abs=0.001)
