"""Drops texts that hold personal identifiers: e-mail addresses, phone numbers, US social security numbers, IBANs, card
numbers, IP addresses of the open Internet.

Patterns and checksums, and the words beside a number; names and street addresses are not looked for, that takes a
model. The reason names the types and never what was found. To keep such rows without the identifiers, redact them
(step `redact`).

Defaults: `types` those above; `url`, and names of Presidio's such as `CRYPTO` or `UK_NHS` (extra `curate`; slow to
start) can be named too. `min_score` 0.5: from there a form is one that little else has, or a word beside it says what
it is; 0.7 leaves out forms without such a word, and checksums that do not hold.
"""

from __future__ import annotations

from collections import Counter

from synth_llm.pii import LIKELY, USUAL, check_types, find
from synth_llm.row import Row, Verdict


def pii(row: Row, column: str = "text", types: list[str] | None = None, min_score: float = LIKELY) -> Verdict:
    """Keep texts in which nothing has a score of `min_score` or more. The value is the highest score, in [0, 1].

    Raises InputError for an unknown type, MissingExtra for one of Presidio's without its package.
    """
    wanted = list(USUAL) if types is None else types
    check_types(wanted)
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    spans = find(text, wanted, 0.0)
    value = max((span.score for span in spans), default=0.0)
    found = Counter(span.type for span in spans if span.score >= min_score)
    if not found:
        return Verdict(True, value=value)
    listed = ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in sorted(found.items()))
    return Verdict(False, f"holds {listed}", value)
