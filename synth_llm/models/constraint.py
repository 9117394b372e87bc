"""Answers that follow a schema: which tokens may come next, by llguidance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from synth_llm.errors import MissingExtra
from synth_llm.models.request import Schema
from synth_llm.row import canonical

if TYPE_CHECKING:
    import numpy as np
    from llguidance._lib import JsonCompileOptions

REMEMBERED = 256
ONE_LINE: JsonCompileOptions = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as Python writes it: where any white space may stand, small models write nothing else."""


class Constraints:
    """The schemas of one model, each made ready once.

    llguidance says of a schema what it cannot follow, and needs nothing beside it.
    """

    def __init__(self, tokenizer: Any, width: int, ends: Sequence[int]) -> None:
        self._tokenizer, self._width, self._ends = tokenizer, width, list(ends)
        self._known: Any = None
        self._ready: dict[str, Any] = {}

    def of(self, schema: Schema) -> Constraint:
        """The constraint for one answer. Raises ValueError for a schema or a tokenizer that cannot be used."""
        name = canonical(schema)
        if name not in self._ready:
            if len(self._ready) >= REMEMBERED:
                self._ready.clear()
            self._ready[name] = self._matcher(schema)
        return Constraint(self._ready[name].deep_copy(), self._width)

    def _matcher(self, schema: Schema) -> Any:
        try:
            import llguidance
        except ImportError:
            raise MissingExtra("an answer that follows a schema", "transformers") from None
        if self._known is None:
            backend = getattr(self._tokenizer, "backend_tokenizer", None)
            if backend is None:
                raise ValueError("this model's tokenizer is of a kind for which no schema can be followed")
            self._known = llguidance.LLTokenizer(backend.to_str(), n_vocab=self._width, eos_token=self._ends)
        if "enum" in schema:
            grammar = llguidance.LLMatcher.grammar_from_lark("start: " + " | ".join(map(json.dumps, schema["enum"])))
        else:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=ONE_LINE)
        matcher = llguidance.LLMatcher(self._known, grammar, log_level=0)
        if matcher.is_error():
            raise ValueError(f"the schema cannot be followed: {' '.join(matcher.get_error().split())[:300]}")
        return matcher


class Constraint:
    """What may come next in one answer."""

    def __init__(self, matcher: Any, width: int) -> None:
        self._matcher, self._width = matcher, width

    def allowed(self) -> np.ndarray:
        """(width,) bool: the tokens that may come next; those that end the answer where it may end."""
        import numpy as np

        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little")[: self._width].astype(bool)

    def take(self, token: int) -> None:
        """Go on by one token."""
        self._matcher.consume_token(token)
