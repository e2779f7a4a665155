"""The convolutional autoencoder of the dMelodies benchmark (Pati, Gururani & Lerch 2020, ISMIR)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.models.latent import LatentModel, Posterior, PosteriorHead, xavier

KERNEL, STRIDE, PADDING = 4, 2, 1  # each layer halves or doubles the length


class MelodyCNNVAE(LatentModel):
    """Embedded tokens → convolutions that halve their number → code → transposed convolutions that double it → logits.

    (The released decoder also keeps an embedding that nothing reads.)

    Args:
        vocabulary: V.
        embedding: features of a token.
        channels: of each convolution; transposed ones have them the other way round.  T = 2^layers tokens.
        latent: Z.
        dropout: share of values left out after each convolution of the encoder while training.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 10,
        channels: Sequence[int] = (16, 32, 64, 128),
        latent: int = 32,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.vocabulary, self.latent, self.tokens = vocabulary, latent, STRIDE ** len(channels)
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.encoder, self.decoder = nn.Sequential(), nn.Sequential()
        for before, after in pairwise([embedding, *channels]):
            self.encoder.extend([nn.Conv1d(before, after, KERNEL, STRIDE, PADDING), nn.SELU(), nn.Dropout(dropout)])
        for before, after in pairwise([latent, *reversed(channels)]):
            self.decoder.extend([nn.ConvTranspose1d(before, after, KERNEL, STRIDE, PADDING), nn.SELU()])
        self.head = PosteriorHead(channels[-1], channels[-1] // 2, latent)
        self.to_logits = nn.Linear(channels[0], vocabulary)
        xavier(self)

    def encode(self, inputs: Tensor) -> Posterior:
        """What is known of the codes of melodies (B, T).

        Raises:
            ValueError: melodies are of another length.
        """
        check_shape(inputs, "melodies", batch=None, tokens=self.tokens)
        posterior: Posterior = self.head(self.encoder(self.embedding(inputs.long()).mT)[..., 0])
        return posterior

    def decode(self, latents: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of codes (B, Z)."""
        check_shape(latents, "codes", batch=None, dimensions=self.latent)
        logits: Tensor = self.to_logits(self.decoder(latents[..., None]).mT)
        return logits

    def items(self, logits: Tensor) -> Tensor:
        """The most probable tokens (B, T) of logits (B, T, V)."""
        return logits.argmax(-1)
