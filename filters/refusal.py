"""Drops answers in which a model declines the task instead of doing it.

Only the opening is read, where refusals stand, and only the first person or the task itself counts ("I cannot provide",
"it is not possible to generate"): "dogs cannot eat chocolate" is an answer. String matching agrees with people on
refusals in .81 to .94 of cases, by model (XSTest, Roettger et al. 2024, arXiv 2308.01263): a polite change of subject
is not seen; use a judge where that matters.

Default: `within` 200 characters, because later "I cannot" is mostly the text of a letter, song or dialogue.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict

_NOT = r"(?:can ?not|can't|could(?: not|n't)|won't|will not|(?:is|am|'m|are) (?:unable|not able) to)"
_DO = (
    r"(?:assist|help(?! but)|provide|give|answer|offer|fulfil?l|comply|complete|generate|create|recommend|suggest"
    r"|advise|support|endorse|condone|encourage|promote|perform|process|access|browse|respond|engage|discuss|share"
    r"|do (?:that|this)|satisfy|produce|display|draw|predict)"
)
_TASK = r"(?:this|the|your|that) (?:given )?(?:task|request|instruction|question|prompt)"
_REFUSAL = re.compile(
    rf"\bi(?: \w+)? ?{_NOT} (?:\w+ ){{0,2}}?{_DO}\b"
    r"|\bi (?:\w+ )?(?:must|have to) (?:\w+ )?(?:decline|refuse)\b|\bi (?:refuse|decline) to\b"
    r"|\bi do(?: not|n't) (?:have (?:the (?:ability|capability|capacity) to|access to)|feel comfortable)\b"
    rf"|^\W*(?:i(?: am|'m) (?:\w+ )?)?(?:sorry|afraid|my apologies|i apologi[sz]e)\b"
    rf"[^.!?\n]{{0,40}}?(?:{_NOT}|\bnot possible\b)"
    rf"|^\W*(?:sorry|unfortunately)\b[^.!?\n]{{0,20}}?\b(?:{_TASK} \w+|it is not possible to \w+)"
    r"|\bit(?: is|'s|'s also| is also) (?:not|never|neither) (?:\w+ )?(?:appropriate|ethical|acceptable|within my)\b"
    r"[^.!?\n]{0,60}? to (?:provide|give|answer|share|discuss|suggest|offer|assist|help|make|create|generate|write)\b"
    r"|\bi (?:must|have to|need to|would like to|should|cannot help but) (?:\w+ )?(?:point out that (?:the|your|this)"
    r" (?:question|term|phrase|word|request|statement)|(?:advise|caution|warn) (?:you )?against"
    r"|inform you that (?:i|it|the))\b"
    r"|\b(?:question|request|phrase|term|premise|prompt)\b[^.!?\n]{0,60}? (?:is|may|might|does) not (?:be )?(?:\w+ )?"
    r"(?:appropriate|coherent|meaningful|make (?:any )?sense)\b"
    r"|^\W*it(?: is|'s) (?:not possible|impossible)(?: for \w+)? to (?:\w+ )?"
    r"(?:provide|answer|generate|create|complete|perform|process|access|display|draw)\b"
    rf"|^\W*{_TASK} (?:can ?not|can't|is (?:not (?:possible|appropriate|applicable)|impossible|unclear))\b"
    rf"|\b(?:gpt|ai|language) model {_NOT}"
)
_SIGNS = (
    "not",
    "n't",
    "unable",
    "impossible",
    "decline",
    "refuse",
    "sorry",
    "apolog",
    "afraid",
    "unfortunately",
    "unclear",
    "never",
    "neither",
    "against",
    "point out",
)


def refusal(row: Row, column: str = "text", within: int = 200) -> Verdict:
    """Keep texts that do not refuse in their first `within` characters. The value is 1 for a refusal, else 0."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    opening = text[:within].replace("’", "'").lower()
    if any(sign in opening for sign in _SIGNS) and (found := _REFUSAL.search(opening)):
        return Verdict(False, f'refuses: "{" ".join(found[0].split())}"', 1.0)
    return Verdict(True, value=0.0)
