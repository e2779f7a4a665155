"""Names in one row of bytes: found by number and by name, as in a list and a dictionary."""

import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.names import Names


@given(st.lists(st.text(max_size=5), max_size=20), st.text(max_size=5))
def test_they_are_a_list_and_a_dictionary(names: list[str], other: str) -> None:
    found = pickle.loads(pickle.dumps(Names(iter(names))))
    assert list(found) == names
    assert len(found) == len(names)
    assert [found[number] for number in range(len(names))] == names
    assert [found.find(name) for name in names] == [names.index(name) for name in names]
    assert (other in found) == (other in names)
    with pytest.raises(IndexError):
        found[len(names)]


def test_names_of_one_sum_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "crc32", lambda name: len(name))
    found = Names(["b", "a", "cc", "c"])
    assert [found.find(name) for name in ("a", "b", "c", "cc", "d")] == [1, 0, 3, 2, None]
