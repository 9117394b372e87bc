"""What rows of a recipe cost when it was last run: by the manifest of that run, or by figures that come with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEASURED = "data/measured.json"
"""Beside the recipes that come with the package: what our own real runs took, by recipe."""
PER = 1000
"""Accepted rows that a cost is told for."""


@dataclass(frozen=True)
class Cost:
    """What a run took, over all its invocations."""

    accepted: int
    requests: int
    prompt_tokens: int
    answer_tokens: int
    dollars: float | None
    """None when a price is unknown."""
    models: dict[str, str]
    """By its name in the recipe, who answered: `local`, `openai gpt-5-mini`."""

    def said(self, where: str) -> str:
        """One line, for 1,000 accepted rows."""
        times = PER / self.accepted
        said = f"{PER:,} rows: {_rounded(self.requests * times)} requests"
        said += f", {_rounded((self.prompt_tokens + self.answer_tokens) * times)} tokens"
        if self.dollars is None:
            said += ", dollars unknown"
        elif self.dollars:
            said += f", ${self.dollars * times:,.2f}"
        return f"{said} (by {self.accepted:,} in {where})"


def of_manifest(manifest: Mapping[str, Any]) -> Cost | None:
    """What the run of a manifest took; None when it accepted nothing, or its manifest is of another version."""
    try:
        accepted, usages = manifest["counts"]["kept"], manifest["usage"]["all runs"]
        if not accepted:
            return None
        prices = [usage["dollars"] for usage in usages]
        return Cost(
            accepted,
            sum(usage["requests"] for usage in usages),
            sum(usage["prompt_tokens"] for usage in usages),
            sum(usage["completion_tokens"] for usage in usages),
            None if None in prices else sum(prices),
            {name: answering(model) for name, model in manifest["models"].items()},
        )
    except (AttributeError, KeyError, TypeError):
        return None


def last(name: str, recipe: Path, runs: Path) -> tuple[Cost, str] | None:
    """The cost of a recipe's last run and where it was run: in the user's folder `runs`, else among our own runs.

    None when neither is known. A manifest that cannot be read is as none.
    """
    folder = runs / name
    own = of_manifest(_read(folder / "manifest.json"))
    if own is not None:
        return own, str(folder)
    shipped = _read(recipe.parent / MEASURED).get(name)
    try:
        return (Cost(**shipped), "our run") if shipped else None
    except TypeError:
        return None


def answering(model: Mapping[str, Any]) -> str:
    """A model of a recipe or manifest in a few words; one that runs embedded by its name, the default one as `local`.

    >>> answering({"engine": "openai", "model": "gpt-5-mini"}), answering({"engine": "local", "model": None})
    ('openai gpt-5-mini', 'local')
    """
    engine, name = model.get("engine", "?"), model.get("model")
    return str(name if name and engine == "local" else " ".join(filter(None, (engine, name))))


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _rounded(number: float) -> str:
    """To two digits, which is what a small run knows.

    >>> _rounded(1318), _rounded(7)
    ('1,300', '7')
    """
    return f"{float(f'{number:.2g}'):,.0f}"
