"""Pitch curves against mir_eval.melody, on its own fixtures and on curves of all kinds."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.metrics import melody

mir_eval = pytest.importorskip("mir_eval")

NAMES = {
    "Voicing Recall": "voicing_recall",
    "Voicing False Alarm": "voicing_false_alarm",
    "Raw Pitch Accuracy": "rpa@{0:g}",
    "Raw Chroma Accuracy": "rca@{0:g}",
    "Overall Accuracy": "oa@{0:g}",
}


def expected(*curves: np.ndarray, tolerance: float = 50, **options) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {name: values.copy() for name, values in options.items()}  # which mir_eval writes to
        found = mir_eval.melody.evaluate(*curves, cent_tolerance=tolerance, **options)
    return {NAMES[name].format(tolerance): value for name, value in found.items()}


def found(*curves: np.ndarray, tolerance: float = 50, voicing=None, reward=None) -> dict[str, float]:
    aligned = melody.align(*curves, voicing=voicing, reward=reward)
    return melody.evaluate(aligned, [name.format(tolerance) for name in NAMES.values()])


@pytest.mark.real
@pytest.mark.parametrize("case", range(10))
def test_published_fixtures(shared_data: Path, case: int) -> None:
    folder = shared_data / "mir_eval" / "melody"
    curves = [column for name in ("ref", "est") for column in np.loadtxt(folder / f"{name}{case:02}.txt").T]
    published = json.loads((folder / f"output{case:02}.json").read_text())
    assert found(*curves) == pytest.approx({NAMES[name].format(50): value for name, value in published.items()}, abs=1e-9)
    for tolerance in (10, 25, 50, 100):
        assert found(*curves, tolerance=tolerance) == pytest.approx(expected(*curves, tolerance=tolerance), abs=1e-12)


@pytest.mark.real
def test_published_confidences(shared_data: Path) -> None:
    folder = shared_data / "mir_eval" / "melody"
    times, hertz = np.loadtxt(folder / "ref00.txt").T
    reward = np.loadtxt(folder / "reward00.txt")[:, 1]
    own, estimate = np.loadtxt(folder / "est00.txt").T
    voicing = np.loadtxt(folder / "voicingest00.txt")[:, 1]
    for options in ({"voicing": voicing}, {"reward": reward}, {"voicing": voicing, "reward": reward}):
        named = {{"voicing": "est_voicing", "reward": "ref_reward"}[name]: values for name, values in options.items()}
        theirs = expected(times, hertz, own, estimate, **named)
        assert found(times, hertz, own, estimate, **options) == pytest.approx(theirs, abs=1e-12)


PITCHES = st.one_of(st.just(0.0), st.floats(20, 4000), st.floats(-4000, -20), st.sampled_from([110.0, 220.0, -440.0]))


@st.composite
def curve(draw, pitches=PITCHES) -> tuple[np.ndarray, np.ndarray]:
    """Any number of pitches at times that rise by 2 to 30 ms, from 0 s or later."""
    values = draw(st.lists(pitches, min_size=2, max_size=25))
    steps = draw(st.lists(st.integers(2, 30), min_size=len(values), max_size=len(values)))
    start = draw(st.sampled_from([0, 0, 23]))
    return (start + np.cumsum([0, *steps[1:]])) / 1000, np.array(values)


@settings(max_examples=200)
@given(curve(st.one_of(st.just(0.0), st.floats(20, 4000), st.just(220.0))), curve(), st.sampled_from([50, 25, 1200]))
def test_any_curves(reference, estimate, tolerance) -> None:
    assert found(*reference, *estimate, tolerance=tolerance) == pytest.approx(
        expected(*reference, *estimate, tolerance=tolerance), abs=1e-12
    )


@settings(max_examples=100)
@given(curve(st.floats(20, 4000)), curve(st.one_of(st.just(0.0), st.floats(20, 4000))), st.data())
def test_any_confidences(reference, estimate, data) -> None:
    confidence, reward = (
        np.array(data.draw(st.lists(st.floats(0, 1, width=16), min_size=len(values), max_size=len(values))))
        for _, values in (estimate, reference)
    )
    theirs = expected(*reference, *estimate, est_voicing=confidence, ref_reward=reward)
    assert found(*reference, *estimate, voicing=confidence, reward=reward) == pytest.approx(theirs, abs=1e-9)
