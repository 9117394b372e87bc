"""select, match, edge: what each changes on real requests (CLINC150, Banking77), beside the simplest other ways."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.data import data

Rows = list[dict[str, Any]]
MIXTURE = {"travel": 90, "banking": 45, "meta": 15}
"""Rows of each domain in the sample that `match` aims at."""
COVER = 150
"""Rows that `select` keeps: as many as there are intents."""


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """A line a step."""
    yield _select_cover()
    yield _select_clusters()
    yield _match()
    yield from _edge()


@cache
def _requests() -> tuple[Rows, Rows]:
    """Two halves of CLINC150's validation rows, ten rows of each intent in each: text, intent, domain, words."""
    domains = json.loads(data("clinc150/domains.json").read_text())
    domain_of = {intent: domain for domain, intents in domains.items() for intent in intents}
    halves: tuple[Rows, Rows] = ([], [])
    seen: Counter[str] = Counter()
    for row in _lines("clinc150/val.jsonl"):
        intent = row["intent"]
        if intent in domain_of:
            half = halves[seen[intent] % 2]
            half.append({**row, "domain": domain_of[intent], "words": len(row["text"].split())})
            seen[intent] += 1
    return halves


def _lines(name: str) -> Rows:
    return [json.loads(line) for line in data(name).read_text().splitlines()]


def _run(step: Any, rows: Rows, examples: Rows | None = None) -> Any:
    """The result of a recipe with one step."""
    from synth_llm import Recipe, Source, run

    with tempfile.TemporaryDirectory() as folder:
        result = run(Recipe(source=Source(rows=rows, examples=examples), steps=[step]), out=Path(folder) / "run")
        return list(result.kept), list(result.rejected)


def _vectors(rows: Rows) -> Any:
    from synth_llm import Recipe, Source
    from synth_llm.steps import Balance
    from synth_llm.steps.context import Resources

    use = Resources(Recipe(source=Source(rows=[{"text": "none"}]), steps=[Balance()]), Path())
    return use.encoder().encode([row["text"] for row in rows])


def _intents(rows: Rows) -> int:
    return len({row["intent"] for row in rows})


def _select_cover() -> tuple[str, str, str, bool]:
    """k-centre: how far the farthest row is from what was kept, and how many intents are among it."""
    from synth_llm.geometry import distances
    from synth_llm.steps import Select

    pool = _requests()[0]
    kept, _ = _run(Select(rows=COVER), pool)
    by_chance = random.Random(0).sample(pool, COVER)
    everything = _vectors(pool)
    radius, chance = (float(distances(everything, _vectors(of)).min(axis=1).max()) for of in (kept, by_chance))
    text = (
        f"{COVER} of {len(pool)} rows: farthest row {radius:.2f} away, at random {chance:.2f}; "
        f"{_intents(kept)} of {_intents(pool)} intents, at random {_intents(by_chance)}"
    )
    return "select k_center", text, "closer, and more intents", radius < chance and _intents(kept) > _intents(by_chance)


def _select_clusters() -> tuple[str, str, str, bool]:
    """The longest rows, with and without places by cluster."""
    from synth_llm.steps import Select

    pool = _requests()[0]
    plain, _ = _run(Select(rows=COVER, by="words"), pool)
    spread, _ = _run(Select(rows=COVER, by="words", clusters=50), pool)
    mean = [sum(row["words"] for row in of) / len(of) for of in (spread, plain, pool)]
    text = (
        f"the longest {COVER}: {_intents(spread)} intents of 50 clusters ({mean[0]:.1f} words), "
        f"{_intents(plain)} without ({mean[1]:.1f}); all rows have {mean[2]:.1f}"
    )
    return (
        "select clusters",
        text,
        "more intents, longer than all",
        _intents(spread) > _intents(plain) and mean[0] > mean[2],
    )


def _match() -> tuple[str, str, str, bool]:
    """From a pool of ten domains and a bank's requests, a set like a sample of three domains in unequal parts."""
    from synth_llm.steps import Match

    target, half = ([], [])
    for domain, count in MIXTURE.items():
        target += [row for row in _requests()[0] if row["domain"] == domain][:count]
    half = [*_requests()[1], *({**row, "domain": "other"} for row in _lines("banking77/train.jsonl")[::8])]
    kept, _ = _run(Match(to=["examples"], rows=len(target)), half, target)
    ways = {
        "match": kept,
        "importance resampling": _resampled(half, target),
        "nearest to the mean": _nearest(half, target),
        "at random": random.Random(0).sample(half, len(target)),
    }
    off = {way: _total_variation(rows, target) for way, rows in ways.items()}
    text = f"total variation of intents to the target, {len(target)} of {len(half)} rows: "
    text += ", ".join(f"{way} {value:.3f}" for way, value in off.items())
    return "match", text, "least", off["match"] == min(off.values())


def _resampled(pool: Rows, target: Rows) -> Rows:
    """By density ratio: a classifier of target against pool, drawn by Gumbel top-k (as DSIR does, arXiv 2302.03169)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    x, mine = _vectors(pool), _vectors(target)
    y = np.repeat([0, 1], [len(x), len(mine)])
    student = LogisticRegression(max_iter=1000, class_weight="balanced").fit(np.concatenate([x, mine]), y)
    noisy = student.decision_function(x) + np.random.default_rng(0).gumbel(size=len(x))
    return [pool[at] for at in np.argsort(-noisy)[: len(target)]]


def _nearest(pool: Rows, target: Rows) -> Rows:
    import numpy as np

    likeness = _vectors(pool) @ _vectors(target).mean(axis=0)
    return [pool[at] for at in np.argsort(-likeness)[: len(target)]]


def _total_variation(rows: Rows, target: Rows) -> float:
    """Between the shares of the intents: 0 for the same, 1 for no intent in common."""
    have, want = (Counter(row["intent"] for row in of) for of in (rows, target))
    return sum(abs(have[name] / len(rows) - want[name] / len(target)) for name in {*have, *want}) / 2


def _edge() -> Iterator[tuple[str, str, str, bool]]:
    """Ten real rows of each common intent, two of each rare one; candidates have both alike, and other topics."""
    from synth_llm.steps import Edge

    real, candidates = _requests()
    rare = set(random.Random(0).sample(sorted({row["intent"] for row in real}), 75))
    seen: Counter[str] = Counter()
    examples = []
    for row in real:
        seen[row["intent"]] += 1
        if row["intent"] not in rare or seen[row["intent"]] <= 2:
            examples.append(row)
    outside = [{**row, "intent": "none"} for row in _lines("clinc150/oos_train_val.jsonl")]
    kept, rejected = _run(Edge(to=["examples"]), [*candidates, *outside], examples)
    inside = [row for row in kept if row["intent"] != "none"]
    share = sum(row["intent"] in rare for row in inside) / len(inside)
    text = f"{share:.0%} of the kept rows are of rare intents, 50% of the candidates"
    yield "edge thin", text, "more", share > 0.5
    out = Counter(json.loads(row["row"])["intent"] == "none" for row in rejected if row["reason"] == "outside")
    wrong = out[False] / len(candidates)
    text = f"rejected as outside: {out[True] / len(outside):.0%} of other topics, {wrong:.1%} of the rest"
    yield "edge outside", text, "more of other topics", out[True] / len(outside) > wrong
