"""What must not be passed on: keys and tokens, and personal identifiers, in what is about to be pushed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from synth_llm import output
from synth_llm.documents import read_document
from synth_llm.errors import InputError
from synth_llm.journal import Journal
from synth_llm.keys import SURE
from synth_llm.models.request import Answer
from synth_llm.pii import USUAL, find
from synth_llm.vectors import VECTORS

SECRET = "secret"
KINDS = (SECRET, *USUAL)
SHOWN = 5
"""Finds that an error names."""

_FORMS = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "an API key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{50,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "a Slack token": r"\bxox[abeprs]-[0-9A-Za-z-]{10,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
}
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)$")


class Find(NamedTuple):
    """Something that should not be passed on; never the thing itself."""

    where: str
    kind: str
    """`secret`, or a type of personal identifier."""
    what: str


def check(places: Iterable[tuple[str, str]], allow: Collection[str] = ()) -> None:
    """Raise InputError when one of the texts, each with its place, holds a secret or an identifier not of `allow`."""
    unknown = [kind for kind in allow if kind not in KINDS]
    if unknown:
        raise InputError(f"--allow {unknown[0]}: there are {', '.join(KINDS)}")
    found: dict[tuple[str, str], Find] = {}
    count = 0
    for where, text in places:
        for one in finds(where, text):
            if one.kind not in allow:
                count += 1
                if len(found) < SHOWN:
                    found.setdefault((one.where, one.what), one)
    if found:
        shown = "; ".join(f"{one.where} holds {one.what}" for one in found.values())
        more = f" (and {count - len(found):,} more)" if count > len(found) else ""
        kinds = " ".join(f"--allow {kind}" for kind in dict.fromkeys(one.kind for one in found.values()))
        raise InputError(
            f"nothing was pushed: {shown}{more}; redact such rows (step `redact`, filter `pii`), or push with {kinds}"
        )


def finds(where: str, text: str) -> Iterator[Find]:
    """What a text holds that should not be passed on."""
    for what, pattern in _patterns():
        if pattern.search(text):
            yield Find(where, SECRET, what)
    for name, value in _own():
        if value in text:
            yield Find(where, SECRET, f"what ${name} is here")
    for span in find(text, USUAL):
        yield Find(where, span.type, f"an identifier ({span.type})")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(what, re.compile(form)) for what, form in _FORMS.items()]


@cache
def _own() -> list[tuple[str, str]]:
    """The secrets of this environment, by the names of their variables."""
    return [(name, value) for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= SURE]


def texts_of(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """The texts about to be pushed, each with its place: rows by number and column, answers by their key."""
    for path, file in files.items():
        if file.suffix == ".parquet":
            yield from _rows(path, file)
        elif path == output.JOURNAL:
            yield from _answers(path, file)
        elif path.startswith(f"{VECTORS}/"):
            continue  # numbers
        else:
            for number, line in enumerate(_text(file).splitlines(), 1):
                yield f"{path} line {number}", line


def _text(file: Path) -> str:
    """The text of a file; of a PDF what stands on its pages, of other formats what in them is text."""
    if file.suffix.lower() == ".pdf":
        return "\n".join(str(row["text"]) for row in read_document(file))
    return file.read_text(encoding="utf-8", errors="replace")


def _rows(path: str, file: Path) -> Iterator[tuple[str, str]]:
    import pyarrow.parquet as pq

    number = 0
    with pq.ParquetFile(file) as rows:
        for batch in rows.iter_batches():
            for row in batch.to_pylist():
                number += 1
                for column, value in row.items():
                    for text in _texts(value):
                        yield f"{path} row {number} column '{column}'", text


def _answers(path: str, file: Path) -> Iterator[tuple[str, str]]:
    with closing(Journal.open(file, read_only=True)) as journal:
        for key, request in journal.requests():
            answer = journal.get(key)
            where = f"{path} request {key[:12]}"
            for text in (*_texts(request), *(_texts(_body(answer)) if answer else ())):
                yield where, text


def _body(answer: Answer) -> Any:
    """What an endpoint sent; as a text when it is no JSON."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body.decode("utf-8", "replace")


def _texts(value: Any) -> Iterator[str]:
    """The texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
