"""The autoencoder of 2-d sprites in AR-VAE's experiments (Pati & Lerch 2020, arXiv 2004.05485)."""

from __future__ import annotations

from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.models.latent import LatentModel, Posterior, PosteriorHead, xavier

LAYERS = 4  # each halves or doubles both sides
SIDE = 64
KERNEL, STRIDE, PADDING = 4, 2, 1


class SpriteVAE(LatentModel):
    """Convolutions that halve a picture of 64 x 64 → two layers → code → three layers → transposed convolutions.

    Args:
        channels: of each convolution.
        hidden: units of the layers around the code.
        latent: Z.
    """

    def __init__(self, channels: int = 32, hidden: int = 256, latent: int = 10) -> None:
        super().__init__()
        self.latent = latent
        small = SIDE // STRIDE**LAYERS
        features = channels * small**2
        self.encoder, self.decoder = nn.Sequential(), nn.Sequential()
        for layer in range(LAYERS):
            self.encoder.extend([nn.Conv2d(channels if layer else 1, channels, KERNEL, STRIDE, PADDING), nn.ReLU()])
        self.encoder.append(nn.Flatten())
        for before, after in ((features, hidden), (hidden, hidden)):
            self.encoder.extend([nn.Linear(before, after), nn.ReLU()])
        self.head = PosteriorHead(hidden, None, latent)
        for before, after in ((latent, hidden), (hidden, hidden), (hidden, features)):
            self.decoder.extend([nn.Linear(before, after), nn.ReLU()])
        self.decoder.append(nn.Unflatten(1, (channels, small, small)))
        for _ in range(LAYERS - 1):
            self.decoder.extend([nn.ConvTranspose2d(channels, channels, KERNEL, STRIDE, PADDING), nn.ReLU()])
        self.decoder.append(nn.ConvTranspose2d(channels, 1, KERNEL, STRIDE, PADDING))
        xavier(self)

    def encode(self, inputs: Tensor) -> Posterior:
        """What is known of the codes of pictures (B, 1, 64, 64) from 0 to 1.

        Raises:
            ValueError: pictures are of another size.
        """
        check_shape(inputs, "pictures", batch=None, colours=1, height=SIDE, width=SIDE)
        posterior: Posterior = self.head(self.encoder(inputs))
        return posterior

    def decode(self, latents: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Logits (B, 1, 64, 64) of codes (B, Z)."""
        check_shape(latents, "codes", batch=None, dimensions=self.latent)
        logits: Tensor = self.decoder(latents)
        return logits

    def items(self, logits: Tensor) -> Tensor:
        """How probable it is that each pixel is white (B, 1, 64, 64)."""
        return logits.sigmoid()
