"""cpu: what a call costs the client, whole path, beside bare clients and other tools at the same endpoint."""

from __future__ import annotations

from benchmarks.engines.clients import PEERS, bare_aiohttp, bare_openai, peer
from benchmarks.engines.harness import Bar, Client, Load, Run, attempt, measure, middle
from benchmarks.engines.ours import OURS

SLOTS, ROUNDS = 64, 3
OPTIONS = ["--latency", "lognormal:50ms,0.5", "--slots", str(SLOTS)]
ROWS, OPENAI_ROWS, PEER_ROWS = 10_000, 4_000, 2_000


def per_call(runs: list[Run]) -> float:
    """Milliseconds of CPU a request, from the first request to the last answer."""
    return middle([run.cpu / run.stats["requests"] * 1000 for run in runs])


def beside(name: str, runs: list[Run | str], ours: float, goal: float) -> Bar:
    """The line of another client: how many times our cost it has, and should have at least."""
    good = [run for run in runs if isinstance(run, Run)]
    if not good:
        return "cpu", f"{name}: {runs[0]}", "not compared", True
    cost = per_call(good)
    rss, eff = max(run.rss for run in good), middle([run.efficiency for run in good])
    figure = f"{name} {cost:.2f} ms a call, {cost / ours:.1f}x ours; {rss:.0f} MB, efficiency {eff:.2f}"
    return "cpu", figure, f">= {goal:g}x" if goal else "for comparison", cost >= goal * ours


def bar() -> list[Bar]:
    remark = Load()
    others: dict[str, tuple[Client | str, int, float]] = {
        "bare aiohttp": (bare_aiohttp(), ROWS, 0.0),
        "bare openai": (bare_openai(), OPENAI_ROWS, 2.0),
        "bare openai, aiohttp's transport": (bare_openai("aiohttp"), OPENAI_ROWS, 0.0),
        **{name: (peer(name), PEER_ROWS, 3.0) for name in PEERS},
    }
    ours: list[Run] = []
    seen: dict[str, list[Run | str]] = {name: [] for name in others}
    for _ in range(ROUNDS):
        ours.append(measure(OURS, ROWS, SLOTS, OPTIONS, slots=SLOTS))
        for name, (client, rows, _goal) in others.items():
            seen[name].append(attempt(client, rows, SLOTS, OPTIONS, slots=SLOTS))
    cost = per_call(ours)
    times = cost / per_call([run for run in seen["bare aiohttp"] if isinstance(run, Run)])
    rss, opened = max(run.rss for run in ours), max(run.stats["connections"] for run in ours)
    return [
        (
            "cpu",
            f"{cost:.2f} ms a call, {times:.1f}x bare aiohttp, first request to last answer, {ROWS:,} calls{remark}",
            "<= 0.6 ms",
            cost <= 0.6,
        ),
        ("cpu", f"{rss:.0f} MB at most resident", "<= 150 MB", rss <= 150),
        ("cpu", f"{opened} connections opened", f"<= {SLOTS}", opened <= SLOTS),
        *(beside(name, seen[name], cost, goal) for name, (_client, _rows, goal) in others.items()),
    ]
