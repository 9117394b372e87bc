"""Final answers of worked solutions: found and compared without a model."""

from __future__ import annotations

import re
from fractions import Fraction

_MARK = re.compile(r"####|\\boxed|^[ \t]*(?:A|Answer|Final answer)[ \t]*:|the (?:final )?answer is:?", re.I | re.M)
_NUMBER = re.compile(
    r"(?:(?<![\w)])[-−+][ \t]*)?[$€£]?[ \t]*(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[ \t]*/[ \t]*\d+)?",
    re.ASCII,
)
_CALCULATED = re.compile(r"<<[^<>\n]*>>")
MOST_DIGITS = 60
"""Longer numbers are no answers to be worked out, and are compared as texts."""


def final_answer(text: str) -> str | None:
    """The final answer of a solution, as it is written; None when there is none.

    It is what follows the last `####` (GSM8K: Cobbe et al. 2021, arXiv 2110.14168), `A:`, `Answer:`, `The answer is`
    or stands in the last `\\boxed{...}`, up to the end of its line. A text without such a mark that is one line is an
    answer itself.

    >>> final_answer("She has 16 - 7 = <<16-7=9>>9 eggs.\\n#### 9")
    '9'
    """
    marks = list(_MARK.finditer(text))
    if marks:
        rest = text[marks[-1].end() :]
        rest = _braced(rest) if marks[-1][0] == r"\boxed" else rest
    else:
        rest = text if "\n" not in text.strip() else ""
    answer = _CALCULATED.sub("", rest).strip().partition("\n")[0].strip()
    return answer or None


def number_in(answer: str) -> Fraction | None:
    """The one number of an answer, exactly; None when it holds none, or several that differ.

    Thousands separators, a currency, a percent sign, units and trailing zeros do not matter: `$1,000.00` is 1000.

    >>> number_in("$1,000.00 a day")
    Fraction(1000, 1)
    """
    found = {_value(match[0]) for match in _NUMBER.finditer(answer)}
    return found.pop() if len(found) == 1 else None


def same_answer(one: str, other: str) -> bool:
    """Whether two final answers are the same number, or else the same words, case, spaces and a final stop aside."""
    first, second = number_in(one), number_in(other)
    if first is not None and second is not None:
        return first == second
    return _words(one) == _words(other)


def _braced(rest: str) -> str:
    """What stands in the braces that come next."""
    depth = 0
    for at, letter in enumerate(rest):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return rest[1:at] if at else ""
    return rest[1:]


def _value(digits: str) -> Fraction | None:
    plain = re.sub(r"[,$€£\s+]", "", digits).replace("−", "-")
    top, _, bottom = plain.partition("/")
    if len(plain) > MOST_DIGITS or (bottom and not int(bottom)):
        return None
    return Fraction(top) / int(bottom or 1)


def _words(answer: str) -> str:
    return " ".join(answer.casefold().split()).rstrip(".!").strip("\"'`$ ")
