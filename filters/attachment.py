"""Drops rows about an image, a recording, a file or a link that is not there: "describe the image below".

A model of text never saw it, so its answer is made up. Looked for are words that point at it, in the instruction and
the answer, and what stands for it ("[Image 1]", "(link to photo)"). Where the row holds an address, files and links are
taken to be there; images and recordings are not, because an address shows nothing. Tables, texts and code can stand in
the row, and are not looked for; nor is anything when the task is to write a message, a page or a program.

Defaults: `given` None means "instruction", "input" and "prompt", as far as the row has them. `links` true: where a link
is spoken of there has to be one.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict
from synth_llm.text import read

_GIVEN = ("instruction", "input", "prompt")
_SEEN = (
    r"(?:\w+ )?(?:image|picture|photo(?:graph)?|screenshot|illustration|diagram|video|recording"
    r"|audio(?: clip| file| recording)?)s?\b"
)
_FILE = r"(?:\w+ )?(?:file|attachment|pdf|spreadsheet|document|csv)s?\b"
_LINK = r"(?:web ?)?(?:link|url)s?\b"
_LOOK = (
    r"\b(?:describe|caption|look at|analy[sz]e|examine|identify|interpret|watch|view|label|recogni[sz]e|listen to"
    r"|edit|crop)"
)
_BEFORE = r"\b(?:the|this|these) (?:attached|following|accompanying|uploaded)"
_AFTER = r"(?:(?:is|are|as) )?(?:below|above|attached|shown|provided|here|given|linked)\b"
_IMAGE_SPOKEN_OF = re.compile(
    rf"{_BEFORE} {_SEEN}"
    rf"|\b(?:the|this|these) {_SEEN} {_AFTER}"
    rf"|{_LOOK} (?:what (?:is|you see) (?:happening )?in )?(?:(?:the )?(?:given|provided)|the|this|these) {_SEEN}"
    r"(?! of\b)"
    rf"|\b(?:in|from|based on|using) th(?:is|ese) {_SEEN}"
    rf"|\bas (?:you can )?(?:see|seen|shown) in the {_SEEN}"
)
_FILE_SPOKEN_OF = re.compile(
    rf"\b(?:the|this|these) (?:attached|uploaded) {_FILE}|\bth(?:e|is) {_FILE} (?:is |are )?attached\b"
)
_LINK_SPOKEN_OF = re.compile(
    rf"\b(?:the|this|these) (?:following|given|provided|attached) {_LINK}"
    rf"|\b(?:the|this|these) {_LINK} {_AFTER}|\b{_LINK} (?:\w+ )?(?:below|above)\b"
)
_STAND_IN = re.compile(
    r"!\[[^\]\n]{0,80}\]\("
    r"|[\[<(](?:image|picture|photo|video|audio|screenshot|diagram|link to)\b[^\[\]<>()\n=]{0,60}[\])>]"
)
_ADDRESS = re.compile(r"https?://|www\.|\b[\w-]{1,60}\.(?:com|org|net|edu|gov|io|co|html?)\b|\]\(|href=")
_WRITES = re.compile(
    r"\b(?:write|draft|create|generate|compose|design|make|build|develop|come up with|code|implement)\b[^.\n]{0,80}?"
    r"\b(?:e-?mail|letter|message|post|ad|advert|article|blog|tweet|html|css|website|web ?page|code|script|program"
    r"|function|prompt|story|dialogue|caption|tutorial|instructions|documentation)"
)


def attachment(row: Row, column: str = "text", given: list[str] | None = None, links: bool = True) -> Verdict:
    """Keep rows that speak of nothing that is not there. The value is 1 if they do, else 0."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    names = [name for name in (_GIVEN if given is None else given) if isinstance(row.get(name), str) and name != column]
    for name in names:
        value = row[name]
        if ("[" in value or "<" in value or "(" in value) and (stands := _STAND_IN.search(read(value).lower)):
            return Verdict(False, f'{name} holds "{stands[0]}"', 1.0)
    asked = " ".join(read(row[name]).lower for name in names)
    if _WRITES.search(asked):
        return Verdict(True, value=0.0)
    for name in (*names, column):
        if found := _spoken_of(read(row[name]).lower, links=links):
            what, is_image = found
            if is_image or not _ADDRESS.search(asked + read(text).lower):
                return Verdict(False, f'{name} speaks of what is not there: "{what}"', 1.0)
    return Verdict(True, value=0.0)


def _spoken_of(lower: str, *, links: bool) -> tuple[str, bool] | None:
    """The words that point at something, and whether that is an image or a recording."""
    if found := _IMAGE_SPOKEN_OF.search(lower):
        return " ".join(found[0].split()), True
    if found := _FILE_SPOKEN_OF.search(lower) if "attached" in lower or "uploaded" in lower else None:
        return " ".join(found[0].split()), False
    if found := _LINK_SPOKEN_OF.search(lower) if links and ("link" in lower or "url" in lower) else None:
        return " ".join(found[0].split()), False
    return None
