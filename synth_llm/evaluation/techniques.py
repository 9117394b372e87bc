"""Ways to make rows for a labelled task out of a few real ones, compared: score, diversity, cost and time of each."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from synth_llm.errors import InputError, MissingExtra, nearest
from synth_llm.evaluation.contrast import Bench
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.settings import Evaluate
from synth_llm.installed import entry_points
from synth_llm.measure.interval import Interval
from synth_llm.measure.two_level import Scores, difference, interval
from synth_llm.output import write_text
from synth_llm.recipe import ModelEntry, Recipe
from synth_llm.row import Row, canonical, digest
from synth_llm.rules.edits import EDA, variants
from synth_llm.steps.context import Resources

TEXT, LABEL = "text", "label"
"""The columns of the rows that techniques are given, and give back."""
GROUP = "synth_llm.techniques"
"""The group of entry points by which a package offers techniques: `paraphrase = "my_package:paraphrase"`."""
ALONE = "seeds only"
WRITER = ModelEntry(
    engine="local", temperature=0.8, top_p=0.95, max_tokens=60, params={"min_p": 0.1}, stop=["\n"], repairs=0
)
"""The embedded model, as recipes/reviews.yaml has it write."""
SHOTS = 8
TRIES = 5
"""A model is asked at most so many times for each row; a technique that makes fewer than wanted says so."""
FILTERS = [{"length": {"min_words": 3, "max_words": 60}}, "repetition", "refusal", "placeholder"]
"""What a written text must pass."""


@dataclass(frozen=True)
class Job:
    """What a technique is asked for."""

    seeds: list[Row]
    """Real rows, with `text` and `label`, both text."""
    rows: int
    """How many rows to make, of each label as many."""
    kind: str
    """What the texts are, in words: `film review`."""
    seed: int
    folder: Path
    """For what may be kept, such as the journal of a run; each technique and seed has its own."""
    writer: ModelEntry = WRITER
    """Who writes, for techniques that ask a model."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the student `sft`, for those that train a generator."""

    @property
    def labels(self) -> list[str]:
        """The labels of the seeds, sorted."""
        return sorted({row[LABEL] for row in self.seeds})

    @property
    def quotas(self) -> dict[str, int]:
        """How many rows of each label."""
        k = len(self.labels)
        return {label: self.rows // k + (at < self.rows % k) for at, label in enumerate(self.labels)}

    def own(self, label: str) -> list[Row]:
        """The seeds with a label."""
        return [row for row in self.seeds if row[LABEL] == label]


class Made(NamedTuple):
    """What a technique made, and what was paid."""

    rows: list[Row]
    tokens: int = 0
    """Read and written by models."""
    dollars: float = 0.0


Technique = Callable[[Job], Made]


class Priced(NamedTuple):
    """What a technique made, with its time."""

    made: Made
    cpu: float
    seconds: float


def oversample(job: Job) -> Made:
    """The seeds again, those of each label in turn."""
    draw = random.Random(job.seed)
    made: list[Row] = []
    for label, quota in job.quotas.items():
        own = draw.sample(job.own(label), len(job.own(label)))
        made += [own[at % len(own)] for at in range(quota)]
    return Made(made)


def eda(job: Job) -> Made:
    """A variant of each by the rules of EDA (arXiv 1901.11196), as the step `augment` makes them."""
    draw = random.Random(job.seed)
    rows = oversample(job).rows
    found = [variants(row[TEXT], EDA, 1, draw) for row in rows]
    return Made([{**row, TEXT: new[0][1]} if new else row for row, new in zip(rows, found, strict=True)])


def prompted(job: Job) -> Made:
    """A model writes texts of each label, in the manner of some seeds; texts with defects and copies are dropped."""
    return _written(job, job.writer, [{"sample": {"match": LABEL, "n": SHOTS, "fixed": True, "into": "shots"}}], {})


def fine_tuned(job: Job) -> Made:
    """A small model learns to write the seeds, each given its label, and is then sampled (extra `train`)."""
    from synth_llm.student.registry import student
    from synth_llm.student.student import Task

    ask = "ask"
    task = Task([TEXT], prompt=[ask], answer=TEXT, settings=job.settings)
    learned = student("sft")(task, job.seed)
    learned.fit([{**row, ask: f"{row[LABEL]} {job.kind}"} for row in job.seeds])
    folder = job.folder / "generator"
    learned.save(folder, {"about": f"Writes a {job.kind} of a label."})
    found = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 60, "stop": ["\n"], "repairs": 0}
    writer = ModelEntry.model_validate({"engine": "transformers", "model": str(folder), **found})
    return _written(job, writer, [], {"shots": []})


def _written(job: Job, writer: ModelEntry, first: list[dict[str, Any]], more: dict[str, Any]) -> Made:
    """Texts out of a recipe whose grid is the labels."""
    from synth_llm.execute import run

    generate = {"prompt": "generate/labelled", "model": "writer", "with": {"kind": job.kind, **more}}
    dropped = [{"map": {"drop": ["shots"]}}] if first else []
    steps = [*first, {"generate": generate}, *dropped, {"filter": {"use": FILTERS}}]
    value = {
        "name": "technique",
        "seed": job.seed,
        "models": {"writer": writer},
        "source": {"grid": {LABEL: job.labels}, "examples": job.seeds},
        "steps": [*steps, {"dedup": {"by": "exact", "against": ["examples"]}}],
        "target": {"rows": job.rows, "per": LABEL},
        "limits": {"candidates": TRIES * job.rows},
    }
    result = run(Recipe.model_validate(value), out=job.folder / "run")
    spent = result.manifest["spent"]["all runs"]
    tokens = int(spent["prompt_tokens"] + spent["completion_tokens"])
    rows = [{TEXT: row[TEXT], LABEL: row[LABEL]} for row in result.kept]
    return Made(rows[: job.rows], tokens, float(spent["dollars"]))


TECHNIQUES: dict[str, Technique] = {
    "oversample": oversample,
    "eda": eda,
    "prompted": prompted,
    "fine_tuned": fine_tuned,
}
"""Our own, the cheapest first."""


def offered() -> dict[str, Technique]:
    """Our own techniques and those of installed packages, by name. Raises InputError for one that cannot be loaded."""
    found = dict(TECHNIQUES)
    for entry in entry_points(GROUP):
        try:
            found.setdefault(entry.name, entry.load())
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"the technique '{entry.name}' of an installed package cannot be loaded: {error}"
            ) from error
    return found


def techniques(
    train: Sequence[Row],
    test: Sequence[Row],
    *,
    kind: str,
    label: str = LABEL,
    column: str = TEXT,
    rows: int = 60,
    seeds: int = 3,
    names: Sequence[str] | None = None,
    folder: Path,
    writer: ModelEntry = WRITER,
    use: Resources | None = None,
    **settings: Any,
) -> Part:
    """Each technique makes `rows` rows out of `train`; a student learns from these and `train`, and is tested.

    `seeds` draws of each technique; `names`, or all that are installed. What was made stays in `folder` with its cost
    and time, so that a second call makes nothing again. `settings` are those of `evaluate`, such as `student`. Raises
    InputError for rows without text or label, an unknown name, or a technique that was named and cannot run.
    """
    known = offered()
    for name in names or ():
        if name not in known:
            raise InputError(f"no technique '{name}'{nearest(name, known)}")
    real, unseen = _plain("train", train, column, label), _plain("test", test, column, label)
    evaluate = Evaluate(seeds=seeds, **settings)
    use = use or Resources(Recipe.model_validate({"source": {"rows": [{TEXT: "-"}]}, "steps": [{"map": {}}]}), Path())
    sides = (Side(name, of, [TEXT], LABEL) for name, of in (("made", real), ("test", unseen)))
    data = Data(evaluate, use, next(sides), test=next(sides), store=folder / ".cache")
    bench, part = Bench(data), Part()
    priced: dict[str, list[Priced]] = {}
    for name in names or known:
        try:
            priced[name] = [
                _priced(name, known[name], Job(real, rows, kind, seed, folder, writer, evaluate.student_settings))
                for seed in range(seeds)
            ]
        except MissingExtra as error:
            if names:
                raise
            part.notes.append(f"{name} is left out: {error}")
    said = {ALONE: [bench.learn(real, seed) for seed in range(seeds if bench.kind.draws else 1)]}
    for name, draws in priced.items():
        said[name] = [bench.learn([*real, *one.made.rows], seed) for seed, one in enumerate(draws)]
    _report(data, bench, bench.scores(said), priced, part)
    part.notes.insert(
        0,
        f"{len(real):,} real rows; {rows:,} made by each technique, {seeds} draws. The student, {bench.student}, "
        f"learns from both and is tested on {len(unseen):,} rows. Intervals are over test rows and draws.",
    )
    return part


def _plain(name: str, rows: Sequence[Row], column: str, label: str) -> list[Row]:
    """The rows with a text and a label alone. Raises InputError."""
    for number, row in enumerate(rows, 1):
        for one in (column, label):
            if row.get(one) in (None, ""):
                raise InputError(f"{name}: row {number} has no '{one}'{nearest(one, row)}")
    side = Side(name, list(rows), [column], label)
    if len(set(side.labels)) < 2:
        raise InputError(f"{name}: rows of at least two labels are needed")
    return [{TEXT: text, LABEL: given} for text, given in zip(side.texts, side.labels, strict=True)]


def _priced(name: str, make: Technique, job: Job) -> Priced:
    """What a technique made, now or in an earlier call."""
    writer = job.writer.model_dump(mode="json", exclude={"function"})
    mark = digest(name, canonical(job.seeds), job.rows, job.kind, job.seed, writer, dict(job.settings))
    folder = job.folder / f"{name}-{mark}"
    place = folder / "made.json"
    if place.is_file():
        value = json.loads(place.read_text(encoding="utf-8"))
        return Priced(Made(*value["made"]), value["cpu"], value["seconds"])
    folder.mkdir(parents=True, exist_ok=True)
    cpu, began = time.process_time(), time.monotonic()
    made = make(Job(job.seeds, job.rows, job.kind, job.seed, folder, job.writer, job.settings))
    found = Priced(made, time.process_time() - cpu, time.monotonic() - began)
    write_text(place, json.dumps(found._asdict()))
    return found


def _report(
    data: Data, bench: Bench, scores: Mapping[str, Scores], priced: Mapping[str, Sequence[Priced]], part: Part
) -> None:
    """Add the table, the figures and the advice."""
    alone = scores[ALONE]
    lines: list[list[Any]] = [[ALONE, 0, _cell(interval(alone)), *[None] * 7]]
    gains = {name: difference(scores[name], alone) for name in priced}
    for name, draws in priced.items():
        texts = [[row[TEXT] for row in one.made.rows] for one in draws]
        costs = [_mean([one.made.tokens for one in draws]), _mean([one.made.dollars for one in draws])]
        times = [_mean([one.cpu for one in draws]), _mean([one.seconds for one in draws])]
        lines.append(
            [
                name,
                round(_mean([len(one) for one in texts])),
                *map(_cell, (interval(scores[name]), gains[name])),
                *(round(value, 3) if value == value else None for value in _diversity(data, texts)),
                round(costs[0]),
                round(costs[1], 6),
                *(round(one, 2) for one in times),
            ]
        )
        detail = f"{name}: with its rows, less without"
        part.figures.append(
            Figure.of(f"gain_{name}", gains[name], unit=bench.score_name, direction="higher", detail=detail)
        )
        if labels := _short(draws, lines[-1][1], data):
            part.notes.append(f"{name} {labels}")
    columns = ["technique", "rows", bench.score_name, f"less {ALONE}", "distinct_2", "vendi"]
    columns += ["tokens", "dollars", "CPU s", "seconds"]
    part.tables.append(Table("techniques", "What each technique is worth, and what it takes", columns, lines))
    part.notes += _advice(scores, gains, priced)


def _diversity(data: Data, texts: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Of the made rows, the mean over the draws: distinct_2 and vendi."""
    from synth_llm.measure.diversity import distinct_n, vendi

    there = [one for one in texts if one]
    if not there:
        return float("nan"), float("nan")
    return _mean([distinct_n(one, n=2) for one in there]), _mean([vendi(data.encode(one)) for one in there])


def _short(draws: Sequence[Priced], made: int, data: Data) -> str:
    """Said of a technique that made less than it was asked for, or nothing of a label."""
    missing = sorted(set(data.made.labels) - {row[LABEL] for one in draws for row in one.made.rows})
    counts = Counter(len(one.made.rows) for one in draws)
    if missing:
        return f"made no row of {', '.join(missing)}"
    return f"made {made} rows on average, not equally many each time" if len(counts) > 1 else ""


def _advice(
    scores: Mapping[str, Scores], gains: Mapping[str, Interval], priced: Mapping[str, Sequence[Priced]]
) -> list[str]:
    """What the figures say about which technique to use for this task; no more than they say."""
    if not gains:
        return ["No technique could run."]
    harmful = [name for name, gain in gains.items() if gain.high < 0]
    said = [f"Do not use {name} here: {_words(gains[name])}" for name in harmful]
    best = max(gains, key=lambda name: gains[name].value)
    if gains[best].low <= 0:
        return [*said, f"No technique is better than {ALONE} beyond luck; the best is {best}: {_words(gains[best])}"]

    def cost(name: str) -> tuple[float, float]:
        return _mean([one.made.dollars for one in priced[name]]), _mean([one.cpu for one in priced[name]])

    as_good = [name for name in gains if name == best or difference(scores[best], scores[name]).low <= 0]
    cheap = min((name for name in as_good if gains[name].low > 0), key=cost)
    said.append(f"Best here: {best}, {_words(gains[best])} over {ALONE}")
    if cheap != best:
        said.append(f"Use {cheap} first: it is not told apart from {best} and takes less, {_words(gains[cheap])}")
    return said


def _words(one: Interval) -> str:
    return f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})"


def _cell(one: Interval) -> list[float]:
    return [round(value, 4) for value in one]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def markdown(part: Part) -> str:
    """Tables and notes for a reader."""
    from synth_llm.evaluation.results import cell

    lines: list[str] = []
    for table in part.tables:
        rows = [[cell(value) for value in row] for row in table.rows]
        lines += [f"## {table.title}", "", f"| {' | '.join(table.columns)} |", "| --- " * len(table.columns) + "|"]
        lines += [*(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join([*lines, *(f"- {note}" for note in part.notes)]) + "\n"
