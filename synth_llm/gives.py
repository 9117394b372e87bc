"""What a prompt gives back: the short form of JSON Schema that prompts use, and the form its answers are written in.

{text: string}                          one text: the whole answer
{label: [spam, ham]}                    one of these words
{label: one of labels}                  one of the values of the variable `labels`
{title: string, score: 1..5}            one JSON object
{title: string, "tags?": [string]}      a list of texts that may be null
[{question: string, answer: string}]    many records
{type: object, properties: ...}         a full JSON Schema
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, cast, get_args

from synth_llm.errors import InputError, Reject, nearest
from synth_llm.models.request import Schema
from synth_llm.row import canonical
from synth_llm.strict_yaml import Document

Format = Literal["text", "tags", "json", "label", "list"]

_TYPES = ("string", "integer", "number", "boolean")
_BOUNDS = re.compile(r"(-?\d{1,15}(?:\.\d{1,15})?)\.\.(-?\d{1,15}(?:\.\d{1,15})?)")
_ONE_OF = re.compile(r"one of ([A-Za-z_]\w*)")
_REMEMBERED = 256


@dataclass(frozen=True)
class Gives:
    """What an answer holds. Built by `Gives.of`."""

    columns: tuple[str, ...]
    many: bool
    """Whether an answer holds many records."""
    format: Format
    record: Schema
    """The JSON Schema of one record. Where a variable lists the values, `enum` is a `OneOf`."""
    needs: frozenset[str]
    """The variables that list values."""
    _sent: Schema | None = field(repr=False)
    _resolved: dict[str, Schema] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def of(
        value: Any, form: str | None = None, *, document: Document | None = None, path: str | Path | None = None
    ) -> Gives:
        """Read the short form, or a full JSON Schema (a Pydantic model's `model_json_schema()` too).

        `document` and `path` are where it was written, under the key `gives`. Raises InputError, with the key.

        >>> Gives.of({"label": ["spam", "ham"]}).format
        'label'
        """
        reader = _Reader(document, path)
        many = isinstance(value, list)
        loc: tuple[str | int, ...] = (0,) if many else ()
        item = value[0] if many and len(value) == 1 else value
        if not isinstance(item, dict) or not item:
            reader.refuse("write the columns, as {text: string}, or [{text: string}] for many records", ())
        record = reader.full(item, loc) if _is_full(item) else reader.mapping(item, loc)
        columns = tuple(record["properties"])
        for column in columns:
            if not column.isidentifier() or column.startswith("_"):
                reader.refuse(f"'{column}' cannot be a column: letters, digits and _, first a letter", (*loc, column))
        form = reader.form(form, record, many)
        needs = frozenset(values.variable for values in _variables(record))
        if needs and form in ("tags", "list"):
            reader.refuse(f"'one of' needs format json or label, not {form}", loc)
        return Gives(columns, many, form, record, needs, _sent(record, many, form))

    def schema(self, variables: Mapping[str, Any]) -> Schema | None:
        """The JSON Schema that is sent to the engine; None for text, tags and lists.

        Equal variables give the same object. Raises Reject as `template` when a variable is no list of texts.
        """
        if not self.needs or self._sent is None:
            return self._sent
        values = {name: _texts(name, variables.get(name)) for name in self.needs}
        key = canonical(values)
        if key not in self._resolved:
            if len(self._resolved) >= _REMEMBERED:
                self._resolved.clear()
            self._resolved[key] = _resolve(self._sent, values)
        return self._resolved[key]


@dataclass(frozen=True)
class OneOf:
    """Stands for the values of a variable."""

    variable: str


@dataclass
class _Reader:
    """Reads the short form; knows where it was written."""

    document: Document | None
    path: str | Path | None

    def refuse(self, message: str, loc: tuple[str | int, ...]) -> NoReturn:
        line = self.document.line(("gives", *loc)) if self.document else None
        where = ".".join(str(key) for key in ("gives", *loc))
        raise InputError(f"{where}: {message}", self.path, line)

    def mapping(self, value: dict[str, Any], loc: tuple[str | int, ...]) -> Schema:
        properties: dict[str, Schema] = {}
        for key, inner in value.items():
            name = str(key).removesuffix("?")
            if not name or name in properties:
                self.refuse("names must be there, and differ", (*loc, key))
            schema = self.value(inner, (*loc, key))
            properties[name] = {"anyOf": [schema, {"type": "null"}]} if name != key else schema
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def value(self, value: Any, loc: tuple[str | int, ...]) -> Schema:
        if isinstance(value, str):
            return self.word(value, loc)
        if isinstance(value, dict) and value:
            if _is_full(value):
                self.refuse("a full JSON Schema must be the whole of it", loc)
            return self.mapping(value, loc)
        if isinstance(value, list) and len(value) == 1:
            return {"type": "array", "items": self.value(value[0], (*loc, 0))}
        if isinstance(value, list) and len(value) > 1:
            return self.enumeration(value, loc)
        return self.refuse(f"{value!r} is no type; write one of {', '.join(_TYPES)}, 1..5, [a, b]", loc)

    def word(self, word: str, loc: tuple[str | int, ...]) -> Schema:
        if word in _TYPES:
            return {"type": word}
        if found := _ONE_OF.fullmatch(word):
            return {"type": "string", "enum": OneOf(found[1])}
        if found := _BOUNDS.fullmatch(word):
            whole = "." not in found[1] + found[2]
            low, high = (int(end) if whole else float(end) for end in found.groups())
            if low > high:
                self.refuse(f"{word} holds no number; write the smaller one first", loc)
            return {"type": "integer" if whole else "number", "minimum": low, "maximum": high}
        return self.refuse(f"no type '{word}'{nearest(word, _TYPES)} (or 1..5, one of VARIABLE)", loc)

    def enumeration(self, values: list[Any], loc: tuple[str | int, ...]) -> Schema:
        for number, value in enumerate(values):
            if not isinstance(value, (str, int, float)):
                self.refuse("an enumeration holds texts or numbers; a list of one type has one item", (*loc, number))
            if value in values[:number] or value == "":
                self.refuse(f"{value!r} stands twice, or is empty", (*loc, number))
        return {"enum": values} if not all(isinstance(v, str) for v in values) else {"type": "string", "enum": values}

    def full(self, value: Schema, loc: tuple[str | int, ...]) -> Schema:
        """A full JSON Schema, closed: its columns must be known."""
        if value.get("type") != "object" or not isinstance(value.get("properties"), dict) or not value["properties"]:
            self.refuse("a full JSON Schema must have type: object and properties", loc)
        if value.get("additionalProperties", False) is not False:
            self.refuse("the columns must be known; leave additionalProperties out", loc)
        for target in _references(value):
            name = target.removeprefix("#/$defs/")
            if name == target or name not in value.get("$defs", {}):
                self.refuse(f"$ref '{target}' is not under $defs", loc)
        import jsonschema_rs

        try:
            validator(value)
        except jsonschema_rs.ValidationError as error:
            self.refuse(f"no JSON Schema: {error.message[:200]}", (*loc, *error.instance_path))
        return {"required": list(value["properties"]), **value, "additionalProperties": False}

    def form(self, given: str | None, record: Schema, many: bool) -> Format:
        """The format, checked against what it can hold; when none is given, the simplest that can hold it."""
        columns = list(record["properties"].values())
        one_text = columns == [{"type": "string"}]
        one_choice = len(columns) == 1 and "enum" in columns[0]
        if given is None:
            return "json" if many else "text" if one_text else "label" if one_choice else "json"
        fits = {
            "text": (one_text and not many, "one column of type string"),
            "label": (one_choice and not many, "one column that is an enumeration"),
            "list": (one_text and many, "many records of one column of type string: [{text: string}]"),
            "tags": (all(_is_scalar(column) for column in columns), "columns that hold one value each"),
            "json": (True, ""),
        }
        if given not in fits:
            known = get_args(Format)
            raise InputError(f"no format '{given}'{nearest(str(given), known)}", self.path, self._line_of_form())
        right, rule = fits[given]
        if not right:
            raise InputError(f"format {given} needs {rule}", self.path, self._line_of_form())
        return cast("Format", given)

    def _line_of_form(self) -> int | None:
        return self.document.line(("format",)) if self.document else None


def validator(schema: Schema) -> Any:
    """What checks values against a schema: it fetches nothing, and matches patterns in linear time."""
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(
        schema, retriever=_no_retriever, pattern_options=jsonschema_rs.RegexOptions()
    )


def _no_retriever(uri: str) -> NoReturn:
    raise LookupError(f"{uri}: schemas are not fetched")


def _is_full(value: dict[str, Any]) -> bool:
    return "$schema" in value or (value.get("type") == "object" and isinstance(value.get("properties"), dict))


def _is_scalar(column: Schema) -> bool:
    choice = column["anyOf"][0] if "anyOf" in column else column
    return "enum" in choice or choice.get("type") in _TYPES


def _sent(record: Schema, many: bool, form: Format) -> Schema | None:
    if form == "label":
        words = next(iter(record["properties"].values()))["enum"]
        return {"enum": words if isinstance(words, OneOf) else [as_word(word) for word in words]}
    if form != "json":
        return None
    if not many:
        return record
    record = dict(record)
    shared = {"$defs": record.pop("$defs")} if "$defs" in record else {}
    items = {"items": {"type": "array", "items": record}}
    return {"type": "object", "properties": items, "required": ["items"], "additionalProperties": False, **shared}


def as_word(value: Any) -> str:
    """How a value of an enumeration is written in plain text."""
    return value if isinstance(value, str) else canonical(value)


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) and word for word in value):
        raise Reject("template", f"{name}: must be a list of texts")
    if not value or len(set(value)) < len(value):
        raise Reject("template", f"{name}: must hold texts that differ")
    return list(value)


def _walk(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from _walk(inner)


def _variables(schema: Schema) -> Iterator[OneOf]:
    return (node["enum"] for node in _walk(schema) if isinstance(node.get("enum"), OneOf))


def _references(schema: Schema) -> Iterator[str]:
    return (node["$ref"] for node in _walk(schema) if isinstance(node.get("$ref"), str))


def _resolve(schema: Any, values: Mapping[str, list[str]]) -> Any:
    if isinstance(schema, OneOf):
        return values[schema.variable]
    if isinstance(schema, dict):
        return {key: _resolve(inner, values) for key, inner in schema.items()}
    return [_resolve(inner, values) for inner in schema] if isinstance(schema, list) else schema
