"""Bar *right conclusions*, privacy: near copies put among real rows, and students that saw the rows or did not."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.data import data
from synth_llm.files import read_file
from synth_llm.measure.copies import closest_texts
from synth_llm.measure.membership import Attack, membership_by_loss
from synth_llm.similar.exact import normalised
from synth_llm.student.probe import Probe, word_features

ROWS, COPIES, SEEDS = 5000, 50, 5
WORDS = 12
"""Words of a row that is copied, at least: three edits then leave most of it."""
LEARNED = 200
"""Rows that the over-trained student learns from, as many as the attack holds against it."""
NOISE = 0.3
"""The share of its labels that are wrong: only who learned a row by heart gives it its wrong label."""


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """Planted copies, then attacks by loss."""
    texts = list({normalised(text): text for text, _ in _sentences()}.values())
    recall, precision = zip(*(_planted(texts, seed) for seed in range(SEEDS)), strict=True)
    figure = (
        f"{COPIES} near copies in {ROWS} rows of SST-2, {SEEDS} draws: recall {_shown(recall)}, "
        f"precision {_shown(precision)}, counting SST-2's own near copies against it"
    )
    goal = "recall 1.0, precision >= .9"
    yield "right_conclusions", figure, goal, min(recall) == 1 and min(precision) >= 0.9
    seen, unseen = _attacks()
    figure = f"attack by loss on a student that was over-trained on the rows: AUROC {_interval(seen)}"
    yield "right_conclusions", figure, "> .7", seen.auroc.low > 0.7
    figure = f"on one that never saw them: AUROC {_interval(unseen)}"
    yield "right_conclusions", figure, "the interval holds .5", unseen.auroc.low <= 0.5 <= unseen.auroc.high


def _sentences() -> list[tuple[str, int]]:
    return [
        (str(row["text"]), int(row["label"]))
        for name in ("sst2/train.jsonl", "sst2/dev.jsonl")
        for _, row in read_file(data(name))
    ]


def _planted(texts: Sequence[str], seed: int) -> tuple[float, float]:
    """Recall, counting a copy only where its own row is named, and precision."""
    draw = random.Random(seed)
    mixed = draw.sample(sorted(texts), len(texts))
    made, real = mixed[: ROWS - COPIES], mixed[ROWS - COPIES :]
    vocabulary = [word for text in texts for word in text.split() if word.isalpha()]
    sources = draw.sample([at for at, text in enumerate(real) if len(text.split()) >= WORDS], COPIES)
    made += [edited(real[at], draw, vocabulary) for at in sources]
    found = closest_texts(made, real)
    right = sum(one.made >= len(made) - COPIES and one.real == sources[one.made - len(made)] for one in found)
    return right / COPIES, right / max(1, len(found))


def edited(text: str, draw: random.Random, vocabulary: Sequence[str]) -> str:
    """The text with one to three words exchanged, left out, put in or moved, in another case or with other signs."""
    words = text.split()
    for _ in range(draw.randint(1, 3)):
        at, kind = draw.randrange(len(words) - 1), draw.choice(["exchange", "leave out", "put in", "move"])
        if kind == "exchange":
            words[at] = draw.choice(vocabulary)
        elif kind == "leave out":
            del words[at]
        elif kind == "put in":
            words.insert(at, draw.choice(vocabulary))
        else:
            words[at], words[at + 1] = words[at + 1], words[at]
    plain = " ".join(words)
    return draw.choice([plain.upper(), plain.capitalize(), plain.title(), f"{plain} !", plain.replace(" ,", ",")])


def _attacks() -> tuple[Attack, Attack]:
    """On a student of the words of the rows with hardly any penalty, and on one of as many other rows."""
    draw = random.Random(0)
    rows = draw.sample(sorted(set(_sentences())), 3 * LEARNED)
    features = word_features([text for text, _ in rows])
    labels = np.array([label if draw.random() >= NOISE else 1 - label for _, label in rows])
    members, others, elsewhere = (slice(at * LEARNED, (at + 1) * LEARNED) for at in range(3))
    attacks = []
    for learned in (members, elsewhere):
        assert features is not None
        student = Probe(1e4).fit(features[learned], labels[learned])
        losses = -np.log(np.maximum(student.predict_proba(features), 1e-300))[np.arange(len(rows)), labels]
        attacks.append(membership_by_loss(losses[members], losses[others]))
    return attacks[0], attacks[1]


def _shown(shares: Sequence[float]) -> str:
    return f"{min(shares):.3f} to {max(shares):.3f}"


def _interval(attack: Attack) -> str:
    value, low, high = attack.auroc
    return f"{value:.3f} [{low:.3f}, {high:.3f}], advantage {attack.advantage.value:.3f}"
