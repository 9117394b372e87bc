"""Drops texts that do not have a form: JSON, a list, or a regular expression.

Patterns are those of RE2, which matches in time linear in the text whatever the pattern, so neither a recipe nor a
model's answer can make it hang; it knows no look-around and no back-references. Patterns need the extra `curate`.

Defaults: none is chosen, because no form is right for every text; with neither `is` nor `matches` the filter says so.
`min_items` 1: an empty list is seldom wanted.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from synth_llm.errors import InputError, MissingExtra
from synth_llm.row import Row, Verdict

_ITEM = re.compile(r"\s{0,12}(?:[-*+•–]|\(?(?:\d{1,4}|[a-zA-Z])[.):])\s+\S")


def format(row: Row, column: str = "text", is_: str = "", matches: str = "", min_items: int = 1) -> Verdict:
    """Keep texts of the wanted form.

    `is_`: "json" (strict JSON; value 1 or 0) or "list" (each line a bullet or a number, apart from blank and indented
    lines; at least `min_items` of them; the value is the number of items). `matches`: an RE2 pattern that must be
    found in the text.
    Raises InputError for another form or a bad pattern, MissingExtra for a pattern without google-re2.
    """
    if is_ not in ("", "json", "list") or not (is_ or matches):
        raise InputError(f"filter format: set 'is' to json or list, or 'matches' to a pattern; got is={is_!r}")
    pattern = _compiled(matches) if matches else None
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    if pattern is not None and not pattern.search(text):
        return Verdict(False, f"does not match {matches}", 0.0)
    if is_ == "json":
        return _json(text)
    return _list(text, min_items) if is_ == "list" else Verdict(True, value=1.0)


def _json(text: str) -> Verdict:
    try:
        json.loads(text, parse_constant=_refuse)
    except RecursionError:
        return Verdict(False, "not JSON: nested too deeply", 0.0)
    except ValueError as error:
        return Verdict(False, f"not JSON: {error}", 0.0)
    return Verdict(True, value=1.0)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _list(text: str, min_items: int) -> Verdict:
    items = 0
    for line in text.splitlines():
        if _ITEM.match(line):
            items += 1
        elif line.strip() and (items == 0 or not line[0].isspace()):
            return Verdict(False, f'not an item of a list: "{line.strip()[:60]}"', items)
    if items < min_items:
        return Verdict(False, f"{items} items; at least {min_items} wanted", items)
    return Verdict(True, value=items)


@functools.lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    try:
        import re2
    except ImportError as error:
        raise MissingExtra("the setting 'matches' of the filter format", "curate") from error
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise InputError(f"filter format: {pattern!r} is not an RE2 pattern: {why}") from error
