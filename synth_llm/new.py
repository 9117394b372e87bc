"""A project out of a task in words and a handful of examples: recipe, prompts, attributes and data, to edit and run."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from synth_llm.errors import FatalError, InputError, nearest
from synth_llm.execute import prepare, run
from synth_llm.new_examples import Examples, read_examples
from synth_llm.new_files import lines, prompt, recipe, words
from synth_llm.recipe import ENGINES, ModelEntry, Recipe, explained
from synth_llm.row import Row
from synth_llm.source import Source
from synth_llm.steps import Generate

ASKED = "runs/new"
"""Below the project: what the model was asked for, in run folders of their own."""
PLAIN = {
    "tone": ["matter-of-fact", "friendly", "annoyed", "worried"],
    "length": ["a few words", "one sentence", "two sentences"],
}
"""Attributes that any texts have, where the model names none that can be used."""
OURS = {"about", "agreement", "instruction", "judged", "label", "meaning", "output", "shots", "text"}
"""Columns of the project that no attribute may replace."""
WORDS = {"false", "fence", "loop", "namespace", "none", "range", "self", "super", "true", *keyword.kwlist}
"""Words that mean something to a template, so that no attribute can be named so."""

LABEL_WORDS = {"label", "category", "class", "topic", "intent", "sentiment"}
"""An attribute of these names would draw another label than the row's."""


@dataclass(frozen=True)
class Project:
    """What `new_project` wrote."""

    folder: Path
    recipe: Path
    files: list[Path]
    notes: list[str]
    """What was found in the examples, and what the model did not say."""

    @property
    def run(self) -> Path:
        """The run folder of its recipe."""
        return self.folder / "runs" / self.recipe.stem


def new_project(task: str, examples: Path, *, model: str = "local", out: Path | None = None) -> Project:
    """Write a project for `task`: labelled texts or instructions with answers, whichever the examples are.

    `model` is an engine and a model, as `openai:gpt-5-mini`: it is asked what the labels mean and in what texts may
    differ, and it is the one that the recipe names. What it says is checked; where it cannot be used, plain words stand
    in its place. Its answers are kept in the project, so that a second call asks nothing again.

    Raises InputError for examples that show no task, an unknown model or a file that is there already; FatalError when
    the model does not answer.
    """
    task, entry = " ".join(task.split()), _entry(model)
    if not task:
        raise InputError("say in a few words what the texts are for: 'sort bank messages by what the customer wants'")
    given, name = read_examples(examples), _slug(task)
    folder = out if out is not None else Path(name)
    paths = _paths(folder, name, given)
    for path in paths.values():
        if path.exists():
            raise InputError("is there already; give another folder with --out", path)
    notes = [given.said]
    if entry.engine == "local" and entry.model is None:
        notes.append("the embedded default model is small: read what it says, or plan with another --model")
    attributes = _attributes(_ask(folder, "attributes", task, entry, [{"texts": given.texts()}]), given, notes)
    texts = {
        "recipe": recipe(task, entry, given, attributes),
        "prompt": prompt(given, attributes),
        "examples": lines(given.rows),
    }
    if given.kind == "labels":
        texts["labels"] = lines(_meanings(folder, task, entry, given, notes))
    for part, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[part], "utf-8")
    prepare(paths["recipe"])
    return Project(folder, paths["recipe"], list(paths.values()), notes)


def _paths(folder: Path, name: str, given: Examples) -> dict[str, Path]:
    """The files of a project."""
    paths = {"recipe": folder / f"recipes/{name}.yaml", "prompt": folder / f"prompts/{given.written}.jinja"}
    if given.kind == "labels":
        paths["labels"] = folder / "data/labels.jsonl"
    return {**paths, "examples": folder / "data/examples.jsonl"}


def _entry(model: str) -> ModelEntry:
    """The model that is asked. Raises InputError."""
    engine, _, name = model.partition(":")
    if engine not in ENGINES:
        raise InputError(f"--model {model}: write engine:model, as openai:gpt-5-mini{nearest(engine, ENGINES)}")
    try:
        return ModelEntry.model_validate({"engine": engine, "model": name or None, "temperature": 0, "max_tokens": 300})
    except ValidationError as error:
        raise InputError(f"--model {model}: {explained(error, ModelEntry)[0]}") from None


def _slug(task: str) -> str:
    """The task as the name of a recipe."""
    words = re.findall(r"[a-z0-9]+", task.lower())
    name = ""
    for word in words[:5]:
        if len(f"{name}-{word}") <= 40:
            name = f"{name}-{word}" if name else word
    return name or "dataset"


def _ask(folder: Path, what: str, task: str, entry: ModelEntry, rows: Sequence[Row]) -> list[Row]:
    """What the model says to the built-in prompt `new/<what>`, for the rows where it says what can be read."""
    asking = Recipe(
        name=what,
        about=task,
        models={"planner": entry},
        source=Source(rows=list(rows)),
        steps=[Generate(prompt=f"builtin:new/{what}", model="planner")],
    )
    result = run(asking, out=folder / ASKED / what)
    if not result.complete:
        raise FatalError(f"the model did not answer: {result.why}; what it said is kept, the same command goes on")
    return [dict(row) for row in result.kept]


def _meanings(folder: Path, task: str, entry: ModelEntry, given: Examples, notes: list[str]) -> list[Row]:
    """Each label with what it means: by the model, or else the label's own words."""
    asked = [{"label": label, "texts": given.texts(label)} for label in given.labels]
    said = {row["label"]: _one_line(row["meaning"]) for row in _ask(folder, "meaning", task, entry, asked)}
    shown = {" ".join(text.lower().split()) for row in given.rows for text in [row["text"]]}
    good = {label: text for label, text in said.items() if 8 <= len(text) <= 200 and text.lower() not in shown}
    if lacking := [label for label in given.labels if label not in good]:
        notes.append(f"say what {len(lacking)} labels mean in data/labels.jsonl: {', '.join(lacking[:5])}")
    return [{"label": label, "meaning": good.get(label) or words(label)} for label in given.labels]


def _attributes(said: Sequence[Row], given: Examples, notes: list[str]) -> dict[str, list[str]]:
    """Columns with the values that are drawn for them: those of the model that can be used, or plain ones."""
    labels = {words(label).lower() for label in given.labels} if given.kind == "labels" else set()
    found: dict[str, list[str]] = {}
    for item in (item for row in said for item in row["attributes"] or ()):
        name = "_".join(re.findall(r"[a-z0-9]+", item["name"].lower()))
        values = {value.lower(): value for value in map(_one_line, item["values"]) if 1 <= len(value) <= 60}
        of_label = name in LABEL_WORDS or labels & set(values)
        if re.match(r"[a-z]", name) and name not in OURS | WORDS and len(values) >= 2 and not of_label:
            found[name] = list(values.values())
    if len(found) < 2:
        notes.append("the model named no attributes that can be used: plain ones stand in the recipe, change them")
        return PLAIN
    return found


def _one_line(text: str) -> str:
    """The first line of an answer, without quotes and list marks around it."""
    lines = [line.strip(" \t\"'*-") for line in text.strip().splitlines()]
    return " ".join("".join(char for char in (lines[0] if lines else "") if char.isprintable()).split())
