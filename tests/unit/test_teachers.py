"""Teachers: embeddings of other packages (stand-ins with their signatures) and of a tagger that was trained here."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from toolkit.blocks.features import Feature
from toolkit.config import subclasses
from toolkit.log import UserError
from toolkit.models import OpenL3, PANNs, PaSST
from toolkit.models.teachers import PackagedFeature
from toolkit.tasks.experiment import Experiment
from toolkit.tasks.tagging import Tagging
from toolkit.tasks.teacher import TrainedTeacher

Install = Callable[..., ModuleType]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a module with the given content in place of a package."""

    def installed(name: str, **content: object) -> ModuleType:
        module = ModuleType(name)
        vars(module).update(content)
        if "." in name:
            installed(name.rpartition(".")[0])
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return installed


class KerasModel:
    dimension = 512


def load_audio_embedding_model(input_repr, content_type, embedding_size, frontend="kapre"):
    assert (input_repr, content_type, embedding_size, frontend) == ("mel128", "music", 512, "kapre")
    return KerasModel()


def get_audio_embedding(
    audio,
    sr,
    model=None,
    input_repr=None,
    content_type="music",
    embedding_size=6144,
    center=True,
    hop_size=0.1,
    batch_size=32,
    frontend="kapre",
    verbose=True,
):
    """As openl3 0.4: a list of (N,) gives a list of (frames, D); windows of a second, the first centred on the beginning."""
    assert isinstance(audio, list)
    assert model.dimension == 512
    assert center
    found = []
    for recording in audio:
        assert recording.ndim == 1
        frames = 1 + int(np.ceil(max(0, len(recording) + sr // 2 - sr) / int(hop_size * sr)))
        found.append(np.full((frames, 512), np.abs(recording).max(), np.float32))
    return found, [np.arange(len(embedding)) * hop_size for embedding in found]


def test_openl3(install: Install) -> None:
    models = SimpleNamespace(load_audio_embedding_model=load_audio_embedding_model)
    install("openl3", models=models, get_audio_embedding=get_audio_embedding)
    feature = OpenL3()
    waveforms = torch.stack([torch.zeros(480000), torch.ones(480000)])
    embeddings = feature.compute(waveforms)
    assert (feature.name, feature.sample_rate, feature.dimension) == ("openl3/mel128-music-512", 48000, 512)
    assert embeddings.shape == (2, 11, 512)
    assert embeddings[:, 0, 0].tolist() == [0, 1]


class BasicWrapper(nn.Module):
    """As hear21passt's `PasstBasicWrapper`."""

    def __init__(self, mode="all", timestamp_window=160, timestamp_hop=50):
        super().__init__()
        self.window, self.hop, self.mode = timestamp_window * 32, timestamp_hop * 32, mode

    def get_timestamp_embeddings(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        half = self.window // 2
        padded = nn.functional.pad(audio[:, None], (half, half), mode="reflect")[:, 0]
        segments = padded.unfold(-1, self.window, self.hop)
        size = 768 if self.mode == "embed_only" else 1295
        embeddings = segments.mean(-1, keepdim=True).expand(-1, -1, size)
        return embeddings, torch.arange(segments.shape[1]).expand(len(audio), -1)


def get_basic_model(**kwargs):
    print("Loading PaSST")
    return BasicWrapper(**kwargs)


def get_timestamp_embeddings(audio, model):
    return model.eval().get_timestamp_embeddings(audio)


def test_passt(install: Install, capsys: pytest.CaptureFixture) -> None:
    install("hear21passt.base", get_basic_model=get_basic_model, get_timestamp_embeddings=get_timestamp_embeddings)
    feature = PaSST()
    embeddings = feature.compute(torch.ones(2, 320000, dtype=torch.float64))
    assert (feature.name, feature.sample_rate, feature.dimension) == ("passt/960", 32000, 768)
    assert embeddings.shape == (2, 11, 768)
    assert embeddings.dtype == torch.float32
    assert feature.compute(torch.ones(1, 100)).shape == (1, 2, 768)
    assert capsys.readouterr().out == ""  # what a stage prints is its own


class AudioTagging:
    """As panns_inference's."""

    def __init__(self, model=None, checkpoint_path=None, device="cuda"):
        assert (model, checkpoint_path, device) == (None, None, "cpu")

    def inference(self, audio):
        assert audio.dtype == np.float32
        assert audio.shape[1] >= 10240
        return np.zeros((len(audio), 527)), np.full((len(audio), 2048), audio.mean(), np.float32)


def test_panns(install: Install) -> None:
    install("panns_inference", AudioTagging=AudioTagging)
    feature = PANNs()
    assert (feature.name, feature.sample_rate, feature.frame_rate) == ("panns/cnn14", 32000, None)
    assert feature.compute(torch.ones(3, 32000)).shape == (3, 1, 2048)
    assert feature.compute(torch.ones(1, 50)).shape == (1, 1, 2048)


@pytest.mark.parametrize("kind", [OpenL3, PaSST, PANNs])
def test_a_package_that_is_not_there(kind: type[PackagedFeature], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, kind.package.partition(".")[0], None)
    feature = kind()  # costs nothing
    with pytest.raises(UserError, match=rf"{kind.__name__} needs the package .* Next: pip install {kind.distribution}"):
        feature.compute(torch.zeros(1, 16000))


def test_weights_that_cannot_be_had(install: Install) -> None:
    def offline(**kwargs: object) -> None:
        raise OSError("no\nnetwork")

    install("hear21passt.base", get_basic_model=offline)
    with pytest.raises(UserError, match=r"hear21passt: its weights cannot be had \(OSError no network\)"):
        PaSST().compute(torch.zeros(1, 16000))


def test_a_package_that_gives_something_else(install: Install) -> None:
    def get_model(**kwargs: object) -> BasicWrapper:
        return BasicWrapper("all", 960, 960)

    install("hear21passt.base", get_basic_model=get_model, get_timestamp_embeddings=get_timestamp_embeddings)
    with pytest.raises(UserError, match=r"expected embeddings \(1, frames, 768\), found \(1, 2, 1295\)"):
        PaSST().compute(torch.zeros(1, 16000))


def config(feature: object = "PatchProjection") -> dict:
    blocks = {
        "frontend": {"class_path": "StoredFeatures", "init_args": {"bins": 128, "scale": 255.0}},
        "backbone": {"class_path": "FrameGRU", "init_args": {"hidden": 8, "layers": 1}},
        "pooling": {"class_path": "MeanPooling"},
        "head": {"class_path": "LinearHead"},
        "tags": 3,
    }
    return {
        "task": "tagging",
        "data": {"train": "a", "valid": "a", "test": "a", "batch_size": 2, "input": feature},
        "model": {"class_path": "Tagger", "init_args": blocks},
        "loss": {"class_path": "BinaryCrossEntropy"},
        "optimizer": {"class_path": "Adam"},
    }


def write_experiment(exp: Path, tree: dict) -> Tagging:
    exp.mkdir(exist_ok=True)
    (exp / "config.yaml").write_text(yaml.safe_dump(tree))
    task = Experiment(tree).build()[0]
    save_file(task.model.state_dict(), exp / "model.safetensors")
    return task


def test_a_trained_teacher_gives_what_its_model_tells_tags_from(tmp_path: Path) -> None:
    task = write_experiment(tmp_path / "teacher", config())
    teacher = TrainedTeacher(str(tmp_path / "teacher"))
    waveforms = torch.randn(2, 40000)
    embeddings = teacher.compute(waveforms)
    inputs = task.config.data.input.compute(waveforms).float()
    torch.testing.assert_close(embeddings[:, 0], task.model.eval().embed(inputs))
    assert embeddings.shape == (2, 1, task.model.embed(inputs).shape[1])
    assert (teacher.sample_rate, teacher.frame_rate) == (16000, None)


def test_the_name_of_a_trained_teacher_follows_its_weights(tmp_path: Path) -> None:
    names = []
    for folder, scale in (("one", 1.0), ("same", 1.0), ("other", 2.0)):
        task = write_experiment(tmp_path / folder, config())
        save_file(
            {key: scale * value for key, value in task.model.state_dict().items()}, tmp_path / folder / "model.safetensors"
        )
        names.append(TrainedTeacher(str(tmp_path / folder)).name)
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("teacher/")


def test_a_teacher_that_is_not_trained(tmp_path: Path) -> None:
    teacher = TrainedTeacher("exp/mini_teacher")  # costs nothing
    for ask in (lambda: teacher.name, lambda: teacher.sample_rate, lambda: teacher.compute(torch.zeros(1, 16000))):
        with pytest.raises(UserError, match=r"not trained.*Next: ./run.sh --config conf/mini_teacher.yaml --tag mini_teacher"):
            ask()


def test_a_teacher_whose_input_nothing_computes(tmp_path: Path) -> None:
    published = {"class_path": "Published", "init_args": {"name": "vggish", "frame_rate": 1.0416667}}
    write_experiment(tmp_path, config(published))
    with pytest.raises(UserError, match=r"reads published/vggish, which nothing computes.*`same_as`"):
        _ = TrainedTeacher(str(tmp_path)).sample_rate


def test_a_teacher_of_another_task(tmp_path: Path) -> None:
    data = {"train": "a", "valid": "a", "test": "a", "sample_rate": 8000, "sources": ["a", "b"], "batch_size": 1}
    model = {"class_path": "Oracle", "init_args": {"kind": "irm2", "sources": 2}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"task": "oracle", "data": data, "model": model}))
    save_file(Experiment.read(tmp_path / "config.yaml").build()[0].model.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="expected a model that tags, found one of the task OracleSeparation"):
        TrainedTeacher(str(tmp_path)).compute(torch.zeros(1, 16000))


def test_configs_find_all_teachers() -> None:
    known = subclasses(Feature)
    assert {"OpenL3", "PaSST", "PANNs", "VGGish", "PatchProjection", "TrainedTeacher"} <= set(known)
    tree = config()
    tree["data"]["teacher"] = {"class_path": "TrainedTeacher", "init_args": {"exp": "exp/none"}}
    task = Experiment(tree).build()[0]
    assert isinstance(task.config.data.teacher, TrainedTeacher)
    for cls in known.values():
        assert inspect.getdoc(cls)
