"""The command `new`: a project out of a task and a handful of examples, and its first rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ROWS, INCOMPLETE = 5, 3
"""Candidates that are shown; the exit code when the model did not answer for all of them."""


def new(
    task: Annotated[str, typer.Argument(help="What the texts are for, in a few words.")],
    examples: Annotated[
        Path, typer.Option("--examples", metavar="FILE", help="A handful of rows: .jsonl, .json, .csv or .parquet.")
    ],
    model: Annotated[
        str, typer.Option("--model", metavar="ENGINE:MODEL", help="Who plans, and writes: openai:gpt-5-mini.")
    ] = "local",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="The project's folder; by default the task's words.")
    ] = None,
) -> None:
    """Make a project for your task: recipe, prompt, attributes and data; check it, and show its first rows.

    Examples have a text and its label (few.jsonl: {"text": "My card has not come.", "label": "card_arrival"}, some
    lines for each label), or an instruction and its output. The model says what each label means and in what texts
    differ; all of it is written into files that you can read and change. No file is overwritten.

    Example: synth-llm new "sort bank messages by the customer's wish" --examples few.jsonl --model openai:gpt-5-mini
    """
    from synth_llm import execute, screen
    from synth_llm.new import new_project
    from synth_llm.progress import Live

    made = new_project(task, examples, model=model, out=out)
    for path in made.files:
        typer.echo(f"wrote {path}")
    for note in made.notes:
        typer.echo(f"note: {note}")
    seen = execute.preview(made.recipe, n=ROWS, out=made.run, watch=Live)
    typer.echo(f"\nthe first {ROWS} candidates:")
    for row, rejected in seen.rows:
        verdict = screen.rejection(rejected._asdict(), raw=False) if rejected else "kept"
        typer.echo(f"- {verdict}\n{screen.full(row)}")
    recipe = made.recipe.relative_to(made.folder)
    real = "data/examples.jsonl"
    typer.echo(
        f"\nread and change {made.files[0]} and {made.files[1]}; then:\n"
        f"  cd {made.folder}\n"
        f"  synth-llm preview {recipe}\n"
        f"  synth-llm run {recipe}\n"
        f"  synth-llm evaluate runs/{made.recipe.stem} --real {real}  # better: real rows that the model was not shown"
    )
    if seen.why:
        typer.echo(f"incomplete: {seen.why}")
        raise typer.Exit(INCOMPLETE)
