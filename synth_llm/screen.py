"""How rows, calls and counts look on a terminal. Text of rows is shown as text: it cannot steer the terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synth_llm.account import StepUsage, together
from synth_llm.output import figure
from synth_llm.row import ID, Row

if TYPE_CHECKING:
    from synth_llm.catalogue import Entry
    from synth_llm.run_folder import Call

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WIDTH = 120
"""Columns when the output is no terminal."""


def visible(text: str) -> str:
    """Text whose control characters are written out, line ends and tabs aside.

    >>> visible("red: \\x1b[31m")
    'red: \\\\x1b[31m'
    """
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(value: Any, most: int = 160) -> str:
    """A value on one line, cut to `most` characters; what is no text as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = visible(" ".join(text.split()))
    return text if len(text) <= most else text[: most - 1] + "…"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> str:
    """A table as text; the columns in `numbers` are set to the right."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        right = column in numbers
        shown.add_column(column, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(visible(cell)) for cell in row))
    out = StringIO()
    Console(file=out, width=_width(), color_system=None).print(shown)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def listed(entries: Sequence[Entry]) -> str:
    """The catalogue of one kind: a line each, and a second one where there is more to say."""
    if not any(entry.more for entry in entries):
        return table(("name", "from", "about"), (entry[:3] for entry in entries))
    wide = max(len(entry.name) for entry in entries)
    lines = []
    for entry in entries:
        origin = "" if entry.origin == "built-in" else f" ({entry.origin})"
        lines += [f"{entry.name:{wide}}  {entry.about}{origin}", *([f"    {entry.more}"] if entry.more else [])]
    return "\n".join(map(visible, lines))


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH


def funnel(manifest: Mapping[str, Any]) -> str:
    """What each step let through, and what it rejected by reason."""
    rows = []
    for step in manifest["funnel"]:
        reasons = sorted(step["rejected"].items(), key=lambda item: -item[1])
        said = [f"{reason} {count:,}" for reason, count in reasons]
        said += [f"({step['unfinished']:,} unfinished)"] * bool(step["unfinished"])
        rows.append((step["step"], f"{step['entered']:,}", f"{step['left']:,}", ", ".join(said)))
    return table(("step", "in", "out", "rejected"), rows, ("in", "out"))


def objectives(manifest: Mapping[str, Any]) -> str:
    """What the objectives came to, before and after; empty without any."""
    rows = [
        (
            one["objective"],
            one["measure"],
            figure(one["before"]),
            one["before_of"],
            figure(one["after"]),
            one["after_of"],
        )
        for one in manifest.get("objectives", ())
    ]
    return table(("objective", "measure", "before", "of", "after", "of "), rows, ("before", "after")) if rows else ""


BARS = " ▁▂▃▄▅▆▇█"


def scores(manifest: Mapping[str, Any]) -> str:
    """What thresholds were held against, by step: a histogram each of the kept and of the rejected rows."""
    lines = []
    for step in manifest["funnel"]:
        for name, found in step.get("scores", {}).items():
            lines.append(f"{step['step']}: {name}" if name != step["step"] else name)
            ends = f"{_number(found['edges'][0]):>9} |{{}}| {_number(found['edges'][-1])}"
            for what in ("kept", "rejected"):
                if found["rows"][what]:
                    low, high = found["ranges"][what]
                    said = f"{what} {found['rows'][what]:,}: {_number(low)} to {_number(high)}"
                    lines.append(f"{ends.format(_bars(found[what])):<45} {said}")
    return "\n".join(lines)


def _bars(counts: Sequence[int]) -> str:
    """Counts as bars of one character; what is not nothing shows."""
    most = max(counts)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] if count else " " for count in counts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.3g}"


def brief(row: Row) -> str:
    """A row in a few lines: each column on one line, cut, and shorter what is no text."""
    shown = [(name, value) for name, value in row.items() if not name.startswith("_")]
    lines = [f"{name}: {one_line(value, 160 if isinstance(value, str) else 60)}" for name, value in shown]
    return f"- {row[ID]}\n" + "\n".join(f"    {line}" for line in lines)


def full(row: Row) -> str:
    """A row with every column in full."""
    lines = []
    for name, value in row.items():
        if name.startswith("_"):
            continue
        text = visible(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        lines.append(f"    {name}: {text}" if "\n" not in text else f"    {name}:\n{indented(text, 8)}")
    return "\n".join(lines) or "    (no columns)"


def rejection(rejected: Mapping[str, Any], *, raw: bool = True) -> str:
    """Where and why a row was rejected, and the raw answer if there is one."""
    detail = f": {one_line(rejected['detail'], 300)}" if rejected["detail"] else ""
    line = f"rejected by {rejected['step']} as {rejected['reason']}{detail}"
    return f"{line}\n    raw answer:\n{indented(rejected['raw'], 8)}" if raw and rejected["raw"] else line


def call(made: Call) -> str:
    """A model call: its prompt, its sampling, and the raw answer."""
    head = f"call of step {made.step}, request {made.key[:12]}"
    if made.request is None:
        return f"{head}\n    not in this run's journal: give the journal that the run read it from with --journal"
    sampling = ", ".join(f"{name} {one_line(value)}" for name, value in made.request["sampling"].items())
    lines = [head, f"    model {one_line(made.request['model'] or 'local')}; {sampling}"]
    lines += [f"    [{said['role']}]\n{indented(said['content'], 8)}" for said in made.request["messages"]]
    status = f", HTTP {made.answer.status}" if made.answer and made.answer.status != 200 else ""
    answer = made.said if made.answer else "(none in the journal)"
    return "\n".join([*lines, f"    [answer{status}]\n{indented(answer, 8)}"])


def indented(text: str, by: int) -> str:
    """Visible text, every line moved to the right."""
    return "\n".join(" " * by + line for line in visible(text).splitlines()) or " " * by


def duration(seconds: float) -> str:
    """A time that a person reads.

    >>> duration(4.26), duration(75), duration(7322)
    ('4.3 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def dollars(amount: float | None, least: bool = False) -> str:
    """An amount of money; None is one that nobody knows. `least`: something unknown comes on top.

    >>> dollars(0.001234), dollars(12.5), dollars(None), dollars(0.5, least=True)
    ('$0.0012', '$12.50', 'unknown', 'at least $0.5000')
    """
    if amount is None or (least and not amount):
        return "unknown"
    shown = f"${amount:,.2f}" if amount >= 10 or not amount else f"${amount:,.4f}"
    return f"at least {shown}" if least else shown


def tokens(count: int, usage: StepUsage) -> str:
    """Tokens of one kind, of which some or all may not have been reported."""
    if usage.unreported and usage.unreported == usage.answers:
        return "not reported"
    return f"at least {count:,}" if usage.unreported else f"{count:,}"


def usage(usages: Sequence[StepUsage], replays: bool = False) -> str:
    """What each step asked of each model; `replays`: and what the journal had already."""
    rows = []
    for one in usages:
        row = [one.step, one.model, f"{one.requests:,}"] + [f"{one.replayed:,}"] * replays
        row += [tokens(one.prompt_tokens, one), tokens(one.completion_tokens, one), dollars(one.dollars)]
        rows.append(row)
    numbers = ["requests", *["replayed"] * replays, "prompt tokens", "answer tokens", "dollars"]
    return table(("step", "model", *numbers), rows, numbers)


def spent(requests: int, seconds: float, usages: Sequence[StepUsage]) -> str:
    """What was sent and used, on one line."""
    used = together(usages)
    if used.answers and used.answers == used.unreported:
        counted = "tokens not reported"
    else:
        least = "at least " if used.unreported else ""
        counted = f"{least}{used.prompt_tokens:,} prompt and {used.completion_tokens:,} answer tokens"
    unknown = any(one.dollars is None for one in usages)
    known = sum(one.dollars or 0.0 for one in usages)
    money = f", {'dollars ' * (not known)}{dollars(known, least=unknown)}" if known or unknown else ""
    return f"{requests:,} request{'s' * (requests != 1)}, {counted}{money}, {duration(seconds)}"
