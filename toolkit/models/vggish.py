"""VGGish: embeddings of 0.96 s of sound, as they were published with AudioSet and OpenMIC-2018.

S. Hershey et al., "CNN architectures for large-scale audio classification", ICASSP 2017; released as `research/audioset/vggish`
of tensorflow/models, and for torch as harritaylor/torchvggish.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit import config, files
from toolkit.blocks.features import Feature
from toolkit.blocks.kaldi_mel import mel_banks
from toolkit.log import UserError

SAMPLE_RATE = 16000
WINDOW, HOP, N_FFT = 400, 160, 512  # samples
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # Hz
FLOOR = 0.01  # added before the logarithm
PATCH = 96  # frames
SECONDS = PATCH * HOP / SAMPLE_RATE
DIMENSION = 128
CLIP = 2.0  # whitened embeddings beyond this are cut
RELEASE = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"
WEIGHTS, PCA = "vggish-10086976.pth", "vggish_pca_params-970ea276.pth"
OFFICIAL_PCA = "https://storage.googleapis.com/audioset/vggish_pca_params.npz"
EIGEN_VECTORS, MEANS = "pca_eigen_vectors", "pca_means"
# Of means, deviations and rises in music: how many coefficients, middle and deviation of the first; those after it are smaller.
RANGES = ((64, -9.0, 10.0), (32, 7.5, 3.5), (32, 1.3, 0.5))


def log_mel_patches(waveforms: Tensor) -> Tensor:
    """VGGish's input: magnitudes under a periodic Hann window in mel bands whose triangles are straight in mel, not in Hz.

    Only whole patches count; a recording that is shorter than one (0.975 s) is filled up with silence.

    Args:
        waveforms: (B, T) at 16 kHz, between -1 and 1.

    Returns:
        (B, L, 96, 64): L patches of 96 frames (0.96 s) of 64 bands, in the precision of the waveforms.
    """
    shortest = (PATCH - 1) * HOP + WINDOW
    waveforms = F.pad(waveforms, (0, max(0, shortest - waveforms.shape[-1])))
    window = torch.hann_window(WINDOW, dtype=waveforms.dtype, device=waveforms.device)
    frames = waveforms.unfold(-1, WINDOW, HOP)
    frames = frames[:, : frames.shape[1] // PATCH * PATCH]
    magnitudes = torch.fft.rfft(frames * window, N_FFT).abs()
    limits = torch.tensor([[LOWEST], [HIGHEST]], dtype=torch.float64)
    bands = magnitudes @ mel_banks(BANDS, N_FFT, SAMPLE_RATE, *limits)[0].T.to(magnitudes)
    return torch.log(bands + FLOOR).unflatten(1, (-1, PATCH))


@cache
def cosines(values: int, number: int) -> Tensor:
    """Orthonormal discrete cosine transform (values, number), float64: its first `number` columns."""
    places = (torch.arange(values, dtype=torch.float64)[:, None] + 0.5) * torch.arange(number) * math.pi / values
    basis = math.sqrt(2 / values) * torch.cos(places)
    basis[:, 0] /= math.sqrt(2)
    return basis


class PatchProjection(Feature):
    """Stands in for VGGish where its weights are not at hand: the same framing and format, but nothing that was learned.

    It is no VGGish, and its numbers mean something else.  Of each patch of VGGish's input: the spectrum's shape (64 cosine
    coefficients of the bands' means over the patch), how much it changes (32 of their deviations) and how suddenly (32 of the
    mean rise from frame to frame), scaled to 0 … 255.  That is enough to tell instruments apart, so that the mini corpora and
    any recording go the same way as the published features.
    """

    dtype = torch.uint8
    sample_rate = SAMPLE_RATE
    frame_rate = 1 / SECONDS

    @property
    def name(self) -> str:
        """``patch_projection``."""
        return "patch_projection"

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L, 128), L = 10 for 10 s."""
        patches = log_mel_patches(waveforms)
        rise = patches.diff(dim=2).clamp(min=0).mean(2)
        parts = []
        for values, (number, middle, spread) in zip((patches.mean(2), patches.std(2), rise), RANGES, strict=True):
            coefficients = values @ cosines(BANDS, number).to(values)
            coefficients[..., 0] -= middle
            falling = torch.arange(1, number + 1, device=values.device, dtype=values.dtype) ** -0.9
            parts.append(coefficients / (spread * falling))
        return (127.5 + 42.5 * torch.cat(parts, -1)).round().clamp(0, 255).to(torch.uint8)  # three deviations each way


class VGGishNetwork(nn.Module):
    """The convolutions and layers of VGGish, 72,141,184 parameters, named as in torchvggish.

    The last layer ends with a ReLU, as it did when OpenMIC-2018 was made and does in torchvggish; tensorflow/models has since
    taken it away.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for stage in ((64,), (128,), (256, 256), (512, 512)):
            for width in stage:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        widths = (channels * (PATCH // 16) * (BANDS // 16), 4096, 4096, DIMENSION)
        self.embeddings = nn.Sequential(*(layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())))

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (N, 96, 64) to embeddings (N, 128)."""
        return self.embeddings[-1](self.unrectified(patches))

    def unrectified(self, patches: Tensor) -> Tensor:
        """Map patches (N, 96, 64) to embeddings (N, 128) before the last ReLU."""
        spectrograms = self.features(patches[:, None])
        return self.embeddings[:-1](spectrograms.permute(0, 2, 3, 1).flatten(1))  # TensorFlow's order: channels last


def whiten(embeddings: Tensor, eigen_vectors: Tensor, means: Tensor) -> Tensor:
    """Principal components (N, 128) of equal variance, cut at -2 and 2."""
    return ((embeddings - means) @ eigen_vectors.T).clamp(-CLIP, CLIP)


class VGGish(Feature):
    """VGGish's embeddings, 128 numbers for each 0.96 s, whitened and in 8 bits as they were published with AudioSet.

    Only files with the hash of the release are read: a `.pth` file's SHA-256 must begin with the 8 digits in the released
    name.  For a conversion to safetensors and for Google's `.npz` no hash is published, and neither format can hold code; of
    them names and shapes are checked.

    Args:
        weights: the file `vggish-10086976.pth` of torchvggish's release, or its conversion to safetensors.
        pca: the file `vggish_pca_params-970ea276.pth` of that release, or Google's `vggish_pca_params.npz`; null for what the
            last layer gives before its ReLU, neither whitened nor in 8 bits: what Fréchet audio distances are taken of.
        quantize: 8 bits, 0 to 255; if not, the whitened numbers from -2 to 2.
        rule: `torchvggish` rounds; `openmic` cuts digits off, and brings each recording to a peak of 1 before all, as the
            code of OpenMIC-2018 did.
    """

    sample_rate = SAMPLE_RATE
    frame_rate = 1 / SECONDS

    def __init__(
        self, weights: str, pca: str | None, quantize: bool = True, rule: Literal["torchvggish", "openmic"] = "torchvggish"
    ) -> None:
        self.weights, self.pca, self.rule = Path(weights), None if pca is None else Path(pca), rule
        self.quantize = quantize and pca is not None
        self.dtype = torch.uint8 if self.quantize else torch.float32
        self._loaded: tuple[VGGishNetwork, tuple[Tensor, Tensor] | None] | None = None
        self._name = ""

    @property
    def name(self) -> str:
        """``vggish/0123456789ab``: another one for other options and for files of other content.

        Raises:
            UserError: a file is missing.
        """
        if not self._name:
            read = ((self.weights, WEIGHTS), (self.pca, PCA))
            hashes = ["" if path is None else files.sha256(_present(path, name)) for path, name in read]
            self._name = f"vggish/{config.fingerprint([*hashes, self.quantize, self.rule])}"
        return self._name

    def load(self, check: bool = True) -> None:
        """Read both files now, not when `compute` is first called.

        Args:
            check: whether the hashes must be those of the release.

        Raises:
            UserError: a file is missing, has another hash or holds something else.
        """
        with torch.device("meta"):
            network = VGGishNetwork()
        state = read_released(self.weights, WEIGHTS, check)
        try:
            network.load_state_dict({name: torch.as_tensor(value).float() for name, value in state.items()}, assign=True)
        except (RuntimeError, TypeError) as error:
            raise UserError(f"{self.weights}: expected VGGish's weights: {' '.join(str(error).split())}") from error
        components = None if self.pca is None else read_pca(self.pca, check)
        self._loaded = network.eval().requires_grad_(False), components

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L, 128), L = 10 for 10 s.

        Raises:
            UserError: the weights are missing, or others than those of the release.
        """
        if self._loaded is None:
            self.load()
        assert self._loaded is not None
        network, components = self._loaded
        network.to(waveforms.device)
        if self.rule == "openmic":
            peak = waveforms.abs().amax(-1, keepdim=True)
            waveforms = waveforms / torch.where(peak > 0, peak, 1.0)
        patches = log_mel_patches(waveforms)
        with torch.no_grad():
            if components is None:
                return network.unrectified(patches.flatten(0, 1).float()).unflatten(0, patches.shape[:2])
            embeddings = network(patches.flatten(0, 1).float())
        whitened = whiten(embeddings, *(part.to(embeddings) for part in components)).unflatten(0, patches.shape[:2])
        if not self.quantize:
            return whitened
        steps = (whitened + CLIP) * (255 / (2 * CLIP))
        return (steps.floor() if self.rule == "openmic" else steps.round()).to(torch.uint8)


def read_pca(path: Path, check: bool = True) -> tuple[Tensor, Tensor]:
    """Eigen vectors (128, 128), one a row, and means (128,), float32.

    Raises:
        UserError: the file is missing, has another hash or holds something else.
    """
    found = read_released(path, PCA, check)
    try:
        eigen_vectors, means = (torch.as_tensor(found[key]).float() for key in (EIGEN_VECTORS, MEANS))
        return eigen_vectors.reshape(DIMENSION, DIMENSION), means.reshape(DIMENSION)
    except (KeyError, RuntimeError, TypeError) as error:
        raise UserError(
            f"{path}: expected {EIGEN_VECTORS} (128, 128) and {MEANS} (128,), found {', '.join(found)}. "
            f"Next: curl -L -o {path.with_name(PCA)} {RELEASE}/{PCA}"
        ) from error


def read_released(path: Path, released: str, check: bool) -> Mapping[str, Any]:
    """Arrays by name, from a file of torch (tensors and arrays, no code), safetensors or NumPy.

    Args:
        path: the file.
        released: its name in the release, which ends with the first 8 hexadecimal digits of its SHA-256.
        check: whether a file of torch must have that hash.

    Raises:
        UserError: the file is missing, has another hash or holds something else.
    """
    from safetensors.torch import load_file

    _present(path, released)
    digits = released.rpartition("-")[2].partition(".")[0]
    is_torch = path.suffix not in (".safetensors", ".npz")
    if is_torch and check and not (found := files.sha256(path)).startswith(digits):
        raise UserError(
            f"{path}: expected {released}, whose SHA-256 begins with {digits}, found {found[:8]}. "
            f"Next: curl -L -o {path} {RELEASE}/{released}"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return dict(archive)
        with torch.serialization.safe_globals(_arrays()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is something else is refused in many ways
        raise UserError(f"{path}: expected arrays by name, found {' '.join(str(error).split())[:200]}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: expected arrays by name, found {type(content).__name__}")
    return content


def _arrays() -> list[Any]:
    """What a pickled NumPy array is made of, under its old and its new name: the released file of the PCA holds such."""
    rebuild = np.empty(0).__reduce__()[0]
    names = [f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core")]
    kinds = [type(np.dtype(kind)) for kind in (np.float32, np.float64)]
    return [*((rebuild, name) for name in names), np.ndarray, np.dtype, *kinds]


def _present(path: Path, released: str) -> Path:
    if not path.is_file():
        also = f" (or {OFFICIAL_PCA})" if released == PCA else ""
        raise UserError(f"VGGish: no such file: {path}. Next: curl -L -o {path} {RELEASE}/{released}{also}")
    return path
