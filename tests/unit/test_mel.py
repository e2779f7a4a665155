"""Front ends that read waveforms: what a sine looks like, equality with torchaudio, filters that learn their width."""

import math

import pytest
import torch
import torchaudio

from toolkit.blocks import HarmonicFilters, MelSpectrogram, RawWaveform

FRONTENDS = {
    "mel": lambda: MelSpectrogram(16000, bins=96),
    "harmonic": lambda: HarmonicFilters(16000),
    "raw": RawWaveform,
}


def sine(hertz: float, samples: int = 16000, rate: int = 16000) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(samples) / rate)[None]


def test_equal_to_torchaudio():
    waveform = torch.randn(2, 4001)
    ours = MelSpectrogram(16000, bins=96).eval()
    spectrum = torchaudio.transforms.MelSpectrogram(16000, n_fft=512, f_min=0.0, f_max=8000.0, n_mels=96)
    theirs = torchaudio.transforms.AmplitudeToDB()(spectrum(waveform))
    expected = theirs / math.sqrt(1 + ours.norm.eps)  # an untrained batch normalisation
    torch.testing.assert_close(ours(waveform)[:, 0], expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("options", [{"bins": 128}, {"f_min": 125.0, "f_max": 7500.0, "bins": 64}, {"hop_length": 128}])
def test_options_are_torchaudios(options):
    waveform = torch.randn(1, 3000)
    ours = MelSpectrogram(16000, n_fft=512, **options).eval()
    names = {"bins": 128, "f_min": 0.0, "f_max": 8000.0, "hop_length": 256, **options}
    with pytest.warns(UserWarning, match="all zero") if names["bins"] == 128 else torch.no_grad():
        spectrum = torchaudio.transforms.MelSpectrogram(16000, n_fft=512, n_mels=names.pop("bins"), **names)
    theirs = torchaudio.transforms.AmplitudeToDB()(spectrum(waveform)) / math.sqrt(1 + ours.norm.eps)
    torch.testing.assert_close(ours(waveform)[:, 0], theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", FRONTENDS)
@pytest.mark.parametrize("samples", [1, 2, 255, 256, 257, 1999])
def test_any_length(name, samples):
    frontend = FRONTENDS[name]().eval()
    spectrogram = frontend(torch.zeros(2, samples))
    assert spectrogram.shape == (2, 1, frontend.bins, samples if name == "raw" else 1 + samples // 256)
    assert spectrogram.isfinite().all()


def test_silence_is_minus_100_db_before_normalisation():
    frontend = MelSpectrogram(16000)
    frontend.norm = torch.nn.Identity()
    assert torch.equal(frontend(torch.zeros(1, 1000)), torch.full((1, 1, 128, 4), -100.0))


def test_each_group_of_filters_is_normalised_over_the_batch():
    waveform = torch.randn(4, 8000) * torch.tensor([1.0, 0.1, 3.0, 0.5])[:, None]
    spectrogram = HarmonicFilters(16000)(waveform).unflatten(2, (6, 128))
    torch.testing.assert_close(spectrogram.mean((0, 1, 3, 4)), torch.zeros(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(spectrogram.std((0, 1, 3, 4)), torch.ones(6), atol=1e-3, rtol=0)


def test_float32_also_under_autocast():
    frontend, waveform = MelSpectrogram(16000).eval(), torch.randn(1, 2000)
    with torch.autocast("cpu", torch.bfloat16):
        spectrogram = frontend(waveform)
    assert torch.equal(spectrogram, frontend(waveform))


@pytest.mark.parametrize("name", FRONTENDS)
def test_shapes_on_the_meta_device(name):
    with torch.device("meta"):
        frontend = FRONTENDS[name]()
        assert frontend(torch.empty(2, 16000)).shape[:3] == (2, 1, frontend.bins)


def test_the_filters_of_won_et_al():
    frontend = HarmonicFilters(16000, harmonics=6, per_semitone=2)
    assert frontend.bins == 6 * 128  # 64 semitones from C1: the sixth harmonic of E6 is at 7911 Hz
    notes = 440 * 2 ** ((24 + torch.arange(128, dtype=torch.float64) / 2 - 69) / 12)
    centre = torch.cat([harmonic * notes for harmonic in range(1, 7)])
    width = 0.1079 * centre + 24.7
    bins = torch.linspace(0, 8000, 257, dtype=torch.float64)[:, None]
    up, down = 2 / width * bins + 1 - 2 * centre / width, -2 / width * bins + 1 + 2 * centre / width
    expected = torch.clamp(torch.minimum(up, down), min=0).T
    torch.testing.assert_close(frontend.filters().double(), expected, atol=1e-3, rtol=0)


def test_the_harmonics_of_a_note_stand_at_the_same_row_of_each_group():
    frontend = HarmonicFilters(16000).eval()
    note = 100  # 50 semitones above C1: 587.33 Hz
    fundamental = frontend.frequencies[note].item()
    assert fundamental == pytest.approx(587.33, abs=0.01)
    for harmonic in range(6):
        spectrogram = frontend(sine(fundamental * (harmonic + 1)))[0, 0].unflatten(0, (6, 128))
        assert abs(spectrogram[harmonic].mean(-1).argmax().item() - note) <= 1


def test_the_bandwidth_is_learned():
    frontend = HarmonicFilters(16000)
    wide = (frontend.filters() > 0).sum()
    frontend(torch.randn(2, 4000)).square().sum().backward()
    assert frontend.q.grad is not None
    assert frontend.q.grad.abs() > 0
    with torch.no_grad():
        frontend.q.mul_(2)
    assert (frontend.filters() > 0).sum() < wide


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: MelSpectrogram(16000, f_min=9000.0),
            r"f_min, f_max: expected 0 <= f_min < f_max <= 8000 Hz, found 9000, 8000",
        ),
        (lambda: MelSpectrogram(16000, f_max=9000.0), "found 0, 9000"),
        (lambda: MelSpectrogram(16000, n_fft=511), "n_fft: expected an even number"),
        (lambda: HarmonicFilters(16000, harmonics=500), "harmonics: expected so few that a note above C1"),
    ],
)
def test_options_that_do_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("name", FRONTENDS)
def test_what_is_no_batch_of_waveforms(name):
    with pytest.raises(ValueError, match=r"waveform: expected shape \(batch, samples\), found \(2, 1, 100\)"):
        FRONTENDS[name]()(torch.zeros(2, 1, 100))
