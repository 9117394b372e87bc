"""Formats: a row as the columns that a trainer reads.

A format takes values by what they are for, such as a prompt or a label; `KNOWN` says in which columns they are found.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from synth_llm.errors import InputError, Reject, nearest
from synth_llm.row import Row

KNOWN: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations"),
    "tools": ("tools",),
    "system": ("system",),
    "prompt": ("prompt", "instruction", "question", "query"),
    "input": ("input",),
    "completion": ("completion", "output", "answer", "response"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "wanted": ("label", "wanted"),
    "text": ("text", "content", "sentence"),
    "label": ("label", "class", "labels"),
    "spans": ("entities", "spans"),
    "first": ("first", "sentence1", "premise", "original", "anchor"),
    "second": ("second", "sentence2", "hypothesis", "text", "positive"),
    "score": ("score", "similarity"),
    "anchor": ("anchor", "query", "prompt", "question"),
    "positive": ("positive", "chosen", "answer"),
    "negative": ("negative", "rejected"),
}
"""What a value is for, and the columns in which it is looked for, the first that the rows have."""
SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
SHAREGPT = {SYSTEM: "system", USER: "human", ASSISTANT: "gpt", "tool": "tool"}
_TOKEN = re.compile(r"\w+|[^\w\s]")

Values = Mapping[str, Any]
"""The values of a row, by what they are for."""
Spec = Any
"""A column's type: "string", "bool", "float", "class", "json" (any), [Spec] for a list, {name: Spec} for an object."""


class Format(NamedTuple):
    """What a trainer reads."""

    about: str
    takes: tuple[tuple[str, ...], ...]
    """What it is made of: the first of these groups for which the rows have a column each."""
    spec: Callable[[Collection[str]], dict[str, Spec]]
    """The types of its columns, by what it is made of."""
    make: Callable[[Values], Row]
    """The row of the format. Raises Reject, as `missing` or `odd`, for values of which none can be made."""
    may: tuple[str, ...] = ()
    """What it takes too where the rows have it."""


class Columns(NamedTuple):
    """In which columns a format finds its values."""

    name: str
    format: Format
    of: Mapping[str, str]

    def make(self, row: Row) -> Row:
        """A row in the format. Raises Reject."""
        values = {what: row.get(column) for what, column in self.of.items()}
        for what in values.keys() - set(self.format.may):
            if values[what] is None or values[what] == "":
                raise Reject("missing", f"column '{self.of[what]}' holds nothing")
        return self.format.make(values)


def columns_of(name: str, have: Sequence[str], given: Mapping[str, str] | None = None) -> Columns:
    """The columns for a format; `given` names some, by what they are for.

    Raises InputError for a format or a use that there is not, for a column that the rows have not, and for rows that
    have no columns for the format.
    """
    given = given or {}
    if name not in FORMATS:
        raise InputError(f"no format '{name}'{nearest(name, FORMATS)}; there are {', '.join(FORMATS)}")
    it = FORMATS[name]
    uses = [*dict.fromkeys([*(what for group in it.takes for what in group), *it.may])]
    for what, column in given.items():
        if what not in uses:
            raise InputError(f"format {name} takes no '{what}'{nearest(what, uses)}; it takes {', '.join(uses)}")
        if column not in have:
            raise InputError(f"{what}: no column '{column}'{nearest(column, have)}; the rows have {', '.join(have)}")
    places = {what: given.get(what) or _column(what, have) for what in uses}
    found = {what: column for what, column in places.items() if column}
    groups = sorted(it.takes, key=lambda group: -len(given.keys() & set(group)))  # what is named is meant
    for group in groups:
        if all(what in found for what in group):
            return Columns(name, it, {what: found[what] for what in (*group, *it.may) if what in found})
    lack = " or ".join("/".join(what for what in group if what not in found) for group in it.takes)
    first = next(what for what in it.takes[0] if what not in found)
    raise InputError(
        f"format {name} lacks {lack}: the rows have {', '.join(have)}; name a column, as `{first}: COLUMN`, "
        "or take another format"
    )


def _column(what: str, have: Sequence[str]) -> str | None:
    return next((column for column in KNOWN[what] if column in have), None)


def turns(values: Values) -> list[Row]:
    """The conversation of a row, as `{role, content}`: its messages, or its prompt and completion as one exchange."""
    if "messages" in values:
        return [_turn(message) for message in _list(values["messages"], "messages")]
    system = [{"role": SYSTEM, "content": _text(values, "system")}] if values.get("system") else []
    asked = {"role": USER, "content": _asked(values)}
    return [*system, asked, {"role": ASSISTANT, "content": _text(values, "completion")}]


def _turn(message: Any) -> Row:
    """A message as chat templates take it, out of that form or of ShareGPT's."""
    if isinstance(message, dict) and {"from", "value"} <= message.keys():
        roles = {said: role for role, said in SHAREGPT.items()}
        message = {"role": roles.get(message["from"], message["from"]), "content": message["value"]}
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Reject("odd", "a message is no {role, content}")
    kept: Row = _without_nulls(message)
    if not isinstance(kept.get("content"), str) and "tool_calls" not in kept:
        raise Reject("odd", f"a message of the {kept['role']} has no content")
    return kept


def _without_nulls(value: Any) -> Any:
    """Objects without their nulls: in a run's Parquet each object has the keys of all, null where it had none."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [*map(_without_nulls, value)] if isinstance(value, list) else value


def _asked(values: Values) -> str:
    """The instruction with its input, if it has one."""
    return "\n\n".join([_text(values, "prompt"), *([_text(values, "input")] if values.get("input") else [])])


def _text(values: Values, what: str) -> str:
    if not isinstance(values[what], str):
        raise Reject("odd", f"the {what} is no text")
    return str(values[what])


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Reject("odd", f"{what} is no list with something in it")
    return value


def _messages(values: Values) -> Row:
    said = turns(values)
    if any(turn.keys() - {"role", "content"} for turn in said):
        raise Reject("odd", "a message has more than role and content, such as tool calls: take the format tools")
    return {"messages": said}


def _tools(values: Values) -> Row:
    return {"messages": turns(values), "tools": _without_nulls(_list(values["tools"], "tools"))}


def _prompt_completion(values: Values) -> Row:
    if "messages" not in values and not values.get("system"):
        return {"prompt": _asked(values), "completion": _text(values, "completion")}
    *before, last = turns(values)
    if last["role"] != ASSISTANT or not before:
        raise Reject("odd", "the conversation does not end with an answer")
    return {"prompt": before, "completion": [last]}


def _alpaca(values: Values) -> Row:
    if "messages" not in values:
        of = {"instruction": "prompt", "input": "input", "output": "completion", "system": "system"}
        return {column: _text(values, what) if values.get(what) else "" for column, what in of.items()}
    said = turns(values)
    system = said.pop(0)["content"] if said[0]["role"] == SYSTEM else ""
    if [turn["role"] for turn in said] != [USER, ASSISTANT]:
        raise Reject("odd", "Alpaca holds one exchange; take messages or sharegpt for longer conversations")
    return {"instruction": said[0]["content"], "input": "", "output": said[1]["content"], "system": system}


def _sharegpt(values: Values) -> Row:
    said = turns(values)
    if odd := [turn["role"] for turn in said if turn["role"] not in SHAREGPT]:
        raise Reject("odd", f"ShareGPT has no role '{odd[0]}'")
    return {"conversations": [{"from": SHAREGPT[turn["role"]], "value": turn["content"]} for turn in said]}


def _preference(values: Values) -> Row:
    made = {"prompt": _asked(values), "chosen": _text(values, "chosen"), "rejected": _text(values, "rejected")}
    if made["chosen"] == made["rejected"]:
        raise Reject("odd", "the chosen and the rejected answer are the same")
    return made


def _kto(values: Values) -> Row:
    if not isinstance(values["wanted"], bool):
        raise Reject("odd", "the label of KTO is true or false")
    return {"prompt": _asked(values), "completion": _text(values, "completion"), "label": values["wanted"]}


def _classification(values: Values) -> Row:
    return {"text": _text(values, "text"), "label": _named(values["label"])}


def _several(values: Values) -> Row:
    return {"text": _text(values, "text"), "label": [_named(label) for label in _list(values["label"], "the label")]}


def _named(label: Any) -> str:
    """The name of a class."""
    if isinstance(label, list):
        raise Reject("odd", "a row has several labels: take the format several_labels")
    if not isinstance(label, str | int):
        raise Reject("odd", "a label is no text and no whole number")
    return str(label).lower() if isinstance(label, bool) else str(label)


def _token_labels(values: Values) -> Row:
    """Tokens are words, numbers and single signs; B- begins a span, I- goes on with it, O is outside."""
    text, tokens, labels = _text(values, "text"), [], []
    spans = sorted((_span(span, text) for span in values["spans"] or ()), key=lambda span: span[0])
    if any(span[0] < before[1] for before, span in itertools.pairwise(spans)):
        raise Reject("odd", "two spans overlap: a token has one label")
    before = None
    for found in _TOKEN.finditer(text):
        inside = next((span for span in spans if span[0] < found.end() and found.start() < span[1]), None)
        tokens.append(found[0])
        labels.append("O" if inside is None else f"{'I' if inside is before else 'B'}-{inside[2]}")
        before = inside
    return {"tokens": tokens, "labels": labels}


def _span(span: Any, text: str) -> tuple[int, int, str]:
    try:
        start, end, kind = span["start"], span["end"], span.get("type") or span["label"]
    except (TypeError, KeyError, AttributeError):
        raise Reject("odd", "a span is no {start, end, type}") from None
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
        raise Reject("odd", f"a span from {start} to {end} does not stand in the text")
    return start, end, str(kind)


def _pairs(values: Values) -> Row:
    made: Row = {"sentence1": _text(values, "first"), "sentence2": _text(values, "second")}
    if "label" in values:
        return {**made, "label": _named(values["label"])}
    if "score" in values and (isinstance(values["score"], bool) or not isinstance(values["score"], int | float)):
        raise Reject("odd", "the score is no number")
    return {**made, "score": float(values["score"])} if "score" in values else made


def _triplets(values: Values) -> Row:
    return {what: _text(values, what) for what in ("anchor", "positive", "negative")}


def _plain(values: Values) -> Row:
    return {"text": _text(values, "text")}


CHAT = (("messages",), ("prompt", "completion"))
TURNS = [{"role": "string", "content": "string"}]
MAY = ("system", "input")


def _texts(*columns: str) -> Callable[[Collection[str]], dict[str, Spec]]:
    return lambda of: dict.fromkeys(columns, "string")


def _of_prompt(of: Collection[str]) -> dict[str, Spec]:
    """Conversations where there may be more than two texts to tell."""
    return dict.fromkeys(("prompt", "completion"), TURNS if {"messages", "system"} & {*of} else "string")


def _of_pairs(of: Collection[str]) -> dict[str, Spec]:
    told = {"label": "class"} if "label" in of else {"score": "float"} if "score" in of else {}
    return {"sentence1": "string", "sentence2": "string", **told}


FORMATS: dict[str, Format] = {
    "messages": Format("chat messages (TRL, most trainers)", CHAT, lambda of: {"messages": TURNS}, _messages, MAY),
    "prompt_completion": Format("a prompt and its completion (TRL)", CHAT, _of_prompt, _prompt_completion, MAY),
    "alpaca": Format(
        "instruction, input, output (Alpaca, LLaMA-Factory, Axolotl)",
        CHAT, _texts("instruction", "input", "output", "system"), _alpaca, MAY,
    ),
    "sharegpt": Format(
        "conversations of from and value (ShareGPT)",
        CHAT, lambda of: {"conversations": [{"from": "string", "value": "string"}]}, _sharegpt, MAY,
    ),
    "tools": Format(
        "messages with tool calls, and the tools (TRL)",
        (("messages", "tools"),), lambda of: {"messages": ["json"], "tools": ["json"]}, _tools,
    ),
    "preference": Format(
        "prompt, chosen, rejected (DPO)",
        (("prompt", "chosen", "rejected"),), _texts("prompt", "chosen", "rejected"), _preference, ("input",),
    ),
    "kto": Format(
        "prompt, completion, and label, true or false (KTO)",
        (("prompt", "completion", "wanted"),),
        lambda of: {"prompt": "string", "completion": "string", "label": "bool"}, _kto, ("input",),
    ),
    "classification": Format(
        "a text and its class", (("text", "label"),), lambda of: {"text": "string", "label": "class"}, _classification
    ),
    "several_labels": Format(
        "a text and its classes", (("text", "label"),), lambda of: {"text": "string", "label": ["class"]}, _several
    ),
    "token_labels": Format(
        "tokens and the label of each, in BIO (transformers)",
        (("text", "spans"),), lambda of: {"tokens": ["string"], "labels": ["class"]}, _token_labels,
    ),
    "pairs": Format(
        "two texts, with a class or a score if there is one (sentence-transformers)",
        (("first", "second", "label"), ("first", "second", "score"), ("first", "second")), _of_pairs, _pairs,
    ),
    "triplets": Format(
        "anchor, positive, negative (sentence-transformers)",
        (("anchor", "positive", "negative"),), _texts("anchor", "positive", "negative"), _triplets,
    ),
    "text": Format("plain text (pre-training)", (("text",),), _texts("text"), _plain),
}  # fmt: skip
"""The formats by name."""
