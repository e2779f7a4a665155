"""What a sweep varies: keys of the configuration with the values that each takes, as overrides of a command line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from toolkit import config, files
from toolkit.log import UserError

TAG = "tag"  # of an entry of a list: what its experiment is called
LONGEST = 255  # bytes of a folder's name
Pair = tuple[str, str]  # a key and the text of its value, as `--train.seed 0` has them


@dataclass(frozen=True)
class Combination:
    """One experiment of a sweep.

    Attributes:
        tag: its folder below `exp/`, as `run.sh` names it.
        overrides: words such as ``--train.seed 0``.
    """

    tag: str
    overrides: list[str]


def combinations(origin: Path, fixed: list[str], grids: Sequence[str], entries: str | None = None) -> list[Combination]:
    """Every combination of the values of a grid's axes, for every entry of a list if there is one.

    Args:
        origin: the configuration that they are laid over.
        fixed: overrides of all of them.
        grids: YAML, or files of it: keys, each with the list of its values.
        entries: YAML, or a file of it: a list of keys with one value each; ``tag`` among them names the experiment.

    Returns:
        In the order of the axes, the last of which changes fastest.

    Raises:
        UserError: something is not of that form, or two combinations have the same name.
    """
    if not grids and entries is None:
        raise UserError("expected what is to be varied. Next: --grid 'train.seed: [0, 1, 2]', or --list")
    config.parse_overrides(fixed)  # their form
    axes: dict[str, list[str]] = {}
    for text in grids:
        for key, values in _mapping(*_compose(text, "--grid"), "--grid"):
            if key in axes:
                raise UserError(f"--grid: expected each key once, found {key} twice. Next: put all its values into one list")
            axes[key] = _values(key, values)
    starts = [([], "")] if entries is None else _entries(entries)
    found = []
    for (pairs, tag), chosen in itertools.product(starts, itertools.product(*axes.values())):
        varied = list(zip(axes, chosen, strict=True))
        given = _pairs(fixed)
        name = tag + _suffix(varied) if tag else origin.stem + _suffix([*given, *pairs, *varied])
        found.append(Combination(name, [word for key, value in [*given, *pairs, *varied] for word in (f"--{key}", value)]))
    _check_names(found)
    return found


def _check_names(found: list[Combination]) -> None:
    names = [combination.tag for combination in found]
    for combination in found:
        if names.count(combination.tag) > 1:
            raise UserError(
                f"expected a name for each experiment, found exp/{combination.tag} twice "
                f"({' '.join(combination.overrides)}). Next: name them in --list, {{tag: NAME, ...}}"
            )
        if len(combination.tag.encode()) > LONGEST:
            raise UserError(
                f"sweep: exp/{combination.tag[:40]}... is longer than a folder's name may be. "
                "Next: name it in --list, {tag: NAME, ...}"
            )


def _suffix(pairs: Sequence[Pair]) -> str:
    """What overrides add to the configuration's name, as in `utils/recipe.sh`.

    Keys stand without their section; in values, every byte that is no letter, digit or point becomes a dash.
    """
    spelt = ((key.partition(".")[2] or key, re.sub(rb"[^A-Za-z0-9.]", b"-", value.encode()).decode()) for key, value in pairs)
    return "".join(f"_{option}-{value}" for option, value in spelt)


def _pairs(words: list[str]) -> list[Pair]:
    """``--train.seed 0`` or ``--train.seed=0`` as key and text."""
    pairs, rest = [], list(words)
    while rest:
        key, equals, value = rest.pop(0)[2:].partition("=")
        pairs.append((key, value if equals else rest.pop(0)))
    return pairs


def _entries(text: str) -> list[tuple[list[Pair], str]]:
    """Overrides and name of each entry of a list; an empty name where none is given."""
    node, source = _compose(text, "--list")
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise UserError(f"--list: expected a list of entries such as [{{train.seed: 0}}], found {source.strip()[:60]!r}")
    found = []
    for entry in node.value:
        pairs = {key: _spell(value, source) for key, (value, source) in _mapping(entry, source, "--list")}
        tag = pairs.pop(TAG, "").strip("'\"")
        if not re.fullmatch(r"[\w.-]*", tag) or tag in (".", ".."):
            raise UserError(f"--list: expected a tag of letters, digits, _ . and -, found {tag!r}")
        found.append((list(pairs.items()), tag))
    return found


def _values(key: str, axis: tuple[yaml.Node, str]) -> list[str]:
    node, source = axis
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise UserError(f"--grid: {key}: expected a list of values such as [1, 2], found {_spell(node, source)!r}")
    return [_spell(value, source) for value in node.value]


def _compose(text: str, option: str) -> tuple[yaml.Node | None, str]:
    """YAML as it is written down, and its source: of values the text is wanted, which a name is made of."""
    path = Path(text)
    if path.suffix in (".yaml", ".yml") and "\n" not in text:
        if not path.is_file():
            raise UserError(f"{option}: no such file: {path}")
        text = files.read_text(path, "save it as UTF-8")
    try:
        return yaml.compose(text, yaml.SafeLoader), text
    except yaml.YAMLError as error:
        raise UserError(f"{option}: not YAML: {' '.join(str(error).split())}") from error


def _mapping(node: yaml.Node | None, source: str, option: str) -> list[tuple[str, tuple[yaml.Node, str]]]:
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise UserError(f"{option}: expected keys and values such as {{train.seed: ...}}, found {source.strip()[:60]!r}")
    return [(str(key.value), (value, source)) for key, value in node.value]


def _spell(node: yaml.Node, source: str) -> str:
    """A value on one line, as one would type it: ``1e-3`` stays what it is."""
    flow = not isinstance(node, yaml.CollectionNode) or bool(node.flow_style)
    text = source[node.start_mark.index : node.end_mark.index]
    if flow and "\n" not in text:
        return text
    _flow(node)
    return yaml.serialize(node, Dumper=yaml.SafeDumper, width=2**31, allow_unicode=True).removesuffix("\n...\n").strip()


def _flow(node: yaml.Node) -> None:
    """Write a node, and all that it holds, in braces and brackets."""
    if isinstance(node, yaml.CollectionNode):
        node.flow_style = True
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                _flow(part)
