"""Packs on the hub: what is sent, what is fetched, what goes wrong, against a small hub of our own on this machine."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import toolkit
from toolkit import files
from toolkit.cli import main
from toolkit.infer import hub
from toolkit.infer.hub import push
from toolkit.infer.pack import pack
from toolkit.log import UserError

pytest.importorskip("huggingface_hub")

REPO = "someone/pitch"
COMMIT = "c" * 40
RUN = {
    "recipe": "urmp/pesto",
    "config": "conf/paper.yaml",
    "command": "toolkit train --config conf/paper.yaml",
    "parameters": 12,
    "edition": "full",
    "data": {"train": "mir1k/train", "valid": "mir1k/valid", "test": "mir1k/test"},
}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's interface as packs need: one repository, a folder, with one commit."""

    folder: Path
    status, code = 200, ""  # of every answer, if it is another
    asked: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/repos/create"):
            self.answer({"url": f"http://{self.headers['Host']}/{REPO}"})
        elif "/preupload/" in self.path:
            named = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]]
            self.answer({"files": named})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                path = self.folder / line["value"].get("path", "header")
                if line["key"] == "file":
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(base64.b64decode(line["value"]["content"]))
                elif line["key"] == "deletedFile":
                    path.unlink()
            address = f"http://{self.headers['Host']}/{REPO}/commit/{COMMIT}"
            self.answer({"success": True, "commitOid": COMMIT, "commitUrl": address})
        else:
            self.answer({"errors": [], "warnings": []})  # of the card's front matter

    def do_GET(self) -> None:
        self.asked.append(self.path)
        names = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()]
        if "/tree/" in self.path:
            listed = [
                {"type": "file", "oid": "o" * 40, "size": (self.folder / name).stat().st_size, "path": name} for name in names
            ]
            self.answer(listed)
        elif self.path.startswith("/api/models/"):
            if "/revision/gone" in self.path:
                self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            else:
                self.answer({"id": REPO, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]})
        else:
            content = (self.folder / self.path.partition(f"/resolve/{COMMIT}/")[2]).read_bytes()
            self.send(200, content, {"ETag": f'"{hash(content):x}"', "X-Repo-Commit": COMMIT})

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, value: Any) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status if self.status == 200 else self.status)
        for name, value in {"X-Error-Code": self.code, **headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for its own."""


def at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """The hub is there."""
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """The hub, which has an empty repository, is asked instead of the world's; what is fetched is kept below `tmp_path`."""

    class Ours(Hub):
        folder, asked = tmp_path / "remote", []

    Ours.folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ours)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    at(monkeypatch, server.server_port)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield Ours
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def packed(untrained: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = untrained(tmp_path_factory.mktemp("exp"))
    files.write_json(folder / "run.json", RUN)
    metrics = {"si_sdr/mean": 3.25, "si_sdr/median": 4.0, "stoi/mean": float("nan")}
    summary = {"data": "mir1k/test", "edition": "full", "items": 24, "skipped": 0, "metrics": metrics}
    files.write_json(folder / "scores" / "test.summary.json", summary)
    return pack(folder, tmp_path_factory.mktemp("packs") / "pack")


def test_what_is_pushed_comes_back(packed: Path, remote: type[Hub], tmp_path: Path) -> None:
    (packed / "notes.txt").write_text("mine")
    main(["push", str(packed), REPO, "--licence", "mit"])
    sent = {path.relative_to(remote.folder).as_posix() for path in remote.folder.rglob("*") if path.is_file()}
    assert sent == {"README.md", "config.yaml", "model.safetensors", "run.json", "scores/test.summary.json"}
    wave = 0.1 * torch.randn(1, 4000)
    model = toolkit.from_pretrained(REPO)
    expected = toolkit.load(packed).separate(wave, 8000)
    assert all(expected[name].equal(stem) for name, stem in model.separate(wave, 8000).items())


def test_the_card_on_the_hub(packed: Path, remote: type[Hub]) -> None:
    push(packed, REPO, "mit")
    _, front, text = (remote.folder / "README.md").read_text().split("---\n", 2)
    told = yaml.safe_load(front)
    assert (told["license"], told["library_name"], told["pipeline_tag"]) == ("mit", "reprise", "audio-to-audio")
    assert told["tags"] == ["reprise", "separation", "MaskedSeparator", "mir1k"]
    assert told["metrics"] == ["si_sdr"]
    (result,) = told["model-index"][0]["results"]
    assert [(metric["type"], metric["value"]) for metric in result["metrics"]] == [
        ("si_sdr/mean", 3.25),
        ("si_sdr/median", 4.0),
    ]
    assert f'model = toolkit.from_pretrained("{REPO}")' in text
    assert f"hf download {REPO} --local-dir pitch\ntoolkit separate song.mp3 --model pitch -o" in text
    assert "none stated by its makers" in text  # mir1k's, though the recipe is of another corpus


def test_what_an_older_pack_left_goes_and_other_files_stay(packed: Path, remote: type[Hub]) -> None:
    (remote.folder / "model.compressed.safetensors").write_text("of an older model")
    (remote.folder / "paper.pdf").write_text("the paper")
    push(packed, REPO)
    assert not (remote.folder / "model.compressed.safetensors").exists()
    assert (remote.folder / "paper.pdf").exists()


def test_only_a_packs_files_are_fetched(packed: Path, remote: type[Hub], tmp_path: Path) -> None:
    push(packed, REPO)
    for name in ("pytorch_model.bin", "modeling.py", "scores/evil.py", "__init__.py"):
        (remote.folder / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    remote.asked.clear()
    folder = hub.fetch(REPO)
    toolkit.load(folder)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".md", ".safetensors", ".yaml"}
    assert not [path for path in remote.asked if path.endswith((".bin", ".py"))]
    assert not (tmp_path / "executed").exists()


def test_what_is_fetched_is_not_trusted(packed: Path, remote: type[Hub]) -> None:
    push(packed, REPO)
    config = remote.folder / "config.yaml"
    tree = yaml.safe_load(config.read_text())
    tree["model"]["class_path"] = "os.system"
    config.write_text(yaml.safe_dump(tree))
    with pytest.raises(UserError, match="no class of the toolkit"):
        toolkit.from_pretrained(REPO)


def test_what_was_fetched_needs_no_network(packed: Path, remote: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    push(packed, REPO)
    fetched = hub.fetch(REPO)
    at(monkeypatch, 1)
    assert hub.fetch(REPO) == fetched
    with pytest.raises(UserError, match=r"someone/other: the hub cannot be reached \(.*Next: see to the network"):
        hub.fetch("someone/other")


def test_a_cache_that_cannot_be_written_to_is_not_the_hubs_fault(
    packed: Path, remote: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(packed, REPO)
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(NotADirectoryError):
        hub.fetch(REPO)


def test_a_repository_without_a_pack(remote: type[Hub]) -> None:
    (remote.folder / "pytorch_model.bin").write_text("something")
    with pytest.raises(UserError, match=r"expected a pack, found no config\.yaml"):
        hub.fetch(REPO)


@pytest.mark.parametrize("status", [401, 403])
def test_whoever_may_not_write_is_told(
    packed: Path, remote: type[Hub], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    remote.status = status
    with pytest.raises(SystemExit, match="2"):
        main(["push", str(packed), REPO])
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"toolkit push: {REPO}: the hub answered {status} ")
    assert told.endswith("Next: hf auth login, with a token that may write there")


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (401, "RepoNotFound", "the hub has no someone/pitch that you may see"),
        (404, "RepoNotFound", "the hub has no someone/pitch that you may see"),
        (403, "GatedRepo", "asks who you are. Next: ask for access"),
    ],
)
def test_what_may_not_be_fetched(remote: type[Hub], status: int, code: str, told: str) -> None:
    remote.status, remote.code = status, code
    with pytest.raises(UserError, match=told):
        hub.fetch(REPO)


def test_no_such_revision(remote: type[Hub]) -> None:
    with pytest.raises(UserError, match="no revision 'gone'"):
        hub.fetch(REPO, "gone")


@pytest.mark.parametrize("name", ["../pitch", "a/b/c", "/tmp/pack"])
def test_a_folder_is_no_name_on_the_hub(name: str) -> None:
    with pytest.raises(UserError, match=r"expected a name on the hub, user/name\. Next: toolkit\.load takes folders"):
        toolkit.from_pretrained(name)


def test_an_experiment_is_packed_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found no MODEL_CARD\.md.* Next: toolkit pack"):
        push(tmp_path, REPO)


def test_without_the_package_it_is_named(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    for call in (lambda: toolkit.from_pretrained(REPO), lambda: push(packed, REPO)):
        with pytest.raises(UserError, match=r"Next: pip install huggingface_hub"):
            call()
