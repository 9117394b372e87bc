"""decontaminate: rejects rows that repeat an item of evaluation sets, and says which item leaked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from synth_llm.against import Against, Item, joined, read_against
from synth_llm.errors import InputError, Reject
from synth_llm.row import Row
from synth_llm.similar.exact import normalised
from synth_llm.similar.ngrams import NgramIndex
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.leak_check import SUSPECTS, TOP, Closeness, LeakCheck, leak
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need

if TYPE_CHECKING:
    import numpy as np

TOGETHER = 1024
"""Rows that are looked at together: their vectors are all that is held."""
CELLS = 1 << 24
"""Similarities that are held at once: 64 MB."""
Near = list[tuple[int, float]]
"""Items by number with their cosines, the nearest first."""


class Decontaminate(Step):
    """The first tier that finds an item in a row rejects it as `contaminated`; later tiers look at what is left."""

    type: ClassVar[str] = "decontaminate"

    column: str | list[str] = "text"
    """The column, or columns together, that must not repeat an item."""
    against: list[Against] = Field(min_length=1)
    """Evaluation sets: files, run folders, `examples`, or `{dataset: ORG/NAME, split: test, column: question}`."""
    tiers: list[Literal["exact", "ngram", "meaning", "judge"]] = Field(default=["exact", "ngram"], min_length=1)
    """`exact`: an item is the text, or one of the columns, but for case, spaces and sentence punctuation. `ngram`: both
    share words in a row. `meaning`: the cosine of their vectors (LLM decontaminator, arXiv 2311.04850, section 4).
    `judge`: what is alike is left to the step `leak_check`, which must follow."""
    ngram: int = Field(default=10, ge=6)
    """So many words in a row are a repetition; of an item too short for that, three quarters. GPT-3 took 13 for web
    pages (arXiv 2005.14165, appendix C); rows of instructions are shorter, and clean ones hardly ever share 10."""
    threshold: float = Field(default=0.8, gt=0, le=1)
    """Of `meaning`: the cosine from which a row is rejected. Clean rows hardly ever come so near, and nearly all
    rephrased GSM8K questions do; to find those of other kinds a judge is needed."""
    floor: float = Field(default=0.55, gt=0, le=1)
    """Of `judge`: the cosine from which it is asked. All rephrased GSM8K questions reach it, and 2 % of other pairs."""
    encoder: str | None = None
    """An encoder of the recipe, by default the packaged one. For translated items take a multilingual one."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns; with the tier `judge` also `suspects`, which `leak_check` takes away again."""
        need(named(self.column), have, "decontaminate")
        read_against(self.against, use, named(self.column))
        if self._embeds:
            use.encoder(self.encoder)
        if "judge" not in self.tiers:
            return have
        if SUSPECTS in have:
            raise InputError(f"the rows already have a column '{SUSPECTS}'; rename it")
        if not any(isinstance(step, LeakCheck) for step in use.recipe.steps):
            raise InputError("tier 'judge' only marks rows; add the step that asks: `leak_check: {model: ...}`")
        return have | {SUSPECTS}

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected]:
        """Each row, kept, or rejected with the item it repeats, the tier that found it, and how closely."""
        items = read_against(self.against, ctx.use, named(self.column))
        copies = Copies(items, self.ngram if "ngram" in self.tiers else None, exact="exact" in self.tiers)
        vectors = ctx.encode([item.text for item in items], self.encoder) if self._embeds else None
        every = iter(rows)
        while some := list(itertools.islice(every, TOGETHER)):
            leaks = [copies.find(row, named(self.column)) for row in some]
            near: list[Near] = [[] for _ in some]
            if vectors is not None:  # what was found is not embedded
                left = [at for at, found in enumerate(leaks) if found is None]
                own = ctx.encode([joined(some[at], named(self.column)) for at in left], self.encoder)
                for at, found in zip(left, nearest(own, vectors, TOP), strict=True):
                    near[at] = found
            for row, found_leak, items_near in zip(some, leaks, near, strict=True):
                yield Rejected(row, found_leak) if found_leak else self._by_meaning(row, items_near, items, ctx)

    def _by_meaning(self, row: Row, near: Near, items: Sequence[Item], ctx: Context) -> Row | Rejected:
        """The row, or its rejection, or the row with its suspects."""
        if near and "meaning" in self.tiers:
            number, cosine = near[0]
            ctx.note("similarity", row, cosine, cosine < self.threshold)
            if cosine >= self.threshold:
                item = items[number]
                return Rejected(row, leak(item.label, Closeness("meaning", cosine, f"{cosine:.2f}", item.text)))
        if "judge" not in self.tiers:
            return row
        suspects = [
            {"item": items[number].label, "text": items[number].text, "similarity": round(cosine, 4)}
            for number, cosine in near
            if cosine >= self.floor
        ]
        return {**row, SUSPECTS: suspects}

    @property
    def _embeds(self) -> bool:
        return "meaning" in self.tiers or "judge" in self.tiers


class Copies:
    """Finds items that stand in a row as they are."""

    def __init__(self, items: Sequence[Item], n: int | None, *, exact: bool) -> None:
        self.items = items
        self.whole = {normalised(item.text): item for item in reversed(items)} if exact else {}
        self.runs = NgramIndex([item.text for item in items], n) if n else None

    def find(self, row: Row, columns: Sequence[str]) -> Reject | None:
        """The rejection of a row that holds an item; None for a row that holds none."""
        text = joined(row, columns)
        for one in (text, *(joined(row, [column]) for column in columns)):
            if (item := self.whole.get(normalised(one))) is not None:
                return leak(item.label, Closeness("exact", 1.0, "1.00", item.text))
        run = self.runs.longest(text) if self.runs else None
        if run is None:
            return None
        said = f"{run.words} words in a row"
        return leak(self.items[run.item].label, Closeness("ngram", float(run.words), said, run.text))


def nearest(vectors: np.ndarray, others: np.ndarray, top: int) -> list[Near]:
    """For each of (n, d) unit vectors the `top` of (m, d) others by cosine; of equally near ones the first.

    Exact, in blocks of bounded memory: evaluation sets are small. A blank text's zero vector is near to nothing.
    """
    import numpy as np

    step = max(1, CELLS // max(1, len(others)))
    found: list[Near] = []
    for start in range(0, len(vectors), step):
        cosines = vectors[start : start + step] @ others.T
        picked: list[Near] = [[] for _ in cosines]
        for _ in range(min(top, len(others))):
            best = cosines.argmax(axis=1)
            values = cosines[np.arange(len(cosines)), best]
            for near, item, cosine in zip(picked, best.tolist(), values.tolist(), strict=True):
                if cosine > 0:
                    near.append((item, cosine))
            cosines[np.arange(len(cosines)), best] = -1
        found += picked
    return found
