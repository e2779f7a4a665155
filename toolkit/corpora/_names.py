"""What the names of manifests ask for: `wsj0-3mix/8k/min/tr` is three speakers at 8 kHz, cut to the shortest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from toolkit.log import UserError


def matches(names: Iterable[str], corpus: str, pattern: str, expected: str) -> list[re.Match[str]]:
    """The names of a corpus's manifests, taken apart and sorted; those of other corpora are passed over.

    Args:
        names: as a configuration's `data` section has them.
        corpus: what its names begin with, up to the first slash.
        pattern: of a whole name.
        expected: such a name in words, for the error.

    Raises:
        UserError: a name of the corpus is not of that form.
    """
    found = []
    for name in sorted(name for name in names if name.split("/")[0] == corpus):
        if (match := re.fullmatch(pattern, name)) is None:
            raise UserError(f"data: expected {expected}, found {name!r}")
        found.append(match)
    return found


def wanted_mixtures(names: Iterable[str], family: str) -> dict[str, Any]:
    """Options of a corpus's `prepare` that make the manifests called `names`.

    Args:
        names: as a configuration's `data` section has them; names of single utterances (`wsj0/8k/tr`) ask for nothing more.
        family: the mixtures' name with `{}` for the number of speakers, e.g. ``wsj0-{}mix``.

    Returns:
        `speakers` (sorted list), `sample_rate` (Hz), `mode` ("min" or "max"); empty if no name is of the family.

    Raises:
        UserError: the names ask for different rates or modes.
    """
    pattern = re.compile(re.escape(family).replace(r"\{\}", r"(\d+)") + r"/(\d+)k/(min|max)/.+")
    found = [match.groups() for name in names if (match := pattern.fullmatch(name))]
    if not found:
        return {}
    if len({(rate, mode) for _, rate, mode in found}) > 1:
        raise UserError(f"data: expected one sample rate and one mode, found {', '.join(sorted(set(names)))}")
    speakers = sorted({int(count) for count, _, _ in found})
    return {"speakers": speakers, "sample_rate": 1000 * int(found[0][1]), "mode": found[0][2]}
