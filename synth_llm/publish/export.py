"""The kept rows of a run as files that a trainer reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from synth_llm import output
from synth_llm.against import joined
from synth_llm.errors import InputError, Reject
from synth_llm.publish.formats import Columns, Spec
from synth_llm.publish.settings import TRAIN, Files, publish_of
from synth_llm.publish.splits import How, Item, drawn
from synth_llm.row import ID, PARENT, Row, canonical, public

if TYPE_CHECKING:
    import datasets

    from synth_llm.embed import Encoder

OUTSIDE = "O"
NO_TEXTS = {"label", "wanted", "score", "spans", "tools", "system"}
"""Uses of values that say nothing of what a row is about."""


class Exported(NamedTuple):
    """What was written."""

    files: dict[Path, int]
    """The rows in each."""
    columns: Columns | None
    """Where the format found its columns; None when rows were written as they are."""
    left_out: list[str]
    """The ids of rows that are near to rows of two splits, and so in none."""


def export(folder: Path, out: Path | None = None, **changes: Any) -> Exported:
    """Write the kept rows of the run in `folder` as its recipe's `publish` and `changes` to it say, a file a split.

    `out` is `exports/<run>-<format>` by default; `changes` are settings of `Publish`, such as `format="messages"`.
    Classes are numbered in Parquet, as ClassLabel, and named in JSON Lines and CSV. No two splits share a parent or a
    near-copy, and a row stays in its split when a later run adds others (`splits`). The same rows give the same bytes,
    and a file is replaced in one piece.

    Raises InputError when `folder` is no finished run, `out` holds other data files, the rows have no columns for the
    format or one of them has no value for it, naming the row; and for CSV when a value is no single one.
    """
    manifest = output.read_manifest(folder)
    if not manifest:
        raise InputError(f"{folder} is no run that has ended; run it to its end first")
    settings = publish_of((manifest["recipe"].get("publish") or {}) | changes)
    out = out or Path("exports") / (folder.resolve().name + (f"-{settings.format}" if settings.format else ""))
    if out.resolve() == folder.resolve():
        raise InputError(f"{out} is the run's own folder; export to another one")
    source = folder / output.KEPT
    have = _names(source)
    chosen, splits = settings.columns_in(have), settings.splits
    places = None
    if splits:
        how = How(shares=splits, stratify=settings.stratify, near=settings.near)
        encode = _encoder().encode if settings.near == "meaning" else None
        places = drawn(folder, _items(source, chosen, have, settings.stratify), how, encode)
    paths = {name: out / f"{name}.{settings.files}" for name in (TRAIN, *splits)}
    _check_alone(out, paths.values())
    out.mkdir(parents=True, exist_ok=True)
    write = _writer(settings.files, source, chosen, have)
    files = {}
    for name, path in paths.items():
        with output.atomic(path) as beside:
            files[path] = write(beside, partial(_made, source, chosen, places, name))
    left_out = [row[ID] for row, place in zip(_read(source), places, strict=True) if place is None] if places else []
    return Exported(files, chosen, left_out)


def _encoder() -> Encoder:
    from synth_llm.encoders import EncoderEntry, stored_encoder

    return stored_encoder(EncoderEntry(), Path())


def _check_alone(out: Path, paths: Iterable[Path]) -> None:
    """Raise InputError for a data file of another export: who loads the folder would read both as one."""
    others = (path for kind in get_args(Files) for path in sorted(out.glob(f"*.{kind}")))
    if other := next((path for path in others if path not in paths), None):
        raise InputError("is of another export, and would be read with this one; delete it or export elsewhere", other)


def _items(source: Path, chosen: Columns | None, have: list[str], stratify: str | None) -> list[Item]:
    """What the rows' splits hang on: near-copies are found in the columns of the format that hold texts."""
    columns = [column for what, column in chosen.of.items() if what not in NO_TEXTS] if chosen else have
    return [
        Item(row[ID], row[PARENT], canonical(row[stratify]) if stratify else "", joined(row, columns))
        for row in _read(source)
    ]


def _names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [name for name in pq.read_schema(path).names if name not in output.OURS]


def _read(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(output.GROUP):
            yield from batch.to_pylist()


def _made(
    path: Path, chosen: Columns | None, places: Sequence[str | None] | None = None, split: str = TRAIN
) -> Iterator[Row]:
    """The rows of a split, in their format if there is one. Raises InputError for the first that cannot be in it."""
    for number, row in enumerate(_read(path), 1):
        if places is not None and places[number - 1] != split:
            continue
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


def _writer(kind: Files, source: Path, chosen: Columns | None, have: list[str]) -> Callable[[Path, Rows], int]:
    """What writes rows to a file, and returns how many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    spec = chosen.format.spec(chosen.of) if chosen else dict.fromkeys(have)
    if kind == "jsonl":
        return _jsonl
    if kind == "csv":
        return partial(_csv, spec)
    if chosen:
        features = _features(spec, lambda: _made(source, chosen, None))
        return partial(_parquet, partial(_table, features))
    whole = pq.read_schema(source)
    schema = pa.schema([whole.field(name) for name in have])
    return partial(_parquet, partial(pa.Table.from_pylist, schema=schema))


def _parquet(table: Callable[[list[Row]], Any], path: Path, rows: Rows) -> int:
    import pyarrow.parquet as pq

    left, count = iter(rows()), 0
    with pq.ParquetWriter(path, table([]).schema, compression="zstd") as writer:
        while group := list(islice(left, output.GROUP)):
            writer.write_table(table(group))
            count += len(group)
    return count


def _table(features: datasets.Features, rows: list[Row]) -> Any:
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


def _jsonl(path: Path, rows: Rows) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _csv(spec: Mapping[str, Spec], path: Path, rows: Rows) -> int:
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
