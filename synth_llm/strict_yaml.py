"""The one YAML reader: YAML 1.2 core schema, strict, with the line of every value.

What differs between YAML readers, or surprises people, is refused with a sentence that says what to write instead:
duplicate keys, anchors, aliases, merge keys, tags, keys that are not text, several documents, tabs, control characters.
`no`, `on`, `12:30`, `1_000` and dates stay text; `010` is the number 10. The result holds JSON values only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml import events

from synth_llm.errors import InputError

MAX_BYTES = 10_000_000
MAX_DEPTH = 64

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_FORBIDDEN = re.compile("[\0-\t\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)")
_HINTS = {
    "mapping values are not allowed": "; put a text that holds ': ' in quotes",
    "cannot start any token": "; put a text that starts with a sign in quotes",
}

Loc = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text as plain data (None when it is empty), and where each of its values stands."""

    value: Any
    lines: dict[tuple[str | int, ...], int]

    def line(self, loc: Loc) -> int:
        """The line in the file (from 1) of the value at this path of keys and indices, or of its nearest ancestor.

        >>> parse("a:\\n  b: [1, 2]", "x.yaml").line(["a", "b", 1, "no such key"])
        2
        """
        path = tuple(loc)
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines[path]


def load(path: Path) -> Document:
    """Read a YAML file. Raises InputError for a file that cannot be read and for everything that `parse` refuses."""
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (a byte order mark is dropped). Raises InputError when it is none, or over 10 MB."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path) from error
    if len(data) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES // 1_000_000} MB; keep rows in a data file of their own", path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8; save it as UTF-8", path, data.count(b"\n", 0, error.start) + 1) from error


def parse(text: str, path: str | Path, offset: int = 0) -> Document:
    """Read a YAML text. `path` is for errors, `offset` the number of lines before the text in that file.

    Raises InputError with path and line for what is not valid YAML and for all that this reader refuses.

    >>> parse("{country: no, port: 0x1F, when: 2024-01-01}", "x.yaml").value
    {'country': 'no', 'port': 31, 'when': '2024-01-01'}
    """
    text = text.removeprefix("\ufeff")
    if found := _FORBIDDEN.search(text):
        what = "a tab; write spaces" if found[0] == "\t" else f"the character U+{ord(found[0]):04X}; remove it"
        line = offset + text.count("\n", 0, found.start()) + 1
        raise InputError(f"holds {what}, or write it as an escape in double quotes", path, line)
    reader = _Reader(yaml.parse(text, Loader=_LOADER), path, offset)
    try:
        return reader.document()
    except yaml.MarkedYAMLError as error:
        scanning = (error.context or "").startswith("while scanning")
        mark = (error.context_mark if scanning else None) or error.problem_mark or error.context_mark
        hint = next((hint for start, hint in _HINTS.items() if start in (error.problem or "")), "")
        where = f"{error.context}: " if error.context else ""
        line = offset + 1 + (min(mark.line, text.count("\n")) if mark else 0)
        raise InputError(f"not valid YAML: {where}{error.problem}{hint}", path, line) from error
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {error}", path, offset + 1) from error


class _Reader:
    """Builds plain data from the events of PyYAML's parser, and notes lines on the way."""

    def __init__(self, stream: Iterator[Any], path: str | Path, offset: int) -> None:
        self.stream, self.path, self.offset = stream, path, offset
        self.lines: dict[tuple[str | int, ...], int] = {(): offset + 1}

    def document(self) -> Document:
        next(self.stream)  # the start of the stream
        value = None
        if isinstance(next(self.stream), events.DocumentStartEvent):
            first = next(self.stream)
            self.lines[()] = self._line(first)
            value = self._value(first, ())
            next(self.stream)  # the end of the document
            if isinstance(after := next(self.stream), events.DocumentStartEvent):
                self._refuse("a second document starts here ('---'); one file holds one", after)
        return Document(value, self.lines)

    def _line(self, event: Any) -> int:
        return self.offset + int(event.start_mark.line) + 1

    def _refuse(self, message: str, event: Any) -> NoReturn:
        raise InputError(message, self.path, self._line(event))

    def _value(self, event: Any, loc: tuple[str | int, ...]) -> Any:
        if isinstance(event, events.AliasEvent) or event.anchor is not None:
            self._refuse("anchors (&) and aliases (*) are not read; write it out, or put the text in quotes", event)
        if event.tag is not None:
            self._refuse("tags (!) are not read; write it without, or put the text in quotes", event)
        if len(loc) > MAX_DEPTH:
            self._refuse(f"is nested deeper than {MAX_DEPTH} levels", event)
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(loc)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(loc)
        return self._scalar(event)

    def _sequence(self, loc: tuple[str | int, ...]) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.stream), events.SequenceEndEvent):
            here = (*loc, len(items))
            self.lines[here] = self._line(event)
            items.append(self._value(event, here))
        return items

    def _mapping(self, loc: tuple[str | int, ...]) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self.stream), events.MappingEndEvent):
            key = self._key(event, loc)
            here = (*loc, key)
            if key in items:
                self._refuse(f"key '{key}' stands twice, first in line {self.lines[here]}", event)
            self.lines[here] = self._line(event)
            items[key] = self._value(next(self.stream), here)
        return items

    def _key(self, event: Any, loc: tuple[str | int, ...]) -> str:
        if isinstance(event, events.ScalarEvent) and event.implicit[0] and event.value == "<<":
            self._refuse("merge keys (<<) are not read; write it out", event)
        key = self._value(event, loc)
        if isinstance(key, (dict, list)):
            self._refuse("a key must be a text; put a text that starts with '{' or '[' in quotes", event)
        if not isinstance(key, str):
            self._refuse(f"key {event.value or 'without a name'} is not a text; write '{event.value}' in quotes", event)
        return key

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block
            if any("\ud800" <= char <= "\udfff" for char in text):
                self._refuse("holds half of a surrogate pair; write the character itself", event)
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        try:
            if _INT.fullmatch(text):
                return int(text)
            if _BASED.fullmatch(text):
                return int(text, 0)
        except ValueError:  # Python refuses to read more than 4,300 digits
            self._refuse("the number has too many digits; put it in quotes", event)
        if _NOT_JSON.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
            self._refuse(f"{text[:20]} is not a number JSON has; leave it out, or put it in quotes", event)
        return float(text) if _FLOAT.fullmatch(text) else text
