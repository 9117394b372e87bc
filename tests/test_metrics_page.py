"""docs/metrics.md is what the code says, and every metric says enough."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from synth_llm.measure.metric import metrics
from synth_llm.metrics_page import COMMAND, PAGE, page

ROOT = Path(__file__).parent.parent


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(), f"{PAGE} is out of date: {COMMAND}"


@pytest.mark.parametrize("name", metrics())
def test_every_metric_is_on_the_page_with_its_facts(name: str) -> None:
    facts = metrics()[name][0]
    assert f"| [`{name}`](#{name}) |" in page() and f"\n### {name}\n" in page()
    assert facts.source and facts.about.endswith((".", ";", ":")) and facts.low < facts.high
    assert not math.isnan(facts.low + facts.high) or facts.low == -facts.high
