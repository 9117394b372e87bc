"""limits_unknown: limits that nobody told us of: a rate, a cap in flight, answers that fail at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.engines.harness import Bar, Run, load, measure, middle
from benchmarks.engines.ours import OURS

ROUNDS = 3
RATE, BURST, CAP, SLOTS = 60, 60, 16, 64


def runs(rows: int, options: list[str], slots: int) -> list[Run]:
    return [measure(OURS, rows, None, options, slots=slots) for _ in range(ROUNDS)]


def line(what: str, rows: int, got: list[Run], share: Callable[[Run], float], goal: float, most: float | None) -> Bar:
    """`share(run)`: the best possible time over the time taken; `most` requests a row."""
    remark = load()
    value = middle([share(run) for run in got])
    asked = middle([run.stats["requests"] / rows for run in got])
    lost = max(rows - run.rows for run in got)
    figure = f"{what}, {rows:,} rows: {value:.3f} of the best rate, {asked:.2f}x the requests, {lost} rows lost{remark}"
    ok = value >= goal and not lost and (most is None or asked <= most)
    wanted = f">= {goal:.2f}" + ("" if most is None else f", <= {most}x") + ", 0 lost"
    return "limits_unknown", figure, wanted, ok


def bucket() -> Bar:
    rows = 1_000
    got = runs(rows, ["--latency", "lognormal:100ms,0.5", "--rate", str(RATE), "--burst", str(BURST)], rows)
    best = (rows - BURST) / RATE
    return line(f"token bucket of {RATE}/s", rows, got, lambda run: best / run.makespan, 0.95, 1.1)


def cap() -> Bar:
    rows = 600
    got = runs(rows, ["--latency", "lognormal:200ms,0.5", "--cap", str(CAP)], CAP)
    return line(f"cap of {CAP} in flight", rows, got, lambda run: run.efficiency, 0.8, 1.1)


def faults() -> Bar:
    rows = 2_000
    options = ["--latency", "lognormal:100ms,0.5", "--slots", str(SLOTS), "--fault", "429=5%", "--fault", "500=5%"]
    got = runs(rows, options, SLOTS)
    return line("5 % 429 and 5 % 500", rows, got, lambda run: run.efficiency, 1 / 1.3, None)


def bar() -> Iterator[Bar]:
    yield bucket()
    yield cap()
    yield faults()
