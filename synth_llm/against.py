"""Rows that must not come again: seed examples, files, earlier runs, evaluation sets; each item with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from synth_llm import files
from synth_llm.errors import InputError, nearest
from synth_llm.inputs import resolve
from synth_llm.row import Row, canonical
from synth_llm.source import Source, read_rows

if TYPE_CHECKING:
    from synth_llm.steps.context import Resources

SHOWN = 20
"""Column names that an error lists."""


class Against(BaseModel):
    """Where rows stand that must not come again: exactly one of examples, file, run, dataset.

    A text is short for the seed `examples`, or for a file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"type": ["object", "string"]})

    examples: Literal[True] | None = None
    """The source's seed examples."""
    file: str | None = None
    """A .jsonl, .json, .csv or .parquet file, or the folder of a run."""
    run: str | None = None
    """The folder of an earlier run: its kept rows."""
    dataset: str | None = None
    """A folder with a Hugging Face dataset, else the name of one on the Hub."""
    split: str = "test"
    """The split of the dataset: what is to be kept out is most often a test split."""
    subset: str | None = None
    """The subset (configuration) of the dataset."""
    revision: str | None = None
    """The revision of the dataset on the Hub: a commit, tag or branch."""
    column: str | list[str] | None = Field(default=None, min_length=1)
    """The column, or columns, to compare with, where they have other names than the step's."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"examples": True} if given == "examples" else {"file": given}
        if not isinstance(given, dict | Against):
            raise ValueError(f"write `examples`, a file, or `{{dataset: ORG/NAME}}`, not {given!r}")
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                raise ValueError(f"no setting '{name}'{nearest(str(name), cls.model_fields)}")
        return given

    @model_validator(mode="after")
    def _one_kind(self) -> Against:
        given = [kind for kind in ("examples", "file", "run", "dataset") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of examples, file, run, dataset, not {' and '.join(given) or 'none'}")
        if self.dataset is None and (stray := self.model_fields_set & {"split", "subset", "revision"}):
            raise ValueError(f"'{min(stray)}' goes with 'dataset' only")
        return self

    @property
    def written(self) -> str:
        """The entry as errors name it."""
        subset = f" {self.subset}" if self.subset else ""
        return self.file or self.run or (f"{self.dataset}{subset} {self.split}" if self.dataset else "examples")


class Item(NamedTuple):
    """One row that must not come again."""

    label: str
    """Where it stands: `examples 3`, `gsm8k.jsonl 17` (the line, or the row where a file has no lines, from 1)."""
    text: str
    """Its columns, joined by a line end."""


def read_against(entries: Sequence[Against], use: Resources, columns: Sequence[str]) -> list[Item]:
    """The items of all entries, in order; blank ones are left out.

    `columns` are compared, unless an entry names its own. Raises InputError, naming the entry and the nearest column,
    when none of its rows has a column, when its text is blank everywhere, or when it cannot be read.
    """
    names = [entry.written.rstrip("/").rpartition("/")[2] for entry in entries]
    items: list[Item] = []
    for entry, name in zip(entries, names, strict=True):
        shown = entry.written if entry.dataset or names.count(name) > 1 else name
        items += _items(entry, shown, use, columns)
    return items


def read_whole(entry: Against, use: Resources) -> list[Row]:
    """The rows of one entry with all their columns. Raises InputError when it cannot be read."""
    return [row for _, row in _numbered(entry, use)]


def joined(row: Row, columns: Sequence[str]) -> str:
    """The columns' texts, each on a line of its own; lists and objects (chat messages) by the values they hold.

    >>> joined({"q": "Which?", "choices": ["one", "two"], "n": 3, "x": None}, ["q", "choices", "n", "x"])
    'Which?\\none\\ntwo\\n3'
    """
    return "\n".join(text for column in columns for text in _texts(row.get(column)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif value is not None and value != "":
        yield value if isinstance(value, str) else canonical(value)


def _items(entry: Against, shown: str, use: Resources, columns: Sequence[str]) -> Iterator[Item]:
    columns = [entry.column] if isinstance(entry.column, str) else entry.column or columns
    known: dict[str, None] = {}
    found = False
    for number, row in _numbered(entry, use):
        known.update(dict.fromkeys(row))
        text = joined(row, columns)
        if text.strip():
            found = True
            yield Item(f"{shown} {number}", text)
    for column in columns:
        if column not in known:
            there = ", ".join(list(known)[:SHOWN])
            hint = nearest(column, known)
            near = hint if "did you mean" in hint else ""
            name = "" if entry.examples or entry.column else "; name its own with 'column'"
            raise InputError(
                f"against {entry.written}: no column '{column}' in its rows, which have {there}{near}{name}"
            )
    if not found:
        raise InputError(f"against {entry.written}: its rows have no text in {', '.join(columns)}")


def _numbered(entry: Against, use: Resources) -> Iterator[tuple[int, Row]]:
    """The rows with the number of the line or row where each stands."""
    if entry.file is not None and (path := resolve(entry.file, use.base)).is_file():
        for place, row in files.read_file(path):
            yield place.line or place.number or 0, row
    else:
        yield from enumerate(use.examples if entry.examples else read_rows(_source(entry), use.base), 1)


def _source(entry: Against) -> Source:
    if entry.dataset is not None:
        return Source(dataset=entry.dataset, split=entry.split, subset=entry.subset, revision=entry.revision)
    return Source(run=entry.run or entry.file)
