"""Masked separation: encoder, separator, decoder."""

from collections.abc import Callable

from torch import Tensor

from toolkit.blocks.filterbanks import LearnedDecoder, LearnedFilterbank
from toolkit.blocks.scorers import MeanPooledScorer
from toolkit.blocks.slots import Decoder, Encoder, Scorer, Separator
from toolkit.blocks.tcn import TCN
from toolkit.models.base import SeparationModel


class MaskedSeparator(SeparationModel):
    """Encode the mixture, mask its features once for each source, decode (Luo & Mesgarani 2019, "Conv-TasNet", section II.A).

    With no part given, this is Conv-TasNet.

    Args:
        encoder: waveform to features; LearnedFilterbank(512, 16) when not given.
        separator: features to masks, built as ``separator(channels, sources)``; TCN when not given.
        decoder: masked features to waveforms, built as ``decoder(encoder)``; LearnedDecoder when not given.
        sources: how many sources to separate.
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        separator: Callable[[int, int], Separator] | None = None,
        decoder: Callable[[Encoder], Decoder] | None = None,
        sources: int = 2,
    ) -> None:
        super().__init__()
        self.sources = sources
        self.encoder = encoder or LearnedFilterbank(512, 16)
        self.audio_channels = self.encoder.audio_channels
        self.separator = (separator or TCN)(self.encoder.channels, sources)
        self.decoder = (decoder or LearnedDecoder)(self.encoder)

    @property
    def receptive_field(self) -> int:
        """Samples of the mixture that a sample of the masks is computed from, norms aside; 0 for all there are."""
        frames = self.separator.receptive_field
        return (frames - 1) * self.encoder.stride + self.encoder.kernel_size if frames else 0

    def forward(self, mixture: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Separate (B, C, T) into (B, S, C, T)."""
        return self.masked(mixture)[0]

    def masked(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """The estimate (B, S, C, T) and the masks (B, S, N, L) it was made with."""
        features = self.encoder(mixture)
        masks = self.separator(features)
        return self.decoder(masks * features.unsqueeze(1), mixture.shape[-1]), masks


class ScoredSeparator(MaskedSeparator):
    """A masked separator that also says how probable each of its hypotheses is (Letzelter et al. 2024, "Annealed MCL").

    Args:
        encoder: waveform to features; LearnedFilterbank(512, 16) when not given.
        separator: features to masks, built as ``separator(channels, sources)``; TCN when not given.
        decoder: masked features to waveforms, built as ``decoder(encoder)``; LearnedDecoder when not given.
        scorer: masks to logits, built as ``scorer(channels)``; MeanPooledScorer when not given.
        sources: K, how many hypotheses to make.
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        separator: Callable[[int, int], Separator] | None = None,
        decoder: Callable[[Encoder], Decoder] | None = None,
        scorer: Callable[[int], Scorer] | None = None,
        sources: int = 2,
    ) -> None:
        super().__init__(encoder, separator, decoder, sources)
        self.scorer = (scorer or MeanPooledScorer)(self.encoder.channels)

    def forward(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Separate (B, C, T) into (B, K, C, T), and score the hypotheses: logits (B, K)."""
        estimate, masks = self.masked(mixture)
        return estimate, self.scorer(masks)
