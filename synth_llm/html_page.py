"""A result as HTML, for notebooks. What models wrote is text in it, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

MOST = 400
"""Characters of a value that are shown."""


def result(manifest: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """The counts, the funnel and some rows of a run."""
    counts = manifest["counts"]
    state = "complete" if manifest["complete"] else f"incomplete: {manifest['why']}"
    head = (
        f"<p><b>{escape(manifest['name'])}</b>: {counts['kept']:,} rows kept, {counts['rejected']:,} rejected of "
        f"{counts['candidates']:,} candidates ({escape(state)})</p>"
    )
    funnel = [
        (step["step"], step["entered"], step["left"], ", ".join(f"{why} {n:,}" for why, n in step["rejected"].items()))
        for step in manifest["funnel"]
    ]
    shown = [{name: value for name, value in row.items() if name[:1] != "_"} for row in rows]
    columns = list(dict.fromkeys(name for row in shown for name in row))
    return "".join(
        [
            head,
            _table(("step", "in", "out", "rejected"), funnel),
            _table(columns, [[row.get(name) for name in columns] for row in shown]) if shown else "",
        ]
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return escape(text if len(text) <= MOST else f"{text[:MOST]}…")
