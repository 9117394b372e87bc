"""The gate: what figures must be, and which of them are not."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping

from synth_llm.errors import InputError, nearest
from synth_llm.evaluation.part import Figure
from synth_llm.evaluation.settings import parts_of, wanted

SIGNS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def check(gate: Mapping[str, str], parts: Mapping[str, str]) -> None:
    """Raises InputError for a figure of parts that do not run; `parts` says of each what it lacks, or nothing."""
    for name in gate:
        homes = parts_of(name)
        if not any(part in parts and not parts[part] for part in homes):
            lack = next((f", which needs {parts[part]}" for part in homes if parts.get(part)), ", which does not run")
            raise InputError(f"gate: '{name}' is a figure of {homes[0]}{lack}")


def failed(gate: Mapping[str, str], figures: Iterable[Figure], broken: bool = False) -> list[str]:
    """A line for each figure that is not as it must be: name, figure, what is wanted.

    A figure without a value is not as it must be. Raises InputError, naming the nearest, for one that there is not;
    unless a part is `broken`, which might have given it.
    """
    known = {figure.name: figure for figure in figures}
    lines = []
    for name, condition in gate.items():
        end, sign, number = wanted(condition)
        if name not in known:
            if not broken:
                raise InputError(f"gate: no figure '{name}' came out{nearest(name, known)}")
            lines.append(f"{name} was not measured, wanted {condition.strip()}")
            continue
        value: float | None = getattr(known[name], end)
        if value is None:
            why = "has no value for these rows" if end == "value" else "has no interval"
            lines.append(f"{name} {why}, wanted {condition.strip()}")
        elif not SIGNS[sign](value, number):
            shown = f"{value:.4g}" if end == "value" else f"{end} end {value:.4g}"
            lines.append(f"{name} is {shown}, wanted {condition.strip()}")
    return lines
