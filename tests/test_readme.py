"""The README says what is so: its Python runs, its recipe is ours, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synth_llm import strict_yaml

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    said = capsys.readouterr().out
    assert "'kept': 4" in said
    assert "Five, seven, then five" in said
    assert (tmp_path / "runs" / "haiku" / "kept.parquet").exists()


def test_the_recipe_is_the_one_of_the_demo():
    (shown,) = blocks("yaml")
    path = ROOT / "recipes" / "reviews.yaml"
    assert strict_yaml.parse(shown, "README.md").value == strict_yaml.load(path).value
    text = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert shown.splitlines() == text


def test_every_command_it_shows_exists():
    from synth_llm import cli

    source = Path(cli.__file__).read_text(encoding="utf-8")
    shown = {found for block in blocks("console") for found in re.findall(r"^\$ synth-llm (\w+)", block, re.MULTILINE)}
    assert {"run", "check", "preview", "inspect", "push", "init", "list"} <= shown
    assert not [name for name in shown if not re.search(rf"\b{name}\b", source)]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:docs|recipes)/[\w./]+|[A-Z]+\.md)`", README))))
def test_every_file_it_names_is_there(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([\w-]+)`", README)) | {"demo", "test"}))
def test_every_make_target_is_there(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
