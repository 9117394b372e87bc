"""What `check`, `run`, `status` and `inspect` say: a checked recipe, a run's end, the story of one row."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from synth_llm import run_folder, screen
from synth_llm.estimate import Estimate
from synth_llm.plan import Plan


def checked(ready: Plan, asked: Estimate) -> str:
    """What `check` prints."""
    name = screen.one_line(f"{ready.recipe.name}: {ready.recipe.about or '(about is empty)'}", 300)
    rows = "rows without end" if asked.source_rows is None else f"{asked.source_rows:,} rows"
    before, steps = ready.source, []
    for planned in ready.steps:
        new, gone = sorted(planned.columns - before), sorted(before - planned.columns)
        change = [f"+ {column}" for column in new] + [f"- {column}" for column in gone]
        steps.append((planned.title, ", ".join(change), ", ".join(sorted(planned.columns))))
        before = planned.columns
    parts = [
        name,
        f"source: {rows}; columns {', '.join(sorted(ready.source)) or '(none)'}",
        "",
        screen.table(("step", "changes", "columns after it"), steps),
        "",
    ]
    if not asked.steps:
        return "\n".join([*parts, "no model is asked"])
    calls = [
        (
            item.step,
            item.model,
            f"{item.a_candidate:.3g}",
            f"{item.calls:,}",
            f"{item.prompt_tokens:,}",
            f"{item.answer_tokens:,}",
            "no price" if item.dollars is None else f"{item.dollars:,.4f}",
        )
        for item in asked.steps
    ]
    numbers = ("calls a candidate", "calls", "prompt tokens (about)", "answer tokens (at most)", "dollars")
    parts.append(screen.table(("step", "model", *numbers), calls, numbers))
    target = (
        f"for {ready.recipe.target.rows:,} accepted rows; every rejected one adds to it" if ready.recipe.target else ""
    )
    least = "at least " if asked.is_least else ""
    total = sum(item.calls for item in asked.steps)
    parts.append(f"\nin all: {least}{total:,} calls for {least}{asked.candidates:,} candidates {target}".rstrip())
    return "\n".join(parts)


def counts(manifest: dict[str, Any]) -> str:
    """What became of the candidates, on one line."""
    of = manifest["counts"]
    rounds = f" in {of['rounds']} rounds" if of["rounds"] > 1 else ""
    unfinished = f", {of['unfinished']:,} unfinished" if of["unfinished"] else ""
    return f"{of['kept']:,} kept, {of['rejected']:,} rejected{unfinished} of {of['candidates']:,} candidates{rounds}"


def ending(folder: Path, manifest: dict[str, Any]) -> str:
    """The last lines of a run: what it used, where it lies, what to do next."""
    here = manifest["spent"]["this run"]
    replayed = sum(model["replayed"] for model in manifest["models"].values())
    lines = [
        "",
        counts(manifest),
        f"asked: {screen.spent(**here)}" + (f"; {replayed:,} answers from the journal" if replayed else ""),
        f"in {folder}: kept.parquet, rejected.parquet, manifest.json, README.md, journal.sqlite",
        f"look:  synth-llm inspect {folder} --rejected",
        f'use:   datasets.load_dataset("{folder}", split="train")',
    ]
    if not manifest["complete"]:
        lines.append(f"incomplete: {manifest['why']}")
    return "\n".join(lines)


def lineage(folder: Path, prefix: str, others: Sequence[Path]) -> str:
    """One row with every prompt and raw answer behind it."""
    row, is_kept = run_folder.find_row(folder, prefix)
    with ExitStack() as stack:
        journals = [stack.enter_context(run_folder.journal_of(place)) for place in (folder, *others)]
        made = [screen.call(call) for call in run_folder.calls(row, journals)]
    verdict = "kept" if is_kept else screen.rejection(row, raw=False)
    shown = screen.full(row if is_kept else run_folder.whole(row))
    return "\n\n".join([*made, f"row {row['_id']}: {verdict}\n{shown}"])
