"""Convolutions and self-attention."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.auto_taggers import layers
from toolkit.blocks.auto_taggers.layers import ConvolutionalBackbone

STRIDES = [(2, 2), (2, 2), (2, 2), (2, 1), (2, 1), (2, 1), (2, 1)]  # (frequency, time)


class SelfAttentionCNN(ConvolutionalBackbone):
    """Seven residual layers, then attention of all frames to each other (Won, Chun & Serra 2019, "Toward interpretable music
    tagging with self-attention", with the sizes of Won et al. 2020).

    A frame more, the same for all recordings and never learned, stands at the end and gathers what the tags are told from: the
    published model is pooled by `LastFrame`.  (There it stands first, which is the same: the attention knows no positions.)

    Args:
        bins: F, rows of the spectrogram, at most 128.
        width: channels of the first two layers; the others have twice as many.
        depth: layers of attention.
        heads: of each of them.
        dropout: share of values left out while training.
        attention_dropout: share of the frames that are not listened to while training.

    Raises:
        ValueError: the heads do not share the channels evenly.
    """

    token: Tensor

    def __init__(
        self,
        bins: int,
        width: int = 128,
        depth: int = 2,
        heads: int = 8,
        dropout: float = 0.4,
        attention_dropout: float = 0.5,
    ) -> None:
        channels = [1, *(factor * width for factor in (1, 1, 2, 2, 2, 2, 2))]
        stack = layers.strided_blocks(channels, STRIDES)
        super().__init__(bins, stack, channels[-1], layers.stride_rows(2 ** len(STRIDES)), 1)
        self.attention = nn.Sequential(
            *(AttentionLayer(self.channels, heads, dropout, attention_dropout) for _ in range(depth))
        )
        drawn = np.random.RandomState(0).random_sample(self.channels)  # as in the authors' code, whose weights lack it
        self.register_buffer("token", torch.tensor(drawn, dtype=torch.float32))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, ⌈L / 8⌉ + 1)."""
        frames = super().forward(spectrogram).mT
        token = self.token.to(frames.dtype).expand(frames.shape[0], 1, -1)
        return self.attention(torch.cat([frames, token], dim=1)).mT


class AttentionLayer(nn.Module):
    """Attention and two dense layers, each normalised after its sum with what came in (Devlin et al. 2019, "BERT").

    Args:
        channels: N, in and out; the dense layers have four times as many between them.
        heads: of the attention.
        dropout: share of the values of each part left out while training.
        attention_dropout: share of the frames that are not listened to while training.

    Raises:
        ValueError: the heads do not share the channels evenly.
    """

    def __init__(self, channels: int, heads: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"heads: expected a divisor of channels={channels}, found {heads}")
        self.heads, self.attention_dropout = heads, attention_dropout
        self.projections = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.attention_norm = nn.LayerNorm(channels, eps=1e-12)
        self.dense = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.dense_norm = nn.LayerNorm(channels, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (B, L, N) to the same shape."""
        query, key, value = self.projections(frames).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        left_out = self.attention_dropout if self.training else 0.0
        heard = F.scaled_dot_product_attention(query, key, value, dropout_p=left_out).transpose(1, 2).flatten(2)
        frames = self.attention_norm(frames + self.dropout(self.output(heard)))
        return self.dense_norm(frames + self.dropout(self.dense(frames)))
