"""The command `techniques`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synth_llm.errors import InputError


def techniques(
    train: Annotated[str, typer.Argument(metavar="TRAIN", help="A few real rows: a file, a run folder, a dataset.")],
    test: Annotated[str, typer.Option("--test", metavar="DATA", help="Real rows that a student is tested on.")],
    kind: Annotated[str, typer.Option("--kind", help="What the texts are, in words: 'film review'.")] = "text",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="oversample, eda, prompted or fine_tuned; all by default."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=2, help="Rows that each technique makes.")] = 60,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Draws of each technique.")] = 3,
    column: Annotated[str, typer.Option("--column", help="The column with the text.")] = "text",
    label: Annotated[str, typer.Option("--label", help="The column with the class.")] = "label",
    student: Annotated[str, typer.Option("--student", help="Who learns: probe or classifier.")] = "probe",
    with_: Annotated[
        str | None,
        typer.Option("--with", metavar="RECIPE", help="A recipe: its model `writer` writes; the embedded one else."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="For the table; runs/<data>-techniques by default.")
    ] = None,
) -> None:
    """Compare ways to make rows for a labelled task: what a student gains, diversity, cost and time of each.

    Every technique makes as many rows, and the student learns from these and TRAIN. What was made is kept: a second
    call pays nothing.

    Example: synth-llm techniques seeds.jsonl --test test.jsonl --kind "film review"
    """
    from synth_llm.curate import named, plain_name
    from synth_llm.evaluation import techniques as compared
    from synth_llm.output import write_text
    from synth_llm.recipe import load_recipe
    from synth_llm.source import Source, read_rows
    from synth_llm.steps.context import Resources

    here = Path.cwd()
    found = [list(read_rows(Source(**named(data)), here)) for data in (train, test)]
    place = out or Path("runs") / f"{plain_name(train)}-techniques"
    use, writer = None, compared.WRITER
    if with_ is not None:
        recipe, file = load_recipe(Path(with_))
        if "writer" not in recipe.models:
            raise InputError(f"{with_}: no model 'writer'; it writes the texts of 'prompted'")
        use, writer = Resources(recipe, file.base), recipe.models["writer"]
    part = compared.techniques(
        *found,
        kind=kind,
        names=only,
        rows=rows,
        seeds=seeds,
        column=column,
        label=label,
        student=student,
        writer=writer,
        use=use,
        folder=place,
    )
    write_text(place / "techniques.md", compared.markdown(part))
    typer.echo(compared.markdown(part) + f"\nin {place / 'techniques.md'}")
