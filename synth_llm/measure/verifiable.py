"""Instructions whose fulfilment code can check: the 25 kinds of IFEval (Zhou et al. 2023, arXiv 2311.07911, table 1).

The checks are those of the authors' code, but for three pieces that need data which cannot be shipped: sentences are
counted by `text`, words in capitals between white space, and the language is told by lingua.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from synth_llm.languages import AMONG, detector
from synth_llm.measure.interval import Interval, wilson
from synth_llm.text import read

Arguments = Mapping[str, Any]

CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
SCRIPTS = {"kn": ("\u0c80", "\u0cff")}
"""Languages that lingua does not know, which no other is written like: the first and last letter."""
_FENCE = re.compile(r"\A```(?:json)?|```\Z", re.IGNORECASE)
_POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}


@dataclass
class Followed:
    """How many instructions some answers follow."""

    prompts: Interval
    """The share of prompts of which all instructions are followed, as the answer stands (strict)."""
    instructions: Interval
    """The share of instructions that are followed (strict)."""
    prompts_loose: Interval
    """As `prompts`, if the answer without its first line, its last line, or its asterisks may do it instead."""
    instructions_loose: Interval
    kinds: dict[str, Interval] = field(default_factory=dict)
    """Of each kind of instruction the share that is followed (strict)."""
    unchecked: dict[str, int] = field(default_factory=dict)
    """How many instructions of a kind could not be checked; their prompts count by the others, if there are any."""


def followed(
    answers: Sequence[str], instructions: Sequence[Sequence[str]], arguments: Sequence[Sequence[Arguments]]
) -> Followed:
    """Check answers; each comes with the names of its instructions (`instruction_id_list`) and their `kwargs`.

    Raises ValueError for lists of different lengths, MissingExtra where a language must be told without lingua.
    """
    unchecked: Counter[str] = Counter()
    kinds: dict[str, list[bool]] = {}
    strict: list[list[bool]] = []
    loose: list[list[bool]] = []
    for answer, names, given in zip(answers, instructions, arguments, strict=True):
        verdicts: list[bool] = []
        relaxed: list[bool] = []
        for name, settings in zip(names, given, strict=True):
            verdict = follows(answer, name, settings)
            if verdict is None:
                unchecked[name] += 1
                continue
            kinds.setdefault(name, []).append(verdict)
            verdicts.append(verdict)
            relaxed.append(verdict or any(follows(one, name, settings) for one in _relaxed(answer)))
        strict.append(verdicts)
        loose.append(relaxed)
    return Followed(
        prompts=_share([all(one) for one in strict if one]),
        instructions=_share([verdict for one in strict for verdict in one]),
        prompts_loose=_share([all(one) for one in loose if one]),
        instructions_loose=_share([verdict for one in loose for verdict in one]),
        kinds={name: _share(verdicts) for name, verdicts in sorted(kinds.items())},
        unchecked=dict(sorted(unchecked.items())),
    )


def follows(answer: str, name: str, given: Arguments) -> bool | None:
    """Whether an answer follows one instruction, such as `punctuation:no_comma`; None where that cannot be told.

    An empty answer follows none.

    >>> follows("Yes, of course.", "punctuation:no_comma", {})
    False
    """
    check = CHECKS.get(name)
    if check is None or _foreign(name, given):
        return None
    try:
        return bool(answer.strip()) and check(answer, given)
    except (KeyError, TypeError, ValueError):  # arguments that are not those of this instruction
        return None


def _share(verdicts: Sequence[bool]) -> Interval:
    return wilson(sum(verdicts), len(verdicts))


def _relaxed(answer: str) -> list[str]:
    """The answer without its first line, its last line or both, and each without asterisks."""
    lines = answer.split("\n")
    cut = ("\n".join(lines[first : len(lines) - last]).strip() for first, last in product((0, 1), repeat=2))
    return [text for one in cut for text in (one, one.replace("*", ""))]


def _compared(count: int, relation: str, wanted: int) -> bool:
    if relation not in ("at least", "less than"):
        raise ValueError(relation)
    return count >= wanted if relation == "at least" else count < wanted


def _foreign(name: str, given: Arguments) -> bool:
    """Whether this asks for a language that cannot be told."""
    return name == "language:response_language" and not _can_tell(str(given.get("language")))


def _can_tell(code: str) -> bool:
    from synth_llm.errors import InputError

    try:
        detector(tuple(sorted({*AMONG, code})), "the check of a language")
    except InputError:
        return code in SCRIPTS
    return True


def _is_in(text: str, code: str) -> bool:
    """Whether a text is in a language; one without letters is in any, as in the authors' code."""
    letters = [letter for letter in text if letter.isalpha()]
    if not letters:
        return True
    if code in SCRIPTS:
        first, last = SCRIPTS[code]
        return sum(first <= letter <= last for letter in letters) > len(letters) / 2
    guess, known = detector(tuple(sorted({*AMONG, code})), "the check of a language")
    return guess.detect_language_of(text.lower()) in (known[code], None)


def _english(text: str) -> bool:
    return _is_in(text, "en")


def _highlights(text: str, given: Arguments) -> bool:
    one = [found for found in re.findall(r"\*[^\n*]*\*", text) if found.strip("*").strip()]
    two = [found for found in re.findall(r"\*\*[^\n*]*\*\*", text) if found[2:-2].strip()]
    return len(one) + len(two) >= int(given["num_highlights"])


def _bullets(text: str, given: Arguments) -> bool:
    stars, dashes = re.findall(r"^\s*\*[^*].*$", text, re.MULTILINE), re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == int(given["num_bullets"])


def _sections(text: str, given: Arguments) -> bool:
    parts = re.split(rf"\s?{re.escape(given['section_spliter'])}\s?\d+\s?", text)
    return len(parts) - 1 >= int(given["num_sections"])


def _parts(text: str, divider: str) -> list[str] | None:
    """What stands between dividers; None when there is nothing between two of them."""
    first, *middle = re.split(divider, text)
    if any(not part.strip() for part in middle[:-1]):
        return None
    return [part.strip() for part in (first, *middle) if part.strip()]


def _paragraphs(text: str, given: Arguments) -> bool:
    parts = _parts(text, r"\s?\*\*\*\s?")
    return parts is not None and len(parts) == given["num_paragraphs"]


def _two_responses(text: str, given: Arguments) -> bool:
    parts = _parts(text, re.escape("******"))
    return parts is not None and len(parts) == 2 and parts[0] != parts[1]


def _first_word(text: str, given: Arguments) -> bool:
    parts, nth = text.split("\n\n"), given["nth_paragraph"]
    count = sum(bool(part.strip()) for part in parts)
    if nth > count or not parts[nth - 1].strip():
        return False
    word = re.split(r"[.,?!'\"]", parts[nth - 1].split()[0].lstrip("'").lstrip('"'))[0].lower()
    return bool(count == given["num_paragraphs"] and word == given["first_word"].lower())


def _capitals(text: str, given: Arguments) -> bool:
    words = [token.strip(string.punctuation) for token in text.split()]
    return _compared(sum(word.isupper() for word in words), given["capital_relation"], given["capital_frequency"])


def _is_json(text: str, given: Arguments) -> bool:
    try:
        json.loads(_FENCE.sub("", text.strip()).strip())
    except ValueError:
        return False
    return True


def _postscript(text: str, given: Arguments) -> bool:
    marker = given["postscript_marker"]
    return re.search(_POSTSCRIPTS.get(marker) or re.escape(marker.lower()), text.lower()) is not None


def _has(text: str, word: str) -> bool:
    return re.search(re.escape(word), text, re.IGNORECASE) is not None


CHECKS: dict[str, Callable[[str, Arguments], bool]] = {
    "change_case:capital_word_frequency": _capitals,
    "change_case:english_capital": lambda text, given: text.isupper() and _english(text),
    "change_case:english_lowercase": lambda text, given: text.islower() and _english(text),
    "combination:repeat_prompt": lambda text, given: (
        text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())
    ),
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": lambda text, given: (
        len(re.findall(r"\[.*?\]", text)) >= given["num_placeholders"]
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": lambda text, given: any(choice in text for choice in CHOICES),
    "detectable_format:json_format": _is_json,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:title": lambda text, given: any(
        found.strip("<>").strip() for found in re.findall(r"<<[^\n]+>>", text)
    ),
    "keywords:existence": lambda text, given: all(_has(text, word) for word in given["keywords"]),
    "keywords:forbidden_words": lambda text, given: (
        not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in given["forbidden_words"])
    ),
    "keywords:frequency": lambda text, given: _compared(
        len(re.findall(re.escape(given["keyword"]), text, re.IGNORECASE)), given["relation"], given["frequency"]
    ),
    "keywords:letter_frequency": lambda text, given: _compared(
        text.lower().count(given["letter"].lower()), given["let_relation"], given["let_frequency"]
    ),
    "language:response_language": lambda text, given: _is_in(text, given["language"]),
    "length_constraints:nth_paragraph_first_word": _first_word,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_sentences": lambda text, given: _compared(
        len(read(text).sentences), given["relation"], given["num_sentences"]
    ),
    "length_constraints:number_words": lambda text, given: _compared(
        len(re.findall(r"\w+", text)), given["relation"], given["num_words"]
    ),
    "punctuation:no_comma": lambda text, given: "," not in text,
    "startend:end_checker": lambda text, given: (
        text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())
    ),
    "startend:quotation": lambda text, given: (
        len(text.strip()) > 1 and text.strip()[0] == '"' and text.strip()[-1] == '"'
    ),
}
"""Of each kind of instruction, by its name in IFEval, what an answer must be."""
