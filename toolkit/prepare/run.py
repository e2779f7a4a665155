"""The stages `fetch` and `prepare`: a corpus module is found by its name, its functions' signatures are the options."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonargparse

from toolkit import corpora, log
from toolkit.log import UserError, suggestion

GIVEN = {"self", "corpus", "data", "nj", "strict"}  # arguments of a corpus' functions that are no words of their own

logger = log.get(__name__)


def find(name: str) -> ModuleType:
    """The module of a corpus.

    Raises:
        UserError: there is none of that name.
    """
    known = [module.name for module in pkgutil.iter_modules(corpora.__path__)]
    offered = [module for module in known if not module.startswith("_")]
    if name not in offered:
        raise UserError(f"no corpus is called {name!r}{suggestion(name, offered)}")
    return import_module(f"toolkit.corpora.{name}")


def folder_of(name: str, corpus: str, data: Path) -> Path:
    """The corpus's folder: `mini` and `download` are kept with the prepared data, each corpus in a folder of its own."""
    return data / "corpus" / name if corpus in ("mini", "download") else Path(corpus).expanduser()


def fetch(name: str, corpus: str, data: Path, options: list[str]) -> None:
    """Make the mini corpus, download what may be downloaded, or obtain the lists that belong to the corpus at `corpus`.

    Args:
        name: of the corpus, e.g. `wsj0_mix`.
        corpus: its folder, or `mini`, or `download` where the licence lets anyone fetch it.
        data: folder that everything prepared goes to.
        options: words for the corpus module's `fetch`.

    Raises:
        UserError: nobody may download it, an option is unknown, or as of the corpus module's functions.
    """
    module, folder = find(name), folder_of(name, corpus, data)
    if corpus == "mini":
        logger.info("making the mini corpus in %s", folder)
        module.make_mini(folder, **_options(name, module.make_mini, options, module.fetch))
        return
    if corpus == "download":
        if not hasattr(module, "download"):
            raise UserError(
                f"{name} may not be downloaded by anyone. Next: see egs/{name}/README.md, then give --corpus FOLDER"
            )
        module.download(folder, **_options(name, module.download, options, module.fetch))
        module.fetch(folder, data, **_options(name, module.fetch, options, module.download))
        return
    module.fetch(folder, data, **_options(name, module.fetch, options))


def prepare(name: str, corpus: str, data: Path, nj: int | None, strict: bool, wanted: list[str], options: list[str]) -> None:
    """Write the audio and manifests of a corpus below `data`.

    Args:
        name: of the corpus.
        corpus: its folder, `mini` or `download`.
        data: where to write.
        nj: processes; all cores if None.
        strict: an unusable file is an error instead of a named skip.
        wanted: manifests that a configuration names, e.g. ``wsj0-3mix/8k/min/tr``: they say which variants to make.
        options: words for the corpus module's `prepare`, e.g. ``--speakers [2,3] --sample-rate 8000``; they win over `wanted`.

    Raises:
        UserError: an option is unknown, or as of the corpus module's `prepare`.
    """
    module = find(name)
    chosen = module.options_for(wanted) if wanted else {}
    module.prepare(
        folder_of(name, corpus, data), data, nj=nj, strict=strict, **chosen | _options(name, module.prepare, options)
    )


def _options(corpus: str, function: Any, words: list[str], *others: Any) -> dict[str, Any]:
    """The keyword options of a corpus' function that stand on the command line; `--sample-rate` is `--sample_rate`.

    Words may also be options of the functions `others`, which the same command calls.

    Raises:
        UserError: a word is an option of none of them, or its value is of another type.
    """
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    given: set[str | int] = set(GIVEN)
    for one in (function, *others):  # perhaps a method of `_rules.Corpus`; the parser wants the function that it is bound from
        parser.add_function_arguments(getattr(one, "__func__", one), skip=given, fail_untyped=False)
        given |= inspect.signature(one).parameters.keys()
    own = inspect.signature(function).parameters
    underscored = [_underscored(word) for word in words]
    named = {word.partition("=")[0].removeprefix("--") for word in underscored if word.startswith("--")}
    try:
        return {key: value for key, value in vars(parser.parse_args(underscored)).items() if key in own and key in named}
    except jsonargparse.ArgumentError as error:
        message = " ".join(str(error).split())
        known = [f"--{name}" for name in given - GIVEN]
        wrong = next((word for word in underscored if word.startswith("--") and word not in known), "")
        raise UserError(f"{corpus}: {message}{suggestion(wrong, known)}") from error


def _underscored(word: str) -> str:
    """An option, `--sample-rate` or `--sample-rate=8000`, as the function calls it; other words as they are."""
    name, equals, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if word.startswith("--") else word
