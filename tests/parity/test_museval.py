"""BSSEval version 4 against museval, on noise in every combination and on the figures that museval's own tests hold."""

import json
import math
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from toolkit import files
from toolkit.metrics import bss_eval_v4
from toolkit.metrics.separation import evaluate
from toolkit.score.run import as_museval

RATIOS = ["sdr", "isr", "sir", "sar"]
TRACK = "Music Delta - 80s Rock"
STEMS = ["mixture", "drums", "bass", "other", "vocals"]


def package() -> ModuleType:
    """museval, whose figures read no stems; what would read them asks for ffmpeg as soon as it is imported."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        sys.modules.setdefault("stempeg", ModuleType("stempeg"))
    return pytest.importorskip("museval")


def assert_equal_to_museval(
    estimate: torch.Tensor, reference: torch.Tensor, window: int, hop: int, taps: int = 48, **options: Any
) -> None:
    """Ratios within 1e-6 dB (1e-3 are asked for), not defined in the same frames, the same permutation."""
    museval = package()
    theirs = {"permute": "compute_permutation", "framewise": "framewise_filters", "sources": "bsseval_sources_version"}
    signals = [x.double().transpose(1, 2).numpy() for x in (reference, estimate)]
    named = {theirs[name]: value for name, value in options.items()}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = museval.metrics.bss_eval(*signals, window=window, hop=hop, filters_len=taps, **named)
    found = bss_eval_v4(estimate, reference, window, hop, taps=taps, **options)
    for ratio, value in zip(RATIOS, expected, strict=False):
        torch.testing.assert_close(getattr(found, ratio), torch.from_numpy(value), rtol=0, atol=1e-6, equal_nan=True)
    order = expected[4] if options.get("framewise") else expected[4][:, 0]
    assert found.permutation.tolist() == order.tolist()


def scene(sources: int, channels: int, samples: int = 3100) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimates with some of everything that is measured, and references."""
    reference = torch.randn(sources, channels, samples)
    return reference.roll(1, -1) + 0.3 * reference.flip(0) + 0.2 * torch.randn_like(reference), reference


@pytest.mark.parametrize("sources", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("window", "hop"), [(1000, 1000), (1000, 400), (3100, 3100), (5000, 5000)])
def test_noise(sources: int, channels: int, window: int, hop: int) -> None:
    assert_equal_to_museval(*scene(sources, channels), window, hop)


@pytest.mark.parametrize("options", [["sources"], ["permute"], ["framewise"], ["framewise", "permute"], ["sources", "permute"]])
def test_other_definitions(options: list[str]) -> None:
    estimate, reference = scene(2, 2)
    assert_equal_to_museval(estimate.flip(0), reference, 1000, 1000, **dict.fromkeys(options, True))


def test_512_taps() -> None:
    assert_equal_to_museval(*scene(2, 1, 6000), 2000, 2000, taps=512)


@pytest.mark.parametrize(
    "case",
    ["silent reference", "silent estimate", "opposed channels", "correlated", "copied channels", "silent channel", "16 bits"],
)
def test_odd_signals(case: str) -> None:
    estimate, reference = scene(2, 2)
    if case == "silent reference":
        reference[1, :, 900:2100] = 0
    elif case == "silent estimate":
        estimate[0, :, 1000:2000] = 0
    elif case == "opposed channels":
        reference[0, 1, 1000:2000] = -reference[0, 0, 1000:2000]
    elif case == "correlated":
        reference[1] = 0.98 * reference[0] + 0.02 * reference[1]
    elif case == "copied channels":
        reference[:, 1] = reference[:, 0]
    elif case == "silent channel":
        reference[1, 0] = 0
    elif case == "16 bits":  # music has next to nothing in its highest octave
        reference = (1000 * torch.nn.functional.avg_pool1d(reference, 8, 1, ceil_mode=True)).round() / 2**15
        estimate = estimate[..., : reference.shape[-1]] / 30
    assert_equal_to_museval(estimate, reference, 1000, 1000)


def test_a_reference_that_is_silent_throughout_is_refused_there_and_undefined_here() -> None:
    museval = package()
    estimate, reference = scene(2, 1)
    reference[1] = 0
    with pytest.raises(ValueError, match="non-silent"):
        museval.evaluate(reference.transpose(1, 2).numpy(), estimate.transpose(1, 2).numpy(), win=1000, hop=1000)
    assert bss_eval_v4(estimate, reference, 1000).sdr.isnan().all()


def test_a_named_mixture_is_scored_as_a_track_of_museval() -> None:
    museval = package()
    names, rate = ["drums", "vocals", "other"], 2500
    estimate, reference = scene(3, 1, 6000)
    mixture = reference.sum(0)
    signals = dict(zip(names, zip(reference, estimate, strict=True), strict=True))
    signals["accompaniment"] = (reference[[0, 2]].sum(0), estimate[[0, 2]].sum(0))

    class Track:
        name, subset = "track", "test"

        class Audio:
            def __init__(self, audio: torch.Tensor) -> None:
                self.audio = audio.T.double().numpy()

    track = Track()
    track.rate = rate
    track.targets = {name: Track.Audio(pair[0]) for name, pair in signals.items()}
    scores = museval.eval_mus_track(track, {name: pair[1].T.double().numpy() for name, pair in signals.items()}).scores
    expected = {target["name"]: target["frames"] for target in scores["targets"]}
    metrics = [f"bsseval_v4_{ratio}" for ratio in RATIOS]
    found = evaluate(mixture, reference, estimate, rate, metrics, permute=False, names=names)
    assert found.accompaniment is not None
    frames = dict(zip([*names, "accompaniment"], [*found.frames, found.accompaniment[1]], strict=True))
    assert list(expected) == ["drums", "other", "vocals", "accompaniment"]
    for name, measured in frames.items():
        for ratio in RATIOS:
            values = [float(frame["metrics"][ratio.upper()]) for frame in expected[name]]
            assert measured[f"bsseval_v4_{ratio}"] == pytest.approx(values, abs=1e-4)


def test_museval_reads_our_files(tmp_path: Path) -> None:
    museval = package()
    for track, shift in (("one", 0.0), ("two", 4.0)):
        measured = {f"bsseval_v4_{ratio}": [shift + i, shift + i + 1, math.nan] for i, ratio in enumerate(RATIOS)}
        content = as_museval({"vocals": measured, "accompaniment": measured})
        store = museval.TrackStore(track)
        store.scores = content
        store.validate()
        files.write_json(tmp_path / "scores" / "test" / "museval" / f"{track}.json", content)
    store = museval.EvalStore()
    store.add_eval_dir(tmp_path / "scores")
    found = store.agg_frames_tracks_scores().unstack()
    assert sorted(store.df["track"].unique()) == ["one", "two"]
    assert found.loc["vocals"].to_dict() == {"SDR": 2.5, "ISR": 3.5, "SIR": 4.5, "SAR": 5.5}


@pytest.fixture(scope="module")
def excerpt(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The stems (C, T) that museval's figures were made of: all AAC frames but the two of priming, as 16 bits."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    found = {}
    for number, name in enumerate(STEMS):
        path = tmp_path_factory.mktemp("stems") / f"{name}.wav"
        source = shared_data / "musdb18" / "MUSDB18-7-SAMPLE" / "train" / f"{TRACK}.stem.mp4"
        command = ["ffmpeg", "-v", "error", "-ignore_editlist", "1", "-i", source, "-map", f"0:{number}"]
        subprocess.run([*command, "-c:a", "pcm_s16le", path], check=True)
        found[name] = torch.from_numpy(soundfile.read(path, start=2048)[0].T)
    return found


def published_scene(excerpt: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """White noise as estimates, then vocals and accompaniment, as in the regression test of museval."""
    accompaniment = excerpt["drums"] + excerpt["bass"] + excerpt["other"]
    random = np.random.RandomState(0)
    estimate = torch.stack([torch.from_numpy(random.random_sample(accompaniment.T.shape)).T for _ in range(2)])
    return estimate, torch.stack([excerpt["vocals"], accompaniment])


@pytest.mark.real
def test_published_figures(shared_data: Path, excerpt: dict[str, torch.Tensor]) -> None:
    published = json.loads((shared_data / "musdb18" / f"museval_expected_{TRACK}.json").read_text())["targets"]
    expected = {
        ratio: torch.tensor([[float(frame["metrics"][ratio.upper()]) for frame in target["frames"]] for target in published])
        for ratio in RATIOS
    }
    estimate, reference = published_scene(excerpt)
    assert reference.shape == (2, 2, 300_032)
    found = bss_eval_v4(estimate, reference, 44_100)
    for ratio in RATIOS:
        torch.testing.assert_close(getattr(found, ratio).float(), expected[ratio], rtol=0, atol=2e-5)

    # What a decoder makes that stops where the file says the sound ends, 152 samples earlier: SDR is the same, and no other
    shorter = bss_eval_v4(estimate[..., :299_880], reference[..., :299_880], 44_100)
    assert (shorter.sdr - expected["sdr"]).abs().max() < 2e-5
    assert (shorter.sir - expected["sir"]).abs().max() > 10
    assert (shorter.sar - expected["sar"]).abs().max() > 10
