"""Scores in files, MusicXML, ABC, Humdrum or MIDI, as lists of notes: read and written by music21, an extra (`scores`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit import files
from toolkit.dsp.notes import STEPS, NoteEvent, Notes
from toolkit.log import UserError


def music21() -> Any:
    """The package, which takes half a second to load.

    Raises:
        UserError: it is not installed.
    """
    try:
        import music21 as package
    except ImportError as error:
        raise UserError(f"scores are read by music21, which is not installed ({error}). Next: pip install music21") from error
    return package


def read_score(path: Path | str) -> list[NoteEvent]:
    """The notes of a file, of all voices, in the order of their onsets; see `parse_abc` for what becomes of them.

    Raises:
        UserError: there is no such file, music21 is not installed or does not understand the file.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: expected a score, found no file")
    parser = music21().converter.Converter()
    try:
        parser.parseFileNoPickle(str(path))
        return _notes(parser.stream)
    except Exception as error:  # its readers raise whatever they come upon
        raise _not_understood(str(path), error) from error


def parse_abc(text: str) -> list[NoteEvent]:
    """The notes of a tune in ABC notation: tied ones as one, chord symbols and grace notes left out, repeats not played out.

    Onsets and ends are rounded to steps, a twelfth of a quarter note; no note is shorter than a step.

    Raises:
        UserError: music21 is not installed or does not understand the text.
    """
    parser = music21().converter.Converter()
    try:
        parser.parseData(text, format="abc")
        return _notes(parser.stream)
    except Exception as error:
        raise _not_understood("the tune", error) from error


def write_midi(path: Path | str, notes: Notes, tempo: float = 100.0) -> None:
    """Write notes as a MIDI file, `.mid`.

    Args:
        path: of the file.
        notes: in any order.
        tempo: quarter notes a minute.

    Raises:
        UserError: music21 is not installed.
    """
    package = music21()
    stream = package.stream.Stream()
    stream.insert(0, package.tempo.MetronomeMark(number=tempo))
    for event in notes:
        stream.insert(event.onset / STEPS, package.note.Note(event.pitch, quarterLength=event.duration / STEPS))
    with files.atomic(path) as partial:
        stream.write("midi", fp=str(partial))


def _notes(stream: Any) -> list[NoteEvent]:
    found = []
    for element in stream.stripTies().flatten().notes:
        if element.duration.isGrace or "ChordSymbol" in element.classes:
            continue
        onset = round(element.offset * STEPS)
        end = round((element.offset + element.duration.quarterLength) * STEPS)
        found += [NoteEvent(onset, max(1, end - onset), pitch.midi) for pitch in element.pitches]
    return sorted(found)


def _not_understood(what: str, error: Exception) -> UserError:
    return UserError(f"{what}: expected a score that music21 can read, found another: {error or type(error).__name__}")
