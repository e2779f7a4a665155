"""A configuration's data names say what has to be prepared."""

import pytest

from toolkit.corpora._names import wanted_mixtures
from toolkit.log import UserError


def test_names_say_speakers_rate_and_mode() -> None:
    names = ["wsj0-2mix/8k/min/tr", "wsj0-3mix/8k/min/cv", "wsj0/8k/tr"]
    assert wanted_mixtures(names, "wsj0-{}mix") == {"speakers": [2, 3], "sample_rate": 8000, "mode": "min"}
    assert wanted_mixtures(["libri2mix/16k/max/dev"], "libri{}mix") == {"speakers": [2], "sample_rate": 16000, "mode": "max"}


def test_names_of_something_else_ask_for_nothing() -> None:
    assert wanted_mixtures(["musdb18/train"], "wsj0-{}mix") == {}


def test_two_rates_at_once_are_refused() -> None:
    with pytest.raises(UserError, match="expected one sample rate and one mode"):
        wanted_mixtures(["wsj0-2mix/8k/min/tr", "wsj0-2mix/16k/min/cv"], "wsj0-{}mix")
