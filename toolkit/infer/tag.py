"""`toolkit tag`: which tags recordings of any rate, length and number of channels have, as a table, JSON or CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from toolkit import log
from toolkit.infer.tagger import TrainedTagger
from toolkit.infer.told import Failures, as_csv, as_json, expand, files_for, opened_recording
from toolkit.log import UserError
from toolkit.report.table import Table
from toolkit.train import distributed

SHOWN = 5  # tags in a table, if not said otherwise
DRAWN = 20  # in a picture
DECIMALS = 4

logger = log.get(__name__)


@dataclass(frozen=True)
class Shown:
    """What is told of each recording, and how.

    Attributes:
        form: `table`; `json`, one object a line and recording; `csv`, one probability a line.
        top: so many of the likeliest tags; None for 5 in a table, for all elsewhere.
        threshold: none that is less likely.
        every: seconds from one window to the next; None for the whole recording at once.
        pictures: folder for a picture of each recording's tags over time; None for none.

    Raises:
        UserError: a number is out of its range, or pictures are asked for without `every`.
    """

    form: Literal["table", "json", "csv"] = "table"
    top: int | None = None
    threshold: float = 0.0
    every: float | None = None
    pictures: Path | None = None

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise UserError(f"--top: expected at least 1, found {self.top}")
        if not 0 <= self.threshold <= 1:
            raise UserError(f"--threshold: expected a probability from 0 to 1, found {self.threshold:g}")
        if self.every is not None and not 0.01 <= self.every < math.inf:
            raise UserError(f"--every: expected 0.01 seconds or more, found {self.every:g}")
        if self.pictures is not None and self.every is None:
            raise UserError("--picture: expected --every beside it, since it shows tags over time. Next: --every 1s")

    def likely(self, tags: Mapping[str, float], most: int | None) -> dict[str, float]:
        """The tags to be told, the likeliest first; `most` of them if `top` says nothing."""
        ordered = sorted((name for name in tags if tags[name] >= self.threshold), key=lambda name: -tags[name])
        return {name: round(tags[name], DECIMALS) for name in ordered[: self.top or most]}


def tag(inputs: Sequence[str], model: Path, shown: Shown, device: str = "auto") -> Iterator[str]:
    """Tag recordings.

    Args:
        inputs: paths of audio files, or patterns such as ``songs/*.mp3``.
        model: a trained experiment, or a pack.
        shown: what is told of each.
        device: `auto`, `cpu`, `cuda`.

    Yields:
        What is told, a recording at a time.

    Raises:
        UserError: there is no model, it reads what cannot be computed here, or (at the end) some recordings could not be read.
    """
    paths = expand(inputs)
    tagger = TrainedTagger(model).to(distributed.start(device))
    tagger.check()
    pictures = files_for(paths, shown.pictures, ".png") if shown.pictures is not None else {}
    if shown.form == "csv":
        yield as_csv([["file", *(["seconds"] if shown.every is not None else []), "tag", "probability"]])
    failures = Failures("tagged")
    for path in paths:
        with failures.at(path):
            recording = opened_recording(path)
            if shown.every is None:
                yield _whole(path, tagger.tag_recording(recording), shown)
                continue
            times, activity = tagger.activity_of_recording(recording, shown.every)
            yield _over_time(path, tagger.tags, times, activity, shown)
            if path in pictures:
                _draw(pictures[path], path.name, tagger.tags, activity, shown)
    failures.tell()


def _whole(path: Path, tags: Mapping[str, float], shown: Shown) -> str:
    if shown.form == "json":
        return as_json({"file": str(path), "tags": shown.likely(tags, None)})
    if shown.form == "csv":
        return as_csv([[path, name, value] for name, value in shown.likely(tags, None).items()])
    rows = [[name, f"{value:.3f}"] for name, value in shown.likely(tags, SHOWN).items()]
    if not rows:
        return f"{path}\nno tag has a probability of {shown.threshold:g} or more\n\n"
    return f"{path}\n{Table(['Tag', 'Probability'], rows, ['Probability']).text()}\n"


def _over_time(path: Path, names: list[str], times: Tensor, activity: Tensor, shown: Shown) -> str:
    if shown.form == "json":
        peaks = dict(zip(names, activity.amax(-1).tolist(), strict=True))
        series = {
            name: [round(value, DECIMALS) for value in activity[names.index(name)].tolist()]
            for name in shown.likely(peaks, None)
        }
        return as_json({"file": str(path), "seconds": [round(time, 3) for time in times.tolist()], "tags": series})
    most = SHOWN if shown.form == "table" else None
    windows = [
        (f"{time:.6g}", shown.likely(dict(zip(names, values, strict=True)), most))
        for time, values in zip(times.tolist(), activity.T.tolist(), strict=True)
    ]
    if shown.form == "csv":
        return as_csv([[path, time, name, value] for time, likely in windows for name, value in likely.items()])
    rows = [[time, ", ".join(f"{name} {value:.2f}" for name, value in likely.items()) or "-"] for time, likely in windows]
    return f"{path}\n{Table(['Seconds', 'Tags'], rows, ['Seconds']).text()}\n"


def _draw(target: Path, title: str, names: list[str], activity: Tensor, shown: Shown) -> None:
    from toolkit.report.activity import draw

    peaks = dict(zip(names, activity.amax(-1).tolist(), strict=True))
    chosen = list(shown.likely(peaks, DRAWN)) or names[:1]
    assert shown.every is not None
    draw(target, title, chosen, activity[[names.index(name) for name in chosen]], shown.every)
    logger.info("%s", target)
