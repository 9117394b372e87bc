"""Drops answers whose code does not parse: Python and JSON, where the fence or the task says that it is that.

Looked at are blocks that are fenced as python or json, and a whole answer without fences that looks like Python (each
line that is not indented begins as a statement does) or JSON (it begins with a bracket) when the task asks for it. Code
is parsed and never run. Lines of a notebook's magic ("!pip", "%time") and sessions (">>>") are looked over.

Defaults: `languages` None means both. `given` None means "instruction", "input" and "prompt": where the task is read.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Iterator

from synth_llm.errors import InputError, nearest
from synth_llm.row import Row, Verdict
from synth_llm.text import Text, read

_GIVEN = ("instruction", "input", "prompt")
_NAMES = {"python": "python", "py": "python", "python3": "python", "json": "json"}
_LONGEST = 20_000
"""Characters of a block that is parsed: Python's parser takes long for deeply nested code, and can fail on it."""
_ASKS = {
    "python": re.compile(r"\bpython\b"),
    "json": re.compile(r"\b(?:in|as|into|to|a|valid|of) (?:a |an |valid )?json\b"),
}
_OTHER_TASK = re.compile(
    r"\b(?:explain|what|why|which|name|list|describe|predict|output of|result of|translate|pseudo)\b"
)
_STATEMENT = re.compile(
    r"(?:def|class|import|from|for|while|if|elif|else|try|except|finally|with|return|print|async|lambda|raise|assert|del"
    r"|global|pass|yield)\b(?=[\s(:]|\Z)|#|@\w|[\]})]|\"\"\"|'''"
    r"|[A-Za-z_][\w.]*(?:\[[^\]\n]*\])?(?:, ?\w+)*\s*(?:[-+*/%|&]?=(?!=)|\()"
)


def code(row: Row, column: str = "text", languages: list[str] | None = None, given: list[str] | None = None) -> Verdict:
    """Keep rows whose code parses. The value is the number of blocks that do not.

    Raises InputError for another language than python and json.
    """
    wanted = ("python", "json") if languages is None else tuple(languages)
    for name in wanted:
        if name not in _ASKS:
            raise InputError(f"filter code: cannot parse {name!r}{nearest(name, _ASKS)}")
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    task = " ".join(str(row.get(name) or "") for name in (_GIVEN if given is None else given) if name != column)
    faults = [
        (language, fault)
        for language, body in _blocks(text, task, wanted)
        if len(body) <= _LONGEST and (fault := _python(body) if language == "python" else _json(body))
    ]
    if not faults:
        return Verdict(True, value=0.0)
    language, fault = faults[0]
    return Verdict(
        False,
        f"{language.capitalize() if language == 'python' else 'JSON'} that does not parse: {fault}",
        float(len(faults)),
    )


def _blocks(text: str, task: str, wanted: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    found = read(text)
    for fence in found.fences:
        if (language := _NAMES.get(fence.language, "")) in wanted:
            yield language, fence.body
    if found.fences or not text.strip():
        return
    lower = task.lower()
    if "json" in wanted and text.lstrip()[0] in "[{" and _ASKS["json"].search(lower):
        yield "json", text
    elif "python" in wanted and _ASKS["python"].search(lower) and not _OTHER_TASK.search(lower) and _is_code(found):
        yield "python", text


def _is_code(text: Text) -> bool:
    """Whether each line that is not indented begins as a statement of Python does."""
    lines = (line for line in text.raw.splitlines() if line.strip())
    return all(line[0].isspace() or _STATEMENT.match(line) for line in lines)


def _python(body: str) -> str:
    """What is wrong with Python code; empty if it parses."""
    if ">>>" in body:
        return ""
    lines = [line for line in body.splitlines() if not line.lstrip().startswith(("!", "%"))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of code that parses
            ast.parse(textwrap.dedent("\n".join(lines)))
    except SyntaxError as error:
        return f"{error.msg} in line {error.lineno}" if error.lineno else str(error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return type(error).__name__ if not str(error) else str(error)[:80]
    return ""


def _json(body: str) -> str:
    """What is wrong with JSON; empty if it parses. Several values, one a line, are JSON too."""
    try:
        json.loads(body)
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        lines = [line for line in body.splitlines() if line.strip()]
        return "" if len(lines) > 1 and all(map(_is_value, lines)) else str(error)
    return ""


def _is_value(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
