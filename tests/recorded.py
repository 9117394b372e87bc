"""Recorded answers: each recipe runs in the tests on what a real model once answered, a small file a recipe.

`make record ONLY="reviews nli"` runs recipes for real, small, and writes their files anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synth_llm import Answer, Request, Result, costs, run
from synth_llm.recipe import load_recipe
from synth_llm.row import canonical
from synth_llm.run_folder import journal_of

ROOT = Path(__file__).parent.parent
ANSWERS = Path(__file__).parent / "answers"
RUNS = ROOT / "runs/generation"
"""Real runs are kept: what they asked is never asked again."""

SMALL: dict[str, list[str]] = {
    "entities": ["target.rows=4", "target.per=null"],
    "multi_label": ["target.rows=3"],
    "nli": ["target.rows=3"],
    "clair": ["target.rows=2", "target.round=2"],
    "kto": ["target.rows=4", "target.round=2"],
    "magpie": ["target.rows=4"],
    "conversations": ["target.rows=3", "target.round=2", "steps.converse.turns=2"],
    "reviews": ["target.rows=4"],
    "scored_pairs": ["target.rows=3", "target.per=null"],
    "triplets": ["target.rows=3", "target.round=3"],
    "personas": ["target.rows=2", "target.round=2"],
    "topic_tree": ["target.rows=3"],
    "transform": ["steps.select.rows=3"],
    "translate": ["target.rows=1", "target.round=1"],
    "self_instruct": ["target.rows=5", "target.round=1"],
    "evol_instruct": ["target.rows=4", "target.round=2"],
    "questions": ["target.rows=4", "target.round=1"],
    "unanswerable": ["target.rows=3", "target.round=1"],
    "backtranslation": ["target.rows=3", "target.round=1"],
    "rephrase": ["target.rows=3", "target.round=1"],
    "paraphrase": ["target.rows=6"],
    "fill_blanks": ["target.rows=6"],
    "round_trip": ["target.rows=3"],
    "ultrafeedback": ["target.rows=2", "target.round=2"],
    "rare_labels": ["target.rows=3"],
    "domain_shift": ["target.rows=4"],
    "edge_cases": ["target.rows=4"],
    "zero_shot": ["target.rows=3", "steps.generate.with.count=2"],
    "few_shot": ["target.rows=4", "steps.generate.with.count=2"],
    "contrast": ["target.rows=3", "target.per=null", "steps.generate.with.count=2"],
}
"""What makes a recipe's run small, by its name; a recipe that is not here has a target of `ROWS` rows."""
ROWS = 3


def recipes() -> list[str]:
    """The recipes that ask a model."""
    return sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml") if load_recipe(path)[0].models)


def small(name: str) -> list[str]:
    """The settings of a recipe's small run."""
    recipe, _ = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    default = [f"target.rows={min(ROWS, recipe.target.rows)}"] if recipe.target else []
    return SMALL.get(name, default)


def real(name: str) -> Result:
    """The small run of a recipe on its own models, or the rest of it.

    One request at a time: a local model then reads what prompts share once, not once a slot.
    """
    path = ROOT / "recipes" / f"{name}.yaml"
    recipe, _ = load_recipe(path)
    one = [f"models.{model}.concurrency=1" for model, entry in recipe.models.items() if entry.engine == "local"]
    return run(path, out=RUNS / name, sets=[*small(name), *one])


def record(name: str, folder: Path) -> Path:
    """Write what the run in `folder` was answered to the file of recipe `name`."""
    lines = []
    with journal_of(folder) as journal:
        for key, request in journal.requests():
            answer = journal.get(key)
            if answer is not None:
                lines.append(json.dumps({"of": _of(request), "status": answer.status, "body": _small(answer)}))
    path = ANSWERS / f"{name}.jsonl"
    path.write_text("".join(f"{line}\n" for line in sorted(lines)))
    return path


def answers(name: str) -> Callable[[Request], Answer]:
    """A model that answers from the file of recipe `name`. Raises KeyError for what is not there."""
    known: dict[str, Answer] = {}
    for line in (ANSWERS / f"{name}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        known[entry["of"]] = Answer(json.dumps(entry["body"]).encode(), entry["status"])

    def answer(request: Request) -> Answer:
        of = _of(json.loads(request.text))
        if of not in known:
            raise KeyError(
                f"{name}: not recorded; run `make record ONLY={name}`: {request.messages[-1]['content'][-200:]}"
            )
        return known[of]

    return answer


def replayed(name: str, out: Path) -> Result:
    """The small run of a recipe on its recorded answers."""
    recipe, _ = load_recipe(ROOT / "recipes" / f"{name}.yaml", small(name))
    model = answers(name)
    models = {
        key: entry.model_copy(update={"engine": "function", "function": model}) for key, entry in recipe.models.items()
    }
    return run(recipe.model_copy(update={"models": models}), out=out)


def _of(request: Mapping[str, Any]) -> str:
    """Which request it is, whatever the model is called."""
    rest = {name: request.get(name) for name in ("messages", "sampling", "schema", "draw")}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()[:16]


def _small(answer: Answer) -> dict[str, Any]:
    """The body without what only the day of the run explains."""
    body = json.loads(answer.body)
    for choice in body.get("choices", []):
        for token in (choice.get("logprobs") or {}).get("content") or []:
            for one in (token, *token.get("top_logprobs", [])):
                for key in ("bytes", "id"):
                    one.pop(key, None)
    return {key: body[key] for key in ("choices", "usage", "error") if key in body}


def measure(name: str, folder: Path) -> None:
    """Write what the run in `folder` took beside the recipes, for `synth-llm list recipes`."""
    cost = costs.of_manifest(json.loads((folder / "manifest.json").read_text()))
    path = ROOT / "recipes" / costs.MEASURED
    known = json.loads(path.read_text()) if path.exists() else {}
    if cost is not None:
        known[name] = asdict(cost)
    lines = ",\n".join(f"{json.dumps(recipe)}: {json.dumps(known[recipe])}" for recipe in sorted(known))
    path.write_text(f"{{\n{lines}\n}}\n")


def main(names: list[str]) -> None:
    """Run and record the recipes named, or all."""
    for name in names or recipes():
        result = real(name)
        path = record(name, RUNS / name)
        measure(name, RUNS / name)
        print(
            f"{name}: {result.why or 'complete'}, {result.stats['kept']} kept; {path.stat().st_size / 1024:.0f} KB",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
