"""What a run shows while it works."""

from __future__ import annotations

import io
import sys
import time
from collections import Counter

import pytest
from rich.console import Console

from synth_llm.manifest import State
from synth_llm.models.budget import Budget, Limits, Spent
from synth_llm.models.call import Usage
from synth_llm.prices import Priced
from synth_llm.progress import EVERY, Live, Rates, line, view
from synth_llm.recipe import Price
from synth_llm.segment import Tally

PRICE = Price(input=1, output=10)


class Caller:
    """As much of a caller as is shown."""

    def __init__(self, usages: dict[str, Usage]) -> None:
        self.usages = usages


def a_state(target: int | None = 60, price: Price | None = PRICE) -> State:
    """The second round of a run: 20 accepted, 4 more have passed all steps and wait for the end of the round."""
    tallies = [
        Tally("sample", entered=50, left=50),
        Tally("generate write", entered=50, left=40, rejected=Counter({"unparseable": 7, "cut": 3})),
        Tally("dedup", entered=40, left=24, rejected=Counter({"duplicate": 16})),
    ]
    if target:
        tallies.append(Tally("target", entered=20, left=20))
    usage = Usage(45, 5, prompt_tokens=900, completion_tokens=100, dollars=0.0123 if price else 0, reported={"m": 45})
    callers = {"writer": Caller({"generate write": usage})}
    prices = {"writer": Priced(price, "the recipe")}
    state = State(tallies, callers, Budget(Limits(), Spent()), target, tallies[-1], prices)  # type: ignore[arg-type]
    state.candidates, state.accepted, state.round, state.taken_up, state.round_size = 50, 20, 2, 30, 40
    return state


def test_rows_that_passed_all_steps_count_before_the_round_ends() -> None:
    now = view(a_state())
    assert (now.done, now.want, now.share) == (24, 60, 0.4)
    assert (now.sent, now.replayed, now.tokens) == (45, 5, 1000)
    assert now.rejected == {"duplicate": 16, "unparseable": 7, "cut": 3}


def test_more_rows_than_the_target_are_not_more_than_all() -> None:
    state = a_state()
    state.tallies[-2].left = 500
    assert view(state).share == 1.0


def test_without_a_target_each_step_counts_by_the_rows_it_can_expect() -> None:
    state = a_state(target=None)
    state.taken_up, state.round_size = 50, 100
    now = view(state)
    assert (now.done, now.want, now.what) == (50, 100, "rows taken up")
    assert now.share == pytest.approx((0.5 + 0.5 + 0.5) / 3)


def test_a_line_says_what_matters() -> None:
    said = line(view(a_state()), Rates())
    assert said.startswith("round 2: 24 of 60 accepted | 50 candidates | 45 requests, 5 from the journal")
    assert ", 1,000 tokens for $0.0123 | " in said
    assert "rejected 26: duplicate 16, unparseable 7, cut 3" in said
    assert "\n" not in said


def test_what_is_not_known_is_said_to_be() -> None:
    assert ", 1,000 tokens, dollars unknown | " in line(view(a_state(price=None)), Rates())
    state = a_state()
    usage = state.callers["writer"].usages["generate write"]
    usage.prompt_tokens, usage.completion_tokens, usage.unreported = 0, 0, 45
    assert ", tokens not reported | " in line(view(state), Rates())
    state = a_state(price=Price(input=0, output=0))
    state.callers["writer"].usages["generate write"].dollars = 0.0
    assert ", 1,000 tokens | " in line(view(state), Rates())


def test_models_are_told_apart_when_there_are_several() -> None:
    state = a_state()
    judge = Caller({"judge": Usage(10, prompt_tokens=50, completion_tokens=5, reported={"j": 10})})
    state.callers["judge"], state.prices = judge, {**state.prices, "judge": Priced(None, "")}  # type: ignore[assignment]
    said = line(view(state), Rates())
    assert "55 requests, 5 from the journal" in said
    assert ", writer 1,000 tokens for $0.0123, judge 55 tokens, dollars unknown | " in said


def test_rates_are_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    state, rates = a_state(), Rates()
    usage = state.callers["writer"].usages["generate write"]
    assert rates.left() is None
    for clock in range(60):
        usage.sent += 10 if clock >= 30 else 1
        state.accepted += 1
        rates.note(view(state))
    requests, _ = rates.a_second()
    assert requests == pytest.approx(10)
    assert rates.left() == pytest.approx(0)


def test_off_a_terminal_there_are_plain_lines_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = a_state()
    state.notices.append("journal: 3 answers saved")
    with Live(state):
        time.sleep(0.35)
        state.round = 3
        time.sleep(0.6)
        state.notices.append("later")
    said = capsys.readouterr()
    assert not said.out
    lines = said.err.splitlines()
    assert lines.count("note: journal: 3 answers saved") == 1
    assert lines.count("note: later") == 1
    assert len([text for text in lines if text.startswith("round 3: ")]) == 2  # when it began, and at the end
    assert EVERY >= 10


def test_a_run_that_fails_leaves_the_last_word_to_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), Live(a_state()):
        raise ValueError("no")
    assert not capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_display_goes_and_notices_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, state = Terminal(), a_state()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Live(state):
        state.notices.append("stopping: [b]wait[/b]")
        time.sleep(0.4)
    said = terminal.getvalue()
    assert "24 of 60 accepted" in said
    assert said.count("note: stopping: [b]wait[/b]") == 1


def test_the_display_shows_steps_rates_and_reasons() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(Live(a_state())._picture())
    said = out.getvalue()
    assert "round 2: 24 of 60 accepted" in said
    assert any(
        text.split() == ["generate", "write", "50", "40", "10", "45", "1,000", "$0.0123"] for text in said.splitlines()
    )
    assert "rejected: duplicate 16, unparseable 7, cut 3" in said
