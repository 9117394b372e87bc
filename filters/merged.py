"""Drops rows into which several tasks ran together: the answer goes on with "6. Instruction: ... 6. Input: ...".

This happens when one answer holds many numbered tasks and is cut at the wrong places, as in Alpaca. What is looked for
is the form of such an answer: the label "Instruction:" at the start of a line or after a number, or one number with two
of the labels. "Instructions:" of a recipe, or "1. Input: ... 2. Output: ..." of an algorithm, are neither.

Default: `also` None means "instruction", "input" and "prompt", as far as the row has them: the cut can fall
there.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict

_GIVEN = ("instruction", "input", "prompt")
_LABEL = re.compile(
    r"(?:^[ \t]{0,8}(?:[#>*_-]{1,6}[ \t]{0,8})?|(?<=[\s.!?\"'#])(?=\d))"
    r"(?:(?P<number>\d{1,4})[.):][ \t]{0,8})?[#*_]{0,4}"
    r"(?P<label>Instruction|Input|Output|Response)\b[ \t]{0,8}(?P<after>\d{1,4})?[ \t]{0,8}[*_]{0,3}:",
    re.MULTILINE | re.IGNORECASE,
)


def merged(row: Row, column: str = "text", also: list[str] | None = None) -> Verdict:
    """Keep rows that hold one task. The value is the number of labels of further tasks."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    for name in (column, *(_GIVEN if also is None else also)):
        value = row.get(name)
        if isinstance(value, str) and (labels := _labels(value)):
            return Verdict(False, f'{name} holds another task: "{labels[0]}"', float(len(labels)))
    return Verdict(True, value=0.0)


def _labels(text: str) -> list[str]:
    """The labels of further tasks; none if what was found can be part of one task."""
    if ":" not in text:
        return []
    plain = text.lower()
    if not any(word in plain for word in ("instruction", "output", "response")):
        return []
    labels: list[str] = []
    kinds: dict[str, set[str]] = {}
    begins = False
    for match in _LABEL.finditer(text):
        kind, number = match["label"].lower(), match["number"] or match["after"] or ""
        labels.append(" ".join(match[0].split()))
        kinds.setdefault(number, set()).add(kind)
        begins |= kind == "instruction"
    numbered = any(number and len(found) > 1 for number, found in kinds.items())
    return labels if begins or numbered else []
