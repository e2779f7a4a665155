"""Lines of scores to the figures of a table: speakers, named sources, metrics that have a value for each second."""

import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from toolkit import audio
from toolkit.data import manifest
from toolkit.data.manifest import Item
from toolkit.log import UserError
from toolkit.metrics import aggregate_frames
from toolkit.metrics.summary import summarise
from toolkit.score.run import as_museval, museval_names, score, told
from toolkit.tasks.separation import Separation

NAN = math.nan


def test_speakers_have_no_names() -> None:
    rows = [{"metrics": {"si_sdr": value}, "sources": {"s1": {"si_sdr": value + 1}}} for value in (1.0, 2.0, 6.0)]
    assert summarise(rows) == {"si_sdr/mean": 3, "si_sdr/median": 2}


def track(sdr: dict[str, list[float]], nsdr: dict[str, float]) -> dict[str, Any]:
    return {
        "named": ["bass", "vocals"],
        "metrics": {"v4": 0.0, "nsdr": 0.0},
        "sources": {name: {"nsdr": value} for name, value in nsdr.items()},
        "frames": {name: {"v4": values} for name, values in sdr.items()},
    }


def test_named_sources() -> None:
    first = track({"bass": [1, 2, NAN], "vocals": [3, 4, 9], "accompaniment": [7, 7, 7]}, {"bass": 1, "vocals": 3})
    second = track({"bass": [NAN], "vocals": [6], "accompaniment": [9]}, {"bass": NAN, "vocals": 6})
    found = summarise([first, second])
    expected = {
        "nsdr/mean": 2.75,
        "nsdr/mean/bass": 1,
        "nsdr/median/vocals": 4.5,
        "v4/median_of_medians": 3.25,
        "v4/median_of_medians/bass": 1.5,
        "v4/median_of_medians/vocals": 5,
        "v4/median_of_medians/accompaniment": 8,  # beside the sources whose mean counts
        "v4/pooled_median/vocals": 5,
        "v4/pooled_mad/vocals": 1.5,
        "v4/pooled_mean/vocals": 5.5,
        "v4/pooled_sd/vocals": math.sqrt((2.5**2 + 1.5**2 + 3.5**2 + 0.5**2) / 4),
        "v4/pooled_sd": math.sqrt((2.5**2 + 1.5**2 + 3.5**2 + 0.5**2) / 4) / 2 + 0.25,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert not any(key.startswith(("v4/mean", "nsdr/pooled")) for key in found)


def test_what_the_log_tells_of_figures() -> None:
    assert told({"nsdr/mean": 2.75, "nsdr/mean/bass": 1, "nsdr/median": 3}) == "nsdr/mean 2.75"
    assert told({"bits_per_character/winner": 2.9, "bits_per_character/mixture": 3.118}).endswith("/mixture 3.12")


def test_what_was_not_trained_is_not_scored(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no trained experiment \(no config\.yaml\)\. Next: run the stage `train`"):
        score(tmp_path / "exp/other", tmp_path, "test", nj=1)


def test_frames_that_are_all_undefined() -> None:
    assert math.isnan(aggregate_frames([[NAN], []]))
    assert aggregate_frames([[NAN, 2.0], [NAN]]) == 2
    with pytest.raises(UserError, match="did you mean 'pooled_mean'"):
        aggregate_frames([[1.0]], "pool_mean")


def test_a_songs_line(tmp_path: Path) -> None:
    groups, rate = {"vocals": ["vocals"], "rest": ["bass", "drums"]}, 4000
    stems = {stem: 0.1 * torch.randn(2, rate) for stem in ("vocals", "bass", "drums")}
    waves = {**stems, "mixture": sum(stems.values()), "rest": 0.8 * (stems["bass"] + stems["drums"])}
    for name, wave in waves.items():
        audio.write(tmp_path / f"{name}.wav", wave, rate)
    roles = {role: f"{role}.wav" for role in ("mixture", *stems)}
    manifest.write(tmp_path / "test.jsonl", {"root": ".", "name": "test"}, [Item("song", "test", rate, rate, 2, roles)])
    songs = manifest.Manifest.open(tmp_path / "test.jsonl")
    config = SimpleNamespace(data=SimpleNamespace(groups=groups), score=SimpleNamespace(metrics=["nsdr", "bsseval_v4_sdr"]))
    stored = {"audio": {name: f"{name}.wav" for name in ("rest", "vocals")}}  # in any order
    row = Separation.score(cast(Separation, SimpleNamespace(config=config)), songs, next(iter(songs)), stored, tmp_path)
    assert row["named"] == row["assignment"] == ["vocals", "rest"]
    assert list(row["frames"]) == ["vocals", "rest", "accompaniment"]
    perfect = row["sources"]["vocals"]["nsdr"]
    assert perfect > 80
    for name in ("rest", "accompaniment"):
        assert row["frames"][name]["bsseval_v4_sdr"] == pytest.approx([20 * math.log10(1 / 0.2)], abs=1e-2)
    assert list(row["sources"]["accompaniment"]) == ["bsseval_v4_sdr"]
    assert row["sources"]["rest"]["nsdr"] == pytest.approx(row["metrics"]["nsdr"] * 2 - perfect)


def test_musevals_format() -> None:
    measured = {f"bsseval_v4_{ratio}": [1.0, NAN] for ratio in ("sdr", "sir", "sar", "isr")}
    (target,) = as_museval({"vocals": measured})["targets"]
    assert target["name"] == "vocals"
    assert [(frame["time"], frame["duration"]) for frame in target["frames"]] == [(0, 1), (1, 1)]
    assert target["frames"][0]["metrics"] == dict.fromkeys(["SDR", "SIR", "SAR", "ISR"], 1.0)


def test_musevals_files_are_named_after_tracks() -> None:
    assert museval_names(["test/AM Contra - Heart Peripheral", "test/Speak Softly"]) == [
        "AM Contra - Heart Peripheral",
        "Speak Softly",
    ]
    assert museval_names(["live/Speak Softly", "studio/Speak Softly"]) == ["live_Speak Softly", "studio_Speak Softly"]


# Medians of medians of SiSEC 2018, SDR in dB: drums, bass, other, vocals, accompaniment
SISEC = {
    "MIX": (1.33, 0.67, 1.16, 1.12, 6.32),
    "IBM1": (7.09, 5.19, 5.89, 7.67, 10.03),
    "IBM2": (7.26, 5.40, 6.01, 7.74, 8.69),
    "IRM1": (7.33, 6.18, 6.92, 8.52, 14.50),
    "IRM2": (8.45, 7.12, 7.85, 9.43, 15.64),
    "MWF": (8.09, 6.75, 7.56, 9.13, 15.40),
    "TAK1": (6.43, 5.16, 4.15, 6.60, 12.83),
    "TAK2": (6.81, 5.40, 4.80, 7.16, 13.74),
    "TAK3": (6.82, 5.29, 4.40, 6.80, 13.29),
    "TAU1": (6.96, 5.86, 4.73, 7.15, 13.47),
    "UHL1": (5.51, 4.97, 4.03, 5.85, 12.11),
    "UHL2": (5.92, 5.03, 4.19, 5.93, 12.23),
    "UHL3": (6.72, 5.03, 4.43, 6.51, 12.68),
    "STL1": (NAN, NAN, NAN, 4.97, 11.11),
    "STL2": (4.22, 3.21, 2.25, 3.25, NAN),
    "JY3": (4.66, 3.67, 3.40, 5.74, 12.08),
}
OTHER_RATIOS = {  # SIR, SAR, ISR of the vocals
    "MIX": (-5.21, 29.97, 2.49),
    "IBM1": (20.02, 7.60, 21.14),
    "IBM2": (26.53, 7.17, 14.46),
    "IRM1": (17.34, 9.18, 12.38),
    "IRM2": (20.78, 9.51, 16.52),
    "MWF": (20.59, 9.16, 15.96),
}
MEANS = {"MIX": 1.07, "IBM1": 6.46, "IBM2": 6.60, "IRM1": 7.24, "IRM2": 8.22, "MWF": 7.88}


@pytest.mark.real
def test_the_table_of_sisec_2018(shared_data: Path) -> None:
    stems = ["drums", "bass", "other", "vocals"]
    tracks: dict[str, dict[str, dict[str, Any]]] = {}
    with (shared_data / "sisec2018" / "sisec18_track_medians.csv").open(encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            row = tracks.setdefault(line["method"], {}).setdefault(line["track"], {"named": [], "metrics": {}, "frames": {}})
            row["metrics"] = dict.fromkeys(["SDR", "SIR", "SAR", "ISR"], 0.0)
            row["frames"][line["target"]] = {ratio: [float(line[ratio])] for ratio in row["metrics"]}  # one frame: its median
            row["named"] = [stem for stem in stems if stem in row["frames"]]
    found = {method: summarise(list(tracks[method].values())) for method in SISEC}
    for method, expected in SISEC.items():
        assert len(tracks[method]) == 50
        for target, value in zip([*stems, "accompaniment"], expected, strict=True):
            assert found[method].get(f"SDR/median_of_medians/{target}", NAN) == pytest.approx(value, abs=0.0051, nan_ok=True)
    for method, values in OTHER_RATIOS.items():
        for ratio, value in zip(("SIR", "SAR", "ISR"), values, strict=True):
            assert found[method][f"{ratio}/median_of_medians/vocals"] == pytest.approx(value, abs=0.0051)
    for method, mean in MEANS.items():
        assert found[method]["SDR/median_of_medians"] == pytest.approx(mean, abs=0.0051)
