"""chunk: cuts a long text into passages, one row each."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from synth_llm.errors import Reject
from synth_llm.row import Row, child_of
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_HEADING_LAST = re.compile(r"\n\n(#{1,6} [^\n]+)\Z")


class Chunk(Step):
    """Each row becomes passages of at most `words` words, cut between paragraphs, else sentences, else words.

    A Markdown heading stands with what follows it, if both fit into a passage.
    """

    type: ClassVar[str] = "chunk"

    column: str = "text"
    """The column that is cut; a passage takes its place."""
    words: int = Field(default=150, ge=5)
    """The most words of a passage."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns."""
        need([self.column], have, "chunk")
        return have

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The passages, in order. Raises Reject when there is no text."""
        text = row.get(self.column)
        if not isinstance(text, str) or not text.strip():
            raise Reject("empty", f"{self.column}: no text to cut")
        return [child_of(row, (n,), {self.column: passage}) for n, passage in enumerate(passages(text, self.words))]


def passages(text: str, words: int) -> list[str]:
    """Cut `text` into pieces of at most `words` words; paragraphs that fit together stay together.

    >>> passages("One two. Three four five.\\n\\nSix.", 3)
    ['One two.', 'Three four five.', 'Six.']
    """
    pieces = [piece for paragraph in _PARAGRAPH.split(text.strip()) for piece in _fit(paragraph, words)]
    joined: list[str] = []
    for piece, starts in pieces:
        fits = joined and len(joined[-1].split()) + len(piece.split()) <= words
        if fits:
            joined[-1] += ("\n\n" if starts else " ") + piece
            continue
        heading = _HEADING_LAST.search(joined[-1]) if joined else None
        if heading and len(f"{heading[1]} {piece}".split()) <= words:
            joined[-1] = joined[-1][: heading.start()]
            piece = f"{heading[1]}\n\n{piece}"
        joined.append(piece)
    return joined


def _fit(paragraph: str, words: int) -> list[tuple[str, bool]]:
    """The paragraph, or its sentences, or their parts, none longer than `words`; True marks a paragraph's start."""
    if len(paragraph.split()) <= words:
        return [(paragraph.strip(), True)]
    parts = []
    for sentence in _SENTENCE.split(paragraph.strip()):
        tokens = sentence.split()
        parts += [" ".join(tokens[at : at + words]) for at in range(0, len(tokens), words)]
    return [(part, at == 0) for at, part in enumerate(parts)]
