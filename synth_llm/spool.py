"""Rows on disk while a run works: source rows, rows between steps in candidate order, rejected rows.

A temporary SQLite file without durability: what it holds can be computed again. Memory does not grow with the rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from synth_llm.errors import Reject
from synth_llm.row import LINEAGE, Row

Ordinal = bytes
"""The path (candidate number, child number, ...), four bytes each: sorts as the rows do."""

BATCH = 512

_SCHEMA = """
CREATE TABLE source (n INTEGER PRIMARY KEY, cell TEXT, data TEXT);
CREATE INDEX cells ON source (cell, n);
CREATE TABLE rows (stage INTEGER, ordinal BLOB, accepted INTEGER, data TEXT, PRIMARY KEY (stage, ordinal))
WITHOUT ROWID;
CREATE TABLE rejected (ordinal BLOB PRIMARY KEY, step TEXT, reason TEXT, detail TEXT, value REAL, other TEXT,
  raw TEXT, data TEXT)
WITHOUT ROWID;
"""


class RejectedRow(NamedTuple):
    """A line of the rejected output."""

    step: str
    reason: str
    detail: str
    value: float | None
    other: str | None
    raw: str | None
    row: Row


class Spool:
    """One run's rows. `stage` numbers are the executor's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.close(unlink_only=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;" + _SCHEMA)
        self._db.execute("BEGIN")
        self._rows: list[tuple[int, Ordinal, int, str]] = []

    def load(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Take in the source's rows, each with its cell."""
        lines = ((n, cell, dumps(row)) for n, (cell, row) in enumerate(rows))
        self._db.executemany("INSERT INTO source VALUES (?, ?, ?)", lines)

    def source(self, cell: str) -> Iterator[tuple[int, Row]]:
        """One pass over a cell's source rows, with their number."""
        at = -1
        query = "SELECT n, data FROM source WHERE cell = ? AND n > ? ORDER BY n LIMIT ?"
        while batch := self._db.execute(query, (cell, at, BATCH)).fetchall():
            for n, data in batch:
                yield n, json.loads(data)
            at = batch[-1][0]

    def put(self, stage: int, ordinal: Ordinal, row: Row) -> None:
        """Store a row that reached a stage."""
        self._rows.append((stage, ordinal, 0, dumps(row)))
        if len(self._rows) >= BATCH:
            self._flush()

    def reject(self, ordinal: Ordinal, step: str, reject: Reject, row: Row) -> None:
        """Store a rejected row."""
        if reject.lineage is not None:
            row = {**row, LINEAGE: reject.lineage}
        line = (ordinal, step, reject.reason, reject.detail, reject.value, reject.other, reject.raw, dumps(row))
        self._db.execute("INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(map(_clean, line)))

    def rows(self, stage: int, since: Ordinal = b"", *, accepted: bool = False) -> Iterator[tuple[Ordinal, Row]]:
        """A stage's rows from ordinal `since` on, in candidate order."""
        return ((ordinal, json.loads(text)) for ordinal, text in self.texts(stage, since, accepted=accepted))

    def texts(self, stage: int, since: Ordinal = b"", *, accepted: bool = False) -> Iterator[tuple[Ordinal, str]]:
        """As `rows`, each row as JSON text on one line."""
        self._flush()
        query = (
            "SELECT ordinal, data FROM rows WHERE stage = ? AND ordinal >= ? AND accepted >= ? ORDER BY ordinal LIMIT ?"
        )
        while batch := self._db.execute(query, (stage, since, int(accepted), BATCH)).fetchall():
            yield from batch
            since = batch[-1][0] + b"\0"

    def entering(self, stage: int, since: Ordinal = b"", *, accepted: bool = False) -> Entering:
        """A stage's rows as a dataset step takes them."""
        return Entering(self, stage, since, accepted)

    def count(self, stage: int, since: Ordinal = b"", *, accepted: bool = False) -> int:
        """How many rows `rows` gives."""
        self._flush()
        query = "SELECT count(*) FROM rows WHERE stage = ? AND ordinal >= ? AND accepted >= ?"
        number: int = self._db.execute(query, (stage, since, int(accepted))).fetchone()[0]
        return number

    def rejected(self) -> Iterator[tuple[Ordinal, RejectedRow]]:
        """All rejected rows, in candidate order."""
        after = b""
        query = "SELECT * FROM rejected WHERE ordinal > ? ORDER BY ordinal LIMIT ?"
        while batch := self._db.execute(query, (after, BATCH)).fetchall():
            for ordinal, step, reason, detail, value, other, raw, data in batch:
                yield ordinal, RejectedRow(step, reason, detail, value, other, raw, json.loads(data))
            after = batch[-1][0]

    def accept(self, stage: int, ordinals: Iterable[Ordinal], barriers: Iterable[int]) -> None:
        """Mark rows of the last stage as accepted, and at each barrier's stage the rows they came from."""
        self._flush()
        barriers = list(barriers)
        mark = "UPDATE rows SET accepted = 1 WHERE stage = ? AND ordinal = ?"
        for ordinal in ordinals:
            self._db.execute(mark, (stage, ordinal))
            for at in range(4, len(ordinal) + 1, 4) if barriers else ():
                self._db.executemany(mark, [(barrier, ordinal[:at]) for barrier in barriers])

    def accept_all(self, stage: int) -> None:
        """Mark a whole stage as accepted."""
        self._flush()
        self._db.execute("UPDATE rows SET accepted = 1 WHERE stage = ?", (stage,))

    def remove(self, stage: int, since: Ordinal, ordinal: Ordinal | None = None) -> None:
        """Forget a stage's rows from `since` on, or one row."""
        self._flush()
        if ordinal is None:
            self._db.execute("DELETE FROM rows WHERE stage = ? AND ordinal >= ?", (stage, since))
        else:
            self._db.execute("DELETE FROM rows WHERE stage = ? AND ordinal = ?", (stage, ordinal))

    def close(self, *, unlink_only: bool = False) -> None:
        """Delete the file."""
        if not unlink_only:
            self._db.close()
        self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._rows:
            self._db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", self._rows)
            self._rows.clear()


@dataclass(frozen=True)
class Entering:
    """Rows on disk, gone through as often as a dataset step likes."""

    spool: Spool
    stage: int
    since: Ordinal
    accepted: bool

    def __iter__(self) -> Iterator[Row]:
        return (row for _, row in self.spool.rows(self.stage, self.since, accepted=self.accepted))

    def __len__(self) -> int:
        return self.spool.count(self.stage, self.since, accepted=self.accepted)


def ordinal(*path: int) -> Ordinal:
    """The bytes of a path."""
    return b"".join(number.to_bytes(4, "big") for number in path)


dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""JSON text, ASCII, columns in their order."""


def _clean(value: Any) -> Any:
    """Text that SQLite can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
