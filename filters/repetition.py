"""Drops texts that go in circles, as small and badly sampled models do.

The measure is the share of four-word sequences that were there before in the same text; cf. the repetition rules of
Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A). A text that is mostly one endless word ("hahahaha...",
more than 100 characters) is looked at in the same way, by its characters.

Defaults: `max_share` 0.5, because songs, tables and code repeat up to a third of themselves, loops nearly everything.
`min_words` 16, because in fewer words one line said twice decides.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from synth_llm.row import Row, Verdict

_CHINESE_JAPANESE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_CHINESE_JAPANESE}]|[^\W{_CHINESE_JAPANESE}]+")
_NO_MARKS = str.maketrans(string.punctuation, " " * len(string.punctuation))
_LONG_WORD = 100
_LETTERS_A_WORD = 20


def repetition(row: Row, column: str = "text", max_share: float = 0.5, min_words: int = 16) -> Verdict:
    """Keep texts in which at most `max_share` of the four-word sequences repeat an earlier one.

    The value is that share. Texts of fewer than `min_words` words are kept, unless a single endless word goes in
    circles.
    """
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    words = _words(text.lower())
    if len(text) > _LETTERS_A_WORD * len(words):
        longest = max(words, key=len, default="")
        if len(longest) > _LONG_WORD and (share := _repeated(longest)) > max_share:
            return Verdict(False, f"a word of {len(longest)} characters, {share:.0%} repeated", share)
    if len(words) < min_words:
        return Verdict(True, "too short to tell")
    share = _repeated(words)
    if share > max_share:
        return Verdict(False, f"{share:.0%} of its four-word sequences repeat; at most {max_share:.0%} wanted", share)
    return Verdict(True, value=share)


def _words(text: str) -> list[str]:
    if not text.isascii():
        return _WORD.findall(text)
    return text.translate(_NO_MARKS).split()


def _repeated(parts: Sequence[str]) -> float:
    """The share of sequences of four parts that were there before, in [0, 1)."""
    sequences = len(parts) - 3
    if sequences < 1:
        return 0.0
    return 1 - len(set(zip(parts, parts[1:], parts[2:], parts[3:], strict=False))) / sequences
