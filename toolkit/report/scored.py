"""What the page of one experiment is made from, whatever its task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolkit.data.manifest import Item, Manifest
from toolkit.report.runs import Group, Run
from toolkit.report.sources import plain

BUDGET = 7_000_000  # bytes of all examples; the whole page stays below eight million


@dataclass(frozen=True)
class Scored:
    """A run's scores of a split.

    Attributes:
        run: the experiment.
        split: which one.
        group: the run with those that differ from it in their seed.
        metric: id of the headline's metric.
        rows: lines of `scores/<split>.jsonl`; none where they are missing.
        manifest: of the split; None where it was not found.
    """

    run: Run
    split: str
    group: Group
    metric: str
    rows: list[dict[str, Any]]
    manifest: Manifest | None

    @property
    def summary(self) -> dict[str, Any]:
        """What stands in `scores/<split>.summary.json`."""
        return self.run.summaries[self.split]

    @property
    def metrics(self) -> list[str]:
        """Names of what is measured of single items."""
        return list(dict.fromkeys(name for row in self.rows for name in row["metrics"]))

    @property
    def chosen_by(self) -> str:
        """The headline's metric if single items have it, which of a Fréchet distance they have not; else their first one."""
        names, headline = self.metrics, plain(self.metric).partition("/")[0]
        return headline if headline in names or not names else names[0]

    @property
    def items(self) -> dict[str, Item]:
        """The split's items by their ids; none where the manifest was not found."""
        return {} if self.manifest is None else {item.id: item for item in self.manifest}

    def manifest_of_predictions(self, missing: list[str]) -> Manifest | None:
        """The manifest, where predictions of its items are stored; else `missing` is told why there are no examples."""
        if self.manifest is None:
            missing.append(f"examples: the manifest {self.summary['data']} was not found; --data says in which folder it lies")
        elif not (self.run.folder / "predictions" / self.split / "index.jsonl").is_file():
            missing.append(f"examples: no predictions of the split {self.split} are stored")
        else:
            return self.manifest
        return None
