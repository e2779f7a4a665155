"""Encoders and decoders of masked separation: from waveform to frames of features and back."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks import activations
from toolkit.blocks.activations import Activation
from toolkit.blocks.slots import Decoder, Encoder, check_shape
from toolkit.dsp.stft import overlap_add


class LearnedFilterbank(Encoder):
    """Learned convolutional encoder (Luo & Mesgarani 2019, "Conv-TasNet", section II.B).

    Frames start at the first sample; zeros are appended until the last frame is whole.

    Args:
        filters: features per frame.
        kernel_size: samples of a frame.
        stride: samples between frames; half the kernel when not given.
        activation: applied to the features.
        audio_channels: channels of the waveform.

    Raises:
        ValueError: frames would leave samples out.
    """

    def __init__(
        self,
        filters: int = 512,
        kernel_size: int = 16,
        stride: int | None = None,
        activation: Activation = "relu",
        audio_channels: int = 1,
    ) -> None:
        super().__init__()
        self.channels = filters
        self.kernel_size = kernel_size
        self.stride = kernel_size // 2 if stride is None else stride
        self.audio_channels = audio_channels
        if not 1 <= self.stride <= kernel_size:
            raise ValueError(f"stride: expected 1 to kernel_size={kernel_size} samples, found {self.stride}")
        self.filters = nn.Conv1d(audio_channels, filters, kernel_size, self.stride, bias=False)
        self.activation = activations.build(activation, filters)

    def forward(self, waveform: Tensor) -> Tensor:
        """Encode (B, C, T) as (B, filters, L)."""
        check_shape(waveform, "waveform", batch=None, channels=self.audio_channels, samples=None)
        samples = waveform.shape[-1]
        missing = max(self.kernel_size - samples, -(samples - self.kernel_size) % self.stride)
        return self.activation(self.filters(F.pad(waveform, (0, missing))))


class LearnedDecoder(Decoder):
    """Transposed convolution with filters of its own (Luo & Mesgarani 2019, "Conv-TasNet", section II.B).

    Args:
        encoder: gives the sizes.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.filters = nn.ConvTranspose1d(
            encoder.channels, encoder.audio_channels, encoder.kernel_size, encoder.stride, bias=False
        )

    def forward(self, features: Tensor, length: int) -> Tensor:
        """Decode (B, S, N, L) as (B, S, C, length)."""
        check_shape(features, "features", batch=None, sources=None, channels=self.filters.in_channels, frames=None)
        waveform = self.filters(features.flatten(0, 1))
        return waveform.unflatten(0, features.shape[:2])[..., :length]


class STFTFilterbank(Encoder):
    """Short-time Fourier transform; real parts, then imaginary parts of all bins are the features.

    The waveform is framed so that each sample lies in as many frames as any other, so the decoder reconstructs it perfectly.

    Args:
        n_fft: samples of a frame.
        hop_length: samples between frames; a quarter of a frame when not given.
        audio_channels: channels of the waveform; their features are stacked.

    Raises:
        ValueError: the windows would not overlap evenly.
    """

    window: Tensor

    def __init__(self, n_fft: int = 512, hop_length: int | None = None, audio_channels: int = 1) -> None:
        super().__init__()
        self.kernel_size = n_fft
        self.stride = n_fft // 4 if hop_length is None else hop_length
        self.audio_channels = audio_channels
        self.channels = audio_channels * 2 * (n_fft // 2 + 1)
        if self.stride < 1 or n_fft % self.stride or self.stride == n_fft:
            raise ValueError(f"hop_length: expected a half, a third, … of n_fft={n_fft} samples, found {self.stride}")
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Encode (B, C, T) as (B, 2·C·bins, L)."""
        check_shape(waveform, "waveform", batch=None, channels=self.audio_channels, samples=None)
        before = self.kernel_size - self.stride
        padded = F.pad(waveform.float(), (before, before + -waveform.shape[-1] % self.stride))
        spectrum = torch.fft.rfft(padded.unfold(-1, self.kernel_size, self.stride) * self.window)
        return torch.view_as_real(spectrum).permute(0, 4, 1, 3, 2).flatten(1, 3)


class STFTDecoder(Decoder):
    """Inverse of `STFTFilterbank`: windowed overlap-add, divided by the sum of the squared windows (Griffin & Lim 1984, eq. 6).

    Args:
        encoder: the transform to invert.

    Raises:
        ValueError: the encoder is another one.
    """

    window: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        if not isinstance(encoder, STFTFilterbank):
            raise ValueError(f"encoder: STFTDecoder inverts an STFTFilterbank, found {type(encoder).__name__}")
        self.channels, self.audio_channels = encoder.channels, encoder.audio_channels
        self.kernel_size, self.stride = encoder.kernel_size, encoder.stride
        self.register_buffer("window", torch.hann_window(self.kernel_size), persistent=False)

    def forward(self, features: Tensor, length: int) -> Tensor:
        """Decode (B, S, N, L) as (B, S, C, length)."""
        check_shape(features, "features", batch=None, sources=None, channels=self.channels, frames=None)
        parts = features.float().unflatten(2, (2, self.audio_channels, -1)).permute(0, 1, 3, 5, 4, 2)
        frames = torch.fft.irfft(torch.view_as_complex(parts.contiguous()), n=self.kernel_size) * self.window
        weights = self.window.square().expand(frames.shape[-2], -1)
        start = self.kernel_size - self.stride
        inside = slice(start, start + length)
        return overlap_add(frames, self.stride)[..., inside] / overlap_add(weights, self.stride)[inside]
