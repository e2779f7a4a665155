"""A small MagnaTagATune of synthetic music: sixteen kinds of pieces, tagged by what plays in them, how fast and how loud."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit import audio, files, progress
from toolkit.corpora import _magnatagatune
from toolkit.corpora._magnatagatune import FOLDERS
from toolkit.dsp import ensemble

RATE = 16000  # Hz, mono, 32 kbit/s, as published
SECONDS = 29.1
PIECE = 9.7  # seconds that are played; the clip repeats them
ENCODING = audio.Encoding("mp3", mp3_bitrate=32, clip_mode="none")

NONE = ("no vocals", "no vocal", "no voice")
SUNG = ("vocal", "vocals", "singing", "voice")
WOMAN = (*SUNG, "female", "woman", "female vocal", "female voice")
MAN = (*SUNG, "male", "man", "male vocal", "male voice")

# The tag columns of annotations_final.csv in their order: keunwoochoi/magnatagatune-list
_COLUMNS = (
    "no voice, singer, duet, plucking, hard rock, world, bongos, harpsichord, female singing, clasical, sitar, chorus, "
    "female opera, male vocal, vocals, clarinet, heavy, silence, beats, men, woodwind, funky, no strings, chimes, foreign, "
    "no piano, horns, classical, female, no voices, soft rock, eerie, spacey, jazz, guitar, quiet, no beat, banjo, electric, "
    "solo, violins, folk, female voice, wind, happy, ambient, new age, synth, funk, no singing, middle eastern, trumpet, "
    "percussion, drum, airy, voice, repetitive, birds, space, strings, bass, harpsicord, medieval, male voice, girl, keyboard, "
    "acoustic, loud, classic, string, drums, electronic, not classical, chanting, no violin, not rock, no guitar, organ, "
    "no vocal, talking, choral, weird, opera, soprano, fast, acoustic guitar, electric guitar, male singer, man singing, "
    "classical guitar, country, violin, electro, reggae, tribal, dark, male opera, no vocals, irish, electronica, horn, "
    "operatic, arabic, lol, low, instrumental, trance, chant, strange, drone, synthesizer, heavy metal, modern, disco, bells, "
    "man, deep, fast beat, industrial, hard, harp, no flute, jungle, pop, lute, female vocal, oboe, mellow, orchestral, viola, "
    "light, echo, piano, celtic, male vocals, orchestra, eastern, old, flutes, punk, spanish, sad, sax, slow, male, blues, "
    "vocal, indian, no singer, scary, india, woman, woman singing, rock, dance, piano solo, guitars, no drums, jazzy, singing, "
    "cello, calm, female vocals, voices, different, techno, clapping, house, monks, flute, not opera, not english, oriental, "
    "beat, upbeat, soft, noise, choir, female singer, rap, metal, hip hop, quick, water, baroque, women, fiddle, english"
)
COLUMNS = tuple(_COLUMNS.split(", "))


class Style(NamedTuple):
    """A kind of piece: name of its track, who plays, beats a minute, peak, tags."""

    name: str
    instruments: tuple[str, ...]
    tempo: float
    level: float
    tags: tuple[str, ...]


class File(NamedTuple):
    """A file of the mini corpus; `cut` leaves so many bytes of it, and if not `tagged` it has none of the fifty tags."""

    id: int
    path: str
    style: Style
    seconds: float = SECONDS
    tagged: bool = True
    cut: int | None = None


STYLES = (
    Style("gut_strings", ("guitar",), 70, 0.2, ("guitar", "classical", "slow", "quiet", "soft", "solo", *NONE)),
    Style(
        "sawtooth",
        ("synthesizer", "drums"),
        140,
        0.9,
        ("techno", "electronic", "synth", "fast", "beat", "beats", "loud", "dance", "drums", *NONE),
    ),
    Style(
        "overdrive",
        ("electric_guitar", "bass", "drums", "male_voice"),
        150,
        0.9,
        ("rock", "guitar", "drums", "fast", "loud", *MAN),
    ),
    Style("feedback", ("electric_guitar", "drums"), 175, 0.95, ("metal", "rock", "guitar", "drums", "fast", "loud", *NONE)),
    Style(
        "long_release",
        ("synthesizer", "strings"),
        60,
        0.25,
        ("ambient", "slow", "electronic", "synth", "quiet", "new age", "soft", *NONE),
    ),
    Style("hammers", ("piano",), 75, 0.35, ("piano", "classical", "classic", "slow", "soft", "solo", *NONE)),
    Style("four_bows", ("violin", "cello", "strings"), 90, 0.5, ("violin", "cello", "strings", "classical", "classic", *NONE)),
    Style("aria", ("female_voice", "strings"), 65, 0.5, ("opera", "classical", "strings", "slow", *WOMAN)),
    Style("five_vowels", ("choir",), 60, 0.4, ("choir", "choral", "classical", "slow", *SUNG)),
    Style("sympathetic_strings", ("sitar", "drums"), 115, 0.7, ("indian", "sitar", "drums", "beat", *NONE)),
    Style("quills", ("harpsichord",), 130, 0.5, ("harpsichord", "classical", "classic", "fast", "solo", *NONE)),
    Style("glissando", ("harp",), 70, 0.25, ("harp", "soft", "quiet", "slow", "new age", *NONE)),
    Style("jet_of_air", ("flute", "harp"), 80, 0.4, ("flute", "harp", "soft", "classical", *NONE)),
    Style("five_string_picking", ("banjo", "bass", "male_voice"), 125, 0.6, ("country", "guitar", *MAN)),
    Style(
        "chorus_pedal",
        ("synthesizer", "bass", "drums", "female_voice"),
        120,
        0.8,
        ("pop", "dance", "drums", "beat", "synth", *WOMAN),
    ),
    Style("inharmonic", ("mallet_percussion", "synthesizer"), 100, 0.6, ("weird", "electronic", "synth", "ambient", *NONE)),
)
VALIDATED = (1, 2, 4, 5, 6, 7, 8, 14)  # styles that `valid` has, too


def plan() -> list[File]:
    """All files: of each style two to train on and one to test on; clips that are odd at the end."""
    found = []
    for number, style in enumerate(STYLES):
        folders = [FOLDERS["train"][number % 12], FOLDERS["train"][(number + 5) % 12], FOLDERS["test"][number % 3]]
        for take, folder in enumerate(folders + ["c"] * (number in VALIDATED)):
            artist = "übertöne" if (number, take) == (6, 0) else "the_oscillators"
            found.append(_file(folder, artist, style, number, take))
    short, untagged, truncated, empty = (STYLES[number] for number in (0, 15, 3, 9))
    return [
        *found,
        _file("3", "delay_line", short, 0, 4)._replace(seconds=12.0),
        _file("7", "delay_line", untagged, 15, 4)._replace(tagged=False),
        _file("8", "delay_line", truncated, 3, 4)._replace(cut=5000),
        _file("6", "delay_line", empty, 9, 4)._replace(cut=0, id=35644, tagged=False),  # as that clip was published
    ]


def write(corpus: Path, seed: int) -> None:
    """Write folders `0` to `f` and the annotations below `corpus`."""
    listed = plan()
    for file in progress.track(listed, "files of the mini corpus"):
        path = corpus / file.path
        if file.cut == 0:
            files.write_text(path, "")
            continue
        music = compose(file, seed)
        with audio.writing(path, music.shape[1], RATE, 1, ENCODING) as put:
            put(music)
        if file.cut is not None:
            path.write_bytes(path.read_bytes()[: file.cut])
    with (
        files.atomic(corpus / _magnatagatune.ANNOTATIONS) as partial,
        partial.open("w", encoding="utf-8", newline="") as stream,
    ):
        table = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow(("clip_id", *COLUMNS, "mp3_path"))
        table.writerows((file.id, *_row(file), file.path) for file in sorted(listed))


def compose(file: File, seed: int) -> np.ndarray:
    """The clip, (1, time): a piece again and again, its tempo and level near those of its style."""
    style = file.style
    rng = np.random.default_rng([7, seed, file.id])
    options = {"tempo": style.tempo * rng.uniform(0.94, 1.06), "level": style.level * rng.uniform(0.9, 1.05)}
    piece = ensemble.play(style.instruments, PIECE, RATE, int(rng.integers(1 << 30)), **options).mean(axis=0)
    length = round(file.seconds * RATE)
    return np.tile(piece, -(-length // len(piece)))[None, :length]


def _row(file: File) -> Iterable[int]:
    tags = file.style.tags if file.tagged else ("strange",)
    return (int(column in tags) for column in COLUMNS)


def _file(folder: str, artist: str, style: Style, number: int, take: int) -> File:
    begin = 29 * take
    path = f"{folder}/{artist}-mini-{number + 1:02d}-{style.name}-{begin}-{begin + 29}.mp3"
    return File(10 * number + take + 1, path, style)
