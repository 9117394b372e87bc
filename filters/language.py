"""Drops texts that are written in another language than the wanted one (lingua; extra `curate`).

Names mislead it ("Campari: Italian"), so links, code between backticks and words with a capital letter are not looked
at; a text dropped is one whose other words are likelier in another language by far.

Defaults: `is` en. `min_letters` 24: in shorter texts ("play some jazz") the guess is a coin toss, so they are kept
unless the other language is all but certain, as it is in another script. `min_confidence` 0.1: texts that quote another
language lie above it. `among` None: 27 languages that are written most, and the wanted one; lingua knows 75, but loads
a model of each (1.1 GB), and what is none of them is mostly taken for a relative, which is another language too. Name
the close relatives of a rarer wanted language yourself.
"""

from __future__ import annotations

from synth_llm.languages import AMONG, detector, prose
from synth_llm.row import Row, Verdict

_CERTAIN = 0.95


def language(
    row: Row,
    column: str = "text",
    is_: str = "en",
    min_letters: int = 24,
    min_confidence: float = 0.1,
    among: list[str] | None = None,
) -> Verdict:
    """Keep texts in the language `is_`, an ISO 639-1 code. The value is lingua's confidence in it, in [0, 1].

    Only the first 2,000 characters are read. Texts without words are kept, without a
    value. Raises InputError for an unknown code, MissingExtra without lingua.
    """
    guess, languages = detector((is_, *(AMONG if among is None else among)), "the filter language")
    wanted = languages[is_]
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    words = prose(text)
    letters = sum(map(str.isalpha, words))
    if letters == 0:
        return Verdict(True, "no words to tell a language by")
    ranked = guess.compute_language_confidence_values(words)
    confidence = next(one.value for one in ranked if one.language == wanted)
    best, likeliest = ranked[0].value, ranked[0].language
    if best == 0:
        return Verdict(False, f"in a script that is not of {is_}", 0.0)
    sure = confidence < min_confidence if letters >= min_letters else best >= _CERTAIN
    if likeliest != wanted and sure:
        return Verdict(
            False, f"looks like {likeliest.name.capitalize()} ({best:.2f}); {is_} has {confidence:.2f}", confidence
        )
    return Verdict(True, value=confidence)
