"""augment: variants of a text by rules, without a model: EDA, AEDA, typing errors, blanks."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.row import ID, Row, child_of, rng
from synth_llm.rules.edits import EDA, variants
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, named, need

Edit = Literal["eda", "synonyms", "insertion", "swap", "deletion", "aeda", "typos", "blanks"]
AUGMENTED, ORIGINAL = "augmented", "original"


class Augment(Step):
    """Each row becomes `n` rows with another text and the same other columns; `augmented` says which edit made it.

    All variants of a row differ from it and from each other. A text that has fewer gives fewer; the manifest counts
    how many are missing.
    """

    type: ClassVar[str] = "augment"

    by: Edit | list[Edit] = "eda"
    """The edits, in turn. `synonyms` (of WordNet; English), `insertion` of synonyms, `swap` and `deletion` of words;
    `eda`: these four; `aeda`: punctuation inserted; `typos`; `blanks`: words become `___`, for a model to fill."""
    column: str = "text"
    """The column whose text is changed."""
    n: int = Field(default=1, ge=1)
    """Variants of each row. Many can harm a student on vectors of texts (docs/recipes/rules.md)."""
    strength: float | None = Field(default=None, gt=0, le=0.5)
    """The share of a text's words that is changed, one at least; by default 0.1, and up to a third for `aeda`."""
    keep: bool = False
    """The text as it is stays too, before its variants; its `augmented` is `original`."""

    @property
    def makes(self) -> int:
        """The variants, and the text as it is."""
        return self.n + self.keep

    @property
    def edits(self) -> list[str]:
        """The edits by name, `eda` as its four."""
        return [edit for name in named(self.by) for edit in (EDA if name == "eda" else (name,))]

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and `augmented`. Raises InputError where an edit is named twice."""
        need([self.column], have, "augment")
        if not self.edits or len(set(self.edits)) < len(self.edits):
            raise InputError("augment: by: name at least one edit, and each once; eda is synonyms, insertion, swap, "
                             "deletion")  # fmt: skip
        return have | {AUGMENTED}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The variants. Raises Reject as `empty` without a text, and as `no variant` where no edit changes it."""
        text = row.get(self.column)
        if not isinstance(text, str) or not text.strip():
            raise Reject("empty", f"{self.column}: no text to change")
        made = variants(text, self.edits, self.n, rng(ctx.seed, ctx.step, row[ID]), self.strength)
        if not made and not self.keep:
            raise Reject("no variant", f"{self.column}: {', '.join(self.edits)} cannot change this text")
        if missing := self.n - len(made):
            ctx.report("missing variants", ctx.notes.report.get("missing variants", 0) + missing)
        texts = [(ORIGINAL, text)] * self.keep + made
        first = 0 if self.keep else 1  # a variant has the same id, whether or not the row stays
        return [
            child_of(row, (number,), {self.column: new, AUGMENTED: edit})
            for number, (edit, new) in enumerate(texts, first)
        ]
