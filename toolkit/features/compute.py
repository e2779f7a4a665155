"""One feature of all recordings of a manifest: decoded and resampled by threads, computed in batches, stored in shards."""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import torch

from toolkit import audio, log, progress
from toolkit.blocks.features import Feature
from toolkit.data import parallel
from toolkit.data.manifest import Manifest, gone
from toolkit.data.store import Row, Store, StoreWriter, origin
from toolkit.dsp.resample import resample
from toolkit.launch.parts import WHOLE, Part
from toolkit.log import UserError

SHARD_CLIPS = 256
SHARD_SECONDS = 3600.0  # a shard stands in memory until it is whole
BATCH_SECONDS = {"cpu": 30.0, "cuda": 320.0}  # of one batch; a processor is fastest with what its cache holds
AHEAD = 4  # recordings a thread may decode before they are asked for

logger = log.get(__name__)


class Clip(NamedTuple):
    """A recording to be read: its seconds are the manifest's."""

    id: str
    path: Path
    seconds: float


class Clips:
    """The recordings of a manifest that have audio; of each two numbers are held, all else is read when it is asked for.

    Args:
        manifest: of the recordings.
        role: of their audio.

    Attributes:
        seconds: (N,), how long each is.
        fingerprint: the same for the same recordings in the same order.
    """

    def __init__(self, manifest: Manifest, role: str) -> None:
        self._manifest, self._role = manifest, role
        numbers, seconds, digest = array("q"), array("d"), hashlib.sha256(b"[")
        for number, item in enumerate(manifest):
            if role in item.audio:
                named = json.dumps([item.id, str(PurePath(item.audio[role]))])
                digest.update((f", {named}" if numbers else named).encode())
                numbers.append(number)
                seconds.append(item.seconds)
        digest.update(b"]")
        self._numbers, self.seconds = np.frombuffer(numbers, np.int64), np.frombuffer(seconds)
        self.fingerprint = digest.hexdigest()[:12]  # `config.fingerprint` of all at once, as older stores have it

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, shard: range) -> Iterator[Clip]:
        """The clips of a shard."""
        for number in self._numbers[shard.start : shard.stop].tolist():
            item = self._manifest[number]
            yield Clip(item.id, self._manifest.path_of(item, self._role), item.seconds)


class Decoded(NamedTuple):
    """What is in a recording, mono, at the feature's rate; or why it cannot be read."""

    clip: Clip
    waveform: np.ndarray
    reason: str = ""


def compute(feature: Feature, manifest: Manifest, folder: Path, device: torch.device, part: Part = WHOLE) -> Path:
    """Store a feature of every recording of a manifest that has audio.

    A recording that cannot be read is left out, and named.  What an earlier run has stored of the same manifest is kept, shard
    by shard; a shard is always computed whole, so that what is stored does not depend on where a run was cut off.

    Args:
        feature: what is computed.
        manifest: of the recordings.
        folder: of the store.
        device: where it is computed.
        part: which shards this process computes; if not all of them, the store stays unfinished until a process goes over all.

    Returns:
        The store's file `store.json`.

    Raises:
        UserError: there is no audio, a recording has gone since `prepare`, none can be read, or the feature lacks what it is
            computed with.
    """
    clips = Clips(manifest, feature.role)
    if not len(clips):
        raise UserError(
            f"{manifest.name}: {feature.name} is computed from audio, and none of the {len(manifest)} recordings has any. "
            "Next: prepare from a folder of the corpus that holds its audio"
        )
    made_from = origin(feature.name, manifest)
    writer = StoreWriter(folder, {**made_from, "clips": clips.fingerprint})
    what = f"{feature.name} of {manifest.name}"
    if writer.is_finished:
        logger.info("%s: was stored before", what)
    else:
        _compute_missing(feature, writer, clips, device, what, part)
    if not part.is_whole:
        return folder / "store.json"
    if skipped := Store(folder).skipped:
        logger.warning("%s: %d of %d recordings are not in it, see %s/*.jsonl", what, len(skipped), len(clips), folder)
    return folder / "store.json"


def _compute_missing(feature: Feature, writer: StoreWriter, clips: Clips, device: torch.device, what: str, part: Part) -> None:
    cut = list(shards(clips.seconds))
    missing = [number for number in range(len(cut)) if part.takes(number) and not writer.has(number)]
    seconds, began = float(sum(clips.seconds[clip] for number in missing for clip in cut[number])), time.monotonic()
    if stored := sum(writer.has(number) for number in range(len(cut))):
        logger.info("%s: %d of %d shards were stored before", what, stored, len(cut))
    wanted = (clip for number in missing for clip in clips.of(cut[number]))
    with closing(_decoded(feature.sample_rate, wanted)) as decoded:
        tracked = progress.track(decoded, f"seconds of {what}", seconds, lambda one: one.clip.seconds, "s", _speed)
        for number in missing:
            skipped: dict[str, str] = {}
            rows = dict(_computed(feature, islice(tracked, len(cut[number])), device, skipped))
            writer.write(number, [(clip.id, rows[clip.id]) for clip in clips.of(cut[number]) if clip.id in rows], skipped)
    if part.is_whole:
        writer.finish(len(cut))
    speed = _speed(seconds / (time.monotonic() - began))
    count = sum(len(cut[number]) for number in missing)
    logger.info("%s: %.2f h of %d recordings, %s on %s", what, seconds / 3600, count, speed, device)


def _speed(speed: float) -> str:
    """A speed in seconds of audio a second, told as hours of audio a minute."""
    return f"{speed / 60:.2f} h of audio a minute"


def shards(lengths: Iterable[float]) -> Iterator[range]:
    """Recordings of these lengths (s), at least one, in order, in shards that are full by number or by length."""
    begin, end, seconds = 0, 0, 0.0
    for end, length in enumerate(lengths):
        if end - begin == SHARD_CLIPS or (end > begin and seconds + length > SHARD_SECONDS):
            yield range(begin, end)
            begin, seconds = end, 0.0
        seconds += length
    yield range(begin, end + 1)


def _decoded(sample_rate: int, clips: Iterable[Clip]) -> Generator[Decoded, None, None]:
    """Read the recordings, several at a time (libsndfile and SciPy let other threads run), a few ahead, in order."""
    threads = parallel.processors()
    with ThreadPoolExecutor(threads, "decode") as executor:
        pending: deque[Future[Decoded]] = deque()
        try:
            for clip in clips:
                pending.append(executor.submit(_decode, clip, sample_rate))
                if len(pending) >= AHEAD * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _decode(clip: Clip, sample_rate: int) -> Decoded:
    try:
        found = audio.info(clip.path).sample_rate
        channels = audio.read_array(clip.path)
    except UserError as error:
        if not clip.path.exists():
            raise gone(clip.path) from error
        return Decoded(clip, np.empty(0, np.float32), str(error))
    mono = channels.mean(0) if len(channels) > 1 else channels[0]
    if not len(mono):
        return Decoded(clip, mono, f"{clip.path} holds no samples")
    return Decoded(clip, resample(mono, found, sample_rate))


def _computed(feature: Feature, decoded: Iterable[Decoded], device: torch.device, skipped: dict[str, str]) -> Iterator[Row]:
    """The feature of each, computed with others of the same length; those that are skipped go into `skipped`.

    What a batch came to is fetched when the device has been given the next, for which it then need not wait.
    """
    given: deque[tuple[list[Decoded], torch.Tensor]] = deque()
    for batch in _batches(decoded, round(BATCH_SECONDS[device.type] * feature.sample_rate), skipped):
        given.append((batch, _give(feature, batch, device)))
        if len(given) > 1:
            yield from _fetch(*given.popleft())
    for batch, frames in given:
        yield from _fetch(batch, frames)


def _batches(decoded: Iterable[Decoded], samples: int, skipped: dict[str, str]) -> Iterator[list[Decoded]]:
    """Recordings of one length, together at most so many samples, or one recording."""
    waiting: dict[int, list[Decoded]] = defaultdict(list)
    for one in decoded:
        if one.reason:
            skipped[one.clip.id] = one.reason
            logger.warning("skipped %s: %s", one.clip.id, one.reason)
            continue
        length = len(one.waveform)
        waiting[length].append(one)
        if (len(waiting[length]) + 1) * length > samples:
            yield waiting.pop(length)
    yield from waiting.values()


@torch.inference_mode()
def _give(feature: Feature, batch: list[Decoded], device: torch.device) -> torch.Tensor:
    """The feature of a batch, which a GPU is still to compute when this returns."""
    waveforms = torch.from_numpy(np.stack([one.waveform for one in batch]))
    if device.type == "cuda":
        waveforms = waveforms.pin_memory()
    return feature.compute(waveforms.to(device, non_blocking=True)).to(feature.dtype)


def _fetch(batch: list[Decoded], frames: torch.Tensor) -> Iterator[Row]:
    """The recordings' frames, once the device has computed them."""
    for one, row in zip(batch, frames.cpu().numpy(), strict=True):
        yield one.clip.id, row
