"""slor: how acceptable a text is, whatever its length and however rare its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from synth_llm.errors import FatalError, InputError
from synth_llm.measure.fluency import slor, unigram_logprobs
from synth_llm.models.scoring import Scored, of_text, scored
from synth_llm.row import Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.score import Score, known
from synth_llm.steps.step import Columns, Rows, Step, need


class Slor(Step):
    """The row with its syntactic log-odds ratio (Kann et al. 2018), the greater the more acceptable.

    The model's log-probabilities are those of a `score` step before it, which the journal holds: nothing is asked. How
    common a token is by itself is counted in the rows that come in and those that earlier rounds accepted; the paper
    counts in what the model was trained on, which is not at hand.
    """

    type: ClassVar[str] = "slor"

    of: str
    """The model that the step `score` asked, by its name in the recipe."""
    column: str = "text"
    """The column with the text."""
    into: str = "slor"
    """The column for the number; null for a text without words, or of a single token."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the score. Raises InputError without a step that asked for what it reads."""
        need([self.column], have, "slor")
        before = use.recipe.steps[: next((at for at, step in enumerate(use.recipe.steps) if step is self), None)]
        if not any(isinstance(step, Score) and (step.model, step.column) == (self.of, self.column) for step in before):
            raise InputError(
                f"slor reads what a step before it asked: `score: {{model: {self.of}, column: {self.column}}}`"
            )
        if self.into in have:
            raise InputError(f"slor gives '{self.into}', which the rows already have; name another with `into`")
        return have | {self.into}

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row]:
        """Each row with its score."""
        counts: Counter[str] = Counter()
        for row in chain(ctx.accepted(), rows):
            counts.update(token.text for token in self._tokens(row, ctx))
        for row in rows:
            tokens = [token for token in self._tokens(row, ctx) if token.logprob is not None]
            unigram = unigram_logprobs(counts, (token.text for token in tokens))
            value = slor(known(tokens), unigram) if tokens else None
            ctx.note(self.into, row, value, True)
            yield {**row, self.into: value}

    def _tokens(self, row: Row, ctx: Context) -> list[Scored]:
        """A text's tokens as the model scored them."""
        text, caller = row.get(self.column), ctx.callers[self.of]
        if not isinstance(text, str) or not text.strip():
            return []
        answer = caller.known(of_text(caller.model, caller.revision, text))
        if answer is None:
            raise FatalError(f"{ctx.step}: a text changed between the steps score and slor; put slor right after score")
        return scored(answer)
