"""`paper.yaml`: what is accepted, and what a wrong one is told."""

from pathlib import Path

import pytest
import yaml

from toolkit.log import UserError
from toolkit.report.paper import Paper

RECIPES = Path(__file__).resolve().parents[2] / "egs"
ROW = {
    "system": "Net",
    "config": "conf/paper.yaml",
    "data": "corpus/test",
    "metric": "si_sdr_improvement/mean",
    "value": 15.3,
    "source": "table 1",
}
PAPER = {
    "title": "A net",
    "authors": ["Ann Luo", "Bo Chen"],
    "venue": "ICASSP",
    "year": 2019,
    "protocol": "All items.",
    "rows": [ROW],
}


def read(folder: Path, **changes: object) -> Paper:
    path = folder / "paper.yaml"
    path.write_text(yaml.safe_dump({**PAPER, **changes}))
    return Paper.read(path)


def test_a_paper_and_its_rows(tmp_path: Path) -> None:
    paper = read(tmp_path)
    assert paper.citation == "Luo & Chen 2019"
    assert paper.rows[0].value == 15.3
    assert paper.rows[0].group == "this paper"


def test_the_headline_is_the_first_row_that_a_config_reproduces(tmp_path: Path) -> None:
    quoted = {**ROW, "system": "Older net", "config": None}
    assert read(tmp_path, rows=[quoted, ROW]).headline.system == "Net"
    assert read(tmp_path, rows=[quoted]).headline.system == "Older net"


def test_what_is_measured_on_the_same_data_is_a_table(tmp_path: Path) -> None:
    """Its metrics are columns; absolute figures and improvements never share one."""
    absolute, elsewhere = {**ROW, "metric": "si_sdr/mean", "value": 15.9}, {**ROW, "data": "other/test"}
    assert read(tmp_path, rows=[ROW, elsewhere, absolute]).tables == [
        ("corpus/test", ["si_sdr_improvement/mean", "si_sdr/mean"]),
        ("other/test", ["si_sdr_improvement/mean"]),
    ]


def test_of_more_columns_than_can_be_read_each_metric_is_a_table(tmp_path: Path) -> None:
    values = dict.fromkeys(("all", "drums", "bass", "vocals"), 6.28)
    shared = {key: value for key, value in ROW.items() if key != "value"} | {"values": values}
    rows = [{**shared, "metric": f"bsseval_v4_{ratio}/median_of_medians"} for ratio in ("sdr", "isr", "sir", "sar")]
    (_, together), *others = read(tmp_path, rows=rows[:3]).tables
    assert (len(together), others) == (12, [])
    assert [len(identities) for _, identities in read(tmp_path, rows=rows).tables] == [4, 4, 4, 4]


def test_a_wrong_key_is_told_with_its_neighbour(tmp_path: Path) -> None:
    wrong = {**ROW, "sorce": "table 1"}
    with pytest.raises(UserError, match=r"row 1: unknown key 'sorce'; did you mean 'source'\?"):
        read(tmp_path, rows=[wrong])
    with pytest.raises(UserError, match=r"unknown key 'titel'; did you mean 'title'\?"):
        read(tmp_path, titel="x")


def test_a_figure_has_a_source_or_is_marked_unverified(tmp_path: Path) -> None:
    unsourced = {key: value for key, value in ROW.items() if key != "source"}
    with pytest.raises(UserError, match=r"row 1 \(Net\): expected either `source:` or `unverified: true`, found neither"):
        read(tmp_path, rows=[unsourced])
    with pytest.raises(UserError, match="found both"):
        read(tmp_path, rows=[{**ROW, "unverified": True}])
    assert read(tmp_path, rows=[{**unsourced, "unverified": True}]).rows[0].unverified


def test_only_an_unverified_row_may_lack_its_figure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a figure where a source is named"):
        read(tmp_path, rows=[{**ROW, "value": None}])


def test_values_are_a_row_for_each_source(tmp_path: Path) -> None:
    shared = {key: value for key, value in ROW.items() if key not in ("value", "metric")}
    metric = "bsseval_v4_sdr/median_of_medians"
    paper = read(tmp_path, rows=[{**shared, "metric": metric, "values": {"vocals": 6.84, "all": 6.28}}])
    assert [(row.metric, row.value) for row in paper.rows] == [(metric, 6.28), (f"{metric}/vocals", 6.84)]
    both = [metric, f"{metric}/vocals"]
    assert paper.tables == [("corpus/test", both)]
    assert [list(system) for system in paper.systems("corpus/test", both)] == [both]


@pytest.mark.parametrize("change", [{"values": {}}, {"values": [6.28]}, {"values": {"all": 6.28}, "value": 6.28}], ids=str)
def test_values_are_checked(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(UserError, match="row 1: values: expected figures by what follows `metric`"):
        read(tmp_path, rows=[{**{key: value for key, value in ROW.items() if key != "value"}, **change}])


def test_values_without_a_metric_are_named_by_whole_ids(tmp_path: Path) -> None:
    shared = {key: value for key, value in ROW.items() if key not in ("value", "metric")}
    of_one = {**shared, "metric": "earth_mover", "values": {"mean": 0.17, "t=0": 0.16}}
    of_many = {**shared, "values": {"si_sdr/mean": 15.9, "rpa@50/mean": 0.9}}
    rows = read(tmp_path, rows=[of_one, of_many]).rows
    found = {row.metric: row.value for row in rows}
    assert found == {"earth_mover/mean": 0.17, "earth_mover/t=0": 0.16, "si_sdr/mean": 15.9, "rpa@50/mean": 0.9}
    with pytest.raises(UserError, match="metric: expected an id such as all/mean, found 'all'"):
        read(tmp_path, rows=[{**shared, "values": {"all": 15.9}}])
    with pytest.raises(UserError, match=r"expected a share, such as 0\.961 for 96\.1 %, found 90"):
        read(tmp_path, rows=[{**shared, "values": {"rpa@50/mean": 90}}])


def test_what_rows_share_is_said_once(tmp_path: Path) -> None:
    """The innermost word counts, and a row of a group is checked like any other."""
    nothing = {"data": "corpus/test", "unverified": True, "values": {"mig/mean": None, "sap/mean": None}}
    systems = [{"system": "A"}, {"system": "B", "data": "other/test"}, {"group": "ours", "rows": [{"system": "C"}]}]
    rows = read(tmp_path, rows=[{**nothing, "rows": systems}, ROW]).rows
    assert [(row.system, row.group, row.data, row.metric) for row in rows] == [
        ("A", "this paper", "corpus/test", "mig/mean"),
        ("A", "this paper", "corpus/test", "sap/mean"),
        ("B", "this paper", "other/test", "mig/mean"),
        ("B", "this paper", "other/test", "sap/mean"),
        ("C", "ours", "corpus/test", "mig/mean"),
        ("C", "ours", "corpus/test", "sap/mean"),
        ("Net", "this paper", "corpus/test", "si_sdr_improvement/mean"),
    ]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"rows": []}, "row 1: expected `rows`, a list with at least one row"),
        ({"rows": {"system": "A"}}, "row 1: expected `rows`, a list with at least one row"),
        ({"rows": ["A"]}, "row 1.1: expected keys and values, found 'A'"),
        ({"rows": [{"system": "A"}, {"sytem": "B"}]}, "row 1.2: unknown key 'sytem'; did you mean 'system'?"),
        ({"rows": [{"system": "A", "unverified": True}]}, "row 1.1 (A): expected either `source:` or `unverified: true`"),
        ({"rows": [{"system": "A", "values": {"all": 15.0}}]}, "row 1.1: values: expected figures by what follows `metric`"),
    ],
)
def test_a_wrong_row_of_a_group_is_told(tmp_path: Path, group: dict[str, object], message: str) -> None:
    shared = {key: value for key, value in ROW.items() if key != "system"}
    with pytest.raises(UserError) as told:
        read(tmp_path, rows=[{**shared, **group}])
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_rows_of_one_system_come_together(tmp_path: Path) -> None:
    """Their figures may have been read in different places; two of the same metric are of two systems."""
    rows = [{**ROW, "metric": f"{name}/mean", "source": f"table {name}"} for name in ("nsdr", "si_sdr", "nsdr")]
    systems = read(tmp_path, rows=rows).systems("corpus/test", ["nsdr/mean", "si_sdr/mean"])
    assert [list(system) for system in systems] == [["nsdr/mean", "si_sdr/mean"], ["nsdr/mean"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "15.3"}, "value: expected float | None, found '15.3'"),
        ({"options": "--train.epochs 3"}, "options: expected list[str], found '--train.epochs 3'"),
        ({"options": ["--train.epochs"]}, "row 1 (Net): options: --train.epochs: expected a value after it"),
        ({"options": ["train.epochs", "3"]}, "row 1 (Net): options: expected an option such as --train.epochs 3"),
        ({"metric": "si_sdr"}, "metric: expected an id such as si_sdr/mean"),
        ({"unverified": "yes"}, "unverified: expected bool, found 'yes'"),
    ],
)
def test_wrong_values_are_told(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as told:
        read(tmp_path, rows=[{**ROW, **change}])
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_missing_pieces_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        Paper.read(tmp_path / "nowhere.yaml")
    (tmp_path / "paper.yaml").write_text("title: [")
    with pytest.raises(UserError, match="not YAML"):
        Paper.read(tmp_path / "paper.yaml")
    with pytest.raises(UserError, match="at least one row"):
        read(tmp_path, rows=[])
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump({key: value for key, value in PAPER.items() if key != "venue"}))
    with pytest.raises(UserError, match="the key 'venue' is missing"):
        Paper.read(tmp_path / "paper.yaml")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/*/run.sh")), ids=lambda path: "/".join(path.parts[-3:-1]))
def test_every_recipe_names_configs_that_are_there(path: Path) -> None:
    paper = Paper.read(path.with_name("paper.yaml"))
    for row in paper.rows:
        assert row.config is None or (path.parent / row.config).is_file(), row.config
    headline = path.parent / str(paper.headline.config)
    assert headline.name == "paper.yaml" or yaml.safe_load(headline.read_text())["extends"] == "paper.yaml"  # a second stage
