"""Drops answers that were cut: in the middle of a sentence, of a list, of a bracket or of a block of code.

A cut shows where a text ends: at a comma, at a word that cannot end a sentence ("the", "because"), at the number of a
list's item with nothing after it, inside of a bracket, quotation or block of fenced code. A missing full stop alone is
no sign: a third of the answers that people write do without.

Default: `strict` false. True also drops prose of two sentences and more whose last one has no final mark: it finds
two of three cuts at random places instead of one of seven, at the price of one in forty long answers that people wrote;
for models that always set one.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict
from synth_llm.text import Text, read

_OPEN_WORDS = re.compile(
    r"an?|the|and|or|nor|but|because|although|unless|whereas|while|of|to|for|from|with|without|into|onto|upon|at|by|as|if"
    r"|than|which|whose|who|whom|shall|should|its|their|his|her|my|your|our|these|those|very|every|each|between|among"
    r"|during|including|especially|particularly|however|therefore|i'm|it's|they're|we're|you're"
)
"""English words with which no sentence of prose ends, or hardly ever."""
_RARELY_LAST = re.compile(
    r"is|are|was|were|be|been|am|has|have|had|can|could|will|would|may|might|must|more|most|that|such"
)
"""Words that end some ("as good as it can be"): they count only after two sentences and more."""
_ITEM = re.compile(r"\s*(?:\(?\d{1,3}[.)]|[-*•–])\s*\Z")
_LAST_WORD = re.compile(r"([A-Za-z][A-Za-z'’]*)\Z")
_EMOTICON = re.compile(r"[:;=8][-o']?\(")
_OPENING, _CLOSING = "([{“", ")]}”"
_VERSE = 45
"""Characters of a line up to which lines that end at a comma can be verse."""


def truncated(row: Row, column: str = "text", strict: bool = False) -> Verdict:
    """Keep texts that come to an end. The value is 1 for a cut, else 0."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    found = read(text)
    if found.fences and not found.fences[-1].closed:
        return Verdict(False, "ends inside a block of code", 1.0)
    if found.fences and text.rstrip().endswith(("```", "~~~")):
        return Verdict(True, value=0.0)
    if why := _cut(found) or (_no_mark(found) if strict else ""):
        return Verdict(False, f'{why}: "{" ".join(text[-60:].split())}"', 1.0)
    return Verdict(True, value=0.0)


def _cut(text: Text) -> str:
    """How the end shows that the text was cut; empty if it does not."""
    lines = text.lines
    if not lines or len(text.tokens) < 4:
        return ""
    last = lines[-1]
    if len(lines) > 1 and _ITEM.match(last) and _ITEM.match(last)[0] == last:  # type: ignore[index]
        return "ends with the mark of a list's item"
    if last[-1] == "," and not (len(lines) == 2 or _is_letter(lines)):
        return "ends at a comma"
    if last[-1] in _OPENING and not _EMOTICON.search(last[-3:]):
        return "ends at an opening bracket"
    if last[-1] not in ".!?…。！？" and _is_open(last):
        return "ends inside a bracket"
    word = _LAST_WORD.search(last)
    if word is None or len(last.split()) < 4:
        return ""
    lower = word[1].lower().replace("’", "'")
    open_word = _OPEN_WORDS.fullmatch(lower) or (_RARELY_LAST.fullmatch(lower) and len(text.sentences) > 2)
    if open_word and word[1].islower():
        return f'ends with the word "{lower}"'
    return ""


def _is_letter(lines: list[str]) -> bool:
    """Whether the last line is the close of a letter ("Yours sincerely,"), or verse."""
    return len(lines[-1].split()) <= 4 or (len(lines) > 3 and max(map(len, lines[-4:])) <= _VERSE)


def _is_open(line: str) -> bool:
    """Whether the last bracket of a line of prose is opened and nothing is closed after it."""
    plain = _EMOTICON.sub("  ", line)
    opened = max(plain.rfind(sign) for sign in _OPENING)
    return opened >= 0 and not any(sign in plain[opened:] for sign in _CLOSING)


def _no_mark(text: Text) -> str:
    """Why prose lacks its end; empty for lists, verse, code, and for texts of one sentence."""
    paragraph = text.paragraphs[-1] if text.paragraphs else ""
    sentences = read(paragraph).sentences
    if "\n" in paragraph or len(sentences) < 2 or len(sentences[-1].split()) < 3:
        return ""
    if sentences[-1][-1].isalnum() and sentences[0][-1] in ".!?":
        return "ends without a final mark"
    return ""
