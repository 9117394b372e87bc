"""Drops texts that are debris rather than words: signs, encoded data, dots.

Gentler than Gopher's rules on symbols and word length (Rae et al. 2021, arXiv 2112.11446, appendix A1.1), which drop
tables, sums and lists of links; cf. the alphanumeric filter of data-juicer (Chen et al. 2023, arXiv 2309.02033).

Defaults: `min_alphanumeric` 0.4 of what is not space: worked sums and code lie above 0.5. `max_word_letters` 25 on
average: German and links lie below, encoded data above. `max_ellipses` 0.3 of the lines, as in Gopher. `min_words` 8,
because an emoji or a formula is an answer.
"""

from __future__ import annotations

from synth_llm.row import Row, Verdict
from synth_llm.text import read


def symbols(
    row: Row,
    column: str = "text",
    min_alphanumeric: float = 0.4,
    max_word_letters: float = 25.0,
    max_ellipses: float = 0.3,
    min_words: int = 8,
) -> Verdict:
    """Keep texts made of words. The value is the share of letters, marks of letters and digits in what is not space.

    Texts of fewer than `min_words` tokens and fewer than 100 characters are kept.
    """
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    found = read(text)
    tokens, words = found.tokens, found.words
    if len(tokens) < min_words and len(text) < 100:
        return Verdict(True, "too short to tell")
    shown = sum(map(len, tokens))
    share = sum(map(len, words)) / shown if shown else 0.0
    if share < min_alphanumeric:
        return Verdict(False, f"{share:.0%} letters and digits; at least {min_alphanumeric:.0%} wanted", share)
    mean = sum(map(len, words)) / len(words)
    if mean > max_word_letters:
        return Verdict(False, f"{mean:.0f} letters a word; at most {max_word_letters:g} wanted", mean)
    lines = found.lines
    dotted = sum(line.endswith(("...", "…")) for line in lines) / len(lines)
    if len(lines) > 2 and dotted > max_ellipses:
        return Verdict(False, f"{dotted:.0%} of its lines end with an ellipsis; at most {max_ellipses:.0%}", dotted)
    return Verdict(True, value=share)
