"""dedup: keeps the first of rows that say the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal, Protocol

from pydantic import Field

from synth_llm.errors import MissingExtra, Reject
from synth_llm.row import Row
from synth_llm.steps.context import EXAMPLES, Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

_PUNCTUATION = re.compile(r"[\s.,!?;:…\"'“”‘’`]+")
PERMUTATIONS = 128
"""MinHash functions: the estimate of a Jaccard similarity has a standard error of at most .045; decisions are exact."""


class Dedup(Step):
    """A row that repeats an earlier one, of this round or of what earlier rounds accepted, is rejected."""

    type: ClassVar[str] = "dedup"

    column: str | list[str] = "text"
    """The column, or columns together, that are compared."""
    by: Literal["exact", "near"] = "exact"
    """`exact`: equal but for case, spaces, sentence punctuation and Unicode form; `near`: Jaccard similarity of word
    n-grams, candidates found by MinHash-LSH (Broder 1997) and decided exactly."""
    threshold: float = Field(default=0.7, gt=0, le=1)
    """For `near`: the similarity from which a row is a duplicate."""
    ngram: int = Field(default=3, ge=1)
    """For `near`: words in a shingle."""
    against: list[Literal["examples"]] = []
    """Further rows that must not be repeated: the source's `examples`."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns."""
        need(self._columns, have, "dedup")
        if EXAMPLES in self.against:
            given = frozenset().union(*(frozenset(example) for example in use.examples))
            need(self._columns, given, "against: the pool of examples")
        if self.by == "near":
            _minhash()
        return have

    def split(self, rows: Iterable[Row], ctx: Context) -> Iterator[Row | Rejected]:
        """Each row, kept, or rejected with the id of the row it repeats and how closely."""
        seen = _Exact() if self.by == "exact" else _Near(self.threshold, self.ngram)
        if EXAMPLES in self.against:
            for number, example in enumerate(ctx.use.examples, 1):
                seen.add(f"example {number}", self._text(example))
        for row in ctx.accepted():
            seen.add(row["_id"], self._text(row))
        for row in rows:
            text = self._text(row)
            found = seen.find(text)
            if found is None:
                seen.add(row["_id"], text)
                yield row
            else:
                who, closeness = found
                yield Rejected(row, Reject("duplicate", f"repeats {who} ({self.by}, {closeness:.3f})", value=closeness))

    @property
    def _columns(self) -> list[str]:
        return [self.column] if isinstance(self.column, str) else self.column

    def _text(self, row: Row) -> str:
        return normalised("\n".join(str(row.get(column) or "") for column in self._columns))


class _Seen(Protocol):
    """Texts by what makes two of them the same."""

    def add(self, who: str, text: str) -> None: ...
    def find(self, text: str) -> tuple[str, float] | None: ...


class _Exact:
    """By the hash of the whole text."""

    def __init__(self) -> None:
        self.first: dict[bytes, str] = {}

    def add(self, who: str, text: str) -> None:
        self.first.setdefault(_hash(text), who)

    def find(self, text: str) -> tuple[str, float] | None:
        who = self.first.get(_hash(text))
        return None if who is None else (who, 1.0)


class _Near:
    """By the Jaccard similarity of the texts' shingles; texts shorter than a shingle are compared whole."""

    def __init__(self, threshold: float, ngram: int) -> None:
        from datasketch import MinHashLSH

        self.threshold, self.ngram = threshold, ngram
        self.lsh = MinHashLSH(num_perm=PERMUTATIONS, threshold=max(0.1, threshold - 0.1))
        self.shingles: dict[str, frozenset[bytes]] = {}

    def add(self, who: str, text: str) -> None:
        shingles = self._shingles(text)
        if who not in self.shingles:
            self.shingles[who] = shingles
            self.lsh.insert(who, _signature(shingles))

    def find(self, text: str) -> tuple[str, float] | None:
        shingles = self._shingles(text)
        close = [(_jaccard(shingles, self.shingles[who]), who) for who in self.lsh.query(_signature(shingles))]
        best = max(close, default=(0.0, ""), key=lambda pair: (pair[0], pair[1]))
        return (best[1], best[0]) if best[0] >= self.threshold else None

    def _shingles(self, text: str) -> frozenset[bytes]:
        words = text.split()
        grams = (" ".join(words[at : at + self.ngram]) for at in range(max(1, len(words) - self.ngram + 1)))
        return frozenset(_hash(gram)[:8] for gram in grams)


def normalised(text: str) -> str:
    """Unicode NFKC, case-folded, with every run of spaces, quotes and sentence punctuation made one space.

    Signs that carry meaning stay: `2+2` and `2-2` differ, as do `C`, `C#` and `C++`.

    >>> normalised("  Good  film. GREAT!")
    'good film great'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _PUNCTUATION.sub(" ", folded).strip() or folded


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    return len(one & other) / len(one | other)


def _minhash() -> type:
    try:
        from datasketch import MinHash
    except ImportError as error:
        raise MissingExtra("dedup by: near", "curate") from error
    return MinHash  # type: ignore[no-any-return]


def _signature(shingles: frozenset[bytes]) -> object:
    signature = _minhash()(num_perm=PERMUTATIONS)
    signature.update_batch(sorted(shingles))
    return signature
