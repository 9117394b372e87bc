"""Which rows repeat which: first those of one form, then, by a search, those that are similar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from synth_llm.similar.pairs import Kept


class Text(NamedTuple):
    """A row's text, or one that rows must not repeat."""

    who: str
    """The row's id, or where the text stands."""
    text: str
    form: str
    """What equal texts have in common."""


class Repeat(NamedTuple):
    """What a row repeats, None for a row that stays; and how alike it is to the closest that stayed, 0 if unknown."""

    who: str | None
    similarity: float


STAYS = Repeat(None, 0.0)


def repeats(
    rows: Sequence[Text],
    others: Sequence[Text],
    order: Sequence[int],
    similar: Callable[[Sequence[Text], Sequence[Text]], Kept] | None = None,
) -> list[Repeat]:
    """What each row repeats when rows are taken up in `order`, after `others`.

    Only the first of equal rows are looked at by `similar`, in the order in which they are taken up; without it, equal
    rows alone are repetitions.
    """
    known: dict[str, Text] = {}
    for other in others:
        known.setdefault(other.form, other)
    heads: dict[str, Text] = {}
    for at in order:
        if rows[at].form not in known:
            heads.setdefault(rows[at].form, rows[at])
    first, before = list(heads.values()), list(known.values())
    found = [STAYS] * len(first) if similar is None or not first else _named(similar(first, before), first, before)
    of_form = dict(zip(heads, found, strict=True))
    return [_of(row, known, heads, of_form) for row in rows]


def _named(kept: Kept, rows: list[Text], others: list[Text]) -> list[Repeat]:
    everyone = [*rows, *others]
    return [
        Repeat(None if at < 0 else everyone[at].who, similarity)
        for at, similarity in zip(kept.repeats.tolist(), kept.similarity.tolist(), strict=True)
    ]


def _of(row: Text, known: dict[str, Text], heads: dict[str, Text], of_form: dict[str, Repeat]) -> Repeat:
    if row.form in known:
        return Repeat(known[row.form].who, 1.0)
    head, found = heads[row.form], of_form[row.form]
    return found if head is row or found.who is not None else Repeat(head.who, 1.0)
