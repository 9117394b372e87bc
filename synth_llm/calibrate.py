"""What gold labels say of a judge: how often it is right, beyond chance, and from which score on it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from synth_llm.measure.agreement import accuracy, confusion, kappa_interval
from synth_llm.measure.interval import wilson

NONE = "(none)"
"""How a confusion names the rows on which a judge abstained."""


class Judged(NamedTuple):
    """A gold row: its label, what the judge said (None: it abstained), and the share of the votes behind that."""

    gold: Any
    value: Any
    agreement: float = 1.0


def calibration(rows: Sequence[Judged], precision: float = 0.9) -> dict[str, Any]:
    """Accuracy, Cohen's kappa, confusion, and the threshold that meets a wanted precision, with 95 % intervals.

    Three kinds of gold. True or false beside a score: the threshold is the score's, and the other figures are those of
    `score >= threshold`. A score beside a score: they agree when the judge's, rounded, is the gold one; the weighted
    kappa (quadratic) counts how far they are apart. Anything else: labels, and the threshold is that of the agreement.
    Accuracy and kappa are over the rows on which the judge did not abstain; `coverage` is their share.
    """
    decided = [row for row in rows if row.value is not None]
    facts: dict[str, Any] = {"rows": len(rows), "coverage": wilson(len(decided), len(rows)).as_dict()}
    if not decided:
        return facts
    scores = all(_is_number(row.value) for row in decided)
    if scores and all(isinstance(row.gold, bool) for row in rows):
        found = threshold([row.value for row in decided], [row.gold for row in decided], precision)
        facts["threshold"] = found
        if found["threshold"] is not None:
            pairs = [(str(row.gold).lower(), str(row.value >= found["threshold"]).lower()) for row in decided]
            facts |= _agreement(*zip(*pairs, strict=True))
    elif scores and all(_is_number(row.gold) for row in rows):
        golds, values = [float(row.gold) for row in decided], [float(math.floor(row.value + 0.5)) for row in decided]
        facts |= _agreement([f"{gold:g}" for gold in golds], [f"{value:g}" for value in values])
        facts["weighted kappa"] = kappa_interval(golds, values, "quadratic").as_dict()
    else:
        facts |= _agreement([text_of(row.gold) for row in decided], [text_of(row.value) for row in decided])
        said = [NONE if row.value is None else text_of(row.value) for row in rows]
        facts["confusion"] = confusion([text_of(row.gold) for row in rows], said)
        right = [text_of(row.gold) == text_of(row.value) for row in decided]
        facts["threshold"] = threshold([row.agreement for row in decided], right, precision)
    return facts


def threshold(scores: Sequence[float], right: Sequence[bool], precision: float) -> dict[str, Any]:
    """The lowest score from which at least a share `precision` of the rows is right, and what it keeps.

    `threshold` is null when no score reaches that precision; the figures are then those of the highest score. The
    precision was reached on the rows it was chosen on: read the low end of its interval, not its value.
    """
    by_score = sorted(zip(scores, right, strict=True), key=lambda pair: -pair[0])
    good, best, top = 0, None, None
    for count, (score, is_right) in enumerate(by_score, 1):
        good += is_right
        if count == len(by_score) or by_score[count][0] != score:
            here = (score, good, count)
            top = top or here
            best = here if good >= precision * count else best
    score, good, count = best or top or (math.nan, 0, 0)
    return {
        "wanted precision": precision,
        "threshold": score if best else None,
        "precision": wilson(good, count).as_dict(),
        "recall": wilson(good, sum(right)).as_dict(),
        "rows": count,
    }


def is_right(row: Judged) -> bool:
    """Whether the judge said what the gold label is, scores rounded."""
    if _is_number(row.value) and _is_number(row.gold):
        return bool(math.floor(row.value + 0.5) == row.gold)
    return row.value is not None and text_of(row.value) == text_of(row.gold)


def text_of(value: Any) -> str:
    """A label as text: `true` and `1` as they stand in JSON."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _agreement(gold: Sequence[str], said: Sequence[str]) -> dict[str, Any]:
    return {
        "accuracy": accuracy(gold, said).as_dict(),
        "kappa": kappa_interval(gold, said).as_dict(),
        "confusion": confusion(gold, said),
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
