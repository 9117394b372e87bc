"""Every recipe that asks a model runs to its end on recorded answers: what a model really said, not what suits us."""

from __future__ import annotations

import pytest

from synth_llm.recipe import load_recipe
from tests.recorded import ANSWERS, ROOT, recipes, replayed, small


def embeds(name: str) -> bool:
    """Whether a recipe's steps make vectors, which the default tests cannot."""
    recipe, _ = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    if recipe.objectives and set(recipe.objectives.given) - {"balance"}:
        return True
    return any(
        step.type in ("similarity", "edge", "match", "select") or getattr(step, "by", None) == "meaning"
        for step in recipe.steps
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.encoder if embeds(name) else ()) for name in recipes()],
)
def test_a_recipe_reaches_its_target_on_recorded_answers(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "recipes")
    recipe, _ = load_recipe(ROOT / "recipes" / f"{name}.yaml", small(name))
    result = replayed(name, tmp_path / "out")
    assert result.complete, result.why
    assert result.stats["kept"] > 0
    if recipe.target and not any(step.final for step in recipe.steps):
        assert result.stats["kept"] == recipe.target.rows
    failed = {"template", "bad request", "filter error", "unavailable"} & set(result.manifest["rejected_by_reason"])
    assert not failed, f"rejected for what no model did: {failed}"


def test_answers_are_small_and_belong_to_a_recipe():
    files = sorted(ANSWERS.glob("*.jsonl"))
    assert {path.stem for path in files} == set(recipes())
    assert sum(path.stat().st_size for path in files) < 3_000_000
