"""What a run shows while it works: a live display on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synth_llm.account import StepUsage, by_model, together, usages
from synth_llm.screen import dollars, duration, one_line, tokens

if TYPE_CHECKING:
    from rich.console import Group

    from synth_llm.manifest import State

EVERY = 10.0
"""Seconds between two plain lines."""
WINDOW = 15.0
"""Seconds over which rates are taken."""
REASONS = 6
"""The most reasons that are named."""

Line = tuple[str, int, int, dict[str, int]]
"""(step, rows in, rows out, rejected by reason)."""


@dataclass(frozen=True)
class View:
    """A run at one moment, as numbers."""

    round: int
    candidates: int
    done: int
    """Accepted rows with a target, including those that only wait for the end of the round; else rows taken up."""
    want: int | None
    """The target, or the rows of the source; None when that is not known."""
    what: str
    steps: list[Line]
    rejected: Counter[str]
    sent: int
    replayed: int
    usages: list[StepUsage]
    """What each step asked of each model."""

    share: float
    """How far along, 0 to 1."""
    doing: str = ""
    """What takes long just now, beside rows and requests."""

    @property
    def tokens(self) -> int:
        """Of prompts and answers, as far as they were reported."""
        return sum(usage.tokens for usage in self.usages)


def view(state: State) -> View:
    """Read a state, from any thread: numbers may lag behind each other by a row."""
    tallies = list(state.tallies)
    steps = [(tally.step, tally.entered, tally.left, dict(tally.rejected)) for tally in tallies]
    used = usages(state)
    want: int | None
    if state.target is not None:
        at = next(at for at, tally in enumerate(tallies) if tally is state.met)
        waiting = tallies[at - 1].left - tallies[at].entered
        done, want, what = min(state.target, state.accepted + max(0, waiting)), state.target, "accepted"
        share = done / want
    else:
        done, want, what = state.taken_up, state.round_size or None, "rows taken up"
        share = _flow(steps, want or 0)
    return View(
        state.round,
        state.candidates,
        done,
        want,
        what,
        steps,
        sum((Counter(rejected) for *_, rejected in steps), Counter()),
        sum(usage.requests for usage in used),
        sum(usage.replayed for usage in used),
        used,
        share,
        state.doing,
    )


def _flow(steps: list[Line], rows: float) -> float:
    """The mean over the steps of the share of the rows they can expect that reached them."""
    shares = []
    for _, entered, left, _ in steps:
        shares.append(min(1.0, entered / rows) if rows else 1.0)
        rows *= left / entered if entered else 1.0
    return sum(shares) / len(shares)


class Rates:
    """Requests and tokens a second over the last seconds, and how long the rest may take."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int, float]] = deque()
        self.began = time.monotonic()

    def note(self, now: View) -> None:
        """Remember a moment."""
        at = time.monotonic()
        self._seen.append((at, now.sent, now.tokens, now.share))
        while len(self._seen) > 2 and at - self._seen[0][0] > WINDOW:
            self._seen.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def a_second(self) -> tuple[float, float]:
        """Requests and tokens."""
        if len(self._seen) < 2:
            return 0.0, 0.0
        first, last = self._seen[0], self._seen[-1]
        seconds = max(1e-3, last[0] - first[0])
        return (last[1] - first[1]) / seconds, (last[2] - first[2]) / seconds

    def left(self) -> float | None:
        """Seconds until the share is 1 at the pace so far; None while there is no telling."""
        share = self._seen[-1][3] if self._seen else 0.0
        return self.elapsed * (1 - share) / share if share > 0.02 and self.elapsed > 2 else None


class Live:
    """A `watch` for `run`: `with Live(state): ...` shows the state from a thread of its own."""

    def __init__(self, state: State) -> None:
        self.state, self.rates = state, Rates()
        self._told = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._lines, daemon=True)
        self._display: Any = None

    def __enter__(self) -> Live:
        if not sys.stderr.isatty():
            self._thread.start()
            return self
        from rich.console import Console
        from rich.live import Live as Display

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._display = Display(
            get_renderable=self._picture, console=console, refresh_per_second=4, transient=True, redirect_stdout=False
        )
        self._display.start()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if self._display is not None:
            self._display.stop()
        else:
            self._over.set()
            self._thread.join()
            if error is None:
                self._say(line(view(self.state), self.rates))
        self._notices()

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _notices(self) -> None:
        """Print what is new among the notices."""
        notices = list(self.state.notices)
        for notice in notices[self._told :]:
            text = f"note: {one_line(notice, 1000)}"
            if self._display is not None and self._display.is_started:
                self._display.console.print(text)
            else:
                self._say(text)
        self._told = len(notices)

    def _lines(self) -> None:
        """Plain lines: every ten seconds, and when a round ends."""
        shown, round_shown = self.rates.began, self.state.round
        while not self._over.wait(0.25):
            now = view(self.state)
            self.rates.note(now)
            self._notices()
            if time.monotonic() - shown >= EVERY or now.round > max(1, round_shown):
                self._say(line(now, self.rates))
                shown = time.monotonic()
            round_shown = now.round

    def _picture(self) -> Group:
        """What the live display shows."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        self._notices()
        now = view(self.state)
        self.rates.note(now)
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=now.want or 1, completed=now.done if now.want else 0, width=30)
        head.add_row(Text(_done(now)), bar, Text(_times(self.rates)))
        steps = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        steps.add_column("step", no_wrap=True)
        for name in ("in", "out", "rejected", "requests", "tokens", "dollars"):
            steps.add_column(name, justify="right", no_wrap=True, style="dim" if name == "rejected" else None)
        for name, entered, left, rejected in now.steps:
            lost = sum(rejected.values())
            asked = [usage for usage in now.usages if usage.step == name]
            row = (f"{entered:,}", f"{left:,}", f"{lost:,}" if lost else "", *(_used(asked) if asked else ()))
            steps.add_row(Text(name), *row)
        named = f"\nrejected: {_reasons(now)}" if now.rejected else ""
        return Group(head, steps, Text("\n".join(filter(None, (_traffic(now, self.rates), now.doing))) + named))


def line(now: View, rates: Rates) -> str:
    """A moment of a run on one line."""
    parts = [_done(now), f"{now.candidates:,} candidates", _traffic(now, rates), now.doing]
    if now.rejected:
        parts.append(f"rejected {now.rejected.total():,}: {_reasons(now)}")
    return " | ".join([*filter(None, parts), _times(rates)])


def _done(now: View) -> str:
    of = f" of {now.want:,}" if now.want else ""
    return (f"round {now.round}: " if now.round > 1 else "") + f"{now.done:,}{of} {now.what}"


def _times(rates: Rates) -> str:
    left = rates.left()
    about = f", about {duration(left)} left" if left and left >= 1 else ""
    return duration(rates.elapsed) + about


def _traffic(now: View, rates: Rates) -> str:
    """What was asked, and how fast; nothing before anything was, as in a run without a model."""
    if not now.sent and not now.replayed:
        return ""
    requests, each = rates.a_second()
    replayed = f", {now.replayed:,} from the journal" if now.replayed else ""
    said = f"{now.sent:,} requests{replayed} ({requests:.1f}/s, {each:,.0f} tokens/s)"
    models = [usage for usage in by_model(now.usages) if usage.requests]
    parts = [f"{usage.model} " * (len(models) > 1) + _tokens_and_dollars(usage) for usage in models]
    return ", ".join([said, *parts])


def _used(asked: list[StepUsage]) -> tuple[str, str, str]:
    """Requests, tokens and dollars of a step."""
    usage = together(asked)
    return f"{usage.requests:,}", tokens(usage.tokens, usage), dollars(usage.dollars)


def _tokens_and_dollars(usage: StepUsage) -> str:
    counted = tokens(usage.tokens, usage)
    if counted == "not reported":
        return "tokens not reported"
    if usage.dollars is None:
        return f"{counted} tokens, dollars unknown"
    return f"{counted} tokens" + (f" for {dollars(usage.dollars)}" if usage.dollars else "")


def _reasons(now: View) -> str:
    rest = len(now.rejected) - REASONS
    shown = ", ".join(f"{reason} {count:,}" for reason, count in now.rejected.most_common(REASONS))
    return shown + (f" and {rest} more reasons" if rest > 0 else "")
