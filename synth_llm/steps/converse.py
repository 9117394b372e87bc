"""converse: two models talk, one of them in the user's place."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.row import LINEAGE, Row, canonical
from synth_llm.similar.exact import normalised
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

USER, ASSISTANT = "user", "assistant"


class Converse(Step):
    """Adds `messages`, a list of `{role, content}` that begins with the user and ends with the assistant, and `ended`.

    The user's prompt sees the row, `messages` so far and `done`; it may say `speaks: user`, which lets an aligned model
    go on as users do. The assistant's prompt sees `messages` alone: what the user wants, it hears from the user. Two
    models that talk to each other: UltraChat (Ding et al. 2023, arXiv 2305.14233).
    """

    type: ClassVar[str] = "converse"

    user: str
    """The model in the user's place."""
    assistant: str
    """The model that answers."""
    prompt: str = "converse/user"
    """The prompt of the user's messages. It gives one text."""
    answer: str = "converse/assistant"
    """The prompt of the answers. It gives one text."""
    turns: int = Field(default=4, ge=1)
    """Messages of the user at most."""
    max_words: int = Field(default=600, ge=1)
    """No further message is asked for when the conversation has so many words: it has to fit into a context."""
    done: str = "[DONE]"
    """What the user's side writes when it has what it wanted. What it writes beside that is not kept."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Further variables of the user's prompt, the same for every row."""

    @property
    def calls(self) -> int:
        """Two a turn, at most."""
        return 2 * self.turns

    @property
    def models(self) -> tuple[str, ...]:
        """Both; one that talks to itself once."""
        return tuple(dict.fromkeys((self.user, self.assistant)))

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns, `messages` and `ended`."""
        for model, name in ((self.user, self.prompt), (self.assistant, self.answer)):
            prompt = use.prompt(name)
            if prompt.gives.format != "text":
                raise InputError(f"prompt {name} gives no plain text; what is said in a conversation is one text")
            use.model(model)
            if prompt.speaks == USER:
                use.template(model)
        told = {"messages", "done", *self.with_} | use.constants
        need(use.prompt(self.prompt).needs - told, have, f"prompt {self.prompt}")
        need(use.prompt(self.answer).needs - {"messages"}, frozenset(), f"prompt {self.answer}")
        for column in ("messages", "ended"):
            if column in have:
                raise InputError(f"the rows have a column '{column}' already; rename it")
        return have | {"messages", "ended"}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with its conversation. Raises Reject as the answer that could not be used was, with what was said."""
        said: list[dict[str, str]] = []
        ended, row = "", {**row}
        for turn in range(self.turns):
            text = await self._say(USER, turn, said, row, ctx)
            if self.done in text:
                ended = "done"
            elif _repeats(text, USER, said):
                ended = "repeated"
            if ended:
                break
            question = {"role": USER, "content": text}
            text = await self._say(ASSISTANT, turn, [*said, question], row, ctx)
            if _repeats(text, ASSISTANT, said):
                ended = "repeated"
                break
            said += [question, {"role": ASSISTANT, "content": text}]
            if sum(len(message["content"].split()) for message in said) >= self.max_words:
                ended = "max_words"
                break
        if not said:
            reject = Reject("empty", f"the user's side says {self.done} before anything is said")
            reject.lineage = row[LINEAGE]
            raise reject
        return [{**row, "messages": said, "ended": ended or "turns"}]

    async def _say(self, role: str, turn: int, said: list[dict[str, str]], row: Row, ctx: Context) -> str:
        """The next message; its call is added to the row's lineage."""
        shown: dict[str, Any] = {"messages": said}
        if role == USER:
            model, prompt, sample = self.user, ctx.use.prompt(self.prompt), 2 * turn
            shown = {**ctx.use.variables(row), **self.with_, "done": self.done, **shown}
        else:
            model, prompt, sample = self.assistant, ctx.use.prompt(self.answer), 2 * turn + 1
        try:
            (record,), row[LINEAGE] = await ctx.ask(model, prompt, row, shown, sample)
        except Reject as reject:
            reject.lineage = reject.lineage or row[LINEAGE]
            reject.detail = f"message {len(said) + 1}, of the {role}: {reject.detail}"
            reject.raw = canonical([*said, {"role": role, "content": reject.raw or ""}])
            raise
        text: str = record[prompt.gives.columns[0]]
        return text


def _repeats(text: str, role: str, said: list[dict[str, str]]) -> bool:
    """Whether this side has said it before, give or take case and spaces."""
    return normalised(text) in {normalised(one["content"]) for one in said if one["role"] == role}
