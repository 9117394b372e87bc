"""The section `publish` of a recipe: in what form its rows are given to others."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from synth_llm.errors import InputError, nearest
from synth_llm.publish.formats import FORMATS, Columns, columns_of

TRAIN = "train"
Files = Literal["parquet", "jsonl", "csv"]
Near = Literal["words", "meaning"]


class Publish(BaseModel):
    """Format, columns, splits and files; what is not said stays as the rows are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str | None = None
    """What the trainer reads: messages, prompt_completion, alpaca, sharegpt, tools, preference, kto, classification,
    several_labels, token_labels, pairs, triplets or text. None: the columns as they are."""
    columns: dict[str, str] = {}
    """Where the format finds what no column is named after: `{prompt: question}`."""
    splits: dict[str, float] = Field(default={}, examples=[{"test": 0.1}])
    """Shares of rows that are held out, by the names of the splits; what is left is `train`."""
    stratify: str | None = None
    """A column each value of which has its share in every split."""
    near: Near = "words"
    """Which rows stay in one split beside those of one parent: `words`, texts with nearly the same words (Jaccard
    similarity of three-word shingles from 0.8 on); `meaning`, also those that mean nearly the same (cosine of the
    packaged encoder's vectors from 0.9 on), which takes the time of encoding them."""
    files: Files = "parquet"
    """Parquet, JSON Lines or CSV."""
    license: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """For the card: the licence as the Hub calls it, such as `cc-by-4.0`. None is never guessed."""
    languages: list[str] | None = None
    """For the card: ISO 639-1 codes; when absent those that are found in the rows."""
    terms: str | None = None
    """For the card: what the terms of the models that wrote say of their output."""

    @field_validator("format")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in FORMATS:
            raise ValueError(f"no format '{name}'{nearest(name, FORMATS)}; there are {', '.join(FORMATS)}")
        return name

    @field_validator("splits")
    @classmethod
    def _possible(cls, shares: dict[str, float]) -> dict[str, float]:
        for name, share in shares.items():
            if not name.isidentifier() or name == TRAIN:
                raise ValueError(f"no split can be called '{name}': take a word, such as test; train is what is left")
            if not 0 < share < 1:
                raise ValueError(f"{name}: {share:g} is no share between 0 and 1")
        if sum(shares.values()) >= 1:
            raise ValueError(f"{', '.join(shares)} leave nothing to train on")
        return shares

    @model_validator(mode="after")
    def _fitting(self) -> Publish:
        if self.columns and self.format is None:
            raise ValueError("columns say where a format finds its values; name the format too")
        for name in ("stratify", "near"):  # a manifest holds the defaults too
            if getattr(self, name) != type(self).model_fields[name].default and not self.splits:
                raise ValueError(f"{name} goes with splits, such as {{test: 0.1}}")
        return self

    def columns_in(self, have: Collection[str]) -> Columns | None:
        """Where the format finds its values among these columns. Raises InputError when it does not."""
        if self.stratify is not None and self.stratify not in have:
            known = ", ".join(have)
            raise InputError(f"stratify: no column '{self.stratify}'{nearest(self.stratify, have)}; there are {known}")
        return None if self.format is None else columns_of(self.format, [*have], self.columns)


def publish_of(given: dict[str, Any]) -> Publish:
    """The settings given by name. Raises InputError for one that cannot be."""
    try:
        return Publish.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise InputError(where + first["msg"].removeprefix("Value error, ")) from None
