"""Drops texts that go in circles, as small and badly sampled models do.

Measured is which share of a text was there before in the same text: of its four-word sequences, its lines and its
paragraphs (cf. the repetition rules of Gopher, Rae et al. 2021, arXiv 2112.11446, appendix A1.1), and, where there are
few words for so many characters ("hahaha", "!!!!", scripts without spaces), of its sequences of ten characters (cf.
data-juicer, Chen et al. 2023, arXiv 2309.02033). Gopher's limits are made for pages; the filter `gopher` has them.

Defaults: `max_share` 0.5, because songs, tables and code repeat up to a third of themselves, loops nearly everything.
`max_lines` and `max_paragraphs` 0.5: the refrain of a song is up to 0.4 of its lines.
`max_characters` 0.6: in answers written by people no
share is above 0.46. `min_words` 16, because in fewer words one line said twice
decides.
"""

from __future__ import annotations

from synth_llm.row import Row, Verdict
from synth_llm.text import read, repeated

_LONG = 100
"""Characters from which a text of few words can be told to go in circles."""
_CHARACTERS_A_WORD = 12


def repetition(
    row: Row,
    column: str = "text",
    max_share: float = 0.5,
    max_lines: float = 0.5,
    max_paragraphs: float = 0.5,
    max_characters: float = 0.6,
    min_words: int = 16,
) -> Verdict:
    """Keep texts of which at most these shares, in [0, 1], repeat an earlier part.

    The value is the share of four-word sequences that do, or of what else the row is dropped for. Texts of fewer than
    `min_words` words are kept, unless they have few words for more than 100 characters.
    """
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    found = read(text)
    words = found.words
    if len(text) > max(_LONG, _CHARACTERS_A_WORD * len(words)):
        share = repeated(" ".join(found.tokens), 10)
        if share > max_characters:
            return Verdict(False, _said(share, "sequences of ten characters", max_characters), share)
    if len(words) < min_words:
        return Verdict(True, "too short to tell")
    share = repeated(words, 4)
    if share > max_share:
        return Verdict(False, _said(share, "four-word sequences", max_share), share)
    if len(found.lines) > 1:
        for kind, parts, limit in (("lines", found.lines, max_lines), ("paragraphs", found.paragraphs, max_paragraphs)):
            if (other := repeated(parts, 1)) > limit:
                return Verdict(False, _said(other, kind, limit), other)
    return Verdict(True, value=share)


def _said(share: float, what: str, limit: float) -> str:
    return f"{share:.0%} of its {what} repeat; at most {limit:.0%} wanted"
