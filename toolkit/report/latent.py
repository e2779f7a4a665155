"""What the page of an autoencoder shows: which dimension tells of which attribute, and what becomes of items as one moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolkit import config
from toolkit.data import records
from toolkit.data.manifest import Item
from toolkit.dsp import note_sound
from toolkit.dsp.bar_attributes import ATTRIBUTES
from toolkit.dsp.notes import STEPS, NoteEvent, joined
from toolkit.dsp.tick_grid import TickGrid
from toolkit.infer.autoencoder import notes_of, on_grid
from toolkit.log import UserError
from toolkit.report import image_rows, latent_figures, piano_rolls, sound
from toolkit.report.piano_rolls import Traversal
from toolkit.report.scored import BUDGET, Scored
from toolkit.report.sources import metrics_table
from toolkit.report.spread import Picture, spread
from toolkit.report.table import Table
from toolkit.tasks.latent import LatentLearning

RATE = 16000  # Hz
TEMPO = 140.0  # quarter notes a minute
INSTRUMENT = "piano"
DRAWN = 2  # items that are traversed on the page
MOST_MOVED = 4  # dimensions, where there are no attributes that choose them
PICTURE = 400_000  # bytes of a traversal, about


class Moved(NamedTuple):
    """A dimension that is moved.

    Attributes:
        dimension: its number.
        attribute: that it stands for; empty where the items have none.
    """

    dimension: int
    attribute: str = ""

    @property
    def title(self) -> str:
        """`note_density, dimension 2`."""
        return f"{self.attribute}, dimension {self.dimension}".removeprefix(", ")


@dataclass(frozen=True)
class Clip:
    """Something to be heard.

    Attributes:
        title: what it is.
        audio: its data address.
    """

    title: str
    audio: str


@dataclass(frozen=True)
class Example:
    """Items as one dimension after the other moves.

    Attributes:
        title: which items.
        pictures: captions and SVGs.
        clips: the same to be heard.
    """

    title: str
    pictures: list[Picture]
    clips: list[Clip]


@dataclass(frozen=True)
class View:
    """The parts of the page.

    Attributes:
        figures: every figure of the experiment.
        distributions: of the items' accuracies.
        dependence: what dimensions tell of attributes, and how much they say at all.
        examples: reconstructions and traversals.
        template: what draws them.
    """

    template: ClassVar[str] = "latent.html"

    figures: Table
    distributions: list[Picture]
    dependence: list[Picture]
    examples: list[Example]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    row = scored.rows[0] if scored.rows else {}
    manifest = scored.manifest_of_predictions(missing)
    item = next((item for item in manifest or () if item.id == row.get("id")), None)
    found = {} if item is None else _predicted(scored, item, missing)
    examples = _examples(scored, item, row, found) if item is not None and found else []
    accuracy = _accuracy(found) if found else []
    return View(metrics_table(scored.summary), accuracy, _dependence(row, _attributes(scored, row)), examples)


def _attributes(scored: Scored, row: dict[str, Any]) -> list[str]:
    """The names of the columns of `dependence`."""
    items = scored.items
    names = items[row["id"]].labels.get("attributes", []) if row.get("id") in items else []
    count = np.shape(row.get("dependence", np.empty((0, 0))))[1]
    return list(names) if len(names) == count else [f"attribute {number}" for number in range(count)]


def _dependence(row: dict[str, Any], names: Sequence[str]) -> list[Picture]:
    shown = []
    if names:
        caption = (
            "Mutual information (nats) of each attribute and each dimension of the code, estimated as by this protocol's MIG; "
            "brighter is more, the frame is the most informative dimension."
        )
        shown.append((caption, latent_figures.dependence(np.array(row["dependence"]), names)))
    if "nats" in row:
        caption = "How far each dimension's posteriors are from the standard normal distribution; at 0 it says nothing."
        shown.append((caption, latent_figures.per_dimension(np.array(row["nats"]), "nats")))
    return shown


def _accuracy(found: dict[str, Tensor]) -> list[Picture]:
    """How the items' accuracies are spread."""
    name = "reconstruction_accuracy"
    return spread({"": found[name].tolist()}, name, "items, decoded from codes that are drawn")


def _predicted(scored: Scored, item: Item, missing: list[str]) -> dict[str, Tensor]:
    """What was stored of a table; nothing where nothing was, which `missing` is told."""
    folder = scored.run.folder / "predictions" / scored.split
    stored = records.predictions(folder)
    if item.id not in stored:
        missing.append(f"examples: nothing is stored of {item.id}")
        return {}
    try:
        return LatentLearning.predicted(folder / stored[item.id]["file"])
    except UserError as error:
        missing.append(f"examples: {error}")
        return {}


def _examples(scored: Scored, item: Item, row: dict[str, Any], found: dict[str, Tensor]) -> list[Example]:
    if names := _attributes(scored, row):
        moves = [Moved(place, name) for name, place in zip(names, _dimensions(scored, row), strict=True)]
    else:
        moves = [Moved(place) for place in range(min(MOST_MOVED, found["means"].shape[1]))]
    if found["originals"].ndim == 3:
        return _pictures(found, moves)
    return _melodies(found, item, moves) if "grid" in item.labels else []


def _dimensions(scored: Scored, row: dict[str, Any]) -> list[int]:
    """The dimension that each attribute was tied to; where none was, the one that tells most of it."""
    informative: list[int] = np.array(row["dependence"]).argmax(0).tolist()
    tied = config.read(scored.run.folder / "config.yaml")["loss"]["init_args"].get("attributes")
    return informative if tied is None else tied["init_args"]["dimensions"] or list(range(len(informative)))


def _pictures(found: dict[str, Tensor], moves: Sequence[Moved]) -> list[Example]:
    """Rows of images: originals and reconstructions, then a row a dimension."""
    both = {"originals": _grey(found["originals"]), "decoded": _grey(found["reconstructions"])}
    caption = "Pictures of the test split, and what is decoded from the means of their posteriors."
    shown = [Example("Reconstructions", [(caption, image_rows.image_rows(both))], [])]
    for number, moved in enumerate(found["traversals"][:DRAWN]):
        rows = {move.title.replace(", dimension", ","): _grey(moved[move.dimension]) for move in moves}  # little room for names
        picture = image_rows.image_rows(rows)
        shown.append(Example(f"Traversals of picture {number + 1}", [(_moving(found, moves), picture)], []))
    return shown


def _melodies(found: dict[str, Tensor], item: Item, moves: Sequence[Moved]) -> list[Example]:
    """Piano rolls and sound: originals and reconstructions, then a row a dimension."""
    grid = item.labels["grid"]
    steps = int(TickGrid(tuple(grid["ticks"])).boundaries(found["originals"].shape[-1])[-1])
    room = (BUDGET - PICTURE * DRAWN) / (2 + DRAWN * len(moves))
    pictures, clips = [], []
    for name in ("originals", "reconstructions"):
        several = [notes_of(grid, one) for one in found[name]]
        caption = f"{name.capitalize()}: {len(several)} melodies of the test split, one after the other."
        pictures.append((caption, piano_rolls.piano_roll(joined(several, steps), steps * len(several), bar=steps)))
        clips.append(Clip(name.capitalize(), _heard(several, steps, room)))
    shown = [Example("Reconstructions", pictures, clips)]
    for number, moved in enumerate(found["traversals"][:DRAWN]):
        rows, clips = [], []
        for move in moves:
            several = [notes_of(grid, one) for one in moved[move.dimension]]
            values = _values(move.attribute, on_grid(grid, moved[move.dimension]), found["steps"])
            rows.append(Traversal(move.title, several, values))
            clips.append(Clip(move.title.replace("_", " "), _heard(several, steps, room)))
        picture = piano_rolls.traversals(rows, bar=steps)
        shown.append(Example(f"Traversals of melody {number + 1}", [(_moving(found, moves), picture)], clips))
    return shown


def _moving(found: dict[str, Tensor], moves: Sequence[Moved]) -> str:
    low, high = found["steps"][0].item(), found["steps"][-1].item()
    told = f"Each row is decoded from one code, of which a dimension goes from {low:g} to {high:g}"
    if not any(move.attribute for move in moves):
        return f"{told}."
    return f"{told}: the one that the attribute was tied to or, where none was, the one that tells most of it."


def _values(name: str, bars: NDArray[np.uint8], steps: Tensor) -> list[float]:
    """The attribute of each bar where it can be computed, else where the dimension stands."""
    if name in ATTRIBUTES:
        return [float(value) for value in ATTRIBUTES[name](bars)]
    return [float(step) for step in steps]


def _heard(several: Sequence[Sequence[NoteEvent]], steps: int, room: float) -> str:
    """Melodies one after the other, as sound."""
    played = note_sound.play_notes(joined(several, steps), RATE, TEMPO, INSTRUMENT, steps * len(several))
    longest = len(several) * steps / STEPS * 60 / TEMPO + note_sound.TAIL
    _, (encoded,) = sound.fitting([(torch.from_numpy(played)[None], RATE)], room, longest)
    return sound.address(encoded, RATE)


def _grey(images: Tensor) -> NDArray[np.floating]:
    return images.numpy() / 255.0
