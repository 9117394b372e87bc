"""What starting costs, which way imports run, and what the package names as public."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import synth_llm

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "synth_llm").rglob("*.py"))

HEAVY = {
    *("aiohttp", "datasets", "faiss", "faker", "huggingface_hub", "lingua", "numpy", "pandas", "pyarrow"),
    *("pypdf", "trafilatura"),
    *("evaluate", "matplotlib", "peft", "presidio_analyzer", "rapidfuzz", "ray", "rouge_score", "sacrebleu", "scipy"),
    *("sentence_transformers", "sklearn", "torch", "transformers", "trl", "vllm", "xllamacpp"),
}
LATER = {"jinja2", "pydantic", "yaml"}
"""Lighter, but not needed to print a help text either."""

LAYERS = (
    (
        "errors",
        "installed",
        "keys",
        "row",
        "described",
        "languages",
        "measure.fluency",
        "measure.interval",
        "measure.metric",
        "quality",
        "text",
        "scores",
        "geometry",
        "quotas",
        "rules",
        "publish.formats",
    ),
    ("fence", "final_answer", "measure.agreement", "calibrate", "verdicts"),
    ("strict_yaml", "library", "journal_file", "salvage", "sandbox", "spool"),
    ("models.request", "models.budget", "models.window", "models.pace", "models.weights"),
    ("files", "inputs", "gives", "parse", "needs", "roles", "pii_forms"),
    ("pii", "documents"),
    ("template", "prompt", "expression", "source", "journal"),
    ("against",),
    (
        "models",
        "embed",
        "embed_local",
        "encoders",
        "evaluation.settings",
        "publish.settings",
        "measure",
        "similar",
        "student",
        "vectors",
    ),
    ("steps",),
    ("objectives", "recipe", "candidates", "rounds"),
    ("account", "prices", "plan", "segment", "output"),
    ("html_page", "manifest", "before_after"),
    ("execute", "publish"),
)
"""Modules from the bottom up. What is in none of the layers is at the top, beside the command line."""


def fastest(*code: str, tries: int = 5) -> float:
    """Seconds of the fastest of some runs of a command in a new process."""
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        subprocess.run([sys.executable, *code], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def loaded(code: str) -> set[str]:
    """The modules that are there after some code ran in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_import_is_quick_and_loads_nothing_heavy() -> None:
    assert not loaded("import synth_llm") & (HEAVY | LATER)
    assert fastest("-c", "import synth_llm") < 0.3


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    helping = "import sys, contextlib, io; sys.argv = ['synth-llm', '--help']\nfrom synth_llm.cli import main\n"
    quietly = "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main()"
    assert not loaded(helping + quietly) & (HEAVY | LATER)
    assert fastest("-c", "from synth_llm.cli import main; main()", "--help") < 0.5


@pytest.mark.parametrize(
    "name", ["execute", "models.openai", "output", "publish.export", "publish.hub", "steps", "source"]
)
def test_modules_import_nothing_heavy(name: str) -> None:
    assert not loaded(f"import synth_llm.{name}") & HEAVY


def test_public_names_are_complete_sorted_and_importable() -> None:
    assert synth_llm.__all__ == sorted(synth_llm.__all__)
    assert set(synth_llm.__all__) == set(synth_llm._HOME)
    assert dir(synth_llm) == synth_llm.__all__
    for name, home in synth_llm._HOME.items():
        assert getattr(synth_llm, name) is getattr(importlib.import_module(home), name)
    typed = _type_checking_names(ast.parse((ROOT / "synth_llm" / "__init__.py").read_text()))
    assert typed == set(synth_llm.__all__), "what type checkers see"


def _type_checking_names(tree: ast.Module) -> set[str]:
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@cache
def imports(path: Path) -> set[str]:
    """The modules that a file imports, inside functions too; not those that are for type checkers alone."""

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "synth_llm":
            yield from (f"synth_llm.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    return set(walk(ast.parse(path.read_text(encoding="utf-8"))))


def layer(module: str) -> int:
    """The height of a module: that of its own name, else that of its folder."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        for height, names in enumerate(LAYERS):
            if ".".join(parts[:end]) in names:
                return height
    return len(LAYERS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT / "synth_llm").with_suffix("").parts).removesuffix(".__init__")
    if module == "__init__":
        return
    ours = {name.removeprefix("synth_llm.") for name in imports(path) if name.startswith("synth_llm.")}
    upward = sorted(name for name in ours if layer(name) > layer(module))
    assert not upward, f"{module} imports {upward}, which are above it"


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = (
        project["dependencies"]
        + extras["local"]
        + extras["augment"]
        + extras["curate"]
        + extras["documents"]
        + extras["pii"]
        + extras["embed"]
        + extras["evaluate"]
        + extras["transformers"]
        + extras["train"]
        + extras["vllm"]
        + ["pytest"]  # who loads the plugin has it
    )
    declared = {_plain(re.split(r"[<>=\[]", one)[0]) for one in wanted}
    homes = {"faiss": ["faiss-cpu"], **packages_distributions()}  # not in the environment of the default tests
    for path in [*SOURCES, *sorted((ROOT / "filters").rglob("*.py"))]:
        for name in imports(path):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in {"synth_llm", ""}:
                continue
            packages = {_plain(package) for package in homes.get(top, [top])}
            assert packages & declared, f"{path.relative_to(ROOT)} imports {top}, which pyproject.toml does not name"


def _plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
