"""The commands `export` and `push`: a run's rows as files for a trainer, and the run on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synth_llm.errors import InputError

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name below runs/.")]


def export(
    run: RunName,
    format: Annotated[  # what users call it
        str | None, typer.Option("--format", metavar="NAME", help="What the trainer reads; the list stands below.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="USE=COLUMN", help="Where the format finds a value: prompt=question."),
    ] = None,
    kind: Annotated[str, typer.Option("--as", metavar="KIND", help="parquet, jsonl or csv.")] = "parquet",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write; exports/<run>-<format> by default.")
    ] = None,
) -> None:
    """Write the rows that a run kept as files for a trainer; without a format, as they are.

    messages, prompt_completion, alpaca and sharegpt are made of messages, or of a prompt and a completion (instruction
    and output, question and answer ...); tools of messages and tools; preference of prompt, chosen and rejected; kto of
    prompt, completion and a label that is true or false; classification and several_labels of text and label;
    token_labels of text and spans; pairs of two texts, with a class or a score if there is one; triplets of anchor,
    positive and negative; text of text.

    Example: synth-llm export reviews --format classification --as jsonl
    """
    from synth_llm import run_folder
    from synth_llm.publish.export import export as write

    columns: dict[str, str] = {}
    for given in column or ():
        use, parted, name = given.partition("=")
        if not parted:
            raise InputError(f"--column {given}: write USE=COLUMN, such as prompt=question")
        columns[use] = name
    folder = run_folder.find_run(run)
    out = out or Path("exports") / (folder.name + (f"-{format}" if format else ""))
    made = write(folder, out, format=format, columns=columns, kind=kind)  # type: ignore[arg-type]  # it says what it takes
    for path in made.files:
        typer.echo(f"wrote {path}: {made.rows:,} rows")
    if made.columns:
        typer.echo("from " + ", ".join(f"{use}: {name}" for use, name in made.columns.of.items()))


def push(
    run: RunName,
    repo: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The dataset repository on the Hub.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; private by default.")] = False,
) -> None:
    """Put a run on the Hugging Face Hub as a dataset, with its recipe, journal and card.

    Example: synth-llm push runs/reviews me/film-reviews
    """
    from synth_llm import run_folder
    from synth_llm.publish import hub

    typer.echo(hub.push(run_folder.find_run(run), repo, private=not public))
