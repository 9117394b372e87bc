"""Saves what can be read of a damaged journal."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from synth_llm.errors import FatalError
from synth_llm.journal_file import (
    HEADER,
    PAGE,
    Account,
    Line,
    Record,
    answer_sum,
    beside,
    create,
    line_sum,
    not_damage,
    read_accounts,
    remove,
    sync_folder,
)

REBUILT = ".rebuilt"
MOST_GUESSED = 5_000_000
"""Row numbers tried between two readable parts of a table whose index is damaged too."""


def rebuild(path: Path, into: Path) -> int:
    """Write what can be read and checks of the journal at `path` to `into`, atomically; how many answers that is.

    Reads a copy, so that `path` stays as it is. Raises FatalError when no answer can be read.
    """
    copy = into.with_name(into.name + ".copy")
    saved = 0

    def answers(db: sqlite3.Connection) -> Iterator[Record]:
        nonlocal saved
        for rowid in surviving(db):
            record = read_answer(db, rowid)
            if record is not None:
                saved += 1
                yield record

    try:
        copy_mended(path, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            db.text_factory = bytes
            db.execute("PRAGMA writable_schema = ON")  # SQLite then reads what is left of a truncated file
            create(into, answers(db), read_spent(db), surviving_accounts(db))
    except sqlite3.DatabaseError as error:
        trouble = not_damage(error, path)
        if trouble is not None:
            raise trouble from error
    except OSError as error:
        raise FatalError(
            f"{path}: the damaged journal cannot be copied to save its answers ({error.strerror})"
        ) from error
    finally:
        remove(copy)
    if not saved:
        remove(into)
        raise FatalError(
            f"{path}: the journal is damaged and no answer in it can be read: put a backup in its place, "
            f"or move {path.name}* away to start anew, which asks and pays for every answer again"
        )
    return saved


def finish(path: Path) -> Path:
    """Move the damaged journal aside and the rebuilt one in its place; done again, it ends what a kill interrupted."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    for suffix in ("-shm", "-wal", ""):  # the file itself last: its new name marks the number as taken
        if beside(path, suffix).exists():
            beside(path, suffix).replace(beside(aside, suffix))
    beside(path, REBUILT).replace(path)
    sync_folder(path.parent)
    return aside


def copy_mended(path: Path, copy: Path) -> None:
    """Copy a journal and its `-wal`, with the header that every journal has and one page at least.

    SQLite deletes the `-wal` of an empty file; with one page it reads it.
    """
    remove(copy)
    for suffix in ("-wal", ""):
        if beside(path, suffix).exists():
            shutil.copyfile(beside(path, suffix), beside(copy, suffix))
    with copy.open("r+b" if copy.exists() else "w+b") as file:
        file.write(HEADER)
        if file.seek(0, 2) < PAGE:
            file.truncate(PAGE)


def surviving(db: sqlite3.Connection) -> list[int]:
    """The numbers of the rows that may be readable, ascending: from table and index, each from both ends."""
    forward, broken = numbers(db, "NOT INDEXED ORDER BY rowid")
    if not broken:
        return forward
    backward, _ = numbers(db, "NOT INDEXED ORDER BY rowid DESC")
    by_key, _ = numbers(db, "ORDER BY key")
    by_key_backward, _ = numbers(db, "ORDER BY key DESC")
    found = {*forward, *backward, *by_key, *by_key_backward}
    low, high = max(forward, default=0), min(backward, default=0)
    found.update(range(low + 1, min(high, low + MOST_GUESSED)))
    return sorted(found)


def numbers(db: sqlite3.Connection, order: str) -> tuple[list[int], bool]:
    """Row numbers in an order, up to the first damage; whether there was any."""
    found: list[int] = []
    try:
        for (number,) in db.execute(f"SELECT rowid FROM answers {order}"):
            found.append(number)
    except sqlite3.DatabaseError:
        return found, True
    return found, False


def read_answer(db: sqlite3.Connection, rowid: int) -> Record | None:
    """One record if it checks; its key is taken from its request, not from what may be damaged."""
    try:
        row = db.execute(
            "SELECT status, prompt_tokens, completion_tokens, sum, body, request FROM answers WHERE rowid = ?", (rowid,)
        ).fetchone()
    except sqlite3.DatabaseError:
        return None
    if row is None or not isinstance(row[5], bytes):
        return None
    status, prompt_tokens, completion_tokens, total, body, request = row
    key = hashlib.sha256(request).digest()
    if total != answer_sum(key, status, prompt_tokens, completion_tokens, body):
        return None
    return key, status, prompt_tokens, completion_tokens, total, body, request.decode()


def read_spent(db: sqlite3.Connection) -> Iterator[Line]:
    """The lines of `spent` that check, up to the first damage."""
    try:
        for line in db.execute("SELECT * FROM spent"):
            if line[-1] == line_sum(*line[:-1]):
                yield line
    except sqlite3.DatabaseError:
        return


def surviving_accounts(db: sqlite3.Connection) -> Iterator[Account]:
    """The lines of `accounts` that check, up to the first damage."""
    try:
        yield from read_accounts(db)
    except sqlite3.DatabaseError:
        return
