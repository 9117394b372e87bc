"""`evaluate`: what rows are worth, in numbers, with all parts that have what they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from synth_llm import output
from synth_llm.curate import named, plain_name
from synth_llm.errors import InputError
from synth_llm.evaluation import gate, parts, plots, results
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.results import Evaluation
from synth_llm.evaluation.saved import save_student
from synth_llm.evaluation.settings import Evaluate
from synth_llm.evaluation.sides import load
from synth_llm.recipe import Recipe, RecipeFile, explained, override
from synth_llm.row import Row
from synth_llm.source import Source

FOLDER = "evaluation"
"""Where the evaluation of a run lies, in the run folder."""
SIDES = ("real", "test", "holdout")

Model = TypeVar("Model", bound=BaseModel)
Watch = Callable[[Data, Sequence[str]], Any]
"""Makes a context manager that shows what is done; it is called with the name of each part as that begins."""


def evaluate(
    data: str | Path | Sequence[Row],
    *,
    recipe: Recipe | str | Path | None = None,
    base: Path | None = None,
    rename: Mapping[str, str] | None = None,
    split: str | None = None,
    sets: Sequence[str] = (),
    ablate: bool = False,
    grid: str | None = None,
    out: str | Path | None = None,
    save: str | Path | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Evaluation:
    """Measure rows: a file, a run folder, the folder of a dataset or its name on the Hub, or a list of rows.

    `settings` are those of a recipe's section `evaluate`, over those of `recipe`, which for a run folder is its own.
    `real`, `test` and `holdout` are given like `data`. `sets` are further settings as the command line writes them.
    `ablate` and `grid` (a column of numbers) run the two parts that train often. `out` is the folder of the results:
    `evaluation` in the run folder, else `runs/<data>-evaluation`. What it stored is not computed again. `save` is a new
    folder for the student: the first one, trained on all rows, ready for the Hub.

    Raises InputError before any work for what cannot be used. A part that cannot be measured is in `failed` of what is
    returned, and what the gate does not let pass in `short`.
    """
    source, where = _made(data, rename, split)
    given = {name: _side(value) if name in SIDES else value for name, value in settings.items()}
    own = where / output.RECIPE if where is not None and (where / output.RECIPE).is_file() else None
    loaded, folder = _recipe(own if recipe is None else recipe, given, sets)
    notes: list[str] = []
    rows = load(source, loaded, base or folder, notes.append)
    place = Path(out) if out is not None else where / FOLDER if where else _place(data)
    rows.store = parts.store_of(place, rows)
    todo = parts.chosen(rows, ablate, grid)
    gate.check(rows.settings.gate, todo)
    found = Evaluation(rows.settings, place, notes=notes)
    with ExitStack() as stack:
        begin = (
            stack.enter_context(watch(rows, [name for name in todo if not todo[name]])) if watch else lambda name: None
        )
        for name, lack in todo.items():
            if lack:
                found.outcomes.append(parts.Outcome(name, state="left out", why=lack))
                continue
            begin(name)
            found.outcomes.append(parts.measured(name, rows, grid))
    found.notes += rows.use.notices
    found.short = gate.failed(rows.settings.gate, found.figures.values(), broken=bool(found.failed))
    plots.draw(found)
    results.write(found, rows)
    if where is not None and place == where / FOLDER:
        _fill_card(where, found)
    if save is not None:
        save_student(rows, found.figures, Path(save), plain_name(str(data)) if isinstance(data, str | Path) else "rows")
    return found


def _made(
    data: str | Path | Sequence[Row], rename: Mapping[str, str] | None, split: str | None
) -> tuple[Source, Path | None]:
    """The rows that are measured, and the run folder that they are of, if they are."""
    if not isinstance(data, str | Path):
        if split is not None:
            raise InputError("split is for datasets, not for a list of rows")
        return Source(rows=[dict(row) for row in data], rename=dict(rename or {})), None
    value = named(str(data), rename, split)
    return Source(**value), Path(value["run"]) if "run" in value else None


def _side(value: Any) -> Any:
    """A side as settings write it: what is a path or a name, found from the current folder."""
    if isinstance(value, str | Path):
        return named(str(value))
    return {"rows": [dict(row) for row in value]} if isinstance(value, list) else value


def _recipe(recipe: Recipe | str | Path | None, given: dict[str, Any], sets: Sequence[str]) -> tuple[Recipe, Path]:
    """The recipe with these settings in its section `evaluate`, and the folder where its paths start."""
    if isinstance(recipe, Recipe):
        if sets:
            raise InputError("overrides are for recipe files; change the Recipe object")
        own = recipe.evaluate.model_dump(exclude_unset=True) if recipe.evaluate else {}
        return recipe.model_copy(update={"evaluate": _checked(Evaluate, {**own, **given})}), Path.cwd()
    if recipe is None:
        value = {"name": FOLDER, "source": {"empty": 1}, "steps": [{"map": {}}], "evaluate": given}
        for change in sets:
            override(value, change)
        return _checked(Recipe, value), Path.cwd()
    file = RecipeFile(Path(recipe))
    for kind in ("models", "encoders"):  # a Python function stays behind when a run folder is written
        entries = file.value.get(kind)
        if isinstance(entries, dict):
            gone = [name for name, one in entries.items() if isinstance(one, dict) and one.get("engine") == "function"]
            for name in gone:
                del entries[name]
    section = file.value.get("evaluate") or {}
    if not isinstance(section, dict):
        raise file.error("evaluate: is a mapping of settings", ("evaluate",))
    file.value["evaluate"] = {**section, **given}
    for change in sets:
        override(file.value, change)
    return file.recipe(), file.base


def _checked(model: type[Model], value: Any) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InputError(explained(error, model)[0]) from None


def _place(data: Any) -> Path:
    name = plain_name(str(data)) if isinstance(data, str | Path) else "rows"
    return Path("runs") / f"{name}-{FOLDER}"


def _fill_card(run: Path, found: Evaluation) -> None:
    """Write the card of a run folder with the figures."""
    manifest = output.read_manifest(run)
    if manifest:
        output.write_text(run / output.CARD, f"{output.card(manifest)}\n{results.for_card(found)}")
