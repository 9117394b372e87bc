"""Projects, and the catalogue of what there is to use."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_llm import catalogue, project
from synth_llm.errors import InputError
from synth_llm.execute import prepare

RECIPE = """\
about: Words.
source: {file: data/words.jsonl, examples: ../../out.jsonl}
steps: [map: {}]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder below a folder with content of its own, `shared`."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SYNTH_LLM_PATH", str(tmp_path / "shared"))
    files = {
        "recipes/talk/words.yaml": RECIPE,
        "recipes/talk/data/words.jsonl": '{"a": 1}\n',
        "recipes/broken.yaml": "a: [\n",
        "prompts/words.jinja": "---\nabout: Says words.\n---\nSay {{ a }}.\n",
        "prompts/broken.jinja": "{% if %}\n",
        "filters/words.py": '"""Drops words.\n\nAll of them."""\n\nraise SystemExit("not run to be listed")\n',
        "out.jsonl": "{}\n",
    }
    for name, text in files.items():
        path = tmp_path / "shared" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "here"


def test_a_new_project_can_be_planned_and_nothing_is_overwritten(here: Path) -> None:
    files = project.init(Path("new"))
    assert {path.parts[1] for path in files} == {"README.md", "recipes", "prompts", "filters", "data"}
    ready, _ = prepare("new/recipes/messages.yaml")
    assert ready.columns == ["shots", "text", "topic"]
    (here / "other" / "filters").mkdir(parents=True)
    (here / "other" / "filters" / "one_line.py").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        project.init(Path("other"))
    assert [path.name for path in (here / "other").rglob("*") if path.is_file()] == ["one_line.py"]


def test_a_recipe_is_ejected_with_its_data_and_nothing_outside_of_its_folder(here: Path) -> None:
    assert project.eject("talk/words") == [Path("recipes/talk/words.yaml"), Path("recipes/talk/data/words.jsonl")]
    assert Path("recipes/talk/data/words.jsonl").read_text() == '{"a": 1}\n'
    assert not (here.parent / "out.jsonl").exists()
    with pytest.raises(InputError, match="is there already"):
        project.eject("recipes/talk/words")


def test_the_catalogue_says_where_things_come_from_and_runs_no_code() -> None:
    found = {kind: catalogue.entries(kind) for kind in catalogue.KINDS}
    filters = {entry.name: entry for entry in found["filters"]}
    assert filters["words"][:3] == ("words", "SYNTH_LLM_PATH", "Drops words.")
    assert filters["length"].origin == "built-in"
    prompts = {entry.name: entry.about for entry in found["prompts"]}
    assert prompts["words"] == "Says words."
    assert prompts["broken"].startswith("(cannot be read: ")
    recipes = {entry.name: entry.about for entry in found["recipes"]}
    assert recipes["talk/words"] == "Words."
    assert "broken.yaml:" in recipes["broken"]
    assert "smollm2-135m-instruct" in {entry.name for entry in found["models"]}
    assert all(entry.about for entries in found.values() for entry in entries)


def test_a_name_that_several_things_share_is_asked_back() -> None:
    with pytest.raises(InputError, match="'words' may be prompts/words, filters/words; write which"):
        catalogue.named("words")
    assert catalogue.named("prompts/words").kind == "prompts"
    assert catalogue.show("prompts/words").endswith("Say {{ a }}.\n")
    with pytest.raises(InputError, match="did you mean 'words'"):
        catalogue.named("wordz")


def test_a_step_is_shown_with_its_settings() -> None:
    shown = catalogue.show("dedup")
    assert "column: str | list[str] (default 'text')" in shown
    assert "The similarity from which a row is a repetition." in shown
