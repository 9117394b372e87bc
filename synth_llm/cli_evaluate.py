"""The command `evaluate`, and the evaluation that follows a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth_llm.errors import InputError

if TYPE_CHECKING:
    from synth_llm.evaluation.results import Evaluation

GATE, UNMEASURED = 4, 2
"""Exit codes: a figure is not as the gate wants it; a part could not be measured."""


def evaluate(
    data: Annotated[
        str,
        typer.Argument(help="A .jsonl, .json, .csv or .parquet file, a run folder, a dataset's folder or Hub name."),
    ],
    real: Annotated[
        str | None, typer.Option("--real", metavar="DATA", help="Real rows: what it should be like.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="DATA", help="Real rows that a student is tested on.")
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(
            "--holdout", metavar="DATA", help="Real rows nothing was made from, for privacy; --test by default."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="The column that is compared; several make one text. `text` by default."),
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="The column with the class; `label` by default.")] = None,
    student: Annotated[
        list[str] | None, typer.Option("--student", help="Who learns: probe, classifier or sft; several are compared.")
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            "--parts", metavar="NAME,NAME", help="Only these: diversity,fidelity,utility,privacy,bias,contamination."
        ),
    ] = None,
    with_: Annotated[
        str | None,
        typer.Option("--with", metavar="RECIPE", help="The recipe with the settings; for a run folder its own."),
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--rename", metavar="THEIRS=OURS", help="A column of DATA by another name.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of DATA; train by default.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Any other setting: evaluate.seeds=3."),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option("--gate", metavar="FIGURE>=N", help="What a figure must be, else exit code 4: 'tstr>=0.8'."),
    ] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="What each step of the run was worth: its rejected rows are put back.")
    ] = False,
    grid: Annotated[
        str | None, typer.Option("--grid", metavar="COLUMN", help="Size against quality, by this column of numbers.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="For the results; RUN/evaluation or runs/<data>-evaluation."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FOLDER", help="Save the student, trained on all rows, for the Hub."),
    ] = None,
) -> None:
    """Say what a dataset is worth: like the real thing? does a student learn from it? does it give anybody away?

    Each part runs when what it needs is given. What was computed is stored: a second call goes on there.

    Example: synth-llm evaluate made.jsonl --real train.jsonl --test test.jsonl --gate 'tstr>=0.8'

    Example: synth-llm evaluate runs/reviews --real train.jsonl --test test.jsonl --ablate
    """
    from synth_llm.evaluation.evaluate import evaluate as measure
    from synth_llm.evaluation.progress import Live

    given: dict[str, Any] = {
        "real": real,
        "test": test,
        "holdout": holdout,
        "column": column[0] if column and len(column) == 1 else column,
        "label": label,
        "student": student[0] if student and len(student) == 1 else student,
        "parts": parts.replace(",", " ").split() if parts else None,
        "gate": dict(map(_condition, gate)) if gate else None,
    }
    _told(
        measure(
            data,
            recipe=_recipe(with_),
            rename=dict(_pair(one) for one in rename or ()),
            split=split,
            sets=set_ or (),
            ablate=ablate,
            grid=grid,
            out=out,
            save=save,
            watch=Live,
            **{name: value for name, value in given.items() if value is not None},
        )
    )


def after_run(run: Path, base: Path, manifest: Mapping[str, Any]) -> None:
    """Evaluate a run as its recipe's section `evaluate` says, if it has one; relative paths start at `base`."""
    if not manifest["recipe"].get("evaluate"):
        return
    if not manifest["complete"]:
        typer.echo("not evaluated: the run is incomplete")
        return
    from synth_llm.evaluation.evaluate import evaluate as measure
    from synth_llm.evaluation.progress import Live

    typer.echo()
    _told(measure(run, base=base, watch=Live))


def _told(found: Evaluation) -> None:
    """Print what was found; exit when something is not as it must be."""
    from synth_llm.evaluation import results

    typer.echo(results.summary(found))
    if found.failed:
        raise typer.Exit(UNMEASURED)
    if found.short:
        raise typer.Exit(GATE)


def _recipe(name: str | None) -> Path | None:
    """The file of a recipe: that path, else that name in the library."""
    if name is None or Path(name).is_file():
        return Path(name) if name else None
    from synth_llm.library import Library

    return Library().find("recipes", name)


def _condition(text: str) -> tuple[str, str]:
    """`tstr>=0.8`, or `tstr low>=0.8`, as a figure and its condition."""
    import re

    found = re.fullmatch(r"\s*(\w+)\s*(.*)", text)
    if found is None or not found[2]:
        raise InputError(f"--gate {text}: write it as 'tstr>=0.8'")
    return found[1], found[2]


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise InputError(f"--rename {text}: write it as name=value")
    return theirs, ours
