"""Drops texts that are harder or easier to read than wanted, by their Flesch-Kincaid grade (Kincaid et al. 1975).

The grade, of a school in the United States, is 0.39 words a sentence + 11.8 syllables a word - 15.59; for English only.
Syllables are counted by groups of vowels, so nothing has to be downloaded. Links, code and the marks of lists are not
looked at, and a line of a list is a sentence.

Defaults: `min_grade` -4 and `max_grade` 30 drop only what is no prose at all (fragments, sentences without end); set
them to the readers that are meant, such as 5 and 9 for plain language. `min_words` 30: in fewer words one long word
decides.
"""

from __future__ import annotations

import re
from functools import lru_cache

from synth_llm.row import Row, Verdict
from synth_llm.text import read

_LINK = re.compile(r"(?:https?://|www\.)\S+|`[^`\n]{1,200}`")
_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)?")
_VOWELS = re.compile(r"[aeiouy]+")
_SILENT = re.compile(
    r"(?<![td])(?<![bcdfgkptz]l)ed\Z|(?<![sxzcg])(?<!ch)(?<!sh)(?<![bcdfgkptz]l)es\Z|(?<![bcdfgkptz]l)e\Z|ely\Z|ement\Z"
)
_APART = re.compile(
    r"(?<![ctg])ia(?!g)|(?<![tscgx])io(?!u)|cre[aei]|(?<!p)eo(?!u)|[aeoy]ing\b|(?<!g)ua(?!r)|uou|ium\b|rea\b|rie|die|thm|sm\b"
)


def readability(
    row: Row, column: str = "text", min_grade: float = -4.0, max_grade: float = 30.0, min_words: int = 30
) -> Verdict:
    """Keep texts whose grade lies from `min_grade` to `max_grade`. The value is the grade.

    Texts of fewer than `min_words` English words are kept.
    """
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    words, sentences = 0, 0
    syllables = 0
    for line in read(_LINK.sub(" ", read(text).prose)).lines:
        for sentence in read(line).sentences:
            found = _WORD.findall(sentence)
            words += len(found)
            sentences += bool(found)
            syllables += sum(map(_syllables, found))
    if words < min_words:
        return Verdict(True, "too short to tell")
    grade = 0.39 * words / sentences + 11.8 * syllables / words - 15.59
    if not min_grade <= grade <= max_grade:
        return Verdict(False, f"grade {grade:.1f}; {min_grade:g} to {max_grade:g} wanted", grade)
    return Verdict(True, value=grade)


@lru_cache(maxsize=20_000)
def _syllables(word: str) -> int:
    """An estimate: groups of vowels, without a silent e, with a few pairs of vowels that are spoken apart."""
    lower = word.lower().partition("'")[0].partition("’")[0]
    return max(1, len(_VOWELS.findall(lower)) + len(_APART.findall(lower)) - bool(_SILENT.search(lower)))
