"""Replies of the user's own, from a file or a function."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from synth_llm.errors import InputError, nearest
from synth_llm.mock.answer import Reply, content, error

Content = str | bytes | Mapping[str, Any] | None
"""A text: what the model says (or the message of an error); a dict: the whole JSON body; bytes: the body as it is;
None: the mock's own answer."""
Respond = Callable[[dict[str, Any]], Content | tuple[int, Content]]
"""(body of the request) -> content, or (HTTP status, content)."""

_KEYS = ("match", "text", "status")


def last_text(body: Mapping[str, Any]) -> str:
    """What was said last: the text of the last message, or the prompt.

    >>> last_text({"messages": [{"role": "user", "content": "Hello."}]})
    'Hello.'
    """
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return content(messages[-1])
    prompt = body.get("prompt")
    return prompt if isinstance(prompt, str) else " ".join(map(str, prompt or ()))


def replies(path: str | Path) -> Respond:
    """A function that answers by a file of lines `{"match": ..., "text": ..., "status": ...}`.

    `match` is a part of the last message, or a `/regular expression/`; without it a line matches always. The first
    line that matches counts; where none does, the answer is the mock's own. Raises InputError with path and line.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "is not UTF-8"
        raise InputError(f"cannot be read: {why}", file) from None
    known = [_line(line, file, number) for number, line in enumerate(lines, 1) if line.strip()]

    def respond(body: dict[str, Any]) -> Content | tuple[int, Content]:
        said = last_text(body)
        return next(((status, text) for matches, status, text in known if matches(said)), None)

    return respond


def _line(line: str, path: Path, number: int) -> tuple[Callable[[str], object], int, str | None]:
    """When a line matches, its status, its text."""
    try:
        given = json.loads(line)
    except ValueError as problem:
        raise InputError(f"no JSON: {problem}", path, number) from None
    if not isinstance(given, dict):
        raise InputError('a line is an object, as {"match": "sentiment", "text": "positive"}', path, number)
    for key in given.keys() - set(_KEYS):
        raise InputError(f"no key '{key}'{nearest(key, _KEYS)}", path, number)
    match, text, status = given.get("match", ""), given.get("text"), given.get("status", 200)
    if type(status) is not int or (status != 200 and not 400 <= status <= 599):
        raise InputError(f"status {status!r} is none; write 200, or 400 to 599", path, number)
    if not isinstance(match, str) or not isinstance(text, str | None) or (text is None and status == 200):
        raise InputError("'match' and 'text' must be texts", path, number)
    if len(match) < 3 or match[0] != "/" or match[-1] != "/":
        return lambda said: match in said, status, text
    try:
        return re.compile(match[1:-1], re.DOTALL).search, status, text
    except re.error as problem:
        raise InputError(f"match {match}: no regular expression: {problem}", path, number) from None


def as_reply(given: object) -> Reply | str | None:
    """What a function gave back, as a whole reply or as the text of one. Raises TypeError."""
    status, inner = given if isinstance(given, tuple) and len(given) == 2 else (200, given)
    if type(status) is not int or not 200 <= status <= 599:
        raise TypeError(f"{status!r} is no HTTP status")
    if status == 200 and (inner is None or isinstance(inner, str)):
        return inner
    if inner is None or isinstance(inner, str):
        return error(status, inner or f"the mock was told to answer {status}")
    if isinstance(inner, bytes):
        return Reply(inner, status)
    if isinstance(inner, Mapping):
        usage = inner.get("usage")
        used = usage if isinstance(usage, Mapping) else {}
        prompt, spent = (used.get(name) for name in ("prompt_tokens", "completion_tokens"))
        body = json.dumps(inner).encode()
        return Reply(body, status, *(number if isinstance(number, int) else 0 for number in (prompt, spent)))
    raise TypeError(f"a {type(inner).__name__} is no reply; give a text, a dict, bytes or None")
