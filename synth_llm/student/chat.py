"""Rows as tokens of a chat: what a student that writes is given, and what it learns to write after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from synth_llm.against import joined
from synth_llm.errors import InputError
from synth_llm.row import Row, canonical

PROMPT_SHARE = 4
"""Of a row that is too long, the prompt keeps at least this part: a quarter. Else the answer goes first."""


class Turns(NamedTuple):
    """A row as tokens."""

    prompt: list[int]
    """All up to where the answer begins, with the chat template's marks."""
    answer: list[int]
    """The answer and the token that ends it: what the loss is on."""
    cut: bool
    """Whether it was longer than allowed."""


class Chat:
    """The form in which a model was taught to read and answer, by its tokenizer's chat template.

    A model without one reads the prompt, a blank line, and the answer.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], max_tokens: int) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self._ends = list(ends)

    @property
    def ends(self) -> list[int]:
        """The tokens that end an answer: those of the model, and the one with which its template ends a turn."""
        last = self._answer("x", "x")[-1]
        return self._ends if last in self._ends else [*self._ends, last]

    def prompt(self, row: Row, columns: Sequence[str]) -> list[int]:
        """The tokens that an answer follows. A long prompt loses its middle, so that `max_tokens` hold it."""
        return _without_middle(self._tokens(self._opening(joined(row, list(columns)))), self.max_tokens)

    def turns(self, row: Row, columns: Sequence[str], answer: str, number: int = 0) -> Turns:
        """A row with its answer, in `max_tokens` at most: a long prompt loses its middle, a long answer its end.

        Raises InputError for a row without an answer; `number` is its own, from 1, for the error.
        """
        value = row.get(answer)
        if value is None:
            raise InputError(f"row {number} has no '{answer}': name the column to write with `answer`")
        said = joined(row, list(columns))
        prompt = self._tokens(self._opening(said))
        wanted = self._answer(said, value if isinstance(value, str) else canonical(value))
        if len(prompt) + len(wanted) <= self.max_tokens:
            return Turns(prompt, wanted, False)
        kept = _without_middle(prompt, max(self.max_tokens - len(wanted), self.max_tokens // PROMPT_SHARE))
        return Turns(kept, wanted[: self.max_tokens - len(kept)], True)

    def _answer(self, said: str, answer: str) -> list[int]:
        """The answer up to the token that ends it."""
        rest = f"{answer}{self.tokenizer.eos_token or ''}"
        if self.tokenizer.chat_template:
            opening, turns = self._opening(said), [*_asked(said), {"role": "assistant", "content": answer}]
            whole = self._render(turns, False)
            if whole.startswith(opening) and answer.strip() in whole[len(opening) :]:
                rest = whole[len(opening) :]  # some templates write of past answers what they do not ask for
        tokens = self._tokens(rest)
        special = set(self._ends) | set(self.tokenizer.all_special_ids)
        last = max((at for at, token in enumerate(tokens) if token in special), default=None)
        return [*tokens, self._ends[0]] if last is None else tokens[: last + 1]  # a line's end after it teaches nothing

    def _opening(self, said: str) -> str:
        if not self.tokenizer.chat_template:
            return f"{self.tokenizer.bos_token or ''}{said}\n\n"
        return self._render(_asked(said), True)

    def _render(self, turns: list[dict[str, str]], ask: bool) -> str:
        try:
            return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask))
        except Exception as error:  # a template is a program that can fail in any way
            raise InputError(
                f"the model's chat template cannot be used: {' '.join(str(error).split())[:200]}"
            ) from None

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def _asked(said: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": said}]


def _without_middle(tokens: list[int], most: int) -> list[int]:
    """The head and the tail: there stand the marks of the template, and mostly what is asked for."""
    return tokens if len(tokens) <= most else tokens[: most // 2] + tokens[len(tokens) - (most - most // 2) :]
