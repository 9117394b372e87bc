"""A run folder, read back: how the run stands, its rows, and the calls behind one row."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_llm.account import Account, read_account
from synth_llm.errors import InputError, Reject, nearest
from synth_llm.journal import Journal, Spent
from synth_llm.models.request import Answer, completion
from synth_llm.output import JOURNAL, KEPT, MANIFEST, REJECTED, read_manifest
from synth_llm.row import ID, LINEAGE, Row

if TYPE_CHECKING:
    import pyarrow.parquet as pq

RUNS = Path("runs")
"""Where runs are written unless told otherwise."""


@dataclass(frozen=True)
class Status:
    """How a run stands."""

    path: Path
    manifest: dict[str, Any]
    """Empty when no run wrote its output here yet."""
    spent: Spent
    """Over all invocations."""
    answers: int
    """In the journal."""
    running: bool
    """Whether a process works here now."""
    accounts: list[Account]
    """What each invocation did, oldest first."""


@dataclass(frozen=True)
class Call:
    """One model call behind a row. Request and answer are None when the journal does not hold them."""

    step: str
    row: str
    key: str
    request: dict[str, Any] | None
    answer: Answer | None

    @property
    def said(self) -> str:
        """The text of the answer, or its raw body when there is no text in it."""
        if self.answer is None:
            return ""
        try:
            return completion(self.answer).text
        except Reject as reject:
            return reject.raw or ""


@dataclass
class Group:
    """Rows that one step rejected for one reason."""

    step: str
    reason: str
    count: int = 0
    first: list[int] = field(default_factory=list)
    """The numbers of the first of them."""


def find_run(name: str | None) -> Path:
    """The run folder of that path, or of that name below `runs`; without a name the newest. Raises InputError."""
    here = sorted((path for path in RUNS.glob("*") if _is_run(path)), key=lambda path: path.stat().st_mtime)
    if name is None:
        if not here:
            raise InputError("no runs here: there is nothing below runs/; give the folder of a run")
        return here[-1]
    for path in (Path(name), RUNS / name):
        if _is_run(path):
            return path
    raise InputError(f"{name}: no run here{nearest(name, [path.name for path in here])}")


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in (MANIFEST, JOURNAL))


def status(folder: Path) -> Status:
    """How the run in a folder stands. Raises InputError or FatalError when its files cannot be read."""
    manifest = read_manifest(folder)
    spent, answers, accounts = Spent(), 0, list[Account]()
    if (folder / JOURNAL).exists():
        with journal_of(folder) as journal:
            spent, answers = journal.spent(), len(journal)
            accounts = [read_account(account) for account in journal.accounts()]
    return Status(folder, manifest, spent, answers, _is_locked(folder / ".lock"), accounts)


def _is_locked(lock: Path) -> bool:
    import filelock

    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False


@contextmanager
def journal_of(path: Path) -> Iterator[Journal]:
    """A journal to read, given itself or its run folder."""
    journal = Journal.open(path / JOURNAL if path.is_dir() else path, read_only=True)
    try:
        yield journal
    finally:
        journal.close()


def calls(row: Row, journals: Sequence[Journal]) -> list[Call]:
    """The model calls behind a row, oldest first, each from the first journal that holds it."""
    found = []
    for call in row[LINEAGE] or []:
        key = call["key"]
        request = next((r for journal in journals if (r := journal.request(key)) is not None), None)
        answer = next((a for journal in journals if (a := journal.get(key)) is not None), None)
        found.append(Call(call["step"], call["row"], key, request, answer))
    return found


# Rows


def sample(folder: Path, count: int) -> list[Row]:
    """Some kept rows, the same ones each time; drawn, because every so-manieth row of a grid has the same values."""
    with _open(folder, KEPT) as file:
        total = file.metadata.num_rows
        return _take(file, sorted(random.Random(0).sample(range(total), min(count, total))))


def rejections(folder: Path, reason: str | None = None, examples: int = 2) -> list[tuple[Group, list[Row]]]:
    """Rejected rows by step and reason in the order of the funnel, with the first rows of each.

    Raises InputError, naming the reasons there are, when no row was rejected for `reason`.
    """
    groups: dict[tuple[str, str], Group] = {}
    with _open(folder, REJECTED) as file:
        pairs = (tuple(row.values()) for row in _each(file, ["step", "reason"]))
        for number, pair in enumerate(pairs):
            group = groups.setdefault(pair, Group(*pair))
            group.count += 1
            if len(group.first) < examples:
                group.first.append(number)
        if reason is not None and reason not in {group.reason for group in groups.values()}:
            known = sorted({group.reason for group in groups.values()})
            raise InputError(f"{folder}: no row was rejected as '{reason}'; reasons: {', '.join(known) or 'none'}")
        chosen = [group for group in groups.values() if reason in (None, group.reason)]
        order = _order(folder)
        chosen.sort(key=lambda group: (order.get(group.step, len(order)), -group.count, group.reason))
        return [(group, _take(file, group.first)) for group in chosen]


def repeated(folder: Path, rejected: Iterable[Row]) -> dict[str, Row]:
    """The rows that rejected rows repeat, by their ids, as far as they are rows of this run."""
    wanted = {row["other"] for row in rejected if row.get("other")}
    found: dict[str, Row] = {}
    for name in (KEPT, REJECTED) if wanted else ():
        with _open(folder, name) as file:
            ids = ((number, row[ID]) for number, row in enumerate(_each(file, [ID])))
            numbers = [number for number, one in ids if one in wanted and one not in found]
            rows = _take(file, numbers)
            found |= {row[ID]: whole(row) if name == REJECTED else row for row in rows}
    return found


def _order(folder: Path) -> dict[str, int]:
    return {step["step"]: number for number, step in enumerate(read_manifest(folder).get("funnel", []))}


def find_row(folder: Path, prefix: str) -> tuple[Row, bool]:
    """The row whose id begins so, and whether it was kept. Raises InputError when there is none, or several."""
    found: list[tuple[str, int]] = []
    names: list[str] = []
    for name in (KEPT, REJECTED):
        with _open(folder, name) as file:
            for number, row in enumerate(_each(file, [ID])):
                if row[ID].startswith(prefix):
                    found.append((name, number))
                    names.append(row[ID])
                    if row[ID] == prefix:  # an id that another one begins with
                        return _take(file, [number])[0], name == KEPT
    if len(found) != 1:
        what = f"{len(found)} rows begin" if found else "no row begins"
        some = f": {', '.join(names[:5])}" if found else ""
        raise InputError(f"{folder}: {what} with id '{prefix}'{some}")
    name, number = found[0]
    with _open(folder, name) as file:
        return _take(file, [number])[0], name == KEPT


@contextmanager
def _open(folder: Path, name: str) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (folder / name).is_file():
        raise InputError(f"no {name} here yet; `synth-llm run` writes it", folder)
    try:
        with pq.ParquetFile(folder / name, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"cannot be read as Parquet ({said}); run again to write it anew", folder / name) from None


def _each(file: pq.ParquetFile, columns: list[str]) -> Iterator[Row]:
    for batch in file.iter_batches(10_000, columns=columns):
        yield from batch.to_pylist()


def _take(file: pq.ParquetFile, numbers: Sequence[int]) -> list[Row]:
    """The rows of these numbers, in ascending order."""
    rows: list[Row] = []
    start = 0
    for group in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        here = [number - start for number in numbers if start <= number < start + size]
        if here:
            table = file.read_row_group(group)
            for number in here:  # `take` would load pandas
                rows += table.slice(number, 1).to_pylist()
        start += size
    return rows


def whole(rejected: Row) -> Row:
    """The row inside a line of the rejected output."""
    return {**json.loads(rejected["row"]), ID: rejected[ID], LINEAGE: rejected[LINEAGE]}
