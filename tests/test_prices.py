"""What a model costs: who is asked, in which order, and what is said of a table that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth_llm import InputError, ModelEntry
from synth_llm.library import Library
from synth_llm.prices import BUILTIN, TABLE, Table, price_of
from synth_llm.recipe import Price


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def cost(model: str, url: str | None = None, base: Path | None = None, **settings: Any) -> tuple[float, float] | None:
    """Input and output price of a model at an endpoint, or None."""
    entry = ModelEntry(engine="openai", model=model, **({"url": url} if url else {}), **settings)
    price = price_of(entry, Library(base)).price
    return (price.input, price.output) if price else None


def write(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / TABLE).write_text(text)


def test_the_built_in_table_is_sound_and_says_where_from() -> None:
    for host, entry in Table(BUILTIN).hosts.items():
        assert "." in host
        assert entry.page.startswith("https://")
        assert len(entry.seen) == len("2026-03")
        assert all(0 < price.input < price.output for price in entry.models.values())
    priced = price_of(ModelEntry(engine="openai", model="gpt-5-mini"), Library())
    assert priced.price == Price(input=0.25, output=2)
    assert priced.origin.startswith("the built-in table, as of 20")


def test_a_dated_version_costs_what_its_model_costs_and_a_variant_is_unknown() -> None:
    assert cost("gpt-5-mini-2025-08-07") == cost("gpt-5-mini") == (0.25, 2)
    assert cost("gpt-4o-2024-05-13") == (5, 15)
    assert cost("gpt-4o-audio-preview") is None
    assert cost("gpt-5-mini", "https://elsewhere.example/v1") is None


def test_the_recipes_price_wins_then_the_nearest_table_entry_by_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "recipes").mkdir(parents=True)
    write(tmp_path, "api.openai.com: {models: {gpt-5: {input: 7, output: 8}, gpt-5-mini: {input: 5, output: 6}}}")
    write(project, "api.openai.com: {models: {gpt-5-mini: {input: 3, output: 4}}}")
    write(tmp_path / "shared", "api.openai.com: {models: {gpt-5: {input: 0, output: 0}, new: {input: 1, output: 1}}}")
    monkeypatch.setenv("SYNTH_LLM_PATH", str(tmp_path / "shared"))
    base = project / "recipes"
    assert cost("gpt-5-mini", base=base, price=Price(input=9, output=9)) == (9, 9)
    assert cost("gpt-5-mini", base=base) == (3, 4)
    assert cost("gpt-5", base=base) == (7, 8)
    assert cost("new", base=base) == (1, 1)
    assert cost("gpt-5-nano", base=base) == (0.05, 0.4)


def test_the_whole_name_beats_a_beginning_and_the_longest_beginning_wins(tmp_path: Path) -> None:
    models = "m: {input: 1, output: 1}, m-*: {input: 2, output: 2}, m-large-*: {input: 3, output: 3}"
    write(tmp_path, f"api.x.org: {{models: {{{models}}}}}")
    costs = [cost(name, "https://API.x.org:8443/v1") for name in ("m", "m-small", "m-large-2", "n")]
    assert costs == [(1, 1), (2, 2), (3, 3), None]
    entry = ModelEntry(engine="openai", model="m", url="https://api.x.org/v1")
    assert price_of(entry, Library()).origin.endswith("prices.yaml:1")


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "http://127.0.0.1/v1", "http://[::1]:1/v1", "http://gpu/v1"]
)
def test_an_address_of_ones_own_costs_nothing_unless_told(url: str, tmp_path: Path) -> None:
    assert cost("m", url) == (0, 0)
    assert cost("m", url, price=Price(input=1, output=2)) == (1, 2)


def test_a_table_can_price_an_address_of_ones_own(tmp_path: Path) -> None:
    write(tmp_path, "localhost: {models: {'*': {input: 1, output: 2}}}")
    assert cost("m", "http://localhost:8000/v1") == (1, 2)


def test_engines_of_ones_own_cost_nothing() -> None:
    for engine in (ModelEntry(engine="local"), ModelEntry(engine="vllm", model="m")):
        assert price_of(engine, Library()).price == Price(input=0, output=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "prices.yaml:1: a price table holds hosts"),
        ("\nhttps://api.x.org/v1: {models: {}}\n", "prices.yaml:2: 'https://api.x.org/v1' is no host"),
        ("api.x.org:\n  model: {}\n", "prices.yaml:2: api.x.org: no setting 'model'; did you mean 'models'?"),
        ("api.x.org:\n  models:\n    m: 5\n", "prices.yaml:3: api.x.org.models.m: write {input: 0.25, output: 2}"),
        ("api.x.org:\n  models:\n    m: {input: 5}\n", "prices.yaml:3: api.x.org.models.m: 'output' is missing"),
        (
            "api.x.org:\n  models:\n    m:\n      input: -1\n      output: 1\n",
            "prices.yaml:4: api.x.org.models.m.input: ",
        ),
        (
            "api.x.org:\n  models:\n    m: {input: 1, ouput: 1}\n",
            "3: api.x.org: no setting 'ouput'; did you mean 'output'?",
        ),
    ],
)
def test_a_bad_table_is_one_line_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        cost("m", "https://api.x.org/v1")
    assert "\n" not in str(caught.value)
    assert said in str(caught.value)
