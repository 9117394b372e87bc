"""The wheel, the source distribution and the editable install hold the same content, and it works from each."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from synth_llm.library import Kind, Library

ROOT = Path(__file__).resolve().parent.parent
KINDS: tuple[Kind, ...] = ("prompts", "recipes", "filters")

RECIPE = """\
source:
  rows: [{text: one two three four}, {text: One two three FOUR}, {text: five}]
steps:
  - filter: {use: [length]}
  - dedup: {column: text}
"""

SCRIPT = """\
import synth_llm
from synth_llm import Recipe, run
def shout(request):
    return request.messages[-1]["content"].upper()
recipe = Recipe.model_validate({
    "name": "shouts",
    "models": {"writer": {"engine": "function", "function": shout}},
    "source": {"rows": [{"text": "quiet words"}]},
    "steps": [{"generate": {"prompt": "shout", "model": "writer"}}],
})
result = run(recipe)
print(synth_llm.__file__, result.complete, result.kept["loud"][:])
"""


def sh(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a command that must succeed, without what this process was told to import from; its output."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=clean | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that is built from it alone."""
    folder = tmp_path_factory.mktemp("dist")
    sh(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel.

    The packages that it depends on are those of this environment, by a path and so without its editable install;
    that all of them are declared is a test of its own.
    """
    venv = tmp_path_factory.mktemp("venv")
    sh(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", venv / "bin" / "python")
    sh(*pip, "install", "--quiet", "--no-index", "--no-deps", next(dist.glob("*.whl")), cwd=venv)
    here = sysconfig.get_path("purelib")
    target = sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)})
    (Path(target) / "dependencies.pth").write_text(here + "\n")
    return venv


@pytest.mark.slow
def test_the_wheel_holds_one_package_with_all_content(dist: Path) -> None:
    names = set(zipfile.ZipFile(next(dist.glob("*.whl"))).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"synth_llm"}
    for kind in KINDS:
        for path in (ROOT / kind).rglob("*"):  # a recipe's data too
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"synth_llm/{path.relative_to(ROOT).as_posix()}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "synth_llm/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".sqlite", ".gguf"))]


@pytest.mark.slow
def test_a_wheel_of_the_folder_is_that_of_the_source_distribution(dist: Path, tmp_path: Path) -> None:
    """`pip install .` builds from the folder, the index serves what was built from the source distribution."""
    sh(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    direct, through = (zipfile.ZipFile(next(folder.glob("*.whl"))) for folder in (tmp_path, dist))
    assert sorted(direct.namelist()) == sorted(through.namelist())


@pytest.mark.slow
def test_the_source_distribution_can_be_tested_and_is_small(dist: Path) -> None:
    path = next(dist.glob("*.tar.gz"))
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/conftest.py", "Makefile", "constraints.txt", "LICENSE", "CHANGELOG.md"} <= names
    assert path.stat().st_size < 2_000_000


@pytest.mark.slow
def test_built_in_content_is_found_when_installed(installed: Path, tmp_path: Path) -> None:
    code = "from synth_llm.library import Library\nfor name in Library().names({!r}): print(name)"
    for kind in KINDS:
        found = sh(installed / "bin" / "python", "-c", code.format(kind), cwd=tmp_path).split()
        assert found == list(Library(ROOT).names(kind)) != []
    listed = sh(installed / "bin" / "synth-llm", "list", "recipes", cwd=tmp_path, COLUMNS="200")
    assert all(name in listed for name in Library(ROOT).names("recipes"))


@pytest.mark.slow
def test_a_recipe_runs_when_installed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    said = sh(installed / "bin" / "synth-llm", "run", "small.yaml", cwd=tmp_path)
    assert "one two three four" in said
    assert {"kept.parquet", "manifest.json"} <= {path.name for path in (tmp_path / "runs" / "small").iterdir()}


@pytest.mark.slow
def test_python_runs_a_recipe_with_its_own_model_when_installed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "shout.jinja").write_text("---\ngives: {loud: string}\n---\n{{ text }}\n")
    said = sh(installed / "bin" / "python", "-c", SCRIPT, cwd=tmp_path).split(maxsplit=1)
    assert Path(said[0]).is_relative_to(installed)
    assert said[1].strip() == "True ['QUIET WORDS']"


def test_extras_and_versions_agree() -> None:
    """Each tested version is pinned once, in order, and `all` is what can be installed together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) == {
        *(
            "local",
            "augment",
            "curate",
            "documents",
            "pii",
            "embed",
            "evaluate",
            "vllm",
            "transformers",
            "train",
            "all",
            "dev",
        )
    }
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.partition("==")[0].lower() for line in lines if not line.startswith("#")]
    assert all("==" in line for line in lines if not line.startswith("#"))
    assert pins == sorted(set(pins))
