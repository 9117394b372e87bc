"""`{% system %}`, `{% user %}` and `{% assistant %}`: a template's messages, collected while it is rendered.

Nothing marks a message in the rendered text, so no text of a row can begin or end one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

from jinja2 import nodes
from jinja2.exceptions import TemplateRuntimeError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser

from synth_llm.models.request import Message

ROLES = ("system", "user", "assistant")


@dataclass
class Messages:
    """The messages of a rendering in progress."""

    said: list[Message] = field(default_factory=list)
    open: bool = False


messages: ContextVar[Messages] = ContextVar("messages")
"""Where role tags put what they hold. Set by whoever renders."""


class Roles(Extension):
    """The tags, and a newline rule: a line that holds nothing but one tag leaves no empty line behind."""

    tags = set(ROLES)  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Read a tag and what it holds."""
        token = next(parser.stream)
        body = parser.parse_statements((f"name:end{token.value}",), drop_needle=True)
        for node in body:
            if any(is_message(inner) for inner in (node, *node.find_all(nodes.CallBlock))):
                parser.fail(f"a message inside {{% {token.value} %}}", token.lineno)
        call = self.call_method("_say", [nodes.Const(token.value)], lineno=token.lineno)
        return nodes.CallBlock(call, [], [], body).set_lineno(token.lineno)

    def _say(self, role: str, caller: Callable[[], str]) -> str:
        into = messages.get()
        if into.open:
            raise TemplateRuntimeError(f"a message inside another: {role}")
        into.open = True
        try:
            content = caller().strip()
        finally:
            into.open = False
        if content or role != "system":
            into.said.append({"role": role, "content": content})
        return ""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Drop the newline after a tag that stands alone on its line (an include does not: it prints)."""
        at_start, tags, inside = True, 0, False
        for token in stream:
            if token.type == "data":
                head, newline, rest = token.value.partition("\n")
                if newline and at_start and tags == 1 and not head.strip():
                    token = Token(token.lineno, "data", rest)
                at_start = (bool(newline) or at_start) and not token.value.rpartition("\n")[2].strip()
                tags = 0 if newline else tags
            elif token.type == "variable_begin" or (inside and token.value == "include"):
                at_start = False
            elif token.type == "block_begin":
                tags += 1
            inside = token.type == "block_begin"
            yield token


def is_message(node: nodes.Node) -> bool:
    """Whether a node is one of the role tags."""
    return isinstance(node, nodes.CallBlock) and isinstance(node.call.node, nodes.ExtensionAttribute)


def role_of(node: nodes.Node) -> str:
    """The role of a node that is a role tag."""
    assert isinstance(node, nodes.CallBlock)
    role = node.call.args[0]
    assert isinstance(role, nodes.Const)
    return str(role.value)


def wrong_order(roles: list[str]) -> str:
    """What is wrong with the order of messages; empty when they can be sent.

    >>> wrong_order(["system", "user", "user"])
    'messages must be an optional system, then user and assistant in turn, user last; these are system, user, user'
    """
    turns = roles[1:] if roles[:1] == ["system"] else roles
    right = len(turns) % 2 == 1 and all(role == ROLES[1 + number % 2] for number, role in enumerate(turns))
    rule = "messages must be an optional system, then user and assistant in turn, user last"
    return "" if right else f"{rule}; these are {', '.join(roles) or 'none'}"
