"""What the fields of our models mean: the docstrings below them, read when somebody asks.

Pydantic can do it too (`use_attribute_docstrings`), but at every start, and that takes longer than all the rest.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The docstring of each field, inherited ones too; nothing for a field that has none.

    >>> from synth_llm.models.budget import Limits
    >>> descriptions(Limits)["requests"]
    'Requests sent, retries included.'
    """
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _own(base)
    return {name: found[name] for name in model.model_fields if name in found}


@cache
def _own(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields that a class defines itself."""
    found: dict[str, str] = {}
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        said = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(said, str):
            found[field.target.id] = inspect.cleandoc(said)
    return found


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's type names, in lists, mappings and unions too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def models_below(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """All models inside a model, and inside those, by their names."""
    found: dict[str, type[BaseModel]] = {}
    waiting = [model]
    while waiting:
        for field in waiting.pop().model_fields.values():
            new = [one for one in models_in(field.annotation) if one.__name__ not in found]
            found |= {one.__name__: one for one in new}
            waiting += new
    return found


def describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Write the descriptions into the JSON Schema of a model."""
    for name, said in descriptions(model).items():
        setting = schema["properties"].get(model.model_fields[name].alias or name)
        if setting is not None:
            setting["description"] = said
