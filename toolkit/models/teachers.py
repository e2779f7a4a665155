"""Embeddings that others trained, computed by their own packages: OpenL3, PaSST, PANNs.

The packages are optional; each is imported, and its weights are fetched by it, when a feature is first computed.
"""

from __future__ import annotations

import contextlib
import sys
from abc import abstractmethod
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.features import Feature
from toolkit.log import UserError

HOP = 0.96  # seconds, as of VGGish


class PackagedFeature(Feature):
    """A feature of another package.

    Attributes:
        package: what is imported.
        distribution: what pip installs.
        dimension: D.
        shortest: samples that a shorter recording is filled up to with silence.
    """

    package: ClassVar[str]
    distribution: ClassVar[str]
    dimension: ClassVar[int]
    shortest: ClassVar[int] = 1

    def __init__(self) -> None:
        self._model: Any = None

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L, D), float32.

        Raises:
            UserError: the package is not installed, its weights cannot be had, or it gives something else than expected.
        """
        with contextlib.redirect_stdout(sys.stderr):  # these packages print
            if self._model is None:
                self._model = self._load(waveforms.device)
            filled = F.pad(waveforms.float(), (0, max(0, self.shortest - waveforms.shape[-1])))
            embeddings = self._embed(filled).float()
        if embeddings.ndim != 3 or embeddings.shape[::2] != (len(waveforms), self.dimension):
            raise UserError(
                f"{self.package}: expected embeddings ({len(waveforms)}, frames, {self.dimension}), "
                f"found {tuple(embeddings.shape)}. Next: pip install --upgrade {self.distribution}"
            )
        return embeddings

    def _load(self, device: torch.device) -> Any:
        try:
            return self._build(import_module(self.package), device)
        except ImportError as error:
            raise UserError(
                f"{type(self).__name__} needs the package {self.distribution} ({error}). Next: pip install {self.distribution}"
            ) from error
        except Exception as error:  # of whatever kind the package raises
            reason = f"{type(error).__name__} {' '.join(str(error).split())}".strip()
            raise UserError(
                f"{self.distribution}: its weights cannot be had ({reason}). Next: let it fetch them where there is a network, "
                "or put them where its page says"
            ) from error

    @abstractmethod
    def _build(self, package: Any, device: torch.device) -> Any:
        """The network, its weights loaded."""

    @abstractmethod
    def _embed(self, waveforms: Tensor) -> Tensor:
        """Embeddings (B, L, D)."""


class OpenL3(PackagedFeature):
    """OpenL3 for music on 128 mel bands, 512 numbers for each second, every 0.96 s.

    A. L. Cramer et al., "Look, listen, and learn more", ICASSP 2019, by the package `openl3`, which is built on TensorFlow.  A
    first frame is centred on the beginning: 11 for 10 s.  Ding & Lerch (2023) take 2.24 off the numbers before they use them.
    """

    package = distribution = "openl3"
    dimension = 512
    sample_rate = 48000
    frame_rate = 1 / HOP

    @property
    def name(self) -> str:
        """``openl3/mel128-music-512``."""
        return "openl3/mel128-music-512"

    def _build(self, package: Any, device: torch.device) -> Any:
        return package.models.load_audio_embedding_model(input_repr="mel128", content_type="music", embedding_size=512)

    def _embed(self, waveforms: Tensor) -> Tensor:
        recordings = list(waveforms.cpu().numpy())
        options = {"model": self._model, "hop_size": HOP, "verbose": False}
        embeddings, _ = import_module(self.package).get_audio_embedding(recordings, self.sample_rate, **options)
        return torch.from_numpy(np.stack(embeddings))


class PaSST(PackagedFeature):
    """PaSST, 768 numbers for each 0.96 s: the mean of the transformer's two first tokens.

    K. Koutini et al., "Efficient training of audio transformers with patchout", Interspeech 2022, by the package `hear21passt`,
    as Ding & Lerch (2023) did.  Frames are centred on multiples of 0.96 s, the recording is mirrored at its ends: 11 for 10 s.
    """

    package = "hear21passt.base"
    distribution = "hear21passt"
    dimension = 768
    shortest = 30720  # half a window is mirrored
    sample_rate = 32000
    frame_rate = 1 / HOP

    @property
    def name(self) -> str:
        """``passt/960``."""
        return "passt/960"

    def _build(self, package: Any, device: torch.device) -> Any:
        milliseconds = round(1000 * HOP)
        options = {"mode": "embed_only", "timestamp_window": milliseconds, "timestamp_hop": milliseconds}
        return package.get_basic_model(**options).to(device).eval()

    def _embed(self, waveforms: Tensor) -> Tensor:
        embeddings, _ = import_module(self.package).get_timestamp_embeddings(waveforms, self._model)
        return embeddings


class PANNs(PackagedFeature):
    """PANNs' CNN14, one vector of 2048 numbers for a recording.

    Q. Kong et al., "PANNs: large-scale pretrained audio neural networks for audio pattern recognition", IEEE/ACM TASLP 28,
    2020, by the package `panns_inference`, which keeps its weights in `~/panns_data` and fetches them with wget.
    """

    package = "panns_inference"
    distribution = "panns-inference"
    dimension = 2048
    shortest = 10240  # its pooling leaves a frame of 32
    sample_rate = 32000
    frame_rate = None

    @property
    def name(self) -> str:
        """``panns/cnn14``."""
        return "panns/cnn14"

    def _build(self, package: Any, device: torch.device) -> Any:
        return package.AudioTagging(checkpoint_path=None, device=device.type)

    def _embed(self, waveforms: Tensor) -> Tensor:
        _, embeddings = self._model.inference(waveforms.cpu().numpy())
        return torch.from_numpy(embeddings)[:, None]
