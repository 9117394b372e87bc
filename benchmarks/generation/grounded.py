"""grounded: answers stand in their passages at their places; what is made to be unanswerable is judged to be.

The recipes `questions` and `unanswerable` on the 100 passages beside this file, of the same two questions each. Then
the larger embedded model answers the questions from their passages or says `not stated`, with a prompt that no recipe
uses. It is the model that wrote them, so its word is read beside what it says of the answerable ones. The runs are kept
in runs/generation/bars: a bar that was stopped goes on.
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
    "steps.generate.with={number: 2}",
    "target=null",
]


def bar() -> Iterator[Bar]:
    """The lines of the bar."""
    with Progress(disable=True) as progress:
        for model in WEIGHTS:
            fetch(model, progress)
    questions = _run("questions")
    yield _spans(questions)
    unanswerable = _run("unanswerable", journals=[FOLDER / "questions"])
    yield _gone(unanswerable)
    judged = _judged([("kept", list(unanswerable.kept)), ("answerable", list(questions.kept)[:CONTROL])])
    for group, what, goal in (
        ("kept", "unanswerable: accepted rows", WANTED),
        ("answerable", "the same judge on answerable questions", 0.0),
    ):
        yield _share(what, [answer for of, answer in judged if of == group], goal)


def _run(name: str, journals: Sequence[Path] = ()) -> Result:
    return _complete(Library(Path()).find("recipes", name), name, SETS, journals)


def _complete(recipe: Path, name: str, sets: Sequence[str], journals: Sequence[Path] = ()) -> Result:
    """The whole run, or the rest of it; what a journal answers is not asked."""
    try:
        result = run(recipe, out=FOLDER / name, sets=sets, journals=journals)
    except SynthError as error:
        raise Failed(f"{name}: {error}") from error
    if not result.complete:
        raise Failed(f"{name}: {result.why}")
    print(f"{name}: {result.stats}, {result.manifest['rejected_by_reason']}", file=sys.stderr)
    return result


def _passages() -> set[str]:
    return {text for path in PASSAGES.glob("*.txt") for text in path.read_text().strip().split("\n\n")}


def _spans(result: Result) -> Bar:
    """How many accepted answers are the text between their places."""
    passages = _passages()
    found = [
        row["text"] in passages and row["text"][row["answer_start"] : row["answer_end"]] == row["answer"] != ""
        for row in result.kept
    ]
    figure = f"questions: {sum(found)} of {len(found)} spans at their places, {len(passages)} passages"
    return ("grounded", figure, "all", bool(found) and all(found))


def _gone(result: Result) -> Bar:
    """How many accepted texts are a passage without one of its sentences."""
    known = [set(_sentences(text)) for text in _passages()]
    left = [set(_sentences(row["text"])) for row in result.kept]
    found = [any(some < whole for whole in known) for some in left]
    figure = f"unanswerable: {sum(found)} of {len(found)} texts are a passage without the sentence of the answer"
    return ("grounded", figure, "all", bool(found) and all(found))


def _sentences(text: str) -> list[str]:
    return [sentence.rstrip(".") for sentence in text.split(". ")]


def _judged(groups: Sequence[tuple[str, Sequence[Row]]]) -> list[tuple[str, str]]:
    """(group, what the judge answers) for all rows; a question that stands in two groups is asked once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "questions.jsonl"
    rows = [{"group": group, "text": row["text"], "question": row["question"]} for group, of in groups for row in of]
    rows.sort(key=lambda row: row["text"])  # a local model reads a passage once for the questions about it
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
