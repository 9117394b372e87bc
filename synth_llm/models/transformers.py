"""Models of the transformers library in this process: causal and seq2seq, fine-tuned ones, with adapters."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

from synth_llm.errors import FatalError
from synth_llm.models.body import Said, Token, body, refusal
from synth_llm.models.decode import Row, decode
from synth_llm.models.gather import Gather, Waiting
from synth_llm.models.likelihood import logprobs
from synth_llm.models.pretrained import Pretrained, load
from synth_llm.models.request import THINK, Answer, Request
from synth_llm.models.sampling import Sampling
from synth_llm.models.weights import revision_of_folder

BEFORE = 8
"""Tokens of a text to go on with that are decoded with the answer: some tokenizers drop the space it begins with."""


class Transformers:
    """`engine: transformers`. Loads the model at the first request; answers what waits in batches of at most `batch`.

    `languages` are those to translate from and into. An answer depends on its request; the shape of its batch changes
    only how sums are rounded, which in float32 rarely shows.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str = "",
        device: str | None = None,
        dtype: str | None = None,
        languages: tuple[str, str] | None = None,
        batch: int = 8,
    ) -> None:
        here = Path(name).is_dir()
        self.name = "" if here else name
        self.revision = revision_of_folder(Path(name)) if here else revision
        self._folder, self._asked = name, revision
        self._device, self._dtype, self._languages = device, dtype, languages
        self._pretrained: Pretrained | None = None
        self._fits = batch
        """Rows that fit into the memory together, as far as known."""
        self._gather = Gather(self._answers, batch)

    async def answer(self, request: Request) -> Answer:
        """Answer one request. Status 400: a prompt that is too long or has no template, a schema it cannot follow."""
        return await self._gather.answer(request)

    async def close(self) -> None:
        """Break off what is at work and let the model go."""
        await self._gather.close()
        self._pretrained = None
        _free()

    def _answers(self, batch: Sequence[Waiting]) -> list[Answer]:
        """The answers of a batch; in halves when it does not fit into the memory."""
        sampling = Sampling.of(batch[0].request.sampling)
        if self._pretrained is None:
            self._pretrained = load(
                self._folder,
                revision=self._asked,
                device=self._device,
                dtype=self._dtype,
                languages=self._languages,
            )
        answers: list[Answer] = []
        while len(answers) < len(batch):
            part = batch[len(answers) : len(answers) + self._fits]
            done = self._part(self._pretrained, part, sampling)
            if done is not None:
                answers += done
                continue
            _free()
            if len(part) == 1:
                answers.append(Answer(refusal("it does not fit into the device's memory"), 400))
            self._fits = max(1, len(part) // 2)
        return answers

    def _part(self, pretrained: Pretrained, part: Sequence[Waiting], sampling: Sampling) -> list[Answer] | None:
        """The answers of some rows; None when they do not fit into the memory together."""
        try:
            if part[0].request.echo:
                return [self._scored(pretrained, one.request, sampling) for one in part]
            rows = [_row(pretrained, one, sampling) for one in part]
            todo = [row for row in rows if isinstance(row, Row)]
            if todo:
                decode(pretrained, todo, sampling)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error).lower():
                raise
            return None
        return [
            row if isinstance(row, Answer) else self._answer(pretrained, row, one.request, sampling)
            for row, one in zip(rows, part, strict=True)
        ]

    def _answer(self, pretrained: Pretrained, row: Row, request: Request, sampling: Sampling) -> Answer:
        if row.failed:
            return Answer(refusal(row.failed), 400)
        text = _text(pretrained, row, request, sampling)
        tokens = None if sampling.logprobs is None else row.tokens
        said = Said(text, row.finish or "length", len(row.ids), row.said, tokens)
        return Answer(body(request, said, self.name or Path(self._folder).name))

    def _scored(self, pretrained: Pretrained, request: Request, sampling: Sampling) -> Answer:
        """The log-probabilities of a request's own text. Raises FatalError for a model that has none to give."""
        if pretrained.seq2seq:
            raise FatalError("a seq2seq model does not score given text: take a causal one")
        prompt = _prompt_or_refusal(pretrained, request, sampling)
        if isinstance(prompt, Answer):
            return prompt
        said = request.messages[-1]["content"]
        ids, before = prompt, 0
        if request.raw is None:
            before = len(prompt)
            ids = prompt + list(pretrained.tokenizer(said, add_special_tokens=False)["input_ids"])
        if pretrained.context is not None and len(ids) > pretrained.context:
            return _too_long(pretrained, len(ids))
        tokens = [
            Token(pretrained.text([token]), logprob)
            for token, logprob in zip(ids[before:], logprobs(pretrained, ids)[before:], strict=True)
        ]
        return Answer(body(request, Said(said, "stop", len(ids), (), tokens), self.name or Path(self._folder).name))


def _row(pretrained: Pretrained, one: Waiting, sampling: Sampling) -> Row | Answer:
    """The request as a row of a batch, or its refusal. Raises FatalError when no request of its form can be asked."""
    request = one.request
    ids = _prompt_or_refusal(pretrained, request, sampling)
    if isinstance(ids, Answer):
        return ids
    try:
        constraint = None if request.schema is None else pretrained.constraints.of(request.schema)
    except (TypeError, ValueError) as error:  # a schema that cannot be followed
        return Answer(refusal(" ".join(str(error).split())[:300]), 400)
    room = sampling.max_tokens
    if pretrained.context is not None:
        left = pretrained.context - (0 if pretrained.seq2seq else len(ids))
        if left < 1 or len(ids) > pretrained.context:
            return _too_long(pretrained, len(ids))
        room = min(room, left)
    return Row(ids, request.seed, room, one.gone, constraint)


def _too_long(pretrained: Pretrained, tokens: int) -> Answer:
    said = f"the prompt has {tokens} tokens; the model's context holds {pretrained.context}"
    return Answer(refusal(said), 400)


def _prompt_or_refusal(pretrained: Pretrained, request: Request, sampling: Sampling) -> list[int] | Answer:
    import jinja2

    try:
        return _prompt(pretrained, request, sampling)
    except jinja2.TemplateError as error:
        return Answer(refusal(f"the model's chat template refuses it: {error}"), 400)
    except (TypeError, ValueError) as error:  # half a surrogate pair
        return Answer(refusal(" ".join(str(error).split())[:300]), 400)


def _prompt(pretrained: Pretrained, request: Request, sampling: Sampling) -> list[int]:
    """The tokens of a prompt; of a chat to be scored, of all before its last message.

    A seq2seq model reads one text: the messages' texts, a line each. So does a causal model without a chat template,
    which takes one message only.
    """
    tokenizer, messages = pretrained.tokenizer, list(request.messages)
    if request.echo and request.raw is None:
        messages = messages[:-1]
    text, special = "\n".join(message["content"] for message in messages), True
    if request.raw is None and not pretrained.seq2seq:
        if tokenizer.chat_template:
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, **sampling.template
            )
            special = False
        elif [message["role"] for message in request.messages] != ["user"]:
            raise FatalError(
                "the model's tokenizer has no chat template, and the prompt is more than one user message: "
                "set `api: completions`, or take a model with a template"
            )
    ids = list(tokenizer(text, add_special_tokens=special)["input_ids"])
    return ids or [tokenizer.bos_token_id if tokenizer.bos_token_id is not None else pretrained.ends[0]]


def _text(pretrained: Pretrained, row: Row, request: Request, sampling: Sampling) -> str:
    """What a row says: without the token that ended it, up to the first stop text."""
    said = row.said[:-1] if row.said and row.said[-1] in pretrained.ends else row.said
    if request.raw is None or pretrained.seq2seq:
        text = pretrained.text(said)
    else:
        before = row.ids[-BEFORE:]
        text = pretrained.text([*before, *said]).removeprefix(pretrained.text(before))
    cuts = [at for stop in sampling.stop if (at := text.find(stop)) >= 0]
    text = text[: min(cuts)] if cuts else text
    opened = pretrained.text(row.ids[-BEFORE:]).rstrip().endswith(THINK)  # some templates begin the thinking themselves
    return f"{THINK}{text}" if opened and request.raw is None else text


def _free() -> None:
    """Give back the memory of what is no longer used."""
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
