"""Tunes in ABC notation: collections, bars of notes, and a generated collection in the files of Nottingham's."""

from fractions import Fraction

import pytest

from toolkit.corpora import _nottingham as nottingham
from toolkit.corpora import _nottingham_mini as mini
from toolkit.data import abc
from toolkit.data.abc_music import Note, bars, full_bars, key_signature
from toolkit.log import UserError

COLLECTION = """% a remark
X: 1
T:The First
T:Its other name
M:6/8
K:D
A|:"D"dcd \\
"A"FAB|"G"d3 "A"B3:| % the end
|:[1"D"d6:|[2"D"d3 d2||

M:3/4
K:G
"G"GBd|

X: 2
T:No music
K:G

X: 3
T:No key
M:4/4

X: 4
T:Broken on a field
M:2/4
L:1/4
K:C
C D|\\
K:F
B A|
D:|
"""


def tune(body: str, meter: str = "4/4", key: str = "C", unit: str | None = "1/8") -> abc.Tune:
    fields = {"M": [meter], "K": [key]} | ({"L": [unit]} if unit else {})
    return abc.Tune("test", fields, body)


def pitches(body: str, **options) -> list[tuple[int, ...]]:
    return [note.pitches for bar in bars(tune(body, **options)) for note in bar.notes]


def durations(body: str, **options) -> list[Fraction]:
    return [note.duration for bar in bars(tune(body, **options)) for note in bar.notes]


def test_a_collection_is_taken_apart():
    found = abc.parse(COLLECTION, "some.abc")
    first, last = found.tunes
    assert (first.origin, first.title, first.meter, first.key) == ("some.abc/1", "The First", "6/8", "D")
    assert first.fields["T"] == ["The First", "Its other name"]
    assert first.body.split("\n")[0] == 'A|:"D"dcd "A"FAB|"G"d3 "A"B3:|'
    assert found.skipped == ["some.abc/2: no music", "some.abc/3: no key (K:)"]
    assert last.body == "C D|\nK:F\nB A|\nD:|"  # a field keeps its line, and a note before a repeat is none


def test_what_a_language_model_reads():
    first, last = abc.parse(COLLECTION).tunes
    assert first.text(chords=False).split("\n")[:3] == ["M:6/8", "K:D", "A|:dcd FAB|d3 B3:|"]
    assert last.text(["K"]).startswith("K:C\nC D|\n")
    assert abc.parse(f"X:1\n{last.text()}").tunes[0]._replace(origin="", fields={}) == last._replace(origin="", fields={})


def test_files_are_read(tmp_path):
    (tmp_path / "a.abc").write_bytes("X:1\nT:Zoë\nK:G\nGBd|\n".encode("latin-1"))
    (tmp_path / "b.abc").write_bytes("X:1\r\nT:Zoë\r\nK:G\r\nGBd|\r\n".encode())
    tunes = abc.read([tmp_path / "a.abc", tmp_path / "b.abc"]).tunes
    assert [one.title for one in tunes] == ["Zoë", "Zoë"]
    assert tunes[0].body == tunes[1].body
    with pytest.raises(UserError, match="no such file of tunes"):
        abc.read([tmp_path / "c.abc"])
    (tmp_path / "c.abc").write_text("nothing")
    with pytest.raises(UserError, match="no tune in"):
        abc.read([tmp_path / "c.abc"])


def test_tunes_of_one_number_are_told_apart():
    tunes = abc.parse("X:1\nK:G\nGBd|\nX:1\nK:D\ndfa|\nX: 1\nK:C\nceg|\n", "mine.abc").tunes
    assert [one.origin for one in tunes] == ["mine.abc/1", "mine.abc/1-2", "mine.abc/1-3"]


def test_versions_of_a_tune_stay_in_one_split():
    one = abc.Tune("a/1", {"T": ["Soldier's Joy"], "K": ["D"]}, "d|")
    assert abc.split_of(one) == abc.split_of(one._replace(fields={"T": ["SOLDIERS JOY"], "K": ["G"]}, body="g|"))
    splits = [abc.split_of(one._replace(fields={"T": [f"Tune {number}"]})) for number in range(1000)]
    assert splits.count("train") == pytest.approx(800, abs=40)
    assert splits.count("valid") == pytest.approx(100, abs=30)
    assert abc.split_of(one, {"all": 1.0}) == "all"


@pytest.mark.parametrize(
    ("key", "altered"),
    [
        ("C", {}),
        ("G", {"F": 1}),
        ("Bb", {"B": -1, "E": -1}),
        ("F#m", {"F": 1, "C": 1, "G": 1}),
        ("Ador", {"F": 1}),
        ("D mix", {"F": 1}),
        ("E Phrygian", {}),
        ("Cm", {"B": -1, "E": -1, "A": -1}),
        ("G clef=treble", {"F": 1}),
        ("HP", {"F": 1, "C": 1}),
        ("none", {}),
    ],
)
def test_keys(key, altered):
    assert key_signature(key) == altered


def test_pitches():
    assert pitches("C, C c c' z") == [(48,), (60,), (72,), (84,), ()]
    assert pitches("F c ^c c|c =f ^^c __B", key="D") == [(66,), (73,), (73,), (73,), (73,), (77,), (74,), (69,)]
    assert pitches("^cC|C", key="C") == [(73,), (61,), (60,)]  # to the end of the bar, in all octaves
    assert pitches("[CEG]2 {d}c") == [(60, 64, 67), (72,)]
    assert pitches('"Em"B!trill!~B (AB)|[K:F]B') == [(71,), (71,), (69,), (71,), (70,)]


def test_durations():
    eighth = Fraction(1, 8)
    assert durations("C C2 C/ C/2 C// C3/2 Cz") == [
        n * eighth for n in (1, 2, *[Fraction(1, 2)] * 2, Fraction(1, 4), 1.5, 1, 1)
    ]
    assert durations("(3CDE C") == [eighth * 2 / 3] * 3 + [eighth]
    assert durations("(2CD", meter="6/8") == [eighth * 3 / 2] * 2
    assert durations("(3:2:2CDE") == [eighth * 2 / 3] * 2 + [eighth]
    assert durations("C>D E<F") == [eighth * 3 / 2, eighth / 2, eighth / 2, eighth * 3 / 2]
    assert durations("[C2E2]2 [CE]/") == [4 * eighth, eighth / 2]
    assert durations("C", meter="2/4", unit=None) == [Fraction(1, 16)]  # the notation's rule where L: is missing
    assert durations("C", meter="6/8", unit=None) == [eighth]


def test_bars():
    found = bars(tune("A2|:d4 d4|[1d8:|[2d6||\nM:3/4\n||d6|]", meter="C"))
    assert [bar.duration for bar in found] == [Fraction(n, 8) for n in (2, 8, 8, 6, 6)]
    assert [bar.meter for bar in found] == [1, 1, 1, 1, Fraction(3, 4)]
    assert found[0].notes == (Note((69,), Fraction(1, 4)),)
    assert full_bars(tune("A2|:d4 d4|[1d8:|[2d6||\nM:3/4\n||d6|]", meter="C")) == (3, 5)
    assert full_bars(tune("A2|d2", meter="none")) == (0, 0)


class TestNottinghamMini:
    def test_tunes_are_good_music(self):
        for name, text in mini.collection(seed=0, tunes=30).items():
            found = abc.parse(text, name)
            assert len(found.tunes) == 30
            assert len({one.title for one in found.tunes}) == 30
            full, measured = map(sum, zip(*(full_bars(one) for one in found.tunes), strict=True))
            assert full / measured > 0.95
            assert all(note.pitches for one in found.tunes for bar in bars(one) for note in bar.notes)
            assert {min(len(bars(one)), 16) for one in found.tunes} == {16}

    def test_odd_cases_are_there(self):
        texts = mini.collection(seed=0)
        together = "".join(texts.values())
        assert all(part in together for part in ("[2", "\\\n", "ë", "% ", "L:1/4"))
        tunes = [one for name, text in texts.items() for one in abc.parse(text, name).tunes]
        assert any("K:" in one.body for one in tunes)
        assert abc.parse(texts["jigs.abc"], "jigs.abc").skipped == ["jigs.abc/999: no key (K:)"]
        assert {abc.split_of(one) for one in tunes} == {"train", "valid", "test"}

    def test_the_seed_says_all(self, tmp_path):
        mini.write(tmp_path, seed=3, tunes=5)
        files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "ABC_cleaned").iterdir()}
        assert files == mini.collection(seed=3, tunes=5)
        assert files != mini.collection(seed=4, tunes=5)

    def test_the_folder_is_read(self, tmp_path):
        mini.write(tmp_path, seed=0, tunes=4)
        found = nottingham.read_tunes(tmp_path, complete=False)
        assert len(found.tunes) == 12
        assert found == nottingham.read_tunes(tmp_path / "ABC_cleaned", complete=False)
        assert found.tunes[-1].origin == "waltzes.abc/4"
        with pytest.raises(UserError, match=r"expected the 14 files of Nottingham's tunes, found 3, without ashover.abc"):
            nottingham.read_tunes(tmp_path)
        with pytest.raises(UserError, match=r"found none. Next: see egs/nottingham/README\.md"):
            nottingham.read_tunes(tmp_path / "elsewhere", complete=False)
