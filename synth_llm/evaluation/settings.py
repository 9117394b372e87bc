"""The section `evaluate` of a recipe: what a dataset is held against, and how."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from synth_llm.against import Against
from synth_llm.errors import nearest
from synth_llm.source import Source

PART_NAMES = ("diversity", "fidelity", "utility", "privacy", "bias", "contamination")
PartName = Literal["diversity", "fidelity", "utility", "privacy", "bias", "contamination"]
Baseline = Literal["examples", "real", "oversample", "random"]


def _source(given: Any) -> Any:
    """A text is short for a file, or for the folder of a run; anything else as it is."""
    if not isinstance(given, str):
        return given
    return {"file": given} if Path(given).suffix in {".jsonl", ".json", ".csv", ".parquet"} else {"run": given}


Data = Annotated[Source, BeforeValidator(_source, json_schema_input_type=str | Source)]
"""Rows: a file, a run folder, or `{dataset: ..., split: ...}`, with `rename` where columns have other names."""

_WANTED = re.compile(r"\s*(?:(low|high)\b)?\s*(>=|<=|==|!=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


class Wanted(NamedTuple):
    """What a gate wants of a figure."""

    end: Literal["value", "low", "high"]
    """Which number of the figure is held against: the value, or an end of its 95 % interval."""
    sign: str
    number: float


def wanted(condition: str) -> Wanted:
    """A gate's condition, such as `>= 0.8` or `low >= 0.8`. Raises ValueError.

    >>> wanted("low >= 0.8")
    Wanted(end='low', sign='>=', number=0.8)
    """
    found = _WANTED.fullmatch(condition)
    if found is None:
        raise ValueError(
            f"'{condition}' is no condition; write it as '>= 0.8', or as 'low >= 0.8' for the whole interval"
        )
    end: Any = found[1] or "value"
    return Wanted(end, found[2], float(found[3]))


_STUDENTS = (
    *("tstr", "trtr", "trts", "gan_train", "gan_test", "seeds_only", "oversample", "macro_f1"),
    *("loss", "held_out_loss", "rouge", "bleu", "win_rate", "verifiable"),
)
FIGURES: dict[str, tuple[str, ...]] = {
    "diversity": (
        *("distinct_1", "distinct_2", "self_bleu", "compression_ratio", "dispersion", "vendi", "novelty"),
        "coverage_*",
    ),
    "fidelity": (
        *("length_js", "vocabulary_js", "label_js", "mauve", "frechet", "precision", "recall", "density", "coverage"),
        *("c2st", "label_noise", "correlation_distance", "*_js", "ks_*"),
    ),
    "utility": (*_STUDENTS, *(f"{name}_*" for name in _STUDENTS), "mix_*", "real_*", "*_less_*"),
    "privacy": (
        *("pii", "exact_copies", "near_copies", "dcr_median", "dcr_share", "nndr", "mia_distance", "mia_loss"),
        *("k_anonymity", "l_diversity", "t_closeness", "pii_*", "dcr_*", "nndr_*", "mia_*"),
    ),
    "bias": ("rate_*", "association_*", "gap_*"),
    "contamination": ("contaminated", "contaminated_*"),
    "ablation": ("worth_*",),
    "grid": ("grid_*",),
}
"""The figures of each part, for gates; `*` stands for the name of a column, a group, a number of rows or a student."""


def parts_of(figure: str) -> list[str]:
    """The parts that may give a figure of this name."""
    return [part for part, patterns in FIGURES.items() if any(fnmatchcase(figure, one) for one in patterns)]


class Evaluate(BaseModel):
    """What the rows are held against; a part runs when what it needs is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    real: Data | None = None
    """Real rows: for fidelity, privacy and bias, and what a student learns from instead, or beside."""
    test: Data | None = None
    """Real rows that nothing was made from: what a student is tested on."""
    holdout: Data | None = None
    """Real rows that the made ones were not made from, beside `real`: for privacy. By default `test`."""
    column: str | list[str] | None = None
    """The column, or columns together, that are compared. By default `text`, else instruction, input and output."""
    label: str | None = None
    """The column with the class. By default `label`, where all rows have one."""
    prompt: list[str] = ["instruction", "input"]
    """For `student: sft`: the columns that the model is given."""
    answer: str = "output"
    """For `student: sft`: the column that it learns to write."""
    parts: list[PartName] | None = None
    """The parts to run. By default all that have what they need."""
    student: str | list[str] = "probe"
    """Who learns: `probe`, `classifier`, `sft`, or what another package offers; several to compare them."""
    student_settings: dict[str, Any] = {}
    """Further settings of the students, such as `epochs`."""
    baselines: list[Baseline] = ["examples", "real", "oversample", "random"]
    """What the set is held against, in the same table."""
    sizes: list[int | Literal["all"]] = [0, 10, 32, 100, 500, "all"]
    """How many real rows are mixed with all synthetic ones, and learned from alone."""
    seeds: int = Field(default=5, ge=1)
    """Draws of each subset, and fits of each student that draws."""
    encoder: str | None = None
    """An encoder of the recipe; by default the packaged one."""
    numbers: list[str] = []
    """Columns of numbers whose distributions and correlations are compared."""
    attributes: list[str] = []
    """Columns of categories, beside the label, whose distributions are compared."""
    groups: dict[str, list[str]] = {}
    """For bias: named groups of people by the words that name them, such as `women: [she, her, woman]`."""
    quasi: list[str] = []
    """For privacy: columns that together might tell who a row is about (k-anonymity)."""
    sensitive: str | None = None
    """For privacy: the column that nobody should be able to tell of a person (l-diversity, t-closeness)."""
    against: list[Against] = []
    """Evaluation sets that must not stand in the data: contamination."""
    gate: dict[str, str] = {}
    """What figures must be, such as `{tstr: ">= 0.8", near_copies: "== 0"}`; else the exit code is 4. The value counts,
    or with `low >= 0.8` or `high <= 0.1` the end of its 95 % interval."""

    @field_validator("gate")
    @classmethod
    def _conditions(cls, gate: dict[str, str]) -> dict[str, str]:
        for name, condition in gate.items():
            if not parts_of(name):
                known = [one for patterns in FIGURES.values() for one in patterns if "*" not in one]
                raise ValueError(f"no figure '{name}'{nearest(name, known)}")
            try:
                wanted(condition)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return gate
