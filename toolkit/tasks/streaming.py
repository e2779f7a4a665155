"""A recording of any length, rate and number of channels through a separation model, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from torch import Tensor

from toolkit.audio import Recording
from toolkit.dsp import chunks
from toolkit.dsp.chunks import Chunking
from toolkit.dsp.resample import resample_blocks
from toolkit.models.base import SeparationModel

LONGEST_SHIFT = 0.5  # seconds
SILENCE = 1e-8  # deviation of a recording that is divided by it


def stream(
    model: SeparationModel, recording: Recording, sample_rate: int, chunking: Chunking, normalize: bool = False
) -> Iterator[Tensor]:
    """Separate a recording at the model's rate, and bring the estimates back to the recording's.

    The model's device is where it is separated; all else stays in the memory of the machine, and is bounded by `chunking`.
    More channels than the model's are separated in groups; where the last group is not full, its channels are heard
    repeatedly and the estimates of the same channel are averaged.

    Args:
        model: in evaluation mode.
        recording: at least one sample.
        sample_rate: the model's, in Hz.
        chunking: how the recording is cut, in samples of the model's rate.
        normalize: bring the recording to mean 0 and deviation 1 of its channels' mean, for which it is read twice.

    Yields:
        Estimates (S, C, t) at the recording's rate, one after the other, together as long as the recording.
    """
    channels, heard = model.audio_channels, _heard(recording.channels, model.audio_channels)
    device = next((one.device for one in chain(model.parameters(), model.buffers())), torch.device("cpu"))
    mean, deviation = level(recording) if normalize else (0.0, 1.0)
    given_back = mean / model.sources if model.sums_to_mixture else mean  # so that the sum has the mixture's mean again

    def separate(piece: Tensor) -> Tensor:
        with torch.no_grad():  # here, since threads of their own know nothing of the caller's
            estimate = model.separate((piece.to(device) - mean) / deviation)
            return (estimate * deviation + given_back).cpu()

    inside = _resample(recording.blocks(), recording.sample_rate, sample_rate)
    groups = (block.cpu()[heard].unflatten(0, (-1, channels)) for block in inside)
    separated = (_ungroup(estimate, heard) for estimate in chunks.stream(separate, groups, chunking))
    yield from _first(recording.frames, _resample(separated, sample_rate, recording.sample_rate))


def level(recording: Recording) -> tuple[float, float]:
    """Mean and deviation of the mean of a recording's channels."""
    count, total, squares = 0, 0.0, 0.0
    for block in recording.blocks():
        mono = block.double().mean(0)
        count += len(mono)
        total += float(mono.sum())
        squares += float(mono.square().sum())
    mean = total / count
    return mean, math.sqrt(max(0.0, squares - count * mean**2) / max(1, count - 1)) + SILENCE


def _heard(channels: int, at_once: int) -> list[int]:
    """Which of a recording's channels the model hears in each of its own, group after group."""
    groups = [range(first, min(first + at_once, channels)) for first in range(0, channels, at_once)]
    return [group[position % len(group)] for group in groups for position in range(at_once)]


def _ungroup(estimate: Tensor, heard: list[int]) -> Tensor:
    """Groups (G, S, C, t) as the recording's channels (S, C, t)."""
    separated = estimate.transpose(0, 1).flatten(1, 2)
    if len(set(heard)) == len(heard):
        return separated
    places = [[place for place, channel in enumerate(heard) if channel == wanted] for wanted in dict.fromkeys(heard)]
    return torch.stack([separated[:, same].mean(1) for same in places], dim=1)


def _resample(blocks: Iterable[Tensor], sample_rate: int, new_sample_rate: int) -> Iterator[Tensor]:
    if sample_rate == new_sample_rate:
        return iter(blocks)
    arrays = resample_blocks((block.cpu().numpy() for block in blocks), sample_rate, new_sample_rate)
    return (torch.from_numpy(array) for array in arrays)


def _first(frames: int, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """No more than `frames` samples: changing the rate to and fro rounds the length up."""
    for block in blocks:
        yield block[..., :frames]
        frames -= block.shape[-1]
        if frames <= 0:
            return
