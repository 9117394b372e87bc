"""Drops rows in which a column only repeats another one: an "answer" that is the input over again.

Compared are whole texts, letter case and spacing aside; a corrected comma is an answer, so punctuation counts.

Defaults: `of` None means "instruction", "input" and "prompt", as far as the row has them. `ignore_case` true, because
models copy with a capital letter more often than capitals are the task; set it false for tasks about capitals.
"""

from __future__ import annotations

from synth_llm.row import Row, Verdict

_GIVEN = ("instruction", "input", "prompt")
_QUOTES_AND_SPACE = " \t\r\n\"'“”‘’"


def echo(row: Row, column: str = "text", of: list[str] | None = None, ignore_case: bool = True) -> Verdict:
    """Keep rows whose `column` is not the text of one of the columns `of`. The value is 1 for a repeat, else 0."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    first = _first(text)
    for name in _GIVEN if of is None else of:
        other = row.get(name)
        if name == column or not isinstance(other, str) or not first or _first(other) != first:
            continue
        if _plain(other, ignore_case) == _plain(text, ignore_case):
            return Verdict(False, f"repeats the column {name}", 1.0)
    return Verdict(True, value=0.0)


def _first(text: str) -> str:
    """The first character of `_plain(text, True)`: most columns differ there, and need not be read further."""
    return text.lstrip(_QUOTES_AND_SPACE)[:1].casefold()[:1]


def _plain(text: str, ignore_case: bool) -> str:
    plain = " ".join(text.strip(_QUOTES_AND_SPACE).split())
    return plain.casefold() if ignore_case else plain
