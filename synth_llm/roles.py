"""`{% system %}`, `{% user %}` and `{% assistant %}`: a template's messages, collected while it is rendered.

Nothing marks a message in the rendered text, so no text of a row can begin or end one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from jinja2 import BaseLoader, Environment, nodes
from jinja2.compiler import Frame
from jinja2.exceptions import TemplateRuntimeError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser

from synth_llm.fence import fenced
from synth_llm.models.request import Message
from synth_llm.sandbox import Code, Sandbox, as_text, environment

ROLES = ("system", "user", "assistant")

_FILTER = "message "


@dataclass
class Messages:
    """The messages of a rendering in progress."""

    said: list[Message] = field(default_factory=list)
    open: bool = False


messages: ContextVar[Messages] = ContextVar("messages")
"""Where role tags put what they hold. Set by whoever renders."""


def prompt_environment(loader: BaseLoader) -> Sandbox:
    """The sandbox with role tags, and `fence(text)`."""
    env = environment(loader)
    env.globals["fence"] = _fence
    env.code_generator_class = _Code
    env.add_extension(Roles)
    return env


class Roles(Extension):
    """The tags, and a newline rule: a line that holds nothing but one tag leaves no empty line behind.

    A tag is a filter block (cheaper than a call block), whose filter has a name that no template can write.
    """

    tags = set(ROLES)  # noqa: RUF012

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters |= {_FILTER + role: partial(_say, role) for role in ROLES}

    def parse(self, parser: Parser) -> nodes.Node:
        """Read a tag and what it holds."""
        token = next(parser.stream)
        body = parser.parse_statements((f"name:end{token.value}",), drop_needle=True)
        for node in body:
            if any(is_message(inner) for inner in (node, *node.find_all(nodes.FilterBlock))):
                parser.fail(f"a message inside {{% {token.value} %}}", token.lineno)
        call = nodes.Filter(None, _FILTER + token.value, [], [], None, None, lineno=token.lineno)
        return nodes.FilterBlock(body, call, lineno=token.lineno)

    def begin(self) -> None:
        """A message begins. Raises TemplateRuntimeError inside another: a macro or block can hide that from `parse`."""
        into = messages.get()
        if into.open:
            raise TemplateRuntimeError("a message inside another")
        into.open = True

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Drop the newline after a tag that stands alone on its line (an include does not: it prints)."""
        at_start, tags, inside = True, 0, False
        for token in stream:
            if token.type == "data":
                head, newline, rest = token.value.partition("\n")
                if newline and at_start and tags == 1 and not head.strip():
                    token = Token(token.lineno + 1, "data", rest)
                at_start = (bool(newline) or at_start) and not token.value.rpartition("\n")[2].strip()
                tags = 0 if newline else tags
            elif token.type == "variable_begin" or (inside and token.value == "include"):
                at_start = False
            elif token.type == "block_begin":
                tags += 1
            inside = token.type == "block_begin"
            yield token


class _Code(Code):
    """Marks the beginning of messages."""

    def visit_FilterBlock(self, node: nodes.FilterBlock, frame: Frame) -> None:
        if is_message(node):
            self.writeline(f"environment.extensions[{Roles.identifier!r}].begin()", node)
        super().visit_FilterBlock(node, frame)


def _fence(value: Any, name: str = "text") -> str:
    """What `{{ fence(text) }}` prints: the text between marks that its author cannot know."""
    return fenced(as_text(value), as_text(name))


def _say(role: str, content: str) -> str:
    """A message ends. Its text goes where messages are collected, and nothing stays in its place."""
    into = messages.get()
    into.open = False
    content = content.strip()
    if content or role != "system":
        into.said.append({"role": role, "content": content})
    return ""


def is_message(node: nodes.Node) -> bool:
    """Whether a node is one of the role tags."""
    return isinstance(node, nodes.FilterBlock) and node.filter.name.startswith(_FILTER)


def role_of(node: nodes.Node) -> str:
    """The role of a node that is a role tag."""
    assert isinstance(node, nodes.FilterBlock)
    return node.filter.name.removeprefix(_FILTER)


@lru_cache(maxsize=256)
def wrong_order(roles: tuple[str, ...], speaks: str = "assistant") -> str:
    """What is wrong with the order of messages before one of `speaks`, assistant or user; empty when nothing is.

    >>> wrong_order(("system", "user", "user"))
    'messages must be an optional system, then user and assistant in turn, user last; these are system, user, user'
    >>> wrong_order(("system",), speaks="user")
    ''
    """
    turns = roles[1:] if roles[:1] == ("system",) else roles
    in_turn = all(role == ROLES[1 + number % 2] for number, role in enumerate(turns))
    rule = "messages must be an optional system, then user and assistant in turn"
    last = "user last" if speaks == "assistant" else "assistant last or none, where the model speaks as the user"
    right = in_turn and len(turns) % 2 == (speaks == "assistant")
    return "" if right else f"{rule}, {last}; these are {', '.join(roles) or 'none'}"
