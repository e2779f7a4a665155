"""Reprise: what every recipe in `egs/` calls.  Importing it loads none of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.infer.opened import Trained

__version__ = "0.1.0"


def load(path: Path | str) -> Trained:
    """Open a trained experiment or a pack, as its task has it.

    ``stems = toolkit.load("demucs_musdb18").separate(wave, sample_rate)``, or of a tagger
    ``probabilities = toolkit.load("east_openmic2018").tag(wave, sample_rate)``, of a model of pitch
    ``curve = toolkit.load("pesto_urmp").pitch(wave, sample_rate)``, of one of synthesis
    ``played = toolkit.load("ddx7_violin").resynthesize(wave, sample_rate)``.

    Raises:
        UserError: there is no trained model in it, or its configuration names classes that are not the toolkit's.
    """
    from toolkit.infer.opened import opened

    return opened(path)


def from_pretrained(repo: str, revision: str | None = None) -> Trained:
    """Open a pack that is on the Hugging Face Hub, as `load` opens a folder; what was fetched before is not fetched again.

    ``toolkit.from_pretrained("user/demucs_musdb18", revision="v1").separate(wave, sample_rate)``.  Only the files of a pack
    are fetched, and nothing of them is executed or unpickled.

    Raises:
        UserError: huggingface_hub is missing, the hub has no such repository or revision, or there is no trained model in it.
    """
    from toolkit.infer.hub import fetch
    from toolkit.infer.opened import opened

    return opened(fetch(repo, revision))
