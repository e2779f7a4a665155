"""The swappable parts of models; configurations name them by their class names."""

from toolkit.blocks.activity_unet import ActivityUNet
from toolkit.blocks.auto_taggers.crnn import CRNN
from toolkit.blocks.auto_taggers.fcn import FCN
from toolkit.blocks.auto_taggers.harmonic_cnn import HarmonicCNN
from toolkit.blocks.auto_taggers.musicnn import Musicnn
from toolkit.blocks.auto_taggers.sample_cnn import SampleCNN
from toolkit.blocks.auto_taggers.self_attention_cnn import SelfAttentionCNN
from toolkit.blocks.auto_taggers.short_chunk_cnn import ShortChunkCNN
from toolkit.blocks.blstm import BLSTM
from toolkit.blocks.controllers import CausalTCN, RecurrentDecoder
from toolkit.blocks.cp_resnet import CPResNet
from toolkit.blocks.dconv import DConv, NoBranch, ResidualBranch
from toolkit.blocks.dense_head import DenseHead
from toolkit.blocks.dprnn import DPRNN
from toolkit.blocks.dptnet import DPTNet
from toolkit.blocks.embeddings import LogMel
from toolkit.blocks.features import ExactWaveform, Feature, Published, StoredSpectrum, Waveform
from toolkit.blocks.filterbanks import LearnedDecoder, LearnedFilterbank, STFTDecoder, STFTFilterbank
from toolkit.blocks.fm_synthesizer import FMSynthesizer
from toolkit.blocks.frame_augment import BackgroundLevel, FrameAugmentation, SpectrumGain, SpectrumNoise
from toolkit.blocks.frame_backbones import FrameGRU, FrameMLP
from toolkit.blocks.harmonic_filters import HarmonicFilters
from toolkit.blocks.harmonic_noise import HarmonicNoise, SourceFilter
from toolkit.blocks.heads import LinearHead
from toolkit.blocks.kaldi_mel import KaldiMel
from toolkit.blocks.karplus_strong import KarplusStrong
from toolkit.blocks.low_rank import LowRankAdapters
from toolkit.blocks.magnitude import MagnitudeMasks
from toolkit.blocks.mel import MelSpectrogram, RawWaveform
from toolkit.blocks.mmdense import MMDense, MultiScale
from toolkit.blocks.mobile_fcn import MobileFCN
from toolkit.blocks.open_unmix import OpenUnmix, load_openunmix
from toolkit.blocks.performance_features import AnnotatedPitch, Loudness
from toolkit.blocks.pitch import LogCQT, PESTOEncoder, PitchEncoder, VoicedHead
from toolkit.blocks.pitch_trackers import CREPEPitch, PYINPitch
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
from toolkit.blocks.reverbs import ImpulseReverb, NoiseReverb
from toolkit.blocks.schedules import DelayedPlateau
from toolkit.blocks.scorers import MeanPooledScorer
from toolkit.blocks.sepformer import SepFormer
from toolkit.blocks.slots import Decoder, Encoder, Masker, Scorer, Separator
from toolkit.blocks.spec_augment import SpecAugment
from toolkit.blocks.stored import StoredFeatures
from toolkit.blocks.subwords import Subwords
from toolkit.blocks.sudo_rm_rf import SuDoRMRF
from toolkit.blocks.synthesis import Controller, Effect, Synthesizer
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
    "CRNN",
    "DPRNN",
    "FCN",
    "TCN",
    "ActivityUNet",
    "AnnotatedPitch",
    "AttentionPooling",
    "AutoPooling",
    "Backbone",
    "BackgroundLevel",
    "Bottleneck",
    "CPResNet",
    "CREPEPitch",
    "CausalTCN",
    "Controller",
    "DConv",
    "DPTNet",
    "Decoder",
    "DecoderLayer",
    "DelayedPlateau",
    "DenseHead",
    "Effect",
    "Encoder",
    "EncoderLayer",
    "ExactWaveform",
    "FMSynthesizer",
    "Feature",
    "FrameAugmentation",
    "FrameGRU",
    "FrameMLP",
    "Frontend",
    "HarmonicCNN",
    "HarmonicFilters",
    "HarmonicNoise",
    "Head",
    "IdentityBottleneck",
    "ImpulseReverb",
    "KaldiMel",
    "KarplusStrong",
    "LastFrame",
    "LearnedDecoder",
    "LearnedFilterbank",
    "LinearHead",
    "LogCQT",
    "LogMel",
    "Loudness",
    "LowRankAdapters",
    "MMDense",
    "MagnitudeMasks",
    "Masker",
    "MaxMeanPooling",
    "MaxPooling",
    "MeanPooledScorer",
    "MeanPooling",
    "MelSpectrogram",
    "MobileFCN",
    "MultiScale",
    "Musicnn",
    "NoBranch",
    "NoiseReverb",
    "OpenUnmix",
    "PESTOEncoder",
    "PYINPitch",
    "PitchEncoder",
    "Pooling",
    "Published",
    "RawWaveform",
    "RecurrentBottleneck",
    "RecurrentDecoder",
    "ResidualBranch",
    "STFTDecoder",
    "STFTFilterbank",
    "SampleCNN",
    "Scorer",
    "SelfAttentionCNN",
    "SepFormer",
    "Separator",
    "ShortChunkCNN",
    "SoftmaxPooling",
    "SourceFilter",
    "SpecAugment",
    "SpectrumGain",
    "SpectrumNoise",
    "StatisticsPooling",
    "StoredFeatures",
    "StoredSpectrum",
    "StridedDecoderLayer",
    "StridedEncoderLayer",
    "SuDoRMRF",
    "Subwords",
    "Synthesizer",
    "TransformerBottleneck",
    "VoicedHead",
    "Waveform",
    "WeightedPooling",
    "load_openunmix",
]
