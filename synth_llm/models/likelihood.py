"""How likely a model of the transformers library finds a given text, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth_llm.models.pretrained import Pretrained

CHUNK = 512
"""Tokens computed at once: the scores of all tokens of a vocabulary for each are held in memory, up to 300 MB here."""
LOWEST = -9999.0
"""What stands for minus infinity, which JSON lacks."""


def logprobs(pretrained: Pretrained, ids: Sequence[int]) -> list[float | None]:
    """The natural log-probability of each token, given those before it; None for the first. Raises RuntimeError on NaN.

    One text at a time, and in chunks that go on with the keys and values of those before: what is computed does not
    depend on what else is scored, and memory is bounded.
    """
    import torch

    found: list[float] = []
    past = None
    with torch.inference_mode():
        for at in range(0, len(ids) - 1, CHUNK):
            chunk, nexts = ids[at : at + CHUNK], ids[at + 1 : at + 1 + CHUNK]
            out = pretrained.model(
                input_ids=torch.tensor([chunk], device=pretrained.device), past_key_values=past, use_cache=True
            )
            past = out.past_key_values
            scores = out.logits[0, : len(nexts)].float().log_softmax(-1)
            found += scores.gather(1, torch.tensor(nexts, device=scores.device)[:, None])[:, 0].tolist()
    if any(value != value for value in found):
        raise RuntimeError("the model's scores are no numbers: try dtype float32")
    return [None, *(max(value, LOWEST) for value in found)]
