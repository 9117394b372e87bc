"""The model card of a student: what it learned from, what it scored, how to load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict


class Facts(TypedDict, total=False):
    """What a card says of how a student came about; what is not given is left out."""

    name: str
    """The model's title; by default the folder's name."""
    data: str
    """What it learned from, in words: the name of a recipe, file or dataset. No path."""
    datasets: Sequence[str]
    """Those of the Hub among it, as `org/name`."""
    rows: int
    """How many rows it learned from. `fit` knows it: by default that."""
    seed: int
    """By default the student's own."""
    encoder: str
    """probe: the name of the encoder that made its vectors."""
    test: str
    """What the scores were measured on, in words."""
    scores: Mapping[str, Any]
    """A number, or `[value, low, high]`, for each figure."""


def write_card(
    folder: Path,
    facts: Mapping[str, Any],
    *,
    about: str,
    task: str,
    load: str,
    library: str | None = None,
    base: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write `README.md`: metadata that the Hub accepts, and what a reader needs.

    `facts` are those of `Facts`; `about` is a sentence on what the model does, `task` the Hub's name of that
    (`text-classification`), `load` Python code, `library` what loads it (`transformers`), `base` the model of the Hub
    that it was trained from, `settings` those of its training. No licence is named: that of the data is not known here.
    """
    from huggingface_hub import ModelCardData

    name = str(facts.get("name") or folder.resolve().name)
    datasets = list(facts.get("datasets", ()))
    head = ModelCardData(
        base_model=base,
        datasets=datasets or None,
        library_name=library,
        pipeline_tag=task,
        tags=["synthetic", "synth-llm"],
    )
    learned = {
        "Learned from": ", ".join([text for text in (facts.get("data"), *datasets) if text]),
        "Rows": f"{facts['rows']:,}" if "rows" in facts else "",
        "Seed": facts.get("seed", ""),
        "Trained from": base or "",
        "Encoder": facts.get("encoder", ""),
        **{f"Setting `{setting}`": value for setting, value in (settings or {}).items()},
    }
    parts = [
        f"---\n{head.to_yaml().strip()}\n---",
        f"# {name}",
        f"{about} Trained with [synth-llm](https://pypi.org/project/synth-llm/).",
        _table(["", ""], [[what, value] for what, value in learned.items() if value not in ("", None)]),
    ]
    if facts.get("scores"):
        on = f" on {facts['test']}" if facts.get("test") else ""
        rows = [[figure, *_cells(value)] for figure, value in facts["scores"].items()]
        parts += [f"Scores{on}:", _table(["figure", "value", "95 % interval"], rows)]
    parts.append(f"```python\n{load.strip()}\n```")
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _cells(value: Any) -> list[str]:
    """A figure, and its interval where it has one."""
    figure, *ends = value if isinstance(value, list | tuple) else [value]
    known = all(isinstance(end, int | float) for end in ends) and ends
    return [_number(figure), f"{_number(ends[0])} to {_number(ends[1])}" if known else ""]


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in line) + " |" for line in lines
    )
