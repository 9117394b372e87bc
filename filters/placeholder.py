"""Drops rows in which something was left to be filled in: "[Your Name]", "<noinput>", "<no output>", "N/A".

Three kinds: a value that only says there is none ("No input required."), a value that only names what should stand
there ("<image of a train station>"), and a blank inside a text ("Dear [Name],"). The first two are looked for in the
columns of `also` too, because models write them into the input of an instruction. A blank that those columns hold is
given, not left. Array indices, lists, links and tags are no blanks.

Default: `also` None means "instruction", "input" and "prompt", as far as the row has them.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict

_GIVEN = ("instruction", "input", "prompt")
_MISSING = r"(?:required|needed|necessary|given|provided|available|specified|applicable|supplied|expected|present)"
_NOTHING = re.compile(
    rf"no[\s_-]*(?:\w+[\s_-]+){{0,2}}(?:in|out)puts?(?:\W+(?:(?:is|was|are|were|data|text)\W+)*{_MISSING}(?:\W.{{0,80}})?"
    r"|\W+(?:data|text|here|for this .{0,40}))?"
    rf"|(?:in|out)put\W+(?:(?:is|was)\W+)?(?:not\W+{_MISSING}(?:\W.{{0,80}})?|none|n/?a|empty|blank)"
    r"|this (?:\w+ ){1,2}(?:does not|doesn't) (?:require|need|have) (?:an? |any )?(?:\w+ )?(?:in|out)put(?:\W.{0,80})?"
    r"|n ?/ ?a|n\.a|not applicable",
    re.IGNORECASE,
)
_NONE = re.compile(
    rf"none|(?-i:NA)|(?:none|not) {_MISSING}|no[\s_-]*inputs?\s*[,;:.(–-].*",
    re.IGNORECASE | re.DOTALL,
)
_FIRST_LETTERS = "nitoebNITOEB"
_MARK = re.compile(r"<[\s/]{0,3}no[\s_-]{0,3}(?:in|out)put[^<>\n]{0,40}>", re.IGNORECASE)
_WHOLE = re.compile(
    r"<(?:[a-z]+(?: [\w'’-]+){1,12}|empty|blank|none)>|\[(?!(?:true|false|null)\])[a-z][\w'’ -]{2,80}\]", re.IGNORECASE
)
_BLANK = re.compile(
    r"(?<![\w\])\"'\\/!\[<{$.])(?:\[(?!\[)(?P<square>[a-z][^\[\]\n,\"=<>(){}|:;]{1,60})\](?![(\[:])"
    r"|[<{\[]{1,3}(?P<other>(?:insert|your|enter|add|image of|photo of|picture of|link to|name of)"
    r"[ _-][\w '’/-]{1,60})[>}\]])",
    re.IGNORECASE,
)
_TO_FILL = re.compile(
    r"(?:your|my|his|her|their|insert|enter|name|names|date|company|organi[sz]ation|address|e-?mail|phone|number|title|position"
    r"|recipient|sender|manager|supervisor|employer|friend|brand|product|image of|photo of|picture of|link|url|website"
    r"|job|city|state|location|event|topic|describe|specify|client|customer|school|university|department)\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"\bfor\b.*\bin\b|[_*+]|\w\(")
_EDGES = " \t\r\n<>[](){}\"'`*_-.,!:;#/\\“”"


def placeholder(row: Row, column: str = "text", also: list[str] | None = None) -> Verdict:
    """Keep rows with nothing left to fill in. The value is the number of places found."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    given = {name: row[name] for name in (_GIVEN if also is None else also) if isinstance(row.get(name), str)}
    given.pop(column, None)
    for name, value in {column: text, **given}.items():
        if _is_stand_in(value, name in given):
            return Verdict(False, f'{name} is only "{" ".join(value.split())[:80]}"', 1.0)
        if "<" in value and (mark := _MARK.search(value)):
            return Verdict(False, f'{name} holds "{" ".join(mark[0].split())}"', 1.0)
    blanks = [blank for blank in _blanks(text) if not any(blank in value for value in given.values())]
    if blanks:
        return Verdict(False, f"left to fill in: {', '.join(dict.fromkeys(blanks))}"[:200], float(len(blanks)))
    return Verdict(True, value=0.0)


def _is_stand_in(value: str, is_given: bool) -> bool:
    """Whether the whole value says or names what is not there. "None" can be an answer, but is no input."""
    if len(value) > 200:
        return False
    if value.lstrip()[:1] in ("<", "[") and _WHOLE.fullmatch(value.strip().rstrip(".")):
        return True
    core = value.strip(_EDGES)
    if core[:1] not in _FIRST_LETTERS:
        return False
    return bool(_NOTHING.fullmatch(core) or (is_given and _NONE.fullmatch(core)))


def _blanks(text: str) -> list[str]:
    if "[" not in text and "<" not in text and "{" not in text:
        return []
    found = []
    for match in _BLANK.finditer(text):
        inside = match["square"]
        if match["other"] or (_TO_FILL.search(inside) and not _CODE.search(inside)):
            found.append(match[0])
    return found
