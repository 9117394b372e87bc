"""The run folder: kept and rejected rows as Parquet, manifest and dataset card. A reader never sees half a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_llm.errors import InputError
from synth_llm.library import file_hash
from synth_llm.row import ID, LINEAGE, PARENT, public
from synth_llm.spool import RejectedRow, dumps

if TYPE_CHECKING:
    import pyarrow as pa

KEPT, REJECTED, MANIFEST, JOURNAL, RECIPE, CARD = (
    "kept.parquet",
    "rejected.parquet",
    "manifest.json",
    "journal.sqlite",
    "recipe.yaml",
    "README.md",
)
OURS = (ID, PARENT, LINEAGE)
GROUP = 2_000
"""Rows in a Parquet row group."""
DEEPEST = 16
"""Levels of lists and objects in a column; a deeper one is JSON text, because Parquet readers give up at some depth."""

Kind = Any
"""A JSON type: "null", "bool", "int", "float", "string", ("list", Kind), ("struct", {name: Kind}); or "json", any."""


def write_kept(path: Path, texts: Callable[[], Iterable[str]], columns: Sequence[str]) -> None:
    """Write kept rows, each given as JSON text; `columns` are those there would be if there were no rows.

    `texts` is gone through twice: the first time for the types.
    """
    kinds: dict[str, Kind] = {}
    for text in texts():
        for name, value in public(json.loads(text)).items():
            if kinds.get(name) != "string" or type(value) is not str:
                kinds[name] = common(kinds.get(name, "null"), kind_of(value))
    names = list(kinds) + [name for name in columns if name not in kinds]
    types = {name: _storable(kinds.get(name, "string")) for name in names}
    types |= {name: "json" for name, kind in types.items() if _depth(kind) > DEEPEST}
    mixed = [name for name, kind in types.items() if kind == "json"]
    _write(path, _schema(types), (_with_texts(text, mixed) for text in texts()) if mixed else texts())


def write_rejected(path: Path, rows: Iterable[RejectedRow]) -> None:
    """Write rejected rows: step, reason, detail, value, other, raw, the row as JSON text, and its ids."""
    types: dict[str, Kind] = dict.fromkeys(("step", "reason", "detail"), "string")
    types |= {"value": "float", "other": "string", "raw": "string", "row": "string"}

    def lines() -> Iterator[str]:
        for item in rows:
            own = {name: item.row.get(name) for name in OURS}
            row = json.dumps(public(item.row), ensure_ascii=False)
            yield dumps({**item._asdict(), "row": row, **own})

    _write(path, _schema(types), lines())


def kind_of(value: Any) -> Kind:
    """The JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "json"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        inner: Kind = "null"
        for item in value:
            inner = common(inner, kind_of(item))
        return "json" if inner == "json" else ("list", inner)
    kinds = {name: kind_of(item) for name, item in value.items()}
    return "json" if not kinds or "json" in kinds.values() else ("struct", kinds)


def common(one: Kind, other: Kind) -> Kind:
    """The type that holds values of both; `json` when there is none.

    >>> common("int", "float"), common("null", "string"), common("int", "string")
    ('float', 'string', 'json')
    """
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if {one, other} == {"int", "float"} if isinstance(one, str) and isinstance(other, str) else False:
        return "float"
    if isinstance(one, tuple) and isinstance(other, tuple) and one[0] == other[0]:
        if one[0] == "list":
            inner = common(one[1], other[1])
            return "json" if inner == "json" else ("list", inner)
        names = [*one[1], *(name for name in other[1] if name not in one[1])]
        fields = {name: common(one[1].get(name, "null"), other[1].get(name, "null")) for name in names}
        return "json" if "json" in fields.values() else ("struct", fields)
    return "json"


def _depth(kind: Kind) -> int:
    if not isinstance(kind, tuple):
        return 0
    return 1 + max(_depth(inner) for inner in ([kind[1]] if kind[0] == "list" else kind[1].values()))


def _storable(kind: Kind) -> Kind:
    """Types Parquet has: what was always null, or always an empty list, is text."""
    if kind == "null":
        return "string"
    if isinstance(kind, tuple) and kind[0] == "list":
        return ("list", _storable(kind[1]))
    if isinstance(kind, tuple):
        return ("struct", {name: _storable(inner) for name, inner in kind[1].items()})
    return kind


def _with_texts(text: str, columns: list[str]) -> str:
    """The row with JSON text in the columns that have no common type."""
    row = json.loads(text)
    return dumps({**row, **{name: dumps(row[name]) for name in columns if row.get(name) is not None}})


def _schema(types: dict[str, Kind]) -> pa.Schema:
    import pyarrow as pa

    def arrow(kind: Kind) -> Any:
        if isinstance(kind, tuple) and kind[0] == "list":
            return pa.list_(arrow(kind[1]))
        if isinstance(kind, tuple):
            return pa.struct([pa.field(name, arrow(inner)) for name, inner in kind[1].items()])
        return {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}.get(kind, pa.string())

    call = pa.struct([pa.field(name, pa.string()) for name in ("step", "row", "key")])
    ours = [pa.field(ID, pa.string()), pa.field(PARENT, pa.string()), pa.field(LINEAGE, pa.list_(call))]
    return pa.schema([pa.field(name, arrow(kind)) for name, kind in types.items()] + ours)


def _write(path: Path, schema: pa.Schema, lines: Iterable[str]) -> None:
    """Write rows, each a line of JSON text; Arrow reads them itself, which costs a tenth of Python objects."""
    import pyarrow.parquet as pq

    with atomic(path) as beside, pq.ParquetWriter(beside, schema, compression="zstd") as writer:
        group: list[str] = []
        for line in lines:
            group.append(line)
            if len(group) == GROUP:
                writer.write_table(_table(group, schema))
                group = []
        if group:
            writer.write_table(_table(group, schema))


def _table(lines: list[str], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa
    from pyarrow import json as arrow_json

    text = "\n".join(lines).encode()
    return arrow_json.read_json(
        pa.BufferReader(text),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    ).select(schema.names)


class atomic:
    """`with atomic(path) as beside`: write the file `beside`; it takes its place, on disk, when the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path, self.beside = path, path.with_name(f".{path.name}.new")

    def __enter__(self) -> Path:
        return self.beside

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.beside.unlink(missing_ok=True)
            return
        with self.beside.open("rb+") as file:
            os.fsync(file.fileno())
        self.beside.replace(self.path)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece."""
    with atomic(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, with the hashes of the two Parquet files, last of all."""
    hashes = {name: file_hash(folder / name) for name in (KEPT, REJECTED)}
    write_text(folder / MANIFEST, json.dumps({**manifest, "sha256": hashes}, indent=2, ensure_ascii=False) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run folder; empty when the run has not written one yet. Raises InputError on a damaged one."""
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        value = None
    if not isinstance(value, dict) or not {"counts", "funnel", "models", "sha256"} <= value.keys():
        raise InputError("is not a manifest of synth-llm; run again to write it anew", folder / MANIFEST)
    return value


def card(manifest: dict[str, Any]) -> str:
    """The dataset card: metadata by which `datasets` finds the two outputs, and what a reader needs first."""
    counts = manifest["counts"]
    steps = "\n".join(
        f"| {step['step']} | {step['entered']:,} | {step['left']:,} | "
        f"{', '.join(f'{reason} {count:,}' for reason, count in step['rejected'].items()) or '-'} |"
        for step in manifest["funnel"]
    )
    models = "\n".join(
        f"- `{name}`: {entry['engine']} {entry.get('model') or ''} {(entry.get('revision') or '')[:12]}".rstrip()
        for name, entry in manifest["models"].items()
    )
    reached = "\n".join(
        f"| {one['objective']} | {one['measure']} | {figure(one['before'])} ({one['before_of']}) | "
        f"{figure(one['after'])} ({one['after_of']}) |"
        for one in manifest.get("objectives", ())
    )
    if reached:
        steps += f"\n\n| objective | measure | before | after |\n| --- | --- | --- | --- |\n{reached}"
    state = "complete" if manifest["complete"] else f"incomplete: {manifest['why']}"
    return f"""---
pretty_name: {json.dumps(manifest["name"])}
tags:
- synthetic
- synth-llm
size_categories:
- {_size(counts["kept"])}
configs:
- config_name: kept
  default: true
  data_files:
  - split: train
    path: {KEPT}
- config_name: rejected
  data_files:
  - split: train
    path: {REJECTED}
---

# {manifest["name"]}

{manifest["about"] or "A dataset made with synth-llm."}

{counts["kept"]:,} rows kept, {counts["rejected"]:,} rejected ({state}). Made with
[synth-llm](https://pypi.org/project/synth-llm/) {manifest["versions"]["synth-llm"]} from `{RECIPE}`;
the raw model answers are in `{JOURNAL}`, and every figure in `{MANIFEST}`.

| step | rows in | rows out | rejected |
| --- | --- | --- | --- |
{steps}

{"Models:" if models else "No model was asked."}

{models}

```python
from datasets import load_dataset

kept = load_dataset("path/or/name", "kept", split="train")
rejected = load_dataset("path/or/name", "rejected", split="train")  # step, reason, detail, row
```
"""


def figure(value: float | None) -> str:
    """Three digits; a dash where there is none."""
    return "-" if value is None else f"{value:.3g}"


def _size(rows: int) -> str:
    """The Hub's size category."""
    for limit, name in ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M")):
        if rows < limit:
            return name
    return "n>1M"
