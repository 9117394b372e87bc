"""Does a student learn from the made rows: what it scores on real test rows, beside what it could have learned from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from synth_llm.evaluation.contrast import ACCURACY, MACRO_F1
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.learned import Learned
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.training_sets import Sets, words
from synth_llm.measure.agreement import accuracy
from synth_llm.measure.classification import ClassScores, macro_f1, matthews, per_class
from synth_llm.measure.interval import Interval
from synth_llm.output import read_manifest

SHORT = {
    "tstr_random": "random",
    "tstr_candidates": "candidates",
    "seeds_only": "seeds",
    "trtr_matched_rows": "trtr",
    "trtr_matched_words": "trtr",
}
"""What the second set of a difference is called in its name."""
PAIRS = (
    ("tstr", "trtr"),
    ("tstr", "tstr_random"),
    ("tstr", "tstr_candidates"),
    ("tstr", "seeds_only"),
    ("tstr", "oversample"),
    ("oversample_made", "tstr"),
    ("tstr_matched_rows", "trtr_matched_rows"),
    ("tstr_matched_words", "trtr_matched_words"),
)
"""The differences that are shown, beside those of the learning curve."""


def utility(data: Data) -> Part:
    """What students score on the test rows that learned from the made rows, and from what these are held against.

    TSTR: trained on synthetic, tested on real rows; TRTR, its ceiling, and TRTS (Esteban, Hyland and Rätsch 2017, arXiv
    1706.02633, section 4). TSTR and TRTS are GAN-train and GAN-test of Shmelkov, Schmid and Alahari 2018 (arXiv
    1807.09499). The score of figures is accuracy where the test classes are even, else macro-F1; the table has both.
    Intervals are those of `measure.two_level`. Raises InputError where rows or settings cannot be used.
    """
    names = [data.settings.student] if isinstance(data.settings.student, str) else data.settings.student
    part = Part()
    if "sft" in names:
        from synth_llm.evaluation.generative import generative

        part = generative(data)
    classifying = [name for name in dict.fromkeys(names) if name != "sft"]
    if not classifying:
        return part
    if data.test is None or not len(data.test):
        part.notes.append("Utility needs test rows with a class.")
        return part
    _compare(data, data.test, classifying, part)
    return part


def _compare(data: Data, test: Side, students: Sequence[str], part: Part) -> None:
    """Add what students that classify scored."""
    sets = Sets(data)
    learned = [Learned(data, name, sets.found, test) for name in students]
    for one in learned:
        one.learn()
    first = learned[0]
    title = f"What a student learns, on {len(test):,} test rows"
    columns = ["training set", "learned from", "student", "rows", "draws", ACCURACY, MACRO_F1, "Matthews"]
    lines = [line for one in learned for line in _lines(one)]
    part.tables.append(Table("comparison", title, columns, [*lines, _always(test)]))
    differences = [line for one in learned for line in _differences(one)]
    title = f"Differences of {first.score_name}, paired by test rows"
    part.tables.append(Table("differences", title, ["difference", "student", "value", "verdict"], differences))
    for one in learned:
        suffix = "" if one is first else f"_{one.name}"
        part.figures += _figures(one, suffix)
        part.tables += [table for table in (_curve(one, suffix), _classes(one, suffix)) if table.rows]
    if budgets := _budgets(data, first):
        title = f"{first.score_name} at equal cost"
        columns = ["budget", "amount", "set", "value", "against", "its value", "difference"]
        part.tables.append(Table("matched budgets", title, columns, budgets))
    part.notes += [*sets.notes, *_notes(data, test, first, len(differences))]


def _lines(one: Learned) -> list[list[Any]]:
    """The table of training sets."""
    rows: list[list[Any]] = []
    for name, each in one.sets.items():
        draws = one.predicted[name]
        correlation = sum(matthews(said, one.test.labels) for said in draws) / len(draws)
        scores = [_cell(one.interval(name, score)) for score in (ACCURACY, MACRO_F1)]
        rows.append([name, each.about, one.name, each.size, len(draws), *scores, _short(correlation)])
    if one.back:
        correlation = sum(matthews(said, one.data.made.labels) for said in one.back) / len(one.back)
        scores = [_cell(one.trts(score)) for score in (ACCURACY, MACRO_F1)]
        about = "all real rows; tested on the made rows"
        rows.append(["trts", about, one.name, one.sets["trtr"].size, len(one.back), *scores, _short(correlation)])
    return rows


def _always(test: Side) -> list[Any]:
    """The line of who says the commonest class of the test rows whatever the text."""
    commonest = min(Counter(test.labels).items(), key=lambda item: (-item[1], item[0]))[0]
    said = [commonest] * len(test)
    right = _cell(accuracy(test.labels, said))
    return [
        "always_commonest",
        f"nothing; always '{commonest}'",
        "",
        0,
        1,
        right,
        _short(macro_f1(said, test.labels)),
        0.0,
    ]


def _pairs(one: Learned) -> list[tuple[str, str]]:
    """The differences there are."""
    mixed = [(name, f"real_{name.removeprefix('mix_')}") for name in one.sets if name.startswith("mix_")]
    return [pair for pair in [*PAIRS, *mixed] if pair[0] in one.sets and pair[1] in one.sets]


def _differences(one: Learned) -> list[list[Any]]:
    """The table of differences, each with what it says at 95 %."""
    rows: list[list[Any]] = []
    for a, b in _pairs(one):
        less = one.less(a, b)
        verdict = "better" if less.low > 0 else "worse" if less.high < 0 else "no difference shown"
        rows.append([f"{a} less {b}", one.name, _cell(less), verdict])
    return rows


def _figures(one: Learned, suffix: str) -> list[Figure]:
    """A figure for each training set, for students of real rows on made ones, and for each difference."""
    value = {name: one.interval(name).value for name in one.sets}
    found: list[Figure] = []

    def add(name: str, interval: Interval, about: str, **more: Any) -> None:
        more = {"unit": one.score_name, "detail": f"{about}; student {one.name}", **more}
        found.append(Figure.of(name + suffix, interval, **more))

    for name, each in one.sets.items():
        if name.startswith("trtr_matched"):
            continue  # beside that of the made rows
        kind, _, rest = name.partition("_")
        beside = value.get(f"real_{rest}") if kind == "mix" else None
        if kind == "tstr":
            beside = value.get(f"trtr_{rest}", value.get("trtr"))
        from_made = name.startswith(("tstr", "mix_")) or name == "oversample_made"
        add(name, one.interval(name), each.about, beside=beside, direction="higher" if from_made else "neither")
    ceiling = value.get("trtr")
    other, name = (MACRO_F1, "tstr_macro_f1") if one.score_name == ACCURACY else (ACCURACY, "tstr_accuracy")
    add(name, one.interval("tstr", other), "all made rows", direction="higher", unit=other)
    add("gan_train", one.interval("tstr"), "tstr by its other name", beside=ceiling, direction="higher")
    if one.back:
        back = one.trts(one.score_name)
        add("trts", back, "all real rows; tested on the made rows", beside=ceiling)
        add("gan_test", back, "trts by its other name", beside=ceiling)
    for a, b in _pairs(one):
        about = f"{one.sets[a].about}, less {one.sets[b].about}"
        add(f"{a}_less_{SHORT.get(b, b)}", one.less(a, b), about, beside=0.0, direction="higher")
    return found


def _curve(one: Learned, suffix: str) -> Table:
    """The score by the number of real rows, with all made rows and without."""
    rows: list[list[Any]] = []
    for name, each in one.sets.items():
        if each.n is not None:
            kind = "made and real" if name.startswith("mix_") else "real alone"
            rows.append([each.n, kind, *_cell(one.interval(name))])
    rows.sort(key=lambda row: (row[1], row[0]))
    title = f"{one.score_name} of {one.name} by number of real rows"
    return Table(f"learning curve{suffix}", title, ["n", "kind", "value", "low", "high"], rows)


def _classes(one: Learned, suffix: str) -> Table:
    """Precision, recall and F1 of each class, the mean over draws, of made and of real rows."""
    sets = [name for name in ("tstr", "trtr") if name in one.sets]
    by_set = {name: [per_class(said, one.test.labels) for said in one.predicted[name]] for name in sets}
    counts = Counter(one.test.labels)
    rows = []
    for label in sorted(counts):
        line: list[Any] = [label, counts[label]]
        for name in sets:
            own = [next(found for found in draw if found.label == label) for draw in by_set[name]]
            line += [_mean(own, at) for at in ("precision", "recall", "f1")]
        rows.append(line)
    columns = ["class", "test rows", *(f"{name} {what}" for name in sets for what in ("precision", "recall", "F1"))]
    return Table(f"per class{suffix}", f"Each class, by {one.name}", columns, rows)


def _mean(found: Sequence[ClassScores], what: str) -> float | None:
    """The mean of one score over the draws that have it."""
    values = [value for one in found if not math.isnan(value := getattr(one, what))]
    return _short(sum(values) / len(values)) if values else None


def _budgets(data: Data, one: Learned) -> list[list[Any]]:
    """Sets that cost the same, in rows, in words, and in dollars where a run says what it spent."""
    compared: list[tuple[str, float, str, str]] = []
    for what in ("rows", "words"):
        a, b = f"tstr_matched_{what}", f"trtr_matched_{what}"
        if a in one.sets and b in one.sets:
            amounts = (
                [len(data.made), len(data.real or ())]
                if what == "rows"
                else [sum(words(side)) for side in (data.made, data.real) if side is not None]
            )
            compared.append((what, min(amounts), a, b))
    spent = read_manifest(data.run).get("spent", {}).get("all runs", {}) if data.run is not None else {}
    if spent and "tstr_candidates" in one.sets:
        compared.append(("dollars", round(spent["dollars"], 6), "tstr", "tstr_candidates"))
    return [
        [what, amount, a, _short(one.interval(a).value), b, _short(one.interval(b).value), _cell(one.less(a, b))]
        for what, amount, a, b in compared
    ]


def _notes(data: Data, test: Side, one: Learned, differences: int) -> list[str]:
    """What a reader must know of the comparison."""
    counts = Counter(test.labels)
    rarest, commonest = min(counts.values()), max(counts.values())
    notes = [
        f"Score of utility: {one.score_name}, because the commonest test class has {commonest / rarest:.1f} times the "
        f"rows of the rarest ({commonest:,} and {rarest:,}); both scores are in the table.",
        f"Intervals of utility cover other test rows ({len(test):,} were resampled) and, where there are several draws "
        f"({data.settings.seeds} a set), other draws and seeds; not other made rows. Of {differences} differences at "
        f"95 % one in twenty is called by luck.",
    ]
    made = set(data.made.labels)
    if lacking := sorted(set(test.labels) - made):
        share = sum(counts[label] for label in lacking) / len(test)
        notes.append(f"No made row has {_listed(lacking)}: {share:.1%} of the test rows cannot be right after them.")
    if strange := sorted(made - set(test.labels)):
        notes.append(f"No test row has {_listed(strange)}, which made rows have: is the label written the same way?")
    if data.settings.seeds == 1:
        notes.append("One seed: the intervals of utility do not cover what another draw would have given.")
    elif data.settings.seeds < 4:
        notes.append(f"{data.settings.seeds} seeds tell little of the spread between draws: intervals are wide for it.")
    if data.run is not None:
        notes += _costs(data)
    return notes


def _costs(data: Data) -> list[str]:
    """What a made row cost, where the run says it."""
    assert data.run is not None
    manifest = read_manifest(data.run)
    spent, kept = manifest.get("spent", {}).get("all runs", {}), manifest.get("counts", {}).get("kept", 0)
    if not spent or not kept:
        return []
    dollars, tokens = spent["dollars"], spent["prompt_tokens"] + spent["completion_tokens"]
    return [
        f"Cost: {dollars:.4f} dollars and {tokens:,} tokens for {kept:,} kept rows, {dollars / kept:.6f} dollars and "
        f"{tokens / kept:,.0f} tokens each. The same money bought all candidates, those that were rejected too."
    ]


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 20} more classes" if len(labels) > 20 else ""
    return f"class{'es' if len(labels) > 1 else ''} {', '.join(labels[:20])}{more}"


def _cell(interval: Interval) -> list[float | None]:
    return [_short(value) for value in interval]


def _short(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
