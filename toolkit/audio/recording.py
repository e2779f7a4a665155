"""A recording read block by block, from its beginning and as often as needed, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.audio import io

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1 << 16  # samples read at once


@dataclass(frozen=True)
class Recording:
    """Audio of any length.

    Attributes:
        frames: samples per channel.
        sample_rate: Hz.
        channels: how many.
        blocks: begins anew at each call: (channels, time), float32, one block after the other.
    """

    frames: int
    sample_rate: int
    channels: int
    blocks: Callable[[], Iterator[Tensor]]

    @classmethod
    def of_file(cls, path: Path | str) -> Recording:
        """What is in an audio file.

        Raises:
            UserError: the file is missing, is no audio file, or holds no samples.
        """
        header = io.info(path)
        return cls(*header, lambda: io.blocks(path, BLOCK))

    @classmethod
    def of_waveform(cls, waveform: Tensor, sample_rate: int) -> Recording:
        """A waveform (channels, time) that is in memory already."""
        return cls(waveform.shape[-1], sample_rate, len(waveform), lambda: iter([waveform]))
