"""The stage `features`: what a task reads of each recording is computed once and stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit import log
from toolkit.blocks.features import Feature, LabelFeature, LearnedFeature, Published
from toolkit.data.manifest import Manifest
from toolkit.data.store import Store, folder_of
from toolkit.features.compute import compute
from toolkit.features.label import label
from toolkit.features.learn import learn
from toolkit.launch.parts import WHOLE, Part
from toolkit.log import UserError
from toolkit.tasks.experiment import Experiment
from toolkit.train import arithmetic, distributed

SPLITS = ("train", "valid", "test")

logger = log.get(__name__)


def features(data: Path, config: Path, overrides: list[str], device: str = "auto", part: Part = WHOLE) -> list[Path]:
    """Store every feature that the configuration's task reads, for each of its manifests.

    Args:
        data: folder of the manifests; stores stand in `features/` below it.
        config: names manifests and features in its section `data`.
        overrides: laid over it.
        device: `auto`, `cpu`, `cuda`.
        part: which shards of the stores this process computes; if not all of them, it leaves the stores unfinished.

    Returns:
        The file `store.json` of each store that this stage makes, and what is learned; none where a model reads the recordings
        themselves.

    Raises:
        UserError: a manifest is missing or of another sample rate than the configuration asks for, or nothing of it can be
            read.
    """
    experiment = Experiment.read(config, overrides)
    section = experiment.tree["data"]
    manifests = {section[split]: Manifest.open(data / f"{section[split]}.jsonl") for split in SPLITS}
    for name, manifest in manifests.items():
        hours, edition = (manifest.header.get(key, "unknown") for key in ("hours", "edition"))  # of one written by hand
        length = f"{hours} h, " if manifest[0].sample_rate else ""  # texts and tables have none
        logger.info("%s: %d items, %s%s", name, len(manifest), length, edition)
    if "sample_rate" in section:
        _check_rates(section, manifests)
    wanted = _wanted(experiment)
    if not wanted:
        logger.info("this model reads what stands in the manifests: no features are stored")
        return []
    place = distributed.start(device)
    arithmetic.choose("fp32", place)  # what is stored does not depend on the device but for rounding
    made = []
    for feature in wanted:
        if isinstance(feature, LearnedFeature):
            if part.is_whole:
                made.append(learn(feature, manifests[section["train"]], folder_of(data, feature.name, section["train"])))
            continue
        for name, manifest in manifests.items():
            folder = folder_of(data, feature.name, name)
            if isinstance(feature, Published):
                _require_published(folder)
            elif isinstance(feature, LabelFeature):
                if part.is_whole:
                    made.append(label(feature, manifest, folder))
            else:
                made.append(compute(feature, manifest, folder, place, part))
    return made


def _wanted(experiment: Experiment) -> list[Feature]:
    """Each feature once, however often the configuration names it."""
    task, _ = experiment.build()
    return list({feature.name: feature for feature in task.features()}.values())


def _check_rates(section: dict[str, Any], manifests: dict[str, Manifest]) -> None:
    for split in ("train", "valid"):  # what is separated may have any rate
        manifest = manifests[section[split]]
        if (found := manifest[0].sample_rate) != section["sample_rate"]:
            raise UserError(
                f"{manifest.path}: expected {section['sample_rate']} Hz as data.sample_rate says, found {found} Hz. "
                f"Next: run the stage `prepare` with --sample-rate {section['sample_rate']}"
            )


def _require_published(folder: Path) -> None:
    try:
        Store(folder)
    except UserError as error:
        raise UserError(
            f"{folder}: expected the features that come with the corpus, found none. Next: run the stage `prepare` with --force"
        ) from error
