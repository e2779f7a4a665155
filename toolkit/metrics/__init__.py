"""Metrics: pure functions of tensors, each equal to the field's reference implementation (tests/parity)."""

from toolkit.metrics.aggregation import aggregate, aggregate_frames
from toolkit.metrics.assignment import assign
from toolkit.metrics.bss_eval import bss_eval_v3
from toolkit.metrics.bss_eval_v4 import bss_eval_v4
from toolkit.metrics.distortion import nsdr, sd_sdr, si_sdr, snr
from toolkit.metrics.intelligibility import stoi
from toolkit.metrics.quality import pesq

__all__ = [
    "aggregate",
    "aggregate_frames",
    "assign",
    "bss_eval_v3",
    "bss_eval_v4",
    "nsdr",
    "pesq",
    "sd_sdr",
    "si_sdr",
    "snr",
    "stoi",
]
