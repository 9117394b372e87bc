"""Sets made to be known: real sentences with a shift, copies, a group bias, collapse or wrong labels put into them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.data import data
from benchmarks.evaluate.planted_privacy import WORDS, edited
from synth_llm.row import Row
from synth_llm.similar.exact import normalised

REAL, MADE = 1500, 5000
SHIFTED, COPIES, FLIPPED, COLLAPSED, SOURCES = 0.2, 50, 0.3, 0.9, 20
WOMEN = {"she": "he", "her": "his", "woman": "man", "women": "men", "girl": "boy", "actress": "actor"}
MEN = {"he": "she", "his": "her", "him": "her", "man": "woman", "men": "women", "boy": "girl", "actor": "actress"}
GROUPS = {"women": list(WOMEN), "men": list(MEN)}


class Planted(NamedTuple):
    """Rows of SST-2 that are taken as real, as held out, and as made."""

    real: list[Row]
    holdout: list[Row]
    made: list[Row]


def clean(seed: int = 0) -> Planted:
    """Parts of one set, no text in two of them."""
    rows = list({normalised(row["text"]): row for row in _read("sst2/train.jsonl")}.values())
    random.Random(seed).shuffle(rows)
    return Planted(rows[:REAL], rows[REAL + MADE :], [{**row} for row in rows[REAL : REAL + MADE]])


def shifted(seed: int = 0) -> Planted:
    """A fifth of the made rows are tweets, of the label that the row had which they replace."""
    real, holdout, made = clean(seed)
    draw = random.Random(seed)
    tweets: dict[int, list[str]] = {0: [], 1: []}
    for row in _read("vader_groundtruth/tweets.jsonl"):
        if abs(row["mean"]) > 0.5:
            tweets[int(row["mean"] > 0)].append(row["text"])
    for texts in tweets.values():
        draw.shuffle(texts)
    for at in draw.sample(range(len(made)), round(SHIFTED * len(made))):
        made[at]["text"] = tweets[made[at]["label"]].pop()
    return Planted(real, holdout, made)


def copied(seed: int = 0) -> Planted:
    """Fifty made rows are real ones with small edits."""
    real, holdout, made = clean(seed)
    draw = random.Random(seed)
    vocabulary = [word for row in real for word in row["text"].split() if word.isalpha()]
    for row in draw.sample([row for row in real if len(row["text"].split()) >= WORDS], COPIES):
        made[draw.randrange(len(made))] = {**row, "text": edited(row["text"], draw, vocabulary)}
    return Planted(real, holdout, made)


def unfair(seed: int = 0) -> Planted:
    """All that is said of women is bad: their praise is said of men, and as much blame of men is said of them."""
    real, holdout, made = clean(seed)
    praised = [row for row in made if row["label"] == 1 and _names(row, WOMEN)]
    blamed = [row for row in made if row["label"] == 0 and _names(row, MEN) and not _names(row, WOMEN)]
    for row in praised:
        row["text"] = _exchanged(row["text"], WOMEN)
    for row in random.Random(seed).sample(blamed, min(len(praised), len(blamed))):
        row["text"] = _exchanged(row["text"], MEN)
    return Planted(real, holdout, made)


def collapsed(seed: int = 0) -> Planted:
    """Nine made rows in ten say what one of twenty says, in hardly other words."""
    real, holdout, made = clean(seed)
    draw = random.Random(seed)
    vocabulary = [word for row in made for word in row["text"].split() if word.isalpha()]
    sources = [row for label in (0, 1) for row in [one for one in made if one["label"] == label][: SOURCES // 2]]
    for at in draw.sample(range(len(made)), round(COLLAPSED * len(made))):
        source = draw.choice([row for row in sources if row["label"] == made[at]["label"]])
        text = source["text"] if len(source["text"].split()) < 4 else edited(source["text"], draw, vocabulary)
        made[at] = {**source, "text": text}
    return Planted(real, holdout, made)


def mislabelled(seed: int = 0) -> Planted:
    """Three made rows in ten have the other label."""
    real, holdout, made = clean(seed)
    for at in random.Random(seed).sample(range(len(made)), round(FLIPPED * len(made))):
        made[at]["label"] = 1 - made[at]["label"]
    return Planted(real, holdout, made)


SETS: dict[str, Callable[[int], Planted]] = {
    "two halves": clean,
    "shift": shifted,
    "copies": copied,
    "group bias": unfair,
    "collapse": collapsed,
    "label noise": mislabelled,
}


def _read(name: str) -> list[Row]:
    return [json.loads(line) for line in data(name).read_text(encoding="utf-8").splitlines()]


def _names(row: Row, words: dict[str, str]) -> bool:
    return re.search(rf"\b(?:{'|'.join(words)})\b", row["text"]) is not None


def _exchanged(text: str, words: dict[str, str]) -> str:
    return re.sub(rf"\b(?:{'|'.join(words)})\b", lambda found: words[found[0]], text)
