"""score: how likely a model finds a text, as a column: perplexity, or how much an instruction helps with its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

from pydantic import model_validator

from synth_llm.errors import InputError, Reject
from synth_llm.measure.fluency import ifd, perplexity
from synth_llm.models.call import Caller
from synth_llm.models.request import Request
from synth_llm.models.scoring import ENGINES, Scored, of_answer, of_text, scored
from synth_llm.row import ID, LINEAGE, Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

UNABLE = "local"
"""llama.cpp's server takes `echo` and does nothing with it."""
IN_PROCESS = ("function", "replay", "transformers", "vllm")
"""Engines that are given a chat to score."""


class Score(Step):
    """The row with a number; a `filter` after it holds a threshold against it: `filter: {if: perplexity < 80}`.

    A text without words, or of a single token, has no score: null.
    """

    type: ClassVar[str] = "score"

    by: Literal["perplexity", "ifd"] = "perplexity"
    """`perplexity`: the exponential of the mean loss of a token, from 1 up; `ifd`: the instruction-following difficulty
    (Li et al. 2023), the mean loss of the answer given its instruction over that without it: near 1 the instruction
    hardly helps, above 1 it misleads. (`slor`, which allows for rare words, is a step of its own after this one.)"""
    model: str
    """A model of the recipe whose engine scores given text: `transformers`, `vllm`, or `openai` at a server that takes
    `echo`, such as vLLM's."""
    column: str = "text"
    """The column with the text; for `ifd` the answer."""
    given: str | list[str] | None = None
    """For `ifd`: the column with the instruction; of several, those that are not empty, a line each. It is asked by the
    model's chat template, at an endpoint or with `api: completions` as plain text."""
    into: str | None = None
    """The column for the number; by default named as `by`."""

    @model_validator(mode="after")
    def _given_for_ifd(self) -> Score:
        if (self.by == "ifd") != bool(self.given):
            raise ValueError("`given`, the instruction's column, goes with `by: ifd` and only with it")
        return self

    @property
    def calls(self) -> int:
        """One; of `ifd` two."""
        return 1 if self.by == "perplexity" else 2

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the score. Raises InputError for an engine that cannot score given text."""
        need([self.column, *self._given], have, "score")
        check_engine(self.model, use)
        into = self.into or self.by
        if into in have:
            raise InputError(f"score gives '{into}', which the rows already have; name another with `into`")
        return have | {into}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with its score. Raises Reject for a text that the model refuses, such as one that is too long."""
        into, text, value = self.into or self.by, row.get(self.column), None
        lineage = list(row[LINEAGE])
        if isinstance(text, str) and text.strip():
            caller = ctx.callers[self.model]
            alone = await _asked(of_text(caller.model, caller.revision, text), caller, row, ctx, lineage)
            if self.by == "perplexity":
                value = _finite(perplexity, known(alone))
            else:
                chat = caller.chat and in_process(self.model, ctx.use)
                request = of_answer(caller.model, caller.revision, self._question(row), text, chat=chat)
                conditioned = await _asked(request, caller, row, ctx, lineage)
                value = _finite(ifd, *_same(conditioned, alone))
        ctx.note(into, row, value, True)
        return [{**row, into: value, LINEAGE: lineage}]

    @property
    def _given(self) -> list[str]:
        return [self.given] if isinstance(self.given, str) else self.given or []

    def _question(self, row: Row) -> str:
        parts = (str(row.get(column) or "") for column in self._given)
        return "\n".join(part for part in parts if part.strip())


def check_engine(model: str, use: Resources) -> None:
    """Raises InputError when the engine of a recipe's model does not score given text."""
    if use.model(model).engine == UNABLE:
        raise InputError(
            f"model '{model}': the engine {UNABLE} (llama.cpp) does not score given text; "
            f"engines that do: {', '.join(ENGINES)} (openai at a server that takes echo, such as vLLM's)"
        )


def in_process(model: str, use: Resources) -> bool:
    """Whether the engine of a recipe's model takes a chat to score, and not only a plain text."""
    entry = use.model(model)
    return entry.engine in IN_PROCESS and not entry.serve


def known(tokens: Sequence[Scored]) -> list[float]:
    """The log-probabilities of the tokens that have one."""
    return [token.logprob for token in tokens if token.logprob is not None]


async def _asked(
    request: Request, caller: Caller, row: Row, ctx: Context, lineage: list[dict[str, str]]
) -> list[Scored]:
    """The scored tokens, and the call added to the row's lineage."""
    lineage.append({"step": ctx.step, "row": row[ID], "key": request.key})
    asked = await caller.ask(request, -ctx.number, ctx.step)
    if asked.said.reason:
        reject = Reject(asked.said.reason, asked.said.detail, raw=asked.answer.body.decode("utf-8", "replace"))
        reject.lineage = lineage
        raise reject
    return scored(asked.answer)


def _same(one: Sequence[Scored], other: Sequence[Scored]) -> tuple[list[float], list[float]]:
    """The log-probabilities of the tokens at the end of both that are the same, and have one in both.

    They are the answer's, but for what a tokenizer makes of the place where the instruction meets it.
    """
    pairs = []
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left.text != right.text:
            break
        if left.logprob is not None and right.logprob is not None:
            pairs.append((left.logprob, right.logprob))
    return [left for left, _ in pairs], [right for _, right in pairs]


def _finite(measure: Callable[..., float], *logprobs: list[float]) -> float | None:
    """A measure of log-probabilities, None where there are none or it is infinite."""
    if not all(logprobs):
        return None
    value = measure(*logprobs)
    return value if math.isfinite(value) else None
