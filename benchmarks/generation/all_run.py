"""all_run: every recipe reaches its small target on embedded models; recipes and prompts keep to their size.

The runs are kept in runs/generation: a bar that was stopped goes on, and what was answered is not asked again.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator

from rich.progress import Progress

from benchmarks.core.recipes import Bar
from synth_llm.errors import SynthError
from synth_llm.models.weights import WEIGHTS, fetch
from synth_llm.recipe import load_recipe
from tests.recorded import ROOT, real, small

LINES, PROMPT_LINES, SHARED = 25, 60, 10
EXCUSED = 2
MINUTES = 5


def bar() -> Iterator[Bar]:
    with Progress(disable=True) as progress:
        for model in WEIGHTS:
            fetch(model, progress)
    failed = []
    names = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
    for name in names:
        yield (line := _run(name))
        if not line[3]:
            failed.append(name)
    yield (
        "all_run",
        f"{len(names) - len(failed)} of {len(names)} recipes",
        f"all but {EXCUSED}",
        len(failed) <= EXCUSED,
    )
    yield from _sizes()
    yield _recorded()


def _run(name: str) -> Bar:
    """A small real run of one recipe."""
    recipe, _ = load_recipe(ROOT / "recipes" / f"{name}.yaml", small(name))
    began = time.monotonic()
    try:
        result = real(name)
    except SynthError as error:
        return ("all_run", f"{name}: {error}", "it runs", False)
    kept, spent = result.stats["kept"], result.manifest["spent"]["all runs"]
    # What runs after the last round, such as pairs or a selection, may keep fewer than the target counted.
    wanted = recipe.target.rows if recipe.target and not any(step.final for step in recipe.steps) else 1
    figure = f"{name}: {kept} of {result.stats['candidates']} candidates, {spent['requests']} requests"
    print(f"{name}: {result.manifest['rejected_by_reason']}", file=sys.stderr)
    return (
        "all_run",
        f"{figure}, {time.monotonic() - began:.0f} s",
        f">= {wanted}",
        result.complete and kept >= wanted,
    )


def _sizes() -> Iterator[Bar]:
    """How long recipes and prompts are, and whether two prompts share lines in a row."""
    recipes = {path.stem: path.read_text().splitlines() for path in (ROOT / "recipes").glob("*.yaml")}
    longest, name = max((sum(bool(line.strip()) for line in lines), name) for name, lines in recipes.items())
    yield ("all_run", f"longest recipe: {name}, {longest} lines", f"<= {LINES}", longest <= LINES)
    prompts = {
        path.relative_to(ROOT / "prompts").as_posix(): path.read_text().splitlines()
        for path in (ROOT / "prompts").rglob("*.jinja")
    }
    longest, name = max((len(lines), name) for name, lines in prompts.items())
    yield ("all_run", f"longest prompt: {name}, {longest} lines", f"<= {PROMPT_LINES}", longest <= PROMPT_LINES)
    pairs = [
        f"{one} and {other}"
        for one, other in itertools.combinations(prompts, 2)
        if _share(prompts[one], prompts[other])
    ]
    yield ("all_run", f"prompts that share {SHARED} lines: {', '.join(pairs) or 'none'}", "none", not pairs)
    code = [path.name for path in (ROOT / "recipes").rglob("*.py")]
    yield ("all_run", f"Python files of recipes: {len(code)}", "0", not code)


def _share(one: list[str], other: list[str]) -> bool:
    """Whether ten lines in a row stand in both."""
    windows = [{tuple(lines[at : at + SHARED]) for at in range(len(lines) - SHARED + 1)} for lines in (one, other)]
    return bool(windows[0] & windows[1])


def _recorded() -> Bar:
    """The whole library on recorded answers."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_recorded.py", "-m", "not network"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    minutes = (time.monotonic() - began) / 60
    said = done.stdout.strip().splitlines()[-1:]
    figure = f"recorded answers: {' '.join(said)}, {minutes:.1f} min"
    return ("all_run", figure, f"all pass in < {MINUTES} min", done.returncode == 0 and minutes < MINUTES)
