"""Which variables a piece of a template looks up, and which of them it can do without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import Environment, meta, nodes
from jinja2.visitor import NodeTransformer


class Needs(NamedTuple):
    """The variables that a template looks up: those it cannot do without, and those it tests for first."""

    required: frozenset[str]
    optional: frozenset[str]


def own_needs(piece: nodes.Node, env: Environment) -> Needs:
    """The variables of a body or block, without those of files that it names.

    A variable is optional when every use is inside `if`, `and`, `or` with `x is defined` in the condition, or is
    `x | default(...)`, or comes after `{% set x = x | default(...) %}`.
    """
    assert isinstance(piece, nodes.Template | nodes.Block)
    template = nodes.Template(piece.body, lineno=1)
    template.set_environment(env)
    used = meta.find_undeclared_variables(template) - {"super", "self"}
    sure = used & set(_unguarded(template, _given_defaults(template)))
    return Needs(frozenset(sure), frozenset(used - sure))


def apart(tree: nodes.Template) -> list[nodes.Block]:
    """Take the blocks out of a template, and out of each other."""
    taken = _TakeBlocks()
    taken.visit(tree)
    return taken.blocks


class _TakeBlocks(NodeTransformer):
    def __init__(self) -> None:
        self.blocks: list[nodes.Block] = []

    def visit_Block(self, node: nodes.Block) -> None:
        self.generic_visit(node)
        self.blocks.append(node)


def bound(tree: nodes.Node) -> set[str]:
    """Every name that a template sets, loops over, takes as a macro's argument, or imports."""
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
    return names.union(*(_imported(node) for node in tree.find_all((nodes.Import, nodes.FromImport, nodes.Macro))))


def bound_on_top(tree: nodes.Template) -> set[str]:
    """Those names that blocks, parents and children see: bound outside of everything else."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, nodes.Assign | nodes.AssignBlock):
            names |= {name.name for name in nodes.List([node.target]).find_all(nodes.Name)}
        names |= _imported(node)
    return names


def calls_super(block: nodes.Block) -> bool:
    """Whether a block shows what it replaces."""
    return any(node.name == "super" for node in block.find_all(nodes.Name))


def _imported(node: nodes.Node) -> set[str]:
    if isinstance(node, nodes.Import):
        return {node.target}
    if isinstance(node, nodes.FromImport):
        return {name if isinstance(name, str) else name[1] for name in node.names}
    return {node.name} if isinstance(node, nodes.Macro) else set()


def _given_defaults(tree: nodes.Node) -> frozenset[str]:
    """Names x of `{% set x = x | default(...) %}`."""
    return frozenset(
        node.target.name
        for node in tree.find_all(nodes.Assign)
        if isinstance(node.target, nodes.Name) and node.target.name in _tested(node.node)
    )


def _tested(node: nodes.Node) -> set[str]:
    """Names x of `x is defined`, `x is undefined` and `x | default(...)` in an expression."""
    found = (node, *node.find_all((nodes.Test, nodes.Filter)))
    return {name for name in map(_tested_name, found) if name}


def _tested_name(node: nodes.Node) -> str | None:
    tests = isinstance(node, nodes.Test) and node.name in ("defined", "undefined")
    defaults = isinstance(node, nodes.Filter) and node.name in ("default", "d")
    inner = getattr(node, "node", None)
    return inner.name if (tests or defaults) and isinstance(inner, nodes.Name) else None


def _unguarded(node: nodes.Node, guarded: frozenset[str]) -> Iterator[str]:
    """Names that are looked up where nothing has made sure that they are defined."""
    if isinstance(node, nodes.Name):
        if node.name not in guarded:
            yield node.name
        return
    if name := _tested_name(node):
        guarded |= {name}
    elif isinstance(node, nodes.If | nodes.CondExpr):
        guarded |= _tested(node.test)
    elif isinstance(node, nodes.And | nodes.Or):
        guarded |= _tested(node)
    for child in node.iter_child_nodes():
        yield from _unguarded(child, guarded)
