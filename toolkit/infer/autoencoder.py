"""A trained autoencoder as its user sees it: melodies or pictures to codes, and codes to melodies or pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from toolkit import files
from toolkit.dsp.notes import NoteEvent
from toolkit.dsp.tick_grid import REST, TickGrid, Tokens
from toolkit.infer.use import Usable, Use
from toolkit.models.latent import LatentModel, Posterior
from toolkit.tasks.experiment import load_as
from toolkit.tasks.latent import LABELS, LatentLearning


class Labels(TypedDict, total=False):
    """What an experiment tells of its items; see `toolkit.tasks.latent`."""

    attributes: list[str]
    grid: dict[str, list[int]]


class TrainedLatent(Usable):
    """What `toolkit.load` gives of an autoencoder.

    Its items are melodies, tokens (N, T) of integers, or pictures (N, H, W) from 0 to 1.

    Attributes:
        attributes: names of what its codes were trained for or scored by.
        latent: dimensions of a code, Z.
    """

    def __init__(self, path: Path | str) -> None:
        """Open an experiment's folder or a pack; nothing in it is executed or unpickled.

        Raises:
            UserError: there is no trained autoencoder in it, or its configuration names what is not the toolkit's.
        """
        self.task = task = load_as(Path(path), LatentLearning, "encodes melodies or pictures")
        self.model: LatentModel = task.model
        self.latent = self.model.latent
        self.pictures = task.config.data.items == "pictures"
        self.kept = (LABELS,) if (Path(path) / LABELS).is_file() else ()
        labels = files.read_json(Path(path) / LABELS, Labels) if self.kept else {}
        self.attributes: list[str] = labels.get("attributes", [])
        self._grid = labels.get("grid")
        with torch.no_grad():
            logits = self.model.decode(torch.zeros(1, self.latent))
        self._shape = list(self._given_back(self.model.items(logits)).shape[1:])
        self._most = 1 if self.pictures else logits.shape[-1] - 1

    @property
    def use(self) -> Use:
        """What a model card says of it."""
        size = " x ".join(map(str, self._shape))
        items = f"pictures of {size} pixels from 0 to 1" if self.pictures else f"melodies of {size} tokens"
        notes = "" if self._grid is None else "\nnotes = model.notes(items[0])  # (onset, duration, pitch)"
        return Use(
            f"codes of {self.latent} dimensions, and the items that codes stand for",
            items,
            "",
            "codes = model.encode(items).mean  # (items, dimensions)\n"
            "items = model.decode(codes)\n"
            f"items = model.traverse(codes[0], dimension=0, values=[-4, 0, 4]){notes}",
        )

    @torch.inference_mode()
    def encode(self, items: Tensor | np.ndarray | Sequence) -> Posterior:
        """What is known of the codes of items: means and log variances, (N, Z) each.

        Raises:
            ValueError: they are of another shape, or hold what is no token of the model's or not from 0 to 1.
        """
        given = (items if isinstance(items, Tensor) else torch.as_tensor(np.asarray(items))).to(self.device)
        if list(given.shape[1:]) != self._shape or (not self.pictures and given.is_floating_point()):
            expected = f"({', '.join(map(str, ['N', *self._shape]))})" + ("" if self.pictures else " of integers")
            raise ValueError(f"items: expected shape {expected}, found {tuple(given.shape)} of {given.dtype}")
        if given.numel() and not 0 <= given.min() <= given.max() <= self._most:
            raise ValueError(f"items: expected 0 to {self._most}, found {given.min().item():g} to {given.max().item():g}")
        found = self.model.encode(given[:, None].float() if self.pictures else given)
        return Posterior(*(part.cpu() for part in found))

    @torch.inference_mode()
    def decode(self, codes: Tensor | np.ndarray | Sequence) -> Tensor:
        """The most probable items of codes (N, Z)."""
        return self._given_back(self.model.reconstruct(self._codes(codes, 2)))

    @torch.inference_mode()
    def traverse(self, code: Tensor | np.ndarray | Sequence, dimension: int, values: Sequence[float] | Tensor) -> Tensor:
        """The items of one code as one of its dimensions takes other values.

        Args:
            code: (Z,).
            dimension: of the code, from 0.
            values: what it becomes, (V,).

        Returns:
            V items, as of `decode`.

        Raises:
            ValueError: there is no such dimension.
        """
        if not 0 <= dimension < self.latent:
            raise ValueError(f"dimension: expected one from 0 to {self.latent - 1}, found {dimension}")
        steps = torch.as_tensor(values, dtype=torch.float32, device=self.device)
        return self._given_back(self.model.traverse(self._codes(code, 1), dimension, steps))

    def notes(self, tokens: Tensor | np.ndarray | Sequence[int]) -> list[NoteEvent]:
        """The notes of one melody (T).

        Raises:
            ValueError: it is not known what the tokens stand for.
        """
        if self._grid is None:
            raise ValueError("notes: it is not known what this model's tokens stand for")
        return notes_of(self._grid, tokens)

    def _codes(self, codes: Tensor | np.ndarray | Sequence, axes: int) -> Tensor:
        given = torch.as_tensor(codes, dtype=torch.float32, device=self.device)
        if given.ndim != axes or given.shape[-1] != self.latent:
            raise ValueError(f"codes: expected {self.latent} dimensions and {axes} axes, found shape {tuple(given.shape)}")
        return given

    def _given_back(self, items: Tensor) -> Tensor:
        return (items[:, 0] if self.pictures else items).cpu()


def notes_of(grid: dict[str, list[int]], tokens: Tensor | np.ndarray | Sequence[int]) -> list[NoteEvent]:
    """The notes of a melody (T), given the label `grid` (see `toolkit.tasks.latent`)."""
    return TickGrid(tuple(grid["ticks"])).decode(on_grid(grid, tokens))


def on_grid(grid: dict[str, list[int]], tokens: Tensor | np.ndarray | Sequence[int]) -> Tokens:
    """What tokens of any shape stand for; a model may know more tokens than its corpus has, and those are rests."""
    places = np.asarray(tokens, dtype=np.int64)
    known = np.full(max(len(grid["tokens"]), 1 + int(places.max(initial=0))), REST, np.uint8)
    known[: len(grid["tokens"])] = grid["tokens"]
    found: Tokens = known[places]
    return found
