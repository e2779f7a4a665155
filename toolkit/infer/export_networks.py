"""What is exported of a trained model of each task: the network as its user calls it, with examples of what it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from toolkit.blocks.features import ExactWaveform, Waveform
from toolkit.data.performances import Performance
from toolkit.infer.autoencoder import TrainedLatent
from toolkit.infer.hypothesizer import TrainedHypotheses
from toolkit.infer.synthesizer import TrainedSynthesis
from toolkit.infer.tagger import TrainedTagger
from toolkit.infer.tracker import TrainedPitch
from toolkit.infer.trained import TrainedSeparation
from toolkit.infer.use import Usable
from toolkit.infer.writer import TrainedLanguage
from toolkit.log import UserError

BATCH = 2  # of an example
SECONDS = 4.0  # of an example, where the configuration does not say what is heard at once
LEVEL, QUIET = 0.1, -20.0  # deviation of an example's samples; dB of an example's frames


class Read(NamedTuple):
    """One input of a network.

    Attributes:
        name: of the input.
        example: a value, of `BATCH` items.
        axes: axes of it that may have another length, and their names: ``{0: "batch", 2: "time"}``.
    """

    name: str
    example: Tensor
    axes: dict[int, str]


class Network(NamedTuple):
    """What is exported.

    Attributes:
        module: maps the inputs to a tensor, or a tuple of some, in evaluation mode.
        reads: the inputs, in the order of its arguments.
        gives: names of the outputs.
        facts: what whoever uses the file has to know besides: sample rate, names of the sources or tags, ….
    """

    module: nn.Module
    reads: tuple[Read, ...]
    gives: tuple[str, ...]
    facts: dict[str, Any]

    def of_one(self) -> Network:
        """The same with examples of one item."""
        return self._replace(reads=tuple(read._replace(example=read.example[:1]) for read in self.reads))


def network(trained: Usable) -> Network:
    """The network of what `toolkit.load` gave, which is not to be used for anything else afterwards.

    Raises:
        UserError: there is nothing to export of its kind.
    """
    for kind, make in BY_KIND.items():
        if isinstance(trained, kind):
            made = make(trained)
            made.module.eval().requires_grad_(False)
            return made
    raise UserError(f"{type(trained).__name__}: there is no export of such models. Next: use toolkit.load")


class Called(nn.Module):
    """A function of a module's, as a module.

    Args:
        model: has the weights.
        function: of tensors.
    """

    def __init__(self, model: nn.Module, function: Callable[..., Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the function gives."""
        return self.function(*inputs)


class _Number(float):
    """A number in place of a tensor of one: what is computed from it is known while a network is exported."""

    def item(self) -> float:
        """As of a tensor."""
        return float(self)


def _separation(trained: TrainedSeparation) -> Network:
    """Mixture (B, C, T) to stems (B, S, C, T), one segment at a time."""
    model, config = trained.task.model, trained.task.config
    seconds = config.infer.chunk or config.data.segment or SECONDS
    mixture = LEVEL * torch.randn(BATCH, model.audio_channels, round(seconds * trained.sample_rate))
    facts = {"sample_rate": trained.sample_rate, "sources": trained.sources, "segment": seconds}
    if config.data.normalize:  # which takes the whole recording, of which the network is given segments
        mean = f"mean / {model.sources}" if model.sums_to_mixture else "mean"
        facts["normalize"] = (
            "mean and deviation are those of the mean of the whole recording's channels; "
            f"give (recording - mean) / deviation, take stems * deviation + {mean}"
        )
    return Network(Called(model, model.separate), (Read("mixture", mixture, {0: "batch", 2: "time"}),), ("stems",), facts)


def _tagging(trained: TrainedTagger) -> Network:
    """Waveform (B, T), or what else is stored of recordings (B, L, D), to probabilities (B, K)."""
    task = trained.task
    feature = task.config.data.input
    facts: dict[str, Any] = {"tags": trained.tags, "input": feature.name}
    if isinstance(feature, Waveform | ExactWaveform):
        samples = LEVEL * torch.randn(BATCH, round(trained.window * feature.sample_rate))
        read = Read("waveform", samples, {0: "batch", 1: "time"})
        facts["sample_rate"] = feature.sample_rate
    else:
        frames = task.config.data.frames(trained.window) if feature.frame_rate else 1
        width = task.probe()[0].shape[-1]
        read = Read("features", torch.rand(BATCH, frames, width), {0: "batch", 1: "frames"} if frames > 1 else {0: "batch"})
        facts["frame_rate"] = feature.frame_rate
    return Network(Called(task.model, lambda x: task.probabilities(task.model, x)), (read,), ("probabilities",), facts)


def _pitch(trained: TrainedPitch) -> Network:
    """Waveform (B, T) to the pitch in Hz and its confidence, (B, L) each."""
    model = cast(Any, trained.model)
    if "shift" in model._buffers:
        shift = _Number(model._buffers.pop("shift").item())
        model.shift = shift
    samples = LEVEL * torch.randn(BATCH, trained.sample_rate)
    facts = {"sample_rate": trained.sample_rate, "hop_length": trained.hop_length, "voiced": trained.voiced}
    read = Read("waveform", samples, {0: "batch", 1: "time"})
    return Network(Called(model, lambda x: tuple(model.track(x))), (read,), ("hertz", "confidence"), facts)


def _synthesis(trained: TrainedSynthesis) -> Network:
    """Pitch (Hz) and loudness (dB), (B, L) each, or what else the model reads of a performance, to sound (B, T)."""
    model, frames = trained.model, round(trained.sample_rate / trained.hop_length)
    axes = {0: "batch", 1: "frames"}
    known = {
        "f0": Read("f0", 200 + 200 * torch.rand(BATCH, frames), axes),
        "loudness": Read("loudness", QUIET + 10 * torch.rand(BATCH, frames), axes),
        "waveform": Read("waveform", LEVEL * torch.randn(BATCH, frames * trained.hop_length), {0: "batch", 1: "time"}),
    }
    reads = tuple(read for name, read in known.items() if name in model.reads)

    def rendered(*values: Tensor) -> Tensor:
        given = {read.name: value for read, value in zip(reads, values, strict=True)}
        lacking = {name: values[0].new_zeros(1, 0) for name in known.keys() - given.keys()}
        return model(Performance(lengths=torch.zeros(1), ids=[""], **given, **lacking))

    facts = {"sample_rate": trained.sample_rate, "hop_length": trained.hop_length}
    return Network(Called(model, rendered), reads, ("audio",), facts)


def _language(trained: TrainedLanguage) -> Network:
    """Tokens (B, L) to what follows each of them."""
    model = trained.model
    tokens = torch.randint(0, model.vocabulary, (BATCH, max(2, model.context // 2)))
    facts = {"vocabulary": model.vocabulary, "context": model.context, "hypotheses": trained.hypotheses}
    return Network(Called(model, model), (Read("tokens", tokens, {0: "batch", 1: "length"}),), ("logits",), facts)


def _hypotheses(trained: TrainedHypotheses) -> Network:
    """Numbers (B, inputs) to hypotheses (B, K, D) and their weights (B, K)."""
    model = trained.model

    def made(x: Tensor) -> tuple[Tensor, Tensor]:
        found = model(x)
        return found.points, found.weights()

    read = Read("x", torch.rand(BATCH, model.inputs), {0: "batch"})
    return Network(Called(model, made), (read,), ("points", "weights"), {})


def _latent(trained: TrainedLatent) -> Network:
    """Melodies (B, T), or pictures (B, 1, H, W), to the means and log variances of their codes, (B, Z) each."""
    model = trained.model
    given = trained.decode(torch.randn(BATCH, trained.latent))
    items = given[:, None].float() if trained.pictures else given
    facts = {"latent": trained.latent, "attributes": trained.attributes}
    network = Called(model, lambda x: tuple(model.encode(x)))
    return Network(network, (Read("items", items, {0: "batch"}),), ("mean", "log_variance"), facts)


BY_KIND: dict[type[Usable], Callable[[Any], Network]] = {
    TrainedSeparation: _separation,
    TrainedTagger: _tagging,
    TrainedPitch: _pitch,
    TrainedSynthesis: _synthesis,
    TrainedLanguage: _language,
    TrainedHypotheses: _hypotheses,
    TrainedLatent: _latent,
}
