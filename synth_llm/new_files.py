"""The files of a new project as text: recipe, prompt, rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synth_llm.new_examples import Examples
from synth_llm.recipe import ModelEntry

HEAD = """\
# Made by `synth-llm new`, yours to change. `synth-llm show steps/NAME` says what a step can do.
about: {about}
seed: 7
models:
  writer: {{{model}, temperature: 1.0, top_p: 0.95, {size}}}
"""
DRAWN = """\
  - draw:
      name: attributes
      set:
{attributes}
"""
LABELS = """\
source:
  file: data/labels.jsonl  # each label and what it means
  repeat: true
  examples: data/examples.jsonl
steps:
  - sample: {{match: label, n: 3, into: shots}}
{drawn}\
  - generate: {{prompt: text, model: writer}}
  - map: {{drop: [shots, meaning]}}
  - filter: {{use: [{{length: {{max_words: {longest}}}}}, repetition, refusal, boilerplate, placeholder]}}
  - dedup: {{by: near, threshold: 0.6, against: [examples]}}
{check}\
target: {{rows: 100, per: label}}
"""
INSTRUCTIONS = """\
source:
  empty: true
  examples: data/examples.jsonl
steps:
  - sample: {{n: 3, into: shots}}
{drawn}\
  - generate: {{prompt: instruction, model: writer}}
  - filter: {{column: instruction, use: [{{length: {{max_words: {longest}}}}}, repetition, refusal, placeholder]}}
  - dedup: {{column: instruction, by: near, threshold: 0.6, against: [examples]}}
  - generate: {{prompt: new/answer, model: answerer}}
  - map: {{drop: [shots]}}
  - filter: {{name: answer, column: output, use: [repetition, refusal, placeholder]}}
target: {{rows: 100}}
"""
CHECK = "  - label_check: {model: judge, shots: 2}\n"
NO_CHECK = """\
  # The embedded default model cannot judge; with another one as `judge` among the models:
  # - label_check: {model: judge, shots: 2}
"""


def recipe(about: str, entry: ModelEntry, given: Examples, attributes: Mapping[str, Sequence[str]]) -> str:
    """The project's recipe: `about` is the task, `entry` the model."""
    model = f"engine: {entry.engine}" + (f", model: {_quoted(entry.model)}" if entry.model else "")
    small = entry.engine == "local" and entry.model is None
    size = f"max_tokens: {max(_tokens(given), 60 if entry.engine == 'local' else 200)}"
    if entry.engine == "local" and not any("\n" in value for row in given.rows for value in row.values()):
        size += r', stop: ["\n"]'
    head = HEAD.format(about=_quoted(about), model=model, size=size)
    if given.kind == "instructions":
        head += f"  answerer: {{{model}, temperature: 0.3, {size}}}\n"
    elif not small:
        head += f"  judge: {{{model}, temperature: 0, max_tokens: 40}}\n"
    set_ = "\n".join(f"        {name}: {_quoted(values)}" for name, values in attributes.items())
    return head + (LABELS if given.kind == "labels" else INSTRUCTIONS).format(
        drawn=DRAWN.format(attributes=set_),
        longest=10 + 2 * max(len(row[given.written].split()) for row in given.rows),
        check=NO_CHECK if small else CHECK,
    )


def prompt(given: Examples, attributes: Iterable[str]) -> str:
    """The project's prompt: the built-in one, with the attributes."""
    written, names = given.written, list(attributes)
    needs = sorted({"about", "shots", *names, *(("label", "meaning") if given.kind == "labels" else ())})
    asked = "\n".join(f"{words(name).capitalize()}: {{{{ {name} }}}}" for name in names)
    return f"""\
---
about: One {written}, with the attributes that are drawn for it. It extends `synth-llm show prompts/new/{written}`.
needs: [{", ".join(needs)}]
gives: {{{written}: string}}
---
{{% extends "new/{written}" %}}
{{% block attributes %}}
{asked}
{{% endblock %}}
"""


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as JSON lines."""
    return "".join(f"{_quoted(row)}\n" for row in rows)


def words(name: str) -> str:
    """A label or column as words.

    >>> words("card_arrival"), words("cardArrival")
    ('card arrival', 'card Arrival')
    """
    return " ".join(re.sub(r"[_\-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).split()) or name


def _tokens(given: Examples) -> int:
    """Tokens that hold the longest example twice."""
    return 3 * max(len(value.split()) for row in given.rows for value in row.values())


def _quoted(value: Any) -> str:
    """A value as YAML on one line, which JSON is."""
    return json.dumps(value, ensure_ascii=False)
