"""A text as filters look at it: its words, lines and fenced code, each found once however many filters ask.

`read` remembers the last few texts, and a row's filters run one after the other, so they share one tokenisation.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import NamedTuple

REMEMBERED = 16
"""Texts that `read` remembers: the columns of the rows that are looked at just now."""

_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_NO_MARKS = str.maketrans(string.punctuation, " " * len(string.punctuation))
_FENCE = re.compile(r"^[ \t]{0,12}(?P<marks>```+|~~~+)[ \t]*(?P<info>[^\n`]{0,80})$", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]{0,3}(?=\s|\Z)|[。！？]+|\n\s*\n")
_ABBREVIATION = re.compile(r"(?:\b(?:[a-z]|mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|no|inc|jr)|(?:^|\n)\s*\d{1,3})\.\Z")


class Fence(NamedTuple):
    """A block of fenced code (``` or ~~~)."""

    language: str
    """The first word after the opening marks, in lower case; empty when there is none."""
    body: str
    closed: bool
    """False when the text ends before the block does."""


class Text:
    """A text and what is in it. Nothing is looked for before it is asked for."""

    def __init__(self, raw: str) -> None:
        self.raw = raw

    @cached_property
    def lower(self) -> str:
        """In lower case, with straight apostrophes, without space around it."""
        return self.raw.replace("’", "'").lower().strip()

    @cached_property
    def tokens(self) -> list[str]:
        """What stands between spaces, punctuation and all."""
        return self.raw.split()

    @cached_property
    def words(self) -> list[str]:
        """Words in lower case without punctuation; a Chinese or Japanese character is a word of its own.

        >>> Text("Don't stop: 3.5 is fine.").words
        ['don', 't', 'stop', '3', '5', 'is', 'fine']
        """
        lower = self.raw.lower()
        return lower.translate(_NO_MARKS).split() if lower.isascii() else _WORD.findall(lower)

    def first(self, words: int) -> str | None:
        """The text up to the end of its first `words` words, one or more; None where it has fewer.

        >>> Text("Well, don't stop: it is fine.").first(4)
        "Well, don't stop"
        """
        found = _WORD.finditer(self.raw.replace("_", " "))
        last = next(islice(found, words - 1, None), None)
        return None if last is None else self.raw[: last.end()]

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not blank, without space around them."""
        return [line for line in map(str.strip, self.raw.splitlines()) if line]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines, without space around it."""
        if "\n" not in self.raw:
            return self.lines
        return [part for part in map(str.strip, re.split(r"\n[^\S\n]*\n", self.raw)) if part]

    @cached_property
    def sentences(self) -> list[str]:
        """Sentences, split at their marks and at blank lines; not after "Mr.", "e.g." or the number of a list's item.

        >>> Text("Mr. Roe slept. Did he? 3.5 hours!").sentences
        ['Mr. Roe slept.', 'Did he?', '3.5 hours!']
        """
        found, start = [], 0
        for match in _SENTENCE_END.finditer(self.raw):
            sentence = self.raw[start : match.end()]
            if match[0] == "." and _ABBREVIATION.search(sentence[-12:].lower()):
                continue
            found.append(sentence.strip())
            start = match.end()
        return [sentence for sentence in (*found, self.raw[start:].strip()) if sentence]

    @cached_property
    def fences(self) -> list[Fence]:
        """Blocks of fenced code, in order."""
        return [] if "```" not in self.raw and "~~~" not in self.raw else self._blocks[0]

    @cached_property
    def prose(self) -> str:
        """The text without its fenced code."""
        return self.raw if not self.fences else self._blocks[1]

    @cached_property
    def _blocks(self) -> tuple[list[Fence], str]:
        fences, outside, at = [], [], 0
        opening: re.Match[str] | None = None
        for match in _FENCE.finditer(self.raw):
            if opening is None:
                opening = match
                outside.append(self.raw[at : match.start()])
            elif match["marks"].startswith(opening["marks"]) and not match["info"].strip():
                fences.append(_fence(opening, self.raw[opening.end() : match.start()], closed=True))
                opening, at = None, match.end()
        if opening is not None:
            fences.append(_fence(opening, self.raw[opening.end() :], closed=False))
        else:
            outside.append(self.raw[at:])
        return fences, "\n".join(outside)


def _fence(opening: re.Match[str], body: str, *, closed: bool) -> Fence:
    info = opening["info"].split()
    return Fence(info[0].lower() if info else "", body.strip("\n"), closed)


@lru_cache(maxsize=REMEMBERED)
def read(text: str) -> Text:
    """The text, and what was found in it before."""
    return Text(text)


def repeated(parts: Sequence[str], n: int) -> float:
    """The share of sequences of `n` parts (words; the characters of a text) that were there before, in [0, 1)."""
    sequences = len(parts) - n + 1
    if sequences < 2:
        return 0.0
    if isinstance(parts, str):
        return 1 - len({parts[at : at + n] for at in range(sequences)}) / sequences
    return 1 - len(set(zip(*(parts[at:] for at in range(n)), strict=False))) / sequences
