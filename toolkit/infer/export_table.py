"""What was exported as what: `toolkit export --help` shows it, and errors tell of it.

A cell says which axes of a small model of the task kept an open length; all others are those of the example.  Where another
model computes lengths of its own, or does what a format has no operation for, less may be open, or the format be refused.
"""

from __future__ import annotations

SUFFIXES = (".onnx", ".pt2", ".ts")
OPEN: dict[str, dict[str, str]] = {  # task to format to open axes
    "separation": dict.fromkeys(SUFFIXES, "batch, time"),
    "tagging": dict.fromkeys(SUFFIXES, "batch, frames"),
    "pitch": {".onnx": "batch", ".pt2": "batch, time", ".ts": "batch, time"},
    "synthesis": {".pt2": "batch", ".ts": "batch, frames"},
    "language": dict.fromkeys(SUFFIXES, "batch, length"),
    "hypotheses": dict.fromkeys(SUFFIXES, "batch"),
    "latent": dict.fromkeys(SUFFIXES, "batch"),
}
NONE = "refused"


def others(task: str, suffix: str) -> list[str]:
    """Formats that a model of a task was exported in, but for the one that failed."""
    return [other for other in OPEN[task] if other != suffix]


def text() -> str:
    """The table in plain letters: for each task and format, which axes may have any length."""
    rows = [["open lengths", *SUFFIXES]]
    rows += [[task, *(cells.get(suffix, NONE) for suffix in SUFFIXES)] for task, cells in OPEN.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
