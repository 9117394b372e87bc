"""An answer's text -> records. What is not plainly there is rejected, never guessed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

from synth_llm.errors import Reject
from synth_llm.gives import Format, Gives, as_word, validator
from synth_llm.models.request import Schema

MAX_DEPTH = 64
MAX_INTEGER = 2**63
_REMEMBERED = 256

_LOST = re.compile("[\ud800-\udfff\ufffd]")
"""Half of a surrogate pair, and U+FFFD, which decoders put in the place of what they could not read."""
_ITEM = re.compile(r"([ \t]*)(?:(\d{1,4}[.)])|[-*•])(?:[ \t]+(.*))?")
_QUOTES = " \t\"'`*“”‘’"
_validators: dict[int, tuple[Schema, Callable[[Any], Iterator[Any]]]] = {}


class _Unreadable(ValueError):
    """Why an answer cannot be read."""


def parse(text: str, gives: Gives, schema: Schema | None) -> list[dict[str, Any]]:
    """The records in an answer, each with all of `gives.columns`; at least one.

    `schema` is what `gives.schema(variables)` gave for this request. Raises Reject as `unparseable`, with the answer
    as `raw`, when the answer does not have the form that the prompt asked for.
    """
    try:
        _check_text(text)
        records = _READERS[gives.format](text, gives, schema)
    except _Unreadable as error:
        raise Reject("unparseable", str(error), raw=text) from error
    except RecursionError as error:
        raise Reject("unparseable", "nested too deeply", raw=text) from error
    return records


def _refuse(why: str) -> NoReturn:
    raise _Unreadable(why)


def _check_text(text: str) -> None:
    if "\0" in text:
        _refuse("holds the character U+0000")
    if not text.isascii() and _LOST.search(text):
        _refuse("holds half a character: U+FFFD or half of a surrogate pair")
    if not text.strip():
        _refuse("empty answer")


def _text(text: str, gives: Gives, schema: Schema | None) -> list[dict[str, Any]]:
    return [{gives.columns[0]: text.strip()}]


def _label(text: str, gives: Gives, schema: Schema | None) -> list[dict[str, Any]]:
    column = gives.columns[0]
    word = _chosen(text, (schema or {"enum": []})["enum"], column)
    values = gives.record["properties"][column]["enum"]
    typed = {as_word(value): value for value in values} if isinstance(values, list) else {}
    return [{column: typed.get(word, word)}]


def _chosen(text: str, words: list[str], column: str) -> str:
    """The one word that the answer is, give or take case, quotes, a final stop and a leading `Label:`.

    Or the one value of a JSON object: endpoints that constrain answers know no other form for a choice.
    """
    said = text.strip()
    if said.startswith("{") and said.endswith("}"):
        with suppress(ValueError):
            value = json.loads(said)
            if len(value) == 1:
                said = as_word(next(iter(value.values())))
    plain = said.strip(_QUOTES).rstrip(".!,;").strip(_QUOTES)
    start = re.match(rf"(?:{re.escape(column)}|label|answer|category)\W{{0,3}}[:=]", plain, re.IGNORECASE)
    forms = [said, plain, plain[start.end() :].strip(_QUOTES) if start else plain]
    for form in forms:
        if form in words:
            return form
    for form in forms:
        near = [word for word in words if word.casefold() == form.casefold()]
        if len(near) == 1:
            return near[0]
    return _refuse(f"'{said[:60]}' is none of {', '.join(words)}"[:300])


def _list(text: str, gives: Gives, schema: Schema | None) -> list[dict[str, Any]]:
    """Items of one kind at one depth; lines that are indented deeper belong to the item above."""
    items: list[list[str]] = []
    kind: tuple[str, bool] | None = None
    for number, line in enumerate(text.strip().splitlines(), 1):
        found = _ITEM.fullmatch(line)
        here = (found[1].expandtabs(4), bool(found[2])) if found else None
        if found and (kind is None or here == kind):
            kind = here
            items.append([found[3] or ""])
        elif kind is not None and (not line.strip() or _depth(line) > len(kind[0])):
            items[-1].append(line.strip())
        elif not (number == 1 and line.rstrip().endswith(":")) and line.strip():
            _refuse(f"line {number} is not an item of the list")
    texts = ["\n".join(item).strip() for item in items]
    if not texts or "" in texts:
        _refuse("an item is empty" if texts else "no list")
    return [{gives.columns[0]: item} for item in texts]


def _depth(line: str) -> int:
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip())


def _tags(text: str, gives: Gives, schema: Schema | None) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [{}]
    tag, start = "", 0
    for found in re.finditer(rf"<(/?)({'|'.join(gives.columns)})>", text):
        closing, name = found.groups()
        if bool(tag) != bool(closing) or (closing and name != tag):
            _refuse(f"{found[0]} stands where no {'</' + tag + '>' if tag else 'tag is open'} could stand"[:200])
        if not closing:
            tag, start = name, found.end()
            if name in records[-1]:
                records.append({})
        else:
            records[-1][name] = _typed(text[start : found.start()].strip(), gives.record["properties"][name], name)
            tag = ""
    if tag:
        _refuse(f"<{tag}> is not closed")
    if len(records) > 1 and not gives.many:
        _refuse("a tag stands twice")
    for record in records:
        _fill(record, gives.record)
        _check(record, gives.record)
    return [{column: record[column] for column in gives.columns} for record in records]


def _typed(value: str, column: Schema, name: str) -> Any:
    """A tag's text as its column's type."""
    column = column["anyOf"][0] if "anyOf" in column else column
    if "enum" in column:
        word = _chosen(value, [as_word(choice) for choice in column["enum"]], name)
        return next(choice for choice in column["enum"] if as_word(choice) == word)
    if not value:
        _refuse(f"<{name}> is empty")
    return value if column["type"] == "string" else _decode(value.casefold())


def _json(text: str, gives: Gives, schema: Schema | None) -> list[dict[str, Any]]:
    value = _json_value(text.strip())
    if gives.many and isinstance(value, list):
        value = {"items": value}
    schema = schema or gives.record
    _fill(value, schema)
    _check(value, schema)
    records = value["items"] if gives.many else [value]
    if not records:
        _refuse("no records")
    return [{column: record.get(column) for column in gives.columns} for record in records]


def _json_value(text: str) -> Any:
    """The whole text, the one fenced block in it, or the one object in it with no bracket around."""
    try:
        return _decode(text)
    except _Unreadable:
        lines = text.splitlines()
        fences = [number for number, line in enumerate(lines) if line.lstrip().startswith("```")]
        if fences:
            if len(fences) != 2 or lines[fences[0]].strip().lower() not in ("```", "```json"):
                _refuse("not exactly one block of JSON")
            around = lines[: fences[0]] + lines[fences[1] :]
            _check_prose("\n".join(around))
            return _decode("\n".join(lines[fences[0] + 1 : fences[1]]))
        if (start := text.find("{")) < 0:
            raise
    value, end = _decoded(text, start)
    _check_prose(text[:start] + text[end:])
    return value


def _check_prose(around: str) -> None:
    if any(bracket in around for bracket in "{}[]"):
        _refuse("brackets outside of the JSON")


def _decode(text: str) -> Any:
    value, end = _decoded(text, 0)
    if text[end:].strip():
        _refuse("text after the JSON")
    return value


def _decoded(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that starts there, and its end."""
    start += len(text) - start - len(text[start:].lstrip())
    try:
        value, end = _DECODER.raw_decode(text, start)
    except ValueError as error:
        _refuse(f"no JSON: {error}")
    if "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH:
        _check_value(value, 0)
    return value, end


def _check_value(value: Any, depth: int) -> None:
    """What escapes can smuggle in, and depth."""
    if depth > MAX_DEPTH:
        _refuse("nested too deeply")
    if isinstance(value, str) and ("\0" in value or _LOST.search(value)):
        _refuse("an escape that is no character")
    if isinstance(value, dict):
        _check_value(list(value), depth)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            _check_value(inner, depth + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse("a key stands twice in one object")
    return found


def _integer(text: str) -> int:
    number = int(text) if len(text) < 21 else MAX_INTEGER
    return number if -MAX_INTEGER <= number < MAX_INTEGER else _refuse(f"{text[:30]} is too large")


def _number(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(f"{text[:30]} is too large")


def _constant(text: str) -> NoReturn:
    _refuse(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def _fill(value: Any, schema: Schema) -> None:
    """Put null where a key that may be null is missing; refuse 3.0 for an integer, which JSON Schema allows."""
    if isinstance(value, dict):
        for key, inner in schema.get("properties", {}).items():
            if key in value:
                if type(value[key]) is float and "integer" in _types(inner):
                    _refuse(f"{key}: {value[key]} is not an integer")
                _fill(value[key], inner)
            elif inner.get("anyOf", ())[-1:] == [{"type": "null"}]:
                value[key] = None
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            _fill(item, schema["items"])


def _types(schema: Schema) -> list[Any]:
    return [schema.get("type"), *(option.get("type") for option in schema.get("anyOf", ()))]


def _check(value: Any, schema: Schema) -> None:
    """Refuse what the schema does not allow."""
    known = _validators.get(id(schema))
    if known is None or known[0] is not schema:
        if len(_validators) >= _REMEMBERED:
            _validators.clear()
        known = _validators[id(schema)] = (schema, validator(schema).iter_errors)
    for error in known[1](value):
        where = ".".join(str(key) for key in error.instance_path)
        _refuse(f"{where or 'the answer'}: {error.message}"[:300])


_READERS: dict[Format, Callable[[str, Gives, Schema | None], list[dict[str, Any]]]] = {
    "text": _text,
    "label": _label,
    "list": _list,
    "tags": _tags,
    "json": _json,
}
