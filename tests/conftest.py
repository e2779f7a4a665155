"""Fixtures that every test may use."""

import copy
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from scipy import signal

# No test depends on the clock; in CI examples are the same each time, as with Hypothesis' own profile for it.
settings.register_profile("reprise", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("reprise")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """What a command line run within a test sets up for its terminal ends with the test."""
    yield
    root = logging.getLogger("toolkit")
    root.handlers = []
    root.setLevel(logging.NOTSET)


TINY: dict[str, Any] = {  # a Conv-TasNet for speech
    "data": {
        "train": "wsj0-2mix/8k/min/tr",
        "valid": "wsj0-2mix/8k/min/cv",
        "test": "wsj0-2mix/8k/min/tt",
        "sample_rate": 8000,
        "segment": 0.1,
        "batch_size": 2,
    },
    "model": {
        "class_path": "MaskedSeparator",
        "init_args": {
            "encoder": {"class_path": "LearnedFilterbank", "init_args": {"filters": 4, "kernel_size": 16}},
            "separator": {
                "class_path": "TCN",
                "init_args": {"bottleneck": 2, "hidden": 2, "skip": 2, "blocks": 1, "repeats": 1},
            },
        },
    },
    "loss": {"class_path": "PermutationInvariant", "init_args": {"pairwise": {"class_path": "NegativeSISDR"}}},
    "optimizer": {"class_path": "Adam"},
}


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """The configuration of a Conv-TasNet of a few weights."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope="session")
def untrained() -> Callable[..., Path]:
    """Make a folder an experiment with the weights it was born with: (folder, configuration), else of a tiny separator."""
    from toolkit.tasks.experiment import Experiment
    from toolkit.train.checkpoint import save_weights

    def make(folder: Path, tree: dict[str, Any] = TINY) -> Path:
        experiment = Experiment(tree)
        task, _ = experiment.build()
        experiment.resolved.save(folder / "config.yaml")
        save_weights(task.model, folder / "model.safetensors")
        return folder

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the repository; tests marked `real` are skipped where it is missing."""
    folder = Path(os.environ.get("REPRISE_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here: {folder}")
    return folder


@pytest.fixture(scope="session")
def cents_off() -> Callable[[np.ndarray, int, np.ndarray, np.ndarray], np.ndarray]:
    """How far a sound is from an annotated curve, in cents, in frames within notes: (samples, sample_rate, times, hz).

    Turned back by the annotated phase, the fundamental stands still: what is left of its rotation is its error.
    """

    def measure(samples: np.ndarray, sample_rate: int, times: np.ndarray, hz: np.ndarray) -> np.ndarray:
        moments = np.arange(len(samples)) / sample_rate
        turned = samples * np.exp(-2j * np.pi * np.cumsum(np.interp(moments, times, hz)) / sample_rate)
        width, reach = sample_rate // 25, sample_rate // 1000  # 40 ms, 1 ms
        smooth = signal.fftconvolve(turned, np.hanning(width) / width, "same")
        near = np.lib.stride_tricks.sliding_window_view(np.pad(hz, round(0.05 / (times[1] - times[0]))), len(hz))
        steady = near.min(0) > 0  # voiced 50 ms before and after
        steady &= np.abs(np.diff(np.log2(np.maximum(hz, 1)), prepend=0)) < 0.01
        centres = np.rint(times[steady] * sample_rate).astype(int)
        rotation = np.angle(smooth[centres + reach] * np.conj(smooth[centres - reach])) * sample_rate / (4 * np.pi * reach)
        return 1200 * np.log2(1 + rotation / hz[steady])

    return measure


@pytest.fixture(scope="session")
def lines() -> Callable[[str, str], list[list[str]]]:
    """The cells of the rows of a page's tables that begin with a word: (page, word)."""

    def find(page: str, first: str) -> list[list[str]]:
        rows = re.findall(rf'<tr[^>]*><th scope="row">{re.escape(first)}</th>(.*?)</tr>', page)
        return [re.findall(r">([^<>]*)</td>", row) for row in rows]

    return find
