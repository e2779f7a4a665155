"""Every recipe, end to end on its mini corpus, as its user runs it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import warm
import yaml
from filelock import FileLock
from safetensors.torch import load_file

import toolkit
from toolkit import files
from toolkit.cli.books import manifests_in
from toolkit.config import read
from toolkit.data import manifest
from toolkit.features.run import features
from toolkit.infer.pack import pack
from toolkit.infer.run import infer
from toolkit.metrics import tagging
from toolkit.prepare.run import fetch, prepare
from toolkit.report.paper import Paper
from toolkit.train.run import train

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(path.parent.relative_to(ROOT / "egs") for path in ROOT.glob("egs/*/*/run.sh") if "TEMPLATE" not in path.parts)
TRAINED = [name for name in RECIPES if "task: oracle" not in (ROOT / "egs" / name / "conf" / "paper.yaml").read_text()]
SYSTEMS = [name for name in RECIPES if list((ROOT / "egs" / name / "conf").glob("mini_*.yaml"))]
EXAMPLE = Path("librimix/conv_tasnet")  # where a test speaks of slots or files by name
COLD = Path("magnatagatune/east")  # whose stages are processes from their beginning, as at a shell
# Where learning shows long before the last epoch of conf/mini.yaml: epochs that are enough to tell
EPOCHS = {
    "librimix/conv_tasnet": 4,
    "librimix/multiple_choice": 5,
    "musdb18/conv_tasnet": 3,
    "musdb18/iass": 2,
    "musdb18/open_unmix": 5,
    "musdb18/wave_u_net": 2,
    "wsj0_mix/conv_tasnet": 4,
    "wsj0_mix/dprnn": 5,
    "wsj0_mix/multiple_choice": 5,
}
# Where an epoch takes long: one of so many items makes one that is long enough to be interrupted
FEWER = {"librimix": 6, "musdb18": 3, "urmp/pesto": 3, "wsj0_mix": 6}
STAGES = ["fetch", "prepare", "features", "train", "infer", "score", "report"]
UNTRAINED = tuple(f"untrained/{name}" for name in ("multi_scale_spectral/", "log_spectral_distance/", "frechet_distance@"))
pytestmark = pytest.mark.recipe
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}  # as many in every process, for weights that are equal to the last bit


class Recipe:
    """A copy of one recipe in a place of its own, so that a test leaves the repository as it was.

    Args:
        name: corpus and paper.
        place: folder of the copy.
        data: folder of what is prepared.
        address: of the process that runs its `toolkit` and has loaded torch; without it, each call takes seconds to do so.
    """

    def __init__(self, name: Path, place: Path, data: Path, address: Path | None = None) -> None:
        self.name, self.place, self.data = name, place, data
        self.folder = place / "egs" / name
        shutil.copytree(ROOT / "egs" / name, self.folder, ignore=shutil.ignore_patterns("exp", "data"))
        for folder in ("utils", "tools"):
            shutil.copytree(ROOT / folder, place / folder)
        shutil.copy(ROOT / "setup.py", place)
        if address is None:
            (place / ".venv").symlink_to(ROOT / ".venv")
        else:
            (place / ".venv" / "bin").mkdir(parents=True)
            (place / ".venv" / ".installed").symlink_to(ROOT / ".venv" / ".installed")
            (place / ".venv" / "bin" / "toolkit").write_text(warm.client("toolkit", address))
            (place / ".venv" / "bin" / "toolkit").chmod(0o755)

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = ["./run.sh", "--data", str(self.data), "--device", "cpu", "--nj", "1", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, env=ONE_THREAD, text=True, start_new_session=True, **pipes)

    def run(self, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*options)
        out, err = process.communicate()
        assert process.returncode == code, f"{options}: exit {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def states(self, *options: str) -> dict[str, str]:
        lines = self.run("--list", *options).stdout.splitlines()
        return {line.split()[1]: line.split()[2] for line in lines}


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a process runs `toolkit` for whoever calls."""
    found = tmp_path_factory.mktemp("warm") / "socket"
    with warm.served(ROOT, found):
        yield found


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, address: Path) -> Recipe:
    """The recipe, its mini corpus prepared once for all recipes of the corpus."""
    name: Path = request.param
    shared = tmp_path_factory.getbasetemp().parent / f"{name.parent.name}-data"
    found = Recipe(name, tmp_path, shared, None if name == COLD else address)
    with FileLock(f"{shared}.lock"):
        found.run("--stop-stage", "features")
    return found


def each_recipe(function):
    return pytest.mark.parametrize("recipe", RECIPES, ids=str, indirect=True)(function)


@each_recipe
def test_a_recipe_ends_with_the_papers_table(recipe: Recipe) -> None:
    epochs = EPOCHS.get(str(recipe.name))
    options = ["--train.epochs", str(epochs), "--tag", "mini"] if epochs else []
    printed = recipe.run(*options).stdout
    exp = recipe.folder / "exp" / "mini"

    if recipe.name in TRAINED:
        rows = files.read_jsonl(exp / "metrics.jsonl")
        assert rows[-1]["train/loss"] < rows[0]["train/loss"]
        assert_a_pack_does_what_the_experiment_does(exp)
    summary = files.read_json(exp / "scores" / "test.summary.json")
    assert summary["edition"] == "mini"
    assert summary["items"] == len(files.read_jsonl(exp / "scores" / "test.jsonl")) > 0
    assert_it_beats_the_trivial_answer(exp, summary["metrics"])

    results = (recipe.folder / "RESULTS.md").read_text()
    for row in Paper.read(recipe.folder / "paper.yaml").rows:
        assert row.system in results
        assert row.system in printed
    page = (exp / "report" / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "mini" in page

    assert set(recipe.states(*options).values()) == {"done"}
    before = {path: path.stat().st_mtime_ns for path in exp.rglob("*") if path.is_file()}
    recipe.run(*options)
    assert {path: path.stat().st_mtime_ns for path in exp.rglob("*") if path.is_file()} == before


def assert_it_beats_the_trivial_answer(exp: Path, metrics: dict[str, float]) -> None:
    if "average_precision/mean" in metrics:  # knowing no more of a clip than how frequent each tag is
        _, labels, mask = tagging.arrays(files.read_jsonl(exp / "scores" / "test.jsonl"))
        prior = tagging.average_precision(torch.zeros_like(labels), labels, mask).nanmean()
        assert metrics["average_precision/mean"] > prior + 0.1
        assert metrics["roc_auc/mean"] > 0.6
    elif "rpa@50/frames" in metrics:  # any pitch at all is right in about one of thirty frames; octaves are a matter of luck
        assert metrics["rpa@50/frames"] > 0.3
        assert metrics["rca@50/frames"] > 0.6
    elif "true_chains/on_these" in metrics:  # one chain for all sequences, which is what a single opinion can be at best
        assert metrics["token_loss/winner"] < metrics["mle_line/on_these"] - 0.005
        assert metrics["transition_error/in_sequences"] < 0.1
    elif "bits_per_character/frequencies" in metrics:  # knowing how frequent each character is
        assert metrics["bits_per_character/mixture"] < 0.75 * metrics["bits_per_character/frequencies"]
    elif "variance/mean" in metrics:  # the mean of the samples as the one hypothesis
        assert metrics["distortion/mean"] < 0.1 * metrics["variance/mean"]
    elif "reconstruction_accuracy/mean" in metrics:  # every melody or picture being the same
        assert metrics["reconstruction_accuracy/mean"] > metrics["reconstruction_accuracy/most_frequent"]
        assert metrics.get("scc/mean", 1) > 0.6
    elif distances := [name for name in metrics if name.startswith(UNTRAINED)]:  # the same network with random weights
        for name in distances:
            assert metrics[name.removeprefix("untrained/")] < 0.8 * metrics[name], name
    else:  # the mixture itself stands at 0
        assert next(value for key, value in metrics.items() if "_improvement/" in key) > 0.5


def assert_a_pack_does_what_the_experiment_does(exp: Path) -> None:
    trained, packed = (toolkit.load(path) for path in (exp, pack(exp, exp.parent / "pack")))
    if hasattr(trained, "likelihood"):
        texts = ["M:6/8\nK:G\nGBd|" if model.codec else [0, 1, 1, 0] for model in (trained, packed)]
        assert torch.equal(trained.likelihood(texts[0]), packed.likelihood(texts[1]))
        assert trained.generate(texts[0], length=8) == packed.generate(texts[1], length=8)
        return
    if hasattr(trained, "hypothesize"):
        torch.testing.assert_close(packed.hypothesize([0.1, 0.9]), trained.hypothesize([0.1, 0.9]), rtol=0, atol=0)
        return
    if hasattr(trained, "traverse"):
        codes = torch.linspace(-1, 1, 2 * trained.latent).reshape(2, -1)
        torch.testing.assert_close(packed.decode(codes), trained.decode(codes), rtol=0, atol=0)
        torch.testing.assert_close(packed.encode(packed.decode(codes)), trained.encode(trained.decode(codes)), rtol=0, atol=0)
        return
    tone = torch.sin(0.1 * torch.arange(3 * 22050)) + 0.1 * torch.randn(2, 3 * 22050)
    does = next(name for name in ("tag", "separate", "resynthesize", "pitch") if hasattr(trained, name))
    expected, found = (getattr(model, does)(tone, 22050) for model in (trained, packed))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("recipe", TRAINED, ids=str, indirect=True)
def test_a_killed_training_ends_with_the_same_weights(recipe: Recipe, tmp_path: Path) -> None:
    recipe.data = with_fewer_items(recipe, tmp_path / "data")
    options = ["--stage", "train", "--stop-stage", "train", "--train.epochs", "1", "--train.checkpoint_every", "2"]
    recipe.run(*options, "--tag", "whole")

    process = recipe.start(*options, "--tag", "killed")
    exp = recipe.folder / "exp" / "killed"
    while process.poll() is None and not list(exp.glob("checkpoints/step-*")):
        time.sleep(0.005)  # some trainings end soon
    os.kill(int((exp / ".stages" / "training.lock").read_text().split()[1]), signal.SIGKILL)  # "process 1234 on host"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert recipe.states("--tag", "killed", *options[4:])["train"] == "failed"
    recipe.run(*options, "--tag", "killed")

    whole, killed = (load_file(recipe.folder / "exp" / tag / "model.safetensors") for tag in ("whole", "killed"))
    assert all(whole[name].equal(killed[name]) for name in whole)


def with_fewer_items(recipe: Recipe, place: Path) -> Path:
    """The recipe's prepared data; where an epoch of them takes long, a copy whose manifests have one of so many items."""
    every = next((every for name, every in FEWER.items() if recipe.name.is_relative_to(name)), 1)
    if every == 1:
        return recipe.data
    shutil.copytree(recipe.data, place, copy_function=os.link)
    for path in manifests_in(place):
        whole = manifest.Manifest.open(path)
        manifest.write(path, whole.header, [item for number, item in enumerate(whole) if number % every == 0])
    return place


@pytest.mark.parametrize("recipe", SYSTEMS, ids=str, indirect=True)
def test_every_system_of_the_table_is_trained_on_the_mini_corpus(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recipe.folder)
    configs = [path for path in sorted(Path("conf").glob("mini_*.yaml")) if "teacher" in path.stem]  # which others wait for
    configs += [path for path in sorted(Path("conf").glob("mini_*.yaml")) if path not in configs]
    for config in configs:
        exp = Path("exp") / config.stem
        names = read(config)["data"]
        with FileLock(f"{recipe.data}.lock"):
            wanted = [names[split] for split in ("train", "valid", "test")]
            named = names["train"].partition("/")[0]  # perhaps a corpus that is not the recipe's own
            corpus = named if (ROOT / "toolkit" / "corpora" / f"{named}.py").is_file() else recipe.name.parent.name
            fetch(corpus, "mini", recipe.data, [])
            prepare(corpus, "mini", recipe.data, nj=1, strict=False, wanted=wanted, options=[])
            features(recipe.data, config, [], "cpu")
            data = with_fewer_items(recipe, tmp_path / config.stem)
        quick = ["--train.epochs", "1", "--data.workers", "0"]
        base = read(config)["train"].get("init")  # another system's weights
        if base and not Path(base).is_file():
            train(Path(f"conf/{Path(base).parent.name}.yaml"), data, Path(base).parent, "cpu", quick)
        train(config, data, exp, "cpu", quick)
        infer(exp, data, "valid", "cpu")
        assert len(files.read_jsonl(exp / "predictions" / "valid" / "index.jsonl")) > 0


@pytest.mark.parametrize("recipe", [EXAMPLE], ids=str, indirect=True)
def test_a_changed_input_makes_exactly_the_later_stages_stale(recipe: Recipe, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(recipe.data, data)
    recipe.data = data
    quick = ["--train.epochs", "1", "--tag", "quick"]
    recipe.run(*quick)
    states = recipe.states(*quick)
    assert set(states.values()) == {"done"}

    weights = recipe.folder / "exp" / "quick" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    states = recipe.states(*quick)
    assert [states[name] for name in STAGES] == ["done", "done", "done", "done", "stale", "done", "done"]
    recipe.run(*quick, "--stage", "infer", "--stop-stage", "infer")

    states = recipe.states("--tag", "quick", "--train.epochs", "2")
    assert states["train"] == "stale"
    assert states["prepare"] == "done"

    corpus_file = next(path for path in sorted((data / "corpus").rglob("*")) if path.suffix.lower() in (".wv1", ".flac"))
    os.utime(corpus_file, (1, 1))
    assert recipe.states(*quick)["prepare"] == "stale"
    recipe.run(*quick, "--stage", "prepare", "--stop-stage", "prepare")
    states = recipe.states(*quick)
    assert states["prepare"] == "done"
    assert states["features"] == states["train"] == "stale"


@pytest.mark.parametrize("recipe", [EXAMPLE], ids=str, indirect=True)
def test_a_mistake_is_told_in_one_line_with_exit_code_2(recipe: Recipe) -> None:
    train = ["--stage", "train", "--stop-stage", "train", "--tag", "wrong"]
    for options, told in [
        (["--model.separator.bottelneck", "3"], "has no option 'bottelneck'; did you mean 'bottleneck'?"),
        (["--model.separator", "LearnedFilterbank"], "expected a block of the kind Separator, found 'LearnedFilterbank'"),
        (["--config", "conf/none.yaml"], "no such config: conf/none.yaml"),
        (["--train.epochs", "many"], "train.epochs"),
    ]:
        error = recipe.run(*train, *options, code=2).stderr.strip().splitlines()[-1]
        assert told in error
    assert "no option --colour" in recipe.run("--colour", "red", code=2).stderr
    assert "no stage is called 'trian'" in recipe.run("--stage", "trian", code=2).stderr
    assert (
        "no such folder" in recipe.run("--corpus", "/nowhere", "--stage", "prepare", "--stop-stage", "prepare", code=2).stderr
    )


def test_help_and_list_show_the_stages(tmp_path: Path, address: Path) -> None:
    recipe = Recipe(EXAMPLE, tmp_path, tmp_path / "data", address)
    shown = recipe.run("--help").stdout
    assert all(name in shown for name in STAGES)
    assert list(recipe.states()) == STAGES
    assert set(recipe.states().values()) == {"missing"}


@pytest.mark.real
@pytest.mark.parametrize("release", ["musdb18", "musdb18-hq"])
@pytest.mark.parametrize("recipe", [Path("musdb18/oracle"), Path("musdb18/open_unmix")], ids=str, indirect=True)
def test_a_real_song_goes_through_all_stages(recipe: Recipe, release: str, shared_data: Path, tmp_path: Path) -> None:
    corpus = shared_data / "musdb18" / ("MUSDB18-7-SAMPLE" if release == "musdb18" else "decoded_wav")
    recipe.data = tmp_path / "data"
    names = dict.fromkeys(["train", "valid", "test"], f"{release}/44100/train")  # one song is all there is
    tree = {"extends": "mini.yaml", "data": names, "train": {"epochs": 1}}
    (recipe.folder / "conf" / "real.yaml").write_text(yaml.safe_dump(tree))

    recipe.run("--corpus", str(corpus), "--config", "conf/real.yaml")
    summary = files.read_json(recipe.folder / "exp" / "real" / "scores" / "test.summary.json")
    assert summary["edition"] == "partial (train 1 of 86, valid 0 of 14, test 0 of 50 tracks)"
    sdr = {source: summary["metrics"][f"bsseval_v4_sdr/median_of_medians/{source}"] for source in ("drums", "bass", "vocals")}
    assert min(sdr.values()) > (4 if recipe.name.name == "oracle" else -10)  # what masks reach at best; one epoch of learning
    assert len(list((recipe.folder / "exp" / "real" / "predictions").rglob("vocals.wav"))) == 1
