"""What a job is given by a cluster: `utils/cluster.yaml`, a section for each stage over the section `default`."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit import config
from toolkit.log import UserError, suggestion

FILE = Path(__file__).resolve().parents[2] / "utils" / "cluster.yaml"
SECTIONS = ("default", "prepare", "features", "train", "infer", "score")
TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")


@dataclass(frozen=True)
class Resources:
    """A section of `utils/cluster.yaml`.

    Attributes:
        partition: where to queue; the cluster's default if None.
        time: limit, `hours:minutes:seconds` or `days-hours:minutes:seconds`; what is cut off by it goes on in another turn.
        nodes: machines that train together.
        gpus: of each node, and so processes of training on each.
        gres: as sbatch has it, `gpu:h100:4`; `gpu:<gpus>` if not given.
        cpus: processors of each node.
        memory: of each node, `16G`.
        shards: jobs that share the work of a stage that can be cut.
        options: anything else that sbatch takes, without its dashes: `{account: music, constraint: a100}`.
    """

    partition: str | None = None
    time: str = "1-00:00:00"
    nodes: int = 1
    gpus: int = 0
    gres: str | None = None
    cpus: int = 1
    memory: str | None = None
    shards: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        """The limit of time, in minutes, rounded up."""
        found = TIME.fullmatch(self.time)
        assert found is not None  # `read` has seen to it
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return (days * 24 + hours) * 60 + minutes + (seconds > 0)

    @property
    def devices(self) -> str | None:
        """What sbatch is told by `--gres`; None where there are none."""
        return self.gres or (f"gpu:{self.gpus}" if self.gpus else None)


def read(section: str) -> Resources:
    """The resources of a stage.

    Args:
        section: of `utils/cluster.yaml`; where it is missing, `default` holds.

    Raises:
        UserError: a section or a key is unknown, or a value is not of its kind.
    """
    tree = config.read(FILE) if FILE.is_file() else {}
    for name in tree:
        if name not in SECTIONS:
            raise UserError(f"{FILE}: there is no section {name!r}{suggestion(str(name), SECTIONS)}")
        _check(name, tree[name] or {})
    return Resources(**config.merge(tree.get("default") or {}, tree.get(section) or {}))


def _check(name: str, values: Any) -> None:
    kinds = {entry.name: entry for entry in dataclasses.fields(Resources)}
    if not isinstance(values, dict):
        raise UserError(f"{FILE}: {name}: expected keys and values, found {values!r}")
    for key, value in values.items():
        if key not in kinds:
            raise UserError(f"{FILE}: {name}: unknown key {key!r}{suggestion(str(key), kinds)}")
        if key == "time" and not (isinstance(value, str) and TIME.fullmatch(value)):
            raise UserError(f'{FILE}: {name}.time: expected hours in quotes, "24:00:00", or "2-00:00:00"; found {value!r}')
        kind = kinds[key].type
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= (0 if key == "gpus" else 1)
        if kind == "int" and not whole:
            raise UserError(f"{FILE}: {name}.{key}: expected a whole number, found {value!r}")
        if kind == "str | None" and not isinstance(value, str | None):
            raise UserError(f"{FILE}: {name}.{key}: expected a word, found {value!r}. Next: put it in quotes")
        if key == "options" and not isinstance(value, dict):
            raise UserError(f"{FILE}: {name}.options: expected keys and values, found {value!r}")
