"""Jinja as all pages use it."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import markupsafe

from toolkit.report import display, spectrograms
from toolkit.report.runs import FULL


def environment() -> jinja2.Environment:
    """Jinja with what all pages use."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    made = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    made.filters |= {
        "label": display.label,
        "count": display.count,
        "duration": display.duration,
        "typographic": display.typographic,
        "coded": _coded,
    }
    made.globals |= {"number": display.number, "signed": display.signed, "published": display.published}
    made.globals |= {"metric": display.metric, "FULL": FULL}
    made.globals["dynamic_range"] = spectrograms.DYNAMIC_RANGE
    return made


def _coded(text: str) -> markupsafe.Markup:
    """Words between backticks as code."""
    return markupsafe.Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text))))
