"""Synonyms out of WordNet 3.1, of words that have one usual meaning; the table is written by `rules/wordnet.py`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("synonyms.tsv")
"""A word, a tab, and its synonyms with spaces between them; a line each."""

_STOP = """
    a about above after again against ago all almost along already also although always am among an and another any
    anybody anyone anything are around as at away back be because been before behind being below beside besides between
    both but by ca can cannot could did do does doing done down during each either else enough ever every everybody
    everyone everything except few for from further get gets getting given go goes going gone got had has have having he
    hence her here hers herself him himself his how however i if in indeed instead into is it its itself just keep kept
    least less like lot made make makes making many may maybe me might mine more most much must my myself near need
    neither never next no nobody none nor not nothing now of off often on once one only onto or other others otherwise
    our ours ourselves out over own per perhaps please put quite rather really said same say says see seem seemed seems
    several shall she should since so some somebody someone something sometimes somewhere still such take than that the
    their theirs them themselves then there therefore these they this those though through thus to together too toward
    towards two under unless until up upon us very via was way we well were what whatever when whenever where whether
    which while who whom whose why will with within without wo would yes yet you your yours yourself yourselves
"""
STOP = frozenset(_STOP.split())
"""Words that bear no meaning of their own, or little: they are never replaced (EDA, Wei and Zou 2019, section 2)."""

_NEGATIONS = {
    "no",
    "not",
    "never",
    "none",
    "nobody",
    "nothing",
    "neither",
    "nor",
    "cannot",
    "without",
    "hardly",
    "barely",
}
_IRREGULAR = {"child", "foot", "goose", "louse", "man", "mouse", "ox", "person", "tooth", "woman"}


def negates(word: str) -> bool:
    """Whether a text without this word may say the opposite.

    >>> negates("Never"), negates("isn't"), negates("often")
    (True, True, False)
    """
    small = word.lower().replace("’", "'")
    return small in _NEGATIONS or small.endswith("n't")


@cache
def _table() -> dict[str, list[str]]:
    lines = (line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines())
    return {word: found.split(" ") for word, found in lines}


def synonyms(word: str) -> list[str]:
    """The synonyms of an English word in its form, sorted as WordNet has them; none of a stop word or a word not known.

    Of inflected words those that end in a regular `s` are known. A capital letter at the start stays.

    >>> synonyms("Films"), synonyms("the")
    (['Movies'], [])
    """
    small = word.lower()
    if small in STOP or (word != small and word != small.capitalize()):
        return []
    found = _table().get(small) or [_with_s(other) for other in _of_plural(small) if other not in _IRREGULAR]
    return [other.capitalize() for other in found] if word != small else list(found)


def _of_plural(word: str) -> list[str]:
    """The synonyms of the word that `word` is with an `s`."""
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        base = word.removesuffix(ending) + instead
        if word.endswith(ending) and len(base) > 2 and base not in STOP and _with_s(base) == word:
            return _table().get(base, [])
    return []


def _with_s(word: str) -> str:
    """A noun's plural, or a verb's third person, by the regular rules."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in set("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"
