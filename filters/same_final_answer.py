"""Drops rows whose final answer is not that of a reference, without a model: for mathematics and short facts.

The final answer is what follows the last `####`, `A:`, `Answer:` or `The answer is`, or stands in the last `\\boxed{}`;
a text of one line is an answer itself. Numbers are compared exactly, whatever their separators, currency, units or
trailing zeros; other answers as words, letter case aside.

Defaults: `reference` "reference", the column with the solution or the answer that is held to be right.
"""

from __future__ import annotations

from synth_llm.final_answer import final_answer, same_answer
from synth_llm.row import Row, Verdict


def same_final_answer(row: Row, column: str = "text", reference: str = "reference") -> Verdict:
    """Keep rows whose `column` ends in the answer of `reference`. The value is 1 for the same answer, else 0."""
    said, right = (_answer(row.get(name)) for name in (column, reference))
    if right is None:
        return Verdict(False, f"the column {reference} has no final answer")
    if said is None:
        return Verdict(False, "no final answer", 0.0)
    if same_answer(said, right):
        return Verdict(True, value=1.0)
    return Verdict(False, f"answers {said[:60]}, not {right[:60]}", 0.0)


def _answer(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = repr(value)
    return final_answer(value) if isinstance(value, str) else None
