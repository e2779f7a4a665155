"""What the stage `features` computes of each recording, once, and stores: waveforms at a model's rate, spectra, embeddings."""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from toolkit import config
from toolkit.blocks.tagging import Frontend
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError


class Feature(ABC):
    """What is computed of each recording once and stored; a slot of a configuration's `data` section.

    A feature is cheap to build: whatever is large (networks) is loaded when `compute` is first called.

    Attributes:
        role: of the manifest's audio that it is computed from.
        sample_rate: Hz of the waveforms that it takes.
        frame_rate: frames (or samples) a second that it gives; None for one vector a recording.
        dtype: type that it is stored in; read back as float32.
        scale: what the stored numbers are multiplied with when they are read.
    """

    role: ClassVar[str] = "recording"
    sample_rate: int
    frame_rate: float | None
    dtype: torch.dtype = torch.float32
    scale: ClassVar[float] = 1.0

    @property
    @abstractmethod
    def name(self) -> str:
        """Folder of what is stored, e.g. ``waveform/16000``; another name for other options that change the result."""

    @abstractmethod
    def compute(self, waveforms: Tensor) -> Tensor:
        """Map mono waveforms (B, T), on any device, to (B, L) or (B, L, D) of `dtype`; a vector a recording has L = 1.

        Raises:
            UserError: what it needs (weights, a package) is not there.
        """


class LabelFeature(Feature):
    """A feature that is made from the labels of an item of a manifest, without its sound: an annotated pitch curve, say."""

    @abstractmethod
    def of_labels(self, item: Item) -> Tensor:
        """(L,) or (L, D) of `dtype`.

        Raises:
            UserError: the item has no such label.
        """

    def compute(self, waveforms: Tensor) -> Tensor:
        """Nothing: there are no labels.

        Raises:
            UserError: always.
        """
        raise UserError(f"the feature {self.name!r} is made from the annotations of a corpus; a recording alone has none")


class LearnedFeature(Feature):
    """What is learned from all items of the training manifest, in one file: a vocabulary of subwords, say.

    Attributes:
        file: its name, below the folder of the feature for that manifest.
    """

    file: ClassVar[str]

    @abstractmethod
    def learn(self, manifest: Manifest, path: Path) -> None:
        """Write the file.

        Raises:
            UserError: the items hold nothing that could be learned from, or a package is missing.
        """

    def compute(self, waveforms: Tensor) -> Tensor:
        """Nothing: it is not of a recording.

        Raises:
            UserError: always.
        """
        raise UserError(f"the feature {self.name!r} is learned from a corpus; there is none of a recording alone")


class Waveform(Feature):
    """The recording itself, mono, 16-bit.

    Args:
        sample_rate: Hz.
    """

    dtype = torch.int16
    scale = 1 / 32768

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.frame_rate = float(sample_rate)

    @property
    def name(self) -> str:
        """``waveform/16000``."""
        return f"waveform/{self.sample_rate}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """(B, T) rounded to 16 bits; what is louder than full scale is cut."""
        return (waveforms * 32768).round_().clamp_(-32768, 32767).to(torch.int16)


class ExactWaveform(Feature):
    """The recording itself, mono, as 32-bit floating point numbers: where what is 90 dB below full scale matters.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.frame_rate = float(sample_rate)

    @property
    def name(self) -> str:
        """``exact_waveform/16000``."""
        return f"exact_waveform/{self.sample_rate}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """(B, T) as it is."""
        return waveforms.to(torch.float32)


class StoredSpectrum(Feature):
    """What a front end makes of the waveform, in half precision: spectra that need not be computed again each epoch.

    A front end that learns, or is random while training, is taken as it was made.

    Args:
        frontend: waveforms (B, T) to spectrograms (B, 1, F, L).
        sample_rate: Hz of the waveforms.
        frame_rate: frames a second.
    """

    dtype = torch.float16

    def __init__(self, frontend: Frontend, sample_rate: int, frame_rate: float) -> None:
        self.frontend = frontend.eval()
        self.sample_rate, self.frame_rate = sample_rate, frame_rate
        made_with = config.fingerprint([sample_rate, *map(_content, frontend.modules())])
        self._name = f"spectrum/{type(frontend).__name__}-{made_with}"

    @property
    def name(self) -> str:
        """``spectrum/MelSpectrogram-0123456789ab``: another one for each front end that differs in any option."""
        return self._name

    def compute(self, waveforms: Tensor) -> Tensor:
        """The spectrogram's columns, (B, L, F)."""
        spectrogram = self.frontend.to(waveforms.device)(waveforms)
        return spectrogram.squeeze(1).mT.to(torch.float16)


class Published(Feature):
    """Features that come with the corpus; its `prepare` stores them.

    Args:
        name: as the corpus calls them, e.g. `vggish`.
        frame_rate: frames a second.
        same_as: computes the same of recordings that are not the corpus's.
    """

    dtype = torch.uint8

    def __init__(self, name: str, frame_rate: float, same_as: Feature | None = None) -> None:
        self._name, self.same_as = name, same_as
        self.frame_rate = frame_rate
        self.sample_rate = 0 if same_as is None else same_as.sample_rate

    @property
    def name(self) -> str:
        """``published/vggish``."""
        return f"published/{self._name}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """What `same_as` computes.

        Raises:
            UserError: nothing is named that computes it.
        """
        if self.same_as is None:
            raise UserError(f"the feature {self._name!r} is read as published; nothing is given that computes it")
        return self.same_as.compute(waveforms)


def _content(module: nn.Module) -> list[Any]:
    """What a module does, apart from what it learns: its class, its options, its buffers."""
    plain = {key: value for key, value in vars(module).items() if isinstance(value, int | float | str) and key != "training"}
    buffers = {name: [str(buffer.dtype), _digest(buffer)] for name, buffer in module.named_buffers(recurse=False)}
    return [type(module).__name__, plain, buffers]


def _digest(tensor: Tensor) -> str:
    return str(tensor.shape) if tensor.is_meta else hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest()
