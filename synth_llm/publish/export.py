"""The kept rows of a run as files that a trainer reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from synth_llm import output
from synth_llm.errors import InputError, Reject
from synth_llm.publish.formats import Columns, Spec, columns_of
from synth_llm.row import ID, Row, public

if TYPE_CHECKING:
    import datasets

Kind = Literal["parquet", "jsonl", "csv"]
TRAIN = "train"
OUTSIDE = "O"


class Exported(NamedTuple):
    """What was written."""

    files: list[Path]
    rows: int
    columns: Columns | None
    """Where the format found its columns; None when rows were written as they are."""


def export(
    folder: Path,
    out: Path,
    *,
    format: str | None = None,  # what users call it
    columns: Mapping[str, str] | None = None,
    kind: Kind = "parquet",
) -> Exported:
    """Write the kept rows of the run in `folder` to `out`, in a format or, without one, as they are.

    `columns` says where the format finds what its name does not tell. Classes are numbered in Parquet, as ClassLabel,
    and named in JSON Lines and CSV. The same rows give the same bytes, and a file is replaced in one piece.

    Raises InputError when `folder` is no finished run, the rows have no columns for the format or one of them has no
    value for it, naming the row; and for CSV when a value is no single one.
    """
    if kind not in get_args(Kind):
        raise InputError(f"no kind of file '{kind}'; there are {', '.join(get_args(Kind))}")
    manifest = output.read_manifest(folder)
    if not manifest:
        raise InputError(f"{folder} is no run that has ended; run it to its end first")
    source = folder / output.KEPT
    have = _names(source)
    if columns and format is None:
        raise InputError("columns say where a format finds its values; name the format too")
    chosen = columns_of(format, have, columns) if format is not None else None
    path = out / f"{TRAIN}.{kind}"
    if out.resolve() == folder.resolve():
        raise InputError(f"{out} is the run's own folder; export to another one")
    out.mkdir(parents=True, exist_ok=True)

    def rows() -> Iterator[Row]:
        return _made(source, chosen)

    with output.atomic(path) as beside:
        if chosen is None and kind == "parquet":
            count = _copy(source, beside, have)
        else:
            spec = chosen.format.spec(chosen.of) if chosen else dict.fromkeys(have)
            count = _WRITE[kind](beside, rows, spec)
    return Exported([path], count, chosen)


def _names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [name for name in pq.read_schema(path).names if name not in output.OURS]


def _read(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(output.GROUP):
            yield from batch.to_pylist()


def _made(path: Path, chosen: Columns | None) -> Iterator[Row]:
    """The rows, in their format if there is one. Raises InputError for the first that cannot be in it."""
    for number, row in enumerate(_read(path), 1):
        if chosen is None:
            yield public(row)
            continue
        try:
            yield chosen.make(row)
        except Reject as reject:
            raise InputError(
                f"{path}: row {number} ({row[ID]}) cannot be in format {chosen.name}: {reject.detail}; "
                "filter such rows in the recipe, or name other columns"
            ) from None


Rows = Callable[[], Iterable[Row]]
"""The rows; gone through again from their beginning by each call."""


def _copy(source: Path, path: Path, columns: list[str]) -> int:
    """The rows as they stand, without the columns that are ours."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        schema = file.schema_arrow
        for name in output.OURS:
            schema = schema.remove(schema.get_field_index(name))
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in file.iter_batches(output.GROUP, columns=columns):
                writer.write_batch(batch)
        return int(file.metadata.num_rows)


def _parquet(path: Path, rows: Rows, spec: dict[str, Spec]) -> int:
    import pyarrow.parquet as pq

    features, writer, count = _features(spec, rows), None, 0
    try:
        left = iter(rows())
        while group := list(islice(left, output.GROUP)):
            table = _table(group, features)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            count += len(group)
        if writer is None:
            writer = pq.ParquetWriter(path, _table([], features).schema, compression="zstd")
    finally:
        if writer is not None:
            writer.close()
    return count


def _table(rows: list[Row], features: datasets.Features) -> Any:
    import datasets

    columns = {name: [row[name] for row in rows] for name in features}
    return datasets.Dataset.from_dict(columns, features=features).data.table.combine_chunks()


def _features(spec: dict[str, Spec], rows: Rows) -> datasets.Features:
    """The types of the columns in the words of `datasets`, which stores them in the file."""
    import datasets

    def of(kind: Spec, column: str) -> Any:
        if isinstance(kind, list):
            return datasets.List(of(kind[0], column))
        if isinstance(kind, dict):
            return {name: of(inner, column) for name, inner in kind.items()}
        if kind == "class":
            return datasets.ClassLabel(names=_classes(rows(), column))
        return datasets.Json() if kind == "json" else datasets.Value({"float": "float64"}.get(kind, kind))

    return datasets.Features({column: of(kind, column) for column, kind in spec.items()})


def _classes(rows: Iterable[Row], column: str) -> list[str]:
    """The names of all classes in a column: what is outside of any first, then by the alphabet."""
    names: set[str] = set()
    for row in rows:
        names.update(row[column] if isinstance(row[column], list) else [row[column]])
    return sorted(names, key=lambda name: (name != OUTSIDE, name))


def _jsonl(path: Path, rows: Rows, spec: dict[str, Spec]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _csv(path: Path, rows: Rows, spec: dict[str, Spec]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(spec), lineterminator="\n")
        writer.writeheader()
        for row in rows():
            if odd := next((name for name, value in row.items() if isinstance(value, list | dict)), None):
                raise InputError(f"column '{odd}' holds several values, which CSV cannot; take jsonl or parquet")
            writer.writerow({name: _plain(value) for name, value in row.items()})
            count += 1
    return count


def _plain(value: Any) -> Any:
    """True and false as JSON writes them."""
    return json.dumps(value) if isinstance(value, bool) else value


_WRITE: dict[str, Callable[[Path, Rows, dict[str, Spec]], int]] = {
    "parquet": _parquet,
    "jsonl": _jsonl,
    "csv": _csv,
}
