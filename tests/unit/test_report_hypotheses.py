"""Pictures of hypotheses: all that is given is drawn, in the page's colours."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from toolkit.corpora import _quadrants
from toolkit.report import hypothesis_figures as figures
from toolkit.report.hypothesis_figures import Placed

RNG = np.random.default_rng(0)


def check(text: str, *labels: str) -> None:
    """It is well-formed, named, without colours of its own, and says all that it should."""
    root = ElementTree.fromstring(text.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
    assert root.get("aria-label")
    assert "var(--series-0)" in text
    assert not re.search(r"#0[1-9a]0[0-9a-f]{3}", text)  # no stand-in is left
    shown = " ".join("".join(part.itertext()) for part in root.iter() if part.tag.endswith("text"))
    for label in labels:
        assert label in shown


def test_hypotheses_for_some_inputs() -> None:
    samples = {f"t = {t}": _quadrants.points(_quadrants.draw_given(t, 50, 0)) for t in (0.1, 0.9)}
    weights = np.array([0.7, 0.3, 0.0])
    scored = {name: Placed(RNG.uniform(-1, 1, (3, 2)), weights) for name in samples}
    plain = {name: Placed(RNG.uniform(-1, 1, (3, 2))) for name in samples}
    check(figures.hypotheses(samples, {"rMCL": scored, "sMCL": plain}), "t = 0.1", "t = 0.9", "rMCL", "sMCL")


def test_more_samples_make_no_larger_picture() -> None:
    points = RNG.uniform(-1, 1, (5000, 2))
    found = {"one": {"all": Placed(points[:2])}}
    large, small = (figures.hypotheses({"all": points[:count]}, found) for count in (5000, 400))
    assert large == small


def test_the_ways_they_took() -> None:
    steps = RNG.normal(0, 0.05, (20, 5, 2)).cumsum(0)
    check(figures.ways(RNG.uniform(-1, 1, (30, 2)), {"WTA": steps, "aMCL": steps[::-1]}), "WTA", "aMCL")


@pytest.mark.parametrize("critical", [(), (0.464, 0.02)])
def test_risk_as_they_cool(critical: tuple[float, ...]) -> None:
    temperatures = 0.6 * 0.9 ** np.arange(40)
    lines = {"aMCL": (temperatures.tolist(), (0.4 * temperatures + 0.01).tolist())}
    text = figures.cooling(lines, critical, {"k-means": 0.009})
    check(text, "aMCL", "k-means", "temperature", "risk")
    assert ("critical temperature" in text) == bool(critical)
    check(figures.cooling(lines, critical, quantity="spread"), "aMCL", "temperature", "spread")
