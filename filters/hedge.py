"""Drops answers that hold back: that do not know, ask for more, or say that something is not there.

"I'm not sure", "could you please provide the text?", "it is difficult to say without more information", "the passage
does not mention". Refusals are another matter, and another filter; so is "it depends on", which begins good answers.

Defaults: `within` 150 characters, because later "I don't know" is mostly the text of a dialogue or letter. `missing`
true drops "the text does not say" too; set it false where questions without an answer are wanted.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict

_MORE = (
    r"(?:a )?(?:(?:little|bit) )?(?:more|further|additional|enough|sufficient) "
    r"(?:\w+ )?(?:information|context|details?|data|specifics)\b"
)
_SORRY = (
    r"^\W*(?:(?:hmm|well|sure|certainly|of course|sorry|i'm sorry|i am sorry|i apologi[sz]e|unfortunately)\W+)?"
    r"(?:but )?"
)
_HAVE = r"(?:any )?(?:opinions?|preferences?|feelings|personal|enough|sufficient|information|an answer)"
_PATTERNS = (
    # does not know
    rf"{_SORRY}i (?:\w+ )?(?:do not|don't) (?:really |actually )?"
    rf"(?:know(?!\s*[\"”])|understand (?:the|your|what)|have {_HAVE})",
    rf"{_SORRY}i(?: am|'m) (?:not (?:\w+ )?(?:sure|certain)|unsure|uncertain|not familiar with)\b",
    rf"{_SORRY}i have no (?:idea|information|knowledge|way of knowing)\b",
    rf"{_SORRY}i (?:can ?not|can't|could not|couldn't) (?:find|tell|say|determine|verify|confirm|see|understand)\b",
    # asks for more
    rf"{_SORRY}i (?:would )?need {_MORE}",
    rf"{_SORRY}(?:could|can|would|will) you (?:please |kindly )?"
    r"(?:provide|clarify|specify|share|give me|tell me|rephrase|elaborate|paste|send)\b",
    rf"{_SORRY}please (?:provide|share|paste|specify|clarify|give)\b"
    r"(?=[^.!?\n]{0,80}(?:so (?:that )?i\b|for me\b|i can\b|you (?:would like|want|need))"
    r"|(?: me)?(?: with)? (?:the|more|an?|your|additional|further) (?:\w+ ){0,2}(?:text|article|passage|sentence"
    r"|paragraph|input|information|context|details|question|data|list)\b)",
    rf"\b{_MORE} (?:is|are) (?:needed|required|necessary)\b",
    # cannot be told
    r"\bit(?: is|'s) (?:\w+ )?(?:difficult|hard|impossible|not possible) (?:for me )?"
    rf"to (?:say|tell|know|determine|answer|judge|give|provide)\b[^.!?\n]{{0,60}}?\bwithout {_MORE}",
    rf"^\W*without {_MORE}",
    rf"\bthere(?: is|'s) not {_MORE}|\bthere(?: is|'s) insufficient \w+",
    r"\bnot enough (?:information|context|data|detail)",
)
_HEDGE = re.compile("|".join(_PATTERNS))
_MISSING = re.compile(
    rf"{_SORRY}(?:the|this|your|that) (?:given |provided |above )?"
    r"(?:text|passage|context|article|paragraph|document|input|information|question|story|table|sentence)"
    r"(?: provided| given| above)? (?:does not|doesn't|do not|did not|didn't) (?:\w+ )?"
    r"(?:mention|say|specify|state|provide|give|indicate|(?:contain|include) (?:any |enough )?information)\b"
)
_SIGNS = ("not", "n't", "no ", "sure", "need", "you", "please", "without", "more", "certain", "insufficient")


def hedge(row: Row, column: str = "text", within: int = 150, missing: bool = True) -> Verdict:
    """Keep texts that do not hold back in their first `within` characters. The value is 1 for a hedge, else 0."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    opening = text[:within].replace("’", "'").lower()
    found = None
    if any(sign in opening for sign in _SIGNS):
        found = _HEDGE.search(opening) or (_MISSING.search(opening) if missing else None)
    if found:
        return Verdict(False, f'holds back: "{" ".join(found[0].split())}"', 1.0)
    return Verdict(True, value=0.0)
