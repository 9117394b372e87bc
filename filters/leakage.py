"""Drops rows into which something of the prompt leaked: tokens of chat templates, role tags, template variables.

That is "<|im_end|>", "[/INST]", "### Response:", "Assistant:" before an answer, "Human:" after it, "{instruction}",
"{{ question }}", and set phrases of well-known prompts ("Below is an instruction that describes a task").

What the columns of `given` hold themselves is not held against the answer: who asks for a template gets one. Dialogues
with tags from the first line on are kept, as are tags and braces inside of fenced code.

Default: `given` None means "instruction", "input" and "prompt", as far as the row has them.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict
from synth_llm.text import read

_GIVEN = ("instruction", "input", "prompt")
_TOKENS = re.compile(
    r"<\|[a-z_]{2,30}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</s>|<s>(?=\s*\[INST\])|<(?:bos|eos|pad|unk)>"
    r"|<｜[^<>\n]{2,30}｜>|\[(?:BOS|EOS|PAD|SEP|CLS)\]"
)
_TAG = re.compile(r"^[ \t]{0,4}#{2,4} ?(?:instructions?|response|input|human|assistant|user|system)\b ?:", re.I | re.M)
_FIRST_TAG = re.compile(r"\s*[*_]{0,2}(?:assistant|ai|response|output|answer|bot|chatbot)[*_]{0,2}\s?:", re.I)
_NEXT_TURN = re.compile(r"^[ \t]{0,4}[*_]{0,2}(?:human|user|assistant|system)[*_]{0,2} ?:", re.I | re.M)
_ANY_TAG = re.compile(r"\s*[*_]{0,2}\w[\w ]{0,30}[*_]{0,2} ?:")
_VARIABLE = re.compile(
    r"\{\{-? ?[a-z_][\w.]{0,40} ?-?\}\}|\{% ?\w[^%\n]{0,80}%\}"
    r"|(?<![\w$\"'\\])\{(?:instruction|input|output|prompt|question|answer|response|text|context|examples?)\}",
    re.I,
)
_PHRASES = (
    "below is an instruction that describes a task",
    "write a response that appropriately completes the request",
    "you are asked to come up with a set of",
    "you are a helpful assistant",
    "you are a helpful, respectful and honest assistant",
    "you are an ai assistant that",
    "a chat between a curious user and an artificial intelligence assistant",
    "you will be given a task. you must generate",
)


def leakage(row: Row, column: str = "text", given: list[str] | None = None) -> Verdict:
    """Keep rows without remnants of a prompt. The value is 1 if there is one, else 0."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    if not any(sign in text for sign in "<[{#:") and "ou are a" not in text and "nstruction that" not in text:
        return Verdict(True, value=0.0)
    asked = "\n".join(str(row.get(name) or "") for name in (_GIVEN if given is None else given) if name != column)
    for found in _remnants(text):
        if found.lower() not in asked.lower():
            return Verdict(False, f'holds "{" ".join(found.split())}"', 1.0)
    return Verdict(True, value=0.0)


def _remnants(text: str) -> list[str]:
    prose = read(text).prose
    found = [match[0] for match in _TOKENS.finditer(text)]
    if "{" in prose:
        found += [match[0] for match in _VARIABLE.finditer(prose)]
    if ":" in prose:
        found += [match[0].strip() for match in _TAG.finditer(prose)]
        if first := _FIRST_TAG.match(prose):
            found.append(first[0].strip())
        elif not _ANY_TAG.match(prose):  # an answer that goes on with the next turn, not a dialogue from its start
            found += [match[0].strip() for match in _NEXT_TURN.finditer(prose)]
    lower = read(text).lower
    return found + [phrase for phrase in _PHRASES if phrase in lower]
