"""Which language a text is in (lingua; extra `curate`)."""

from __future__ import annotations

import functools
import re
from typing import Any

from synth_llm.errors import InputError, MissingExtra, nearest

AMONG = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fr", "he", "hi", "id", "it"),
    *("ja", "ko", "nl", "pl", "pt", "ro", "ru", "sv", "sw", "tr", "uk", "vi", "zh"),
)
"""The languages that are written most, as ISO 639-1 codes."""
LOOKED_AT = 2000
"""Characters of a text that are read: more change no guess."""

_NO_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`|(?:https?:|www\.)\S+", re.DOTALL)


def prose(text: str) -> str:
    """The words of a text that tell its language: without links, code and words with a capital letter, often names."""
    words = _NO_PROSE.sub(" ", text[:LOOKED_AT]).split()
    return " ".join(word for word in words if not word.lstrip("([{\"'*-“‘«¿¡")[:1].isupper())


@functools.lru_cache(maxsize=8)
def detector(codes: tuple[str, ...], who: str) -> tuple[Any, dict[str, Any]]:
    """lingua's detector among languages, and each language by its code. `who` asks, for errors.

    Raises InputError for an unknown code or fewer than two languages, MissingExtra without lingua.
    """
    try:
        from lingua import Language, LanguageDetectorBuilder
    except ImportError as error:
        raise MissingExtra(who, "curate") from error
    known = {one.iso_code_639_1.name.lower(): one for one in Language.all()}
    for code in codes:
        if code not in known:
            raise InputError(f"{who.removeprefix('the ')}: no language has the code {code!r}{nearest(code, known)}")
    wanted = {code: known[code] for code in sorted(set(codes))}
    if len(wanted) < 2:
        raise InputError(f"{who.removeprefix('the ')}: 'among' names no language besides the wanted one")
    return LanguageDetectorBuilder.from_languages(*wanted.values()).build(), wanted
