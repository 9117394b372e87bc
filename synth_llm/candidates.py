"""Source rows as a run takes them up: read once at the start, by cell, and again where the source allows it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from synth_llm.row import ID, LINEAGE, PARENT, Row, digest, source_id
from synth_llm.source import Source, endless, identified
from synth_llm.spool import Spool, dumps

Turn = tuple[int, int]
"""(pass, number in the pass): the order of candidates."""


class Candidates:
    """The rows of a source, read into the spool so that a malformed one is found before anything is asked.

    `cells` are the values of column `per`, as JSON text, in order of appearance; one cell, the empty text, without it.
    """

    def __init__(self, source: Source, base: Path, spool: Spool, per: str | None) -> None:
        self.source, self.spool, self.per = source, spool, per
        self.size = 0
        """Rows of one pass; 0 when they have no end."""
        found: dict[str, None] = {}
        if source.empty is not None:
            self.size = 0 if source.empty is True else source.empty
            found[""] = None
        else:
            spool.load(self._read(base, found))
        self.cells = list(found)

    def _read(self, base: Path, found: dict[str, None]) -> Iterator[tuple[str, Row]]:
        for row in identified(self.source, base):
            cell = self.cell(row)
            found[cell] = None
            self.size += 1
            yield cell, row

    def cell(self, row: Row) -> str:
        """The cell of a row."""
        return "" if self.per is None else cell_of(row, self.per)

    def queue(self, cell: str, *, once: bool) -> Iterator[tuple[Turn, Row]]:
        """A cell's rows in order: one pass, or without end where the source can be gone through again."""
        if self.source.empty is not None:
            for n in range(self.size) if once else itertools.count():
                yield (0, n), {ID: source_id({}, n), PARENT: None, LINEAGE: []}
            return
        for turn in (0,) if once or not endless(self.source) else itertools.count():
            for n, row in self.spool.source(cell):
                yield (turn, n), {**row, ID: digest(row[ID], "again", turn)} if turn else row


def cell_of(row: Row, column: str) -> str:
    """The cell of a target that a row belongs to: its value in a column, as JSON text."""
    return dumps(row.get(column))
