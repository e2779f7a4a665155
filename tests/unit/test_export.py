"""`toolkit export`: what was trained as a file for other programs, which is held against the model before it is one."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import toolkit
from toolkit import files
from toolkit.cli import main
from toolkit.dsp.aligned_stft import AlignedSTFT
from toolkit.dsp.stft import STFT
from toolkit.infer import export as exporting
from toolkit.infer import export_networks
from toolkit.infer.export import export
from toolkit.infer.export_formats import FORMATS, TorchScript
from toolkit.infer.export_networks import Called, Network, Read, network
from toolkit.log import UserError
from toolkit.models.hypothesis_mlp import HypothesisMLP

Exported = Callable[[Callable[[Tensor], Any]], None]


class Filtered(nn.Module):
    """A filter, and a function of what it gives."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.filter, self.function = nn.Conv1d(1, 2, 3, padding=1), function

    def forward(self, wave: Tensor) -> Any:
        return self.function(self.filter(wave))


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    """Let the model that is to be exported be a filter (B, 1, T) and a function of what it gives."""

    def given(function: Callable[[Tensor], Any]) -> None:
        read = Read("wave", torch.randn(2, 1, 40), {0: "batch", 2: "time"})
        model = Filtered(function).requires_grad_(False)
        made = Network(Called(model, model), (read,), ("sound",), {"sample_rate": 8000})
        trained = SimpleNamespace(task=SimpleNamespace(config=SimpleNamespace(task="separation")))
        monkeypatch.setattr(exporting, "opened", lambda path: trained)
        monkeypatch.setattr(exporting, "network", lambda trained: made)

    return given


def lacks(suffix: str) -> bool:
    """Whether a format cannot be written here."""
    try:
        FORMATS[suffix].check()
    except UserError:
        return True
    return False


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_gives_what_the_model_gives(suffix: str, exported: Exported, tmp_path: Path) -> None:
    if lacks(suffix):
        pytest.skip("onnx, onnxscript, onnxruntime")
    exported(torch.tanh)
    out = export(tmp_path, tmp_path / f"model{suffix}")
    wave = torch.randn(1, 1, 31)
    (sound,) = FORMATS[suffix].open(out)(wave)
    expected = exporting.network(None).module(wave)  # type: ignore[arg-type]
    torch.testing.assert_close(sound, expected)
    told = files.read_json(tmp_path / f"model{suffix}.json")
    assert told["inputs"] == [{"name": "wave", "shape": ["batch", 1, "time"], "type": "float32"}]
    assert told["outputs"] == [{"name": "sound", "shape": ["batch", 2, "time"], "type": "float32"}]
    assert told["sample_rate"] == 8000
    assert told["largest_difference"] <= told["tolerance"]


def test_a_separator(untrained: Callable[..., Path], tmp_path: Path) -> None:
    exp = untrained(tmp_path / "exp")
    main(["export", str(exp), "-o", str(tmp_path / "separator.ts")])
    told = files.read_json(tmp_path / "separator.ts.json")
    assert told["outputs"] == [{"name": "stems", "shape": ["batch", 2, 1, "time"], "type": "float32"}]
    assert told["sources"] == ["s1", "s2"]
    mixture = torch.randn(3, 1, 997)  # neither the example's number nor its length
    stems = torch.jit.load(str(tmp_path / "separator.ts"))(mixture)
    assert stems.allclose(toolkit.load(exp).task.model.separate(mixture), atol=1e-6)


def test_what_is_done_to_a_recording_outside_of_the_network_stands_beside_it(
    untrained: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    exp = untrained(tmp_path / "exp", {**tiny, "data": {**tiny["data"], "normalize": True}})
    main(["export", str(exp), "-o", str(tmp_path / "separator.ts")])
    told = files.read_json(tmp_path / "separator.ts.json")["normalize"]
    assert told.endswith("give (recording - mean) / deviation, take stems * deviation + mean")
    recording = 0.3 + 0.1 * torch.randn(1, 997)
    mean, deviation = recording.mean(), recording.std()
    stems = torch.jit.load(str(tmp_path / "separator.ts"))(((recording - mean) / deviation)[None])[0] * deviation + mean
    for stem, wanted in zip(stems, toolkit.load(exp).separate(recording, 8000).values(), strict=True):
        assert stem.allclose(wanted, atol=1e-5)


def test_what_is_right_of_shorter_input_only_is_not_open(exported: Exported, tmp_path: Path) -> None:
    exported(lambda x: torch.cat([x[..., at : at + 40] for at in range(0, x.shape[-1], 40)], -1))  # one piece of the example
    export(tmp_path, tmp_path / "model.ts")
    assert files.read_json(tmp_path / "model.ts.json")["inputs"][0]["shape"] == ["batch", 1, 40]


def test_what_only_fits_one_length_says_so(exported: Exported, tmp_path: Path) -> None:
    exported(lambda x: x * float(x.shape[-1]))  # which TorchScript takes for a constant
    export(tmp_path, tmp_path / "model.ts")
    assert files.read_json(tmp_path / "model.ts.json")["inputs"][0]["shape"] == ["batch", 1, 40]


def test_what_does_not_give_the_same_is_no_file(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(torch.tanh)
    right = TorchScript().open
    monkeypatch.setattr(TorchScript, "open", lambda self, path: lambda *x: [1.001 * one for one in right(path)(*x)])
    told = r"as ts: its output is 0\.001 of the largest number off.* Next: -o .*model\.onnx or .*model\.pt2$"
    with pytest.raises(UserError, match=told):
        export(tmp_path, tmp_path / "model.ts")
    assert not list(tmp_path.iterdir())


def test_the_operation_is_named_that_a_format_has_not(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        dispatch = "No ONNX function found for <OpOverload(op='aten.sgn', overload='default')>. No complex-valued input"
        raise RuntimeError("Failed to convert the program.") from ValueError(dispatch)

    exported(torch.tanh)
    monkeypatch.setattr(TorchScript, "write", failing)
    with pytest.raises(UserError, match=r"ONNX has nothing for the operation aten\.sgn\.default of complex numbers"):
        export(tmp_path, tmp_path / "model.ts")


def test_random_numbers_cannot_be_checked(exported: Exported, tmp_path: Path) -> None:
    exported(lambda x: x + torch.randn_like(x))
    with pytest.raises(UserError, match="random numbers"):
        export(tmp_path, tmp_path / "model.ts")


def test_a_name_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected a name that ends in \.onnx, \.pt2, \.ts, found \.bin"):
        export(tmp_path, tmp_path / "model.bin")
    (tmp_path / "model.ts").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        export(tmp_path, tmp_path / "model.ts")


def test_a_place_that_cannot_be_written_to_is_not_the_models_fault(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(torch.tanh)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        main(["export", str(tmp_path), "-o", str(tmp_path / "file" / "model.ts")])
    assert capsys.readouterr().err.endswith("Next: give the name of a folder, or remove the file that stands in its place\n")


def test_an_oracle_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = SimpleNamespace(task=SimpleNamespace(config=SimpleNamespace(task="oracle")))
    monkeypatch.setattr(exporting, "opened", lambda path: oracle)
    with pytest.raises(UserError, match=r"expected a model of separation, .*, found one of the task oracle"):
        export(tmp_path, tmp_path / "model.ts")


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UserError, match="Next: pip install onnx onnxscript onnxruntime"):
        export(tmp_path, tmp_path / "model.onnx")


def test_what_there_is_no_export_of() -> None:
    with pytest.raises(UserError, match=r"SimpleNamespace: there is no export"):
        network(SimpleNamespace())  # type: ignore[arg-type]


def test_hypotheses_come_with_their_weights() -> None:
    model = HypothesisMLP(hypotheses=3, hidden=(4,))
    made = export_networks._hypotheses(SimpleNamespace(model=model))  # type: ignore[arg-type]
    points, weights = made.module(made.reads[0].example)
    assert (points.shape[:2], weights.shape) == ((2, 3), (2, 3))


@pytest.mark.parametrize("transform", [STFT(64, 16), STFT(64, 32), AlignedSTFT(64)], ids=["a quarter", "a half", "aligned"])
@pytest.mark.parametrize("length", [1, 64, 333])
def test_the_inverse_transform_is_exported_as_it_is_computed(
    transform: STFT, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spectrum = transform(torch.randn(2, 3, length))
    expected = transform.inverse(spectrum, length)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(transform.inverse(spectrum, length), expected, atol=1e-5, rtol=1e-4)
