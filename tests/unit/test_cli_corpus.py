"""`toolkit fetch` and `toolkit prepare` are told of the corpus by its name, or by the manifests that a configuration names."""

import pkgutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from toolkit import corpora
from toolkit.cli import books, main
from toolkit.log import UserError
from toolkit.prepare import run

CONFIG = "data: {train: bells/8000/train, valid: bells/8000/valid, test: bells/8000/test, batch_size: 4}"


@pytest.fixture
def bells(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """A corpus named `bells`; what it is asked for is noted down."""
    asked: list[tuple[str, Any]] = []

    def make_mini(corpus: Path) -> None:
        asked.append(("make_mini", corpus))
        corpus.mkdir(parents=True)

    def fetch(corpus: Path, data: Path) -> None:
        asked.append(("fetch", corpus))

    def prepare(corpus: Path, data: Path, *, sample_rates: list[int] = [16000], nj: int | None = None, strict: bool = False):  # noqa: B006
        asked.append(("prepare", (corpus, sample_rates)))

    def options_for(names: list[str]) -> dict[str, list[int]]:
        return {"sample_rates": sorted({int(name.split("/")[1]) for name in names})}

    module = SimpleNamespace(make_mini=make_mini, fetch=fetch, prepare=prepare, options_for=options_for)
    monkeypatch.setattr(run, "find", {"bells": module}.__getitem__)
    return asked


@pytest.mark.parametrize("named", [[], ["bells"]])
def test_a_config_names_the_corpus(named: list[str], bells: list[tuple[str, Any]], tmp_path: Path) -> None:
    path, data = tmp_path / "config.yaml", tmp_path / "data"
    path.write_text(CONFIG)
    words = [*named, "--corpus", "mini", "--data", str(data), "--config", str(path)]
    main(["fetch", *words])
    main(["prepare", *words])
    assert bells == [("make_mini", data / "corpus/bells"), ("prepare", (data / "corpus/bells", [8000]))]
    main(["prepare", *words, "--sample-rates", "[48000]"])  # a list among the words is no name
    assert bells[2] == ("prepare", (data / "corpus/bells", [48000]))


def test_named_or_not_it_is_the_same_stage(bells: list[tuple[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path, data = tmp_path / "config.yaml", tmp_path / "data"
    path.write_text(CONFIG)
    words = ["--data", str(data), "--config", str(path)]
    for verb in ("fetch", "prepare"):
        main([verb, *words])
        main([verb, "bells", *words, "--status"])
        assert f"{verb:<9} done" in capsys.readouterr().out
    path.write_text(CONFIG.replace("batch_size: 4", "batch_size: 8"))  # concerns neither
    main(["prepare", *words, "--status"])
    assert "prepare   done" in capsys.readouterr().out
    path.write_text(CONFIG.replace("8000", "16000"))
    main(["prepare", *words, "--status"])
    assert "prepare   missing" in capsys.readouterr().out
    main(["fetch", *words, "--status"])
    assert "fetch     done" in capsys.readouterr().out


def test_data_that_are_named_on_the_command_line_are_made(
    bells: list[tuple[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    words = ["prepare", "--data", str(tmp_path / "data"), "--config", str(path)]
    main([*words, "--data.train", "bells/44100/train", "--data.batch_size=2"])
    assert bells == [("prepare", (tmp_path / "data/corpus/bells", [8000, 44100]))]
    main(words)
    main([*words, "--data.batch_size", "2", "--status"])  # concerns no manifest
    assert "prepare   done" in capsys.readouterr().out
    main([*words, "--data.train", "bells/44100/train", "--sample-rates", "[16000]"])  # the corpus's own option wins
    assert bells[2:] == [("prepare", (tmp_path / "data/corpus/bells", [16000]))]


def test_without_one_corpus_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("data: {train: bells/8000/all, valid: bells/8000/all, test: gongs/8000/all}")
    with pytest.raises(UserError, match=r"manifests of one corpus, found those of bells and gongs\. Next: name each"):
        books.corpus_of(path)
    path.write_text("data: {batch_size: 4}")
    with pytest.raises(UserError, match=r"config\.yaml: expected data\.train, valid and test .*found none"):
        books.corpus_of(path)
    with pytest.raises(SystemExit, match="2"):
        main(["fetch", "--data", str(tmp_path)])
    assert "toolkit fetch: expected the name of a corpus, or --config" in capsys.readouterr().err


def test_only_what_was_given_wins_over_the_configuration(bells: list[tuple[str, Any]], tmp_path: Path) -> None:
    def prepare(corpus: Path, data: Path, *, split: str = "all", split_seed: int = 0, sample_rate: int = 8000) -> None:
        """Cut."""

    assert run._options("bells", prepare, ["--split-seed", "3"]) == {"split_seed": 3}
    with pytest.raises(UserError, match="--sample 16000; did you mean '--sample_rate'"):  # no word is half understood
        run._options("bells", prepare, ["--sample", "16000"])
    assert run._options("bells", prepare, ["--split=train", "--sample-rate=16000"]) == {"split": "train", "sample_rate": 16000}


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(corpora.__path__) if not m.name.startswith("_")])
def test_every_corpus_has_its_options_on_the_command_line(name: str) -> None:
    module = run.find(name)
    for function in [getattr(module, verb) for verb in ("fetch", "make_mini", "download", "prepare") if hasattr(module, verb)]:
        assert run._options(name, function, []) == {}
        with pytest.raises(UserError, match=f"{name}: .*--bells"):
            run._options(name, function, ["--bells", "8"])
