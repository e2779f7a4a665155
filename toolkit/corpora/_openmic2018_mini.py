"""A small OpenMIC-2018 of synthetic music, in the archive's layout: sound, ratings, features and lists."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from toolkit import audio, files, progress
from toolkit.corpora import _openmic2018_ogg
from toolkit.corpora._openmic2018 import EMBEDDINGS, FRAMES, PARTITIONS, RATE, TAGS
from toolkit.dsp.ensemble import play
from toolkit.dsp.resample import resample
from toolkit.models.vggish import PatchProjection

CLIPS = {"train": 44, "test": 16}
COMMON = ("bass", "drums", "flute", "mallet_percussion", "piano", "synthesizer", "trumpet", "violin")  # the others are rare
RARE_TIMES = {"train": 2, "test": 1}  # clips in which a rare instrument plays
COMMON_A_CLIP = 1.3
RATED = 8  # tags of a clip
AMBIGUOUS = {"train": 3, "test": 1}  # clips of which a rating is exactly .5
SHORT, EMPTY = 5, 9  # number of the training clip that has 4 s only, of that whose file is empty
SHORT_SECONDS = 4.0
ARTISTS = ("The Oscillators", "Delay Line", "Übertöne og Søn", "初音リング", "Carrier Wave")
COLUMNS = (
    "track_id,album_id,album_title,album_url,artist_id,artist_name,artist_url,artist_website,license_image_file,"
    "license_image_file_large,license_parent_id,license_title,license_url,tags,track_bit_rate,track_comments,"
    "track_composer,track_copyright_c,track_copyright_p,track_date_created,track_date_recorded,track_disc_number,"
    "track_duration,track_explicit,track_explicit_notes,track_favorites,track_file,track_genres,track_image_file,"
    "track_information,track_instrumental,track_interest,track_language_code,track_listens,track_lyricist,"
    "track_number,track_publisher,track_title,track_url,sample_key,start_time"
)


class Rating(NamedTuple):
    """What some workers said of an instrument in a clip, and what was made of it."""

    tag: str
    relevance: float
    responses: list[dict[str, Any]]


class Clip(NamedTuple):
    """A clip of the mini corpus."""

    key: str
    split: str
    seconds: float
    instruments: list[str]
    ratings: list[Rating]


def write(folder: Path, seed: int) -> None:
    """Write the corpus to `folder`."""
    clips = compose(seed)
    projection = PatchProjection()
    features, hashes = [], []
    for number, clip in enumerate(progress.track(clips, "clips of the mini corpus")):
        path = folder / "audio" / clip.key[:3] / f"{clip.key}.ogg"
        samples = play(clip.instruments, clip.seconds, RATE, 1000 * seed + number)
        _openmic2018_ogg.write(path, samples.T, RATE)
        mono = resample(audio.read_array(path).mean(axis=0, keepdims=True), RATE, projection.sample_rate)
        whole = np.zeros((1, FRAMES * projection.sample_rate // RATE), np.float32)
        whole[:, : mono.shape[1]] = mono[:, : whole.shape[1]]
        features.append(projection.compute(torch.from_numpy(whole))[0].numpy())
        times = [round(0.96 * frame, 2) for frame in range(EMBEDDINGS[0])]
        published = path.with_suffix(".json").relative_to(folder / "audio")
        files.write_text(folder / "vggish" / published, json.dumps({"time_points": times, "features": features[-1].tolist()}))
        hashes.append((files.md5(path), files.md5(folder / "vggish" / published)))
        if number == EMPTY:
            path.write_bytes(b"")
    _write_tables(folder, clips)
    _write_archive(folder / "openmic-2018.npz", clips, np.stack(features))
    for place, kind in enumerate(("audio", "vggish")):
        rows = ([clip.key, both[place]] for clip, both in zip(clips, hashes, strict=True))
        _write_csv(folder / "checksums" / f"openmic-2018-{kind}.csv", ["", "md5"], rows)


def compose(seed: int) -> list[Clip]:
    """The clips, sorted by key: who plays, and what workers say of it.

    In train and in test every tag has a clip in which it is rated present, and one in which it is rated absent.
    """
    rng = random.Random(seed)
    clips: list[Clip] = []
    for split in CLIPS:
        played = _instruments(split, rng)
        for index, (instruments, tags) in enumerate(zip(played, _rated(played, rng), strict=True)):
            number = len(clips)
            key = f"{7 + 137 * number:06d}_{3840 * (1 + number % 7)}"
            unclear = next((tag for tag in instruments if tag in COMMON), None) if index < AMBIGUOUS[split] else None
            ratings = [_rate(tag, tag in instruments, tag == unclear, rng) for tag in sorted(tags)]
            seconds = SHORT_SECONDS if number == SHORT else FRAMES / RATE
            clips.append(Clip(key, split, seconds, instruments, ratings))
    return clips


def _instruments(split: str, rng: random.Random) -> list[list[str]]:
    """What plays in each clip: common instruments dealt to all, rare ones to some."""
    count = CLIPS[split]
    clips: list[list[str]] = [[] for _ in range(count)]
    rare = [tag for tag in TAGS if tag not in COMMON] * RARE_TIMES[split]
    rng.shuffle(rare)
    for number, tag in enumerate(rare):
        clips[number].append(tag)
    order = list(range(count))[::-1]  # clips without a rare one first
    deal = _Deck(COMMON, rng)
    for turn in range(round(COMMON_A_CLIP * count)):
        clips[order[turn % count]].append(deal.draw(clips[order[turn % count]]))
    rng.shuffle(clips)
    return clips


def _rated(played: Sequence[list[str]], rng: random.Random) -> list[list[str]]:
    """Which tags are rated in each clip: all that play, and others in turn."""
    deal = _Deck(TAGS, rng)
    rated = [list(instruments) for instruments in played]
    for tags in rated:
        while len(tags) < RATED:
            tags.append(deal.draw(tags))
    return rated


class _Deck:
    """Cards that are dealt one after the other, and shuffled anew when they have run out."""

    def __init__(self, cards: Sequence[str], rng: random.Random) -> None:
        self.cards, self.rng, self.left = cards, rng, list[str]()

    def draw(self, without: Iterable[str]) -> str:
        """The next card that is not among `without`."""
        refused = set(without)
        while not any(card not in refused for card in self.left):
            self.left += self.rng.sample(list(self.cards), len(self.cards))
        return self.left.pop(next(place for place, card in enumerate(self.left) if card not in refused))


def _rate(tag: str, present: bool, unclear: bool, rng: random.Random) -> Rating:
    """Three workers, one of whom may be wrong; where it is unclear, two of equal trust who disagree.

    The aggregate is as published: with the trust in the majority over all trust, c, it is (1 + c) / 2 or (1 - c) / 2.
    """
    said = [True, False] if unclear else [present] * 3
    if not unclear and rng.random() < 0.2:
        said[rng.randrange(3)] = not present
    trust = [round(rng.uniform(0.7, 1.0), 4) for _ in said]
    if unclear:
        trust = trust[:1] * 2
    confidence = round(sum(t for t, yes in zip(trust, said, strict=True) if yes == present) / sum(trust), 4)
    relevance = 0.5 if unclear else 0.5 * (1 + confidence if present else 1 - confidence)
    responses = [
        {"worker_id": f"{rng.getrandbits(32):08x}", "worker_trust": t, "channel": "a163", "response": float(yes)}
        for t, yes in zip(trust, said, strict=True)
    ]
    return Rating(tag, relevance, responses)


def _write_tables(folder: Path, clips: Sequence[Clip]) -> None:
    """Lists, tables, class map and notices."""
    for split, names in PARTITIONS.items():
        files.write_text(folder / "partitions" / names[0], "".join(f"{c.key}\n" for c in clips if c.split == split))
    rated = [(clip.key, rating) for clip in clips for rating in clip.ratings]
    _write_csv(
        folder / "openmic-2018-aggregated-labels.csv",
        ["sample_key", "instrument", "relevance", "num_responses"],
        ([key, rating.tag, rating.relevance, len(rating.responses)] for key, rating in rated),
    )
    _write_csv(
        folder / "openmic-2018-individual-responses.csv",
        ["sample_key", "worker_id", "worker_trust", "channel", "instrument", "response"],
        (
            [key, said["worker_id"], said["worker_trust"], said["channel"], rating.tag, said["response"]]
            for key, rating in rated
            for said in rating.responses
        ),
    )
    columns = COLUMNS.split(",")
    known = (_metadata(number, clip) for number, clip in enumerate(clips))
    _write_csv(folder / "openmic-2018-metadata.csv", columns, ([row.get(name, "") for name in columns] for row in known))
    files.write_json(folder / "class-map.json", {tag: column for column, tag in enumerate(TAGS)})
    files.write_text(folder / "acknowledgement.md", "# Acknowledgement\n\nSynthetic music in the layout of OpenMIC-2018.\n")
    files.write_text(folder / "license-cc-by.txt", "Made by a program from numbers: no rights are claimed.\n")


def _metadata(number: int, clip: Clip) -> dict[str, Any]:
    track, start = clip.key.split("_")
    return {
        "track_id": int(track),
        "album_title": "Mini",
        "artist_id": number % len(ARTISTS),
        "artist_name": ARTISTS[number % len(ARTISTS)],
        "license_title": "Attribution 4.0 International",
        "tags": "[]",
        "track_genres": "[]",
        "track_title": f"Study No. {number + 1}",
        "sample_key": clip.key,
        "start_time": int(start) / 1000,
    }


def _write_archive(path: Path, clips: Sequence[Clip], features: np.ndarray) -> None:
    """`openmic-2018.npz`, with 0.5 wherever nothing was rated."""
    labels, mask = np.full((len(clips), len(TAGS)), 0.5), np.zeros((len(clips), len(TAGS)), bool)
    for row, clip in enumerate(clips):
        for rating in clip.ratings:
            labels[row, TAGS.index(rating.tag)] = rating.relevance
            mask[row, TAGS.index(rating.tag)] = True
    with files.atomic(path) as partial:
        keys = np.array([clip.key for clip in clips])
        np.savez(partial, X=features.astype(np.int64), Y_true=labels, Y_mask=mask, sample_key=keys)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    files.write_text(path, text.getvalue())
