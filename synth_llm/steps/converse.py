"""converse: two models talk, one of them in the user's place."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.models.request import Message
from synth_llm.row import LINEAGE, Row, canonical
from synth_llm.similar.exact import normalised
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

USER, ASSISTANT = "user", "assistant"


class Converse(Step):
    """Adds `messages`, a list of `{role, content}` that begins with the user and ends with the assistant, and `ended`.

    The user's prompt sees the row, `messages` so far and `done`; it may say `speaks: user`, which lets an aligned model
    go on as users do. The assistant's prompt sees `messages` and the user's latest, `message`, and nothing else: what
    the user wants, it hears from the user. Two models that talk: UltraChat (Ding et al. 2023, arXiv 2305.14233).
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
        need(use.prompt(self.answer).needs, frozenset({"message", "messages"}), f"prompt {self.answer}")
        for column in ("messages", "ended"):
            if column in have:
                raise InputError(f"the rows have a column '{column}' already; rename it")
        return have | {"messages", "ended"}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with its conversation. Raises Reject as the answer that could not be used was, with what was said."""
        told = {**ctx.use.variables(row), **self.with_, "done": self.done}
        said: list[Message] = []
        ended, row = "turns", {**row}
        for _ in range(self.turns):
            question = await self._next(USER, said, told, row, ctx)
            if self.done in question["content"] or _repeats(question, said):
                ended = "done" if self.done in question["content"] else "repeated"
                break
            answer = await self._next(ASSISTANT, [*said, question], {"message": question["content"]}, row, ctx)
            if _repeats(answer, said):
                ended = "repeated"
                break
            said += [question, answer]
            if sum(len(message["content"].split()) for message in said) >= self.max_words:
                ended = "max_words"
                break
        if not said:
            reject = Reject("empty", f"the user's side says {self.done} before anything is said")
            reject.lineage = row[LINEAGE]
            raise reject
        return [{**row, "messages": said, "ended": ended}]

    async def _next(self, role: str, before: list[Message], told: Row, row: Row, ctx: Context) -> Message:
        """The message after those `before`, by a prompt that is `told` more; its call goes into the row's lineage."""
        model, name = (self.user, self.prompt) if role == USER else (self.assistant, self.answer)
        prompt = ctx.use.prompt(name)
        exchanges = before[: len(before) // 2 * 2]
        try:
            answer = await ctx.ask(model, prompt, row, {**told, "messages": exchanges}, sample=len(before))
        except Reject as reject:
            reject.lineage = reject.lineage or row[LINEAGE]
            reject.detail = f"message {len(before) + 1}, of the {role}: {reject.detail}"
            reject.raw = canonical([*before, {"role": role, "content": reject.raw or ""}])
            raise
        (record,), row[LINEAGE] = answer
        return {"role": role, "content": record[prompt.gives.columns[0]]}


def _repeats(message: Message, said: list[Message]) -> bool:
    """Whether this side has said it before, give or take case, spaces and punctuation."""
    own = {normalised(one["content"]) for one in said if one["role"] == message["role"]}
    return normalised(message["content"]) in own
