"""100,000 short rows: real sentences, some planted again with small edits, and which was made of which."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.data import data

FILES = {
    "clinc150/train.jsonl": ("text",),
    "banking77/train.jsonl": ("text",),
    "subj/train.jsonl": ("text",),
    "sst2/train.jsonl": ("text",),
    "supergen/SST-2_generated_train.jsonl": ("text",),
    "supergen/CoLA_generated_train.jsonl": ("text",),
    "trec/train.jsonl": ("text",),
    "sms_spam/train.jsonl": ("text",),
    "vader_groundtruth/tweets.jsonl": ("text",),
    "ag_news/train_3800.jsonl": ("title", "text"),
    "msrp/train.jsonl": ("text1", "text2"),
    "stsb_en/dev.jsonl": ("text1", "text2"),
    "alpaca/alpaca_random_dev.jsonl": ("instruction", "input", "output"),
    "dolly/dolly_dev.jsonl": ("instruction", "input", "output"),
    "gsm8k/train_2000.jsonl": ("question",),
}
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
WORDS = range(4, 41)
PLANTED = 0.2
"""The share of rows that are an earlier row with an edit."""


class Plant(NamedTuple):
    """Row `copy` was made of row `original` by `edits` edits of single words."""

    original: int
    copy: int
    edits: int


def short_rows(count: int = 100_000, seed: int = 0) -> tuple[list[str], list[Plant]]:
    """`count` texts of 4 to 40 words and the plants among them, in an order that the seed draws."""
    random_ = random.Random(seed)
    sentences = list(dict.fromkeys(_sentences()))
    random_.shuffle(sentences)
    originals = count - round(count * PLANTED)
    texts = sentences[:originals]
    while len(texts) < originals:  # where real sentences are used up: two of them in a row
        texts.append(" ".join(random_.sample(sentences, 2)))
    words = sorted({word for text in sentences[:5000] for word in text.split()})
    made_of = [random_.randrange(originals) for _ in range(count - originals)]
    edits = [random_.choice((0, 1, 1, 2, 3)) for _ in made_of]
    texts += [edited(texts[at], number, words, random_) for at, number in zip(made_of, edits, strict=True)]
    place = list(range(count))
    random_.shuffle(place)
    shuffled = [""] * count
    for at, text in zip(place, texts, strict=True):
        shuffled[at] = text
    plants = [Plant(place[at], place[originals + n], edits[n]) for n, at in enumerate(made_of)]
    return shuffled, plants


def edited(text: str, edits: int, words: list[str], random_: random.Random) -> str:
    """The text with so many words replaced, dropped, added or swapped; with none, other capitals and punctuation."""
    if not edits:
        return f"{text.rstrip('.!? ').capitalize()} !"
    parts = text.split()
    for _ in range(edits):
        at = random_.randrange(len(parts))
        match random_.choice(("replace", "drop", "add", "swap")):
            case "replace":
                parts[at] = random_.choice(words)
            case "drop" if len(parts) > 3:
                del parts[at]
            case "swap" if at:
                parts[at - 1], parts[at] = parts[at], parts[at - 1]
            case _:
                parts.insert(at, random_.choice(words))
    return " ".join(parts)


def _sentences() -> Iterator[str]:
    for name, columns in FILES.items():
        with data(name).open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                for column in columns:
                    for sentence in SENTENCE.split(str(row[column])):
                        if len(sentence.split()) in WORDS:
                            yield sentence.strip()
