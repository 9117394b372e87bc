import hashlib
import os
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from synth_llm import library
from synth_llm.errors import InputError, MissingExtra
from synth_llm.library import Kind, Library, check_settings, file_hash, filter_settings, load_filter


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, no plugins, and three built-ins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTH_LLM_PATH", raising=False)
    monkeypatch.setattr(library, "entry_points", lambda group: ())
    monkeypatch.setattr(library, "_PACKAGE", tmp_path / "site" / "synth_llm")
    for path in ("prompts/judge/label.jinja", "recipes/intents.yaml", "filters/length.py"):
        write(tmp_path / "site" / "synth_llm" / path, "built-in")
    return tmp_path


def test_the_first_place_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, cwd, listed, other = home / "project", home / "cwd", home / "listed", home / "other"
    plugin = home / "plugins" / "my_plugin"
    write(plugin / "__init__.py", "raise RuntimeError('a plugin must not be imported to find its files')")
    monkeypatch.syspath_prepend(plugin.parent)
    entry = EntryPoint("mine", "my_plugin.content", "synth_llm.content")
    monkeypatch.setattr(library, "entry_points", lambda group: (entry,))
    monkeypatch.setenv("SYNTH_LLM_PATH", os.pathsep.join([str(listed), "", str(other)]))
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    places = [
        ("built-in", home / "site" / "synth_llm"),
        ("plugin mine", plugin / "content"),
        ("SYNTH_LLM_PATH", other),
        ("SYNTH_LLM_PATH", listed),
        ("current folder", cwd),
        ("project", project),
        ("recipe's folder", project / "recipes"),
    ]
    there = Library(project / "recipes")
    for origin, folder in places:  # each shadows those before
        path = write(folder / "prompts/judge/label.jinja", origin)
        assert there.find("prompts", "judge/label") == path
        assert there.names("prompts") == {"judge/label": (path, origin)}
        assert there.find("prompts", "builtin:judge/label").read_text() == "built-in"


def test_suffix_may_be_given() -> None:
    assert Library().find("prompts", "judge/label.jinja") == Library().find("prompts", "judge/label")
    assert Library().find("recipes", "builtin:intents.yaml").name == "intents.yaml"


def test_content_beside_the_package_is_built_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / "checkout/filters/echo.py")
    write(home / "checkout/filters/_helper.py")
    (home / "checkout/synth_llm").mkdir()
    monkeypatch.setattr(library, "_PACKAGE", home / "checkout/synth_llm")
    monkeypatch.chdir(home / "checkout")
    assert {name: found.origin for name, found in Library().names("filters").items()} == {"echo": "built-in"}


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("prompts", "judge/lable", "no prompt 'judge/lable'; did you mean 'judge/label'?"),
        ("prompts", "builtin:judge/labl", "no prompt 'builtin:judge/labl'; did you mean 'builtin:judge/label'?"),
        ("recipes", "zzz", "no recipe 'zzz'; known: intents"),
        ("filters", "lenght", "no filter 'lenght'; did you mean 'length'?"),
    ],
)
def test_unknown_names(kind: Kind, name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        Library().find(kind, name)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../x", "/etc/passwd", "a//b", "", ".hidden", "a/.b", "a\\b", "a b", "a\n", "é", "x\0", "~/x", "C:x"],
)
def test_unsafe_names(home: Path, name: str) -> None:
    write(home / "x.jinja")
    with pytest.raises(InputError, match="cannot be the name of a prompt") as error:
        Library().find("prompts", name)
    assert "\n" not in str(error.value)


def test_links_stay_in_their_place(home: Path) -> None:
    secret = write(home.parent / "secret.jinja")
    inside = write(home / "shared/inside.jinja")
    (home / "prompts").mkdir()
    (home / "prompts/inside.jinja").symlink_to(inside)
    (home / "prompts/out.jinja").symlink_to(secret)
    assert Library().find("prompts", "inside").samefile(inside)
    with pytest.raises(InputError, match="leads out of"):
        Library().find("prompts", "out")


def test_runs_made_beside_recipes_are_no_recipes(home: Path) -> None:
    write(home / "recipes/mine.yaml")
    write(home / "recipes/runs/mine/recipe.yaml")
    assert set(Library(home).names("recipes")) & {"mine", "runs/mine/recipe"} == {"mine"}


def test_a_broken_plugin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("gone", "no_such_package_here", "synth_llm.content")
    monkeypatch.setattr(library, "entry_points", lambda group: (entry,))
    with pytest.raises(InputError, match="plugin 'gone' names 'no_such_package_here'"):
        Library().find("prompts", "judge/label")


GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from synth_llm.row import Row, Verdict

@dataclass
class Inner:
    x: int = 1

def good(row: Row, column: str = "text", n: int = 3, share: float = 0.5, is_: str | None = None,
         words: list[str] = [], strict: bool = False) -> Verdict:
    return Verdict(len(row[column]) >= n, "short", len(row[column]))
"""


def test_a_filter_is_loaded_and_always_fresh(home: Path) -> None:
    path = write(home / "filters/good.py", GOOD)
    assert load_filter("good", Library())({"text": "abc"}).keep
    write(path, GOOD.replace("n: int = 3", "n: int = 4"))  # same size, same second
    assert not load_filter("good", Library())({"text": "abc"}).keep
    assert not list(home.glob("filters/__pycache__"))
    assert file_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "where", "word"),
    [
        ("def bad(:\n", "bad.py:1: ", "cannot be loaded"),
        ("x = 1\nimport no_such_module_here\n", "bad.py:2: ", "No module named"),
        ("\n\n1 / 0\n", "bad.py:3: ", "division"),
        ("import sys\nsys.exit(3)\n", "bad.py:2: ", "SystemExit"),
        ("def worse(row, column): ...\n", "bad.py: ", "no function 'bad'"),
        ("bad = 3\n", "bad.py: ", "no function 'bad'"),
        ("\ndef bad(text): ...\n", "bad.py:2: ", "(row, column)"),
        ("def bad(row, column, n: 'Nope' = 1): ...\n", "bad.py:1: ", "Nope"),
        ("x = '\0'\n", "bad.py:1: ", "null bytes"),
    ],
)
def test_a_filter_that_cannot_be_loaded(home: Path, text: str, where: str, word: str) -> None:
    write(home / "filters/bad.py", text)
    with pytest.raises(InputError) as error:
        load_filter("bad", Library())
    assert where in str(error.value)
    assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_extra_passes_through(home: Path) -> None:
    write(home / "filters/bad.py", "from synth_llm.errors import MissingExtra\nraise MissingExtra('bad', 'curate')\n")
    with pytest.raises(MissingExtra, match="synth-llm\\[curate\\]"):
        load_filter("bad", Library())


def test_settings(home: Path) -> None:
    write(home / "filters/good.py", GOOD)
    good = load_filter("good", Library())
    assert list(filter_settings(good)) == ["column", "n", "share", "is", "words", "strict"]
    assert check_settings(good, {"is": "en", "share": 1, "words": ["a"], "column": "out"}, "") == {
        "is_": "en",
        "share": 1.0,
        "words": ["a"],
        "column": "out",
    }
    assert check_settings(good, {"is": None}, "") == {"is_": None}
    assert check_settings(good, {}, "") == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shar": 1}, "step 2: no setting 'shar'; did you mean 'share'?"),
        ({"row": 1}, "step 2: no setting 'row'"),
        ({"n": "3"}, "step 2: setting 'n' wants int, not '3'"),
        ({"n": True}, "step 2: setting 'n' wants int, not True"),
        ({"n": 1.5}, "step 2: setting 'n' wants int, not 1.5"),
        ({"is": 3}, "step 2: setting 'is' wants str | None, not 3"),
        ({"words": "abc"}, "step 2: setting 'words' wants list[str], not 'abc'"),
        ({"strict": "no"}, "step 2: setting 'strict' wants bool, not 'no'"),
    ],
)
def test_wrong_settings(home: Path, settings: dict[str, object], message: str) -> None:
    write(home / "filters/good.py", GOOD)
    with pytest.raises(InputError) as error:
        check_settings(load_filter("good", Library()), settings, "step 2")
    assert str(error.value).startswith(message)


def test_a_setting_without_default_must_be_given(home: Path) -> None:
    write(home / "filters/needy.py", "def needy(row, column, words: list[str]): ...\n")
    with pytest.raises(InputError, match="filter needy: the setting 'words' is missing"):
        check_settings(load_filter("needy", Library()), {}, "filter needy")
