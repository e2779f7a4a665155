"""Subword tokens: text comes back as it was, the vocabulary is the same every time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.corpora import _nottingham_mini as mini
from toolkit.data import abc
from toolkit.data.subwords import BEGIN, END, PAD, SubwordCodec
from toolkit.log import UserError

pytest.importorskip("sentencepiece")


@pytest.fixture(scope="module")
def tunes() -> list[str]:
    return [one.text() for name, text in mini.collection(seed=0, tunes=20).items() for one in abc.parse(text, name).tunes]


@pytest.fixture(scope="module")
def codec(tunes) -> SubwordCodec:
    return SubwordCodec.train(tunes, vocabulary=400)


def test_tunes_come_back_and_take_less(codec, tunes):
    assert len(codec) == 400
    for text in tunes:
        tokens = codec.encode(text, begin=True, end=True)
        assert (tokens[0], tokens[-1]) == (BEGIN, END)
        assert codec.decode(tokens) == text
    assert sum(len(codec.encode(text)) for text in tunes) < 0.7 * sum(map(len, tunes))


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_characters="▁", exclude_categories=["Cs"])))
def test_any_text_comes_back(codec, text):
    assert codec.decode(codec.encode(text)) == text


def test_spaces_need_not_have_been_there():
    assert (codec := SubwordCodec.train(["GBd|gBd|"] * 4, vocabulary=266)).decode(codec.encode(" a  é")) == " a  é"


def test_what_comes_after_the_end_is_not_heard(codec):
    text = "M:6/8\nK:G\nGBd|\n"
    assert codec.decode([BEGIN, *codec.encode(text), END, PAD, *codec.encode("d")]) == text
    assert codec.encode(text).count(codec.pieces().index("\n")) == 3


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_vocabulary_is_learned_once_and_for_all(tunes, kind, tmp_path):
    first, second = (SubwordCodec.train(tunes[:20], vocabulary=300, kind=kind) for _ in range(2))
    assert first.model == second.model
    first.save(tmp_path / "tunes.model")
    assert (tmp_path / "tunes.model").read_bytes() == first.model
    assert SubwordCodec.load(tmp_path / "tunes.model").encode(tunes[0]) == first.encode(tunes[0])


def test_what_subwords_refuse(codec, tmp_path):
    with pytest.raises(UserError, match=r"of 2000 cannot be learned .*: Vocabulary size too high.* Next: .*--model.vocabulary"):
        SubwordCodec.train(["GBd|"], vocabulary=2000)
    with pytest.raises(UserError, match="expected text to learn from, found none"):
        SubwordCodec.train(["\n"])
    with pytest.raises(UserError, match="no such vocabulary"):
        SubwordCodec.load(tmp_path / "tunes.model")
    (tmp_path / "tunes.model").write_bytes(b"something else")
    with pytest.raises(UserError, match="expected a model of sentencepiece"):
        SubwordCodec.load(tmp_path / "tunes.model")
    with pytest.raises(ValueError, match=r"expected text without U\+2581"):
        codec.encode("▁")
