"""`toolkit separate`: recordings of any rate, length and number of channels through a trained model, into files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from toolkit import log, progress
from toolkit.audio import Encoding, writing
from toolkit.infer.told import Failures, expand, opened_recording
from toolkit.infer.trained import TrainedSeparation
from toolkit.log import UserError
from toolkit.train import distributed

OtherMethod = Literal["add", "minus", "none"]
FIELDS = ("track", "trackext", "stem", "ext")

logger = log.get(__name__)


@dataclass(frozen=True)
class Output:
    """What is written of each recording, and where.

    Attributes:
        folder: what file names are relative to.
        filename: a pattern of `{track}` and `{trackext}` (the recording's name and suffix), `{stem}` and `{ext}`.
        two_stems: a source that alone is wanted, with its counterpart; None for all sources.
        other_method: the counterpart is the sum of the other sources (`add`, named `no_vocals`), the recording without the
            source (`minus`, named `minus_vocals`), or not wanted (`none`).
        encoding: format, bits, clipping.
        force: write files anew that are there already.

    Raises:
        UserError: the pattern has unknown fields, or the same name for all sources.
    """

    folder: Path
    filename: str = "{track}/{stem}.{ext}"
    two_stems: str | None = None
    other_method: OtherMethod = "add"
    encoding: Encoding = field(default_factory=Encoding)
    force: bool = False

    def __post_init__(self) -> None:
        try:
            self.filename.format(**dict.fromkeys(FIELDS, ""))
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise UserError(f"--filename: expected a pattern of {known}, found {self.filename!r}") from error
        if len({self.filename.format(**{**dict.fromkeys(FIELDS, ""), "stem": stem}) for stem in ("drums", "vocals")}) < 2:
            raise UserError(f"--filename: expected {{stem}} in it, found {self.filename!r}: all sources would be one file")

    def stems(self, sources: list[str]) -> list[str]:
        """Names of what is written.

        Raises:
            UserError: the model does not separate what is wanted.
        """
        if self.two_stems is None:
            return sources
        if self.two_stems not in sources:
            raise UserError(f"--two-stems: expected one of {', '.join(sources)}, found {self.two_stems!r}")
        if self.other_method == "add" and len(sources) == 1:
            raise UserError(f"--two-stems: the model gives {sources[0]} alone, nothing to add. Next: --other-method minus")
        others = {"add": [f"no_{self.two_stems}"], "minus": [f"minus_{self.two_stems}"], "none": []}
        return [self.two_stems, *others[self.other_method]]

    def files(self, recording: Path, sources: list[str]) -> dict[str, Path]:
        """Where each of `stems` goes."""
        ext, track = self.encoding.format, recording.stem
        names = {"track": track, "trackext": recording.suffix.lstrip("."), "ext": ext}
        return {stem: self.folder / self.filename.format(stem=stem, **names) for stem in self.stems(sources)}

    def choose(self, separated: dict[str, Tensor], mixture: _Samples) -> dict[str, Tensor]:
        """From the sources (channels, t) what is written, and the mixture's next `t` samples."""
        if self.two_stems is None:
            return separated
        stem = separated[self.two_stems]
        chosen = {self.two_stems: stem}
        if self.other_method == "add":
            others = [waveform for name, waveform in separated.items() if name != self.two_stems]
            chosen[f"no_{self.two_stems}"] = torch.stack(others).sum(0)
        elif self.other_method == "minus":
            chosen[f"minus_{self.two_stems}"] = mixture.take(stem.shape[-1]) - stem
        return chosen


def separate(
    inputs: Sequence[str],
    model: Path,
    output: Output,
    device: str = "auto",
    segment: float | None = None,
    overlap: float | None = None,
    shifts: int | None = None,
    jobs: int = 1,
) -> list[Path]:
    """Separate recordings into files; those whose files are all there are left alone.

    Args:
        inputs: paths of audio files, or patterns such as ``songs/*.mp3``.
        model: a trained experiment, or a pack.
        output: what is written, and where.
        device: `auto`, `cpu`, `cuda`.
        segment: seconds of signal seen at once; as the model was trained to, if not given.
        overlap: share of a segment that overlaps the next.
        shifts: predictions averaged, each of the recording delayed by a random time.
        jobs: segments separated at a time, each by a thread of its own.

    Returns:
        The files written.

    Raises:
        UserError: there is no model, an option does not fit it, or (at the end) some recordings could not be separated.
    """
    recordings = expand(inputs)
    trained = TrainedSeparation(model).to(distributed.start(device))
    changes: dict[str, Any] = {"chunk": segment, "overlap": overlap, "shifts": shifts}
    try:
        trained.options = replace(trained.options, **{key: value for key, value in changes.items() if value is not None})
    except ValueError as error:
        raise UserError(str(error).replace("infer.", "--").replace("--chunk", "--segment")) from error  # as it was typed here
    if segment is not None and segment * trained.sample_rate < 2:
        raise UserError(f"--segment: expected at least two samples at {trained.sample_rate} Hz, found {segment:g} s")
    targets = {path: output.files(path, trained.sources) for path in recordings}
    _refuse_one_name_for_two(targets)
    if jobs > 1:  # instead of all cores at one segment
        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    written: list[Path] = []
    failures = Failures("separated", "a shorter --segment")
    for path, files in targets.items():
        if not output.force and all(target.exists() for target in files.values()):
            logger.info("%s: skipped, was separated before: %s. --force does it again", path, _folders(files))
            continue
        with failures.at(path):
            _separate_file(path, trained, output, files, jobs)
            written += files.values()
    failures.tell()
    return written


def _separate_file(path: Path, trained: TrainedSeparation, output: Output, files: dict[str, Path], jobs: int) -> None:
    recording = opened_recording(path)
    began, rate = time.monotonic(), recording.sample_rate
    seconds = recording.frames / rate
    mixture = _Samples(recording.blocks())
    with ExitStack() as stack:
        form = (recording.frames, rate, recording.channels, output.encoding)
        write = {stem: stack.enter_context(writing(target, *form)) for stem, target in files.items()}
        separated = trained.stream(recording, jobs)
        for block in progress.track(separated, path.name, seconds, lambda block: _length(block) / rate, "s"):
            for stem, waveform in output.choose(block, mixture).items():
                write[stem](waveform)
    taken = time.monotonic() - began
    logger.info("%s: %s (%.1f s, %.1f times real time)", path, _folders(files), taken, seconds / taken)


class _Samples:
    """The samples of a stream of blocks, as many at a time as are asked for."""

    def __init__(self, blocks: Iterator[Tensor]) -> None:
        self.blocks, self.held = blocks, torch.empty(0, 0)

    def take(self, count: int) -> Tensor:
        """The next `count` samples (channels, count)."""
        while self.held.shape[-1] < count:
            block = next(self.blocks)
            self.held = torch.cat([self.held, block], dim=-1) if self.held.numel() else block
        taken, self.held = self.held.split([count, self.held.shape[-1] - count], dim=-1)
        return taken


def _refuse_one_name_for_two(targets: dict[Path, dict[str, Path]]) -> None:
    taken: dict[Path, Path] = {}
    for recording, files in targets.items():
        for target in files.values():
            if (other := taken.setdefault(target, recording)) != recording:
                raise UserError(
                    f"{other} and {recording} would both become {target}. "
                    "Next: separate them into different folders, or put {trackext} into --filename"
                )


def _folders(files: dict[str, Path]) -> str:
    """`out/song (drums, bass)`."""
    folders: Iterable[str] = dict.fromkeys(str(target.parent) for target in files.values())
    return f"{', '.join(folders)} ({', '.join(files)})"


def _length(block: dict[str, Tensor]) -> int:
    return next(iter(block.values())).shape[-1]
