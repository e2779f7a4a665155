"""Metrics of pitch curves: what right, wrong, unvoiced and octave-shifted frames count."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.log import UserError
from toolkit.metrics import melody

NAMES = ["rpa@50", "rca@50", "oa@50", "octave_errors@50", "octave_difference", "voicing_recall", "voicing_false_alarm"]


def scores(reference: list[float], estimate: list[float], **options) -> dict[str, float]:
    """Of curves with a value every 10 ms."""
    times = np.arange(len(reference)) / 100
    return melody.evaluate(melody.align(times, np.array(reference), times, np.array(estimate), **options), NAMES)


def raised(hertz: float, cents: float) -> float:
    return hertz * 2 ** (cents / 1200)


def test_the_truth_is_perfect():
    curve = [0.0, 220.0, 230.0, 0.0, 440.0]
    perfect = {"rpa@50": 1, "rca@50": 1, "oa@50": 1, "octave_errors@50": 0, "octave_difference": 0}
    assert scores(curve, curve) == perfect | {"voicing_recall": 1, "voicing_false_alarm": 0}


def test_each_kind_of_frame():
    """Right, an octave too high, a fifth off, wrong by 49 and by 51 cents, missed; of those without pitch one is right."""
    reference = [200.0, 200.0, 200.0, 200.0, 200.0, 200.0, 0.0, 0.0]
    estimate = [200.0, 400.0, 300.0, raised(200, 49), raised(200, -51), 0.0, 0.0, 100.0]
    found = scores(reference, estimate)
    assert found["rpa@50"] == pytest.approx(2 / 6)
    assert found["rca@50"] == pytest.approx(3 / 6)
    assert found["octave_errors@50"] == pytest.approx(1 / 6)
    assert found["octave_difference"] == pytest.approx(1 / 6)
    assert found["oa@50"] == pytest.approx(3 / 8)
    assert found["voicing_recall"] == pytest.approx(5 / 6)
    assert found["voicing_false_alarm"] == pytest.approx(1 / 2)


def test_a_negative_frequency_is_a_pitch_that_is_not_believed():
    found = scores([200.0, 200.0], [200.0, -200.0])
    assert found["rpa@50"] == 1
    assert found["oa@50"] == found["voicing_recall"] == 0.5


def test_the_tolerance_is_in_cents():
    times = np.array([0.0, 0.01])
    curves = melody.align(times, np.array([200.0, 200.0]), times, np.array([raised(200, 30), raised(200, 20)]))
    found = melody.evaluate(curves, ["rpa@50", "rpa@25", "rpa@10"])
    assert found == {"rpa@50": 1, "rpa@25": 0.5, "rpa@10": 0}


def test_estimates_are_interpolated_in_cents_and_end_where_they_end():
    times = torch.tensor([0.0, 0.02, 0.04])
    curves = melody.align(np.arange(7) / 100, np.full(7, 200.0), times, torch.tensor([100.0, 400.0, 0.0]))
    assert (10 * 2 ** (curves.estimated_cents / 1200)).tolist() == pytest.approx([100, 200, 400, 400, 10, 10, 10], rel=1e-6)
    assert curves.estimated_voicing.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert curves.voicing.tolist() == [1] * 7


def test_confidences_weigh():
    found = scores([200.0, 200.0, 0.0], [200.0, 200.0, 150.0], voicing=np.array([0.75, 0.25, 0.1]))
    assert found["voicing_recall"] == pytest.approx(0.5)
    assert found["voicing_false_alarm"] == pytest.approx(0.1)
    assert found["oa@50"] == pytest.approx((0.75 + 0.25 + 0.9) / 3)
    assert found["rpa@50"] == 1


@pytest.mark.parametrize("octaves", [-2, -1, 1, 3])
def test_octaves_are_counted_with_their_sign(octaves):
    found = scores([300.0, 250.0], [raised(300, 1200 * octaves + 40), raised(250, 1200 * octaves - 40)])
    assert found["octave_difference"] == octaves
    assert (found["rpa@50"], found["rca@50"], found["octave_errors@50"]) == (0, 1, 1)


@given(st.lists(st.tuples(st.floats(50, 2000), st.floats(50, 2000)), min_size=1, max_size=20), st.floats(-1000, 1000))
def test_transposing_both_changes_nothing(frames, cents):
    reference, estimate = zip(*frames, strict=True)
    plain = melody.align(*2 * [np.arange(len(frames)), np.array(reference)])._replace(
        estimated_cents=1200 * np.log2(np.array(estimate) / 10)
    )
    if (np.abs(np.mod(melody._apart(plain) + 50, 100)) < 1e-6).any():  # on the edge of a tolerance or an octave
        return
    moved = plain._replace(cents=plain.cents + cents + 4000, estimated_cents=plain.estimated_cents + cents + 4000)
    assert melody.evaluate(plain, NAMES) == pytest.approx(melody.evaluate(moved, NAMES))
    assert melody.raw_pitch_accuracy(plain) <= melody.raw_chroma_accuracy(plain) <= 1


def test_recordings_may_be_pooled():
    times = np.arange(4) / 100
    right = melody.align(times, np.full(4, 200.0), times, np.full(4, 200.0))
    wrong = melody.align(times[:1], np.full(1, 200.0), times[:1], np.full(1, 300.0))
    assert melody.raw_pitch_accuracy(melody.pooled([right, wrong])) == pytest.approx(0.8)


def test_without_pitch_there_is_nothing_to_find():
    found = scores([0.0, 0.0], [100.0, 0.0])
    assert (found["rpa@50"], found["rca@50"], found["oa@50"], found["voicing_recall"]) == (0, 0, 0.5, 1)
    assert scores([100.0], [100.0])["voicing_false_alarm"] == 0


def test_an_unknown_metric_is_told_with_its_neighbour():
    with pytest.raises(UserError, match="did you mean 'voicing_recall'"):
        melody.check_names(["voicing_recal"])
    with pytest.raises(UserError, match="a tolerance in cents, such as rpa@50"):
        melody.check_names(["rpa"])
    with pytest.raises(UserError, match="no such metric"):
        melody.check_names(["voicing_recall@50"])


@pytest.mark.parametrize(
    ("times", "hertz", "options", "told"),
    [
        ([], [], {}, "at least one frame"),
        ([0.0, 0.0], [1.0, 1.0], {}, "times that rise"),
        ([0.0, 1.0], [1.0], {}, "as many times as values"),
        ([0.0, 1.0], [1.0, np.nan], {}, "finite"),
        ([0.0, 1.0], [1.0, 1.0], {"voicing": np.array([0.0, 2.0])}, "from 0 to 1"),
    ],
)
def test_what_is_no_curve_is_refused(times, hertz, options, told):
    with pytest.raises(ValueError, match=told):
        melody.align(np.array([0.0]), np.array([100.0]), np.array(times), np.array(hertz), **options)
