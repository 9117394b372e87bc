"""locate: finds quotes in the text that they were taken from, and says where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from synth_llm.errors import Reject
from synth_llm.row import Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

_DOUBLE, _SINGLE, _DASHES = '"“”„‟«»', "'‘’‚‛`´", "-‐‑‒–—"
_ALIKE = {mark: f"[{re.escape(marks)}]" for marks in (_DOUBLE + _SINGLE, _DASHES) for mark in marks}
"""Quotation marks are written in many ways, and so are dashes; a model writes the plain ones."""
_ENDS = _DOUBLE + _SINGLE + " \t\n.,;:"

Place = tuple[int, int]


class Locate(Step):
    """Each quote gets the place where it stands in the text, in characters: `text[start:end]` is the quote.

    A column `answer` that holds a text gets the columns `answer_start` and `answer_end`. In a list each item becomes an
    object with `start` and `end`: `{text, start, end}` where it was a text, else the object that it was. A quote that
    differs from the text in case, white space, dashes, or the quotation marks and stops around it, is replaced by the
    text's own words. The n-th mention of a quote gets its n-th place. No two quotes overlap: longer ones are placed
    first, and a shorter one takes a place that is free. No quote begins or ends inside a word.
    """

    type: ClassVar[str] = "locate"

    quotes: str
    """The column with the quotes: a text, a list of texts, or a list of objects."""
    in_: str = Field(default="text", alias="in")
    """The column with the text that they stand in."""
    key: str = "text"
    """Which key of an object holds its quote."""
    on_missing: Literal["drop", "drop_item"] = "drop"
    """A quote that is not found: reject the row, or leave the item out of its list. The list may end up empty."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns, and those that a quote which is no list gets."""
        need([self.quotes, self.in_], have, "locate")
        return have | {f"{self.quotes}_start", f"{self.quotes}_end"}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with places. Raises Reject as `not found`, or as `missing` when there are no quotes to look for."""
        text, given = row.get(self.in_), row.get(self.quotes)
        if not isinstance(text, str):
            raise Reject("missing", f"{self.in_}: no text to look in")
        items = given if isinstance(given, list) else [given]
        quotes: list[Any] = [item.get(self.key) if isinstance(item, dict) else item for item in items]
        if not all(isinstance(quote, str) for quote in quotes) or isinstance(given, dict):
            raise Reject(
                "missing", f"{self.quotes}: neither a text nor a list of texts or of objects with '{self.key}'"
            )
        places = located(quotes, text)
        lost = [quote for quote, place in zip(quotes, places, strict=True) if place is None]
        if lost and (self.on_missing == "drop" or not isinstance(given, list)):
            raise Reject("not found", f"{self.quotes}: {lost[0]!r:.200} does not stand in {self.in_}, or overlaps")
        if not isinstance(given, list):
            start, end = places[0] or (0, 0)
            named = {self.quotes: text[start:end], f"{self.quotes}_start": start, f"{self.quotes}_end": end}
            return [{**row, **named}]
        found = [self._item(item, text, place) for item, place in zip(items, places, strict=True) if place]
        return [{**row, self.quotes: found}]

    def _item(self, item: Any, text: str, place: Place) -> dict[str, Any]:
        start, end = place
        rest = item if isinstance(item, dict) else {}
        return {**rest, self.key: text[start:end], "start": start, "end": end}


def located(quotes: list[str], text: str) -> list[Place | None]:
    """Where each quote stands in the text, no two overlapping; None for one that does not.

    >>> located(["Paris", "Paris Street", "paris"], "Paris Street is in Paris.")
    [(19, 24), (0, 12), None]
    """
    places: list[Place | None] = [None] * len(quotes)
    taken: list[Place] = []
    for number in sorted(range(len(quotes)), key=lambda n: -len(quotes[n])):
        free = (
            (start, end)
            for start, end in _places(quotes[number], text)
            if not any(start < other_end and other_start < end for other_start, other_end in taken)
        )
        places[number] = next(free, None)
        taken += [place for place in [places[number]] if place]
    return places


def _places(quote: str, text: str) -> Iterator[Place]:
    """The places of a quote: where it stands as it is, then where it stands in another form."""
    for pattern, flags in ((re.escape(quote.strip()), 0), (_loose(quote.strip(_ENDS)), re.IGNORECASE)):
        for found in re.finditer(f"(?=({pattern}))", text, flags) if pattern else ():
            start, end = found.span(1)
            if not _in_word(text, start) and not _in_word(text, end):
                yield start, end


def _loose(quote: str) -> str:
    """The pattern of a quote in any case, with any white space, quotation marks and dashes."""
    return r"\s+".join("".join(_ALIKE.get(mark, re.escape(mark)) for mark in word) for word in quote.split())


def _in_word(text: str, at: int) -> bool:
    """Whether a word or number goes on over `at`. Of scripts that do not part words by spaces nothing is known."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    return (before.isalpha() and after.isalpha() and max(before, after) < "\u0590") or (
        before.isdigit() and after.isdigit()
    )
