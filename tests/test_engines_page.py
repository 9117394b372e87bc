"""docs/engines.md says what is so: its tables are the code's, its recipes are taken, its numbers are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synth_llm import InputError, ModelEntry, cli, strict_yaml
from synth_llm.engines_page import COMMAND, PAGE, TABLES, filled
from synth_llm.models import SLOTS, call, window
from synth_llm.recipe import ENGINES

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
RECIPES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_tables_are_up_to_date():
    assert filled(TEXT) == TEXT, f"docs/engines.md is out of date: {COMMAND}"


def test_every_setting_and_every_engine_has_its_line():
    lines = (TABLES["settings"]() + TABLES["own-settings"]()).splitlines()
    for name in ModelEntry.model_fields:
        assert sum(line.startswith(f"| `{name}` |") for line in lines) == 1, name
    engines = TABLES["engines"]()
    assert all(f"| `{engine}` |" in engines for engine in ENGINES)


def test_a_table_without_a_place_and_a_place_without_a_table_are_errors():
    with pytest.raises(InputError, match="there is no place for the table 'prices'"):
        filled(TEXT.replace("<!-- begin prices,", "<!-- was prices,"))
    with pytest.raises(InputError, match="no table 'price'; did you mean 'prices'"):
        filled(TEXT.replace("begin prices,", "begin price,").replace("end prices ", "end price "))


@pytest.mark.parametrize("text", RECIPES)
def test_the_models_it_shows_are_taken(text):
    models = strict_yaml.parse(text, "engines.md").value["models"]
    assert models
    for entry in models.values():
        made = ModelEntry.model_validate(entry)
        assert made.engine != "openai" or made.url is None or not made.url.endswith("/")


def test_it_shows_every_kind_of_model():
    shown = " ".join(RECIPES)
    assert {f"engine: {engine}" in shown for engine in ("local", "openai", "vllm", "transformers")} == {True}


def test_the_numbers_it_names_are_the_codes():
    assert f"it starts with {window.START}" in TEXT
    first, longest = call.FIRST_WAIT, call.LONGEST_WAIT
    assert f"after {first} s, {first * call.LONGER} s, ... {longest:.0f} s" in TEXT
    assert (call.SAME_REFUSALS, call.SILENT, call.PATIENCE, call.LONG) == (5, 5, 120, 10), "said in words"
    assert SLOTS.keys() == {*ENGINES} - {"openai"}


def test_its_commands_exist():
    source = Path(cli.__file__).read_text(encoding="utf-8")
    for name in re.findall(r"[`$] ?synth-llm (\w+)", TEXT):
        assert re.search(rf"\b{name}\b", source), name
