"""Parts that cost nothing, for the tests of what is around them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from synth_llm.errors import InputError
from synth_llm.evaluation import parts
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.part import Figure, Measure, Part, Table

TOPICS = {
    "tea": ["tea is warm", "a cup of tea", "green tea leaves"],
    "rain": ["rain falls", "wet with rain", "a storm"],
}
ROWS = [{"text": text, "label": label} for label, texts in TOPICS.items() for text in texts]


def write(path: Path, rows: Iterable[dict[str, Any]] = ROWS) -> Path:
    """Rows as a file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def diversity(data: Data) -> Part:
    words = [word for text in data.made.texts for word in text.split()]
    share = len(set(words)) / len(words)
    figure = Figure("distinct_1", share, share - 0.1, share + 0.1, 0.5, "", "higher", f"of {len(words)} words")
    return Part([figure, Figure("vendi", float("nan"))], [Table("words", "Words", ["word"], [["a|b"]])], ["all rows"])


def fidelity(data: Data) -> Part:
    assert data.real is not None
    if len(data.real) < 3:
        raise InputError("real: too few rows")
    return Part([Figure("label_js", 0.25, beside=0.2, direction="lower")])


def utility(data: Data) -> Part:
    return Part([Figure("tstr", 0.75, 0.6, 0.9, 0.8, direction="higher")])


def privacy(data: Data) -> Part:
    return Part([Figure("near_copies", 0), Figure("pii", 0)])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cheap parts in the place of all; the names of those that were computed."""
    found: list[str] = []
    cheap: dict[str, Measure] = {one.__name__: one for one in (diversity, fidelity, utility, privacy)}

    def measure_of(name: str) -> Measure:
        found.append(name)
        return cheap.get(name, lambda data, *_: Part([Figure(f"worth_{name}", 0.1)]))

    monkeypatch.setattr(parts, "measure_of", measure_of)
    return found
