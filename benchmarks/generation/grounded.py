"""grounded: answers stand in their passages at their places; what is made to be unanswerable is judged to be.

The recipes `questions` and `unanswerable` on the 100 passages beside this file, one question each. Then the larger
embedded model answers all questions from their passages or says `not stated`, with a prompt that no recipe uses. It is
the model that wrote them, so its word is read beside what it says of the answerable ones. The runs are kept in
runs/generation/bars: a bar that was stopped goes on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.progress import Progress

from benchmarks.core.recipes import Bar
from benchmarks.runner import Failed
from synth_llm import Result, Row, run
from synth_llm.errors import SynthError
from synth_llm.library import Library
from synth_llm.measure.interval import wilson
from synth_llm.models.weights import WEIGHTS, fetch
from synth_llm.row import public

HERE = Path(__file__).parent
PASSAGES = HERE / "passages"
FOLDER = HERE.parents[1] / "runs/generation/bars/grounded"
WANTED, CONTROL = 0.8, 50
"""The share judged unanswerable, and so many answerable questions that are judged too."""
SETS = [
    f"source.texts={json.dumps(str(PASSAGES))}",
    "source.repeat=false",
    "steps.chunk.words=70",
    "target=null",
]


def bar() -> Iterator[Bar]:
    """The lines of the bar."""
    with Progress(disable=True) as progress:
        for model in WEIGHTS:
            fetch(model, progress)
    unanswerable = _run("unanswerable")
    questions = _run("questions", "steps.generate.with={number: 1}")
    yield _spans("questions", questions, "answer")
    yield _spans("unanswerable", unanswerable, "plausible")
    kept, before = list(unanswerable.kept), _written(unanswerable)
    judged = _judged([("kept", kept), ("written", before), ("answerable", list(questions.kept)[:CONTROL])])
    for group, what, goal in (
        ("kept", "unanswerable: accepted rows", WANTED),
        ("written", "unanswerable: all that were written, before the recipe's own judge", 0.0),
        ("answerable", "the same judge on answerable questions", 0.0),
    ):
        yield _share(what, [answer for of, answer in judged if of == group], goal)


def _run(name: str, *sets: str) -> Result:
    return _complete(Library(Path()).find("recipes", name), name, [*SETS, *sets])


def _complete(recipe: Path, name: str, sets: Sequence[str]) -> Result:
    """The whole run, or the rest of it."""
    try:
        result = run(recipe, out=FOLDER / name, sets=sets)
    except SynthError as error:
        raise Failed(f"{name}: {error}") from error
    if not result.complete:
        raise Failed(f"{name}: {result.why}")
    print(f"{name}: {result.stats}, {result.manifest['rejected_by_reason']}", file=sys.stderr)
    return result


def _spans(name: str, result: Result, column: str) -> Bar:
    """How many accepted answers are the text between their places."""
    passages = {text for path in PASSAGES.glob("*.txt") for text in path.read_text().strip().split("\n\n")}
    found = [
        row["text"] in passages and row["text"][row[f"{column}_start"] : row[f"{column}_end"]] == row[column] != ""
        for row in result.kept
    ]
    figure = f"{name}: {sum(found)} of {len(found)} spans at their places, {len(passages)} passages"
    return ("grounded", figure, "all", bool(found) and all(found))


def _written(result: Result) -> list[Row]:
    """Every question that the recipe's writer wrote, whatever became of it."""
    dropped = [json.loads(row["row"]) for row in result.rejected]
    return [*list(result.kept), *(row for row in dropped if row.get("question"))]


def _judged(groups: Sequence[tuple[str, Sequence[Row]]]) -> list[tuple[str, str]]:
    """(group, what the judge answers) for all rows; a question that stands in two groups is asked once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "questions.jsonl"
    rows = [{"group": group, "text": row["text"], "question": row["question"]} for group, of in groups for row in of]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = _complete(HERE / "grounded/judge.yaml", "judge", [f"source.file={json.dumps(str(file))}"])
    return [(row["group"], str(public(row)["stated"])) for row in result.kept]


def _share(what: str, answers: Sequence[str], goal: float) -> Bar:
    """The share that is judged unanswerable."""
    count = sum(answer.strip().lower().startswith("not stated") for answer in answers)
    if not answers:
        return ("grounded", f"{what}: none", f">= {goal:.0%}", False)
    share, low, high = wilson(count, len(answers))
    figure = (
        f"{what}: {count} of {len(answers)} judged unanswerable, {count / len(answers):.0%} [{low:.0%}, {high:.0%}]"
    )
    return ("grounded", figure, f">= {goal:.0%}" if goal else "read beside", share >= goal)
