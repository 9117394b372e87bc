"""Rows out of files: JSON lines, JSON, CSV, Parquet, text folders. Streaming, strict; every fault has its place.

Each reader yields `(place, row)`; `place.error(message)` is the InputError that names the file and the line, or the row
where a file has no lines. Values are JSON values: dates and times of Parquet become ISO text, decimals become floats,
NaN becomes null (tables use it for "missing"); bytes and infinities are refused. CSV values are text.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from synth_llm.errors import InputError
from synth_llm.row import Row

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DEPTH = 64
MAX_FIELD = 100_000_000  # characters of one CSV field; an unclosed quote must not read a whole disk into memory


class Place(NamedTuple):
    """Where a row stands: its file if any, its line (from 1), or its number (from 1) where there are no lines."""

    path: str | Path | None = None
    line: int | None = None
    number: int | None = None

    def error(self, message: str) -> InputError:
        """An InputError that begins with this place."""
        text = message if self.number is None else f"row {self.number}: {message}"
        return InputError(text, self.path, self.line)


Placed = tuple[Place, Row]


def plain(value: Any, depth: int = 0) -> Any:
    """A value as a JSON value (see the top of this file). Raises ValueError, in words, for what has no JSON form."""
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError("infinity is not a JSON number")
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {
            _text(name) if isinstance(name, str) else _refuse(name): plain(v, depth + 1) for name, v in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return plain(float(value))
    if hasattr(value, "tolist"):  # numpy
        return plain(value.tolist(), depth + 1)
    return _refuse(value)


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("a text holds the character NUL")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("a text holds half of a surrogate pair")
    return value


def _refuse(value: Any) -> NoReturn:
    raise ValueError(f"a value of type {type(value).__name__} has no JSON form")


def check_names(names: Iterable[str]) -> None:
    """Raises ValueError when a column has no name, a name of ours, or the name of another column."""
    seen = set()
    for name in names:
        if not name.strip():
            raise ValueError("a column has no name")
        if name.startswith("_"):
            raise ValueError(f"column '{name}': names that start with '_' are synth-llm's own; rename it")
        if name in seen:
            raise ValueError(f"column '{name}' stands twice; rename one")
        seen.add(name)


def checked(row: Any) -> Row:
    """A row with JSON values and proper column names. Raises ValueError, in words."""
    if not isinstance(row, dict):
        raise ValueError(f"is {_kind(row)}, not an object of columns")
    clean: Row = plain(row)
    check_names(clean)
    return clean


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), f"of type {type(value).__name__}")


def read_file(path: Path) -> Iterator[Placed]:
    """The rows of a .jsonl, .json, .csv or .parquet file, one pass. Raises InputError at the first fault."""
    suffix = path.suffix.lower()
    if suffix in {".gz", ".zst", ".bz2", ".xz", ".zip"}:
        raise InputError(f"is compressed ({suffix}); unpack it first", path)
    readers = {".jsonl": read_jsonl, ".json": read_json, ".csv": read_csv, ".parquet": read_parquet}
    if suffix not in readers:
        raise InputError(f"rows are read from {', '.join(sorted(readers))} files; convert it to one of these", path)
    return readers[suffix](path)


def _open(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, numbered from 1, with their ends."""
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError("is not UTF-8; save it as UTF-8", path, number) from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with line ends as `\\n`. Raises InputError, with the line, when it is not UTF-8."""
    return "".join(line for _, line in _lines(path)).replace("\r\n", "\n")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key '{next(name for name in names if names.count(name) > 1)}' stands twice")
    return items


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; write null")


_SPACE = re.compile(r"[ \t\r\n]*")
_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _decode(place: Place, text: str, at: int = 0) -> tuple[Row, int]:
    """The row whose JSON begins at `at`, and where it ends. Raises the place's InputError."""
    try:
        value, end = _JSON.raw_decode(text, at)
        return checked(value), end
    except json.JSONDecodeError as error:
        line = (place.line or 1) + text.count("\n", at, error.pos)
        raise InputError(f"not JSON: {error.msg} (column {error.colno})", place.path, line) from error
    except RecursionError as error:
        raise place.error("is nested too deeply") from error
    except ValueError as error:
        raise place.error(str(error)) from error


def read_jsonl(path: Path) -> Iterator[Placed]:
    """One JSON object a line; blank lines are passed over."""
    for number, line in _lines(path):
        if text := line.strip(" \t\r\n"):
            place = Place(path, number)
            row, end = _decode(place, text)
            if end < len(text):
                raise place.error(f"not JSON: something follows the object (column {end + 1})")
            yield place, row


def read_json(path: Path) -> Iterator[Placed]:
    """A JSON list of objects. The text is held in memory, the rows are not."""
    text, line = read_text(path), 1

    def next_sign(after: int) -> tuple[int, str]:
        at = _SPACE.match(text, after).end()  # type: ignore[union-attr]  # it always matches
        return at, text[at : at + 1]

    at, sign = next_sign(0)
    if sign != "[":
        raise InputError("is not a list of rows; rows that stand one a line belong in a .jsonl file", path, 1)
    counted = 0
    at, sign = next_sign(at + 1)
    while sign != "]":
        line, counted = line + text.count("\n", counted, at), at
        place = Place(path, line)
        row, end = _decode(place, text, at)
        yield place, row
        at, sign = next_sign(end)
        if sign == ",":
            at = next_sign(at + 1)[0]
        elif sign != "]":
            raise place.error("not JSON: ',' or ']' is missing after the row that begins here")
    if next_sign(at + 1)[1]:
        raise InputError("not JSON: something follows the list", path, 1 + text.count("\n", 0, at))


def read_csv(path: Path) -> Iterator[Placed]:
    """Comma-separated values with a header line; every value is text; blank lines are passed over."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))  # the module has one limit for the whole process
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    header: list[str] | None = None
    while True:
        place = Place(path, reader.line_num + 1)
        try:
            fields = next(reader, None)
            if fields is None:
                return
            if header is None:
                header = [_text(name) for name in fields]
                check_names(header)
            elif fields:
                if len(fields) != len(header):
                    raise ValueError(f"has {len(fields)} fields, but the header has {len(header)}")
                yield place, dict(zip(header, map(_text, fields), strict=True))
        except csv.Error as error:
            raise place.error(f"not CSV: {error}") from error
        except ValueError as error:
            raise place.error(str(error)) from error


def read_parquet(path: Path, *, own_columns: bool = False) -> Iterator[Placed]:
    """The rows of a Parquet file. `own_columns`: written by synth-llm: columns that start with `_` are left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            names = [name for name in file.schema_arrow.names if not (own_columns and name.startswith("_"))]
            yield from read_arrow(file.iter_batches(1000, columns=names), names, path)
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"cannot be read as Parquet: {said}", path) from error


def read_arrow(batches: Iterable[pa.RecordBatch | pa.Table], names: list[str], path: str | Path) -> Iterator[Placed]:
    """The rows of Arrow batches; `names` are their columns, `path` is for errors."""
    try:
        check_names(names)
    except ValueError as error:
        raise InputError(str(error), path) from error
    number = 0
    for batch in batches:
        columns = [(name, batch.column(name)) for name in names]
        for index in range(batch.num_rows):
            number += 1
            place = Place(path, number=number)
            row = {}
            for name, column in columns:
                try:
                    row[name] = plain(column[index].as_py())
                except (ValueError, OverflowError) as error:
                    raise place.error(f"column '{name}': {error}") from error
            yield place, row
