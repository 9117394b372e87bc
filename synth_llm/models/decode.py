"""Decoding a batch with transformers, each row with its own random numbers, schema and end.

`generate` of the library runs the model; which token comes next is decided here, so that an answer depends on its own
request and not on what is answered beside it (but for rounding, which the shape of a batch changes).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synth_llm.models.body import Token
from synth_llm.models.constraint import Constraint
from synth_llm.models.sampling import Sampling

if TYPE_CHECKING:
    import torch

    from synth_llm.models.pretrained import Pretrained

NEUTRAL = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "epsilon_cutoff": 0.0}
"""Values that cut nothing off."""


@dataclass(eq=False)
class Row:
    """One request of a batch: its prompt, and what was said so far."""

    ids: list[int]
    """The tokens of the prompt."""
    seed: int
    room: int
    """The most tokens its answer may have."""
    gone: Callable[[], bool]
    """Whether nobody waits for it any more."""
    constraint: Constraint | None = None
    said: list[int] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    finish: str = ""
    failed: str = ""
    """Why there is no answer."""


def decode(pretrained: Pretrained, rows: Sequence[Row], sampling: Sampling) -> None:
    """Answer all rows: fills `said`, `finish`, and `tokens` where log-probabilities are asked for."""
    import torch
    from transformers import LogitsProcessorList, StoppingCriteriaList

    usual = pretrained.model.generation_config.num_beams or 1
    beams = sampling.beams(usual, constrained=any(row.constraint is not None for row in rows))
    ids, mask = _padded(rows, left=not pretrained.seq2seq)
    chosen = [] if beams > 1 else [_Choosing(pretrained, rows, sampling)]
    with torch.inference_mode():
        sequences = pretrained.model.generate(
            input_ids=torch.tensor(ids, device=pretrained.device),
            attention_mask=torch.tensor(mask, device=pretrained.device),
            generation_config=_config(pretrained, sampling, beams, max(row.room for row in rows)),
            logits_processor=LogitsProcessorList(chosen),
            stopping_criteria=StoppingCriteriaList([_Ended(rows)]),
        )
    if beams > 1:
        begin = 1 if pretrained.seq2seq else len(ids[0])
        for row, sequence in zip(rows, sequences.tolist(), strict=True):
            _read(row, sequence[begin:], pretrained.ends)


def _padded(rows: Sequence[Row], left: bool) -> tuple[list[list[int]], list[list[int]]]:
    """The prompts at equal lengths, and their masks.

    Padded with each prompt's own first token: a penalty for repetition, which reads the padding too, then finds nothing
    in it that the prompt does not hold.
    """
    width = max(len(row.ids) for row in rows)
    ids, mask = [], []
    for row in rows:
        padding, ones = [row.ids[0]] * (width - len(row.ids)), [1] * len(row.ids)
        ids.append(padding + row.ids if left else row.ids + padding)
        mask.append([0] * len(padding) + ones if left else ones + [0] * len(padding))
    return ids, mask


def _config(pretrained: Pretrained, sampling: Sampling, beams: int, room: int) -> Any:
    """The model's own configuration, with what the request says over it. Nothing is drawn by the library itself."""
    config = copy.deepcopy(pretrained.model.generation_config)
    config.update(
        **{"do_sample": False, "max_new_tokens": room, "num_return_sequences": 1, "return_dict_in_generate": False},
        eos_token_id=pretrained.ends,
        pad_token_id=pretrained.ends[0] if config.pad_token_id is None else config.pad_token_id,
    )
    if pretrained.forced_bos is not None:
        config.forced_bos_token_id = pretrained.forced_bos
    config.update(**{**sampling.passed, "num_beams": beams})
    return config


def _read(row: Row, said: list[int], ends: Sequence[int]) -> None:
    """What a beam search found; behind its end there is padding."""
    end = next((at for at, token in enumerate(said) if token in ends), len(said))
    row.said = said[: end + 1][: row.room]
    row.finish = "stop" if end < len(said) else "length"


class _Ended:
    """Tells the library which rows have ended."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """(rows,) bool; of a beam search, as many for each row as it looks at."""
        import torch

        each = input_ids.shape[0] // len(self._rows)
        ended = [bool(row.finish) or row.gone() for row in self._rows for _ in range(each)]
        return torch.tensor(ended, device=input_ids.device)


class _Choosing:
    """Decides the next token of each row, and leaves the library no other."""

    def __init__(self, pretrained: Pretrained, rows: Sequence[Row], sampling: Sampling) -> None:
        self._pretrained, self._rows, self._sampling = pretrained, rows, sampling
        self._draws = [random.Random(row.seed) for row in rows]
        self._cuts = _cuts(pretrained, sampling) if sampling.temperature > 0 else []
        self._tail = max(map(len, sampling.stop), default=0) + 8
        """Tokens in which a stop text that ends now must lie: each but a few of them has a character at least."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(rows, vocabulary) float32 scores in; out, minus infinity but for the token that is chosen."""
        import torch

        free = scores.log_softmax(-1) if self._sampling.logprobs is not None else None
        scores, forced = self._constrained(scores)
        usable = scores.amax(-1).isfinite().tolist()
        if self._sampling.temperature > 0:
            scores = scores / self._sampling.temperature
            for cut in self._cuts:
                scores = cut(input_ids, scores)
            chosen = self._drawn(scores)
        else:
            chosen = scores.argmax(-1)
        for at, (row, token) in enumerate(zip(self._rows, chosen.tolist(), strict=True)):
            if not row.finish and usable[at]:
                self._take(row, token, at in forced, None if free is None else free[at])
            elif not row.finish:
                row.finish, row.failed = (
                    "stop",
                    "the model's scores are no numbers, or no token fits: try dtype float32",
                )
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)

    def _constrained(self, scores: torch.Tensor) -> tuple[torch.Tensor, set[int]]:
        """The scores of tokens that may come next, and the rows for which the model's configuration forces one."""
        import torch

        forced = set()
        for at, row in enumerate(self._rows):
            if row.constraint is None or row.finish:
                continue
            if int(scores[at].isfinite().sum()) == 1:
                forced.add(at)
                continue
            allowed = torch.from_numpy(row.constraint.allowed()).to(scores.device)
            scores[at] = scores[at].masked_fill(~allowed, -torch.inf)
        return scores, forced

    def _drawn(self, scores: torch.Tensor) -> torch.Tensor:
        """(rows,) tokens drawn by their probabilities: one random number a row, from the row's own generator."""
        import torch

        wide = torch.float32 if scores.device.type == "mps" else torch.float64  # MPS has no other
        heaped = scores.to(wide).softmax(-1).cumsum(-1)
        draws = torch.tensor([[draw.random()] for draw in self._draws], dtype=wide, device=scores.device)
        found = torch.searchsorted(heaped, draws * heaped[:, -1:], right=True).squeeze(1)
        return found.clamp(max=scores.shape[-1] - 1)

    def _take(self, row: Row, token: int, forced: bool, free: torch.Tensor | None) -> None:
        """Add a token to what a row says, and see whether that ends it."""
        row.said.append(token)
        if row.constraint is not None and not forced:
            row.constraint.take(token)
        if free is not None:
            row.tokens.append(self._token(token, free))
        if token in self._pretrained.ends or self._stopped(row):
            row.finish = "stop"
        elif len(row.said) >= row.room:
            row.finish = "length"

    def _stopped(self, row: Row) -> bool:
        if not self._sampling.stop:
            return False
        text = self._pretrained.text(row.said[-self._tail :])
        return any(stop in text for stop in self._sampling.stop)

    def _token(self, token: int, free: torch.Tensor) -> Token:
        """A token with its log-probability, and so many alternatives as are asked for."""
        values, ids = free.topk(self._sampling.logprobs or 0)
        top = [(self._pretrained.text([one]), value) for one, value in zip(ids.tolist(), values.tolist(), strict=True)]
        return Token(self._pretrained.text([token]), float(free[token]), top)


def _cuts(pretrained: Pretrained, sampling: Sampling) -> list[Callable[..., Any]]:
    """What cuts unlikely tokens off before one is drawn: as the request says, else as the model's folder says."""
    import transformers

    kinds = {
        "top_k": lambda value: transformers.TopKLogitsWarper(int(value)),
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
        "typical_p": transformers.TypicalLogitsWarper,
        "epsilon_cutoff": transformers.EpsilonLogitsWarper,
    }
    usual = {name: getattr(pretrained.model.generation_config, name, None) for name in kinds}
    values = {**{name: value for name, value in usual.items() if value is not None}, **sampling.drawing}
    return [kinds[name](values[name]) for name in kinds if values.get(name, NEUTRAL[name]) != NEUTRAL[name]]
