"""What every step is: settings that know which columns they need and give. The rest is the step's own file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict

from synth_llm.errors import InputError, Reject, nearest
from synth_llm.row import Row

if TYPE_CHECKING:
    from synth_llm.steps.context import Context, Resources

Columns = frozenset[str]


def _schema(value: Any) -> Any:
    """A Pydantic model as its JSON Schema, also as the one item of a list; anything else as it is."""
    if isinstance(value, list):
        return [_schema(item) for item in value]
    return value.model_json_schema() if isinstance(value, type) and issubclass(value, BaseModel) else value


Given = Annotated[Any, BeforeValidator(_schema)]


class Step(BaseModel):
    """The settings of a step. Its type is the name under which recipes know it."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    type: ClassVar[str]
    final: ClassVar[bool] = False
    """Of a dataset step: with a target, it runs once, after the last round, on what was accepted."""

    name: str | None = None
    """What the funnel and the rejected rows call this step; by default its type and prompt."""

    @property
    def title(self) -> str:
        """The step's name, given or default: never its position, so that inserting a step changes no draw."""
        prompt = getattr(self, "prompt", None)
        return self.name or (f"{self.type} {prompt}" if prompt else self.type)

    @property
    def calls(self) -> int:
        """Model calls for one row."""
        return 0

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it asks, by their names in the recipe; each as often as the others."""
        model = getattr(self, "model", None)
        return (model,) if isinstance(model, str) else tuple(model or ())

    @property
    def makes(self) -> int:
        """Rows expected of one row."""
        return 1


class Rejected(NamedTuple):
    """A row that a step rejects, and why."""

    row: Row
    reject: Reject


class RowStep(Protocol):
    """Sees one row at a time, and streams."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The columns after this step. Raises InputError when it cannot run on rows that have `have`."""
        ...

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row itself, changed or not, or its children, each kept or rejected. Raises Reject to reject the row."""
        ...


class Rows(Protocol):
    """The rows that enter a dataset step, in candidate order: on disk, and gone through as often as it likes."""

    def __iter__(self) -> Iterator[Row]: ...
    def __len__(self) -> int: ...


class DatasetStep(Protocol):
    """Sees all rows of a round, in candidate order, and is a barrier."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """As for a row step."""
        ...

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row again, in the same order: kept, rejected, or replaced by its children. Runs in a thread."""
        ...


def named(column: str | Sequence[str]) -> list[str]:
    """The columns of a setting that takes one or several."""
    return [column] if isinstance(column, str) else list(column)


def need(columns: Iterable[str], have: Columns, what: str) -> None:
    """Raises InputError, naming the nearest column, when the rows lack one of `columns`."""
    for column in columns:
        if column not in have:
            raise InputError(f"{what} needs column '{column}'; the rows have {_listed(have)}{_near(column, have)}")


def _listed(have: Columns) -> str:
    return ", ".join(sorted(have)) or "no columns"


def _near(column: str, have: Columns) -> str:
    hint = nearest(column, have)
    return hint if "did you mean" in hint else ""
