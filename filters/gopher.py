"""Drops texts by the rules of Gopher for pages of the web (Rae et al. 2021, arXiv 2112.11446, appendix A1.1).

For documents and long answers: passages to write questions about, pages to train on. For rows of instructions, where a
list or one word is a good answer, take `repetition` and `symbols`.

`rules` names the two sets of rules, with the limits as published. "quality": 50 to 100,000 words of 3 to 10 letters on
average; at most 0.1 signs "#" and ellipses a word; at most 90 % of lines begin with a bullet and 30 % end with an
ellipsis; 80 % of the words hold a letter; two of eight stop words. "repetition": at most 30 % of lines and paragraphs
are repeats, and 20 % of the characters in them; the most frequent sequences of 2 to 4 words hold at most 20, 18, 16 %
of the characters, repeated sequences of 5 to 10 words at most 15 to 10 %.

Defaults: both sets. `min_words` 50 and `min_stop_words` 2 are the published values; lower them for short texts, and set
`min_stop_words` 0 for other languages than English, because the stop words are English ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from synth_llm.errors import InputError, nearest
from synth_llm.row import Row, Verdict
from synth_llm.text import Text, read

_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
_RULES = ("quality", "repetition")
_LETTER = re.compile(r"[^\W\d_]")

Broken = tuple[str, float]
"""A rule that a text breaks, and the value that was held against it."""


def gopher(
    row: Row,
    column: str = "text",
    rules: list[str] | None = None,
    min_words: int = 50,
    min_stop_words: int = 2,
) -> Verdict:
    """Keep texts that break none of the rules. The value is that of the first rule broken; kept texts have none.

    Raises InputError for an unknown set of rules.
    """
    wanted = _RULES if rules is None else rules
    for name in wanted:
        if name not in _RULES:
            raise InputError(f"filter gopher: no set of rules {name!r}{nearest(name, _RULES)}")
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    found = read(text)
    broken = next(_quality(found, min_words, min_stop_words), None) if "quality" in wanted else None
    if broken is None and "repetition" in wanted:
        broken = next(_repetition(found), None)
    return Verdict(True) if broken is None else Verdict(False, *broken)


def _quality(text: Text, min_words: int, min_stop_words: int) -> Iterator[Broken]:
    words, tokens, lines = text.words, text.tokens, text.lines
    if not max(1, min_words) <= len(words) <= 100_000:
        yield f"{len(words)} words; {min_words} to 100000 wanted", len(words)
        return
    mean = sum(map(len, words)) / len(words)
    if not 3 <= mean <= 10:
        yield f"{mean:.1f} letters a word; 3 to 10 wanted", mean
    raw = text.raw
    for sign, count in (("#", raw.count("#")), ("ellipses", raw.count("...") + raw.count("…"))):
        if count > 0.1 * len(tokens):
            yield f"{count / len(tokens):.2f} {sign} a word; at most 0.1 wanted", count / len(tokens)
    if (share := _share(line[0] in "•*-–‣▪●" for line in lines)) > 0.9:
        yield f"{share:.0%} of its lines begin with a bullet; at most 90% wanted", share
    if (share := _share(line.endswith(("...", "…")) for line in lines)) > 0.3:
        yield f"{share:.0%} of its lines end with an ellipsis; at most 30% wanted", share
    if (share := _share(token[0].isalpha() or bool(_LETTER.search(token)) for token in tokens)) < 0.8:
        yield f"{share:.0%} of its words hold a letter; at least 80% wanted", share
    if min_stop_words and (stops := len(_STOP_WORDS.intersection(words))) < min_stop_words:
        yield f"{stops} different stop words; at least {min_stop_words} wanted", stops


def _share(true: Iterable[bool]) -> float:
    values = list(true)
    return sum(values) / len(values) if values else 0.0


def _repetition(text: Text) -> Iterator[Broken]:
    for kind, parts in (("lines", text.lines), ("paragraphs", text.paragraphs)):
        if len(parts) < 2:
            continue
        seen: set[str] = set()
        repeats = [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]
        for share, limit, what in (
            (len(repeats) / len(parts), 0.3, kind),
            (sum(map(len, repeats)) / len(text.raw), 0.2, f"characters are in {kind} that"),
        ):
            if share > limit:
                yield f"{share:.0%} of its {what} repeat; at most {limit:.0%} wanted", share
    words = text.words
    characters = sum(map(len, words)) + len(words)
    for n, limit in _TOP.items():
        if (share := _top(words, n) / max(1, characters)) > limit:
            yield f"its most frequent {n}-word sequence holds {share:.0%} of it; at most {limit:.0%} wanted", share
    for n, limit in _DUPLICATE.items():
        inside = _in_duplicates(words, n)
        if not inside:
            return  # longer sequences repeat only where shorter ones do
        if (share := inside / characters) > limit:
            yield f"repeated {n}-word sequences hold {share:.0%} of it; at most {limit:.0%} wanted", share


def _top(words: Sequence[str], n: int) -> int:
    """Characters, with a space a word, in all places of the most frequent sequence of `n` words; 0 if none repeats."""
    grams = list(zip(*(words[at:] for at in range(n)), strict=False))
    if len(set(grams)) == len(grams):
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return count * (sum(map(len, gram)) + n)


def _in_duplicates(words: Sequence[str], n: int) -> int:
    """Characters, with a space a word, in sequences of `n` words that were there before; each counts once."""
    grams = list(zip(*(words[at:] for at in range(n)), strict=False))
    if len(set(grams)) == len(grams):
        return 0
    seen: set[tuple[str, ...]] = set()
    inside, end = 0, 0
    for at, gram in enumerate(grams):
        if gram in seen:
            inside += sum(len(word) + 1 for word in words[max(at, end) : at + n])
            end = at + n
        seen.add(gram)
    return inside
