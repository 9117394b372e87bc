"""Drops texts that are empty, too short or too long.

A word is what stands between spaces; a Chinese or Japanese character counts as a word of its own. A text without any
letter, digit or symbol has no words: an emoji is an answer, a lone full stop is not.

Defaults: `min_words` 1, because "Yes" or "42" is a right answer to many instructions: set it higher where sentences are
wanted. `max_words` 1000, because 3 in 1,500 answers written by people are longer, and runaway generations are.
"""

from __future__ import annotations

import re
import unicodedata

from synth_llm.row import Row, Verdict

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def length(row: Row, column: str = "text", min_words: int = 1, max_words: int = 1000) -> Verdict:
    """Keep texts of `min_words` to `max_words` words. The value is the number of words."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    words = _count(text)
    if words < min_words:
        return Verdict(False, f"{_words(words)}; at least {min_words} wanted", words)
    if words > max_words:
        return Verdict(False, f"{_words(words)}; at most {max_words} wanted", words)
    return Verdict(True, value=words)


def _count(text: str) -> int:
    if not any(map(_speaks, text)):
        return 0
    return len((text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)).split())


def _speaks(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] in "LNS"


def _words(count: int) -> str:
    return "empty" if count == 0 else "1 word" if count == 1 else f"{count} words"
