"""An order of the examples that reads files from beginning to end, for corpora that a disk cannot read here and there.

The files, such as the shards of stored features, come in a random order.  Examples of `MIXED` of them at a time are mixed with
each other, so that a process needs no more than so many files in memory: as one of them has been used up, the next is read.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

MIXED = 8

Shuffle = Literal["examples", "shards"]


def order(shard_of: np.ndarray, rng: np.random.Generator, batch_size: int, world_size: int) -> np.ndarray:
    """The examples of an epoch, each once.

    Of every `world_size` batches one after another, each process takes its own; it is laid out here that a process reads files
    of its own, but for those on the borders.  What does not fill a batch in every process stands last.

    Args:
        shard_of: (N,), the number of the file that each example stands in.
        rng: draws it all.
        batch_size: examples of a batch.
        world_size: processes that train together.

    Returns:
        Numbers of the examples, (N,).
    """
    shards, places = np.unique(shard_of, return_inverse=True)
    places = rng.permutation(len(shards))[places]
    line = np.argsort(places, kind="stable")
    end = len(line) - len(line) % (batch_size * world_size)
    spans = [span[_mixed(places[span], rng)] for span in line[:end].reshape(world_size, -1)]
    batches = np.reshape(spans, (world_size, end // (batch_size * world_size), batch_size)).swapaxes(0, 1)
    return np.concatenate([batches.ravel(), line[end:]])


def _mixed(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers of examples whose shards stand in a row, in the order in which they are used.

    Each is put somewhere within half of `MIXED` shards before and behind its own: at any point the examples that lie around it
    are of `MIXED` shards.
    """
    if not len(places):
        return np.empty(0, int)
    middles = places - places[0] + 0.5
    low = np.maximum(middles - MIXED / 2, 0)
    high = np.minimum(middles + MIXED / 2, places[-1] - places[0] + 1)
    return np.argsort(low + rng.random(len(places)) * (high - low), kind="stable")
