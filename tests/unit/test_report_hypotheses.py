"""Pictures of hypotheses: all that is given is drawn, in the page's colours; what a page of them shows."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from toolkit import files
from toolkit.corpora import _quadrants, quadrants
from toolkit.data.manifest import Manifest
from toolkit.report import hypotheses
from toolkit.report import hypothesis_figures as figures
from toolkit.report.hypothesis_figures import Placed
from toolkit.report.runs import Group, Run
from toolkit.report.scored import Scored
from toolkit.tasks.hypotheses import WAYS, samples_of

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


@pytest.fixture
def scored(tmp_path: Path) -> Scored:
    """An experiment of three hypotheses, two of whose three inputs are nearly the same; its temperature fell."""
    quadrants.make_mini(tmp_path / "corpus")
    quadrants.prepare(tmp_path / "corpus", tmp_path / "data")
    manifest, exp = Manifest.open(tmp_path / "data/quadrants/test.jsonl"), tmp_path / "exp/cooled"
    files.write_text(exp / "config.yaml", yaml.safe_dump({"task": "hypotheses", "data": {"shown": [0.1, 0.101, 0.9]}}))
    np.save(exp / WAYS, RNG.uniform(-1, 1, (5, 3, 3, 2)))
    for epoch, temperature in enumerate((0.4, 0.1), 1):
        line = {"valid/temperature": temperature, "valid/distortion": 0.2, "valid/spread": 0.3}
        files.append_jsonl(exp / "metrics.jsonl", {"epoch": epoch, **line})
    rows: list[dict[str, Any]] = []
    (exp / "predictions/test").mkdir(parents=True)
    for item in manifest:
        stored = {name: f"{item.id}.{name}.npy" for name in ("points", "weights")}
        np.save(exp / "predictions/test" / stored["points"], RNG.uniform(-1, 1, (1, 3, 2)))
        np.save(exp / "predictions/test" / stored["weights"], np.full((1, 3), 1 / 3))
        files.append_jsonl(exp / "predictions/test/index.jsonl", {"id": item.id, **stored})
        rows.append({"id": item.id, "t": item.labels["t"], "metrics": {"distortion": 0.2, "critical_temperature": 0.3}})
    run = Run(exp, {"config": "conf/paper.yaml"}, {"test": {"data": "quadrants/test", "metrics": {"distortion/mean": 0.2}}})
    return Scored(run, "test", Group([run], "test", "quadrants/test", "mini"), "distortion/mean", rows, manifest)


def test_a_page_shows_figures_over_the_inputs_and_the_temperature(scored: Scored) -> None:
    missing: list[str] = []
    view = hypotheses.view(scored, missing)
    assert [caption for caption, _ in view.lines] == ["Distortion over the input."]
    assert "The line: 0.300" in view.cooling[0][0]
    check(view.cooling[0][1], "distortion", "critical temperature")
    assert missing == []


def test_ways_are_drawn_among_the_samples_of_their_input(scored: Scored) -> None:
    among, *ways = hypotheses.view(scored, []).examples
    assert 'aria-label="Hypotheses among samples for t = 0.12, t = 0.88: paper' in among[1]
    assert [caption.rpartition("t = ")[2] for caption, _ in ways] == ["0.1.", "0.101.", "0.9."]
    assert scored.manifest is not None
    (item,) = (item for item in scored.manifest if item.labels["t"] == 0.875)
    draws = samples_of(scored.manifest, item)
    points = np.random.default_rng(0).permutation(draws.targets[draws.mask])
    taken = np.load(scored.run.folder / WAYS)
    assert ways[2][1] == figures.ways(points, {"paper": taken[:, 2]})


def test_what_is_not_there_is_left_out_and_named(scored: Scored) -> None:
    """Of single inputs there are no scores, of one of them no hypotheses."""
    next((scored.run.folder / "predictions/test").glob("*.points.npy")).unlink()
    for path in (scored.run.folder / "predictions/test").glob("*.weights.npy"):
        path.unlink()
    missing: list[str] = []
    view = hypotheses.view(Scored(scored.run, "test", scored.group, scored.metric, [], scored.manifest), missing)
    assert (view.lines, len(view.cooling), len(view.examples)) == ([], 2, 3)
    assert len(missing) == 1
    assert missing[0].startswith("hypotheses of paper: no such file: ")


def test_samples_with_inputs_of_their_own_have_no_line_over_the_inputs(scored: Scored) -> None:
    rows: list[dict[str, Any]] = [{"id": name, "metrics": {"distortion": 0.2}} for name in ("a", "b")]
    assert hypotheses.view(Scored(scored.run, "test", scored.group, scored.metric, rows, None), []).lines == []
