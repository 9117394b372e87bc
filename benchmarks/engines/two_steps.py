"""two_steps: generate and judge on one endpoint: the judge works while the writer still writes."""

from __future__ import annotations

from benchmarks.engines.harness import Bar, Load, measure, middle
from benchmarks.engines.ours import OURS_TWO_STEPS

ROWS, SLOTS, ROUNDS = 640, 64, 3


def line(concurrency: int | None, goal: float) -> Bar:
    remark = Load()
    options = ["--latency", "lognormal:500ms,0.5", "--slots", str(SLOTS)]
    runs = [measure(OURS_TWO_STEPS, ROWS, concurrency, options, slots=SLOTS) for _ in range(ROUNDS)]
    value = middle([run.efficiency for run in runs])
    flight = max(run.stats["most_in_flight"] for run in runs)
    service = max(run.stats["most_in_service"] for run in runs)
    told = "untuned" if concurrency is None else "tuned"
    figure = (
        f"{told}, 500ms x {SLOTS}, {ROWS} rows: {value:.3f}, at most {service} in service, {flight} in flight{remark}"
    )
    within = service <= SLOTS and (concurrency is None or flight <= concurrency)
    ok = value >= goal and within and all(run.rows == ROWS for run in runs)
    return "two_steps", figure, f">= {goal}, <= {SLOTS} in service", ok


def bar() -> list[Bar]:
    return [line(SLOTS, 0.97), line(None, 0.9)]
