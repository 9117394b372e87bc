"""Which rows repeat which: first those of one form, then, by a search, those that are similar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from synth_llm.similar.pairs import Kept


class Texts(NamedTuple):
    """Texts of rows, or texts that rows must not repeat."""

    who: list[str]
    """Each row's id, or where each text stands."""
    texts: list[str]
    forms: list[str]
    """What equal texts have in common."""

    def take(self, at: Sequence[int]) -> Texts:
        """Some of them."""
        return Texts(*([column[one] for one in at] for column in self))


class Repeats(NamedTuple):
    """What each row repeats, None where it stays; how alike it is to the closest that stayed, 0 if unknown."""

    who: list[str | None]
    similarity: list[float]


def repeats(
    rows: Texts, others: Texts, order: Sequence[int], similar: Callable[[Texts, Texts], Kept] | None = None
) -> Repeats:
    """What each row repeats when rows are taken up in `order`, after `others`.

    Only the first of equal rows are looked at by `similar`, in the order in which they are taken up; without it, equal
    rows alone are repetitions.
    """
    known: dict[str, int] = {}
    for at, form in enumerate(others.forms):
        known.setdefault(form, at)
    heads: dict[str, int] = {}
    for at in order:
        if (form := rows.forms[at]) not in known:
            heads.setdefault(form, at)
    found = Repeats([None] * len(rows.forms), [0.0] * len(rows.forms))
    if similar is not None and heads:
        first, before = rows.take(list(heads.values())), others.take(list(known.values()))
        _fill(found, list(heads.values()), similar(first, before), [*first.who, *before.who])
    for at, form in enumerate(rows.forms):
        if form in known:
            found.who[at], found.similarity[at] = others.who[known[form]], 1.0
        elif (head := heads[form]) != at:
            stays = found.who[head] is None
            found.who[at] = rows.who[head] if stays else found.who[head]
            found.similarity[at] = 1.0 if stays else found.similarity[head]
    return found


def _fill(found: Repeats, rows: Sequence[int], kept: Kept, who: Sequence[str]) -> None:
    """Write down what was found of these rows; it names items by their number."""
    for at, item, similarity in zip(rows, kept.repeats.tolist(), kept.similarity.tolist(), strict=True):
        found.similarity[at] = similarity
        if item >= 0:
            found.who[at] = who[item]
