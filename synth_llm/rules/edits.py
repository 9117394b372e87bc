"""Small changes of a text by rules: what `augment` can do, each a function of the words, a share and a generator.

EDA: Wei and Zou 2019, arXiv 1901.11196, section 2. AEDA: Karimi et al. 2021, arXiv 2108.13230, section 2.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from synth_llm.rules.synonyms import STOP, negates, synonyms

BLANK = "___"
MARKS = ".;?:!,"
"""The marks that AEDA inserts."""
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
SHORTEST = 4
"""Letters of the shortest word that gets a typing error."""

_TOKEN = re.compile(r"(\S+)(\s*)")
_PARTS = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)

Words = list[tuple[str, str]]
"""Each word with its punctuation, and the white space after it."""


def words(text: str) -> Words:
    """The words of a text."""
    return [(match[1], match[2]) for match in _TOKEN.finditer(text.strip())]


def text_of(of: Words) -> str:
    """The text again; where the last word is another now, without white space after it."""
    return "".join(word + (gap or " ") for word, gap in of[:-1]) + "".join(word for word, _ in of[-1:])


def core(word: str) -> tuple[str, str, str]:
    """The punctuation before a word, the word, and the punctuation after it."""
    match = _PARTS.fullmatch(word)
    assert match is not None
    return match[1], match[2], match[3]


def replaced(of: Words, share: float, draw: random.Random) -> Words:
    """A share of the words, one at least, that have a synonym, replaced by one."""
    known = [at for at, (word, _) in enumerate(of) if synonyms(core(word)[1])]
    new = list(of)
    for at in draw.sample(known, min(some(of, share), len(known))):
        before, word, after = core(of[at][0])
        new[at] = before + draw.choice(synonyms(word)) + after, of[at][1]
    return new


def inserted(of: Words, share: float, draw: random.Random) -> Words:
    """Synonyms of some of the words at random places."""
    known = [core(word)[1] for word, _ in of if synonyms(core(word)[1])]
    new = list(of)
    for word in draw.choices(known, k=some(of, share)) if known else ():
        new.insert(draw.randrange(len(new) + 1), (draw.choice(synonyms(word)).lower(), " "))
    return new


def swapped(of: Words, share: float, draw: random.Random) -> Words:
    """Two random words change places, as often as a share of the words says."""
    new = list(of)
    for _ in range(some(of, share) if len(of) > 1 else 0):
        one, other = draw.sample(range(len(new)), 2)
        new[one], new[other] = (new[other][0], new[one][1]), (new[one][0], new[other][1])
    return new


def deleted(of: Words, share: float, draw: random.Random) -> Words:
    """Each word is left out with the chance `share`, one at least; never a negation, and never all."""
    free = [at for at, (word, _) in enumerate(of) if not negates(core(word)[1])]
    free = free if len(free) < len(of) else draw.sample(free, len(free) - 1)
    gone = {at for at in free if draw.random() < share} or set(draw.sample(free, min(1, len(free))))
    return [word for at, word in enumerate(of) if at not in gone]


def punctuated(of: Words, share: float, draw: random.Random) -> Words:
    """From one mark to a share of the words of them, each before a random word."""
    most = min(len(of), draw.randint(1, some(of, share)))
    places = set(draw.sample(range(len(of)), most))
    new: Words = []
    for at, word in enumerate(of):
        new += [(draw.choice(MARKS), " "), word] if at in places else [word]
    return new


def mistyped(of: Words, share: float, draw: random.Random) -> Words:
    """One typing error in each of a share of the longer words: a neighbour's key, a swap, a double or a lost letter."""
    free = [at for at, (word, _) in enumerate(of) if len(core(word)[1]) >= SHORTEST and core(word)[1].isalpha()]
    new = list(of)
    for at in draw.sample(free, min(some(of, share), len(free))):
        before, word, after = core(of[at][0])
        new[at] = before + _slip(word, draw) + after, of[at][1]
    return new


def blanked(of: Words, share: float, draw: random.Random) -> Words:
    """A share of the words that bear meaning, one at least, becomes `___`, for a model to fill."""
    free = [at for at, (word, _) in enumerate(of) if core(word)[1].isalpha() and core(word)[1].lower() not in STOP]
    new = list(of)
    for at in draw.sample(free, min(some(of, share), len(free))):
        before, _, after = core(of[at][0])
        new[at] = before + BLANK + after, of[at][1]
    return new


def some(of: Sequence[object], share: float) -> int:
    """That share of the words, one at least (EDA: n = alpha l)."""
    return max(1, int(share * len(of)))


def _slip(word: str, draw: random.Random) -> str:
    at = draw.randrange(1, len(word) - 1)  # the first letter stays
    kind = draw.choice(("neighbour", "swap", "double", "drop"))
    if kind == "double":
        return word[: at + 1] + word[at:]
    if kind == "swap" and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    beside = [
        row[near] for row in KEYS for near in (row.find(word[at]) - 1, row.find(word[at]) + 1)
        if word[at] in row and 0 <= near < len(row)
    ]  # fmt: skip
    if kind == "neighbour" and beside:
        return word[:at] + draw.choice(beside) + word[at + 1 :]
    return word[:at] + word[at + 1 :]


Edit = Callable[[Words, float, random.Random], Words]
EDITS: dict[str, Edit] = {
    "synonyms": replaced,
    "insertion": inserted,
    "swap": swapped,
    "deletion": deleted,
    "aeda": punctuated,
    "typos": mistyped,
    "blanks": blanked,
}
EDA = ("synonyms", "insertion", "swap", "deletion")
SHARE, MARKED = 0.1, 1 / 3
"""The shares of EDA (section 3.3: 0.1 for sets of 500 rows) and of AEDA (section 2: up to a third of the words)."""
TRIES = 10


def variants(
    text: str, edits: Sequence[str], n: int, draw: random.Random, share: float | None = None
) -> list[tuple[str, str]]:
    """Up to `n` texts, each other than `text` and the rest, with the edit that made it; fewer where there are fewer.

    The edits are taken in turn, in a random order.

    >>> variants("a fine film", ["synonyms"], 2, random.Random(0))
    [('synonyms', 'a fine movie')]
    """
    of = words(text)
    found = {_form(of): ("", "")}
    turns = draw.sample(list(edits), len(edits))
    for number in range(TRIES * n if of else 0):
        edit = turns[number % len(turns)]
        new = EDITS[edit](of, share if share is not None else MARKED if edit == "aeda" else SHARE, draw)
        found.setdefault(_form(new), (edit, text_of(new)))
        if len(found) > n:
            break
    return list(found.values())[1:]


def _form(of: Words) -> str:
    return " ".join(word for word, _ in of)
