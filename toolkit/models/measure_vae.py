"""MeasureVAE: melodies of a few bars through a code, by recurrence over beats and over the ticks of each (Pati et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.models.latent import LatentModel, Posterior, PosteriorHead, xavier


class MeasureVAE(LatentModel):
    """GRUs over the tokens of a melody → code → a GRU over its beats → for each beat, a GRU over its ticks.

    "Learning to traverse latent spaces for musical score inpainting" (ISMIR 2019).  The defaults are those of AR-VAE (Pati &
    Lerch 2020, bars of 24 ticks); with ``beats=2, ticks=8, hidden=64, dropout=0.2`` it is the RNN of the dMelodies benchmark
    (2020).  The released logits end in a ReLU, and so do these.

    A tick hears the token before it.  While training, one draw for the whole batch says whether that is the right token or the
    most probable one.

    Args:
        vocabulary: V.
        beats: parts that a melody is decoded in.
        ticks: tokens of a part.
        embedding: features of a token.
        hidden: units of each layer and direction.
        layers: of each GRU.
        latent: Z.
        dropout: share of values left out between layers while training.
        teacher_forcing: how probable it is that a batch hears the right tokens while training.
    """

    def __init__(
        self,
        vocabulary: int,
        beats: int = 4,
        ticks: int = 6,
        embedding: int = 10,
        hidden: int = 128,
        layers: int = 2,
        latent: int = 32,
        dropout: float = 0.5,
        teacher_forcing: float = 0.5,
    ) -> None:
        super().__init__()
        self.vocabulary, self.beats, self.ticks, self.latent = vocabulary, beats, ticks, latent
        self.teacher_forcing = teacher_forcing
        self.encoder = TokenGRU(vocabulary, embedding, hidden, layers, latent, dropout)
        self.decoder = BeatTickDecoder(vocabulary, embedding, hidden, layers, latent, dropout)
        xavier(self)

    def encode(self, inputs: Tensor) -> Posterior:
        """What is known of the codes of melodies (B, T), T = beats · ticks.

        Raises:
            ValueError: melodies are of another length.
        """
        check_shape(inputs, "melodies", batch=None, tokens=self.beats * self.ticks)
        posterior: Posterior = self.encoder(inputs)
        return posterior

    def decode(self, latents: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of codes (B, Z); while training, in a share of all batches given the right tokens (B, T)."""
        check_shape(latents, "codes", batch=None, dimensions=self.latent)
        beats = self.decoder.unfold(latents, self.beats)
        helped = self.training and inputs is not None and torch.rand((), device="cpu").item() < self.teacher_forcing
        if helped and inputs is not None:
            return self.decoder.given(beats, inputs)
        return self.decoder.alone(beats, self.ticks)

    def items(self, logits: Tensor) -> Tensor:
        """The most probable tokens (B, T) of logits (B, T, V)."""
        return logits.argmax(-1)


class TokenGRU(nn.Module):
    """Embedding and bidirectional GRU; the last state of each layer and direction tells of the code."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int, latent: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        between = dropout if layers > 1 else 0.0
        self.recurrence = nn.GRU(embedding, hidden, layers, batch_first=True, dropout=between, bidirectional=True)
        self.head = PosteriorHead(2 * layers * hidden, 2 * hidden, latent)

    def forward(self, tokens: Tensor) -> Posterior:
        """Map (B, T)."""
        _, states = self.recurrence(self.embedding(tokens.long()))
        posterior: Posterior = self.head(states.transpose(0, 1).flatten(1))
        return posterior


class BeatTickDecoder(nn.Module):
    """One GRU unfolds a code into beats, another each beat into its ticks."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int, latent: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.layers = layers
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.to_beats = nn.Sequential(nn.Linear(latent, layers * hidden), nn.SELU())
        self.first_beat = nn.Parameter(torch.zeros(1))  # what the GRU of the beats hears, at each of them
        self.beat = nn.GRU(1, hidden, layers, batch_first=True, dropout=between)
        self.to_ticks = nn.Sequential(nn.Linear(hidden, layers * hidden), nn.SELU())
        self.to_input = nn.Sequential(nn.Linear(hidden, hidden), nn.SELU())
        self.first_tick = nn.Parameter(torch.zeros(embedding))  # what the first tick hears instead of a token
        self.tick = nn.GRU(embedding + hidden, hidden, layers, batch_first=True, dropout=between)
        self.to_logits = nn.Sequential(nn.Linear(hidden, vocabulary), nn.ReLU())

    def unfold(self, latents: Tensor, beats: int) -> Tensor:
        """Map codes (B, Z) to beats (B, beats, hidden)."""
        heard = self.first_beat.expand(len(latents), beats, 1)
        unfolded: Tensor = self.beat(heard, self._state(self.to_beats(latents)))[0]
        return unfolded

    def given(self, beats: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, T, V), each tick hearing the right token (B, T) before it: all beats at once."""
        before = torch.cat([self.first_tick.expand(len(tokens), 1, -1), self.embedding(tokens[:, :-1].long())], 1)
        before = before.unflatten(1, (beats.shape[1], -1))
        heard = torch.cat([before, self.to_input(beats)[:, :, None].expand(-1, -1, before.shape[2], -1)], -1)
        hidden, _ = self.tick(heard.flatten(0, 1), self._state(self.to_ticks(beats).flatten(0, 1)))
        logits: Tensor = self.to_logits(hidden.unflatten(0, beats.shape[:2]).flatten(1, 2))
        return logits

    def alone(self, beats: Tensor, ticks: int) -> Tensor:
        """Logits (B, T, V), each tick hearing the most probable token before it."""
        logits, before = [], self.first_tick.expand(len(beats), 1, -1)
        states, inputs = self.to_ticks(beats), self.to_input(beats)
        for beat in range(beats.shape[1]):
            state = self._state(states[:, beat])
            for _ in range(ticks):
                hidden, state = self.tick(torch.cat([before, inputs[:, beat, None]], -1), state)
                logits.append(self.to_logits(hidden))
                before = self.embedding(logits[-1].detach().argmax(-1))
        return torch.cat(logits, 1)

    def _state(self, features: Tensor) -> Tensor:
        """Features (B, layers · hidden) as first states of a GRU (layers, B, hidden)."""
        return features.unflatten(1, (self.layers, -1)).transpose(0, 1).contiguous()
