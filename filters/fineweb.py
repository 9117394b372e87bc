"""Drops pages of the web by the rules that FineWeb adds (Penedo et al. 2024, arXiv 2406.17557, section 3.6).

For documents: passages to write questions about, pages to train on. Lists, verse and code, which are good answers to
instructions, break these rules.

Defaults: the published limits. `min_punctuated`: at least 12 % of the lines end with punctuation; `max_repeated`: at
most 10 % of the characters stand in repeated lines; `max_short`: at most 67 % of the lines are shorter than 30
characters.
"""

from __future__ import annotations

from synth_llm.row import Row, Verdict
from synth_llm.text import read

_MARKS = (*".!?…\"'”’", "。", "！", "？")
_SHORT = 30


def fineweb(
    row: Row,
    column: str = "text",
    min_punctuated: float = 0.12,
    max_repeated: float = 0.1,
    max_short: float = 0.67,
) -> Verdict:
    """Keep texts that break none of the rules. The value is the share of lines that end with punctuation."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    lines = read(text).lines
    if not lines:
        return Verdict(False, "empty")
    share = sum(line.endswith(_MARKS) for line in lines) / len(lines)
    if share < min_punctuated:
        return Verdict(False, f"{share:.0%} of its lines end with punctuation; at least {min_punctuated:.0%}", share)
    characters = sum(map(len, lines))
    repeated = 1 - sum(map(len, set(lines))) / characters
    if repeated > max_repeated:
        return Verdict(False, f"{repeated:.0%} of it in repeated lines; at most {max_repeated:.0%} wanted", repeated)
    short = sum(len(line) < _SHORT for line in lines) / len(lines)
    if short > max_short:
        return Verdict(False, f"{short:.0%} of its lines are short; at most {max_short:.0%} wanted", short)
    return Verdict(True, value=share)
