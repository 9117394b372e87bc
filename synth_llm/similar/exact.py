"""The form of a text that two texts share when they differ in form alone."""

from __future__ import annotations

import re
import unicodedata

_PUNCTUATION = re.compile(r"[\s.,!?;:…\"'“”‘’`]+")
_ASCII = bytes(ord(" " if _PUNCTUATION.match(chr(code)) else chr(code).lower()) for code in range(128)).ljust(256)


def normalised(text: str) -> str:
    """Unicode NFKC, case-folded, with every run of spaces, quotes and sentence punctuation made one space.

    Signs that carry meaning stay: `2+2` and `2-2` differ, as do `C`, `C#` and `C++`.

    >>> normalised("  Good  film. GREAT!")
    'good film great'
    """
    if text.isascii():  # the same, many times as quick
        return b" ".join(text.encode().translate(_ASCII).split()).decode() or text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _PUNCTUATION.sub(" ", folded).strip() or folded
