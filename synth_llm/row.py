"""Rows: their ids, their canonical form, and the random generator that belongs to each."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]
"""A dict of JSON values. Keys that start with `_` are ours: `_id`, `_parent`, `_lineage`."""

ID, PARENT, LINEAGE = "_id", "_parent", "_lineage"


class Verdict(NamedTuple):
    """What a filter says of a row: keep it or not, why, and the value that the threshold was held against."""

    keep: bool
    reason: str = ""
    value: float | None = None


quoted = json.encoder.encode_basestring_ascii
"""The JSON text of a text."""

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII. Raises ValueError on NaN and infinities."""
    if type(value) is tuple:  # ids and draws: a fifth of the encoder's time
        parts = [quoted(item) if type(item) is str else str(item) for item in value if type(item) in (str, int)]
        if len(parts) == len(value):
            return f"[{','.join(parts)}]"
    return _CANONICAL(value)


def digest(*parts: Any) -> str:
    """20 hex digits (80 bits) of the SHA-256 of the parts' canonical JSON."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:20]


def source_id(content: Row, occurrence: int) -> str:
    """The id of a source row without an id column: its content, and how often that content came before."""
    return digest(public(content), occurrence)


def child_of(parent: Row, number: Sequence[int], columns: Row, lineage: list[dict[str, str]] | None = None) -> Row:
    """A row made of `parent`: its columns with `columns` over them, and its own id, from the parent's and its number.

    The number is `(sample,)` or `(sample, record)`, so that one sample's failure never renumbers another's rows.
    """
    child = {**parent, **columns}
    child[ID] = digest(parent[ID], *number)
    child[PARENT] = parent[ID]
    child[LINEAGE] = parent[LINEAGE] if lineage is None else lineage
    return child


def public(row: Row) -> Row:
    """The columns that are the user's: those that do not start with `_`."""
    return {name: value for name, value in row.items() if name[:1] != "_"}


def rng(seed: int, step: str, row_id: str) -> random.Random:
    """The generator for what a step draws at random for one row: the same in every run and order."""
    return random.Random(hashlib.sha256(canonical([seed, step, row_id]).encode()).digest())
