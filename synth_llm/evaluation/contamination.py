"""Contamination: does the set hold items of evaluation sets, as they are or nearly so?"""

from __future__ import annotations

from collections import Counter

from synth_llm.against import read_against
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.measure.interval import wilson
from synth_llm.steps.decontaminate import Copies, Decontaminate, nearest
from synth_llm.steps.leak_check import Closeness, leak

SHOWN = 20
"""Leaked items in the table."""
NGRAM = Decontaminate.model_fields["ngram"].default
COSINE = Decontaminate.model_fields["threshold"].default
"""What the step `decontaminate` goes by: a set that went through it has nothing left of these two tiers."""


def contamination(data: Data) -> Part:
    """The rows that repeat an item of `against`: equal, sharing words in a row, or by the cosine of their vectors.

    The tiers and thresholds are those of the step `decontaminate`. Raises InputError as `read_against`.
    """
    part, settings = Part(), data.settings
    if not settings.against:
        part.notes.append("contamination was left out: it needs evaluation sets (`against`)")
        return part
    columns = data.made.columns
    items = read_against(settings.against, data.use, columns)
    copies = Copies(items, NGRAM, exact=True)
    vectors = data.encode([item.text for item in items])
    leaks = []
    for row, near in zip(data.made.rows, nearest(data.vectors(data.made), vectors, 1), strict=True):
        found = copies.find(row, columns)
        if found is None and near and near[0][1] >= COSINE:
            item = items[near[0][0]]
            found = leak(item.label, Closeness("meaning", near[0][1], f"{near[0][1]:.2f}", item.text))
        leaks.append(found)
    hit = [(number, one) for number, one in enumerate(leaks, 1) if one is not None]
    detail = f"{len(hit)} of {len(data.made)} rows, against {len(items)} items"
    share = wilson(len(hit), len(data.made))
    part.figures.append(Figure.of("contaminated", share, unit="share of rows", direction="lower", detail=detail))
    found_in = Counter(_set(str(one.other)) for _, one in hit)
    items_in = Counter(_set(item.label) for item in items)
    leaked = Counter(_set(label) for label in {str(one.other) for _, one in hit})
    rows = [[name, count, leaked[name], found_in[name]] for name, count in items_in.items()]
    part.tables.append(
        Table("contamination", "Evaluation sets", ["set", "items", "items that leaked", "rows that hold one"], rows)
    )
    shown = [[number, str(one.other), one.detail] for number, one in hit[:SHOWN]]
    if shown:
        part.tables.append(Table("leaks", "Leaked items", ["row", "item", "how"], shown))
    if len(hit) > SHOWN:
        part.notes.append(f"contamination: the table of leaks shows the first {SHOWN} of {len(hit)} rows")
    return part


def _set(label: str) -> str:
    """The set that an item's label names, such as `gsm8k.jsonl` of `gsm8k.jsonl 17`."""
    return label.rpartition(" ")[0]
