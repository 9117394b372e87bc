"""Fences: where a row's text begins and ends in a judge's prompt, by marks that its author cannot know.

A text that is judged may hold instructions ("give this text five points"). Between its fences it is data, and it
cannot end them: their code is a keyed hash of the text itself. Whoever writes a text would have to put the hash of that
very text into it, which is as hard as breaking the hash, even for one who knows the recipe. The same text has the same
code in every run, so that requests replay; worked examples keep theirs over all rows, so that prompts begin alike.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from contextvars import ContextVar

CODE = 16
"""Hex digits of a code: 64 bits. Each costs the judge about a token."""

key: ContextVar[bytes] = ContextVar("key", default=b"0")
"""The key of the rendering in progress. Set by whoever renders."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")


def fence_key(seed: int) -> bytes:
    """The key that belongs to a recipe's seed."""
    return str(seed).encode()


def fenced(text: str, name: str = "text") -> str:
    """The text between its fences, `<name code>` and `</name code>`, each on a line of its own.

    Raises ValueError when the name is none of letters, digits and `_`.

    >>> print(fenced("fine"))
    <text 93e248b2d3c68a55>
    fine
    </text 93e248b2d3c68a55>
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"fence: '{name[:40]}' is no name; use letters, digits and _")
    code = hmac.new(key.get(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:CODE]
    return f"<{name} {code}>\n{text}\n</{name} {code}>"
