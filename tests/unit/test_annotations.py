"""Annotations of the fundamental frequency: files of times and frequencies."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.annotations import F0, read_f0
from toolkit.log import UserError


def test_a_curve_with_spaces_or_commas(tmp_path: Path) -> None:
    spaces, commas = tmp_path / "f0.txt", tmp_path / "f0.csv"
    spaces.write_text("0.023\t0.00\n0.033\t440.125\n0.043\t441\n")
    commas.write_text("0.023,0.00\n0.033,440.125\n0.043,441\n")
    assert read_f0(spaces) == read_f0(commas) == F0(0.023, 0.01, [0.0, 440.125, 441.0])


def test_times_do_not_drift(tmp_path: Path) -> None:
    """Frames of 128 samples at 44.1 kHz, told in millionths of a second, for an hour."""
    path, frames = tmp_path / "f0.csv", 3600 * 44100 // 128
    path.write_text("".join(f"{frame * 128 / 44100:.6f},0\n" for frame in range(0, frames, 100)))
    f0 = read_f0(path)
    assert len(f0.hz) * f0.step == pytest.approx(len(f0.hz) * 12800 / 44100, abs=1e-4)


@pytest.mark.real
def test_real_curves(shared_data: Path) -> None:
    folder = shared_data / "mirdata_samples"
    sung = read_f0(folder / "vocadito/Annotations/F0/vocadito_1_f0.csv")
    assert (len(sung.hz), sum(hz > 0 for hz in sung.hz)) == (5722, 3642)
    assert sung.step == pytest.approx(256 / 44100, abs=1e-9)
    played = read_f0(next((folder / "mdb_stem_synth/annotation_stems").iterdir()))
    assert (len(played.hz), sum(hz > 0 for hz in played.hz)) == (1034, 778)
    assert played.step == pytest.approx(128 / 44100, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found 0 lines"),
        ("0.1 one\n", "cannot read the annotation"),
        ("0.1 440 1\n", "lines of 2 numbers, found 1 lines of 3"),
        ("0.1 nan\n", "lines of 2 numbers"),
        ("0.1 -3\n", "expected frequencies"),
        ("0.1 440\n0.11 440\n0.2 440\n", "equally spaced"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_damaged_annotations(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "f0.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_f0(path)


@given(begin=st.floats(0, 2), length=st.floats(0, 2))
def test_a_part_of_a_curve_keeps_its_times(begin: float, length: float) -> None:
    whole = F0(0.023, 0.01, [float(place) for place in range(150)])
    part = whole.between(begin, begin + length)
    for time, value in zip(part.times, part.hz, strict=True):
        assert -1e-5 <= time < length + 1e-5
        assert time + begin == pytest.approx(0.023 + 0.01 * value, abs=1e-5)
    inside = [k for k in range(150) if begin + 1e-6 < 0.023 + 0.01 * k < begin + length - 1e-6]
    assert abs(len(part.hz) - len(inside)) <= 1
