from __future__ import annotations

from pathlib import Path

from synth_llm.filters_page import COMMAND, PAGE, page

ROOT = Path(__file__).parent.parent


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(), f"{PAGE} is out of date: {COMMAND}"


def test_every_filter_has_its_section_with_settings() -> None:
    whole = page()
    for path in (ROOT / "filters").glob("*.py"):
        section = whole.split(f"\n## {path.stem}\n", 1)[1].split("\n## ", 1)[0]
        assert section.strip().endswith(".") and ("Settings: `" in section or "No settings." in section), path.stem
