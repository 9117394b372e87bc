"""What the fields of our models mean: the docstrings below them, read when somebody asks.

Pydantic can do it too (`use_attribute_docstrings`), but at every start, and that takes longer than all the rest.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

from pydantic import BaseModel


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The docstring of each field, inherited ones too; nothing for a field that has none.

    >>> from synth_llm.models.budget import Limits
    >>> descriptions(Limits)["requests"]
    'Requests sent, retries included.'
    """
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            said = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(said, str):
                found[field.target.id] = inspect.cleandoc(said)
    return {name: found[name] for name in model.model_fields if name in found}


def describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Write the descriptions into the JSON Schema of a model."""
    for name, said in descriptions(model).items():
        setting = schema["properties"].get(model.model_fields[name].alias or name)
        if setting is not None:
            setting["description"] = said
