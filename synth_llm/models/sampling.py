"""How the transformers engine samples: a request's parameters, checked, in the words of its library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synth_llm.errors import FatalError, nearest

OURS = ("temperature", "max_tokens", "stop", "logprobs", "echo", "return_token_ids", "chat_template_kwargs")
DRAWING = ("top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff")
"""They cut the unlikely tokens off before one is drawn, in this order."""
PASSED = (
    *("num_beams", "length_penalty", "early_stopping", "min_new_tokens", "exponential_decay_length_penalty"),
    *("repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"),
    *("bad_words_ids", "sequence_bias", "suppress_tokens", "begin_suppress_tokens"),
    *("forced_bos_token_id", "remove_invalid_values", "renormalize_logits"),
)
"""What a GenerationConfig takes as it is. Not what would change how many answers there are, or who draws them."""


@dataclass(frozen=True)
class Sampling:
    """The parameters that all rows of a batch have."""

    temperature: float
    max_tokens: int
    stop: tuple[str, ...]
    logprobs: int | None
    drawing: dict[str, float]
    passed: dict[str, Any]
    template: dict[str, Any]
    """Variables for the chat template, such as `enable_thinking`."""

    @staticmethod
    def of(sampling: Mapping[str, Any]) -> Sampling:
        """Check the parameters of a request. Raises FatalError, which names the one that cannot be used."""
        for name in sampling:
            if name not in (*OURS, *DRAWING, *PASSED):
                known = nearest(name, (*OURS, *DRAWING, *PASSED))
                raise FatalError(f"params: the engine transformers has no parameter '{name}'{known}")
        stop = sampling.get("stop") or ()
        checked = Sampling(
            temperature=_number(sampling, "temperature", 0.7, 0),
            max_tokens=int(_number(sampling, "max_tokens", 512, 1)),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            logprobs=None if sampling.get("logprobs") is None else int(_number(sampling, "logprobs", 0, 0)),
            drawing={name: _number(sampling, name, 0, 0) for name in DRAWING if sampling.get(name) is not None},
            passed={name: sampling[name] for name in PASSED if name in sampling},
            template=dict(sampling.get("chat_template_kwargs") or {}),
        )
        checked.beams(1)
        return checked

    def beams(self, usual: int, constrained: bool = False) -> int:
        """How many beams are searched; `usual` is what the model's folder says, for greedy answers without a schema.

        Raises FatalError when beams are asked for together with what needs one draw after the other.
        """
        asked = self.passed.get("num_beams")
        if asked is None:
            return 1 if self.temperature > 0 or constrained or self.logprobs is not None else usual
        if not isinstance(asked, int) or asked < 1:
            raise FatalError(f"params: num_beams must be a whole number from 1, not {asked!r}")
        if asked > 1 and (self.temperature > 0 or constrained or self.logprobs is not None):
            raise FatalError("params: num_beams needs temperature 0, no logprobs, and prompts that give plain text")
        return asked


def _number(sampling: Mapping[str, Any], name: str, usual: float, least: float) -> float:
    value = sampling.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
        raise FatalError(f"params: {name} must be a number from {least:g}, not {value!r}")
    return value
