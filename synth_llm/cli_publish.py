"""The commands `export`, `push` and `pull`: a run's rows as files for a trainer, and the run on the Hub."""

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
    files: Annotated[
        str | None, typer.Option("--files", metavar="KIND", help="parquet (the default), jsonl or csv.")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="NAME=SHARE", help="Hold rows out: test=0.1; what is left is train."),
    ] = None,
    stratify: Annotated[
        str | None, typer.Option("--stratify", metavar="COLUMN", help="Each value of it has its share in each split.")
    ] = None,
    near: Annotated[
        str | None,
        typer.Option("--near", metavar="HOW", help="What stays in one split: words (the default), or meaning too."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write; exports/<run>-<format> by default.")
    ] = None,
) -> None:
    """Write the rows that a run kept as files for a trainer, as the recipe's section `publish` and these options say.

    messages, prompt_completion, alpaca and sharegpt are made of messages, or of a prompt and a completion (instruction
    and output, question and answer ...); tools of messages and tools; preference of prompt, chosen and rejected; kto of
    prompt, completion and a label that is true or false; classification and several_labels of text and label;
    token_labels of text and spans; pairs of two texts, with a class or a score if there is one; triplets of anchor,
    positive and negative; text of text.

    No two splits share a parent or a near-copy, and a row stays in its split when a later run adds others.

    Example: synth-llm export reviews --format classification --files jsonl --split test=0.1
    """
    from synth_llm import run_folder
    from synth_llm.publish.export import export as write

    given = {
        "format": format,
        "columns": _pairs(column, "--column", "USE=COLUMN, such as prompt=question"),
        "splits": _pairs(split, "--split", "NAME=SHARE, such as test=0.1"),
        "stratify": stratify,
        "near": near,
        "files": files,
    }
    made = write(run_folder.find_run(run), out, **{name: value for name, value in given.items() if value})
    for path, rows in made.files.items():
        typer.echo(f"wrote {path}: {rows:,} rows")
    if made.left_out:
        shown = ", ".join(made.left_out[:5]) + (", ..." if made.left_out[5:] else "")
        typer.echo(f"{len(made.left_out):,} rows are near to rows of two splits, and in none: {shown}")
    if made.columns:
        typer.echo("from " + ", ".join(f"{use}: {name}" for use, name in made.columns.of.items()))


def _pairs(given: list[str] | None, option: str, form: str) -> dict[str, str]:
    """`NAME=VALUE` settings by name."""
    found = {}
    for text in given or ():
        name, parted, value = text.partition("=")
        if not (parted and name and value):
            raise InputError(f"{option} {text}: write {form}")
        found[name] = value
    return found


def push(
    run: RunName,
    repo: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The dataset repository on the Hub.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; private by default.")] = False,
    journal: Annotated[
        bool,
        typer.Option(help="Send the model's answers too: from them `run` makes the rows again without a model."),
    ] = True,
    rejected: Annotated[bool, typer.Option(help="Send the rejected rows too, with their reasons.")] = True,
    inputs: Annotated[bool, typer.Option(help="Send the files that the recipe read too: its seeds, its texts.")] = True,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow", metavar="KIND", help="Push though there are: secret, email, phone, ssn, iban, card, ip."
        ),
    ] = None,
) -> None:
    """Put a run on the Hugging Face Hub as a dataset: its rows as `export` writes them, and the run folder beside them.

    With prompts, filters and the files that the recipe read, from which `synth-llm run hf://ORG/NAME` makes it again.
    What holds a key, a token or a personal identifier is not pushed. Pushing the same run again changes nothing.

    Example: synth-llm push runs/reviews me/film-reviews
    """
    from synth_llm import run_folder
    from synth_llm.publish import hub

    folder = run_folder.find_run(run)
    pushed = hub.push(
        folder, repo, private=not public, journal=journal, rejected=rejected, inputs=inputs, allow=allow or ()
    )
    typer.echo(pushed.address)
    typer.echo(f"again: synth-llm run hf://{repo}")
    typer.echo(f"{'pushed' if pushed.changed else 'there already'}: {', '.join(pushed.files)}")


def pull(
    repo: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The dataset repository on the Hub.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where to; runs/NAME by default.")] = None,
) -> None:
    """Fetch a run that was pushed to the Hugging Face Hub: to inspect it, to evaluate it, to go on with it.

    Example: synth-llm pull me/film-reviews
    """
    from synth_llm import run_folder
    from synth_llm.publish import hub

    typer.echo(hub.pull(repo, out or run_folder.RUNS / repo.rpartition("/")[2]))
