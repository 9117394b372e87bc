"""What can be known of a template before it is rendered: its files, the variables it needs, its mistakes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import BaseLoader, Environment, TemplateSyntaxError, nodes

from synth_llm.errors import InputError, nearest
from synth_llm.library import Library
from synth_llm.needs import Needs, apart, bound, bound_on_top, calls_super, own_needs
from synth_llm.roles import is_message, prompt_environment, role_of, wrong_order
from synth_llm.sandbox import Sandbox
from synth_llm.strict_yaml import read_text

_HEAD = re.compile(r"---[ \t]*\n(?P<yaml>(?:.*\n)*?)---[ \t]*(?:\n|\Z)")
_SILENT = (nodes.Assign, nodes.AssignBlock, nodes.Import, nodes.FromImport, nodes.Macro)
_TOO_DEEP = (RecursionError, SyntaxError, MemoryError, OverflowError)


@dataclass
class Part:
    """One file of a template, taken apart."""

    path: Path
    head: str
    source: str
    """Jinja text whose lines are those of the file: the head has become a comment."""
    sha256: str
    text: str
    """The file as it stands."""
    body: nodes.Template
    """What stands outside of blocks."""
    blocks: list[nodes.Block] = field(default_factory=list)
    """Each without the blocks inside it."""
    parent: str | None = None
    bound: set[str] = field(default_factory=set)
    """Every name that the file sets, loops over or imports."""
    bound_on_top: set[str] = field(default_factory=set)
    """Those among them that its blocks, parents and children see."""

    @property
    def pieces(self) -> list[nodes.Node]:
        """The body and the blocks."""
        return [self.body, *self.blocks]


class Parts(BaseLoader):
    """All files that a template is made of, read once; Jinja's loader for them."""

    def __init__(self, name: str, library: Library) -> None:
        """Reads the template `name` and everything it names. Raises InputError with file and line."""
        self.library = library
        self.name = plain(name)
        self.files: dict[str, Part] = {}
        self.env = prompt_environment(self)
        self._add(self.name, ())

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        """For Jinja."""
        part = self.files[template]
        return part.source, str(part.path), None

    def chain(self, name: str) -> list[Part]:
        """A file, the one it extends, and so on."""
        parts = [self.files[name]]
        while parts[-1].parent is not None:
            parts.append(self.files[parts[-1].parent])
        return parts

    @property
    def sha256(self) -> str:
        """Of the file; with others, of all their hashes."""
        sums = [part.sha256 for part in self.files.values()]
        return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()

    @property
    def has_messages(self) -> bool:
        """Whether role tags stand anywhere."""
        return any(_has_messages(part) for part in self.files.values())

    def check_order(self, speaks: str) -> None:
        """Raises InputError for messages that cannot stand before one of `speaks`, whatever the row."""
        part = self.files[self.name]
        said = _plain_messages(part)
        if said and (wrong := wrong_order((*map(role_of, said),), speaks)):
            raise InputError(wrong, part.path, said[0].lineno)

    def needs(self, name: str) -> Needs:
        """The variables of a file, through what it extends, includes and imports."""
        chain = self.chain(name)
        on_top = set().union(*(part.bound_on_top for part in chain))
        required: set[str] = set()
        optional: set[str] = set()
        replaced: set[str] = set()
        below: set[str] = set()
        for part in chain:
            live = [block for block in part.blocks if block.name not in replaced]
            for piece in [part.body, *live]:
                hidden = below if piece is part.body else on_top
                hidden = hidden | (part.bound if any(block.scoped for block in part.blocks) else set())
                here = own_needs(piece, self.env)
                named = self._named_needs(piece, part)
                required |= (here.required - hidden) | named.required
                optional |= (here.optional - hidden) | named.optional
            replaced |= {block.name for block in live if not calls_super(block)}
            below |= part.bound_on_top
        return Needs(frozenset(required), frozenset(optional - required))

    def _named_needs(self, piece: nodes.Node, part: Part) -> Needs:
        """Of the files that a piece includes or imports; what the file itself binds counts as given."""
        required: set[str] = set()
        optional: set[str] = set()
        for node in piece.find_all((nodes.Include, nodes.Import, nodes.FromImport)):
            assert isinstance(node, nodes.Include | nodes.Import | nodes.FromImport)
            there = self.needs(_name_in(node, part.path))
            if not node.with_context and there.required:
                missing = ", ".join(sorted(there.required))
                hint = "add 'with context', or pass it to the macro"
                raise InputError(f"a file that is named here needs {missing}; {hint}", part.path, node.lineno)
            if node.with_context:
                required |= there.required - part.bound
                optional |= there.optional - part.bound
        return Needs(frozenset(required), frozenset(optional))

    def _add(self, name: str, stack: tuple[str, ...], by: tuple[Path, int] | None = None) -> None:
        if name in stack:
            path, line = by or (None, None)
            raise InputError(f"'{name}' includes or extends itself", path, line)
        if name in self.files:
            return
        try:
            path = self.library.find("prompts", name)
        except InputError as error:
            if by is None:
                raise
            raise InputError(error.message, *by) from error
        part = self.files[name] = _read(path, self.env)
        for piece in part.pieces:
            _check_names(piece, self.env, path)
            for node in piece.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
                inner = _name_in(node, path)
                self._add(inner, (*stack, name), (path, node.lineno))
                part.parent = inner if isinstance(node, nodes.Extends) else part.parent
        _check_messages(part)
        try:
            self.env.get_template(name)
        except TemplateSyntaxError as error:
            raise InputError(error.message or "cannot be read", path, error.lineno) from error
        except _TOO_DEEP as error:
            raise InputError("is nested too deeply", path) from error


def plain(name: str) -> str:
    """A prompt's name without the suffix of its file."""
    return name.removesuffix(".jinja")


def _read(path: Path, env: Sandbox) -> Part:
    raw = read_text(path)
    text = raw.replace("\r\n", "\n")
    head = _HEAD.match(text)
    if head is None and re.match(r"---[ \t]*\n", text):
        raise InputError("the head that starts here is not closed; end it with a line '---'", path, 1)
    skipped = text[: head.end()] if head else ""
    source = ("{#" + "\n" * skipped.count("\n") + "#}" if skipped else "") + text[len(skipped) :]
    try:
        tree = env.parse(source, filename=str(path))
    except TemplateSyntaxError as error:
        raise InputError(error.message or "cannot be read", path, error.lineno) from error
    except _TOO_DEEP as error:
        raise InputError("is nested too deeply", path) from error
    part = Part(path, head["yaml"] if head else "", source, hashlib.sha256(raw.encode()).hexdigest(), raw, tree)
    part.bound, part.bound_on_top = bound(tree), bound_on_top(tree)
    part.blocks = apart(tree)
    return part


def _name_in(node: nodes.Node, path: Path) -> str:
    template = getattr(node, "template", None)
    if isinstance(template, nodes.Const) and isinstance(template.value, str):
        return plain(template.value)
    raise InputError("name the file in quotes: a name that is computed cannot be checked", path, node.lineno)


def _check_names(piece: nodes.Node, env: Sandbox, path: Path) -> None:
    for node in piece.find_all((nodes.Filter, nodes.Test)):
        assert isinstance(node, nodes.Filter | nodes.Test)
        kind, known = ("filter", env.filters) if isinstance(node, nodes.Filter) else ("test", env.tests)
        if node.name not in known:
            raise InputError(f"no Jinja {kind} '{node.name}' here{nearest(node.name, known)}", path, node.lineno)


def _check_messages(part: Part) -> None:
    """What is wrong with a file's messages whatever the row. Raises InputError."""
    if part.parent is not None or not _has_messages(part):
        return
    for piece in part.pieces:
        for text in _loose_texts(piece):
            if words := text.data.split():
                line = text.lineno + len(text.data[: len(text.data) - len(text.data.lstrip())].split("\n")) - 1
                shown = " ".join(words)[:40]
                raise InputError(f"'{shown}' stands outside of the messages; put it inside one", part.path, line)


def _plain_messages(part: Part) -> list[nodes.Node]:
    """The messages of a file that holds nothing else; none when there are loops, blocks or parts around them."""
    said = [node for node in part.body.body if not isinstance(node, _SILENT) and not _is_blank(node)]
    return said if part.parent is None and not part.blocks and all(map(is_message, said)) else []


def _is_blank(node: nodes.Node) -> bool:
    texts = [child for child in node.iter_child_nodes() if isinstance(node, nodes.Output)]
    return bool(texts) and all(isinstance(text, nodes.TemplateData) and not text.data.strip() for text in texts)


def _loose_texts(node: nodes.Node) -> Iterator[nodes.TemplateData]:
    """Text that goes to no message."""
    if isinstance(node, nodes.TemplateData):
        yield node
    elif not is_message(node) and not isinstance(node, nodes.CallBlock | nodes.Macro | nodes.AssignBlock):
        for child in node.iter_child_nodes():
            yield from _loose_texts(child)


def _has_messages(part: Part) -> bool:
    return any(is_message(node) for piece in part.pieces for node in piece.find_all(nodes.FilterBlock))
