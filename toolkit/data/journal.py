"""What many jobs returned, kept in a journal: JSON Lines, an entry a job, read when it is asked for.

```
{"id": "011a0101", "signature": "8000|si_tr_s/011/011a0101.wv1 81920 1700000000", "result": {"frames": 41231, …}}
```

Of a job a later entry counts.  In memory there are an id and a number for each.
"""

from __future__ import annotations

import contextlib
import json
import weakref
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from toolkit import files

Entry = dict[str, Any]  # `id`, `signature`, `result`


class Results(Mapping[str, Any]):
    """What jobs returned, by their ids, in the order in which they were expected.

    Args:
        journal: the file, which need not be there; without one the results are held in memory.
    """

    def __init__(self, journal: Path | None = None) -> None:
        self._journal = journal
        self._found: dict[str, Any] = {}  # the place of the entry in the journal; the result itself where there is none
        self._earlier = {} if journal is None else _places(journal)

    def __getitem__(self, id: str) -> Any:
        found = self._found[id]
        return found if self._journal is None else self._entry(found)["result"]

    def __contains__(self, id: object) -> bool:
        return id in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def entry(self, id: str) -> Entry:
        """A result that stands in the journal with what it was made from: `signature` and `result`."""
        return self._entry(self._found[id])

    def expect(self, id: str, signature: str) -> bool:
        """Make room for a job; whether an earlier run has entered it with the same signature, so that its result is there."""
        place = self._earlier.pop(id, None)
        self._found[id] = place
        return place is not None and bool(self._entry(place)["signature"] == signature)

    def enter(self, id: str, signature: str, result: Any) -> None:
        """Keep the result of a job that was expected."""
        if self._journal is None:
            self._found[id] = result
            return
        line = (json.dumps({"id": id, "signature": signature, "result": result}) + "\n").encode()
        self._found[id] = self._writer.tell()
        self._writer.write(line)
        self._writer.flush()

    def drop(self, id: str) -> None:
        """Expect a job no more."""
        self._found.pop(id, None)

    def close(self) -> None:
        """Called when nothing more is entered."""
        if "_writer" in vars(self):
            self._writer.close()

    def _entry(self, place: int) -> Entry:
        self._reader.seek(place)
        entry: Entry = json.loads(self._reader.readline())
        return entry

    @cached_property
    def _reader(self) -> IO[bytes]:
        assert self._journal is not None
        stream = self._journal.open("rb")
        weakref.finalize(self, stream.close)
        return stream

    @cached_property
    def _writer(self) -> IO[bytes]:
        assert self._journal is not None
        return self._journal.open("ab")


class Chosen(Mapping[str, Any]):
    """Some of the results, read where all of them are.

    Args:
        results: of all jobs.
        ids: of those that are wanted, in the order in which they are; others than the results' are left out.
    """

    def __init__(self, results: Mapping[str, Any], ids: Iterable[str]) -> None:
        self._results, self._ids = results, dict.fromkeys(id for id in ids if id in results)

    def __getitem__(self, id: str) -> Any:
        if id not in self._ids:
            raise KeyError(id)
        return self._results[id]

    def __contains__(self, id: object) -> bool:
        return id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _places(path: Path) -> dict[str, int]:
    """Where the last entry of each id begins; a journal with a line cut short, or outdated ones, is written anew first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return {}
    places: dict[str, int] = {}
    lines = begin = 0
    with path.open("rb") as stream:
        for line in stream:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # cut short by a crash, or damaged
                if line.endswith(b"\n"):  # what follows would else be entered behind it
                    places[json.loads(line)["id"]] = begin
            lines, begin = lines + 1, begin + len(line)
        if len(places) < lines:
            with files.atomic(path) as partial, partial.open("wb") as whole:
                for id, place in places.items():
                    stream.seek(place)
                    places[id] = whole.tell()
                    whole.write(stream.readline())
    return places
