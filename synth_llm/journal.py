"""The journal of a run: every answer of a model, as it came, in one SQLite file that survives being killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from synth_llm import journal_file, salvage
from synth_llm.errors import FatalError, InputError
from synth_llm.journal_file import (
    Account,
    Damaged,
    Keys,
    Line,
    Record,
    account_sum,
    answer_sum,
    beside,
    line_sum,
    not_damage,
)
from synth_llm.models.request import Answer, Request

T = TypeVar("T")
Waiting = tuple[Record, asyncio.Future[None]]

LOG = logging.getLogger(__name__)
ANSWER = "SELECT status, prompt_tokens, completion_tokens, sum, body FROM answers WHERE key = ?"
REQUEST = "SELECT request FROM answers WHERE key = ?"
MOST_AT_ONCE = 64
"""Records in one INSERT. One statement for many, because after each one the thread waits for Python's lock."""


@dataclass(slots=True)
class Spent:
    """What was sent and used; `seconds` is wall time."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens of both kinds."""
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: Spent) -> Spent:
        """The sum of both."""
        return Spent(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.dollars + other.dollars,
            self.seconds + other.seconds,
        )


class Now(NamedTuple):
    """What is written with each group of answers, in place of what this invocation wrote before."""

    line: Line
    account: Account | None


class Journal:
    """Answers by the key of their request. Used from one thread and one event loop; one process writes at a time.

    `damaged` counts the look-ups that met a record which does not check: such a record is as if absent.
    """

    def __init__(self, path: Path, read_only: bool, on_notice: Callable[[str], None]) -> None:
        """Use `Journal.open`."""
        self.path, self.damaged = path, 0
        self._on_notice = on_notice
        self._scratch = tempfile.TemporaryDirectory(prefix="synth-llm-") if read_only else None
        self.account: Callable[[], str] | None = None
        """Says what this invocation has done so far, as JSON: a kill loses no more of it than of the answers."""
        self._started, self._before, self._here = time.time_ns(), Spent(), Spent()
        self._unwritten = False  # something was spent since the last commit
        self._waiting: list[Waiting] = []
        self._inflight: list[Waiting] = []
        self._writing = self._closed = False
        self._pool = ThreadPoolExecutor(1, "journal")
        self._busy = Lock()  # held while the pool's thread writes, and while the file is replaced
        self._connections: list[sqlite3.Connection] = []
        self._opened = 0  # how often the file was opened: a late report of damage that is mended is known by it

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        on_notice: Callable[[str], None] = LOG.warning,
    ) -> Journal:
        """Open the journal at `path`, or make it; salvage it if it is damaged, with one line to `on_notice`.

        `read_only` leaves the folder as it is and reads a damaged journal from a copy. Raises InputError when a journal
        to read is not there; FatalError when disk or folder do not allow it, when the journal is a newer version's, or
        when it is damaged and nothing in it can be read.
        """
        journal = cls(path, read_only, on_notice)
        try:
            try:
                journal._connect(journal._source())
            except Damaged:
                journal._rescue()
        except sqlite3.DatabaseError as error:
            raise not_damage(error, path) or error from error
        except OSError as error:
            raise FatalError(f"{path}: the journal cannot be opened ({error.strerror})") from error
        finally:
            if not journal._opened:
                journal.close()
        return journal

    def get(self, key: str) -> Answer | None:
        """The answer to the request with this key, or None; one look-up by the index, for the event loop."""
        binary = bytes.fromhex(key)
        if binary not in self._keys:
            return None
        row = self._find(ANSWER, binary)
        if row is None:
            return None
        status, prompt_tokens, completion_tokens, total, body = row
        if total != answer_sum(binary, status, prompt_tokens, completion_tokens, body):
            self.damaged += 1
            return None
        return Answer(body, status)

    def request(self, key: str) -> dict[str, Any] | None:
        """The logical request behind a key, or None."""
        binary = bytes.fromhex(key)
        row = self._find(REQUEST, binary)
        if row is None or not isinstance(row[0], bytes) or hashlib.sha256(row[0]).digest() != binary:
            return None
        value: dict[str, Any] = json.loads(row[0])
        return value

    def requests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All keys with their requests, in the order of the keys."""
        keys = self._salvaging(lambda: self._reader.execute("SELECT key FROM answers ORDER BY key").fetchall())
        for (binary,) in keys:
            request = self.request(binary.hex()) if isinstance(binary, bytes) else None
            if request is not None:
                yield binary.hex(), request

    def __len__(self) -> int:
        count: int = self._salvaging(lambda: self._reader.execute("SELECT count(*) FROM answers").fetchone()[0])
        return count

    async def put(
        self, request: Request, answer: Answer, prompt_tokens: int, completion_tokens: int, dollars: float = 0.0
    ) -> None:
        """Return when the answer is on disk, with what it cost. An earlier answer to the same request is replaced.

        Raises FatalError when the disk is full or cannot be written.
        """
        if self._closed:
            raise RuntimeError("the journal is closed")
        key = bytes.fromhex(request.key)
        total = answer_sum(key, answer.status, prompt_tokens, completion_tokens, answer.body)
        if total is None:
            raise TypeError("an answer has a whole status, whole numbers of tokens and a body of bytes")
        record = (key, answer.status, prompt_tokens, completion_tokens, total, answer.body, request.text)
        self.spend(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, dollars=dollars)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((record, done))
        self._keys.add(key)
        if not self._writing:
            self._writing = True
            loop.call_soon(self._write_group, loop)  # after the other answers that are there already
        await done

    def forget(self, keys: Iterable[str]) -> None:
        """Remove the answers to these requests; durable when it returns."""
        binary = [(bytes.fromhex(key),) for key in keys]
        self._salvaging(lambda: self._commit([], None, binary))

    def spend(
        self,
        *,
        requests: int = 0,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        dollars: float = 0.0,
        seconds: float = 0.0,
    ) -> None:
        """Add to what this invocation spent; on disk with the next group of answers, or by `close`.

        What an answer cost is `put`'s: here count what `put` does not see.
        """
        here = self._here
        here.requests += requests
        here.prompt_tokens += prompt_tokens
        here.completion_tokens += completion_tokens
        here.dollars += dollars
        here.seconds += seconds
        self._unwritten = True

    def spent(self) -> Spent:
        """What all invocations spent, this one included."""
        return self._before.plus(self._here)

    def accounts(self) -> list[dict[str, Any]]:
        """What the invocations said they had done, oldest first; this one last, as it says now."""
        lines = self._salvaging(lambda: list(journal_file.read_accounts(self._reader)))
        texts = [account for started, account, _ in lines if started != self._started]
        if self.account is not None:
            texts.append(self.account().encode())
        return [json.loads(text) for text in texts]

    def close(self) -> None:
        """Write what still waits, and close the file. Raises FatalError when that cannot be written."""
        self._closed = True
        self._pool.shutdown(wait=True)
        group, self._inflight, self._waiting = [*self._inflight, *self._waiting], [], []
        problem: Exception | None = None
        try:
            if group or self._unwritten:
                self._salvaging(lambda: self._commit([record for record, _ in group], self._now()))
                self._unwritten = False
        except FatalError as error:
            problem = error
            raise
        finally:
            _report([done for _, done in group if not done.get_loop().is_closed()], problem)
            self._disconnect()
            if self._scratch is not None:
                self._scratch.cleanup()

    # Writing, a group at a time, in the pool's one thread

    def _write_group(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand all that waits to the writing thread; what comes meanwhile gathers for the next group."""
        if self._closed or not self._waiting:
            self._writing = False
            return
        self._inflight, self._waiting = self._waiting, []
        records, now, opened = [record for record, _ in self._inflight], self._now(), self._opened
        self._unwritten = False

        def hand_back(job: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop is closed: `close` writes the group again
                loop.call_soon_threadsafe(self._written, records, now, opened, job.exception())

        self._loop = loop
        self._pool.submit(self._commit, records, now).add_done_callback(hand_back)

    def _written(self, records: list[Record], now: Now, opened: int, error: BaseException | None) -> None:
        """Tell those who wait for a group; when the file was damaged, salvage it and write the group again."""
        if self._closed:
            return
        problem = error
        if isinstance(error, sqlite3.DatabaseError):
            try:
                self._salvage(error, opened)
                self._salvaging(lambda: self._commit(records, now))
                problem = None
            except FatalError as fatal:
                problem, self._unwritten = fatal, True
        group, self._inflight = self._inflight, []
        _report([done for _, done in group], problem)
        self._write_group(self._loop)

    def _commit(self, records: list[Record], now: Now | None, forgotten: Iterable[tuple[bytes]] = ()) -> None:
        """One durable transaction."""
        with self._busy:
            db = self._writer
            try:
                db.execute("BEGIN IMMEDIATE")
                for some in _pieces(records):
                    values = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(some))
                    db.execute(f"INSERT OR REPLACE INTO answers VALUES {values}", list(chain.from_iterable(some)))
                if now is not None:
                    db.execute("INSERT OR REPLACE INTO spent VALUES (?, ?, ?, ?, ?, ?, ?)", now.line)
                if now is not None and now.account is not None:
                    db.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", now.account)
                db.executemany("DELETE FROM answers WHERE key = ?", forgotten)
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.rollback()
                raise

    def _now(self) -> Now:
        """This invocation's lines of `spent` and `accounts`, whole: they replace what was written before."""
        line = (self._started, *astuple(self._here))
        total = line_sum(*line)
        assert total is not None
        if self.account is None:
            return Now((*line, total), None)
        account = self.account().encode()
        checked = account_sum(self._started, account)
        assert checked is not None
        return Now((*line, total), (self._started, account, checked))

    # The file

    def _source(self) -> Path:
        """The file in order: what to connect to. Raises Damaged."""
        path = self.path
        if self._scratch is None:
            if beside(path, salvage.REBUILT).exists():
                salvage.finish(path)  # a kill came between
            elif not path.exists() and not beside(path, "-wal").exists():
                journal_file.create(path)
            journal_file.check(path)
            return path
        if not path.exists():
            raise InputError("there is no journal here", path)
        try:
            journal_file.check(path)
            return path
        except FatalError:  # SQLite may need to write beside a journal that was not closed
            if not beside(path, "-wal").exists():
                raise
        copy = Path(self._scratch.name, "copy.sqlite")
        for suffix in ("", "-wal"):
            shutil.copyfile(beside(path, suffix), beside(copy, suffix))
        journal_file.check(copy)
        return copy

    def _connect(self, path: Path) -> None:
        """Connect, and read what earlier invocations spent. Raises Damaged, or FatalError."""
        try:
            if self._scratch is not None:
                self._connections = [journal_file.connect_to_read(path)]
            else:
                self._connections = [journal_file.connect(path, "mode=rw") for _ in range(2)]
                self._connections[-1].execute(journal_file.ACCOUNTS)
            self._reader, self._writer = self._connections[0], self._connections[-1]
            self._before = Spent()
            for started, *numbers, total in self._reader.execute("SELECT * FROM spent"):
                if started != self._started and total == line_sum(started, *numbers):
                    self._before = self._before.plus(Spent(*numbers))
            self._keys = Keys(key for (key,) in self._reader.execute("SELECT key FROM answers"))
        except sqlite3.DatabaseError as error:
            raise not_damage(error, path) or Damaged(str(error)) from error
        self._opened += 1

    def _disconnect(self) -> None:
        for connection in self._connections:
            with suppress(sqlite3.Error):
                connection.close()

    def _rescue(self) -> None:
        """Connect to what can be read of the damaged file. Raises FatalError, and then leaves all as it was."""
        try:
            if self._scratch is not None:
                into = Path(self._scratch.name, "rebuilt.sqlite")
                saved = salvage.rebuild(self.path, into)
                notice = f"journal: {saved} answers can be read of the damaged file {self.path}"
                self._disconnect()
                self._connect(into)
            else:
                saved = salvage.rebuild(self.path, beside(self.path, salvage.REBUILT))
                self._disconnect()
                aside = salvage.finish(self.path)
                self._connect(self.path)
                notice = (
                    f"journal: {saved} answers saved of a damaged file (kept as {aside.name}); "
                    "what was lost is asked again"
                )
        except (Damaged, OSError) as error:
            raise FatalError(
                f"{self.path}: the damaged journal cannot be replaced ({error}); look at the disk"
            ) from error
        self._on_notice(notice)

    def _salvage(self, error: sqlite3.DatabaseError, opened: int) -> None:
        """Mend the damage that `error` tells of, if it is damage and not mended since. Raises FatalError."""
        with self._busy:
            if opened != self._opened:
                return
            trouble = not_damage(error, self.path)
            if trouble is not None:
                raise trouble from error
            self._rescue()

    def _salvaging(self, work: Callable[[], T]) -> T:
        """Do work; when it meets damage, salvage the file and do it once more."""
        opened = self._opened
        try:
            return work()
        except sqlite3.DatabaseError as error:
            self._salvage(error, opened)
        try:
            return work()
        except sqlite3.DatabaseError as error:
            raise not_damage(error, self.path) or FatalError(f"{self.path}: {error}; look at the disk") from error

    def _find(self, query: str, key: bytes) -> Any:
        """What a query for one key finds, or None."""
        return self._salvaging(lambda: self._reader.execute(query, (key,)).fetchone())


def _pieces(records: list[Record]) -> Iterator[list[Record]]:
    """Records cut into runs of 64, 32, 16, ...: few lengths, so that SQLite compiles few statements."""
    start = 0
    while start < len(records):
        size = min(MOST_AT_ONCE, 1 << ((len(records) - start).bit_length() - 1))
        yield records[start : start + size]
        start += size


def _report(waiting: list[asyncio.Future[None]], problem: BaseException | None) -> None:
    """Tell those who wait that their answer is on disk, or why not."""
    for done in waiting:
        if not done.done():
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(problem)
