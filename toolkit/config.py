"""Configurations: YAML with `extends`, overrides from the command line, checked against typed classes, built into objects.

Reading and overriding need no class at all and are quick; the stage bookkeeping relies on that.  `check` walks the YAML along
the type hints of the classes it names, so that a misspelt key is told with its place and its nearest neighbour; `jsonargparse`
then converts the values and builds the objects.
"""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import hashlib
import inspect
import itertools
import json
import re
import sys
import types
import typing
import warnings
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml

from toolkit import files
from toolkit.log import UserError, suggestion

Schema = TypeVar("Schema")
Tree = dict[str, Any]
OWN = ("toolkit.", "torch.optim.")  # modules whose classes a configuration that comes from elsewhere may name
REFUSALS = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError)  # of classes, for options that make no sense

KEY = re.compile(r'Parser key "([\w.]+)":')  # of jsonargparse's messages, as are the next two
REASONS = {  # and how they are told
    r"Expected an? <class '(?:[\w.]+\.)?(\w+)'>": r"expected \1",
    r"Expected a (tuple with \d+ elements)": r"expected a \1",
    r"Expected an? typing\.Literal\[(.*)\]": r"expected one of \1",
    r"Not a valid subclass of (\w+)": r"expected a block of the kind \1",
    r"the following arguments are required: (\w+(?:, \w+)*)": r"expected a value for \1 as well",
}
VALUE = re.compile(r"(?:Got|Given) value: (?!Namespace\()(.*?)(?:\. Got value: |$)", re.MULTILINE)


def read(path: Path | str) -> Tree:
    """Read a YAML file; what it `extends` (a path beside it) is read first and lies below it.

    Raises:
        UserError: the file is missing, is not YAML, or extends itself.
    """
    return _read(Path(path), ())


def section(tree: Tree, name: str) -> Tree:
    """What stands below a key of a configuration that was read; nothing where it is not there.

    Raises:
        UserError: something other than keys and values stands there.
    """
    found = tree.get(name)
    if found is not None and not isinstance(found, dict):
        raise UserError(f"{name}: expected keys and values, found {repr(found)[:60]}. Next: see one of conf/*.yaml")
    return found or {}


def merge(base: Any, top: Any) -> Any:
    """Lay `top` over `base`, key by key; a changed `class_path` drops the options of the class it replaces."""
    if not isinstance(base, dict) or not isinstance(top, dict):
        return copy.deepcopy(top)
    if "class_path" in top and top["class_path"] != base.get("class_path"):
        return copy.deepcopy(top)
    merged = copy.deepcopy(base)
    for key, value in top.items():
        merged[key] = merge(merged.get(key), value)
    return merged


def parse_overrides(arguments: list[str]) -> list[tuple[str, Any]]:
    """Split ``--model.separator DPRNN --train.epochs=3`` into keys and YAML values.

    Raises:
        UserError: something is not of that form.
    """
    pairs: list[tuple[str, Any]] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise UserError(f"expected an option such as --train.epochs 3, found {word!r}. Next: see --help")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise UserError(f"{word}: expected a value after it. Next: {word} VALUE")
            value = rest.pop(0)
        pairs.append((key, _yaml(value, word)))
    return pairs


def override(tree: Tree, pairs: list[tuple[str, Any]]) -> Tree:
    """A copy of `tree` with dotted keys set.

    `init_args` need not be written out; a class name put where an object stands replaces it together with its options.
    """
    tree = copy.deepcopy(tree)
    for key, value in pairs:
        node = tree
        *parents, last = key.split(".")
        for part in parents:
            node = _descend(node, part)
        node = _options(node, last)
        is_object = isinstance(node.get(last), dict) and "class_path" in node[last]
        node[last] = {"class_path": value} if is_object and isinstance(value, str) else value
    return tree


def fingerprint(tree: Any) -> str:
    """Twelve hexadecimal digits that change when a value does (not when keys change places)."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True, default=str).encode()).hexdigest()[:12]


class Resolved(Generic[Schema]):
    """A checked configuration: every value there, defaults included.

    Attributes:
        tree: plain values, as they are saved with an experiment.
    """

    def __init__(self, schema: type[Schema], tree: Tree, origin: str = "config") -> None:
        """Check `tree` against the dataclass `schema`.

        Raises:
            UserError: an unknown key, a class that does not fit its slot, a value of the wrong type.
        """
        import jsonargparse

        try:
            check(schema, tree, "")
        except UserError as error:
            raise UserError(f"{origin}: {error}") from error
        self.schema = schema
        self._parser = jsonargparse.ArgumentParser(exit_on_error=False)
        self._parser.add_class_arguments(schema)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._values = self._parser.parse_object(copy.deepcopy(tree))
        except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
            raise UserError(f"{origin}: {_placed(str(error))}") from error
        self.tree: Tree = yaml.safe_load(self._parser.dump(self._values, skip_unset=False))

    def build(self) -> Schema:
        """Build the objects; each call makes new ones.

        Raises:
            UserError: a class refuses its options.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.schema(**vars(self._parser.instantiate(self._values)))
        except REFUSALS as error:
            raise UserError(f"config: {_condense(str(error))}") from error

    def save(self, path: Path | str) -> None:
        """Write the resolved configuration as YAML."""
        files.write_text(path, yaml.safe_dump(self.tree, sort_keys=False, allow_unicode=True))


def check(kind: Any, node: Any, where: str) -> None:
    """Hold a YAML node against the type it stands for: unknown keys and unfitting classes are refused.

    Args:
        kind: a dataclass, a class (then `node` names a subclass), or a type hint that wraps one.
        node: plain YAML values.
        where: the dotted place, for the message.

    Raises:
        UserError: told with place, what was found and the nearest known name.
    """
    slots = _classes(kind)
    if slots and all(map(dataclasses.is_dataclass, slots)) and not isinstance(node, dict):
        if node is None and type(None) in typing.get_args(kind):
            return
        raise UserError(f"{where}: expected keys and values, found {repr(node)[:60]}")
    for slot in slots:
        if dataclasses.is_dataclass(slot) and isinstance(node, dict):
            _check_keys(slot, node, where, skip=0)
        elif isinstance(node, dict) and "class_path" not in node and not (inspect.isabstract(slot) or _positional(kind)):
            _check_keys(slot, node, where, skip=0)  # options of the very class that the slot is named after
        elif isinstance(node, str) or (isinstance(node, dict) and "class_path" in node):
            name = node if isinstance(node, str) else node["class_path"]
            chosen = _find(slot, name, where)
            options = section(node, "init_args") if isinstance(node, dict) else {}
            _check_keys(chosen, options, where, skip=_positional(kind))
    if isinstance(node, list):
        for index, element in enumerate(node):
            for inner in typing.get_args(kind):
                check(inner, element, f"{where}.{index}")


def refuse_foreign(tree: Any, origin: str) -> None:
    """Refuse a configuration that names anything importable but classes of the toolkit and optimizers of torch.

    Reading a foreign name would import its module, that is, run its code: what is to be opened without trust goes through here
    first. The toolkit's classes are imported before, so that nothing has to be imported to find them.

    Raises:
        UserError: tells the name.
    """
    if isinstance(tree, dict):
        for value in tree.values():
            refuse_foreign(value, origin)
    elif isinstance(tree, list):
        for value in tree:
            refuse_foreign(value, origin)
    elif isinstance(tree, str) and "." in tree and all(part.isidentifier() for part in tree.split(".")):
        module, _, name = tree.rpartition(".")
        found = getattr(sys.modules.get(module), name, None)
        if not isinstance(found, type) or not found.__module__.startswith(OWN):
            raise UserError(f"{origin}: it names {tree!r}, which is no class of the toolkit; such a file is not opened")


def subclasses(slot: type[Any]) -> dict[str, type]:
    """Every class that fits a slot, by its short name: concrete subclasses that have been imported."""
    found: dict[str, type] = {} if inspect.isabstract(slot) else {slot.__name__: slot}
    derived: type
    for derived in slot.__subclasses__():
        found.update(subclasses(derived))
    return found


def _read(path: Path, seen: tuple[Path, ...]) -> Tree:
    if not path.is_file():
        raise UserError(f"no such config: {path}. Next: give --config one of conf/*.yaml")
    if path.resolve() in seen:
        raise UserError(f"{path}: it extends itself")
    tree = _yaml(files.read_text(path, "save it as UTF-8"), str(path)) or {}
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected keys and values, found {type(tree).__name__}. Next: see one of conf/*.yaml")
    if odd := [key for key in tree if not isinstance(key, str)]:
        raise UserError(f"{path}: expected names as keys, found {odd[0]!r}. Next: see one of conf/*.yaml")
    base = tree.pop("extends", None)
    if not isinstance(base, str | None):
        raise UserError(f"{path}: extends: expected the name of a file beside it, found {base!r}. Next: extends: paper.yaml")
    return tree if base is None else merge(_read(path.parent / base, (*seen, path.resolve())), tree)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number, as every reader of a paper expects, and no section stands twice.

    PyYAML itself takes the last of equal keys: options of the first would be lost without a word.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Keys and values as they are written.

        Raises:
            ComposerError: a key stands there twice.
        """
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    told = f"expected each key once, found {key.value!r} twice"
                    raise yaml.composer.ComposerError(None, None, told, key.start_mark)
                seen.add(key.value)
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def _yaml(text: str, where: str) -> Any:
    try:
        value = _Loader(text).get_single_data()
        json.dumps(value, default=str, skipkeys=True)  # an anchor that stands within itself would have no end
    except (yaml.YAMLError, ValueError) as error:  # the latter: 2020-13-45, which looks like a date
        raise UserError(f"{where}: not YAML: {_condense(str(error))}. Next: mend it there") from error
    except RecursionError as error:
        raise UserError(f"{where}: expected fewer lists and keys within each other. Next: mend it there") from error
    return value


def _options(node: Tree, key: str) -> Tree:
    """Where an object's option stands: in `init_args`, unless `key` is one of the two words YAML itself uses."""
    if "class_path" in node and key not in ("class_path", "init_args"):
        if node.get("init_args") is None:
            node["init_args"] = {}
        return node["init_args"]
    return node


def _descend(node: Tree, part: str) -> Tree:
    node = _options(node, part)
    child = node.get(part)
    if not isinstance(child, dict):
        node[part] = {"class_path": child} if isinstance(child, str) else {}
    return node[part]


def _classes(kind: Any) -> list[type]:
    """The classes that a hint may stand for: ``X``, ``Optional[X]``, ``Callable[[...], X]``; none where plain values fit."""
    origin = typing.get_origin(kind)
    if origin is collections.abc.Callable:
        return _classes(typing.get_args(kind)[1])
    if origin in (typing.Union, types.UnionType):
        choices = [_classes(argument) for argument in typing.get_args(kind) if argument is not type(None)]
        return list(itertools.chain(*choices)) if all(choices) else []
    return [kind] if isinstance(kind, type) and kind.__module__ not in ("builtins", "pathlib") else []


def _positional(kind: Any) -> int:
    """How many parameters the builder fills in itself: those of ``Callable[[int, int], X]``."""
    if typing.get_origin(kind) is collections.abc.Callable:
        given = typing.get_args(kind)[0]
        return len(given) if isinstance(given, list) else 0
    return max((_positional(argument) for argument in typing.get_args(kind)), default=0)


def _find(slot: type, name: Any, where: str) -> type:
    if not isinstance(name, str):
        next_step = f"Next: toolkit blocks {slot.__name__}"
        raise UserError(f"{where}.class_path: expected the name of a block, found {name!r}. {next_step}")
    known = subclasses(slot)
    chosen = known.get(name.rpartition(".")[2])
    if chosen is None:
        raise UserError(f"{where}: expected a block of the kind {slot.__name__}, found {name!r}{suggestion(name, known)}")
    return chosen


def _check_keys(cls: type, options: Tree, where: str, skip: int) -> None:
    parameters = list(inspect.signature(cls).parameters.values())[skip:]
    hints = typing.get_type_hints(cls if dataclasses.is_dataclass(cls) else getattr(cls, "__init__"))  # noqa: B009
    known = {p.name for p in parameters}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    for key, value in options.items():
        if key not in known:
            place = f"{where}: {cls.__name__}" if where else "the config"
            raise UserError(f"{place} has no option {key!r}{suggestion(str(key), known)}")
        check(hints.get(key, Any), value, f"{where}.{key}".lstrip("."))


def _placed(message: str) -> str:
    """What jsonargparse finds wrong first, with the dotted place of the value and plain types.

    It tells of a block within a block by the keys on the way to it, then the reason; of a choice of types, a reason for each.
    """
    reasons = [(found, told) for pattern, told in REASONS.items() if (found := re.search(pattern, message))]
    if not reasons:
        return _condense(message)
    first, told = min(reasons, key=lambda reason: reason[0].start())
    place = ".".join(KEY.findall(message, 0, first.start()))
    value = VALUE.search(message, first.end())
    return (f"{place}: " if place else "") + first.expand(told) + (f", found {value[1]}" if value else "")


def _condense(message: str) -> str:
    """A message of many lines as one."""
    return " ".join(part.strip() for part in message.splitlines() if part.strip())
