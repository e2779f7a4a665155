"""The command `toolkit`: one verb, one function.

`options` has the words of each verb, `books` the files that each stage reads and writes, `verbs` what each does.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from toolkit import __version__, files, log
from toolkit.cli import books, launching, options, verbs
from toolkit.cli.options import Arguments
from toolkit.launch import parts
from toolkit.log import UserError
from toolkit.stages import Stage

logger = log.get(__name__)


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}. Next: {self.prog} --help\n")


@dataclass(frozen=True)
class Verb:
    """A word of the command line.

    Attributes:
        help: one line.
        options: adds its options to a parser.
        run: does the work; of a stage it may return files that it made besides those of its books.
        stage: what it reads and writes, if its work is kept; None for a verb that only shows something.
        free: whether words that are not its own are passed on (overrides, a corpus module's options).
        cut: whether a launcher may have parts of the work done side by side.
    """

    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Arguments], Any]
    stage: Callable[[Arguments], Stage] | None = None
    free: bool = False
    cut: bool = False


def main(argv: list[str] | None = None) -> None:
    """Run one verb; a user's mistake ends with one line and exit code 2."""
    # Threads that spin while they wait slow a machine with other work 13 times; OpenMP reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    words = _with_name(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    verb = VERBS[arguments.verb]
    if rest and not verb.free:
        Parser(f"toolkit {arguments.verb}").error(f"no option {rest[0]}")
    arguments.rest, arguments.words = rest, words
    log.start(arguments.debug)
    try:
        if getattr(arguments, "name", None) == "":
            arguments.name = books.corpus_of(arguments.config)
        if verb.stage is None:
            verb.run(arguments)
        else:
            _run_stage(verb, verb.stage(arguments), arguments)
        sys.stdout.flush()  # here, where it is told what came of it
    except BrokenPipeError:  # whoever reads what is printed has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (UserError, OSError, RuntimeError) as error:
        if arguments.debug or (told := _told(error)) is None:
            raise
        print(f"toolkit {arguments.verb}: {told}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"toolkit {arguments.verb}: stopped. Next: run the same command again to go on", file=sys.stderr)
        sys.exit(130)


def _told(error: Exception) -> str | None:
    """What is wrong and what to do, in a line; None where a program is to blame."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return files.advice(error)
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be loaded
        wanted = ". ".join(str(error).split(". ")[:2])
        return f"{wanted}. Next: train with a smaller --data.batch_size, or give --device cpu"
    return None


def _with_name(words: list[str]) -> list[str]:
    """A corpus that is not named is named by an empty word, so that no word further on is taken for its name."""
    unnamed = words[:1] in (["fetch"], ["prepare"]) and (len(words) == 1 or words[1].startswith("-"))
    return [words[0], "", *words[1:]] if unnamed else words


def _run_stage(verb: Verb, stage: Stage, arguments: Arguments) -> None:
    if "WORLD_SIZE" in os.environ:  # a process of torchrun: the one that started it keeps the books
        verb.run(arguments)
        return
    if parts.is_job():  # so does a launcher
        launching.keep_made(stage, verb.run(arguments))
        return
    if arguments.status:
        print(stage.describe())
        return
    if getattr(arguments, "dry_run", False):
        print(launching.scripts(stage, arguments, verb.cut), end="")
        return
    if stage.state() == "done" and not arguments.force:
        logger.info("%s: done before, nothing has changed", arguments.verb)
    else:
        with stage.record(), log.to_file(stage.folder / "logs" / f"{stage.name}.log"):
            launched = getattr(arguments, "launcher", "local") != "local"
            stage.outputs += (launching.run(stage, arguments, verb.cut) if launched else verb.run(arguments)) or []
    if arguments.verb == "report":
        print((arguments.exp / "report" / "table.txt").read_text(encoding="utf-8"), end="")


VERBS = {
    "fetch": Verb("1: obtain a corpus or what belongs to it", options.corpus, verbs.fetch, books.fetch, free=True),
    "prepare": Verb("2: corpus to manifests and audio", options.prepare, verbs.prepare, books.prepare, free=True),
    "features": Verb("3: manifests to stored features", options.features, verbs.features, books.features, free=True, cut=True),
    "train": Verb("4: train what a config describes", options.train, verbs.train, books.train, free=True),
    "infer": Verb("5: predictions of a split", options.infer, verbs.infer, books.infer, cut=True),
    "score": Verb("6: predictions to figures", options.score, verbs.score, books.score, cut=True),
    "report": Verb("7: the paper's table beside ours", options.report, verbs.report, books.report),
    "compare": Verb("several experiments in one table", options.compare, verbs.compare),
    "sweep": Verb("many experiments of a config, then one table", options.sweep, verbs.sweep, free=True),
    "reference": Verb("a learning curve that runs of a config are held against", options.reference, verbs.reference),
    "separate": Verb("recordings of yours through a trained model", options.separate, verbs.separate),
    "tag": Verb("which tags recordings of yours have", options.tag, verbs.tag),
    "pitch": Verb("the pitch curves of recordings of yours", options.pitch, verbs.pitch),
    "resynth": Verb("a recording of yours, played by a trained model", options.resynth, verbs.resynth),
    "pack": Verb("a trained experiment as one folder to give away", options.pack, verbs.pack),
    "push": Verb("a pack to the Hugging Face Hub", options.push, verbs.push),
    "export": Verb("a trained model for other programs: ONNX, torch.export, TorchScript", options.export, verbs.export),
    "blocks": Verb("which blocks fit a slot", options.blocks, verbs.blocks),
    "summary": Verb("a config's model: tree, parameters, MACs", options.config, verbs.summary, free=True),
    "realtime": Verb("how fast a config's synthesizer is, in blocks", options.realtime, verbs.realtime, free=True),
    "index": Verb("write the results index of README.md", options.index, verbs.index),
}


def state_of(words: list[str]) -> str:
    """What the record of a stage says that a command line names: `done` if there is nothing to do."""
    arguments, rest = _parser().parse_known_args(words)
    arguments.rest = rest
    stage = VERBS[arguments.verb].stage
    return "missing" if stage is None else stage(arguments).state()


def _parser() -> argparse.ArgumentParser:
    parser = Parser("toolkit", description="Reprise: what the stages of a recipe call.")
    parser.add_argument("--version", action="version", version=__version__)
    choices = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        child = choices.add_parser(name, help=verb.help, description=verb.help, allow_abbrev=False)
        verb.options(child)
        child.add_argument("--debug", action="store_true", help="tracebacks and more log lines")
        if verb.stage is not None:
            child.add_argument("--force", action="store_true", help="run although nothing has changed")
            child.add_argument("--status", action="store_true", help="say what would happen, in one line")
    return parser
