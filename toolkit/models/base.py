"""What every model promises, whatever it is made of."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor, nn

from toolkit.blocks.synthesis import State
from toolkit.data.performances import Performance


class Model(nn.Module, ABC):
    """What is trained.

    Attributes:
        needs_statistics: whether something is to be set from the training data before the first step.
    """

    needs_statistics: bool = False

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer is built over: groups of parameters, with options of their own where they need such."""
        return [{"params": list(self.parameters())}]

    def penalty(self) -> Tensor | None:
        """What is added to the loss of a batch whatever is in it, e.g. for the model's size."""
        return None

    def size_mb(self) -> float:
        """Megabytes (2²⁰ bytes) that the model takes on a disk."""
        return sum(tensor.nbytes for tensor in self.state_dict().values()) / 2**20


class TaggingModel(Model):
    """Recordings, or stored features of them, to tags.

    Attributes:
        tags: K, how many tags there are.
    """

    tags: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Map waveforms (B, T) or stored features (B, L, D) to the tags' logits (B, K)."""

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """What the tags are told from: (B, C)."""

    def attention(self, inputs: Tensor) -> Tensor | None:
        """How much each tag listens to each frame, (B, K, L), adding up to one over the frames; None where it is not known."""
        return None

    def fit(self, inputs: Tensor, labels: Tensor, mask: Tensor) -> None:
        """Set what is not learned by gradient from all training data: inputs (N, …), labels and mask (N, K)."""


class SynthesisModel(Model):
    """A performance (its pitch and loudness, or its sound) to sound.

    Letters: L frames of `hop_length` samples, T = L · hop_length samples.

    Attributes:
        sample_rate: Hz.
        hop_length: samples of a frame.
        reads: what it needs of a performance, out of `waveform`, `f0`, `loudness`.
        latency: samples that `step` is late.
    """

    sample_rate: int
    hop_length: int
    reads: frozenset[str]
    latency: int = 0

    @abstractmethod
    def forward(self, performance: Performance) -> Tensor:
        """Render (B, T)."""

    def transposed(self, performance: Performance, semitones: float) -> Tensor:
        """Render (B, T), all pitches higher by so much.

        Raises:
            ValueError: it reads the pitch from the waveform, and cannot change it.
        """
        if "f0" not in self.reads:
            raise ValueError(f"{type(self).__name__} reads the pitch from the sound itself, so that it cannot transpose")
        rendered: Tensor = self(performance._replace(f0=performance.f0 * 2 ** (semitones / 12)))
        return rendered

    def pitch(self, performance: Performance) -> Tensor | None:
        """F0 (B, L) in Hz that it renders at, where it estimates that from the waveform; None where it is told."""
        return None

    def step(self, performance: Performance, state: State | None = None) -> tuple[Tensor, State]:
        """Render the next frames as (B, T); the state is None at the start.

        The first `latency` samples of all blocks in a row are to be dropped; then comes what `forward` gives.

        Raises:
            ValueError: it needs the whole performance at once.
        """
        raise ValueError(f"{type(self).__name__} needs the whole performance at once")

    def finish(self, state: State) -> Tensor:
        """The last `latency` samples (B, latency) when no more frames come.

        Raises:
            ValueError: it needs the whole performance at once.
        """
        raise ValueError(f"{type(self).__name__} needs the whole performance at once")


class Pitch(NamedTuple):
    """Pitch curves: frame l stands at l · hop_length / sample_rate seconds.

    Attributes:
        hertz: (B, L).
        confidence: (B, L), 0 to 1, how sure it is that there is a pitch, and this one.
    """

    hertz: Tensor
    confidence: Tensor


class PitchModel(Model):
    """Frames of spectra to how probable each pitch is, and whole recordings to pitch curves.

    Attributes:
        sample_rate: Hz.
        hop_length: samples between frames.
    """

    sample_rate: int
    hop_length: int

    @abstractmethod
    def forward(self, spectra: Tensor) -> Tensor:
        """Map spectra (N, F) of single frames to logits (N, P)."""

    @abstractmethod
    def track(self, waveforms: Tensor) -> Pitch:
        """The pitch of waveforms (B, T) at `sample_rate`, L = 1 + ⌊T / hop_length⌋ frames."""

    @abstractmethod
    def step(self, waveforms: Tensor, state: State | None = None) -> tuple[Pitch, State]:
        """The pitch of those frames that are complete with the next samples (B, T); the state is None at the start."""


class SeparationModel(Model):
    """Mixture to sources.

    What is trained need not be what is heard: a model may learn magnitudes, or a piece from the middle of what it reads.
    `forward` gives what is trained, `target` brings references there, `separate` gives waveforms.

    Attributes:
        sources: S, how many sources (or hypotheses) come out.
        audio_channels: C, channels of the audio it takes.
        sums_to_mixture: whether what `separate` gives adds up to the mixture by construction.
    """

    sources: int
    audio_channels: int
    sums_to_mixture: bool = False

    @abstractmethod
    def forward(self, mixture: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map (B, C, T) to the estimate that the loss compares with `target`: waveforms (B, S, C, T), if not said otherwise.

        A model that also scores (the hypotheses; the activity of sources) gives a pair: the estimate and the scores, as logits.
        """

    def target(self, references: Tensor) -> Tensor:
        """Bring references (B, S, C, T) to where `forward` estimates them; as they are, if not said otherwise."""
        return references

    def separate(self, mixture: Tensor) -> Tensor:
        """Separate (B, C, T) into waveforms (B, S, C, T), for any T of at least one sample."""
        output = self(mixture)
        return output[0] if isinstance(output, tuple) else output

    def fit_statistics(self, mixtures: Iterable[Tensor]) -> None:
        """Set what is initialised from the training mixtures, (C, T) each; nothing, if not said otherwise."""

    def input_length(self, length: int) -> int:
        """Samples of mixture to train with so that at least `length` are estimated."""
        return length
