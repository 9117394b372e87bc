"""Bar *errors*: mistakes that people make in recipes, prompts, sources and filters, each answered by one line.

Each is run with `synth-llm run` on a project that works but for the one mistake. Wanted: exit code 2, exactly one line
on stderr that begins with `error: ` and names the file and the line (or the row), and no request.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.core.mock import Mock
from synth_llm.cli import main

RECIPE = """\
about: Lines about topics.
models:
  writer: {engine: openai, url: URL, model: mock, temperature: 0.8}
  judge: {engine: openai, url: URL, model: mock, temperature: 0}
source:
  file: rows.jsonl
  examples: examples.jsonl
steps:
  - sample: {from: examples, match: topic, n: 2}
  - generate: {prompt: write, model: writer}
  - filter: {use: [{length: {min_words: 2}}, mine]}
  - dedup: {column: text}
  - label_check: {prompt: label, model: judge, label: topic}
target: {rows: 3, per: topic}
"""
WRITE = """\
---
about: Writes a line.
needs: [shots, topic]
gives: {text: string}
---
{% system %}You write.{% endsystem %}
{% user %}
{% for shot in shots %}{{ shot.text }}
{% endfor %}
About {{ topic | upper }}.
{% enduser %}
"""
LABEL = """\
---
gives: {label: one of labels}
---
Which of {{ labels | join(", ") }}? {{ text }}
"""
FILTER = '''\
"""Drops texts with a word too many."""

from synth_llm import Row, Verdict


def mine(row: Row, column: str = "text", most: int = 100) -> Verdict:
    """At most so many words."""
    return Verdict(len(str(row[column]).split()) <= most, "too long")
'''
FILES = {
    "my.yaml": RECIPE,
    "prompts/write.jinja": WRITE,
    "prompts/label.jinja": LABEL,
    "filters/mine.py": FILTER,
    "rows.jsonl": '{"topic": "tea"}\n{"topic": "rain"}\n{"topic": "tea", "style": "dry"}\n',
    "examples.jsonl": '{"topic": "tea", "text": "Tea is warm."}\n',
}


class Mistake(NamedTuple):
    """One change to one file of the project, where the error must say it is, and a word that it must say."""

    what: str
    file: str
    old: str
    new: str
    where: str
    says: str


_CSV = ("  file: rows.jsonl", "  file: rows.csv")
_STEP = "  - dedup: {column: text}\n"

MISTAKES = [
    # Recipes
    Mistake("unknown key", "my.yaml", "target:", "taget:", "my.yaml:14: ", "did you mean 'target'"),
    Mistake("unknown setting", "my.yaml", "temperature: 0.8", "temprature: 0.8", "my.yaml:3: ", "'temperature'"),
    Mistake("wrong type", "my.yaml", "rows: 3", "rows: many", "my.yaml:14: ", "target.rows"),
    Mistake("tab", "my.yaml", "  - dedup", "\t- dedup", "my.yaml:12: ", "tab"),
    Mistake("key twice", "my.yaml", "about:", "about: x\nabout:", "my.yaml:2: ", "twice"),
    Mistake("unknown step", "my.yaml", "- dedup", "- dedupe", "my.yaml:12: ", "did you mean 'dedup'"),
    Mistake("unknown prompt", "my.yaml", "prompt: write", "prompt: wirte", "my.yaml:10: ", "did you mean 'write'"),
    Mistake("unknown model", "my.yaml", "model: writer}", "model: writter}", "my.yaml:10: ", "did you mean 'writer'"),
    Mistake("missing column", "my.yaml", "{column: text}", "{column: txt}", "my.yaml:12: ", "did you mean 'text'"),
    Mistake("two steps in one", "my.yaml", _STEP, "  - dedup: {}\n    map: {}\n", "my.yaml:12: ", "one name"),
    Mistake("target.per unknown", "my.yaml", "per: topic", "per: topics", "my.yaml:14: ", "did you mean 'topic'"),
    Mistake(
        "votes at temperature 0", "my.yaml", "label: topic", "votes: 3, label: topic", "my.yaml:13: ", "temperature"
    ),
    Mistake(
        "unknown engine",
        "my.yaml",
        "{engine: openai, url: URL, model: mock, temperature: 0}",
        "{engine: opanai}",
        "my.yaml:4: ",
        "engine",
    ),
    Mistake(
        "bad condition",
        "my.yaml",
        "{use: [{length: {min_words: 2}}, mine]}",
        '{if: "text |"}',
        "my.yaml:11: ",
        "text |",
    ),
    # Prompts
    Mistake("bad Jinja", "prompts/write.jinja", "{% endfor %}\n", "", "prompts/write.jinja:", "endfor"),
    Mistake("unknown Jinja filter", "prompts/write.jinja", "upper", "uper", "prompts/write.jinja:10: ", "'upper'"),
    Mistake(
        "needs do not match", "prompts/write.jinja", "[shots, topic]", "[topic]", "prompts/write.jinja:3: ", "shots"
    ),
    Mistake(
        "column of the rows",
        "prompts/write.jinja",
        "[shots, topic]\n",
        "[shots, topic, style]\n",
        "prompts/write.jinja:3: ",
        "style",
    ),
    Mistake("bad gives", "prompts/write.jinja", "text: string", "text: sting", "prompts/write.jinja:4: ", "'string'"),
    Mistake("unknown head key", "prompts/write.jinja", "about:", "abuot:", "prompts/write.jinja:2: ", "'about'"),
    Mistake(
        "head not closed", "prompts/label.jinja", "labels}\n---\n", "labels}\n", "prompts/label.jinja:1: ", "closed"
    ),
    Mistake(
        "text outside of messages",
        "prompts/write.jinja",
        "{% enduser %}\n",
        "{% enduser %}\nThanks!\n",
        "prompts/write.jinja:12: ",
        "Thanks",
    ),
    Mistake(
        "judge is not blind", "prompts/label.jinja", "{{ text }}", "{{ text }} {{ topic }}", "my.yaml:13: ", "blind"
    ),
    # Sources
    Mistake("broken JSON line", "rows.jsonl", '{"topic": "rain"}', '{"topic": "rain}', "rows.jsonl:2: ", "JSON"),
    Mistake("not an object", "rows.jsonl", '{"topic": "rain"}', '["rain"]', "rows.jsonl:2: ", "object"),
    Mistake("NaN", "rows.jsonl", '"dry"', "NaN", "rows.jsonl:3: ", "NaN"),
    Mistake("field too many", "rows.csv", "", "topic,style\ntea,dry\nrain,dry,cold\n", "rows.csv:3: ", "3 fields"),
    Mistake("missing file", "my.yaml", "file: rows.jsonl", "file: row.jsonl", "my.yaml:5: ", "row.jsonl"),
    Mistake("id twice", "my.yaml", "  file: rows.jsonl", "  file: rows.jsonl\n  id: topic", "rows.jsonl:3: ", "twice"),
    Mistake("not UTF-8", "rows.jsonl", '"rain"', '"r\udce9in"', "rows.jsonl:2: ", "UTF-8"),
    Mistake("examples without the column", "examples.jsonl", '"topic"', '"tpoic"', "my.yaml:9: ", "topic"),
    Mistake(
        "two sources", "my.yaml", "  file: rows.jsonl", "  file: rows.jsonl\n  empty: 3", "my.yaml:", "exactly one"
    ),
    # Filters
    Mistake("unknown filter", "my.yaml", "mine", "mein", "my.yaml:11: ", "did you mean 'mine'"),
    Mistake("typo in a setting", "my.yaml", "min_words: 2", "min_word: 2", "my.yaml:11: ", "'min_words'"),
    Mistake("setting of another type", "my.yaml", "min_words: 2", "min_words: two", "my.yaml:11: ", "int"),
    Mistake("syntax error", "filters/mine.py", "Verdict:\n", "Verdict\n", "filters/mine.py:6: ", "expected ':'"),
    Mistake("no such function", "filters/mine.py", "def mine", "def main", "filters/mine.py", "mine"),
    Mistake("import fails", "filters/mine.py", "Verdict\n\n", "Verdikt\n\n", "filters/mine.py:3: ", "Verdikt"),
    Mistake(
        "wrong parameters",
        "filters/mine.py",
        "row: Row, column",
        "text: Row, col",
        "filters/mine.py:6: ",
        "row, column",
    ),
]


def bar() -> list[tuple[str, str, str, bool]]:
    """One line for all mistakes; those that are answered badly are printed above it."""
    bad = []
    with Mock() as mock, tempfile.TemporaryDirectory() as scratch:
        for number, mistake in enumerate(MISTAKES):
            code, stdout, stderr = _answer(mistake, Path(scratch, str(number)), mock.url)
            if wrong := _wrong(mistake, code, stderr):
                bad.append(mistake.what)
                print(f"{mistake.what}: {wrong}\n    exit {code}: {stderr.strip() or stdout.strip()}")
        sent = mock.sent
    figure = (
        f"{len(MISTAKES) - len(bad)} of {len(MISTAKES)} mistakes answered by one line with its place, {sent} requests"
    )
    return [("errors", figure, ">= 30, all of them, 0 requests", not bad and not sent and len(MISTAKES) >= 30)]


def _answer(mistake: Mistake, folder: Path, url: str) -> tuple[int, str, str]:
    """Run the project with the mistake: exit code, stdout, stderr."""
    files = dict(FILES)
    files.setdefault(mistake.file, "")
    if mistake.file == "rows.csv":
        files["my.yaml"] = files["my.yaml"].replace(*_CSV)
    changed = files[mistake.file].replace(mistake.old, mistake.new, 1) if mistake.old else mistake.new
    if changed == files[mistake.file]:
        raise AssertionError(f"{mistake.what}: nothing was changed")
    files[mistake.file] = changed
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.replace("URL", url).encode("utf-8", "surrogateescape"))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["run", "my.yaml"])
        except SystemExit as exit:
            return int(exit.code or 0), out.getvalue(), err.getvalue()
    raise AssertionError("main returned")


def _wrong(mistake: Mistake, code: int, stderr: str) -> str:
    """What is wrong with an answer; empty when it is right."""
    lines = stderr.splitlines()
    if code != 2:
        return f"exit code {code}"
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"{len(lines)} lines"
    return (
        "" if mistake.where in lines[0] and mistake.says in lines[0] else f"no '{mistake.where}' and '{mistake.says}'"
    )
