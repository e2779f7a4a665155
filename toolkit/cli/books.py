"""What each stage reads and writes, so that it knows whether it is done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit import config
from toolkit.cli.options import Arguments
from toolkit.files import AGAIN
from toolkit.log import UserError
from toolkit.stages import Stage

WEIGHTS = ("weights", "pca", "init", "teacher", "exp")  # options that name files of weights, or experiments that made some


def fetch(arguments: Arguments) -> Stage:
    """A corpus, where the toolkit makes it itself; what else is obtained, its module knows."""
    made = [_corpus(arguments)] if arguments.corpus == "mini" else []
    return _stage("fetch", arguments.data, arguments, arguments.rest, outputs=made)


def prepare(arguments: Arguments) -> Stage:
    """A corpus, and the lists that were obtained beside it, to manifests, which `manifests_in` finds."""
    lists = [folder for name in ("lists", "metadata") if (folder := arguments.data / name).is_dir()]
    made = [wanted(arguments), of_corpus(arguments)]
    return _stage("prepare", arguments.data, arguments, made, [_corpus(arguments), *lists])


def features(arguments: Arguments) -> Stage:
    """Manifests to what the model, its teacher and the scores read of recordings."""
    tree = _tree(arguments)
    section = config.section(tree, "data")
    scored_in = config.section(tree, "score").get("embedding")
    computed = section if scored_in is None else {**section, "embedding": scored_in}
    if tree.get("task") == "pitch":  # which stores what its model's front end makes of the recordings
        model = tree.get("model")
        options = config.section(model, "init_args") if isinstance(model, dict) else {}
        computed = {**computed, "frontend": options.get("frontend")}
    inputs = [*_manifests_of(section, arguments.data), *_weights(computed)]
    return _stage("features", arguments.data, arguments, computed, inputs=inputs)


def train(arguments: Arguments) -> Stage:
    """Manifests, but for that of the test, and the weights that the configuration names, to weights."""
    tree = _tree(arguments)
    section = {key: value for key, value in config.section(tree, "data").items() if key != "test"}
    inputs = [*_manifests_of(section, arguments.data), *_weights(tree)]
    outputs = [arguments.exp / name for name in ("config.yaml", "model.safetensors", "run.json")]
    return _stage("train", arguments.exp, arguments, tree, inputs, outputs)


def infer(arguments: Arguments) -> Stage:
    """Weights and the manifest of a split to predictions."""
    exp = arguments.exp
    inputs = [exp / "config.yaml", exp / "model.safetensors", *_split(arguments)]
    return _stage("infer", exp, arguments, inputs=inputs, outputs=[exp / "predictions" / arguments.split / "index.jsonl"])


def score(arguments: Arguments) -> Stage:
    """Predictions and the manifest of their split to figures."""
    exp = arguments.exp
    inputs = [exp / "config.yaml", exp / "predictions" / arguments.split / "index.jsonl", *_split(arguments)]
    outputs = [exp / "scores" / f"{arguments.split}{suffix}" for suffix in (".jsonl", ".summary.json")]
    return _stage("score", exp, arguments, inputs=inputs, outputs=outputs)


def report(arguments: Arguments) -> Stage:
    """Figures of one experiment, or of two, and the paper's to a page and tables."""
    exp = arguments.exp
    seen = [folder for folder in (exp, arguments.baseline) if folder is not None]
    parts = ("run.json", "metrics.jsonl", f"scores/{arguments.split}.jsonl")
    inputs = [arguments.paper, *(folder / part for folder in seen for part in parts)]
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
    options = {name: str(value) for name, value in vars(arguments).items() if name not in NO_RESULT and value is not None}
    shared = verb in ("fetch", "prepare", "features")
    name = f"{verb}-{config.fingerprint([options, section])}" if shared else verb
    return Stage(
        verb, folder, [f"{key}={value}" for key, value in sorted(options.items())], section, inputs or [], outputs or [], name
    )


def _corpus(arguments: Arguments) -> Path:
    """As `prepare.run.folder_of`, which takes longer to load than there is to do."""
    made = arguments.corpus in ("mini", "download")
    return arguments.data / "corpus" / arguments.name if made else Path(arguments.corpus).expanduser()


# How, not what; the config is the section.
NO_RESULT = (
    *("force", "status", "debug", "nj", "ngpu", "device", "config", "rest"),
    *("words", "launcher", "dry_run"),
)


def _tree(arguments: Arguments) -> config.Tree:
    return config.override(config.read(arguments.config), config.parse_overrides(arguments.rest))


def _split(arguments: Arguments) -> Iterator[Path]:
    """The manifest of the split, once training has written down its name."""
    path = arguments.exp / "config.yaml"
    if path.is_file():
        name = config.section(config.read(path), "data").get(arguments.split)
        if not isinstance(name, str):
            raise UserError(f"{path}: expected data.{arguments.split}, the name of a manifest, found {name!r}. Next: {AGAIN}")
        yield arguments.data / f"{name}.jsonl"


def _manifests_of(section: Any, data: Path) -> list[Path]:
    return [data / f"{name}.jsonl" for name in _names(section)]


def _names(node: Any) -> list[str]:
    """Every manifest that a configuration names, however deep (dynamic mixing names its own): the values with a slash."""
    if isinstance(node, dict):
        return [name for key, value in node.items() if key not in WEIGHTS for name in _names(value)]
    return [node] if isinstance(node, str) and "/" in node else []


def _weights(node: Any) -> list[Path]:
    """Every file of weights that a configuration names: itself, or by the experiment that makes it."""
    if not isinstance(node, dict):
        return []
    here = [Path(value) for key, value in node.items() if key in WEIGHTS and _is_path(key, value)]
    found = [path if path.suffix and not path.is_dir() else path / "model.safetensors" for path in here]
    return found + [path for value in node.values() for path in _weights(value)]


def _is_path(key: str, value: Any) -> bool:
    """Whether it is one of weights: `init` is also how a block draws its own, as in `he_uniform`."""
    return isinstance(value, str) and not (key == "init" and value.isidentifier())


def corpus_of(path: Path | None) -> str:
    """The one corpus that a configuration trains, validates and tests on: the first word of the manifests' names.

    Raises:
        UserError: there is no configuration, or it names none, or several.
    """
    if path is None:
        raise UserError("expected the name of a corpus, or --config. Next: toolkit fetch NAME, or toolkit fetch --config FILE")
    section = config.section(config.read(path), "data")
    found = sorted({name.split("/")[0] for part in ("train", "valid", "test") for name in _names(section.get(part))})
    if len(found) != 1:
        told = f"those of {' and '.join(found)}" if found else "none"
        raise UserError(
            f"{path}: expected data.train, valid and test to be manifests of one corpus, found {told}. "
            "Next: name each corpus, as in toolkit fetch urmp"
        )
    return found[0]


def wanted(arguments: Arguments) -> list[str]:
    """The manifests that a corpus is prepared for, as its configuration or an override names them; none if there is none."""
    tree = config.read(arguments.config) if arguments.config else {}
    overrides, _ = _data_overrides(arguments.rest)
    return sorted(_names(config.section(config.override(tree, config.parse_overrides(overrides)), "data")))


def of_corpus(arguments: Arguments) -> list[str]:
    """The words of `prepare` that are options of the corpus, and not overrides of the section `data`."""
    return _data_overrides(arguments.rest)[1]


def _data_overrides(words: list[str]) -> tuple[list[str], list[str]]:
    """Overrides of the section `data` with their values, and all other words."""
    parts: tuple[list[str], list[str]] = ([], [])
    here = parts[1]
    for word in words:
        if word.startswith("--"):
            here = parts[0] if word.startswith("--data.") else parts[1]
        here.append(word)
    return parts


def manifests_in(data: Path) -> list[Path]:
    """Every manifest below a folder of prepared data."""
    return sorted(path for path in data.rglob("*.jsonl") if path.relative_to(data).parts[0] not in ("corpus", "features"))
