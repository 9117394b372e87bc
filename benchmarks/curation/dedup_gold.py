"""Near duplicates against people's judgement (Cora), and against the counts of a published cleaning (GPTeacher)."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator

import numpy as np

from benchmarks.curation.steps import kept
from benchmarks.data import data
from benchmarks.runner import Failed
from synth_llm.similar.exact import normalised
from synth_llm.similar.minhash import Shingling, near_pairs, sketch
from synth_llm.similar.pairs import Pairs, clusters

FLOOR = 0.3
SHINGLING = Shingling("char", 3)
SPLITS = 10
PUBLISHED = {0.9: 5959, 0.8: 4709, 0.7: 3487, 0.6: 2396}
"""Rows of the toolformer set that its authors kept at each similarity, of 7,673."""


def bar() -> Iterator[tuple[str, str, str, bool]]:
    texts, gold = _cora()
    yield _judged(texts, gold)
    yield _any_order(texts)
    yield _counts()


def _cora() -> tuple[list[str], Pairs]:
    """All fields of each record, and the pairs that people say are one publication."""
    with data("dedup_gold/cora.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="|"))
    place = {row.pop("Entity Id"): at for at, row in enumerate(rows)}
    texts = [normalised("\n".join(value for value in row.values() if value)) for row in rows]
    with data("dedup_gold/cora_gt.csv").open(encoding="utf-8") as lines:
        pairs = sorted(
            {tuple(sorted(place[name] for name in line.split("|"))) for line in map(str.strip, lines) if line}
        )
    i, j = np.array([pair for pair in pairs if pair[0] != pair[1]]).T
    return texts, Pairs(i, j, np.ones(len(i)), 0.0)


def _near(texts: list[str]) -> Pairs:
    return near_pairs(sketch(texts, SHINGLING, FLOOR), FLOOR)


def _judged(texts: list[str], gold: Pairs) -> tuple[str, str, str, bool]:
    """F1 of the pairs at a threshold that was chosen on the other half of the publications, over splits of them."""
    found, publication = _near(texts), clusters(gold, len(texts), 1.0)
    is_gold = np.isin(found.i * len(texts) + found.j, gold.i * len(texts) + gold.j)
    names = sorted(set(publication.tolist()))
    scores, thresholds = [], []
    for split in range(SPLITS):
        half = set(random.Random(split).sample(names, len(names) // 2))
        inside = np.array([name in half for name in publication.tolist()])
        for tune in (inside, ~inside):
            threshold = _best(found, is_gold, gold, tune)
            thresholds.append(threshold)
            scores.append(_f1(found, is_gold, gold, ~tune, threshold))
    figure = (
        f"F1 {np.mean(scores):.3f} over {len(scores)} halves, lowest {min(scores):.3f}; "
        f"threshold {min(thresholds):.2f} to {max(thresholds):.2f}; near, characters by three, pairs at the threshold"
    )
    return "Cora", figure, ">= .80 on the half that the threshold was not chosen on", float(np.mean(scores)) >= 0.8


def _best(found: Pairs, is_gold: np.ndarray, gold: Pairs, side: np.ndarray) -> float:
    """The similarity at which F1 is highest when each pair from there up is said to be one publication."""
    both = side[found.i] & side[found.j]
    by_similarity = np.argsort(-found.similarity[both], kind="stable")
    right = np.cumsum(is_gold[both][by_similarity])
    f1 = 2 * right / (np.arange(1, len(right) + 1) + (side[gold.i] & side[gold.j]).sum())
    return float(found.similarity[both][by_similarity[f1.argmax()]])


def _f1(found: Pairs, is_gold: np.ndarray, gold: Pairs, side: np.ndarray, threshold: float) -> float:
    """F1 of the pairs at a threshold whose rows are both of one side."""
    said = (found.similarity >= threshold) & side[found.i] & side[found.j]
    wanted = int((side[gold.i] & side[gold.j]).sum())
    return float(2 * (said & is_gold).sum() / (said.sum() + wanted))


def _any_order(texts: list[str]) -> tuple[str, str, str, bool]:
    """Clusters of the rows, each time in another order."""
    seen = set()
    for order in range(5):
        places = list(range(len(texts)))
        random.Random(order).shuffle(places)
        label = clusters(_near([texts[at] for at in places]), len(texts), 0.5)
        groups: dict[int, set[int]] = {}
        for at, name in zip(places, label.tolist(), strict=True):
            groups.setdefault(name, set()).add(at)
        seen.add(frozenset(frozenset(group) for group in groups.values()))
    return "any row order", f"{len(seen)} clustering over 5 orders", "the same clusters", len(seen) == 1


def _counts() -> tuple[str, str, str, bool]:
    """ROUGE-L of the responses at the published thresholds themselves: the mapping is that ours are theirs."""
    with data("gpteacher/toolformer_dedupe_only.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    if len(rows) != 7673:
        raise Failed(f"the toolformer set has {len(rows)} rows, not 7,673")
    parts, furthest = [], 0.0
    for threshold, published in PUBLISHED.items():
        ours = kept(rows, by="rouge", column="response", threshold=threshold)
        same = np.mean([one == (str(threshold) in row["kept_at"]) for one, row in zip(ours, rows, strict=True)])
        furthest = max(furthest, abs(sum(ours) / published - 1))
        parts.append(f"{threshold}: {sum(ours)} of {published} ({same:.1%} of rows alike)")
    figure = f"{', '.join(parts)}; furthest {furthest:.1%}; rouge of responses, the same thresholds"
    return "toolformer", figure, "within 10 % of the published counts at one mapping of thresholds", furthest <= 0.1
