"""Writes `synonyms.tsv` out of a WordNet `dict` folder: `python -m synth_llm.rules.wordnet DICT`.

WordNet 3.1 (Fellbaum 1998); its licence, which allows this and must stay beside it, is `synonyms.LICENSE`.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from synth_llm.rules.synonyms import TABLE

PARTS = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}
ONE_PART = 0.7
"""A word is taken up when at least this share of its counted uses is of one part of speech."""
USUAL = 1 / 3
"""A sense gives synonyms when at least this share of the counted uses of a word, and of the synonym, is of it."""
WORD = re.compile(r"[a-z]{3,}")


class Sense(NamedTuple):
    """One sense of a word: its part of speech, its synset and how often it was counted in texts."""

    part: str
    synset: str
    uses: int


def main(folder: Path) -> None:
    """Write the table."""
    senses: dict[str, list[Sense]] = defaultdict(list)
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in (folder / "index.sense").read_text(encoding="utf-8").splitlines():
        key, synset, _, uses = line.split()
        word, rest = key.split("%")
        sense = Sense(PARTS[rest[0]], synset, int(uses))
        senses[word].append(sense)
        members[sense.part, synset].append(word)
    named = set(_names(folder))
    lines = []
    for word in sorted(senses):
        found = [other for other in _synonyms(word, senses, members) if other not in named]
        if found and word not in named:
            lines.append("\t".join([word, " ".join(found)]))
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _names(folder: Path) -> Iterator[str]:
    """Words that WordNet also writes with a capital letter, small."""
    for part in ("noun", "adj"):
        for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith(" "):
                continue
            fields = line.split(" ")
            for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
                if not word.islower():
                    yield word.lower()


def _synonyms(word: str, senses: Mapping[str, list[Sense]], members: Mapping[tuple[str, str], list[str]]) -> list[str]:
    """The words that mean what `word` usually means, and usually mean it."""
    own = senses[word]
    total = sum(sense.uses for sense in own)
    if not WORD.fullmatch(word) or (not total and len(own) > 1):
        return []  # one of several senses, and nobody counted which is usual
    counts: dict[str, int] = defaultdict(int)
    for sense in own:
        counts[sense.part] += sense.uses
    part = max(counts, key=lambda one: counts[one])
    if counts[part] < ONE_PART * total:
        return []
    usual = [sense for sense in own if sense.part == part and sense.uses >= USUAL * total]
    found: dict[str, None] = {}
    for sense in usual:
        for other in members[sense.part, sense.synset]:
            if other == word or not WORD.fullmatch(other):
                continue
            theirs = senses[other]
            theirs_total = sum(one.uses for one in theirs)
            share = next(one.uses for one in theirs if (one.part, one.synset) == (sense.part, sense.synset))
            known = theirs_total or (not total and len(theirs) == 1)  # no rare word for a common one
            if known and share >= USUAL * theirs_total:
                found[other] = None
    return list(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
