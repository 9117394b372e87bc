"""dedup: keeps one of rows that say the same."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from synth_llm.against import Against, joined, read_against
from synth_llm.errors import InputError, Reject
from synth_llm.row import ID, Row, canonical
from synth_llm.similar.decide import Search, decide
from synth_llm.similar.exact import normalised
from synth_llm.similar.minhash import Shingling, sketch
from synth_llm.similar.pairs import Kept
from synth_llm.similar.repeats import Texts, repeats
from synth_llm.similar.rouge import need_rapidfuzz, rouge_tokens
from synth_llm.similar.searches import meaning_search, near_search, rouge_search
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need

FIRST = "first"
SKETCHES = "sketches"
THRESHOLDS = {"near": 0.7, "rouge": 0.7, "meaning": 0.9}
MARGINS = {"near": 0.05, "rouge": 0.1, "meaning": 0.05}
"""How far under the threshold similarities are known too: for the next lower threshold, and for the histogram."""
LOWEST = 0.05
"""The lowest floor of a search: further down, nearly all pairs are alike."""


class Dedup(Step):
    """A row that repeats another, of this round, of what earlier rounds accepted or of other data, is rejected.

    Rows are taken up in order, or the best first, and each is held against those that were kept before it. Whatever
    `by` is, rows that are equal but for case, spaces, sentence punctuation and Unicode form repeat each other.
    """

    type: ClassVar[str] = "dedup"

    column: str | list[str] = "text"
    """The column, or columns together, that are compared."""
    by: Literal["exact", "near", "meaning", "rouge"] = "exact"
    """`exact`: equal in the form above; `near`: Jaccard similarity of shingles (Broder 1997), candidates found by
    MinHash-LSH and decided exactly; `rouge`: ROUGE-L F-measure, as in Self-Instruct (arXiv 2212.10560, section 2.2),
    for texts in Latin letters; `meaning`: cosine of the texts' vectors."""
    threshold: float | None = Field(default=None, gt=0, le=1)
    """The similarity from which a row is a repetition. By default .7 for `rouge`, as in Self-Instruct; .7 for `near`,
    which a row of twenty words reaches with one of them changed; .9 for `meaning`, as in semhash."""
    keep: str = FIRST
    """Which of several stays: `first`, or the one with the highest value in this column of numbers, the first of
    equals; a row without a value comes after all others. What earlier rounds accepted stays in any case."""
    unit: Literal["word", "char"] = "word"
    """For `near`: what a shingle is made of. Characters see through misspellings, and fit languages without spaces."""
    ngram: int | None = Field(default=None, ge=1, le=100)
    """For `near`: words or characters in a shingle, by default 3 words or 5 characters."""
    against: list[Against] = []
    """Further rows that must not be repeated: the source's `examples`, files, run folders, datasets."""
    encoder: str | None = None
    """For `meaning`: an encoder of the recipe, by default the packaged one."""

    @model_validator(mode="after")
    def _fitting(self) -> Dedup:
        """Settings that go with another kind of similarity are refused: they would change nothing."""
        for setting, kinds in (
            ("threshold", ["near", "rouge", "meaning"]),
            ("unit", ["near"]),
            ("ngram", ["near"]),
            ("encoder", ["meaning"]),
        ):
            if setting in self.model_fields_set and self.by not in kinds and getattr(self, setting) is not None:
                raise ValueError(f"'{setting}' goes with `by: {' | '.join(kinds)}`, not with `by: {self.by}`")
        return self

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns."""
        need(named(self.column), have, "dedup")
        if self.keep != FIRST:
            need([self.keep], have, "dedup keep")
        read_against(self.against, use, named(self.column))
        if self.by == "rouge":
            need_rapidfuzz()
        if self.by == "meaning":
            use.encoder(self.encoder)
        return have

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected]:
        """Each row, kept, or rejected with the id of the row it repeats and how closely."""
        items = read_against(self.against, ctx.use, named(self.column))
        seen = self._texts(ctx.accepted())
        texts = [*(item.text for item in items), *seen.texts]
        others = Texts([*(item.label for item in items), *seen.who], texts, list(map(self._form, texts)))
        similar = None if self.by == "exact" else partial(self._similar, ctx)
        found = repeats(self._texts(rows), others, self._order(rows), similar)
        for row, who, similarity in zip(rows, *found, strict=True):
            if self.by != "exact" and similarity:
                ctx.note(f"{self.by} similarity", row, similarity, who is None)
            if who is None:
                yield row
            else:
                detail = f"repeats {who} ({self.by}, {similarity:.3f})"
                yield Rejected(row, Reject("duplicate", detail, value=similarity, other=who))

    def _similar(self, ctx: Context, rows: Texts, others: Texts) -> Kept:
        """Which of rows of different forms stay, after the others."""
        threshold = THRESHOLDS[self.by] if self.threshold is None else self.threshold
        floor = max(LOWEST, threshold - MARGINS[self.by])
        count = len(rows.who), len(others.who)
        search, name = self._search(ctx, others.texts + rows.texts, others.forms + rows.forms, floor)
        name.update(canonical([self.by, *count]).encode())
        store = ctx.cache_file(f"pairs-{name.hexdigest()}.npz")
        return decide(search, *count, threshold, floor, store)

    def _search(self, ctx: Context, texts: list[str], forms: list[str], floor: float) -> tuple[Search, hashlib.blake2b]:
        """The search for similar ones of these items, and a hash of all that similarities depend on."""
        name = hashlib.blake2b(digest_size=16)
        if self.by == "meaning":
            vectors = ctx.encode(texts, self.encoder)
            name.update(vectors.data)
            return meaning_search(vectors), name
        name.update(canonical(list(map(len, forms))).encode())
        name.update("".join(forms).encode("utf-8", "surrogatepass"))
        if self.by == "rouge":
            return rouge_search([form.split() for form in forms]), name
        size = (3 if self.unit == "word" else 5) if self.ngram is None else self.ngram
        name.update(canonical([self.unit, size]).encode())
        # what an earlier round accepted is not sketched again
        sketches = ctx.kept[SKETCHES] = sketch(forms, Shingling(self.unit, size), floor, ctx.kept.get(SKETCHES))
        return near_search(sketches), name

    def _texts(self, rows: Iterable[Row]) -> Texts:
        """The rows' texts; a column of text alone, as most are, is taken as it is."""
        columns, found = named(self.column), Texts([], [], [])
        for row in rows:
            value = row.get(columns[0]) if len(columns) == 1 else None
            found.who.append(row[ID])
            found.texts.append(value if isinstance(value, str) else joined(row, columns))
        found.forms.extend(map(self._form, found.texts))
        return found

    def _form(self, text: str) -> str:
        return (" ".join(rouge_tokens(text)) if self.by == "rouge" else "") or normalised(text)

    def _order(self, rows: Rows) -> list[int]:
        """The rows in the order in which they are taken up. Raises InputError for a value that is no number."""
        if self.keep == FIRST:
            return list(range(len(rows)))
        scores = []
        for row in rows:
            value = row.get(self.keep)
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise InputError(f"dedup keep: '{self.keep}' of row {row[ID]} is {value!r:.80}, not a number")
            scores.append(-math.inf if value is None or math.isnan(value) else value)
        return sorted(range(len(scores)), key=lambda at: -scores[at])
