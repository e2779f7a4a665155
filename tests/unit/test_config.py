"""Configurations: `extends`, overrides, and mistakes that are told with their place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import config
from toolkit.log import UserError


class Filter:
    def __init__(self, taps: int = 8) -> None:
        self.taps = taps


class Gate(Filter):
    def __init__(self, threshold: float = 0.5, taps: int = 8) -> None:
        super().__init__(taps)
        self.threshold = threshold


class Mixer:
    """Sized by its neighbour: ``Mixer(width, gain=...)``."""

    def __init__(self, width: int, gain: float | None = 1.0, inner: Filter | None = None, pans: Sequence[int] = ()) -> None:
        self.width, self.gain = width, gain


class Amplifier(Mixer):
    pass


class Tuned(Filter):
    def __init__(self, pitch: float) -> None:
        super().__init__()


@dataclass
class Options:
    rate: float = 1.0
    form: Literal["sine", "saw"] = "sine"
    names: list[str] = field(default_factory=list)
    most: int | None = None


@dataclass
class Schema:
    filter: Filter
    mixer: Callable[[int], Mixer]
    options: Options = field(default_factory=Options)
    echo: Callable[[int], Mixer] | None = None


TREE = {
    "filter": {"class_path": "Gate", "init_args": {"threshold": 0.1, "taps": 3}},
    "mixer": {"class_path": "Mixer", "init_args": {"gain": 2.0}},
}


def resolve(*words: str) -> Schema:
    return config.Resolved(Schema, config.override(TREE, config.parse_overrides(list(words)))).build()


def test_objects_are_built_from_class_names() -> None:
    built = resolve()
    assert isinstance(built.filter, Gate)
    assert built.filter.threshold == 0.1
    mixer = built.mixer(7)  # the model that holds it knows the width
    assert (mixer.width, mixer.gain) == (7, 2.0)


def test_an_override_needs_no_init_args() -> None:
    assert resolve("--filter.taps", "5").filter.taps == 5
    assert resolve("--options.rate=1e-3").options.rate == 0.001
    assert resolve("--options.names", "[a, b]").options.names == ["a", "b"]


def test_another_class_starts_from_its_own_defaults() -> None:
    assert resolve("--filter", "Filter").filter.taps == 8
    swapped = resolve("--mixer", "Amplifier", "--mixer.gain", "3").mixer(1)
    assert isinstance(swapped, Amplifier)
    assert swapped.gain == 3.0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--filter.tabs", "3"], "filter: Gate has no option 'tabs'; did you mean 'taps'?"),
        (["--filter", "Gait"], "filter: expected a block of the kind Filter, found 'Gait'; did you mean 'Gate'?"),
        (["--filter", "Mixer"], "filter: expected a block of the kind Filter, found 'Mixer'; known: Filter, Gate, Tuned"),
        (["--mixer.width", "3"], "mixer: Mixer has no option 'width'; known: gain, inner, pans"),
        (["--fliter", "Gate"], "the config has no option 'fliter'; did you mean 'filter'?"),
        (["--options.rate", "fast"], "config: options.rate: expected float, found fast"),
        (["--filter.taps", "many"], "config: filter.taps: expected int, found many"),
        (["--options.form", "cubic"], "config: options.form: expected one of 'sine', 'saw', found cubic"),
        (["--options.most", "many"], "config: options.most: expected int, found many"),
        (["--mixer.gain", "loud"], "config: mixer.gain: expected float, found loud"),
        (["--echo", "Mixer", "--echo.gain", "loud"], "config: echo.gain: expected float, found loud"),
        (["--options.names", "a"], "config: options.names: expected list, found a"),
        (["--mixer.pans", "left"], "config: mixer.pans: expected Sequence, found left"),
        (["--mixer.inner", "Gate", "--mixer.inner.taps", "many"], "config: mixer.inner.taps: expected int, found many"),
        (["--filter", "3"], "config: filter: expected a block of the kind Filter, found 3"),
        (["--filter", "Tuned"], "config: filter: expected a value for pitch as well"),
        (["--options.rate"], "--options.rate: expected a value after it"),
        (["filter"], "expected an option such as"),
    ],
)
def test_a_mistake_is_told_in_one_line(words: list[str], told: str) -> None:
    with pytest.raises(UserError) as error:
        resolve(*words)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_block_that_is_not_named_is_checked_as_the_one_that_its_slot_is_named_after() -> None:
    tree = {**TREE, "filter": {"tabs": 3}}
    with pytest.raises(UserError, match="filter: Filter has no option 'tabs'; did you mean 'taps'"):
        config.Resolved(Schema, tree)
    assert config.Resolved(Schema, {**TREE, "filter": {"taps": 3}}).build().filter.taps == 3


def test_extends_lays_one_file_over_another(tmp_path: Path) -> None:
    (tmp_path / "paper.yaml").write_text("{a: 1, b: {class_path: X, init_args: {p: 1, q: 2}}, c: [1, 2]}")
    (tmp_path / "mini.yaml").write_text("{extends: paper.yaml, b: {init_args: {p: 9}}, c: [3]}")
    assert config.read(tmp_path / "mini.yaml") == {"a": 1, "b": {"class_path": "X", "init_args": {"p": 9, "q": 2}}, "c": [3]}


def test_extends_drops_the_options_of_a_class_that_is_replaced() -> None:
    base = {"b": {"class_path": "X", "init_args": {"p": 1}}}
    assert config.merge(base, {"b": {"class_path": "Y"}}) == {"b": {"class_path": "Y"}}


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such config: .*none\.yaml"):
        config.read(tmp_path / "none.yaml")
    (tmp_path / "loop.yaml").write_text("extends: loop.yaml")
    with pytest.raises(UserError, match="extends itself"):
        config.read(tmp_path / "loop.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1,")
    with pytest.raises(UserError, match="not YAML"):
        config.read(tmp_path / "broken.yaml")


def test_a_section_that_stands_twice_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text("train: {seed: 1}\ndata: {}\ntrain: {epochs: 2}\n")
    with pytest.raises(UserError, match=r"twice\.yaml: .*found 'train' twice.* line 3"):
        config.read(tmp_path / "twice.yaml")
    (tmp_path / "merged.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: {x: 3}\n")
    assert config.read(tmp_path / "merged.yaml") == {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}


def test_what_is_saved_rebuilds_the_same(tmp_path: Path) -> None:
    first = config.Resolved(Schema, TREE)
    first.save(tmp_path / "config.yaml")
    again = config.Resolved(Schema, config.read(tmp_path / "config.yaml"))
    assert again.tree == first.tree
    assert first.tree["options"] == {"rate": 1.0, "form": "sine", "names": [], "most": None}  # defaults are written out


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
trees = st.recursive(scalars, lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=12)


@given(st.dictionaries(st.text(max_size=4), trees), st.dictionaries(st.text(max_size=4), trees))
def test_merging_keeps_every_value_of_the_upper_tree(base: dict, top: dict) -> None:
    merged = config.merge(base, top)
    assert config.merge(merged, top) == merged
    assert base.keys() | top.keys() == merged.keys()


@given(trees)
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(tree: object) -> None:
    def turned(node: object) -> object:
        return {key: turned(node[key]) for key in reversed(node)} if isinstance(node, dict) else node

    assert config.fingerprint(tree) == config.fingerprint(turned(tree))
