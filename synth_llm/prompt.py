"""Prompts: a Jinja file with a YAML head that says what it is about, what it needs and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Template

from synth_llm.errors import InputError, Reject, nearest
from synth_llm.fence import fence_key, key
from synth_llm.gives import Gives
from synth_llm.library import Library
from synth_llm.models.request import Message
from synth_llm.roles import Messages, messages, wrong_order
from synth_llm.sandbox import Budget, budget, environment
from synth_llm.strict_yaml import Document, parse
from synth_llm.template import Parts, plain

__all__ = ["Prompt", "environment", "load_prompt"]

_KEYS = frozenset({"about", "needs", "gives", "format", "speaks"})
_SPEAKERS = ("assistant", "user")


@dataclass(frozen=True)
class Prompt:
    """A prompt as loaded: its files are not read again."""

    name: str
    path: Path
    about: str
    needs: frozenset[str]
    """Variables that it cannot do without."""
    optional: frozenset[str]
    """Variables that it tests for first."""
    gives: Gives
    speaks: str
    """Whose message the model writes: the `assistant`'s, or by its own chat template the `user`'s."""
    sha256: str
    """Of the file, and of all that it includes, imports and extends."""
    _template: Template = field(repr=False)
    _one_message: bool = field(repr=False)

    @property
    def texts(self) -> dict[str, str]:
        """The files that it is made of, by their names in the library."""
        parts = self._template.environment.loader
        assert isinstance(parts, Parts)
        return {name: part.text for name, part in parts.files.items()}

    def render(self, variables: Mapping[str, Any], seed: int = 0) -> list[Message]:
        """The messages for these variables; text in them is data, whatever it holds. The fences are those of `seed`.

        Raises Reject as `template` when a value is missing or null, when the template fails on these values, or when
        the messages are none that a model can be sent.
        """
        into = Messages()
        left, said, fences = budget.set(Budget()), messages.set(into), key.set(fence_key(seed))
        env = self._template.environment
        try:
            # The globals are put in here: Jinja's own way, through a ChainMap, costs as much as the rendering.
            # `fence` comes last: no column of that name can take its place.
            own = env.globals
            values = {**own, **variables, "fence": own["fence"]}
            context = env.context_class(env, values, self._template.name, self._template.blocks)
            rest = "".join(self._template.root_render_func(context)).strip()
        except Exception as error:  # whatever a template does with a row's values is that row's failure
            raise Reject("template", _where(error)) from error
        finally:
            budget.reset(left)
            messages.reset(said)
            key.reset(fences)
        if self._one_message and not into.said and self.speaks == "assistant":
            into.said.append({"role": "user", "content": rest})
        elif rest:
            raise Reject("template", f"'{rest[:40]}' is outside of the messages")
        if wrong := wrong_order(tuple([message["role"] for message in into.said]), self.speaks):
            raise Reject("template", wrong)
        for message in into.said:
            if not message["content"]:
                raise Reject("template", f"the {message['role']} message is empty")
            try:
                message["content"].encode()
            except UnicodeEncodeError as error:
                raise Reject("template", f"the {message['role']} message holds half of a surrogate pair") from error
        return into.said


def load_prompt(name: str, library: Library) -> Prompt:
    """Read the prompt `name` and everything it is made of.

    Raises InputError, with file and line, for all that can be known without a row: what is not YAML or Jinja, files
    and filters that do not exist, needs that are not those of the template.
    """
    parts = Parts(name, library)
    entry = parts.files[parts.name]
    head = _read_head(entry.head, entry.path)
    about = head.value.get("about", "")
    if not isinstance(about, str):
        raise InputError("about: must be a text", entry.path, head.line(("about",)))
    gives, speaks = _gives(parts), head.value.get("speaks", "assistant")
    if speaks not in _SPEAKERS:
        message = f"speaks: must be one of {', '.join(_SPEAKERS)}"
        raise InputError(message, entry.path, head.line(("speaks",)))
    if speaks == "user" and gives.format != "text":
        message = "speaks: user writes a message as it comes; its prompt gives one text"
        raise InputError(message, entry.path, head.line(("speaks",)))
    parts.check_order(speaks)
    derived = parts.needs(parts.name)
    needs, optional = derived.required | gives.needs, derived.optional - gives.needs
    if "needs" in head.value:
        _check_needs(head, entry.path, needs, optional)
    template = parts.env.get_template(parts.name)
    return Prompt(
        plain(name), entry.path, about, needs, optional, gives, speaks, parts.sha256, template, not parts.has_messages
    )


def _read_head(text: str, path: Path) -> Document:
    """The head, `{}` when there is none."""
    head = parse(text or "{}", path, 1)
    if head.value is None:
        return Document({}, head.lines)
    if not isinstance(head.value, dict):
        raise InputError(f"the head must be a mapping with the keys {', '.join(sorted(_KEYS))}", path, head.line(()))
    for name in head.value:
        if name not in _KEYS:
            raise InputError(f"no key '{name}' in a prompt's head{nearest(name, _KEYS)}", path, head.line((name,)))
    return head


def _gives(parts: Parts) -> Gives:
    """What the prompt's own head says, else that of the nearest file it extends, else one text."""
    for part in parts.chain(parts.name):
        head = _read_head(part.head, part.path)
        if "gives" in head.value or "format" in head.value:
            given = head.value.get("gives", {"text": "string"})
            return Gives.of(given, head.value.get("format"), document=head, path=part.path)
    return Gives.of({"text": "string"})


def _check_needs(head: Document, path: Path, needs: frozenset[str], optional: frozenset[str]) -> None:
    """Raises InputError when the head's list is not what the template needs."""
    listed, line = head.value["needs"], head.line(("needs",))
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise InputError("needs: must be a list of names", path, line)
    found = needs | {f"{name}?" for name in optional}
    missing, surplus = sorted(found - set(listed)), sorted(set(listed) - found)
    wrong = [f"the template also needs {', '.join(missing)}"] if missing else []
    wrong += [f"it does not use {', '.join(surplus)}"] if surplus else []
    if wrong:
        raise InputError(f"needs: {'; '.join(wrong)}; write [{', '.join(sorted(found))}]", path, line)


def _where(error: Exception) -> str:
    """The error's message, with the line of the template that it comes from."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            where = f"{Path(template.filename).name}:{template.get_corresponding_lineno(trace.tb_lineno)}: "
        trace = trace.tb_next
    said = str(error) or type(error).__name__
    return f"{where}{said}"[:500]
