"""The section `objectives`: what a recipe's rows are to be better at, as the steps and settings that bring it about.

The four are those of the survey of Ba, Mancenido and Pan 2024 (arXiv 2407.03672). Nothing here asks or draws: each
objective adds steps to the recipe, which `check` shows, and `before_after` measures what they came to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, Field

from synth_llm.candidates import cell_of
from synth_llm.errors import InputError
from synth_llm.source import read_rows
from synth_llm.steps import Step, step_type
from synth_llm.steps.context import EXAMPLES, Resources
from synth_llm.steps.embedded import Targets

if TYPE_CHECKING:
    from synth_llm.recipe import Recipe, Target
    from synth_llm.steps import Generate

STRICT = ConfigDict(extra="forbid", frozen=True)
AVOID, ORIGINAL, TARGET_TEXTS, EDGE, MISSED = "avoid", "original", "target_texts", "edge", "missed"
ROUNDS, SMALLEST = 8, 4
"""Where later rows depend on those accepted a target is cut into so many rounds, of so many candidates at least, unless
it says itself how many a round has."""
JUDGES = ("judge", "label_check", "compare")


class Diversity(BaseModel):
    """Rows differ from those accepted before."""

    model_config = STRICT

    avoid: int = Field(default=3, ge=0)
    """The prompt, which must know `avoid`, shows so many accepted rows to be unlike: the nearest to the row's texts."""
    temperature: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """`[low, high]`: the writer's temperature, rising as the target fills."""
    column: str = "text"
    """The column that the rows are to differ in."""


class Balance(BaseModel):
    """As many rows of each value, with the recipe's examples: what a value lacks drives how many are made of it."""

    model_config = STRICT

    column: str = "label"
    """A column of the source and of the examples. Without a `target` the run makes what all others lack of the
    commonest."""


class DomainShift(BaseModel):
    """Rows are rewritten to read like a target sample, which needs no labels."""

    model_config = STRICT

    to: Targets
    """The target: rows of the kind that the data is meant for: a file, a run, a dataset."""
    model: str
    """The model that rewrites."""
    column: str = "text"
    """The column that is rewritten, and in which the target has its texts; what it was stays in `original`."""
    keep: str = "what it says"
    """What rewriting must not change, such as `whether it praises or blames the film`; a label check says if it did."""
    shots: int = Field(default=4, ge=1)
    """The prompt shows so many texts of the target, the nearest to the one that is rewritten."""


class EdgeCases(BaseModel):
    """Rows lie where real rows are few, or are such as a student of the rows so far gets wrong; then they are judged.

    Shots are drawn of the accepted rows too, so that what is rare is shown more often as the target fills.
    """

    model_config = STRICT

    to: Targets = Field(default=["examples"], validate_default=True)
    """The real rows."""
    thin: float = Field(default=0.5, gt=0, lt=0.99)
    """A region is thin where this share of the real rows lies denser."""
    student: str = "probe"
    """The student that learns from the examples and the accepted rows."""
    column: str = "text"
    """The column that is embedded, and that the student reads."""
    label: str = "label"
    """The column that the student predicts."""


class Objectives(BaseModel):
    """What the rows are to be better at than the recipe alone would make them."""

    model_config = STRICT

    diversity: Diversity | None = None
    """Rows that differ from each other."""
    balance: Balance | None = None
    """As many rows of each value, with the examples."""
    domain_shift: DomainShift | None = None
    """Rows that read like a target sample."""
    edge_cases: EdgeCases | None = None
    """Rows where real ones are few, and such as a student gets wrong."""
    encoder: str | None = None
    """The encoder that all of them see texts by; the packaged one when absent."""

    @property
    def given(self) -> dict[str, Any]:
        """Those that the recipe has, by name."""
        return {name: value for name in _BY_NAME if (value := getattr(self, name)) is not None}


class Placed(NamedTuple):
    """A step, and where in the recipe it is written."""

    step: Step
    loc: tuple[str | int, ...]


def expanded(
    name: str, objective: Any, recipe: Recipe, placed: list[Placed], use: Resources
) -> tuple[Recipe, list[Placed]]:
    """The recipe as it runs with one objective, and its steps with their places.

    Raises InputError where the recipe has nothing that the objective can work on.
    """
    placed, target = _BY_NAME[name](objective, placed, recipe, use)
    return recipe.model_copy(update={"steps": [one.step for one in placed], "target": target}), placed


def _diversity(
    it: Diversity, steps: list[Placed], recipe: Recipe, use: Resources
) -> tuple[list[Placed], Target | None]:
    target = recipe.target
    if target is None:
        raise InputError("rows are accepted in rounds only with a target; add `target: {rows: ...}`")
    at = _making(it.column, steps, use)
    if at is None:
        raise InputError(f"no generate step makes column '{it.column}'; name the column to differ in with 'column'")
    step = cast("Generate", steps[at].step)
    if it.temperature:
        steps = _replaced(steps, at, step.model_copy(update={"temperature": it.temperature}))
    if it.avoid:
        prompt = use.prompt(step.prompt)
        if AVOID not in prompt.optional | prompt.needs:
            raise InputError(
                f"prompt {prompt.name} has no place for rows to avoid; write "
                "`{% from 'blocks/avoid.jinja' import unlike %}` and `{{ unlike(avoid | default([])) }}` into it, "
                "or set `avoid: 0`"
            )
        near = {"from": "accepted", "nearest": it.column, "n": it.avoid, "into": AVOID, **_encoder(recipe)}
        steps = _around(steps, at, "diversity", [("sample", "nearest accepted rows", near)], [_drop(AVOID)])
    return steps, _in_rounds(target)


def _balance(it: Balance, steps: list[Placed], recipe: Recipe, use: Resources) -> tuple[list[Placed], Target | None]:
    from synth_llm.recipe import Target

    target = recipe.target
    if target is not None and target.per not in (None, it.column):
        raise InputError(f"target.per is '{target.per}', not '{it.column}'")
    if not use.examples:
        raise InputError("the examples are empty")
    if target is not None:
        return steps, target.model_copy(update={"per": it.column, "counting": "examples"})
    there = Counter(cell_of(row, it.column) for row in use.examples)
    cells = {cell_of(row, it.column) for row in read_rows(recipe.source, use.base)}
    lacking = sum(max(there.values()) - there[cell] for cell in cells)
    if not lacking:
        raise InputError(f"the examples have as many rows of each {it.column}; give a target of rows to make")
    return steps, Target(rows=lacking, per=it.column, counting="examples")


def _domain_shift(
    it: DomainShift, steps: list[Placed], recipe: Recipe, use: Resources
) -> tuple[list[Placed], Target | None]:
    at = _making(it.column, steps, use)
    rewrite = {
        "prompt": "objectives/rewrite",
        "model": it.model,
        "gives": {it.column: "string"},
        "with": {"column": it.column, "keep": it.keep},
    }
    nearest = {"from": it.to, "nearest": it.column, "n": it.shots, "into": TARGET_TEXTS, **_encoder(recipe)}
    own: list[tuple[str, str, Mapping[str, Any]]] = [
        ("map", "keep the original", {"set": {ORIGINAL: it.column}}),
        ("sample", "nearest target texts", nearest),
        ("generate", "rewrite", rewrite),
        _drop(TARGET_TEXTS),
        ("filter", "no copy", {"if": f"{it.column} | trim | lower != {ORIGINAL} | string | trim | lower"}),
    ]
    new = _steps("domain_shift", own)
    after = 0 if at is None else at + 1
    return [*steps[:after], *new, *steps[after:]], recipe.target


def _edge_cases(
    it: EdgeCases, steps: list[Placed], recipe: Recipe, use: Resources
) -> tuple[list[Placed], Target | None]:
    from synth_llm.steps import Sample

    target = recipe.target
    judges = [at for at, one in enumerate(steps) if one.step.type in JUDGES]
    if not judges:
        raise InputError(
            f"a row that a student gets wrong may be wrong itself; add a step that judges ({', '.join(JUDGES)})"
        )
    there = {"column": it.column, "to": it.to, "between": [0, 1], "into": EDGE, **_encoder(recipe)}
    missed = {"column": it.column, "label": it.label, "student": it.student, "on_easy": "flag", "into": MISSED}
    missed |= _encoder(recipe)
    case = f"{EDGE} >= {it.thin} and {EDGE} <= 0.99 or {MISSED}"
    new = _steps(
        "edge_cases",
        [
            ("edge", "thin regions", there),
            ("hard", "what the student misses", missed),
            ("filter", "case", {"if": case}),
        ],
    )
    steps = [*steps[: judges[0]], *new, *steps[judges[0] :]]
    for at, (step, _) in enumerate(steps):
        if isinstance(step, Sample) and step.from_ == EXAMPLES and target is not None:
            steps = _replaced(steps, at, step.model_copy(update={"from_": [EXAMPLES, "accepted"]}))
    return steps, _in_rounds(target)


_BY_NAME: dict[str, Callable[[Any, list[Placed], Recipe, Resources], tuple[list[Placed], Target | None]]] = {
    "diversity": _diversity,
    "balance": _balance,
    "domain_shift": _domain_shift,
    "edge_cases": _edge_cases,
}


def _encoder(recipe: Recipe) -> dict[str, Any]:
    """The setting of a step that embeds."""
    return {"encoder": recipe.objectives.encoder if recipe.objectives else None}


def _making(column: str, steps: list[Placed], use: Resources) -> int | None:
    """The first generate step that makes a column."""
    from synth_llm.steps import Generate

    for at, (step, _) in enumerate(steps):
        if isinstance(step, Generate) and column in use.prompt(step.prompt, step.gives).gives.columns:
            return at
    return None


def _drop(column: str) -> tuple[str, str, Mapping[str, Any]]:
    return "map", f"drop {column}", {"drop": [column]}


def _steps(objective: str, own: list[tuple[str, str, Mapping[str, Any]]]) -> list[Placed]:
    """The steps of an objective, of (type, name, settings)."""
    made = []
    for kind, name, settings in own:
        found = step_type(kind)
        assert found is not None
        made.append(
            Placed(found.model_validate({**settings, "name": f"{objective}: {name}"}), ("objectives", objective))
        )
    return made


def _around(
    steps: list[Placed],
    at: int,
    objective: str,
    before: list[tuple[str, str, Mapping[str, Any]]],
    after: list[tuple[str, str, Mapping[str, Any]]],
) -> list[Placed]:
    return [*steps[:at], *_steps(objective, before), steps[at], *_steps(objective, after), *steps[at + 1 :]]


def _replaced(steps: list[Placed], at: int, step: Step) -> list[Placed]:
    return [*steps[:at], Placed(step, steps[at].loc), *steps[at + 1 :]]


def _in_rounds(target: Target | None) -> Target | None:
    """The target in rounds, as each looks at what those before it accepted."""
    if target is None or target.round is not None:
        return target
    return target.model_copy(update={"round": max(SMALLEST, math.ceil(target.rows / ROUNDS))})
