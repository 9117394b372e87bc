"""A model's chat template, up to where the user would write: what makes an aligned model write the user's message.

Magpie (Xu et al. 2024, arXiv 2406.08464, section 2): the text before a user's message is sent as it is, and the model
goes on with what users say.
"""

from __future__ import annotations

import json
import mmap
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from synth_llm.errors import InputError, Reject
from synth_llm.models.request import Message

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The commonest template: what a Python function is asked by."""

_HERE = "what-the-user-writes-stands-here"
_MARKER = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]|[^\n]+")
"""What ends a turn: one special token, or the rest of its line."""
_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template in the form of Hugging Face's, with the text of the token that ends a turn.

    The token that begins a text is left out: engines put it before a text that they go on with.
    """

    source: str
    eos: str = ""
    where: str = field(default="the chat template", compare=False)
    """What errors call it."""

    def check(self) -> None:
        """Raises InputError when no user's turn can be opened by it."""
        try:
            self.user_turn([])
        except Reject as reject:
            raise InputError(f"{self.where}: {reject.detail}") from None

    def user_turn(self, before: Sequence[Message]) -> tuple[str, tuple[str, ...]]:
        """The text up to where the user writes after the messages `before`, and what ends the user's turn.

        Raises Reject as `template` when the template does not take these messages.
        """
        import jinja2

        messages = [*before, {"role": "user", "content": _HERE}]
        try:
            text = self._template.render(
                messages=messages, add_generation_prompt=True, bos_token="", eos_token=self.eos
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError) as error:
            raise Reject("template", f"the model's chat template refuses the messages: {error}"[:300]) from error
        start, found, rest = text.rpartition(_HERE)
        if not found:
            raise Reject("template", "the model's chat template leaves the user's message out")
        end = _MARKER.match(rest.lstrip())
        return start, (end[0].rstrip(),) if end else ()

    @cached_property
    def _template(self) -> Any:
        """Compiled once. No clock is offered: a prompt that tells today's date would be another one tomorrow."""
        from jinja2 import TemplateSyntaxError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        env = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], autoescape=False
        )
        env.globals["raise_exception"] = _refuse
        env.filters["tojson"] = lambda value, **given: json.dumps(value, ensure_ascii=False, **given)
        try:
            return env.from_string(self.source)
        except TemplateSyntaxError as error:
            raise InputError(f"{self.where}: cannot be read: {error}") from None


def of_gguf(path: Path) -> ChatTemplate:
    """The template in a GGUF file's metadata. Raises InputError when it has none."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            known = _metadata(data)
    except (OSError, ValueError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise InputError(f"its metadata cannot be read: {error}", path) from None
    if "tokenizer.chat_template" not in known:
        raise InputError("no chat template in its metadata; write the model's `template: FILE`", path)
    return ChatTemplate(known["tokenizer.chat_template"], known.get("eos", ""), str(path))


def of_path(path: Path) -> ChatTemplate:
    """The template in a file, or of a folder that holds a tokenizer. Raises InputError when there is none."""
    if path.is_file():
        return ChatTemplate(_read(path), where=str(path))
    config = path / "tokenizer_config.json"
    try:
        known = json.loads(_read(config)) if config.is_file() else {}
    except ValueError as error:
        raise InputError(f"is no JSON: {error}", config) from None
    source = _read(path / "chat_template.jinja") if (path / "chat_template.jinja").is_file() else None
    source = source or known.get("chat_template")
    if isinstance(source, list):  # several by name
        source = next((one["template"] for one in source if one.get("name") == "default"), None)
    if not isinstance(source, str):
        raise InputError("no chat template among the tokenizer's files; write the model's `template: FILE`", path)
    eos = known.get("eos_token") or ""
    return ChatTemplate(source, eos["content"] if isinstance(eos, dict) else eos, str(path))


def of_run(journal: Path, model: str) -> ChatTemplate:
    """What the manifest beside a journal tells of a model's template. Raises InputError when it tells nothing."""
    manifest = (journal if journal.is_dir() else journal.parent) / "manifest.json"
    try:
        known = json.loads(_read(manifest) if manifest.is_file() else "{}")["models"][model]["template"]
        return ChatTemplate(known["source"], known["eos"], str(manifest))
    except (ValueError, LookupError, TypeError):
        raise InputError(f"tells no chat template of model '{model}'; write its `template: FILE`", manifest) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path) from None


def _refuse(message: str) -> NoReturn:
    """What templates call `raise_exception`."""
    raise ValueError(message)


def _metadata(data: mmap.mmap) -> dict[str, str]:
    """The template of a GGUF file, and the text of its end token as `eos`.

    The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Raises ValueError for another file.
    """
    magic, version, _, count = struct.unpack_from("<4sIQQ", data)
    if magic != b"GGUF" or version < 2:
        raise ValueError("no GGUF file, or of version 1")
    at, known, tokens, end = 24, {}, -1, -1
    for _ in range(count):
        name, at = _string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        at += 4
        if name == "tokenizer.chat_template" and kind == _TEXT:
            known[name] = _string(data, at)[0]
        elif name == "tokenizer.ggml.tokens":
            tokens = at
        elif name == "tokenizer.ggml.eos_token_id":
            (end,) = struct.unpack_from("<" + _FIXED[kind], data, at)
        at = _after(data, at, kind)
    if tokens >= 0 and end >= 0:
        tokens += 12  # the type of the items, and how many
        for _ in range(end):
            tokens = _after(data, tokens, _TEXT)
        known["eos"] = _string(data, tokens)[0]
    return known


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    """A text, and where it ends."""
    end = _after(data, at, _TEXT)
    return data[at + 8 : end].decode(), end


def _after(data: mmap.mmap, at: int, kind: int) -> int:
    """Where a value ends."""
    if kind == _TEXT:
        (size,) = struct.unpack_from("<Q", data, at)
        return at + 8 + int(size)
    if kind != _LIST:
        return at + struct.calcsize("<" + _FIXED[kind])
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner in _FIXED:
        return at + int(count) * struct.calcsize("<" + _FIXED[inner])
    for _ in range(count):
        at = _after(data, at, inner)
    return at
