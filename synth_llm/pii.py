"""Personal identifiers in a text: where they are, of which type, and how sure.

The common types are ours (`pii_forms`): patterns, checksums where there are any, and the words beside a number. Further
identifiers, of many countries, are those of Presidio's pattern recognisers (package `presidio-analyzer`, extra
`curate`), by Presidio's names, such as `UK_NHS`; no model and no NLP engine is loaded. Names of people and places are
not found: that needs a model.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from synth_llm.errors import InputError, MissingExtra, nearest
from synth_llm.pii_forms import CUE, DECOY, KINDS, Kind

USUAL = ("email", "phone", "ssn", "iban", "card", "ip")
"""The types that are looked for unless others are named."""
LIKELY = 0.5
"""The score from which a find counts: a form that little else has, or a weaker one with a word that speaks for it."""
BEFORE, AFTER = 60, 40
"""Characters before and after a find in which the words beside it are looked for."""

_OURS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "US_SSN": "ssn",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "card",
    "IP_ADDRESS": "ip",
    "URL": "url",
}
"""Presidio's names of what we find ourselves."""


class Span(NamedTuple):
    """A find: the characters `start` to `end` of a text, its type, and a score in [0, 1]."""

    start: int
    end: int
    type: str
    score: float


def find(text: str, types: Sequence[str] = USUAL, min_score: float = LIKELY) -> list[Span]:
    """The identifiers in a text, in order, none overlapping another: of two that do, the surer one, then the longer.

    `types` are `email`, `phone`, `ssn` (US), `iban`, `card`, `ip`, `url`, and names of Presidio's such as `CRYPTO`.
    Raises InputError for an unknown type, MissingExtra for one of Presidio's without its package.
    """
    found = [span for name in types for span in _finds(text, name) if span.score >= min_score]
    found.sort(key=lambda span: (-span.score, span.start - span.end, span.start, span.type))
    taken: list[Span] = []  # in order
    for span in found:
        at = bisect(taken, span)
        if (not at or taken[at - 1].end <= span.start) and (at == len(taken) or span.end <= taken[at].start):
            taken.insert(at, span)
    return taken


def check_types(types: Sequence[str]) -> None:
    """Raises what `find` raises for `types`, before there is a text."""
    for name in types:
        if name not in KINDS:
            _recogniser(name)


def _finds(text: str, name: str) -> Iterator[Span]:
    kind = KINDS.get(name)
    if kind is None:
        yield from _presidio(text, name)
    elif _possible(text, name):
        best: dict[tuple[int, int], float] = {}
        for form in kind.forms:
            for match in form.pattern.finditer(text):
                score = form.score(match[0])
                if score > best.get(match.span(), 0.0):
                    best[match.span()] = score
        for (start, end), score in best.items():
            yield Span(start, end, name, _beside(text, start, end, kind, score))


_ANY = {"email": re.compile(r"@|\bat\b", re.I), "url": re.compile(r"https?:|www\.", re.I), "ip": re.compile(r"[:.]")}
_LEAST_DIGITS = {"phone": 7, "ssn": 9, "iban": 2, "card": 12}


def _possible(text: str, name: str) -> bool:
    """Whether a text can hold a type at all: most rows are done with this."""
    least = _LEAST_DIGITS.get(name)
    if least is None:
        return _ANY[name].search(text) is not None
    return len(_DIGIT.findall(text)) >= least


_DIGIT = re.compile(r"\d")


def _beside(text: str, start: int, end: int, kind: Kind, score: float) -> float:
    """The score of a find, with the words beside it."""
    before, after = text[max(0, start - BEFORE) : start], text[end : end + AFTER]
    cue = CUE if kind.before.search(before) or kind.after.match(after) else 0.0
    decoy = DECOY if kind.decoy.search(before) else 0.0
    return min(1.0, score + cue - decoy)


def _presidio(text: str, name: str) -> Iterator[Span]:
    """What a recogniser of Presidio's finds; a word of its context before the find adds to the score, as there."""
    recogniser = _recogniser(name)
    for result in recogniser.analyze(text, [name], None):
        before = text[max(0, result.start - BEFORE) : result.start].lower()
        cue = any(word.lower() in before for word in recogniser.context or ())
        yield Span(result.start, result.end, name, min(1.0, result.score + (CUE if cue else 0.0)))


@cache
def _recogniser(name: str) -> Any:
    """Presidio's recogniser of a type. Its import takes seconds: it waits until a recipe names such a type."""
    if not name.isupper():
        raise InputError(f"pii: no type '{name}'{nearest(name, KINDS)}")
    try:
        from presidio_analyzer import PatternRecognizer, predefined_recognizers
    except ImportError as error:
        raise MissingExtra(f"pii type {name}", "pii") from error
    base: Any = PatternRecognizer
    known: dict[str, Any] = {}
    for found in vars(predefined_recognizers).values():
        if isinstance(found, type) and issubclass(found, base):
            try:
                recogniser = found()
            except (TypeError, ImportError, ValueError):  # one that wants settings or packages of its own
                continue
            known.update(dict.fromkeys(recogniser.supported_entities, recogniser))
    if name in _OURS:
        raise InputError(f"pii: the type '{name}' is called '{_OURS[name]}' here")
    if name not in known:
        raise InputError(f"pii: no type '{name}'{nearest(name, [*KINDS, *known])}")
    return known[name]
