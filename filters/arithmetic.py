"""Drops answers with sums that are wrong: "12 + 7 = 20", and "<<12*7=83>>" as GSM8K marks them (Cobbe et al. 2021,
arXiv 2110.14168).

Only plain numbers are checked, with + - * x × · / ÷, no brackets: the numbers of one equation that stand between words,
not a part of a longer formula, of code or of a chain. An equation that the columns of `given` hold, or that the answer
calls wrong, is not held against it; nor is any where other number systems are spoken of ("binary").

Defaults: `given` None means "instruction", "input" and "prompt". `allowed` 0 wrong equations. A result may be rounded
or cut off at its last digit, except that a whole result of whole numbers without division has to be exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from synth_llm.row import Row, Verdict
from synth_llm.text import read

_GIVEN = ("instruction", "input", "prompt")
_NUMBER = r"[$€£]?(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,12})?|[$€£]?\.\d{1,12}"
_SIGN = r"[-+*/÷×·−–]|[xX](?=\s)"
_EQUATION = re.compile(
    rf"(?<![\w.,$€£%°^=+*/÷×·<>(\[\\])"
    rf"(?P<sum>-?(?:{_NUMBER})(?:\s{{0,2}}(?:{_SIGN})\s{{0,2}}(?:{_NUMBER})){{1,8}})\s{{0,2}}=(?!=)\s{{0,2}}"
    rf"(?P<result>[-−]?(?:{_NUMBER}))(?![\w%°^(/]|[.,]\d|\s{{0,2}}(?:[-+*/÷×·−^(%]|x\s|\d))"
)
_MARKED = re.compile(rf"<<(?P<sum>[-+*/.\d\s()]{{1,120}})=(?P<result>-?(?:{_NUMBER}))>>")
_TOKEN = re.compile(rf"{_NUMBER}|[-+*/÷×·−–xX()]")
_BEFORE = re.compile(r"[-+*/÷×·−–=^(\[{<>\\]\s{0,3}\Z|\d\s{1,2}\Z|[\w)\]]\s{0,2}[-+*/]\s*\Z", re.IGNORECASE)
_NO_SUM = re.compile(r"\d+[/·–-]\d+|.*(?<![\d.,])0\d.*")
"""A part of something ("1/4 = 15 apples"), a range, a time of day ("0900")."""
_OTHER_SYSTEM = re.compile(
    r"\b(?:binary|hexadecimal|octal|base[- ]?\d+|mod(?:ulo|ulus|ular)?|boolean|roman numerals?|riddle|joke|wrong"
    r"|incorrect|false)\b"
)
_DENIED = re.compile(r"[^.\n]{0,20}\b(?:not|n't|wrong|incorrect|false|untrue|mistake)")


def arithmetic(row: Row, column: str = "text", given: list[str] | None = None, allowed: int = 0) -> Verdict:
    """Keep texts with at most `allowed` wrong equations. The value is their number; None without equations."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    if "=" not in text:
        return Verdict(True)
    asked = " ".join(str(row.get(name) or "") for name in (_GIVEN if given is None else given) if name != column)
    if _OTHER_SYSTEM.search(asked.lower()):
        return Verdict(True)
    checked, wrong = 0, []
    for equation, right in _equations(text):
        if right is None or equation in asked:
            continue
        checked += 1
        wrong += [equation] if not right else []
    if len(wrong) > allowed:
        return Verdict(False, f"wrong: {'; '.join(dict.fromkeys(wrong))}"[:200], float(len(wrong)))
    return Verdict(True, value=float(len(wrong)) if checked else None)


def _equations(text: str) -> Iterator[tuple[str, bool | None]]:
    """Each equation and whether it is right; None when that cannot be told."""
    for match in _MARKED.finditer(text):
        yield match[0], _is_right(match["sum"], match["result"])
    prose = read(text).prose
    if "<<" in prose:
        prose = _MARKED.sub("=", prose)
    for match in _EQUATION.finditer(prose):
        if _BEFORE.search(prose[max(0, match.start() - 8) : match.start()]) or _DENIED.match(prose, match.end()):
            continue
        if not _NO_SUM.fullmatch(match["sum"]):
            yield " ".join(match[0].split()), _is_right(match["sum"], match["result"])


def _is_right(terms: str, result: str) -> bool | None:
    tokens = _TOKEN.findall(terms)
    try:
        value, rest = _sum(tokens)
    except (ValueError, IndexError, ZeroDivisionError, RecursionError):
        return None
    if rest:
        return None
    stated = _number(result.lstrip("-−")) * (-1 if result[0] in "-−" else 1)
    decimals = len(result.partition(".")[2])
    exact = decimals == 0 and not any(sign in tokens for sign in "/÷") and "." not in terms
    tolerance = Fraction(0) if exact else Fraction(1, 10**decimals)
    return abs(value - stated) <= tolerance if exact else abs(value - stated) < tolerance


def _sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    """The value of products added up, and the tokens after them."""
    negative = tokens[0] in "-−–"
    value, tokens = _product(tokens[1:] if negative else tokens)
    value = -value if negative else value
    while tokens and tokens[0] in "+-−–":
        sign, (term, tokens) = tokens[0], _product(tokens[1:])
        value = value + term if sign == "+" else value - term
    return value, tokens


def _product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _factor(tokens)
    while tokens and tokens[0] in "*x×·X/÷":
        sign, (term, tokens) = tokens[0], _factor(tokens[1:])
        value = value / term if sign in "/÷" else value * term
    return value, tokens


def _factor(tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[0] == "(":
        value, rest = _sum(tokens[1:])
        if rest[0] != ")":
            raise ValueError("unbalanced")
        return value, rest[1:]
    return _number(tokens[0]), tokens[1:]


def _number(text: str) -> Fraction:
    """Raises ValueError when it is none."""
    return Fraction(text.lstrip("$€£").replace(",", ""))
