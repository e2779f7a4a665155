"""The stage `features`: what a task reads other than the waveform is computed once and stored."""

from __future__ import annotations

from pathlib import Path

from toolkit import log
from toolkit.data.manifest import Manifest
from toolkit.log import UserError
from toolkit.tasks.experiment import Experiment

logger = log.get(__name__)


def features(data: Path, config: Path, overrides: list[str]) -> None:
    """Check the manifests against the configuration; models on waveforms need no stored features.

    Raises:
        UserError: a manifest is missing or of another sample rate than the configuration asks for.
    """
    section = Experiment.read(config, overrides).tree["data"]
    for split in ("train", "valid", "test"):
        manifest = Manifest.open(data / f"{section[split]}.jsonl")
        found = manifest[0].sample_rate
        if split != "test" and found != section["sample_rate"]:  # what is separated may have any rate
            raise UserError(
                f"{manifest.path}: expected {section['sample_rate']} Hz as data.sample_rate says, found {found} Hz. "
                f"Next: run the stage `prepare` with --sample-rate {section['sample_rate']}"
            )
        logger.info(
            "%s: %d items, %s h, %s", section[split], len(manifest), manifest.header["hours"], manifest.header["edition"]
        )
    logger.info("this model reads waveforms: no features are stored")
