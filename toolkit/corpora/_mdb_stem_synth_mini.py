"""A small MDB-stem-synth of synthetic instruments and voices in the layout of the corpus, its annotations the true curves."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit import audio, files, progress
from toolkit.dsp import band, players, voices
from toolkit.dsp.voices import Performed

RATE = 44100  # Hz
HOP = 128  # samples, of the annotated frames
SECONDS = 7.0
LEAD, TAIL = 0.25, 0.2  # seconds of near silence before and after the music


class Stem(NamedTuple):
    """A stem of the mini corpus: file, instrument (`voice`: a singer) and length."""

    name: str
    instrument: str
    seconds: float = SECONDS


STEMS = (
    Stem("TheOscillators_FirstLight_STEM_01", "violin"),
    Stem("TheOscillators_FirstLight_STEM_02", "cello"),
    Stem("TheOscillators_SlowEnvelope_STEM_03", "voice"),
    Stem("DelayLine_NightBus_STEM_01", "flute"),
    Stem("DelayLine_NightBus_STEM_04", "trumpet", seconds=3.3),  # shorter than the others
    Stem("CarrierWave_Sidebands_STEM_02", "clarinet"),
    Stem("CarrierWave_Sidebands_STEM_05", "voice"),
    Stem("Grants_Sketch_STEM_01", "horn"),  # artists of the corpus's other splits
    Stem("StevenClark_Study_STEM_02", "voice"),
    Stem("LizNelson_Etude_STEM_01", "voice"),
    Stem("Creepoid_Canon_STEM_02", "violin"),
    Stem("AimeeNorwich_Round_STEM_11", "clarinet"),
)


def write(folder: Path, seed: int) -> None:
    """Write `audio_stems` and `annotation_stems` below `folder`."""
    for number, stem in enumerate(progress.track(STEMS, "stems of the mini corpus")):
        played = _play(stem, np.random.default_rng([9, seed, number]))
        audio.write(folder / "audio_stems" / f"{stem.name}.RESYN.wav", played.samples[None], RATE)
        rows = (f"{place * HOP / RATE:.6f},{hz:.6f}\n" for place, hz in enumerate(played.f0[::HOP]))
        files.write_text(folder / "annotation_stems" / f"{stem.name}.RESYN.csv", "".join(rows))


def _play(stem: Stem, rng: np.random.Generator) -> Performed:
    singer = int(rng.integers(1000))
    low = voices.speaker(singer).pitch if stem.instrument == "voice" else players.PLAYERS[stem.instrument].low
    notes = band.solo(rng, low, LEAD, stem.seconds - TAIL)
    if stem.instrument == "voice":
        return voices.perform(singer, notes, stem.seconds, RATE)
    return players.play(stem.instrument, notes, stem.seconds, RATE, rng)
