"""A value for a JSON Schema, drawn at random and checked, or an honest refusal."""

from __future__ import annotations

import math
from typing import Any

from synth_llm.mock.draw import Draw
from synth_llm.mock.prose import phrase

DEEP, DEEPEST = 4, 24
"""The depth from which only what must be there is made, and the one at which a schema counts as endless."""
LONGEST = 10_000
"""Items of the longest list, characters of the longest text, that are made because a schema demands it."""
TRIES = 8

_MANY = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_validators: dict[str, Any] = {}

FORMATS = {
    "date": "2024-05-17",
    "date-time": "2024-05-17T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "P3D",
    "email": "reader@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.org/page",
    "uuid": "3f2a8c1e-5b7d-4e9a-8c3f-1a2b3c4d5e6f",
}


class Unmade(ValueError):
    """No value was found: the schema is wrong, or demands what is not made here, such as a `pattern`."""


def value(schema: Any, draw: Draw) -> Any:
    """A value that is valid for a schema. Raises Unmade."""
    check = _validator(schema)
    why = ""
    for _ in range(TRIES):
        try:
            made = _make(schema, schema, draw, 0)
        except (OverflowError, LookupError, TypeError) as error:
            raise Unmade(f"no value was found for this schema: {error}") from None
        if check.is_valid(made):
            return made
        why = next(check.iter_errors(made)).message
    raise Unmade(f"the mock found no value for this schema ({why[:200]}); give it a reply of your own")


def _validator(schema: Any) -> Any:
    """What checks values against a schema; that of a schema that comes again is kept."""
    import jsonschema_rs

    from synth_llm.gives import validator

    text = repr(schema)
    if text not in _validators:
        if len(_validators) >= 256:
            _validators.clear()
        try:
            _validators[text] = validator(schema)
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise Unmade(f"no valid JSON Schema: {str(error).splitlines()[0][:200]}") from None
    return _validators[text]


def _make(schema: Any, root: Any, draw: Draw, depth: int) -> Any:
    """A value for a schema inside `root`, as far as its keywords are known here."""
    if depth > DEEPEST:
        raise Unmade("this schema has no end")
    schema = _settled(schema, root, draw, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw.of(schema["enum"])
    kind = _kind(schema, draw)
    if kind == "object":
        return _object(schema, root, draw, depth)
    if kind == "array":
        return _array(schema, root, draw, depth)
    if kind == "string":
        return _text(schema, draw)
    if kind in ("integer", "number"):
        return _number(schema, draw, whole=kind == "integer")
    return draw.unit() < 0.5 if kind == "boolean" else None


def _settled(schema: Any, root: Any, draw: Draw, depth: int) -> dict[str, Any]:
    """The schema with its references followed and its alternatives chosen."""
    if not isinstance(schema, dict):
        return {}
    for _ in range(DEEPEST):
        if _MANY.isdisjoint(schema):
            return dict(schema)
        key = next(key for key in ("$ref", "allOf", "anyOf", "oneOf") if key in schema)
        inner = schema[key]
        if key == "$ref":
            parts = [_target(inner, root)]
        elif key == "allOf":
            parts = inner
        else:
            parts = [min(inner, key=_weight) if depth >= DEEP else draw.of(inner)]
        settled = {name: part for name, part in schema.items() if name != key}
        for part in parts:
            settled = _joined(part, settled)
        schema = settled
    raise Unmade("this schema has no end")


def _joined(one: Any, other: Any) -> dict[str, Any]:
    """Two schemas that both hold, as one."""
    one, other = (part if isinstance(part, dict) else {} for part in (one, other))
    joined = {**one, **other}
    if "properties" in one and "properties" in other:
        joined["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        joined["required"] = [*one["required"], *other["required"]]
    return joined


def _target(reference: str, root: Any) -> Any:
    """What `#/$defs/name` names."""
    if not reference.startswith("#"):
        raise LookupError(f"$ref '{reference}' is not followed")
    for part in reference.removeprefix("#").split("/")[1:]:
        root = root[part.replace("~1", "/").replace("~0", "~")]
    return root


def _weight(schema: Any) -> int:
    """How far a schema may still grow."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    return {"null": 0, "object": 3, "array": 2, None: 4}.get(kind if isinstance(kind, str) else None, 1)


def _kind(schema: dict[str, Any], draw: Draw) -> str:
    """The type of value to make: the schema's, else what its keywords speak of."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return str(draw.of(kind))
    if kind is not None:
        return str(kind)
    if schema.keys() & {"properties", "required", "additionalProperties", "minProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems", "maxItems"}:
        return "array"
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    return "number" if schema.keys() & bounds else "string"


def _object(schema: dict[str, Any], root: Any, draw: Draw, depth: int) -> dict[str, Any]:
    properties, needed = schema.get("properties", {}), set(schema.get("required", ()))
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", math.inf)
    rest = schema.get("additionalProperties", {})
    names = [name for name in properties if name in needed] + sorted(needed - properties.keys())
    for name in properties:
        wanted = len(names) < least or (depth < DEEP and draw.unit() < 0.7)
        if name not in needed and wanted and len(names) < most:
            names.append(name)
    extra = min(least, LONGEST) - len(names)
    if rest is not False and rest != {} and not properties and depth < DEEP:
        extra = max(extra, min(2, most - len(names)))
    names += [f"key_{number}" for number in range(1, int(extra) + 1)]
    return {name: _make(properties.get(name, rest), root, draw, depth + 1) for name in names}


def _array(schema: dict[str, Any], root: Any, draw: Draw, depth: int) -> list[Any]:
    least = int(schema.get("minItems", min(1, schema.get("maxItems", 1)) if depth < DEEP else 0))
    most = int(min(schema.get("maxItems", math.inf), least + (2 if depth < DEEP else 0)))
    if least > LONGEST:
        raise Unmade(f"minItems {least} is more than the mock makes")
    first, rest = schema.get("prefixItems", []), schema.get("items", {})
    count = max(least + draw.below(max(1, most - least + 1)), min(len(first), most))
    if rest is False:
        count = min(count, len(first))
    items: list[Any] = []
    for number in range(count * 4 if schema.get("uniqueItems") else count):
        if len(items) == count:
            break
        inner = first[len(items)] if len(items) < len(first) else rest
        item = _make(inner, root, draw, depth + 1)
        if not schema.get("uniqueItems") or item not in items or number >= count * 4 - 1:
            items.append(item)
    return items


def _text(schema: dict[str, Any], draw: Draw) -> str:
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength", math.inf)
    if least > LONGEST:
        raise Unmade(f"minLength {least} is more than the mock makes")
    text = FORMATS.get(schema.get("format", "")) or phrase(draw)
    while len(text) < least:
        text += f" {phrase(draw)}"
    return text if len(text) <= most else text[: int(most)].rstrip().ljust(min(least, int(most)), "s")


def _number(schema: dict[str, Any], draw: Draw, *, whole: bool) -> Any:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    step = schema.get("multipleOf", 1 if whole else None)
    if low == -math.inf:
        low = min(0, high - 100) if high < math.inf else 0
    if high == math.inf:
        high = low + 100 * (step or 1)
    if step is not None:
        first = math.ceil(low / step) + (low == schema.get("exclusiveMinimum") and low % step == 0)
        last = math.floor(high / step) - (high == schema.get("exclusiveMaximum") and high % step == 0)
        if first > last:
            raise Unmade("no number lies within these bounds")
        made = (first + draw.below(last - first + 1)) * step
        return int(made) if whole else made
    made = low + draw.unit() * (high - low)
    return round(made, 2) if low <= round(made, 2) <= high and high - low > 0.1 else made
