"""PESTO against the package pesto-pitch 2.0.1 with its weights, from the waveform to Hz and confidence.

The package mirrors a recording at its ends where we hear silence, so there is silence on either side of each here.

Of its two files of weights the second version's is opened by the package itself, since pickled containers lie beside the
weights.  The first version's holds plain tensors, but the package no longer builds that network: in its list of wide layers the
released first version had the second convolution alone, without leaky ReLU.  That one layer is put in place here, and the
package's confidence, made for the second version's bins, is left out; all else is the package's.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from toolkit.blocks.pitch import LogCQT, PESTOEncoder, VoicedHead
from toolkit.dsp.resample import resample
from toolkit.models.pesto import PESTO, load_released

pesto = pytest.importorskip("pesto")
RATE, HOP = 16000, 160
SILENCE = 2  # seconds on either side


class NotKnown(nn.Module):
    """In place of the package's confidence."""

    def forward(self, energies: Tensor) -> Tensor:
        return energies.new_zeros(len(energies))


def first_version() -> tuple[nn.Module, PESTO]:
    """The package's and ours, with the same weights."""
    from pesto import model
    from pesto.data import Preprocessor

    stored = torch.load(Path(pesto.__file__).parent / "weights" / "mir-1k.ckpt", weights_only=True)
    options, state = stored["hparams"], stored["state_dict"]
    encoder = model.Resnet1d(**options["encoder"])
    encoder.prefilt_layers = nn.ModuleList([nn.Conv1d(40, 40, 15, padding=7)])
    spectra = Preprocessor(10.0, RATE, **stored["hcqt_params"])
    theirs = model.PESTO(encoder, spectra, options["pitch_shift"], options["reduction"])
    missing = theirs.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert not [name for name in missing.missing_keys if name.startswith("encoder.")]
    theirs.confidence = NotKnown()
    ours = PESTO(LogCQT(), partial(PESTOEncoder, linear_prefilters=True))
    load_released(state, ours)
    return theirs.eval(), ours.eval()


def second_version() -> tuple[nn.Module, PESTO]:
    """The package's and ours, with the same weights."""
    from pesto.loader import load_model

    theirs = load_model("mir-1k_g7", 10.0, RATE)
    ours = PESTO(LogCQT(bins=251, gamma=7.0), partial(PESTOEncoder, prefilters=3, kernel_size=39), voicing=VoicedHead)
    load_released(theirs.state_dict(), ours)
    return theirs.eval(), ours.eval()


VERSIONS = pytest.mark.parametrize("version", [first_version, second_version])


def compare(version, waveform: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Cents, and of the second version differences in confidence, in the frames of the waveform itself."""
    theirs, ours = version()
    padded = nn.functional.pad(waveform, (SILENCE * RATE, SILENCE * RATE))[None]
    with torch.inference_mode():
        hertz, confidence, _ = theirs(padded, sr=RATE, convert_to_freq=True, return_activations=False)
        found = ours.track(padded)
    assert found.hertz.shape == hertz.shape == (1, 1 + padded.shape[1] // HOP)
    inside = slice(SILENCE * RATE // HOP, -SILENCE * RATE // HOP)
    cents = 1200 * (found.hertz / hertz)[0, inside].log2().abs()
    apart = (found.confidence - confidence)[0, inside].abs() if ours.voicing is not None else torch.zeros(1)
    return cents.numpy(), apart.numpy()


@VERSIONS
def test_a_synthetic_voice_is_tracked_as_the_package_does(version) -> None:
    time = torch.arange(2 * RATE) / RATE
    semitones = 57 + 8 * time / 2 + 0.3 * torch.sin(2 * torch.pi * 5.5 * time)
    angle = 2 * torch.pi * torch.cumsum(440 * 2 ** ((semitones.double() - 69) / 12), 0) / RATE
    voice = 0.1 * sum(torch.sin(k * angle) / k for k in range(1, 9))
    cents, apart = compare(version, (voice + 1e-3 * torch.randn(len(time))).float())
    assert len(cents) > 200
    assert cents.max() < 0.2
    assert apart.max() < 1e-4


@pytest.mark.real
@VERSIONS
def test_a_real_voice_is_tracked_as_the_package_does(version, shared_data: Path) -> None:
    samples, rate = soundfile.read(shared_data / "mirdata_samples" / "vocadito" / "Audio" / "vocadito_1.wav", dtype="float32")
    cents, apart = compare(version, torch.from_numpy(resample(samples, rate, RATE))[: 5 * RATE])
    assert len(cents) > 400
    assert cents.max() < 0.5
    assert apart.max() < 1e-4
