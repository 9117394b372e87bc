"""What there is to use: prompts, recipes, filters, steps and models, with where each comes from and what it is for."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args

from synth_llm import strict_yaml
from synth_llm.errors import InputError, SynthError, nearest
from synth_llm.library import Kind, Library

if TYPE_CHECKING:
    from pydantic import BaseModel

KINDS = ("prompts", "recipes", "filters", "steps", "models")
STEPS: Literal["steps"] = "steps"


class Entry(NamedTuple):
    """A line of the catalogue."""

    name: str
    origin: str
    about: str
    more: str = ""
    """Of a recipe: the models that it asks, and what 1,000 accepted rows cost when it was last run."""


class Named(NamedTuple):
    """What a name means. A step has no path."""

    kind: Kind | Literal["steps"]
    name: str
    path: Path | None


def entries(kind: str) -> list[Entry]:
    """Everything of a kind, sorted by name. What cannot be read says so in its `about`."""
    if kind == STEPS:
        return list(_steps())
    if kind == "models":
        return list(_models())
    if kind not in get_args(Kind):
        raise InputError(f"no kind '{kind}'{nearest(kind, KINDS)}")
    about = _ABOUT[kind]
    more = _recipe_more if kind == "recipes" else _nothing_more
    found = Library().names(cast("Kind", kind)).items()
    return [
        Entry(name, place.origin, _said(about, name, place.path), _said(more, name, place.path))
        for name, place in found
    ]


def named(name: str) -> Named:
    """What `KIND/NAME` or `NAME` means. Raises InputError when it means nothing, or several things."""
    library, found = Library(), list[Named]()
    first, _, rest = name.partition("/")
    for kind in get_args(Kind):
        known = library.names(kind)
        for plain in dict.fromkeys([rest, name] if first == kind else [name]):
            if plain in known:
                found.append(Named(kind, plain, known[plain].path))
    steps = [entry.name for entry in _steps()]
    plain = rest if first == STEPS else name
    if plain in steps:
        found.append(Named(STEPS, plain, None))
    if len(found) > 1:
        raise InputError(f"'{name}' may be {', '.join(f'{item.kind}/{item.name}' for item in found)}; write which")
    if not found:
        known_names = [*steps, *(known for kind in get_args(Kind) for known in library.names(kind))]
        raise InputError(f"nothing is named '{name}'{nearest(plain, known_names)}")
    return found[0]


def show(name: str) -> str:
    """The text of a prompt, recipe or filter, or the settings of a step. Raises InputError as `named` does."""
    item = named(name)
    return strict_yaml.read_text(item.path) if item.path is not None else _settings(item.name)


def _settings(name: str) -> str:
    """A step's settings with their defaults and what they mean."""
    from synth_llm.described import models_below
    from synth_llm.steps import step_types

    step = step_types()[name]
    lines = [f"{name}: {inspect.cleandoc(step.__doc__ or '')}", "", *_fields(step)]
    for inner, model in models_below(step).items():
        lines += ["", f"{inner}: {inspect.cleandoc(model.__doc__ or '')}", "", *_fields(model)]
    return "\n".join(lines)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """The settings of a step, or of a part of one."""
    from synth_llm.described import descriptions

    meaning = descriptions(model)
    for field, info in model.model_fields.items():
        kind = re.sub(r"\b(?:typing|synth_llm(?:\.\w+)*)\.", "", inspect.formatannotation(info.annotation))
        default = "required" if info.is_required() else f"default {info.get_default(call_default_factory=True)!r}"
        yield f"  {info.alias or field}: {kind} ({default})"
        yield textwrap.indent(meaning.get(field, ""), "      ")


def _steps() -> Iterator[Entry]:
    from synth_llm.steps import BUILT_IN, step_types

    for name, step in step_types().items():
        origin = "built-in" if name in BUILT_IN else f"plugin {step.__module__.partition('.')[0]}"
        yield Entry(name, origin, _first_line(step.__doc__))


def _models() -> Iterator[Entry]:
    from synth_llm.models.weights import WEIGHTS, locate

    for name, weights in sorted(WEIGHTS.items()):
        try:
            origin = str(locate(name))
        except InputError:
            origin = f"synth-llm fetch {name} ({weights.size / 1e6:,.0f} MB)"
        yield Entry(name, origin, weights.about)


def _said(about: Callable[[str, Path], str], name: str, path: Path) -> str:
    try:
        return about(name, path)
    except SynthError as error:
        return f"(cannot be read: {error})"


def _prompt_about(name: str, path: Path) -> str:
    from synth_llm.prompt import load_prompt

    return _first_line(load_prompt(name, Library()).about)


def _recipe_about(name: str, path: Path) -> str:
    value = strict_yaml.load(path).value
    return _first_line(str(value.get("about") or "")) if isinstance(value, dict) else ""


def _recipe_more(name: str, path: Path) -> str:
    """Its models, those of the last run where one is known, and what that run cost; empty when it cannot be read."""
    from synth_llm import costs
    from synth_llm.run_folder import RUNS

    value = strict_yaml.load(path).value
    models = value.get("models") if isinstance(value, dict) else None
    if not models:
        return "no model"
    if not isinstance(models, dict) or not all(isinstance(model, dict) for model in models.values()):
        return ""
    known = costs.last(name, path, RUNS)
    by_answer: dict[str, list[str]] = {}
    for model, answers in (known[0].models if known else {k: costs.answering(v) for k, v in models.items()}).items():
        by_answer.setdefault(answers, []).append(model)
    said = "; ".join(f"{', '.join(named)}: {answers}" for answers, named in by_answer.items())
    return f"{said}; {known[0].said(known[1])}" if known else f"{said}; not run yet"


def _nothing_more(name: str, path: Path) -> str:
    return ""


def _filter_about(name: str, path: Path) -> str:
    """The first line of its docstring; the code is not run."""
    try:
        return _first_line(ast.get_docstring(ast.parse(strict_yaml.read_text(path))))
    except (SyntaxError, ValueError) as error:
        raise InputError(f"not Python: {error}", path) from None


def _first_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[0] if lines else ""


_ABOUT: dict[str, Callable[[str, Path], str]] = {
    "prompts": _prompt_about,
    "recipes": _recipe_about,
    "filters": _filter_about,
}
