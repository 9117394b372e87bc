"""Drops texts in which the assistant talks about itself or its help, not about the matter.

That is "As an AI language model, I", "Sure, here is", "I hope this helps!".

"Here is a list of ..." alone is kept: people write it too. So is a text about language models ("AI models are"), and
"let me know if you have questions", which ends many real letters.

No settings: what counts are phrases, and a row has one or has none.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict

_NAME = (
    r"(?:just |only |merely )?an? (?:ai|a\.i\.|artificial intelligence|(?:ai |large )?language model|llm|gpt"
    r"|(?:virtual|digital) assistant|machine learning model|chatbot)\b"
)
_ITSELF = re.compile(
    rf"\bas {_NAME}[^.!?\n]{{0,60}}?,? (?:i|my|me)\b|\bi(?: am|'m) {_NAME}"
    r"|\bmy (?:knowledge cut-?off|training data)\b"
    r"|\bi was (?:trained|created|developed) by (?:openai|anthropic|google|meta)\b"
)
_NAMES = (
    *("an ai", "a.i.", "intelligence", "language model", "llm", "gpt", "assistant", "learning model", "chatbot"),
    *("my knowledge", "my training", "trained by", "created by", "developed by"),
)
_OPENING = re.compile(
    r"\W{0,8}(?:(?:sure|certainly|of course|absolutely|definitely|okay|ok|no problem|great|got it)(?: thing)?"
    r"[\s!,.:;—–-]{1,4}"
    r"(?:here(?:'s| is| are)\b|below (?:is|are)\b|let me (?:help|provide|give|write)\b"
    r"|i(?:'d| would) be (?:happy|glad|delighted)\b|i(?:'ll| can| will) (?:help|provide|give|write)\b)"
    r"|i(?:'d| would) be (?:happy|glad|delighted) to (?:help|assist|provide|give|answer)\b)"
)
_CLOSING = re.compile(r"\bi hope (?:this|that|these) (?:\w+ )?helps?(?: you)?\b[^\n]{0,40}\Z")


def boilerplate(row: Row, column: str = "text") -> Verdict:
    """Keep texts without an assistant's set phrases. The value is 1 if there is one, else 0."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    plain = text.replace("’", "'").lower().strip()
    found = _OPENING.match(plain) or ("i hope" in plain and _CLOSING.search(plain[-120:]))
    if not found and any(name in plain for name in _NAMES):
        found = _ITSELF.search(plain)
    if found:
        return Verdict(False, f'says "{" ".join(found[0].split())}"', 1.0)
    return Verdict(True, value=0.0)
