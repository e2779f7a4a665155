"""The swappable parts of models; configurations name them by their class names."""

from toolkit.blocks.activity_unet import ActivityUNet
from toolkit.blocks.blstm import BLSTM
from toolkit.blocks.dconv import DConv, NoBranch, ResidualBranch
from toolkit.blocks.dprnn import DPRNN
from toolkit.blocks.dptnet import DPTNet
from toolkit.blocks.features import Feature, Published, Waveform
from toolkit.blocks.filterbanks import LearnedDecoder, LearnedFilterbank, STFTDecoder, STFTFilterbank
from toolkit.blocks.frame_backbones import FrameGRU, FrameMLP
from toolkit.blocks.heads import LinearHead
from toolkit.blocks.magnitude import MagnitudeMasks
from toolkit.blocks.mmdense import MMDense, MultiScale
from toolkit.blocks.open_unmix import OpenUnmix, load_openunmix
from toolkit.blocks.poolings import (
    AttentionPooling,
    AutoPooling,
    LastFrame,
    MaxMeanPooling,
    MaxPooling,
    MeanPooling,
    SoftmaxPooling,
    StatisticsPooling,
)
from toolkit.blocks.schedules import DelayedPlateau
from toolkit.blocks.scorers import MeanPooledScorer
from toolkit.blocks.sepformer import SepFormer
from toolkit.blocks.slots import Decoder, Encoder, Masker, Scorer, Separator
from toolkit.blocks.stored import StoredFeatures
from toolkit.blocks.sudo_rm_rf import SuDoRMRF
from toolkit.blocks.tagging import Backbone, Frontend, Head, Pooling, WeightedPooling
from toolkit.blocks.tcn import TCN
from toolkit.blocks.unet import (
    Bottleneck,
    DecoderLayer,
    EncoderLayer,
    IdentityBottleneck,
    RecurrentBottleneck,
    StridedDecoderLayer,
    StridedEncoderLayer,
    TransformerBottleneck,
)

__all__ = [
    "BLSTM",
    "DPRNN",
    "TCN",
    "ActivityUNet",
    "AttentionPooling",
    "AutoPooling",
    "Backbone",
    "Bottleneck",
    "DConv",
    "DPTNet",
    "Decoder",
    "DecoderLayer",
    "DelayedPlateau",
    "Encoder",
    "EncoderLayer",
    "Feature",
    "FrameGRU",
    "FrameMLP",
    "Frontend",
    "Head",
    "IdentityBottleneck",
    "LastFrame",
    "LearnedDecoder",
    "LearnedFilterbank",
    "LinearHead",
    "MMDense",
    "MagnitudeMasks",
    "Masker",
    "MaxMeanPooling",
    "MaxPooling",
    "MeanPooledScorer",
    "MeanPooling",
    "MultiScale",
    "NoBranch",
    "OpenUnmix",
    "Pooling",
    "Published",
    "RecurrentBottleneck",
    "ResidualBranch",
    "STFTDecoder",
    "STFTFilterbank",
    "Scorer",
    "SepFormer",
    "Separator",
    "SoftmaxPooling",
    "StatisticsPooling",
    "StoredFeatures",
    "StridedDecoderLayer",
    "StridedEncoderLayer",
    "SuDoRMRF",
    "TransformerBottleneck",
    "Waveform",
    "WeightedPooling",
    "load_openunmix",
]
