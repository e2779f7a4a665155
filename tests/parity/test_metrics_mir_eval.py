"""BSSEval version 3 against mir_eval, on its own fixtures and on noise."""

import json
import warnings
from pathlib import Path

import pytest
import soundfile
import torch

from toolkit.metrics import bss_eval_v3

CASES = ["01", "02", "03", "05", "06", "07", "08", "09"]
NAMES = ["Source to Distortion", "Source to Interference", "Source to Artifact"]


def read(folder: Path) -> torch.Tensor:
    """Sources (n, T), channels summed as mir_eval's own test does."""
    return torch.stack(
        [torch.from_numpy(soundfile.read(path, always_2d=True)[0].sum(1)) for path in sorted(folder.glob("*.wav"))]
    )


@pytest.mark.real
@pytest.mark.parametrize("case", CASES)
def test_published_fixtures(shared_data: Path, case: str) -> None:
    folder = shared_data / "mir_eval" / "separation"
    expected = json.loads((folder / f"output{case}.json").read_text())["Sources"]
    found = bss_eval_v3(read(folder / f"est{case}"), read(folder / f"ref{case}"))
    for ratio, name in zip(found[:3], NAMES, strict=True):
        torch.testing.assert_close(ratio, torch.tensor(expected[name], dtype=torch.float64), rtol=0, atol=1e-7)
    assert found.permutation.tolist() == expected["Source permutation"]


@pytest.mark.parametrize("sources", [1, 2, 3])
@pytest.mark.parametrize("permute", [True, False])
def test_noise(sources: int, permute: bool) -> None:
    mir_eval = pytest.importorskip("mir_eval")
    reference = torch.randn(sources, 3000, dtype=torch.float64)
    estimate = reference.flip(0) + 0.2 * reference + 0.3 * torch.randn(sources, 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = mir_eval.separation.bss_eval_sources(reference.numpy(), estimate.numpy(), permute)
    found = bss_eval_v3(estimate, reference, permute)
    for ratio, value in zip(found, expected, strict=True):
        torch.testing.assert_close(ratio, torch.from_numpy(value), rtol=0, atol=1e-8)
