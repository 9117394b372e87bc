"""Drops rows whose answer is in another language than the task (lingua; extra `curate`).

The answer may be in the language of any column of `given`: an English instruction with a Spanish text to correct has a
Spanish answer. Rows whose task speaks of translation or names a language are kept, and so are texts too short to tell.

Defaults: `given` None means "instruction", "input" and "prompt", as far as the row has them. `min_letters` 40 in words
without a capital, on either side: in shorter texts the guess is a coin toss. `min_confidence` 0.1: answers that quote
another language lie above it. `among` None: the 27 languages that are written most.
"""

from __future__ import annotations

import re

from synth_llm.languages import AMONG, detector, prose
from synth_llm.row import Row, Verdict
from synth_llm.text import read

_GIVEN = ("instruction", "input", "prompt")
_SURE = 0.8
_NAMES = (
    r"arabic|bengali|cantonese|catalan|chinese|czech|danish|dutch|english|finnish|french|german|greek"
    r"|hebrew|hindi|hungarian|indonesian|irish|italian|japanese|korean|latin|mandarin|norwegian|persian"
    r"|farsi|polish|portuguese|romanian|russian|sanskrit|spanish|swahili|swedish|tagalog|tamil|thai|turkish"
    r"|ukrainian|urdu|vietnamese|welsh|español|inglés|deutsch|englisch|français|anglais"
)
_LANGUAGES = re.compile(
    r"translat|traduc|tradui|übersetz|перев|翻译|翻訳|번역|ترجم|\blanguages?\b|\bforeign\b"
    rf"|\b(?:{_NAMES})\b"
)


def language_match(
    row: Row,
    column: str = "text",
    given: list[str] | None = None,
    min_letters: int = 40,
    min_confidence: float = 0.1,
    among: list[str] | None = None,
) -> Verdict:
    """Keep rows whose `column` is in a language of the task. The value is lingua's confidence in it, in [0, 1].

    Raises InputError for an unknown code, MissingExtra without lingua.
    """
    guess, _ = detector(tuple(AMONG if among is None else among), "the filter language_match")
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    tasks = [
        value
        for name in (_GIVEN if given is None else given)
        if name != column and isinstance(value := row.get(name), str)
    ]
    answer = prose(text)
    if _letters(answer) < min_letters or any(_LANGUAGES.search(read(task).lower) for task in tasks):
        return Verdict(True, "no two languages to compare")
    wanted = []
    for task in map(prose, tasks):
        if _letters(task) >= min_letters:
            best = guess.compute_language_confidence_values(task)[0]
            if best.value < _SURE:
                return Verdict(True, "no telling which language the task is in")
            wanted.append(best.language)
    if not wanted:
        return Verdict(True, "no two languages to compare")
    ranked = guess.compute_language_confidence_values(answer)
    confidence = max(one.value for one in ranked if one.language in wanted)
    if ranked[0].language not in wanted and ranked[0].value >= _SURE and confidence < min_confidence:
        said, asked = (one.name.capitalize() for one in (ranked[0].language, wanted[0]))
        return Verdict(False, f"looks like {said} ({ranked[0].value:.2f}); the task is in {asked}", confidence)
    return Verdict(True, value=confidence)


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
