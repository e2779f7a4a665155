"""The command `toolkit`: one verb, one function.

This file knows which files a stage reads and writes, and nothing of how; what a verb needs is imported when it runs, so that
help and "nothing to do" come at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import __version__, config, log
from toolkit.log import UserError
from toolkit.stages import Stage

Arguments = argparse.Namespace
logger = log.get(__name__)


@dataclass(frozen=True)
class Verb:
    """A word of the command line.

    Attributes:
        help: one line.
        options: adds its options to a parser.
        run: does the work.
        stage: what it reads and writes, if its work is kept; None for a verb that only shows something.
        free: whether words that are not its own are passed on (overrides, a corpus module's options).
    """

    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Arguments], Any]
    stage: Callable[[Arguments], Stage] | None = None
    free: bool = False


def main(argv: list[str] | None = None) -> None:
    """Run one verb; a user's mistake ends with one line and exit code 2."""
    # Threads that spin while they wait slow a machine with other work 13 times; OpenMP reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    verb = VERBS[arguments.verb]
    if rest and not verb.free:
        parser.error(f"{arguments.verb} has no option {rest[0]}")
    arguments.rest = rest
    log.start(arguments.debug)
    try:
        if verb.stage is None:
            verb.run(arguments)
        else:
            _run_stage(verb, verb.stage(arguments), arguments)
    except UserError as error:
        if arguments.debug:
            raise
        print(f"toolkit {arguments.verb}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"toolkit {arguments.verb}: stopped. Next: run the same command again to go on", file=sys.stderr)
        sys.exit(130)


def _run_stage(verb: Verb, stage: Stage, arguments: Arguments) -> None:
    if "WORLD_SIZE" in os.environ:  # a process of torchrun: the one that started it keeps the books
        verb.run(arguments)
        return
    if arguments.status:
        print(stage.describe())
        return
    if stage.state() == "done" and not arguments.force:
        logger.info("%s: done before, nothing has changed", arguments.verb)
    else:
        with stage.record(), log.to_file(stage.folder / "logs" / f"{stage.name}.log"):
            verb.run(arguments)
            if arguments.verb == "prepare":
                stage.outputs += _manifests_in(arguments.data)
    if arguments.verb == "report":
        print((arguments.exp / "report" / "table.txt").read_text(encoding="utf-8"), end="")


# What each stage reads and writes


def _fetch_stage(arguments: Arguments) -> Stage:
    made = [arguments.data / "corpus"] if arguments.corpus == "mini" else []
    return _stage("fetch", arguments.data, arguments, arguments.rest, outputs=made)


def _prepare_stage(arguments: Arguments) -> Stage:
    lists = [folder for name in ("lists", "metadata") if (folder := arguments.data / name).is_dir()]
    corpus = arguments.data / "corpus" if arguments.corpus in ("mini", "download") else Path(arguments.corpus).expanduser()
    return _stage("prepare", arguments.data, arguments, [_wanted(arguments), arguments.rest], [corpus, *lists])


def _features_stage(arguments: Arguments) -> Stage:
    tree = _tree(arguments)
    return _stage("features", arguments.data, arguments, tree.get("data"), inputs=_manifests_of(tree, arguments.data))


def _train_stage(arguments: Arguments) -> Stage:
    tree = _tree(arguments)
    outputs = [arguments.exp / name for name in ("config.yaml", "model.safetensors", "run.json")]
    return _stage("train", arguments.exp, arguments, tree, _manifests_of(tree, arguments.data, but=("test",)), outputs)


def _infer_stage(arguments: Arguments) -> Stage:
    exp = arguments.exp
    inputs = [exp / "config.yaml", exp / "model.safetensors", *_split(arguments)]
    return _stage("infer", exp, arguments, inputs=inputs, outputs=[exp / "predictions" / arguments.split / "index.jsonl"])


def _score_stage(arguments: Arguments) -> Stage:
    exp = arguments.exp
    inputs = [exp / "config.yaml", exp / "predictions" / arguments.split / "index.jsonl", *_split(arguments)]
    outputs = [exp / "scores" / f"{arguments.split}{suffix}" for suffix in (".jsonl", ".summary.json")]
    return _stage("score", exp, arguments, inputs=inputs, outputs=outputs)


def _report_stage(arguments: Arguments) -> Stage:
    exp = arguments.exp
    inputs = [arguments.paper, exp / "run.json", exp / "metrics.jsonl", exp / "scores" / f"{arguments.split}.jsonl"]
    outputs = [exp / "report" / "index.html", exp / "report" / "table.txt", arguments.paper.parent / "RESULTS.md"]
    return _stage("report", exp, arguments, inputs=inputs, outputs=outputs)


def _stage(
    verb: str,
    folder: Path,
    arguments: Arguments,
    section: Any = None,
    inputs: list[Path] | None = None,
    outputs: list[Path] | None = None,
) -> Stage:
    """The stage of a verb; where one folder serves several recipes, their different options are different stages."""
    options = {name: str(value) for name, value in vars(arguments).items() if name not in NO_RESULT}
    shared = verb in ("fetch", "prepare", "features")
    name = f"{verb}-{config.fingerprint([options, section])}" if shared else verb
    return Stage(
        verb, folder, [f"{key}={value}" for key, value in sorted(options.items())], section, inputs or [], outputs or [], name
    )


NO_RESULT = ("force", "status", "debug", "nj", "ngpu", "device", "config", "rest")  # how, not what; the config is the section


def _tree(arguments: Arguments) -> config.Tree:
    return config.override(config.read(arguments.config), config.parse_overrides(arguments.rest))


def _split(arguments: Arguments) -> Iterator[Path]:
    """The manifest of the split, once training has written down its name."""
    path = arguments.exp / "config.yaml"
    if path.is_file():
        yield arguments.data / f"{config.read(path)['data'][arguments.split]}.jsonl"


def _manifests_of(tree: config.Tree, data: Path, but: tuple[str, ...] = ()) -> list[Path]:
    section = {key: value for key, value in tree.get("data", {}).items() if key not in but}
    return [data / f"{name}.jsonl" for name in _names(section)]


def _names(node: Any) -> list[str]:
    """Every manifest that a configuration names, however deep (dynamic mixing names its own): the values with a slash."""
    if isinstance(node, dict):
        return [name for value in node.values() for name in _names(value)]
    return [node] if isinstance(node, str) and "/" in node else []


def _wanted(arguments: Arguments) -> list[str]:
    return sorted(_names(config.read(arguments.config).get("data", {}))) if arguments.config else []


def _manifests_in(data: Path) -> list[Path]:
    return sorted(path for path in data.rglob("*.jsonl") if "corpus" not in path.relative_to(data).parts[:1])


# What each verb does


def _fetch(a: Arguments) -> None:
    from toolkit.prepare.run import fetch

    fetch(a.name, a.corpus, a.data, a.rest)


def _prepare(a: Arguments) -> None:
    from toolkit.prepare.run import prepare

    prepare(a.name, a.corpus, a.data, a.nj, a.strict, _wanted(a), a.rest)


def _features(a: Arguments) -> None:
    from toolkit.features.run import features

    features(a.data, a.config, a.rest)


def _train(a: Arguments) -> None:
    if a.ngpu > 1 and "WORLD_SIZE" not in os.environ:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={a.ngpu}"]
        if subprocess.run([*command, "-m", "toolkit", *sys.argv[1:]]).returncode:
            raise UserError(f"training in {a.ngpu} processes failed; the reason stands above. Next: run the same command again")
        return
    from toolkit.train.run import train

    train(a.config, a.data, a.exp, a.device, a.rest)


def _infer(a: Arguments) -> None:
    from toolkit.infer.run import infer

    infer(a.exp, a.data, a.split, a.device)


def _score(a: Arguments) -> None:
    from toolkit.score.run import score

    score(a.exp, a.data, a.split, a.nj)


def _report(a: Arguments) -> None:
    from toolkit.report import report

    page = report(a.exp, a.paper, a.split, a.data)
    logger.info("the report: %s", page)


def _compare(a: Arguments) -> None:
    from toolkit.report.compare import compare

    print(compare(a.exps, a.split, a.out))


def _separate(a: Arguments) -> None:
    from toolkit.audio import Encoding
    from toolkit.infer.separate import Output, separate

    encoding = Encoding(a.format, a.bits, a.clip_mode, a.mp3_bitrate)
    output = Output(a.out, a.filename, a.two_stems, a.other_method, encoding, a.force)
    separate(a.recordings, a.model, output, a.device, a.segment, a.overlap, a.shifts, a.jobs)


def _pack(a: Arguments) -> None:
    from toolkit.infer.pack import pack

    logger.info("packed: %s", pack(a.exp, a.out))


def _blocks(a: Arguments) -> None:
    from toolkit.report.blocks import table

    print(table(a.slot))


def _summary(a: Arguments) -> None:
    from toolkit.report.summary import summary

    print(summary(a.config, a.rest))


def _index(a: Arguments) -> None:
    from toolkit.report.results import write_index

    write_index(a.egs, a.readme)


# Options


def _config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="YAML file; any value may be overridden: --train.epochs 3")


def _device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of everything prepared")


def _exp_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exp", type=Path, required=True, help="the experiment's folder")
    parser.add_argument("--split", default="test", choices=["train", "valid", "test"], help="as the config names its data")


def _workers_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nj", type=int, help="parallel processes; all cores if not given")


def _corpus_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the corpus, e.g. wsj0_mix")
    parser.add_argument("--corpus", default="mini", help="folder of the corpus as published; mini; download")
    _data_option(parser)


def _prepare_options(parser: argparse.ArgumentParser) -> None:
    _corpus_options(parser)
    _workers_option(parser)
    parser.add_argument("--config", type=Path, help="make what this config's data section names")
    parser.add_argument("--strict", action="store_true", help="an unusable file is an error, not a named skip")


def _features_options(parser: argparse.ArgumentParser) -> None:
    _config_option(parser)
    _data_option(parser)
    _device_option(parser)


def _train_options(parser: argparse.ArgumentParser) -> None:
    _features_options(parser)
    parser.add_argument("--exp", type=Path, required=True, help="the experiment's folder")
    parser.add_argument("--ngpu", type=int, default=1, help="GPUs (processes under torchrun)")


def _infer_options(parser: argparse.ArgumentParser) -> None:
    _exp_options(parser)
    _data_option(parser)
    _device_option(parser)


def _score_options(parser: argparse.ArgumentParser) -> None:
    _exp_options(parser)
    _data_option(parser)
    _workers_option(parser)


def _report_options(parser: argparse.ArgumentParser) -> None:
    _exp_options(parser)
    _data_option(parser)
    parser.add_argument("--paper", type=Path, default=Path("paper.yaml"), help="what the paper claims")


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exps", nargs="+", type=Path, help="experiments; the others are held against the first")
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path, help="also write an HTML page here")


def _separate_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recordings", nargs="+", metavar="INPUT", help="audio files, or quoted patterns: 'songs/*.mp3'")
    add("--model", type=Path, required=True, help="a trained experiment's folder, or a pack")
    add("-o", "--out", type=Path, default=Path("separated"), help="folder for what comes out (%(default)s)")
    add("--two-stems", metavar="STEM", help="only STEM and no_STEM")
    methods, modes = ["add", "minus", "none"], ["rescale", "clamp", "none"]
    how = "no_STEM as the sum of the others, minus_STEM as the recording less STEM, no such file"
    add("--other-method", choices=methods, default="add", help=how)
    add("--shifts", type=int, metavar="N", help="predictions averaged, each randomly delayed; N times the work")
    add("--overlap", type=float, metavar="F", help="share of a segment that overlaps the next, 0 to 0.5")
    add("--segment", type=float, metavar="S", help="seconds at once; shorter ones need less memory")
    _device_option(parser)
    add("-j", "--jobs", type=int, default=1, help="segments at a time, each by a thread of its own: faster on many cores")
    add("--format", choices=["wav", "flac", "mp3"], default="wav")
    add("--bits", choices=["16", "24", "float32"], default="16", help="of wav and flac; float32 (wav) keeps every level")
    what = "what is too loud: turn all of the file down, cut at 0.99, cut at full scale"
    add("--clip-mode", choices=modes, default="rescale", help=what)
    add("--mp3-bitrate", type=int, default=320, metavar="KBIT", help="kbit/s (%(default)s)")
    add("--filename", default="{track}/{stem}.{ext}", help="may also hold {trackext} (%(default)s)")
    add("--force", action="store_true", help="separate although the files are there already")


def _pack_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exp", type=Path, help="a trained experiment's folder")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to make")


def _blocks_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slot", nargs="?", help="e.g. Separator; all slots if not given")


def _index_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--egs", type=Path, default=Path("egs"))
    parser.add_argument("--readme", type=Path, default=Path("README.md"))


VERBS = {
    "fetch": Verb("1: obtain a corpus or what belongs to it", _corpus_options, _fetch, _fetch_stage, free=True),
    "prepare": Verb("2: corpus to manifests and audio", _prepare_options, _prepare, _prepare_stage, free=True),
    "features": Verb("3: manifests to stored features", _features_options, _features, _features_stage, free=True),
    "train": Verb("4: train what a config describes", _train_options, _train, _train_stage, free=True),
    "infer": Verb("5: predictions of a split", _infer_options, _infer, _infer_stage),
    "score": Verb("6: predictions to figures", _score_options, _score, _score_stage),
    "report": Verb("7: the paper's table beside ours", _report_options, _report, _report_stage),
    "compare": Verb("several experiments in one table", _compare_options, _compare),
    "separate": Verb("recordings of yours through a trained model", _separate_options, _separate),
    "pack": Verb("a trained experiment as one folder to give away", _pack_options, _pack),
    "blocks": Verb("which blocks fit a slot", _blocks_options, _blocks),
    "summary": Verb("a config's model: tree, parameters, MACs", _config_option, _summary, free=True),
    "index": Verb("write the results index of README.md", _index_options, _index),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("toolkit", description="Reprise: what the stages of a recipe call.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        child = verbs.add_parser(name, help=verb.help, description=verb.help, allow_abbrev=False)
        verb.options(child)
        child.add_argument("--debug", action="store_true", help="tracebacks and more log lines")
        if verb.stage is not None:
            child.add_argument("--force", action="store_true", help="run although nothing has changed")
            child.add_argument("--status", action="store_true", help="say what would happen, in one line")
    return parser
