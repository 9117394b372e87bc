"""The documentation says what is so: recipes load, commands exist, generated pages are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synth_llm.reference_page import COMMAND, PAGE, page
from tests.documentation import ROOT, Block, all_blocks, commands, fragment, parsed
from tests.recorded import recipes

YAML = all_blocks("yaml")
OURS = sorted(
    {
        command
        for block in all_blocks("console")
        for command in commands(block)
        if command.startswith("synth-llm ") and not re.search(r"\b(COMMAND|NAME|KIND)\b", command)
    }
)


@pytest.mark.parametrize("block", YAML, ids=[block.place for block in YAML])
def test_a_recipe_that_a_page_shows_loads(block: Block, tmp_path: Path) -> None:
    assert fragment(block, tmp_path).steps


@pytest.mark.parametrize("command", OURS)
def test_a_command_that_a_page_shows_is_understood(command: str) -> None:
    parsed(command)


def test_what_nobody_could_type_is_seen() -> None:
    with pytest.raises(ValueError, match="no command"):
        parsed("synth-llm jump")
    with pytest.raises(Exception, match="--higher"):
        parsed("synth-llm run reviews --higher")


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(), f"{PAGE} is out of date: {COMMAND}"


def test_the_gallery_has_every_recipe_as_it_is() -> None:
    gallery = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    for name in recipes():
        text = (ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
        assert f"### {name}\n" in gallery and text.rstrip() in gallery, (
            f"python -m benchmarks.generation.gallery: {name}"
        )


def test_every_error_that_troubleshooting_quotes_is_one() -> None:
    code = " ".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8")) for path in (ROOT / "synth_llm").rglob("*.py")
    )
    table = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| (?:most rows rejected as )?`([^`]+)`", table, re.MULTILINE)
    assert len(quoted) > 15
    for line in quoted:
        parts = [part.strip(" :;,()'\"") for part in re.split(r"\.\.\.|'|\d+(?: requests|\b)|:", line)]
        for part in parts:
            assert not part or part in code, f"no error says: {part}"
