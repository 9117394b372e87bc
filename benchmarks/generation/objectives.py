"""objectives: each objective against the same recipe without it, at equal accepted rows.

Its own measure, as the run prints it, and what rows made with it teach the probe about the cases it is for: the rare
label, the target domain, hard rows. Balance is paired by draws of the rows that exist; in the others one run stands
against one, and the intervals hold for other test rows and other samples of the rows of these runs. Runs are kept in
runs/generation/bars/objectives: a bar that was stopped goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.curation.labels import read, vectors
from benchmarks.generation.worth import ANSWERS, SENTIMENT
from benchmarks.peers import ROOT
from benchmarks.runner import Failed
from synth_llm import run
from synth_llm.evaluation.contrast import difference as between_runs
from synth_llm.geometry import energy_distance
from synth_llm.measure.diversity import dispersion, distinct_n, halves, vendi
from synth_llm.measure.interval import Interval
from synth_llm.measure.two_level import Scores, accuracies, difference, interval, macro_f1s
from synth_llm.output import figure
from synth_llm.student.probe import Probe

RECIPES = Path(__file__).parent / "objectives"
PLACE = ROOT / "runs/generation/bars/objectives"
SEEDS = range(3)
RATIO = 50
RARE = "abbreviation"
SAMPLES = 20
"""Of the rows of a run: what students learn from where there is one run."""
LOUD = 1.5
"""From here on the mean rating of a tweet, -4 to 4, says clearly which of the two it is."""
Bar = tuple[str, str, str, bool]
Rows = Sequence[Mapping[str, Any]]


class Run(NamedTuple):
    """A finished run."""

    rows: list[dict[str, Any]]
    measures: str
    """What the run printed of its objectives, as one line."""


def bar() -> Iterator[Bar]:
    """A group of lines for each objective; one that came to nothing says why, and the others go on."""
    for part in (balance, diversity, domain_shift, edge_cases):
        try:
            yield from part()
        except Failed as error:
            yield "objectives", f"{part.__name__}: {error}", "its runs end", False


def made(recipe: str, arm: str, examples: Rows, *sets: str, into: str = "source.examples") -> Run:
    """A run of a recipe of this folder, or the rest of it, with rows that the bar gives. Raises Failed when stopped."""
    folder = PLACE / recipe / arm
    folder.mkdir(parents=True, exist_ok=True)
    given = folder / "examples.jsonl"
    given.write_text("".join(json.dumps(dict(row)) + "\n" for row in examples), encoding="utf-8")
    result = run(RECIPES / f"{recipe}.yaml", out=folder / "run", sets=[f"{into}={given}", *sets])
    if not result.complete:
        raise Failed(f"{recipe} {arm}: {result.why}")
    figures = [
        f"{one['measure']} {figure(one['before'])} ({one['before_of']}) -> {figure(one['after'])} ({one['after_of']})"
        for one in result.manifest.get("objectives", ())
    ]
    return Run([dict(row) for row in result.kept], "; ".join(figures))


def balance() -> Iterator[Bar]:
    """TREC with its rarest class at 1:50, as in the bar of curation; 36 rows made, with and without the objective."""
    from sklearn.model_selection import train_test_split

    rows = [{"text": row["text"], "label": ANSWERS[row["label"]]} for row in read("trec/train.jsonl")]
    arms: dict[str, list[Scores]] = {}
    rare: dict[str, list[Scores]] = {}
    for seed in SEEDS:
        train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=[row["label"] for row in rows])
        there = thinned(train, seed)
        plain = made("trec", f"{seed}/without", there).rows
        even = made("trec", f"{seed}/with", there, "objectives.balance={column: label}").rows
        sets = {
            "as it is": there,
            "over-sampled": evened(there, seed),
            "without, over-sampled": evened([*there, *plain], seed),
            "with": [*there, *even],
            "with, over-sampled": evened([*there, *even], seed),
        }
        for name, one in taught({name: [rows] for name, rows in sets.items()}, test, macro_f1s).items():
            arms.setdefault(name, []).append(one)
        some = [row for row in test if row["label"] == RARE]
        for name, one in taught({name: [rows] for name, rows in sets.items()}, some).items():
            rare.setdefault(name, []).append(one)
    for name in arms:
        f1, recall = (float(np.mean([one.each[0] for one in of[name]])) for of in (arms, rare))
        yield "objectives", f"balance: {name}: macro-F1 {f1:.3f}, recall of the rare label {recall:.3f}", "told", True
    for other in ("over-sampled", "without, over-sampled"):
        low_high = [paired(of["with, over-sampled"], of[other]) for of in (arms, rare)]
        text = ", ".join(f"{name} {said(found)}" for name, found in zip(("macro-F1", "recall"), low_high, strict=True))
        goal = "macro-F1 above 0, the interval too"
        yield "objectives", f"balance: with, over-sampled less {other}: {text}", goal, low_high[0].low > 0


def thinned(rows: Rows, seed: int) -> list[Mapping[str, Any]]:
    """The rows, of the rarest label as many as a fiftieth of the commonest has."""
    counts = Counter(row["label"] for row in rows)
    few = [row for row in rows if row["label"] == RARE]
    order = np.random.default_rng(seed).permutation(len(few))[: max(counts.values()) // RATIO]
    return [row for row in rows if row["label"] != RARE] + [few[at] for at in order]


def evened(rows: Rows, seed: int) -> list[Mapping[str, Any]]:
    """The rows, of each label as many as of the commonest, drawn again where there are fewer."""
    draws, counts = np.random.default_rng(seed), Counter(row["label"] for row in rows)
    most, all_of_it = max(counts.values()), list(rows)
    for label, count in sorted(counts.items()):
        own = [row for row in rows if row["label"] == label]
        all_of_it += [own[at] for at in draws.integers(0, count, most - count)]
    return all_of_it


def diversity() -> Iterator[Bar]:
    """32 film reviews of 16 real ones: as they come, with a temperature that rises, and with rows to avoid."""
    few = reviews(8, seed=1)
    warm = "temperature: [0.8, 1.4]"
    runs = {
        "without": made("reviews", "without", few),
        "rising temperature": made("reviews", "warm", few, f"objectives.diversity={{avoid: 0, {warm}}}"),
        "rows to avoid": made("reviews", "avoid", few, "objectives.diversity={avoid: 3}"),
    }
    for name, one in runs.items():
        texts = [row["text"] for row in one.rows]
        encoded = vectors(texts)
        figures = {
            "distinct-2": halves(lambda at, of=texts: distinct_n([of[number] for number in at]), len(texts)),
            "dispersion": halves(lambda at, of=encoded: dispersion(of[at]), len(texts)),
            "vendi": halves(lambda at, of=encoded: vendi(of[at]), len(texts)),
        }
        shown = ", ".join(f"{measure} {said(found)}" for measure, found in figures.items())
        yield "objectives", f"diversity: {name}: of half the {len(texts)} rows {shown}. {one.measures}", "told", True
    yield from compared("diversity", {name: one.rows for name, one in runs.items()}, "without", dev())


def domain_shift() -> Iterator[Bar]:
    """48 tweets rewritten as film reviews by an unlabelled sample of those, against the same tweets as they are."""
    loud = [row for row in read("vader_groundtruth/tweets.jsonl") if abs(row["mean"]) >= LOUD]
    tweets = [
        {"text": row["text"], "label": label}
        for label in ("positive", "negative")
        for row in [row for row in loud if (row["mean"] > 0) == (label == "positive")][:24]
    ]
    target = [{"text": row["text"]} for row in reviews(150, seed=2)]
    folder = PLACE / "tweets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "target.jsonl").write_text("".join(json.dumps(row) + "\n" for row in target), encoding="utf-8")
    keep = "whether the feeling is good or bad"
    objective = f"objectives.domain_shift={{to: {folder / 'target.jsonl'}, model: writer, keep: {keep}}}"
    one = made("tweets", "with", tweets, objective, into="source.file")
    before = [{"text": row["original"], "label": row["label"]} for row in one.rows]
    to = vectors([row["text"] for row in target])
    far = [energy_distance(vectors([row["text"] for row in rows]), to) for rows in (before, one.rows)]
    figure = f"domain shift: energy distance of {len(before)} rows to the target {far[0]:.3f}, rewritten {far[1]:.3f}"
    yield "objectives", figure, "it falls", far[1] < far[0]
    yield from compared("domain shift", {"as they are": before, "rewritten": one.rows}, "as they are", dev())


def edge_cases() -> Iterator[Bar]:
    """24 judged film reviews beside 32 real ones; hard are the test rows that students of other real rows miss."""
    real, test = reviews(16, seed=3), dev()
    on = "objectives.edge_cases={student: probe}"
    runs = {"without": made("judged_reviews", "without", real), "with": made("judged_reviews", "with", real, on)}
    yield "objectives", f"edge cases: {runs['with'].measures}", "told", True
    others = taught({"others": [reviews(16, seed=100 + seed) for seed in range(SAMPLES)]}, test, predictions=True)
    hits = np.mean([[one == row["label"] for one, row in zip(draw, test, strict=True)] for draw in others], axis=0)
    sets = {"real alone": real, **{name: [*real, *one.rows] for name, one in runs.items()}}
    for name, rows in (
        ("hard rows", [row for row, hit in zip(test, hits, strict=True) if hit < 0.5]),
        ("all rows", test),
    ):
        yield from compared(f"edge cases, {name}", sets, "without", rows)


def reviews(each: int, seed: int) -> list[dict[str, Any]]:
    """Real training rows of SST-2, so many of each label."""
    every = [{"text": row["text"], "label": SENTIMENT[str(row["label"])]} for row in read("sst2/train.jsonl")]
    order = [every[at] for at in np.random.default_rng(seed).permutation(len(every))]
    return [row for label in SENTIMENT.values() for row in [one for one in order if one["label"] == label][:each]]


def dev() -> list[dict[str, Any]]:
    """SST-2's test rows."""
    return [{"text": row["text"], "label": SENTIMENT[str(row["label"])]} for row in read("sst2/dev.jsonl")]


def compared(what: str, sets: Mapping[str, Rows], other: str, test: Rows) -> Iterator[Bar]:
    """The accuracy of students of each set, and each less the one of `other`; told, whatever it is."""
    whole = taught({name: [rows] for name, rows in sets.items()}, test)
    samples = taught({name: [_sampled(rows, seed) for seed in range(SAMPLES)] for name, rows in sets.items()}, test)
    for name, scores in whole.items():
        line = f"{what}: {name}, {len(sets[name])} rows: accuracy {said(interval(scores))} on {len(test)}"
        if name != other:
            found = between_runs(scores, whole[other], (samples[name], samples[other])).interval
            line += f"; less {other} {said(found)}"
        yield "objectives", line, "told", True


def _sampled(rows: Rows, seed: int) -> list[Mapping[str, Any]]:
    return [rows[at] for at in np.random.default_rng(seed).integers(0, len(rows), len(rows))]


def taught(
    sets: Mapping[str, Sequence[Rows]],
    test: Rows,
    score: Callable[..., dict[str, Scores]] = accuracies,
    *,
    predictions: bool = False,
) -> Any:
    """By set the scores of a probe of each of its draws; or of the one set what they say."""
    vectors([row["text"] for draws in sets.values() for rows in draws for row in rows])  # all at once, stored
    tested = vectors([row["text"] for row in test])

    def learned(rows: Rows) -> list[str]:
        probe = Probe().fit(vectors([row["text"] for row in rows]), [row["label"] for row in rows])
        return [str(label) for label in probe.predict(tested)]

    found = {name: [learned(rows) for rows in draws] for name, draws in sets.items()}
    return next(iter(found.values())) if predictions else score([row["label"] for row in test], found)


def paired(ones: Sequence[Scores], others: Sequence[Scores]) -> Interval:
    """Of students of the same draws on test rows of their own: Student's t over the draws."""
    together = [
        Scores(np.array([one.each[0] for one in of]), np.mean([one.again for one in of], axis=0))
        for of in (ones, others)
    ]
    return difference(*together, paired=True)


def said(found: Interval) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
