"""The journal's file: its tables and checksums, how it is made and opened, and how damage is told from other trouble.

`answers` is an ordinary rowid table with an index on the key: bodies are appended in the order in which they came, and
only the small index is written at random places. The request stands last, so that looking an answer up never reads it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from synth_llm.errors import FatalError

VERSION = 1
APPLICATION = 0x53594E4C
PAGE = 4096
HEADER = b"SQLite format 3\0" + bytes([PAGE >> 8, 0, 2, 2, 0, 64, 32, 32])
"""The first bytes of every journal: page size, WAL, no reserved space. They never change, so damage is mended."""

ACCOUNTS = """
CREATE TABLE IF NOT EXISTS accounts (started INTEGER PRIMARY KEY, account TEXT NOT NULL, sum BLOB NOT NULL);
"""
"""Made when a journal is opened too: the first journals had no such table."""
TABLES = f"""
PRAGMA page_size = {PAGE};
PRAGMA journal_mode = WAL;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE answers (key BLOB PRIMARY KEY, status INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, sum BLOB NOT NULL, body BLOB NOT NULL, request TEXT NOT NULL);
CREATE TABLE spent (started INTEGER PRIMARY KEY, requests INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, dollars REAL NOT NULL, seconds REAL NOT NULL, sum BLOB NOT NULL);
{ACCOUNTS}"""

Record = tuple[bytes, int, int, int, bytes, bytes, str | bytes]
"""A line of `answers`. Text comes back from SQLite as bytes, so that damaged text cannot raise."""
Line = tuple[int, int, int, int, float, float, bytes]
"""A line of `spent`: when the invocation started (ns), requests, prompt and completion tokens, dollars, seconds,
checksum."""
Account = tuple[int, bytes, bytes]
"""A line of `accounts`: when the invocation started (ns), what it says it has done (JSON), checksum."""


class Damaged(Exception):
    """The file is damaged; the text says how that was seen. Never leaves the journal."""


def answer_sum(key: bytes, status: Any, prompt_tokens: Any, completion_tokens: Any, body: Any) -> bytes | None:
    """The checksum of an answer; None when a field lost its type. The key stands for the request: it is its hash."""
    try:
        head = struct.pack(">32sqqq", key, status, prompt_tokens, completion_tokens)
        return hashlib.blake2b(head + body, digest_size=16).digest()
    except (struct.error, TypeError):
        return None


def line_sum(*numbers: Any) -> bytes | None:
    """The checksum of a line of `spent`; None when a field has lost its type."""
    try:
        return hashlib.blake2b(struct.pack(">qqqqdd", *numbers), digest_size=16).digest()
    except struct.error:
        return None


def account_sum(started: Any, account: Any) -> bytes | None:
    """The checksum of a line of `accounts`; None when a field has lost its type."""
    try:
        return hashlib.blake2b(struct.pack(">q", started) + account, digest_size=16).digest()
    except (struct.error, TypeError):
        return None


def read_accounts(db: sqlite3.Connection) -> Iterator[Account]:
    """The lines of `accounts` that check, oldest first. Raises sqlite3.DatabaseError where the file is damaged."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'accounts'").fetchone() is None:
        return
    for started, account, total in db.execute("SELECT started, account, sum FROM accounts ORDER BY started"):
        if total == account_sum(started, account):
            yield started, account, total


def beside(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside `path`: its `-wal` or `-shm`."""
    return path.with_name(path.name + suffix)


def connect(path: Path, query: str) -> sqlite3.Connection:
    """A connection for any one thread at a time; `query` holds SQLite's URI parameters."""
    uri = f"{path.absolute().as_uri()}?{query}"
    db = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False)
    db.text_factory = bytes
    try:
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = FULL"):
            db.execute(f"PRAGMA {pragma}")
    except BaseException:
        db.close()
        raise
    return db


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing but SQLite's own `-shm`, and not even that when the journal was closed well."""
    wal = beside(path, "-wal")
    live = wal.exists() and wal.stat().st_size > 0
    return connect(path, "mode=ro" if live else "mode=ro&immutable=1")


def create(
    path: Path, answers: Iterable[Record] = (), spent: Iterable[Line] = (), accounts: Iterable[Account] = ()
) -> None:
    """Make a journal at `path` in one atomic step: a journal is never seen empty or half made.

    That is why a journal of zero bytes is damage, and not a new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    remove(new)
    with closing(connect(new, "mode=rwc")) as db:
        db.executescript(TABLES)
        db.execute("BEGIN")
        db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", answers)
        db.executemany("INSERT OR REPLACE INTO spent VALUES (?, ?, ?, ?, ?, ?, ?)", spent)
        db.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", accounts)
        db.execute("COMMIT")
    new.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a database and what SQLite keeps beside it, if there."""
    for suffix in ("-shm", "-wal", "-journal", ""):
        beside(path, suffix).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check(path: Path) -> None:
    """Raise Damaged if the file at `path` is, FatalError if it is a newer version's; the file stays as it is.

    The header is read before SQLite sees the file: SQLite deletes the `-wal` of an empty file.
    """
    if not path.exists():
        raise Damaged("it is gone, but its -wal is there")
    with path.open("rb") as file:
        if file.read(len(HEADER)) != HEADER:
            raise Damaged("its header is not that of a journal")
    try:
        with closing(connect_to_read(path)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
                raise Damaged("its mark is not that of a journal")
            if version > VERSION:
                raise FatalError(f"{path}: this journal is of a newer synth-llm (version {version}); upgrade synth-llm")
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != b"ok":
                raise Damaged(found.decode("utf-8", "replace"))
    except sqlite3.DatabaseError as error:
        raise not_damage(error, path) or Damaged(str(error)) from error


def not_damage(error: sqlite3.DatabaseError, path: Path) -> FatalError | None:
    """The one line for an error that is not the file's fault (disk full, read-only, in use); None for damage."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        raise error
    kind = code & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return FatalError(f"{path}: the disk is full; free some space and run again, what was answered is kept")
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return FatalError(
            f"{path}: the journal cannot be opened or written ({error}); look at the folder's permissions"
        )
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return FatalError(f"{path}: another program holds the journal ({error}); end it and run again")
    if kind == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return FatalError(f"{path}: the disk reports an error ({error.sqlite_errorname}); look at the disk, run again")
    return None


class Keys:
    """Which keys may be in the journal: a Bloom filter (Bloom 1970) of 4 MiB, so that a new request costs no look-up.

    Keys are SHA-256 hashes, so their own bytes serve as the filter's hash functions. At a million keys one absent key
    in 1,500 is looked up for nothing; a key that is there is never missed.
    """

    BITS = 1 << 25

    def __init__(self, keys: Iterable[Any]) -> None:
        self._bits = bytearray(self.BITS // 8)
        for key in keys:
            if isinstance(key, bytes):  # a damaged one may be anything
                self.add(key)

    def add(self, key: bytes) -> None:
        """Remember a key."""
        bits, (one, two, three) = self._bits, _places(key)
        bits[one >> 3] |= 1 << (one & 7)
        bits[two >> 3] |= 1 << (two & 7)
        bits[three >> 3] |= 1 << (three & 7)

    def __contains__(self, key: bytes) -> bool:
        bits, (one, two, three) = self._bits, _places(key)
        set_ = bits[one >> 3] >> (one & 7) & bits[two >> 3] >> (two & 7) & bits[three >> 3] >> (three & 7) & 1
        return bool(set_)


def _places(key: bytes) -> tuple[int, int, int]:
    """Three numbers of 25 bits."""
    bits = int.from_bytes(key[:10], "big")
    mask = Keys.BITS - 1
    return bits & mask, bits >> 25 & mask, bits >> 50 & mask
