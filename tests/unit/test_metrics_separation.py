"""All metrics of a separated mixture, by name."""

import builtins
import math
from typing import Any

import pytest
import torch

from toolkit.log import UserError
from toolkit.metrics import bss_eval_v3, bss_eval_v4, nsdr, pesq, separation, si_sdr, stoi
from toolkit.metrics.separation import check_names, evaluate

RATE = 8000
Scene = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture
def scene() -> Scene:
    """A mixture (1, T), its two references and three estimates in another order."""
    references = torch.randn(2, 1, 8000) * torch.tensor([1.0, 0.5])[:, None, None]
    noise = torch.randn(2, 1, 8000)
    estimates = torch.stack([torch.randn(1, 8000), references[1] + 0.1 * noise[1], 2 * references[0] + 0.1 * noise[0]])
    return references.sum(0), references, estimates


def test_estimates_are_put_in_the_references_order(scene: Scene) -> None:
    mixture, references, estimates = scene
    scores = evaluate(mixture, references, estimates, RATE, ["si_sdr", "si_sdr_improvement"])
    assert scores.assignment == [2, 1]
    for row, reference, estimate in zip(scores.sources, references, estimates[[2, 1]], strict=True):
        after, before = si_sdr(estimate, reference).item(), si_sdr(mixture, reference).item()
        assert row == pytest.approx({"si_sdr": after, "si_sdr_improvement": after - before})
    assert scores.means["si_sdr"] == pytest.approx((scores.sources[0]["si_sdr"] + scores.sources[1]["si_sdr"]) / 2)


def test_bss_eval_keeps_that_order(scene: Scene) -> None:
    mixture, references, estimates = scene
    names = ["bsseval_v3_sdr", "bsseval_v3_sdr_improvement", "bsseval_v3_sir", "bsseval_v3_sar"]
    scores = evaluate(mixture, references, estimates, RATE, names)
    after = bss_eval_v3(estimates[[2, 1], 0], references[:, 0])
    before = bss_eval_v3(mixture.expand(2, -1), references[:, 0], permute=False)
    for i, row in enumerate(scores.sources):
        expected = [after.sdr[i], after.sdr[i] - before.sdr[i], after.sir[i], after.sar[i]]
        assert list(row) == names
        assert list(row.values()) == pytest.approx([value.item() for value in expected])


def test_a_reference_may_take_an_estimate_that_is_taken_already() -> None:
    references = torch.randn(2, 1, 1000)
    both = references.sum(0, keepdim=True)
    scores = evaluate(both[0], references, torch.cat([both, torch.randn(1, 1, 1000)]), RATE, ["si_sdr", "mcl_si_sdr"])
    assert scores.means["mcl_si_sdr"] == pytest.approx(0, abs=1)
    assert scores.means["si_sdr"] < -10
    improvement = evaluate(both[0], references, both.expand(2, -1, -1), RATE, ["mcl_si_sdr_improvement"])
    assert improvement.means["mcl_si_sdr_improvement"] == 0


def test_a_silent_reference_is_undefined_and_left_out_of_the_mean(scene: Scene) -> None:
    mixture, references, estimates = scene
    references = torch.cat([references, torch.zeros(1, 1, 8000)])
    names = ["si_sdr", "bsseval_v3_sdr", "stoi", "estoi", "snr", "sd_sdr"]
    scores = evaluate(mixture, references, estimates, RATE, names)
    assert scores.assignment == [2, 1, 0]
    assert all(math.isnan(value) for value in scores.sources[2].values())
    assert all(math.isfinite(value) for value in scores.means.values())


def test_channels_are_measured_one_by_one(scene: Scene) -> None:
    mixture, references, estimates = scene
    names = ["si_sdr", "bsseval_v3_sdr_improvement"]
    once = evaluate(mixture, references, estimates, RATE, names).means
    doubled = evaluate(mixture.expand(2, -1), references.expand(-1, 2, -1), estimates.expand(-1, 2, -1), RATE, names).means
    assert doubled == pytest.approx(once)


V4 = ["bsseval_v4_sdr", "bsseval_v4_isr", "bsseval_v4_sir", "bsseval_v4_sar"]


@pytest.fixture
def song() -> Scene:
    """A mixture (2, T) of bass, vocals and other, and their estimates, at a rate of 2 kHz."""
    references = torch.randn(3, 2, 6500)
    return references.sum(0), references, references + 0.3 * references.flip(0) + 0.3 * torch.randn(3, 2, 6500)


def test_named_sources_keep_their_order_and_have_an_accompaniment(song: Scene) -> None:
    mixture, references, estimates = song
    names = ["bass", "vocals", "other"]
    metrics = [*V4, "nsdr", "bsseval_v4_sdr_improvement"]
    scores = evaluate(mixture, references, estimates.roll(1, 0), 2000, metrics, permute=False, names=names)
    assert scores.assignment == [0, 1, 2]
    assert all(source["nsdr"] < 0 for source in scores.sources)
    scores = evaluate(mixture, references, estimates, 2000, metrics, permute=False, names=names)
    all_three = bss_eval_v4(estimates, references, 2000)
    halves = [torch.stack([signal[1], signal[[0, 2]].sum(0)]) for signal in (estimates, references)]
    two = bss_eval_v4(halves[0], halves[1], 2000)
    assert scores.accompaniment is not None
    for name, of_three, of_two in zip(V4, all_three, two, strict=False):
        frames = [of_three[0], of_two[0], of_three[2]]
        assert [source[name] for source in scores.frames] == [pytest.approx(values.tolist()) for values in frames]
        assert [source[name] for source in scores.sources] == pytest.approx([values.median().item() for values in frames])
        assert scores.accompaniment[1][name] == pytest.approx(of_two[1].tolist())
    assert scores.means["nsdr"] == pytest.approx(nsdr(estimates, references).mean().item())
    before = bss_eval_v4(mixture.expand(3, -1, -1) / 3, references, 2000).sdr
    gained = scores.frames[0]["bsseval_v4_sdr_improvement"]
    assert gained == pytest.approx((all_three.sdr - before)[0].tolist())


def test_permuted_and_older_definitions_have_names_of_their_own(song: Scene) -> None:
    mixture, references, estimates = song
    metrics = ["bsseval_v4_sdr", "bsseval_v4_sdr_permuted", "bsseval_v4_sources_sdr_permuted", "bsseval_v4_sources_sir"]
    scores = evaluate(mixture, references, estimates.roll(1, 0), 2000, metrics, permute=False)
    assert scores.accompaniment is None
    for name, options in (("sdr", {}), ("sources_sdr", {"sources": True})):
        expected = bss_eval_v4(estimates.roll(1, 0), references, 2000, permute=True, **options).sdr
        assert scores.frames[2][f"bsseval_v4_{name}_permuted"] == pytest.approx(expected[2].tolist())
    assert scores.means["bsseval_v4_sdr"] < 0 < scores.means["bsseval_v4_sdr_permuted"]


def test_what_is_infinite_or_silent_is_not_defined(song: Scene) -> None:
    mixture, references, estimates = song
    references[0, :, :2000] = 0
    estimates[2] = references[2]
    frames = evaluate(mixture, references, estimates, 2000, V4, permute=False).frames
    assert [math.isnan(value) for value in frames[1]["bsseval_v4_sdr"]] == [True, False, False]
    assert all(math.isnan(value) for value in frames[2]["bsseval_v4_sdr"])


def test_every_metric_has_its_improvement_and_a_slip_is_told() -> None:
    check_names(separation.all_names())
    assert {
        "bsseval_v4_sources_sar_permuted_improvement",
        "nsdr_improvement",
        "stoi",
        "pesq_improvement",
        "mcl_si_sdr",
        "bsseval_v3_sar",
    } <= set(separation.all_names())
    with pytest.raises(UserError, match="did you mean 'si_sdr_improvement'"):
        check_names(["si_sdr", "si_sdr_improvment"])


def test_shapes_that_do_not_fit(scene: Scene) -> None:
    mixture, references, estimates = scene
    with pytest.raises(UserError, match=r"expected .* \(1, 8000\), found \(1, 7999\)"):
        evaluate(mixture[:, :-1], references, estimates, RATE, ["si_sdr"])
    with pytest.raises(UserError, match="at least 2 estimates"):
        evaluate(mixture, references, estimates[:1], RATE, ["si_sdr"])


def test_stoi_falls_with_noise_and_takes_batches() -> None:
    clean = torch.randn(2, 1, 8000) * torch.rand(2, 1, 40).repeat_interleave(200, -1)
    noisy = clean + 0.1 * torch.randn_like(clean)
    noisier = clean + 1.0 * torch.randn_like(clean)
    for extended in (False, True):
        values = [stoi(estimate, clean, RATE, extended) for estimate in (clean, noisy, noisier)]
        assert values[0].shape == (2, 1)
        assert values[0].min().item() == pytest.approx(1)
        assert (values[0] > values[1]).all()
        assert (values[1] > values[2]).all()


@pytest.mark.parametrize("samples", [0, 100, 256, 3000])
def test_stoi_of_too_short_a_signal_is_undefined(samples: int) -> None:
    assert stoi(torch.randn(samples), torch.randn(samples), 10_000).isnan()


def test_pesq_names_the_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_pesq(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pesq":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_pesq)
    with pytest.raises(UserError, match="Next: pip install pesq"):
        pesq(torch.randn(8000), torch.randn(8000), 8000)


def test_pesq_knows_two_sample_rates_and_says_where_there_is_no_speech() -> None:
    pytest.importorskip("pesq")
    with pytest.raises(UserError, match="8000 or 16000 Hz, found 44100 Hz"):
        pesq(torch.randn(8000), torch.randn(8000), 44100)
    assert pesq(torch.randn(8000), torch.zeros(8000), 8000).isnan()
