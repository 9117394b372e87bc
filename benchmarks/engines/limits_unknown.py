"""limits_unknown: limits that nobody told us of: a rate, a cap in flight, answers that fail at random."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.engines.harness import Bar, Load, measure, middle
from benchmarks.engines.ours import OURS

ROUNDS = 3
RATE, BURST, CAP, SLOTS = 60, 60, 16, 64


def line(
    what: str, rows: int, options: list[str], slots: int, goal: float, most: float | None, best: float | None = None
) -> Bar:
    """`best`: seconds that the rows need at least, where slots do not say it; `most`: requests a row."""
    remark = Load()
    runs = [measure(OURS, rows, None, options, slots=slots) for _ in range(ROUNDS)]
    value = middle([run.efficiency if best is None else best / run.makespan for run in runs])
    asked = middle([run.stats["requests"] / rows for run in runs])
    lost = max(rows - run.rows for run in runs)
    figure = f"{what}, {rows:,} rows: {value:.3f} of the best rate, {asked:.2f}x the requests, {lost} rows lost{remark}"
    ok = value >= goal and not lost and (most is None or asked <= most)
    wanted = f">= {goal:.2f}" + ("" if most is None else f", <= {most}x") + ", 0 lost"
    return "limits_unknown", figure, wanted, ok


def bucket() -> Bar:
    rows = 1_000
    options = ["--latency", "lognormal:100ms,0.5", "--rate", str(RATE), "--burst", str(BURST)]
    return line(f"token bucket of {RATE}/s", rows, options, rows, 0.95, 1.1, best=(rows - BURST) / RATE)


def cap() -> Bar:
    options = ["--latency", "lognormal:200ms,0.5", "--cap", str(CAP)]
    return line(f"cap of {CAP} in flight", 600, options, CAP, 0.8, 1.1)


def faults() -> Bar:
    options = ["--latency", "lognormal:100ms,0.5", "--slots", str(SLOTS), "--fault", "429=5%", "--fault", "500=5%"]
    return line("5 % 429 and 5 % 500", 2_000, options, SLOTS, 1 / 1.3, None)


def bar() -> Iterator[Bar]:
    yield bucket()
    yield cap()
    yield faults()
