"""The reference: every block by the slot that it fits, metrics, corpora, tasks and verbs, read from the sources unexecuted."""

from __future__ import annotations

import argparse
import ast
from functools import cache
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {  # told of module by module
    "blocks": "Further blocks",
    "models": "Further models",
    "losses": "Further losses",
    "metrics": "Metrics",
    "corpora": "Corpora",
    "tasks": "Tasks and configurations",
    "data": "Data",
    "dsp": "Signal processing",
    "audio": "Audio files",
    "train": "Training",
    "infer": "Trained models",
}
ALONE = ("config", "files", "log", "stages")


@cache
def package() -> griffe.Module:
    """All of `toolkit`, its names resolved."""
    loader = griffe.GriffeLoader(search_paths=[str(ROOT)])
    loaded = loader.load("toolkit")
    loader.resolve_aliases()
    assert isinstance(loaded, griffe.Module)
    return loaded


@cache
def slots() -> dict[str, griffe.Class]:
    """The slots that `toolkit blocks` knows, in its order."""
    tree = ast.parse((ROOT / "toolkit/report/blocks.py").read_text(encoding="utf-8"))
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SLOTS")
    names: dict[str, str] = ast.literal_eval(table)
    known = {found.name: found for found in _classes()}
    return {name: known[name] for name in names}


@cache
def fitting(slot: str) -> list[griffe.Class]:
    """The public, concrete classes that fit a slot, by their names; the slot itself is none of them."""
    base = slots()[slot]
    found = [one for one in _classes() if base in _ancestors(one) and not one.name.startswith("_") and not _is_abstract(one)]
    return sorted(found, key=lambda one: one.name)


def pages() -> dict[str, str]:
    """Address of each page below the site's root, and its Markdown."""
    found = {"reference/index.md": _index(), "reference/verbs.md": verbs(), "reference/python.md": _python()}
    told: set[str] = set()
    for slot, base in slots().items():
        objects = [base, *(one for one in fitting(slot) if one.path not in told)]
        told |= {one.path for one in objects}
        found[f"reference/slots/{slot}.md"] = _slot(slot, objects)
    for folder, title in FOLDERS.items():
        found[f"reference/{folder}.md"] = _folder(folder, title, told)
    return found


def nav() -> list[object]:
    """The entries of the tab `Reference`."""
    by_slot = [f"reference/slots/{slot}.md" for slot in slots()]
    folders = [f"reference/{folder}.md" for folder in FOLDERS]
    return ["reference/index.md", "reference/verbs.md", "reference/python.md", {"Slots": by_slot}, {"Modules": folders}]


def verbs() -> str:
    """The page of the command line, read from its parser."""
    from toolkit.cli import VERBS, _parser

    children = next(action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)).choices
    parts = ["# Verbs", "What `toolkit VERB` does. `toolkit VERB --help` says the same in a terminal."]
    for name, verb in VERBS.items():
        further = "Values of the configuration, or options of the corpus, may follow: `--train.epochs 3`." if verb.free else ""
        options = [_option(action) for action in children[name]._actions if action.help != argparse.SUPPRESS]
        table = "\n".join(["| option | default | |", "| --- | --- | --- |", *filter(None, options)])
        parts += [f"## toolkit {name}", verb.help.partition(": ")[2] or verb.help, table, further]
    return "\n\n".join(parts)


def _option(action: argparse.Action) -> str:
    if isinstance(action, argparse._HelpAction):
        return ""
    words = ", ".join(f"`{word}`" for word in action.option_strings) or f"`{action.metavar or action.dest}`"
    if action.choices and action.option_strings:
        words += " " + " ".join(f"`{choice}`" for choice in action.choices)
    default = "" if action.default in (None, False, argparse.SUPPRESS) else f"`{action.default}`"
    default = "required" if action.required and action.option_strings else default
    told = (action.help or "") % {"default": action.default} if "%(" in (action.help or "") else action.help or ""
    return f"| {words} | {default} | {told} |".replace("\n", " ")


def _index() -> str:
    parts = [
        "# Reference",
        "A model is put together from slots; a block is a class that keeps a slot's contract. Configurations name "
        "blocks by their class names. `toolkit blocks` prints these lists, with each block's options.",
        "| slot | contract | blocks |\n| --- | --- | --- |\n" + "\n".join(_row(slot, base) for slot, base in slots().items()),
    ]
    return "\n\n".join(parts)


def _row(slot: str, base: griffe.Class) -> str:
    links = ", ".join(f"[{one.name}][{one.path}]" for one in fitting(slot))
    return f"| [{slot}](slots/{slot}.md) | {_first_sentence(base)} | {links} |"


def _slot(slot: str, objects: list[griffe.Class]) -> str:
    elsewhere = [one for one in fitting(slot) if one not in objects]
    parts = [f"# {slot}", f"`toolkit blocks {slot}` lists these blocks with their options.", *map(_directive, objects)]
    if elsewhere:
        parts.insert(2, "It also takes " + ", ".join(f"[{one.name}][{one.path}]" for one in elsewhere) + ".")
    return "\n\n".join(parts)


def _directive(one: griffe.Object) -> str:
    return f"::: {one.path}"


def _python() -> str:
    options = "\n    options: {members: [load, from_pretrained], show_root_heading: false, heading_level: 2}"
    parts = ["# From Python", f"::: toolkit{options}"]
    for name in ALONE:
        parts.append(f"::: toolkit.{name}\n    options: {{heading_level: 2, show_root_full_path: true}}")
    return "\n\n".join(parts)


def _folder(folder: str, title: str, told: set[str]) -> str:
    parts = [f"# {title}"]
    for module in _modules(package()[folder]):
        names = [one.name for one in _own(module) if one.path not in told]
        if not names:
            continue
        options = f"options: {{heading_level: 2, show_root_full_path: true, members: [{', '.join(names)}]}}"
        parts.append(f"::: {module.path}\n    {options}")
    return "\n\n".join(parts)


def _modules(folder: griffe.Module) -> list[griffe.Module]:
    """The public modules of a folder and of those in it."""
    found = []
    for name, module in sorted(folder.modules.items()):
        if not name.startswith("_") and not module.is_alias:
            found += [module, *_modules(module)]
    return found


def _own(module: griffe.Module) -> list[griffe.Object]:
    """The public classes, functions and documented constants that a module defines."""
    found = [*module.classes.values(), *module.functions.values(), *module.attributes.values()]
    return [
        one for one in found if not one.is_alias and not one.name.startswith("_") and (one.docstring or not one.is_attribute)
    ]


@cache
def _classes() -> list[griffe.Class]:
    found: list[griffe.Class] = []
    modules = [package()]
    while modules:
        module = modules.pop()
        modules += [one for one in module.modules.values() if not one.is_alias]
        found += [one for one in module.classes.values() if not one.is_alias]
    return found


@cache
def _ancestors(one: griffe.Class) -> tuple[griffe.Class, ...]:
    """The toolkit's own classes that a class is derived from, in the order in which names are looked up."""
    return tuple(base for base in one.mro() if isinstance(base, griffe.Class))


def _is_abstract(one: griffe.Class) -> bool:
    line = (one, *_ancestors(one))
    names = {name for base in line for name in base.members}
    return any("abstractmethod" in next(base.members[name] for base in line if name in base.members).labels for name in names)


def _first_sentence(one: griffe.Object) -> str:
    paragraph = (one.docstring.value if one.docstring else "").partition("\n\n")[0].replace("\n", " ")
    return paragraph.partition(". ")[0].rstrip(".") + "."
