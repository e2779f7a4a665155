"""`toolkit.infer.export_table` says what can be exported as what: each of its cells, with the smallest model of the task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit import files
from toolkit.cli import main
from toolkit.infer.export import export
from toolkit.infer.export_formats import FORMATS
from toolkit.infer.export_table import OPEN, SUFFIXES, others, text
from toolkit.log import UserError

DATA = {"train": "a/train", "valid": "a/valid", "test": "a/test", "batch_size": 1}
ADAM = {"class_path": "Adam"}


def block(name: str, /, **options: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": options}


CONFIGURATIONS: dict[str, dict[str, Any]] = {  # that of separation is the fixture's
    "tagging": {
        "data": {**DATA, "input": block("Published", name="vggish", frame_rate=1.0)},
        "model": block(
            "Tagger",
            tags=2,
            frontend=block("StoredFeatures", bins=4, scale=255),
            backbone=block("FrameMLP", hidden=[4]),
            pool="probabilities",
            pooling=block("AttentionPooling", gate="sigmoid"),
            head=block("LinearHead"),
        ),
        "loss": block("BinaryCrossEntropy"),
    },
    "pitch": {
        "data": DATA,
        "model": block(
            "PESTO",
            frontend=block("LogCQT", sample_rate=8000, hop_length=400, f_min=110.0, bins=36, bins_per_semitone=1),
            encoder=block("PESTOEncoder", channels=[2]),
            widest=4,
        ),
        "loss": block("TranspositionLoss", equivariance=block("ClassEquivariance")),
    },
    "synthesis": {
        "data": {
            **DATA,
            "waveform": block("ExactWaveform", sample_rate=16000),
            "f0": block("AnnotatedPitch", sample_rate=16000, hop_length=64),
            "loudness": block("Loudness", sample_rate=16000, hop_length=64),
        },
        "model": block(
            "Resynthesizer",
            controller=block("CausalTCN", hidden=2, blocks=2),
            synthesizer=block("FMSynthesizer", patch="1stack2"),
            effect=block("NoiseReverb", taps=100),
        ),
        "loss": block("MultiScaleSpectral"),
    },
    "language": {
        "data": DATA,
        "model": block("GPT", vocabulary=3, context=8, layers=1, heads=1, channels=4),
        "loss": block("SequenceLikelihood"),
    },
    "hypotheses": {
        "data": DATA,
        "model": block("HypothesisMLP", hypotheses=2, hidden=[2]),
        "loss": block("MultipleChoice", pairwise=block("EuclideanDistance")),
    },
    "latent": {
        "data": DATA,
        "model": block("MelodyCNNVAE", vocabulary=52, latent=2),
        "loss": {"divergence": block("BetaDivergence", beta=1.0)},
    },
}


def tagger_of_sound(sample_rate: int, frontend: dict[str, Any], backbone: dict[str, Any]) -> dict[str, Any]:
    return CONFIGURATIONS["tagging"] | {
        "task": "tagging",
        "data": {**DATA, "input": block("Waveform", sample_rate=sample_rate)},
        "model": block(
            "Tagger", tags=2, frontend=frontend, backbone=backbone, pooling=block("MeanPooling"), head=block("LinearHead")
        ),
    }


OTHERS: dict[str, dict[str, Any]] = {  # models that are built of other operations than those of the table
    "CP-ResNet": tagger_of_sound(32000, block("KaldiMel", sample_rate=32000, bins=16), block("CPResNet", rho=2, base=4)),
    # whose frontend is in full precision, whatever the rest is in
    "mel spectrogram": tagger_of_sound(
        16000, block("MelSpectrogram", sample_rate=16000, bins=4), block("FrameMLP", hidden=[4])
    ),
    "sprites": CONFIGURATIONS["latent"]
    | {
        "task": "latent",
        "data": {**DATA, "items": "pictures"},
        "model": block("SpriteVAE", channels=2, hidden=4, latent=2),
        "loss": {"reconstruction": block("PixelCrossEntropy"), "divergence": block("BetaDivergence", beta=1.0)},
    },
}


@pytest.mark.parametrize(
    ("name", "suffix"), [("CP-ResNet", ".ts"), ("mel spectrogram", ".onnx"), ("sprites", ".pt2"), ("sprites", ".ts")]
)
def test_other_models_of_a_task(name: str, suffix: str, untrained: Callable[..., Path], tmp_path: Path) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    exp = untrained(tmp_path / "exp", {"optimizer": ADAM, **OTHERS[name]})
    if OTHERS[name]["task"] == "tagging":
        files.write_json(exp / "tags.json", ["flute", "voice"])
    export(exp, tmp_path / f"model{suffix}")
    told = files.read_json(tmp_path / f"model{suffix}.json")
    assert told["largest_difference"] <= told["tolerance"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("task", OPEN)
def test_a_cell_of_the_table(task: str, suffix: str, untrained: Callable[..., Path], tmp_path: Path) -> None:
    try:
        FORMATS[suffix].check()
    except UserError as error:
        pytest.skip(str(error))
    given = [{"task": task, "optimizer": ADAM, **CONFIGURATIONS[task]}] if task in CONFIGURATIONS else []
    exp = untrained(tmp_path / "exp", *given)
    if task == "tagging":
        files.write_json(exp / "tags.json", ["flute", "voice"])
    out = tmp_path / f"model{suffix}"
    if suffix not in OPEN[task]:
        with pytest.raises(UserError, match=rf"cannot be exported as {suffix[1:]}: .*Next: -o {tmp_path}/model\."):
            export(exp, out)
        assert not list(tmp_path.glob("model*"))
        return
    export(exp, out)  # which opens it again and holds it against the model, shorter and longer
    told = files.read_json(tmp_path / f"model{suffix}.json")
    assert told["largest_difference"] <= told["tolerance"] == 1e-4
    found = dict.fromkeys(size for read in told["inputs"] for size in read["shape"] if isinstance(size, str))
    assert ", ".join(found) == OPEN[task][suffix]


def test_the_table_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert text() in capsys.readouterr().out
    assert tuple(FORMATS) == SUFFIXES


def test_another_format_is_one_that_the_task_is_exported_in() -> None:
    assert others("hypotheses", ".onnx") == [".pt2", ".ts"]
    assert others("synthesis", ".ts") == [".pt2"]
