"""The autoencoder of spectral optimal transport: its weights, its layers one by one, its sines."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from toolkit.data.performances import Performance
from toolkit.losses import MultiScaleSpectral, SpectralTransport, WeightedSum
from toolkit.models import SpectralAutoencoder


def performance(waveform: torch.Tensor) -> Performance:
    nothing = waveform.new_empty(len(waveform), 0)
    return Performance(waveform, nothing, nothing, torch.full((len(waveform),), waveform.shape[1]), [""] * len(waveform))


def tones(*hertz: float, samples: int = 4096) -> torch.Tensor:
    time = torch.arange(samples, dtype=torch.float64) / 16000
    return torch.stack([0.4 * (2 * math.pi * f * time).sin() + 0.3 * (4 * math.pi * f * time).sin() for f in hertz]).float()


def test_the_papers_number_of_weights() -> None:
    model = SpectralAutoencoder()
    assert sum(p.numel() for p in model.parameters()) == 46012
    network = model.network
    parts = [network.norm, network.first, network.second, network.narrow, network.amplitudes, network.pitch]
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == [570, 640, 24040, 2503, 17120, 1139]


def test_a_frame_for_each_hop_and_all_samples() -> None:
    model = SpectralAutoencoder().eval()
    played = performance(tones(220, 440))
    f0, amplitudes = model.encode(played.waveform)
    assert f0.shape == (2, 16)
    assert amplitudes.shape == (2, 16, 20)
    assert (f0 >= 32.7).all()
    assert (f0 <= model.transform.frequencies[-1] + 0.1).all()
    assert (amplitudes > 0).all()
    assert (amplitudes < 2.1).all()
    assert model(played).shape == (2, 4096)
    assert model.pitch(played).equal(f0)
    assert model.reads == {"waveform"}


def test_a_sound_that_does_not_change_may_be_heard_in_its_middle_alone() -> None:
    torch.manual_seed(0)
    whole, middle = SpectralAutoencoder().eval(), SpectralAutoencoder(stationary=True).eval()
    middle.load_state_dict(whole.state_dict())
    played = performance(tones(220, 440))
    for everywhere, there in zip(whole.encode(played.waveform), middle.encode(played.waveform), strict=True):
        assert torch.allclose(there, everywhere[:, 8, None].expand_as(there), atol=1e-5, rtol=1e-5)
    assert middle(played).shape == (2, 4096)


def test_the_network_is_the_released_stack_of_layers() -> None:
    """As torch's own layers put it, frames first."""
    torch.manual_seed(0)
    network = SpectralAutoencoder().network.eval()
    for parameter in network.norm.parameters():
        nn.init.normal_(parameter)
    spectra = torch.rand(300, 285)  # more frames than go through at once
    x = network.norm(spectra[:, None])
    x = F.leaky_relu(F.conv1d(x, network.first.weight[:, None], network.first.bias, padding=7), 0.3)
    x = x + F.leaky_relu(F.conv1d(x, network.second.weight, network.second.bias, padding=7), 0.3)
    for number, layer in enumerate(network.narrow):
        x = F.conv1d(x, layer.weight[..., None], layer.bias)
        x = x if number == 3 else F.leaky_relu(x, 0.3)
    x = x.flatten(1)
    pitch = F.conv1d(x[:, None], network.pitch.weight, padding=284)[:, 0]
    found = network(spectra)
    torch.testing.assert_close(found[0], pitch, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], network.amplitudes(x), rtol=1e-4, atol=1e-5)


def test_the_pitch_is_the_mean_place_on_a_logarithmic_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SpectralAutoencoder()
    for peak in (0, 100, 284):
        logits = torch.full((16, 285), -10.0)
        logits[:, peak] = 10
        monkeypatch.setattr(model.network, "forward", lambda spectra, logits=logits: (logits, torch.zeros(16, 20)))
        f0, amplitudes = model.encode(torch.zeros(1, 4096))
        assert f0.flatten().tolist() == pytest.approx([32.7 * 2 ** (peak / 36)] * 16, rel=1e-4)
        assert amplitudes.flatten().tolist() == pytest.approx([2 * 0.5 ** math.log(10)] * 320, rel=1e-4)


def test_a_network_in_half_precision_blurs_neither_pitch_nor_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SpectralAutoencoder(harmonics=3)
    made = [x.bfloat16() for x in (torch.randn(16, 285), torch.randn(16, 3))]
    sounds = []
    for outputs, on in ((made, True), ([x.float() for x in made], False)):
        monkeypatch.setattr(model.network, "forward", lambda spectra, outputs=outputs: outputs)
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            f0, amplitudes = model.encode(torch.zeros(1, 4096))
            sounds.append((f0, amplitudes, model.render(f0, amplitudes)))
    for coarse, fine in zip(*sounds, strict=True):
        torch.testing.assert_close(coarse, fine, rtol=0, atol=0)


def test_sines_follow_pitch_and_amplitudes_as_in_ddsp() -> None:
    """Spelled out sample by sample: amplitudes under Hann windows, frequencies along lines."""
    rng = np.random.default_rng(0)
    f0, amplitudes = rng.uniform(200, 260, 6), rng.uniform(0, 1, (6, 3))
    hop, samples = 256, 6 * 256
    n = np.arange(samples)
    frequency = np.interp((n + 0.5) / hop - 0.5, np.arange(6), f0)
    phase = 2 * np.pi * np.cumsum(frequency) / 16000
    place = np.minimum(n // hop, 5)
    way = 0.5 - 0.5 * np.cos(np.pi * (n % hop + 0.5) / hop)
    after = np.minimum(place + 1, 5)
    expected = sum((amplitudes[place, k] * (1 - way) + amplitudes[after, k] * way) * np.sin((k + 1) * phase) for k in range(3))
    found = SpectralAutoencoder(harmonics=3).render(*(torch.from_numpy(x)[None].float() for x in (f0, amplitudes)))
    np.testing.assert_allclose(found[0], expected, atol=2e-3)


def test_what_is_above_half_the_rate_is_silent() -> None:
    amplitudes = torch.zeros(1, 16, 20)
    amplitudes[..., 4:] = 1
    silent = SpectralAutoencoder().render(torch.full((1, 16), 1700.0), amplitudes)
    assert silent.abs().max() == 0


def test_a_roll_off_softens_what_is_above_500_hertz() -> None:
    model = SpectralAutoencoder(harmonics=1, roll_off=6.0)
    levels = [model.render(torch.full((1, 16), f), torch.ones(1, 16, 1)).abs().max().item() for f in (400.0, 1000.0, 2000.0)]
    assert levels == pytest.approx([1, 10 ** (-6 / 20), 10 ** (-12 / 20)], rel=1e-2)


def test_every_weight_learns_from_the_papers_loss() -> None:
    torch.manual_seed(0)
    model = SpectralAutoencoder()
    played = performance(tones(300, 500))
    vertical = MultiScaleSpectral(log=0, floor=1e-5, floored="raised", framing="onward")
    loss = WeightedSum([SpectralTransport(), vertical], [1.0, 0.05])
    loss(model(played), played.waveform).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_training_brings_the_pitch_nearer() -> None:
    torch.manual_seed(0)
    model = SpectralAutoencoder(dropout=0.0)
    played = performance(tones(300))
    loss = SpectralTransport(cut=False)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    values = []
    for _ in range(8):
        value = loss(model(played), played.waveform)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]
