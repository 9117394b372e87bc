"""The Jinja environment of prompts and expressions: strict, sandboxed, and bounded in what it may build.

Templates come from strangers. What they cannot do: change a row, reach Python's insides, print an undefined or null
value, be random, or build texts and loops without end. What is printed: text as it is, lists and mappings as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, Undefined, nodes, pass_environment
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARS = 1_000_000
"""Characters a rendering may print, and any text that it builds may have."""
MAX_WORK = 1_000_000
"""Turns of loops in one rendering; a call counts as ten, for what it costs."""
MAX_BITS = 4096
"""Size of an integer that arithmetic may make."""

_FILTERS = frozenset(
    """
    abs capitalize count d default dictsort first float groupby indent int items last length list lower
    map max min reject rejectattr reverse round select selectattr sort string sum title trim truncate
    unique upper wordcount
    """.split()  # noqa: SIM905
)
_OF_TEXT = frozenset({"capitalize", "indent", "lower", "title", "trim", "truncate", "upper", "wordcount"})
_SIZED = (str, list, tuple, dict)
_NULL_IS_FINE = frozenset({"d", "default"})
_TEXT_METHODS = frozenset(
    """
    capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower
    isnumeric isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rpartition
    rsplit rstrip split splitlines startswith strip swapcase title upper
    """.split()  # noqa: SIM905
)


@dataclass
class Budget:
    """What is left to one rendering."""

    chars: int = MAX_CHARS
    work: int = MAX_WORK

    def print(self, chars: int) -> None:
        """Count printed characters. Raises SecurityError when there are too many."""
        self.chars -= chars
        if self.chars < 0:
            raise SecurityError(f"prints more than {MAX_CHARS} characters")

    def turn(self, cost: int = 1) -> None:
        """Count a turn of a loop, or a call. Raises SecurityError when there are too many."""
        self.work -= cost
        if self.work < 0:
            raise SecurityError(f"takes more than {MAX_WORK} turns of loops and calls")


budget: ContextVar[Budget | None] = ContextVar("budget", default=None)
"""The budget of the rendering in progress; None outside of one (expressions cannot loop)."""


def environment(loader: BaseLoader | None = None) -> Sandbox:
    """A new environment. It holds no state of a rendering, so one can serve many at a time."""
    env = Sandbox(
        loader=loader,
        undefined=StrictUndefined,
        finalize=_printed,
        autoescape=False,
        auto_reload=False,
        lstrip_blocks=True,
    )
    env.filters = {name: _guarded(name, f) for name, f in env.filters.items() if name in _FILTERS}
    env.filters |= {"join": _join, "replace": _replace, "string": as_text, "tojson": _tojson}
    env.globals = {name: env.globals[name] for name in ("range", "namespace")}
    return env


def as_text(value: Any) -> str:
    """How a value is printed: text as it is, JSON for the rest. Raises when it is null, undefined or no JSON value.

    >>> as_text(["é", True])
    '["é", true]'
    """
    if isinstance(value, str | Undefined):
        return str(value)
    if value is None:
        raise ValueError("null is printed; test it first, or give a default")
    return _tojson(value)


class Code(CodeGenerator):
    """Generates code that counts the turns of loops, and joins (`~`) texts as they would be printed."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        """Count the turns."""
        counted = nodes.Call(nodes.EnvironmentAttribute("counted"), [node.iter], [], None, None)
        node.iter = counted.set_lineno(node.lineno).set_environment(self.environment)
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """Join in a function of ours."""
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, with bounds, and with a row's columns before Python's methods."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    code_generator_class = Code

    def join_path(self, template: str, parent: str) -> str:
        """A file that is included or extended is named with or without its suffix."""
        return template.removesuffix(".jinja")

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`row.items` is the column `items`, if the row has one."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, str) and attribute == "replace":
            return partial(_replace, obj)
        if isinstance(obj, str) and attribute == "join":
            return lambda parts: _joined(parts, obj)
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """`str.format` is no safe attribute here: a width in its text could ask for any amount of memory."""
        return

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Of texts, the methods that cannot make them grow; of numbers, none."""
        if isinstance(obj, str):
            return attr in _TEXT_METHODS
        return not isinstance(obj, (int, float, bytes)) and super().is_safe_attribute(obj, attr, value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Count the call: macros can call themselves."""
        if (left := budget.get()) is not None:
            left.turn(10)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse what could grow without bound. Raises SecurityError."""
        sizes = [len(side) for side in (left, right) if isinstance(side, (str, list, tuple))]
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% does not format texts here; join them with ~ and round numbers with | round")
        if operator == "+" and sizes:
            _check_size(sum(sizes))
        elif operator == "*" and sizes:
            _check_size(sizes[0] * (right if isinstance(right, int) else left))
        elif operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
            if bits > MAX_BITS:
                raise SecurityError(f"{operator} makes a number of more than {MAX_BITS} bits")
        return super().call_binop(context, operator, left, right)

    def counted(self, items: Iterable[Any]) -> Iterable[Any]:
        """The items of a loop, counted."""
        left = budget.get()
        return items if left is None or isinstance(items, Undefined) else _counted(items, left)

    def joined(self, parts: Sequence[Any]) -> str:
        """What `~` makes of its operands."""
        return _joined(parts)


def _counted(items: Iterable[Any], left: Budget) -> Iterator[Any]:
    for item in items:
        left.turn()
        yield item


def _printed(value: Any) -> str:
    text = value if type(value) is str else as_text(value)
    if (left := budget.get()) is not None:
        left.print(len(text))
    return text


def _check_size(size: int) -> None:
    if size > MAX_CHARS:
        raise SecurityError(f"makes a text or list of more than {MAX_CHARS} items")


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A built-in filter that refuses null (Jinja would make the text 'None' of it) and widths beyond reason."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0
    if name in _NULL_IS_FINE:
        return function

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if args[first] is None:
            raise ValueError(f"null | {name}; test it first, or give a default")
        if name in _OF_TEXT:
            args = (*args[:first], as_text(args[first]), *args[first + 1 :])
        for setting in (*args[first + 1 :], *kwargs.values()):
            if isinstance(setting, int) and abs(setting) > 10_000:
                raise SecurityError(f"{name}({setting}) is out of bounds")
        if name == "indent":
            width = args[first + 1] if len(args) > first + 1 else kwargs.get("width", 4)
            _check_size(len(args[first]) + args[first].count("\n") * (width if isinstance(width, int) else len(width)))
        return function(*args, **kwargs)

    return guarded


def _joined(parts: Iterable[Any], between: str = "") -> str:
    texts: list[str] = []
    size = 0
    for part in parts:
        texts.append(as_text(part))
        size += len(texts[-1]) + len(between)
        _check_size(size)
    return between.join(texts)


@pass_environment
def _join(env: Sandbox, parts: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    return _joined(parts if attribute is None else (env.getitem(part, attribute) for part in parts), as_text(d))


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = as_text(value)
    _check_size(len(text) + text.count(old) * len(new))
    return text.replace(old, new, count)


def _tojson(value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 16:
        raise SecurityError(f"tojson({indent}) is out of bounds")
    if isinstance(value, dict | list | tuple):
        _check_nested(value)
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_no_json)


def _check_nested(value: Any) -> None:
    """Lists that hold one list a thousand times are small; their JSON is not."""
    size, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _SIZED):
            size += len(item)
            _check_size(size)
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += [one for one in item if isinstance(one, _SIZED)]


def _no_json(value: Any) -> Any:
    if isinstance(value, Undefined):
        return str(value)  # raises, naming what is undefined
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"a {type(value).__name__} cannot be printed; end with | list or | join, or call it with ()")
