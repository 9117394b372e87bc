"""efficiency: the best possible time over the time taken, told the number of slots and not told."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.engines.clients import bare_aiohttp, bare_openai
from benchmarks.engines.harness import Bar, Client, Load, Run, attempt, measure, middle
from benchmarks.engines.ours import OURS

CELLS = [("2s", 64, 640), ("50ms", 64, 4_000), ("200ms", 256, 5_000), ("500ms", 256, 10_000)]
"""(mean service time, slots, rows)."""
FIXED = (48, 64, 96, 128)
"""Settings that the untuned client is held against, at 64 slots."""
ROUNDS = 3


def options(latency: str, slots: int) -> list[str]:
    return ["--latency", f"lognormal:{latency},0.5", "--slots", str(slots)]


def run(client: Client, latency: str, slots: int, rows: int, concurrency: int | None) -> Run:
    return measure(client, rows, concurrency, options(latency, slots), slots=slots)


def tuned(latency: str, slots: int, rows: int) -> Bar:
    """Ours and the bare loop in turn, and the `openai` client once."""
    remark = Load()
    bare_client = bare_aiohttp()
    pairs = [[run(client, latency, slots, rows, slots) for client in (OURS, bare_client)] for _ in range(ROUNDS)]
    ratio = middle([ours.efficiency / bare.efficiency for ours, bare in pairs])
    ours, bare = (middle([pair[at].efficiency for pair in pairs]) for at in (0, 1))
    other = attempt(bare_openai(), rows, slots, options(latency, slots), slots=slots)
    openai = other if isinstance(other, str) else f"{other.efficiency:.3f}"
    figure = (
        f"{latency} x {slots}, {rows:,} rows: {ratio:.3f} of bare aiohttp "
        f"(ours {ours:.3f}, bare aiohttp {bare:.3f}, bare openai {openai}){remark}"
    )
    return "efficiency", figure, ">= 0.98", ratio >= 0.98 and all(pair[0].rows == rows for pair in pairs)


def untuned() -> Bar:
    """A short run: what finding the number of slots costs."""
    remark = Load()
    runs = [run(OURS, "200ms", 64, 640, None) for _ in range(ROUNDS)]
    value = middle([one.efficiency for one in runs])
    most = max(one.stats["most_in_flight"] for one in runs)
    figure = f"untuned, 200ms x 64, 640 rows: {value:.3f} (at most {most} in flight){remark}"
    return "efficiency", figure, ">= 0.9", value >= 0.9 and all(one.rows == 640 for one in runs)


def against_fixed(rows: int = 10_000) -> Bar:
    """A long run: what was found, beside the best of several fixed settings."""
    remark = Load()
    found: dict[int | None, list[float]] = {}
    for _ in range(ROUNDS):
        for setting in (None, *FIXED):
            found.setdefault(setting, []).append(run(OURS, "200ms", 64, rows, setting).efficiency)
    value = {setting: middle(values) for setting, values in found.items()}
    best = max(FIXED, key=lambda setting: value[setting])
    ratio = value[None] / value[best]
    figure = (
        f"untuned, 200ms x 64, {rows:,} rows: {ratio:.3f} of the best fixed setting "
        f"({best}: {value[best]:.3f}; untuned {value[None]:.3f}){remark}"
    )
    return "efficiency", figure, ">= 0.97", ratio >= 0.97


def bar() -> Iterator[Bar]:
    for cell in CELLS:
        yield tuned(*cell)
    yield untuned()
    yield against_fixed()
