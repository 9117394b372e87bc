"""What a mock endpoint has counted, and the best time that its service times allow."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Stats:
    """Figures since the start, or since the last reset. Times in seconds, of the machine's monotonic clock."""

    slots: int | None = None
    """How many are served at once; None: all."""
    requests: int = 0
    """Arrived, whatever became of them; of chat, completions and embeddings, as all figures here."""
    answered: int = 0
    """Answers sent, refusals and halves too."""
    by_status: dict[int, int] = field(default_factory=dict)
    """Answers by HTTP status."""
    faults: dict[str, int] = field(default_factory=dict)
    """Faults injected, by kind."""
    repeated: int = 0
    """Requests whose body had come before."""
    abandoned: int = 0
    """Requests that were queued, in service or left hanging when their client went away."""
    connections: int = 0
    """Opened, those on which only figures were asked not counted."""
    in_flight: int = 0
    """Let in and not answered yet, now: queued, in service, or left hanging."""
    most_in_flight: int = 0
    in_service: int = 0
    """Holding a slot, now."""
    most_in_service: int = 0
    first_arrival: float | None = None
    last_answer: float | None = None
    """When the last service ended."""
    busy: float = 0.0
    """Seconds that slots were held, added up."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    service_times: list[float] = field(default_factory=list, repr=False)
    """Of the requests let in, in the order in which they arrived."""

    @property
    def seconds(self) -> float:
        """From the first arrival to the last answer."""
        if self.first_arrival is None or self.last_answer is None:
            return 0.0
        return max(0.0, self.last_answer - self.first_arrival)

    @property
    def slot_use(self) -> float | None:
        """The share of its slots' time that the endpoint was busy; None without a number of slots."""
        return self.busy / (self.slots * self.seconds) if self.slots and self.seconds else None

    def reset(self) -> None:
        """Count anew; what is in flight stays so."""
        fresh = Stats(self.slots, in_flight=self.in_flight, in_service=self.in_service)
        fresh.most_in_flight, fresh.most_in_service = fresh.in_flight, fresh.in_service
        self.__dict__.update(fresh.__dict__)

    def figures(self, *, full: bool = False) -> dict[str, Any]:
        """All of it as JSON, with what is computed; the list of service times only when `full`."""
        shown = {one.name: getattr(self, one.name) for one in fields(self) if full or one.name != "service_times"}
        best = ideal(self.service_times, self.slots) if self.slots else None
        service = sum(self.service_times)
        return {**shown, "seconds": self.seconds, "slot_use": self.slot_use, "service": service, "ideal": best}


def ideal(service_times: Iterable[float], slots: int) -> float:
    """Seconds in which `slots` serve requests that all wait: each next one goes to the first slot that is free.

    >>> ideal([3, 1, 1, 1], slots=2)
    3.0
    """
    free = [0.0] * slots
    for seconds in service_times:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
