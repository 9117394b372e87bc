"""Source rows: where a run's rows come from, and the id of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from synth_llm import documents, files
from synth_llm.errors import InputError, nearest
from synth_llm.files import Place, Placed
from synth_llm.inputs import located, note, resolve
from synth_llm.row import ID, LINEAGE, PARENT, Row, canonical, source_id


def _grid(grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
    files.check_names(grid)
    clean: dict[str, list[Any]] = files.plain(grid)
    if bare := [name for name, values in clean.items() if not values]:
        raise ValueError(f"attribute '{bare[0]}' has no values")
    return clean


InlineRow = Annotated[dict[str, Any], AfterValidator(files.checked)]
KINDS = ("rows", "file", "dataset", "run", "texts", "parts", "grid", "empty")
ORIGIN = "origin"
"""The column that says which part of a source a row is of."""


class Source(BaseModel):
    """Where the rows come from: exactly one of rows, file, dataset, run, texts, parts, grid, empty. Paths: see
    `inputs.resolve`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: Annotated[list[InlineRow], Field(min_length=1)] | None = None
    """Rows written here."""
    file: str | None = None
    """A .jsonl, .json (a list of objects), .csv (all values are text) or .parquet file."""
    dataset: str | None = None
    """A folder with a Hugging Face dataset, else the name of one on the Hub."""
    split: str = "train"
    """The split of the dataset."""
    subset: str | None = None
    """The subset (configuration) of the dataset."""
    revision: str | None = None
    """The revision of the dataset on the Hub: a commit, tag or branch."""
    run: str | None = None
    """The folder of an earlier run: its kept rows, as new source rows."""
    texts: str | None = None
    """A folder of .txt, .md, .html and .pdf files, with its subfolders: columns `file` (path in the folder) and `text`,
    sorted. Of HTML the main text, as Markdown; of a PDF a row for each page, with its number in the column `page`."""
    parts: Annotated[dict[str, Source], Field(min_length=1)] | None = None
    """Several sources, one after the other; the column `origin` says which of them a row is of."""
    grid: Annotated[dict[str, list[Any]], AfterValidator(_grid), Field(min_length=1)] | None = None
    """One row for each combination of these attributes; the last attribute varies fastest. Repeated as needed."""
    empty: Annotated[int, Field(ge=1, strict=True)] | Literal[True] | None = None
    """So many rows without columns, or `true` for as many as the target needs (one in each pass)."""
    id: str | None = None
    """The column that identifies a row. Without it a row is identified by its whole content."""
    rename: dict[str, str] = {}
    """Columns by other names than the source has, old name: new name; `id` is a new name."""
    repeat: bool = False
    """Go through the rows again and again until the target is reached (a grid and empty rows always do)."""
    examples: str | Annotated[list[InlineRow], Field(min_length=1)] | None = None
    """Seed examples for `sample`: a file like `file`, or rows written here."""

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}, not {' and '.join(given) or 'none'}")
        if self.dataset is None and (stray := self.model_fields_set & {"split", "subset", "revision"}):
            raise ValueError(f"'{min(stray)}' goes with 'dataset' only")
        if given[0] in ("grid", "empty") and (stray := self.model_fields_set & {"id", "repeat"}):
            raise ValueError(f"'{min(stray)}' does not go with '{given[0]}'")
        for name, part in (self.parts or {}).items():
            if stray := part.model_fields_set & {"parts", "grid", "empty", "id", "repeat", "examples"}:
                raise ValueError(f"parts.{name}: '{min(stray)}' does not go into a part; give it beside 'parts'")
        return self


def endless(source: Source) -> bool:
    """Whether the rows can be gone through again and again: a grid, empty rows, or `repeat`."""
    return source.grid is not None or source.empty is not None or source.repeat


def read_rows(source: Source, base: Path) -> Iterator[Row]:
    """One pass over the rows, as they stand in the source: public columns, JSON values. No rows is an InputError.

    Streams: memory holds a batch. Raises InputError with file and line at the first fault.
    """
    return (row for _, row in _placed(source, base))


def identified(source: Source, base: Path) -> Iterator[Row]:
    """The rows of `read_rows` with `_id`, `_parent`, `_lineage`.

    Raises InputError when an id is missing, is not a text or number, or stands twice. Holds about 100 bytes a row.
    """
    seen: set[bytes] = set()
    repeats: dict[bytes, int] = {}
    for place, row in _placed(source, base):
        name = _id_text(row, source.id, place) if source.id is not None else source_id(row, 0)
        mark = blake2b(name.encode(), digest_size=10).digest()
        if mark not in seen:
            seen.add(mark)
        elif source.id is not None:
            raise place.error(f"id '{name}' (column '{source.id}') stands twice; ids must differ")
        else:
            repeats[mark] = repeats.get(mark, 0) + 1
            name = source_id(row, repeats[mark])
        yield {**row, ID: name, PARENT: None, LINEAGE: []}


def _id_text(row: Row, column: str, place: Place) -> str:
    if column not in row:
        raise place.error(f"has no id column '{column}'{nearest(column, row)}")
    value = row[column]
    if value is None or value == "" or isinstance(value, (dict, list)):
        raise place.error(f"its id (column '{column}') must be a text or a number, not {value!r}")
    return value if isinstance(value, str) else canonical(value)


def read_examples(source: Source, base: Path) -> list[Row]:
    """The seed examples; none given: an empty list. Raises InputError with file and line."""
    if not isinstance(source.examples, str):
        return [dict(row) for row in source.examples or []]
    path = resolve(source.examples, base)
    return [row for _, row in _some(files.read_file(path), path)]


def columns(source: Source, base: Path) -> list[str]:
    """The columns of the rows: all that stand in the first 100 rows (which is all there are, but in JSON).

    Of several parts, those that all of them have: what a step needs, it needs of every row.
    """
    if source.parts is not None:
        each = [columns(part, base) for part in source.parts.values()]
        return [*(name for name in each[0] if all(name in other for other in each)), ORIGIN]
    return list(dict.fromkeys(name for row in itertools.islice(read_rows(source, base), 100) for name in row))


def _placed(source: Source, base: Path) -> Iterator[Placed]:
    """The rows with their places, columns renamed."""
    if not source.rename:
        return _read(source, base)
    return ((place, _renamed(row, source.rename, place)) for place, row in _read(source, base))


def _renamed(row: Row, names: dict[str, str], place: Place) -> Row:
    for old, new in names.items():
        if old not in row:
            raise place.error(f"rename: has no column '{old}'{nearest(old, row)}")
        if new in row and new not in names:
            raise place.error(f"rename: '{old}' would overwrite the column '{new}'; rename that one too")
    return {names.get(name, name): value for name, value in row.items()}


def _read(source: Source, base: Path) -> Iterator[Placed]:
    """The rows with their places, as they stand there."""
    if source.rows is not None:
        return ((Place(number=number), dict(row)) for number, row in enumerate(source.rows, 1))
    if source.parts is not None:
        return (
            (place, {**row, ORIGIN: name}) for name, part in source.parts.items() for place, row in _placed(part, base)
        )
    if source.grid is not None:
        names, product = list(source.grid), itertools.product(*source.grid.values())
        return ((Place(number=n), dict(zip(names, values, strict=True))) for n, values in enumerate(product, 1))
    if source.empty is not None:
        return ((Place(number=n), {}) for n in range(1, source.empty + 1))
    if source.dataset is not None:
        return _some(_dataset(source, source.dataset, base), source.dataset)
    if source.run is not None:
        return _run(source.run, resolve(source.run, base))
    if source.texts is not None:
        return _texts(source.texts, resolve(source.texts, base))
    path = resolve(source.file or "", base)
    return _some(files.read_file(path), path)


def _some(rows: Iterator[Placed], path: str | Path) -> Iterator[Placed]:
    """The same rows; an error when there are none."""
    first = next(rows, None)
    if first is None:
        raise InputError("holds no rows", path)
    yield first
    yield from rows


def _run(written: str, folder: Path) -> Iterator[Placed]:
    path = folder / "kept.parquet"
    if not path.is_file():
        raise InputError("is not a run folder: it has no kept.parquet", folder)
    note(written, folder, [path.name])
    return _some(files.read_parquet(path, own_columns=True), path)


def _texts(written: str, folder: Path) -> Iterator[Placed]:
    if not folder.is_dir():
        raise InputError("is not a folder of texts; for a file of rows use 'file'", folder)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    names = [name for name in sorted(found) if name.lower().endswith(documents.SUFFIXES) and "/." not in f"/{name}"]
    if not names:
        raise InputError(f"holds no {', '.join(documents.SUFFIXES)} files", folder)
    note(written, folder, names)
    for name in names:
        place = Place(found[name], 1)
        for row in documents.read_document(found[name]):
            try:
                yield place, files.checked({"file": name, **row})
            except ValueError as error:
                raise place.error(str(error)) from error


def _dataset(source: Source, name: str, base: Path) -> Iterator[Placed]:
    """The rows of a saved dataset, of a dataset repository in a folder, or of a dataset on the Hub."""
    folder = located(name, base)
    if folder is None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", name):
        raise InputError(f"no folder '{name}', and no dataset of the Hub can have this name (it is ORG/NAME)")
    if folder is not None and folder.is_file():
        raise InputError("is a file; name it with 'file', not 'dataset'", folder)
    if folder is not None and source.revision is not None:
        raise InputError("'revision' is for datasets on the Hub, and this is a folder", folder)
    if folder is not None:
        note(name, folder, [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()])
    table = _loaded(source, name, folder).with_format("arrow")
    return files.read_arrow(table.iter(1000), table.column_names, folder or name)


def _loaded(source: Source, name: str, folder: Path | None) -> Any:
    """The split as a `datasets.Dataset`, memory-mapped."""
    import datasets

    try:
        if folder is None or not any((folder / mark).is_file() for mark in ("state.json", "dataset_dict.json")):
            path = name if folder is None else str(folder)
            return datasets.load_dataset(path, source.subset, split=source.split, revision=source.revision)
        saved = datasets.load_from_disk(str(folder))
    except Exception as error:  # the Hub, the network and every file format have errors of their own
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        said = " ".join(f"{type(error).__name__}: {error}{cause}".split())[:300]
        raise InputError(f"the dataset cannot be loaded: {said}", folder or name) from error
    if isinstance(saved, datasets.DatasetDict):
        if source.split not in saved:
            raise InputError(f"no split '{source.split}'{nearest(source.split, saved)}", folder)
        return saved[source.split]
    if source.split not in ("train", str(saved.split)):
        raise InputError(f"no split '{source.split}'; one dataset without splits is saved here", folder)
    return saved
