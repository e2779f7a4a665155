"""The package `pesq` is called as its authors mean it: the reference first."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from toolkit.metrics import pesq

package = pytest.importorskip("pesq")


@pytest.mark.real
@pytest.mark.parametrize(("sample_rate", "mode"), [(16_000, "wb"), (8000, "nb")])
def test_speech(shared_data: Path, sample_rate: int, mode: str) -> None:
    path = min((shared_data / "librispeech").rglob("*.flac"), default=None)
    if path is None:
        pytest.skip("no speech here")
    speech, rate = soundfile.read(path, frames=48_000, dtype="float32")
    clean = speech[:: rate // sample_rate]
    noisy = clean + 0.01 * np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    found = pesq(torch.from_numpy(noisy)[None], torch.from_numpy(clean)[None], sample_rate)
    assert found.shape == (1,)
    assert found.item() == pytest.approx(package.pesq(sample_rate, clean, noisy, mode))
    assert pesq(torch.from_numpy(clean), torch.from_numpy(clean), sample_rate) > 4
