"""A small project in a temporary folder, and models that are functions: what tests of runs share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synth_llm import Answer, Filter, Generate, Judge, ModelEntry, Recipe, Request, Source, run

PROMPTS = {
    "write": "---\ngives: {text: string}\n---\nWrite about {{ topic }}.\n",
    "many": "---\ngives: [{text: string}]\n---\nList about {{ topic }}.\n",
    "score": "---\ngives: {score: 1..5}\n---\nScore: {{ text }}\n",
    "label": "---\ngives: {label: one of labels}\n---\nLabel: {{ text }}\n",
    "anything": "---\ngives: {text: string}\n---\nWrite.\n",
    "shots": "---\ngives: {text: string}\n---\nLike {{ shots }}: {{ topic }}.\n",
}


class Model:
    """A model that is a function of the request, and remembers what it was asked."""

    def __init__(self, say: Callable[[str, Request], str | Answer] | None = None) -> None:
        self.say = say or good
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str | Answer:
        text = request.messages[-1]["content"]
        self.asked.append(text)
        return self.say(text, request)

    def entry(self, **settings: Any) -> ModelEntry:
        return ModelEntry(engine="function", model="test", function=self, **{"repairs": 0, **settings})

    def counts(self) -> Counter[str]:
        """How often each kind of prompt was asked."""
        return Counter(text.split()[0].strip(":") for text in self.asked)


def good(text: str, request: Request) -> str:
    """Prose for a text, a score from 1 to 5 for a score; both depend on the request alone."""
    if text.startswith("Score"):
        return json.dumps({"score": request_number(text) % 5 + 1})
    return f"A text of some words, number {request.seed}."


def request_number(text: str) -> int:
    """The last number in a text."""
    return int("".join(c if c.isdigit() else " " for c in text).split()[-1])


def write_prompts(folder: Path) -> None:
    (folder / "prompts").mkdir(exist_ok=True)
    for name, text in PROMPTS.items():
        (folder / "prompts" / f"{name}.jinja").write_text(text)


def topics(count: int) -> list[dict[str, Any]]:
    return [{"topic": f"topic {n}"} for n in range(count)]


def three_steps(model: Model, rows: Source | None = None, **settings: Any) -> Recipe:
    """Generate, filter, judge, threshold."""
    return Recipe(
        models={"writer": model.entry(), "judge": model.entry(temperature=0)},
        source=rows or Source(rows=topics(20)),
        steps=[
            Generate(prompt="write", model="writer"),
            Filter(use=["length"]),
            Judge(prompt="score", model="judge"),
            Filter.model_validate({"if": "score >= 3", "name": "threshold"}),
        ],
        **settings,
    )


__all__ = ["Model", "good", "request_number", "run", "three_steps", "topics", "write_prompts"]
