"""How a metric is spread over items, on a page: one histogram, or a box for each kind."""

from pathlib import Path
from typing import Any

import pytest

from toolkit.data.manifest import Item
from toolkit.report import synthesis
from toolkit.report.runs import Group, Run
from toolkit.report.scored import Scored
from toolkit.report.spread import by_label, spread, values_of


def row(identity: str, value: float) -> dict[str, Any]:
    return {"id": identity, "metrics": {"si_sdr": value}}


def item(identity: str, **labels: str) -> Item:
    return Item(identity, "test", 16000, 16000, 1, {}, labels)


def test_values_of_several_kinds_are_boxes() -> None:
    [(caption, picture)] = spread({"violin": [1.0, 2.0], "flute": [3.0]}, "si_sdr", "recordings", "instrument")
    assert caption == "SI-SDR (dB) of single recordings by instrument. Each dot is one of them, the thick line is the median."
    assert picture.index("violin (n = 2)") < picture.index("flute (n = 1)")
    many = [0.1 * value for value in range(30)]
    [(caption, _)] = spread({"violin": many, "flute": [3.0]}, "si_sdr", "recordings", "instrument")
    assert "The box holds the middle half" in caption
    assert caption.endswith("Up to 12 values are dots.")


@pytest.mark.parametrize(
    "groups", [{"": [1.0, 2.0, 3.0]}, {"a": [1.0], "b": [2.0], "c": [3.0]}, {"a": [1.0, 2.0, 3.0], "b": []}]
)
def test_values_of_one_kind_or_one_of_each_are_a_histogram(groups: dict[str, list[float]]) -> None:
    [(caption, picture)] = spread(groups, "si_sdr", "recordings", "instrument")
    assert caption == "SI-SDR (dB) of the 3 recordings; the line is the median, 2.00."
    assert "over 3 items" in picture


def test_shares_are_drawn_in_percent() -> None:
    [(caption, picture)] = spread({"": [0.25, 0.75]}, "rpa@50", "recordings")
    assert caption.endswith("the line is the median, 50.0.")
    assert ">70<" in picture.replace(" ", "")


def test_nothing_is_drawn_of_a_single_item() -> None:
    assert spread({"": [1.0]}, "si_sdr", "recordings") == []
    assert spread({}, "si_sdr", "recordings") == []


def test_lines_of_scores_by_what_the_manifest_says() -> None:
    rows = [row("a", 1.0), row("b", float("nan")), row("c", 3.0), row("d", 4.0)]
    items = {one.id: one for one in (item("a", instrument="double_bass"), item("b", instrument="cello"), item("c"))}
    groups = by_label(rows, items, "instrument")
    assert {name: values_of(members, "si_sdr") for name, members in groups.items()} == {
        "-": [3.0, 4.0],
        "cello": [],
        "double bass": [1.0],
    }
    assert values_of(rows, "si_sdr", "untrained") == []


def test_synthesis_is_told_by_model_and_by_instrument(tmp_path: Path) -> None:
    rows = [{**row(name, value), "untrained": {"si_sdr": 0.0}} for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    items: Any = [item("a", instrument="violin"), item("b", instrument="flute"), item("c", instrument="flute")]
    run = Run(tmp_path, {}, {"test": {"metrics": {}, "data": "x"}})
    shown = synthesis.view(Scored(run, "test", Group([run], "test", "x", "mini"), "si_sdr/mean", rows, items), [])
    by_model, by_instrument = (picture for _, picture in shown.distributions)
    assert "trained (n = 3)" in by_model
    assert "flute (n = 2)" in by_instrument
    assert "violin (n = 1)" in by_instrument
