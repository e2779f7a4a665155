"""The architectures; configurations name them by their class names."""

from toolkit.models.base import Model, PitchModel, SeparationModel, SynthesisModel, TaggingModel
from toolkit.models.demucs import Demucs
from toolkit.models.demucs_weights import hybrid_demucs_weights, time_demucs_weights
from toolkit.models.gpt import GPT
from toolkit.models.hybrid_demucs import HybridDemucs
from toolkit.models.hypothesis_mlp import HypothesisEnsemble, HypothesisMLP, HypothesisModel
from toolkit.models.language_model import LanguageModel
from toolkit.models.latent import LatentModel
from toolkit.models.latent_discriminator import LatentDiscriminator
from toolkit.models.masked_separator import MaskedSeparator, ScoredSeparator
from toolkit.models.measure_vae import MeasureVAE
from toolkit.models.melody_cnn_vae import MelodyCNNVAE
from toolkit.models.oracle import Oracle
from toolkit.models.pesto import PESTO
from toolkit.models.quantized import Quantized
from toolkit.models.random_forest import RandomForest
from toolkit.models.resynthesizer import Resynthesizer
from toolkit.models.spectral_autoencoder import SpectralAutoencoder
from toolkit.models.spectrogram_separator import SpectrogramSeparator
from toolkit.models.sprite_vae import SpriteVAE
from toolkit.models.tagger import Tagger
from toolkit.models.taps import tap
from toolkit.models.teachers import OpenL3, PANNs, PaSST
from toolkit.models.time_demucs import TimeDemucs
from toolkit.models.vggish import PatchProjection, VGGish
from toolkit.models.wave_u_net import WaveUNet

__all__ = [
    "GPT",
    "PESTO",
    "Demucs",
    "HybridDemucs",
    "HypothesisEnsemble",
    "HypothesisMLP",
    "HypothesisModel",
    "LanguageModel",
    "LatentDiscriminator",
    "LatentModel",
    "MaskedSeparator",
    "MeasureVAE",
    "MelodyCNNVAE",
    "Model",
    "OpenL3",
    "Oracle",
    "PANNs",
    "PaSST",
    "PatchProjection",
    "PitchModel",
    "Quantized",
    "RandomForest",
    "Resynthesizer",
    "ScoredSeparator",
    "SeparationModel",
    "SpectralAutoencoder",
    "SpectrogramSeparator",
    "SpriteVAE",
    "SynthesisModel",
    "Tagger",
    "TaggingModel",
    "TimeDemucs",
    "VGGish",
    "WaveUNet",
    "hybrid_demucs_weights",
    "tap",
    "time_demucs_weights",
]
