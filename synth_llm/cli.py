"""The command line. Each command calls one public function and prints what it returns.

Exit codes: 0 done, 1 failed, 2 bad input, 3 stopped at a limit or incomplete (run again to go on), 4 a figure is not
as the gate wants it, 130 Ctrl-C.
Nothing heavy is imported before a command needs it. Results go to stdout; progress, notes and errors to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth_llm.cli_evaluate import after_run, evaluate
from synth_llm.cli_new import new
from synth_llm.cli_publish import RunName, export, pull, push
from synth_llm.cli_techniques import techniques
from synth_llm.errors import InputError, MissingExtra, SynthError, nearest
from synth_llm.mock.command import mock

if TYPE_CHECKING:
    from synth_llm.execute import Result
    from synth_llm.models.budget import Limits

DONE, FAILED, BAD_INPUT, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
RETRIED = ("bad request", "content filter", "cut", "refused", "unavailable", "unparseable")
"""Reasons for which a model call rejects a row, so that asking again can help."""

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich is imported where it is used: help stays quick
    help="From a task and a handful of examples to a curated dataset.\n\n"
    "Begin with `synth-llm new`, or run a built-in recipe: `synth-llm run reviews`.",
)

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's file, or its name in the library.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a setting of the recipe: target.rows=100."),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME=ENGINE:MODEL", help="Another model: writer=openai:gpt-5-mini."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="The run folder; runs/<recipe> by default.")]
Journals = Annotated[
    list[Path] | None,
    typer.Option("--journal", metavar="PATH", help="Read answers from this journal or run folder too."),
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version, and leave.")] = False,
) -> None:
    if version:
        from synth_llm.installed import versions

        typer.echo(f"synth-llm {versions('synth-llm')['synth-llm']}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; the current folder by default. Made if need be.")] = Path(),
) -> None:
    """Make a project: prompts/, recipes/, filters/, data/ and a small example that works.

    Example: synth-llm init my-data
    """
    from synth_llm import project

    for path in project.init(folder):
        typer.echo(f"wrote {path}")
    where = "" if folder == Path() else f"cd {folder} && "
    typer.echo(f"next: {where}synth-llm check recipes/messages.yaml")


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Argument(help="prompts, recipes, filters, steps or models; all of them.")] = None,
) -> None:
    """List what there is to use, where each comes from, and what it is for.

    Of a recipe also the models that it asks, and what 1,000 accepted rows cost when it was last run: by your own run in
    runs/, else by a small one of ours.

    Example: synth-llm list recipes
    """
    from synth_llm import catalogue, screen

    kinds = catalogue.KINDS if kind is None else (kind,)
    for number, one in enumerate(kinds):
        title = "" if kind else "\n" * bool(number) + f"{one.upper()}\n"
        rows = catalogue.entries(one)
        typer.echo(title + (screen.listed(rows) if rows else "(none)"))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name such as reviews, or with its kind: recipes/reviews.")],
) -> None:
    """Print a prompt, recipe or filter, or a step's settings.

    Example: synth-llm show steps/generate
    """
    from synth_llm import catalogue, screen

    typer.echo(screen.visible(catalogue.show(name)).rstrip("\n"))


@app.command()
def eject(
    name: Annotated[str, typer.Argument(help="A prompt, recipe or filter; with its kind when several share the name.")],
) -> None:
    """Copy a built-in prompt, recipe or filter into this project, to edit; the copy then replaces it.

    Example: synth-llm eject filters/length
    """
    from synth_llm import project

    for path in project.eject(name):
        typer.echo(f"wrote {path}")


@app.command()
def check(recipe: RecipeName, set_: Sets = None, model: Models = None, out: Out = None) -> None:
    """Check a recipe without asking anything: columns after each step, calls, tokens, dollars, time.

    What a `preview` or an unfinished run measured in the run folder makes a good estimate of a rough one.

    Example: synth-llm check recipes/messages.yaml --set target.rows=100
    """
    from synth_llm import run_folder, summary
    from synth_llm.estimate import estimate
    from synth_llm.execute import prepare

    ready, _ = prepare(_recipe(recipe), set_ or (), model or ())
    folder = out or run_folder.RUNS / ready.recipe.name
    typer.echo(summary.checked(ready, estimate(ready, folder), folder))


@app.command()
def preview(
    recipe: RecipeName,
    n: Annotated[int, typer.Option("-n", min=1, help="How many candidates.")] = 10,
    prompts: Annotated[bool, typer.Option("--prompts", help="Show each prompt and raw answer as well.")] = False,
    set_: Sets = None,
    model: Models = None,
    out: Out = None,
    journal: Journals = None,
) -> None:
    """Carry the first candidates through all steps and show them in full. A later `run` pays nothing for them.

    Example: synth-llm preview recipes/messages.yaml -n 5 --prompts
    """
    from contextlib import ExitStack

    from synth_llm import execute, run_folder, screen
    from synth_llm.progress import Live

    path, sets, models, others = _recipe(recipe), set_ or (), model or (), journal or ()
    seen = execute.preview(path, n=n, out=out, journals=others, sets=sets, models=models, watch=Live)
    with ExitStack() as stack:
        journals = [stack.enter_context(run_folder.journal_of(place)) for place in (seen.path, *others)]
        for row, rejected in seen.rows:
            verdict = screen.rejection(rejected._asdict()) if rejected else "kept"
            typer.echo(f"- {row['_id']}: {verdict}\n{screen.full(row)}")
            for made in run_folder.calls(row, journals) if prompts else ():
                typer.echo(screen.indented(screen.call(made), 4))
            typer.echo()
    kept = sum(rejected is None for _, rejected in seen.rows)
    typer.echo(f"{kept} of {len(seen.rows)} rows kept; nothing was written but the journal in {seen.path}")
    if seen.why:
        typer.echo(f"incomplete: {seen.why}")
        raise typer.Exit(INCOMPLETE)


@app.command()
def run(
    recipe: RecipeName,
    out: Out = None,
    set_: Sets = None,
    model: Models = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="N|NAME=N",
            help="At most N candidates; or requests=N, tokens=N, dollars=N, seconds=N. In place of the recipe's.",
        ),
    ] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option("--retry", metavar="REASON", help=f"Ask again for rows rejected as one of: {', '.join(RETRIED)}."),
    ] = None,
    journal: Journals = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Of a recipe from the Hub: run its filters too, and ask where it says.")
    ] = False,
) -> None:
    """Make the dataset, or go on where an earlier run stopped: what was answered is never asked again.

    RECIPE may be one of the Hub, hf://ORG/NAME: a dataset that `push` put there is made again from its journal.

    Example: synth-llm run reviews --model writer=openai:gpt-5-mini --limit dollars=2
    """
    from synth_llm import execute
    from synth_llm.progress import Live
    from synth_llm.publish.origin import HUB, fetch

    for reason in retry or ():
        if reason not in RETRIED:
            raise InputError(f"--retry {reason}: no such reason; it is one of {', '.join(RETRIED)}")
    fetched = None
    if recipe.startswith(HUB):
        fetched, out = fetch(recipe, out, trust=trust)
    path, sets, models = fetched.recipe if fetched else _recipe(recipe), set_ or (), model or ()
    result = execute.run(
        fetched or path,
        out=out,
        limits=_limits(path, [*(fetched.overrides(models) if fetched else ()), *sets], models, limit)
        if limit
        else None,
        journals=journal or (),
        retry=retry or (),
        sets=sets,
        models=models,
        watch=Live,
    )
    _finished(result, path)


@app.command()
def doctor() -> None:
    """Say what is installed, which engines work here, and how to get the rest.

    Example: synth-llm doctor
    """
    from synth_llm import doctor, screen

    typer.echo(doctor.system())
    for about, found in doctor.findings().items():
        rows = [(one.what, "yes" if one.works else "no", one.said) for one in found]
        typer.echo("\n" + screen.table((about, "works" if about == "engines" else "here", ""), rows))


@app.command()
def curate(
    data: Annotated[
        str,
        typer.Argument(help="A .jsonl, .json, .csv or .parquet file, a run folder, a dataset's folder or Hub name."),
    ],
    with_: Annotated[
        str, typer.Option("--with", metavar="RECIPE", help="The recipe whose steps curate; its source is not read.")
    ] = "curate_instructions",
    rename: Annotated[
        list[str] | None,
        typer.Option("--rename", metavar="THEIRS=OURS", help="A column by the name that the recipe's steps use."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of a dataset; train by default.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="The run folder; runs/<data>-<recipe> by default.")
    ] = None,
    set_: Sets = None,
    model: Models = None,
    journal: Journals = None,
) -> None:
    """Curate rows that are there already: a recipe's steps on another source. The data itself stays as it is.

    Example: synth-llm curate data.jsonl --with curate_instructions --rename prompt=instruction
    """
    from synth_llm import execute
    from synth_llm.curate import source_of
    from synth_llm.progress import Live

    path = _recipe(with_)
    name, source = source_of(data, path, dict(_pair("--rename", one) for one in rename or ()), split)
    result = execute.run(
        path,
        out=out or Path("runs") / f"{name}-{path.stem}",
        journals=journal or (),
        sets=[f"source={source}", *(set_ or ())],
        models=model or (),
        watch=Live,
    )
    _finished(result, path)


@app.command()
def status(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="A run; the newest below runs/ by default.")] = None,
) -> None:
    """Say how a run stands: complete or why not, the funnel, what it used over all invocations.

    Example: synth-llm status runs/reviews
    """
    from synth_llm import run_folder, screen, summary

    now = run_folder.status(run_folder.find_run(run))
    manifest = now.manifest
    written = "complete" if manifest.get("complete") else f"incomplete: {manifest.get('why')}"
    state = written if manifest else "not run to an end yet"
    typer.echo(f"{now.path}: {'running now; before: ' if now.running else ''}{state}")
    if manifest:
        typer.echo(f"{summary.counts(manifest)}; written {manifest['written']}\n{screen.funnel(manifest)}")
    typer.echo(summary.used(now))


@app.command()
def inspect(
    run: RunName,
    reason: Annotated[str | None, typer.Argument(help="With --rejected: only rows rejected for this reason.")] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Rejected rows, counted, with examples.")] = False,
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="ID", help="One row, by how its id begins: every call behind it."),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many rows to show, of each reason with --rejected.")] = 5,
    journal: Journals = None,
) -> None:
    """Look at a run: its funnel, scores and some kept rows; the rejected ones; or one row with all that is behind it.

    A score's histogram shows the kept rows above the rejected ones: the threshold lies between them.

    Example: synth-llm inspect reviews --rejected disagreement

    Example: synth-llm inspect reviews --row 3f2a
    """
    from synth_llm import run_folder, screen, summary

    folder = run_folder.find_run(run)
    if row is not None:
        typer.echo(summary.lineage(folder, row, journal or ()))
    elif rejected or reason is not None:
        groups = run_folder.rejections(folder, reason, n)
        others = run_folder.repeated(folder, (example for _, examples in groups for example in examples))
        for group, examples in groups:
            typer.echo(f"{group.step}: {group.reason} {group.count:,}")
            for example in examples:
                typer.echo(f"{screen.brief(run_folder.whole(example))}\n    {screen.rejection(example)}")
                if other := others.get(example.get("other") or ""):
                    typer.echo(f"    which is\n{screen.indented(screen.brief(other), 4)}")
        if not groups:
            typer.echo("no row was rejected")
    else:
        rows = run_folder.sample(folder, n)
        manifest = run_folder.status(folder).manifest
        for part in (screen.funnel(manifest), screen.scores(manifest), *map(screen.brief, rows)):
            if part:
                typer.echo(part)
        if not rows:
            typer.echo("no row was kept")


@app.command()
def fetch(
    model: Annotated[str, typer.Argument(help="A name of `synth-llm list models`, or of the Hub: org/repo/file.gguf.")],
) -> None:
    """Get the weights of a model for `engine: local`, and check them.

    Example: synth-llm fetch smollm2-135m-instruct
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from synth_llm.models import weights

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        path = weights.fetch(model, progress)
    typer.echo(path)


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it here, not to stdout.")] = None,
) -> None:
    """Print the JSON Schema of recipes, so that an editor completes and checks them.

    Example: synth-llm schema --out recipe.schema.json
    """
    import json

    from synth_llm.recipe import recipe_schema

    text = json.dumps(recipe_schema(), indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")
        typer.echo(f"wrote {out}")


app.command()(export)
app.command()(push)
app.command()(pull)
app.command()(new)
app.command()(evaluate)
app.command()(techniques)
app.command()(mock)


def _recipe(name: str) -> Path:
    """The file of a recipe: that path, else that name in the library."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise InputError("no such file; a recipe of the library is named without .yaml", path)
        return path
    from synth_llm.library import Library

    return Library().find("recipes", name)


def _finished(result: Result, recipe: Path) -> None:
    """Print what a run came to, and evaluate it if its recipe says so; exit when it is incomplete."""
    from synth_llm import run_folder, screen, summary

    typer.echo(screen.funnel(result.manifest))
    for row in run_folder.sample(result.path, 5):
        typer.echo(screen.brief(row))
    typer.echo(summary.ending(result.path, result.manifest))
    after_run(result.path, recipe.resolve().parent, result.manifest)
    if not result.complete:
        raise typer.Exit(INCOMPLETE)


def _pair(option: str, text: str) -> tuple[str, str]:
    """`name=value` of a command line."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InputError(f"{option} {text}: write it as name=value")
    return name, value


def _limits(path: Path, sets: Sequence[str], models: Sequence[str], given: Sequence[str]) -> Limits:
    """The recipe's limits with those of the command line in their place."""
    from pydantic import ValidationError

    from synth_llm.models.budget import Limits
    from synth_llm.recipe import load_recipe

    values: dict[str, Any] = load_recipe(path, sets, models)[0].limits.model_dump()
    for item in given:
        name, equals, number = item.partition("=")
        name, number = (name, number) if equals else ("candidates", item)
        if name not in values:
            raise InputError(f"--limit {item}: no limit '{name}'{nearest(name, values)}")
        try:
            values[name] = getattr(Limits.model_validate({name: number}), name)
        except ValidationError:
            raise InputError(f"--limit {item}: '{number}' is not a number from 0") from None
    return Limits(**values)


def main(args: Sequence[str] | None = None) -> None:
    """The `synth-llm` command: whatever goes wrong is one line on stderr and an exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow's own keeps 40 MB more
    sys.exit(_guarded(args))


def _guarded(args: Sequence[str] | None) -> int:
    """Run a command; returns the exit code."""
    try:
        return int(_command()(args=args, prog_name="synth-llm", standalone_mode=False) or DONE)
    except BaseException as error:
        if _is_interrupt(error):
            return INTERRUPTED
        if not isinstance(error, Exception) or os.environ.get("SYNTH_LLM_DEBUG") == "1":
            raise
        code, said = _explained(error)
        said = " ".join(said.split()).removeprefix(f"{Path.cwd()}{os.sep}")
        print(f"error: {said}", file=sys.stderr)
        return code


@cache
def _command() -> Callable[..., Any]:
    """The commands with their options, made once."""
    return typer.main.get_command(app)


def _is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C ended it; asyncio is looked up, not imported, because help has no use for it."""
    loop = sys.modules.get("asyncio")
    return isinstance(error, KeyboardInterrupt | typer.Abort) or bool(loop and isinstance(error, loop.CancelledError))


def _explained(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error."""
    if isinstance(error, SynthError):
        return BAD_INPUT if isinstance(error, InputError | MissingExtra) else FAILED, str(error)
    if hasattr(error, "format_message"):  # a wrong command or option
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "synth-llm"
        return BAD_INPUT, f"{error.format_message().rstrip('.')}; see {where} --help"
    if isinstance(error, OSError):
        return FAILED, f"{error.filename}: {error.strerror}" if error.filename else str(error)
    kind = type(error).__name__
    return FAILED, f"{kind}: {error}; this is a bug; SYNTH_LLM_DEBUG=1 shows the traceback"
