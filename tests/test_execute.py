"""Runs: rows are conserved, answers are paid for once, and whatever stops a run, running again finishes it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_llm import (
    Answer,
    Dedup,
    FatalError,
    Filter,
    Generate,
    InputError,
    Judge,
    Limits,
    Map,
    ModelEntry,
    Recipe,
    Sample,
    Source,
    Target,
    run,
)
from synth_llm.errors import Passing, Reject
from synth_llm.execute import preview
from synth_llm.models.request import body_of
from synth_llm.row import Row, child_of
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step
from tests.project import Model, good, three_steps, topics, write_prompts


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    write_prompts(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "kept.parquet").read_bytes(), (folder / "rejected.parquet").read_bytes()


def reasons(result) -> Counter[str]:
    return Counter(row["reason"] for row in result.rejected)


def adds_up(result) -> None:
    """Every row that entered a step left it, was rejected, replaced or is unfinished; every step hands on its rows."""
    funnel = result.manifest["funnel"]
    for step in funnel:
        gone = step["left"] + sum(step["rejected"].values()) + step["replaced"] + step["unfinished"]
        assert step["entered"] + step["made"] == gone, step
    for before, after in itertools.pairwise(funnel):
        assert after["entered"] == before["left"]
    assert funnel[0]["entered"] == result.stats["candidates"]
    assert funnel[-1]["left"] == result.stats["kept"] == len(result.kept)
    assert sum(sum(step["rejected"].values()) for step in funnel) == len(result.rejected) == result.stats["rejected"]
    ids = [row["_id"] for row in result.kept] + [row["_id"] for row in result.rejected]
    assert len(set(ids)) == len(ids)


def test_a_run_keeps_and_rejects_every_row():
    result = run(three_steps(Model()))
    adds_up(result)
    assert result.complete
    assert result.path == Path("runs/recipe")
    assert set(reasons(result)) == {"condition"}
    assert all(row["score"] >= 3 for row in result.kept)
    assert result.rejected[0]["step"] == "threshold"
    assert "score" in json.loads(result.rejected[0]["row"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(1, 12), n=st.integers(1, 3), faults=st.integers(0, 2**30), target=st.none() | st.integers(1, 9))
def test_rows_are_conserved_whatever_goes_wrong(tmp_path_factory, rows, n, faults, target):
    def sometimes(text, request):
        kind = (request.seed ^ faults) % 7
        if kind == 0:
            return Answer(b'{"error": {"message": "no %d"}}' % (request.seed % 50), 400)
        if kind == 1:
            raise Passing("busy")
        return "}{" if kind == 2 else good(text, request)

    model = Model(sometimes)
    recipe = Recipe(
        models={"w": model.entry(retries=0), "j": model.entry(retries=0)},
        source=Source(grid={"topic": [f"topic {k}" for k in range(rows)]}),
        steps=[
            Generate(prompt="write", model="w", n=n),
            Dedup(),
            Generate(prompt="many", model="j", name="lists"),
            Filter(),
        ],
        target=Target(rows=target) if target else None,
    )
    result = run(recipe, out=tmp_path_factory.mktemp("run"))
    adds_up(result)


def test_running_again_asks_nothing_and_changes_nothing():
    model = Model()
    first = run(three_steps(model))
    before, asked = outputs(first.path), len(model.asked)
    again = run(three_steps(model))
    assert outputs(again.path) == before
    assert len(model.asked) == asked


def test_children_are_named_by_parent_and_number():
    recipe = Recipe(
        models={"w": Model().entry()}, source=Source(rows=topics(2)), steps=[Generate(prompt="write", model="w", n=3)]
    )
    kept = run(recipe).kept
    parents = Counter(row["_parent"] for row in kept)
    assert sorted(parents.values()) == [3, 3]
    assert [row["topic"] for row in kept] == ["topic 0"] * 3 + ["topic 1"] * 3
    assert all(call["row"] == row["_parent"] for row in kept for call in row["_lineage"])


def test_a_sample_that_fails_does_not_take_its_siblings_with_it():
    model = Model(lambda text, request: "" if request.draw[2] == 1 else good(text, request))
    recipe = Recipe(
        models={"w": model.entry()}, source=Source(rows=topics(4)), steps=[Generate(prompt="write", model="w", n=3)]
    )
    result = run(recipe)
    adds_up(result)
    assert len(result.kept) == 8
    assert reasons(result) == {"unparseable": 4}


def test_many_records_become_children():
    model = Model(lambda text, request: json.dumps({"items": [{"text": f"{text} {k}"} for k in range(3)]}))
    recipe = Recipe(
        models={"w": model.entry()}, source=Source(rows=topics(2)), steps=[Generate(prompt="many", model="w", n=2)]
    )
    result = run(recipe)
    adds_up(result)
    assert len(result.kept) == 12


def test_answers_in_any_order_give_one_output():
    found = set()
    for concurrency in (1, 5, 32):
        model = Model()
        recipe = three_steps(model).model_copy(
            update={
                "models": {
                    "writer": model.entry(concurrency=concurrency),
                    "judge": model.entry(temperature=0, concurrency=concurrency),
                }
            }
        )
        found.add(outputs(run(recipe, out=f"run{concurrency}").path))
    assert len(found) == 1


def test_identical_rows_are_asked_one_by_one_and_equal_greedy_questions_once():
    model = Model(lambda text, request: "The same text of a few words." if text == "Write." else '{"score": 4}')
    recipe = three_steps(model, Source(empty=30)).model_copy(
        update={"steps": [Generate(prompt="anything", model="writer"), *three_steps(model).steps[1:]]}
    )
    run(recipe)
    assert model.counts() == {"Write.": 30, "Score": 1}


def test_equal_greedy_questions_are_asked_once_also_when_asked_again():
    mended = False
    model = Model(lambda text, request: '{"score": 4}' if mended else "no score")
    recipe = Recipe(
        models={"judge": model.entry(temperature=0)},
        source=Source(rows=[{"text": "the same", "n": n} for n in range(12)]),
        steps=[Judge(prompt="score", model="judge")],
    )
    assert reasons(run(recipe)) == {"unparseable": 12}
    assert len(model.asked) == 1
    mended = True
    assert len(run(recipe, retry=["unparseable"]).kept) == 12
    assert len(model.asked) == 2


# What is asked again


def test_a_new_threshold_asks_nothing_and_a_new_judge_prompt_only_the_judge():
    model = Model()
    run(three_steps(model))
    model.asked.clear()
    changed = three_steps(model)
    changed = changed.model_copy(update={"steps": [*changed.steps[:3], Filter.model_validate({"if": "score >= 5"})]})
    run(changed)
    assert not model.asked
    Path("prompts/score.jinja").write_text("---\ngives: {score: 1..5}\n---\nScore it: {{ text }}\n")
    run(three_steps(model))
    assert model.counts() == {"Score": 20}


def test_retry_asks_again_only_what_was_rejected_for_that_reason():
    mended = False

    def say(text, request):
        if text.startswith("Write") and "topic 3." in text and not mended:
            return Answer(b'{"error": {"message": "cannot"}}', 400)
        if text.startswith("Score") and request.seed % 4 == 0 and not mended:
            return "no score"
        return good(text, request)

    model = Model(say)
    first = run(three_steps(model))
    unparseable = reasons(first)["unparseable"]
    assert unparseable
    assert all(row["raw"] for row in first.rejected if row["reason"] != "condition")
    mended = True
    model.asked.clear()
    run(three_steps(model))
    assert not model.asked
    second = run(three_steps(model), retry=["unparseable"])
    assert model.counts() == {"Score": unparseable}
    assert reasons(second)["unparseable"] == 0
    assert reasons(second)["bad request"] == 1
    model.asked.clear()
    third = run(three_steps(model))
    assert not model.asked
    assert outputs(third.path) == outputs(second.path)


def test_what_is_unavailable_leaves_the_run_incomplete_and_is_asked_again():
    down = True

    def say(text, request):
        if down and "topic 3." in text:
            raise Passing("HTTP 503")
        return good(text, request)

    model = Model(say)
    recipe = three_steps(model)
    recipe = recipe.model_copy(
        update={
            "models": {
                name: model.entry(retries=0, temperature=entry.temperature) for name, entry in recipe.models.items()
            }
        }
    )
    first = run(recipe)
    assert not first.complete
    assert "1 rows got no answer" in first.why
    assert reasons(first)["unavailable"] == 1
    down = False
    model.asked.clear()
    second = run(recipe)
    assert second.complete
    assert model.counts() == {"Write": 1, "Score": 1}


def test_five_identical_refusals_at_the_start_are_fatal_and_not_remembered():
    wrong = True
    model = Model(
        lambda text, request: (
            Answer(b'{"error": {"message": "no such parameter"}}', 400) if wrong else good(text, request)
        )
    )
    recipe = three_steps(model)
    with pytest.raises(FatalError, match="no such parameter"):
        run(recipe)
    assert len(model.asked) < 20 * 2
    wrong = False
    result = run(recipe)
    assert reasons(result)["bad request"] == 0 or len(model.asked) > 20


def test_a_fatal_error_stops_the_run_at_once_and_running_again_finishes_it():
    def say(text, request):
        if broken and len(model.asked) > 8:
            raise FatalError("HTTP 401: bad key")
        return good(text, request)

    broken, model = True, Model(say)
    with pytest.raises(FatalError, match="401"):
        run(three_steps(model))
    sent = len(model.asked)
    broken = False
    assert run(three_steps(model)).complete
    assert len(model.asked) <= sent + 40


# Targets


def grid_recipe(model: Model, target: Target, **settings) -> Recipe:
    return Recipe(
        models={"w": model.entry(), "j": model.entry(temperature=0)},
        source=Source(grid={"label": ["pos", "neg"], "topic": ["a", "b", "c"]}),
        steps=[Generate(prompt="write", model="w"), Dedup(), *three_steps(model).steps[2:]],
        target=target,
        **settings,
    ).model_copy(update={"models": {"w": model.entry(), "writer": model.entry(), "judge": model.entry(temperature=0)}})


def test_a_target_counts_accepted_rows_and_is_shared_by_cells():
    result = run(grid_recipe(Model(), Target(rows=31, per="label")))
    adds_up(result)
    assert result.complete
    assert Counter(row["label"] for row in result.kept) == {"pos": 16, "neg": 15}
    assert set(reasons(result)) <= {"condition", "over target"}


def test_rounds_replay():
    model = Model()
    first = run(grid_recipe(model, Target(rows=40, per="label", round=10)))
    asked = len(model.asked)
    again = run(grid_recipe(model, Target(rows=40, per="label", round=10)))
    assert outputs(first.path) == outputs(again.path)
    assert len(model.asked) == asked
    assert first.stats["rounds"] > 3


def test_a_higher_target_pays_only_for_the_difference():
    model = Model()
    run(grid_recipe(model, Target(rows=20, per="label")))
    small = len(model.asked)
    run(grid_recipe(model, Target(rows=40, per="label")))
    both = len(model.asked)
    fresh = Model()
    run(grid_recipe(fresh, Target(rows=40, per="label")), out="fresh")
    assert small < both <= len(fresh.asked) * 1.3


def test_a_source_that_is_used_up_stops_with_a_line():
    recipe = three_steps(Model(), target=Target(rows=500))
    result = run(recipe)
    assert not result.complete
    assert "used up" in result.why
    assert "of 500" in result.why
    adds_up(result)


def test_a_cell_without_acceptance_stops_with_a_line():
    model = Model(lambda text, request: '{"score": 1}' if text.startswith("Score") else good(text, request))
    result = run(grid_recipe(model, Target(rows=500, per="label")))
    assert not result.complete
    assert "label=pos: none of the last 50 candidates" in result.why
    assert model.counts()["Write"] <= 100


def test_dedup_remembers_what_earlier_rounds_accepted():
    model = Model(lambda text, request: f"One of twenty texts, number {request.seed % 20}.")
    recipe = Recipe(
        models={"w": model.entry()},
        source=Source(empty=True),
        steps=[Generate(prompt="anything", model="w"), Dedup(), Map(rename={"text": "output"})],
        target=Target(rows=15, round=6),
    )
    result = run(recipe)
    adds_up(result)
    assert result.complete
    assert len({row["output"] for row in result.kept}) == 15
    assert reasons(result)["duplicate"] > 0


def test_a_pool_of_accepted_rows_grows_by_rounds():
    model = Model()
    recipe = Recipe(
        models={"w": model.entry()},
        source=Source(grid={"topic": ["a"]}),
        steps=[Sample.model_validate({"from": "accepted", "n": 3}), Generate(prompt="shots", model="w")],
        target=Target(rows=9, round=3),
    )
    result = run(recipe)
    assert [len(row["shots"]) for row in result.kept] == [0, 0, 0, 3, 3, 3, 3, 3, 3]
    early = {row["text"] for row in list(result.kept)[:3]}
    assert {shot["text"] for row in list(result.kept)[3:6] for shot in row["shots"]} <= early
    assert all("shots" not in shot for row in result.kept for shot in row["shots"])


# Limits, stopping, locks


@pytest.mark.parametrize("limit", [{"requests": 7}, {"tokens": 1500}, {"candidates": 4}])
def test_limits_are_hard_over_all_invocations_and_the_run_resumes(limit):
    model = Model(lambda text, request: Answer(body_of(good(text, request), prompt_tokens=50, completion_tokens=20)))
    first = run(three_steps(model), limits=Limits(**limit))
    assert not first.complete
    assert f"limits.{next(iter(limit))}" in first.why
    adds_up(first)
    sent = len(model.asked)
    assert 0 < sent < 40
    assert first.manifest["spent"]["all runs"]["prompt_tokens"] + sent * 20 <= limit.get("tokens", 10**9)
    if "requests" in limit:
        assert sent == 7
        run(three_steps(model), limits=Limits(**limit))
        assert len(model.asked) == 7
    last = run(three_steps(model))
    assert last.complete
    assert len(model.asked) == 40


def test_preview_is_the_first_of_the_run_and_paid_once():
    model = Model()
    shown = preview(three_steps(model), n=5)
    assert len(shown.rows) == 5
    assert not Path("runs/recipe/kept.parquet").exists()
    assert model.counts() == {"Write": 5, "Score": 5}
    run(three_steps(model))
    assert model.counts() == {"Write": 20, "Score": 20}


def test_a_second_process_is_refused():
    Path("runs/recipe").mkdir(parents=True)
    with filelock.FileLock("runs/recipe/.lock"), pytest.raises(InputError, match="another process"):
        run(three_steps(Model()))


def test_another_journal_answers(tmp_path):
    model = Model()
    run(three_steps(model), out="first")
    model.asked.clear()
    second = run(three_steps(model), out="second", journals=["first"])
    assert not model.asked
    assert outputs(second.path) == outputs(Path("first"))


def test_the_replay_engine_answers_from_a_journal_alone_and_names_what_is_missing():
    first = run(three_steps(Model()), out="first")
    replayed = three_steps(Model())
    entries = {
        name: ModelEntry(engine="replay", model="first/journal.sqlite", temperature=entry.temperature)
        for name, entry in replayed.models.items()
    }
    second = run(replayed.model_copy(update={"models": entries}), out="second")
    texts = [row["text"] for row in first.kept]
    assert [row["text"] for row in second.kept] == texts
    more = replayed.model_copy(update={"models": entries, "source": Source(rows=topics(21))})
    with pytest.raises(FatalError, match=r"no answer for request \w{12} \(ends 'Write about topic 20.'\)"):
        run(more, out="third")


KILLED = """
import sys, time
from tests.project import Model, good, three_steps, topics, run
from synth_llm import Source
def slow(text, request):
    time.sleep(0.002)
    return good(text, request)
run(three_steps(Model(slow), Source(rows=topics(150))), out=sys.argv[1])
"""


def start(out: str) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).parents[1])
    return subprocess.Popen([sys.executable, "-c", KILLED, out], env={**os.environ, "PYTHONPATH": root})


def test_kill_at_random_moments_loses_and_doubles_nothing():
    assert start("calm").wait() == 0
    for pause in (0.4, 0.9, 1.1, 1.2, 1.3):
        process = start("killed")
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start("killed").wait() == 0
    assert outputs(Path("killed")) == outputs(Path("calm"))


def test_ctrl_c_drains_writes_and_resumes():
    model = Model()

    def say(text, request):
        if len(model.asked) == 10:
            threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(0.2)
        return good(text, request)

    model.say = say
    first = run(three_steps(model))
    assert not first.complete
    assert "interrupted" in first.why
    adds_up(first)
    assert run(three_steps(model)).complete
    assert len(model.asked) == 40


# Output


def test_columns_without_a_common_type_are_json_text():
    rows = [{"a": 1, "b": 1, "c": [1], "d": {"x": 1}}, {"a": "one", "b": 2.5, "c": [], "d": {"y": None}}, {"a": None}]
    result = run(Recipe(source=Source(rows=rows), steps=[Map()]))
    assert result.kept["a"][:] == ["1", '"one"', None]
    assert result.kept["b"][:] == [1.0, 2.5, None]
    assert result.kept["c"][:] == [[1], [], None]
    assert result.kept["d"][0] == {"x": 1, "y": None}


def test_a_run_that_keeps_nothing_has_its_columns():
    result = run(Recipe(source=Source(rows=topics(2)), steps=[Filter.model_validate({"if": "topic == 'x'"})]))
    assert len(result.kept) == 0
    assert "topic" in result.kept.column_names


def test_the_run_folder_is_a_dataset_repository():
    import datasets

    result = run(three_steps(Model()))
    loaded = datasets.load_dataset(str(result.path))["train"]
    assert loaded["text"][:] == result.kept["text"][:]
    rejected = datasets.load_dataset(str(result.path), "rejected")["train"]
    assert rejected["reason"][:] == result.rejected["reason"][:]


def test_no_half_written_file_is_left(project):
    run(three_steps(Model()))
    names = {path.name for path in Path("runs/recipe").iterdir()}
    assert names - {".lock"} == {
        "README.md",
        "inputs.json",
        "journal.sqlite",
        "kept.parquet",
        "manifest.json",
        "recipe.yaml",
        "rejected.parquet",
    }


def test_the_manifest_says_what_ran():
    manifest = run(three_steps(Model())).manifest
    assert manifest["complete"]
    assert manifest["spent"]["this run"]["requests"] == 40
    assert set(manifest["prompts"]) == {"write", "score"}
    assert set(manifest["filters"]) == {"length"}
    assert manifest["recipe"]["steps"][0] == {"generate": {"prompt": "write", "model": "writer"}}
    assert manifest["versions"]["synth-llm"]


class Tops(Step):
    """Keeps the longest half, and gives each a copy."""

    type: ClassVar[str] = "tops"
    final: ClassVar[bool] = True

    def columns(self, have: Columns, use: Resources) -> Columns:
        return have

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        middle = sorted(len(row["text"]) for row in rows)[len(rows) // 2]
        assert not list(ctx.accepted())
        ctx.report("middle", middle)
        for row in rows:
            keep = len(row["text"]) >= middle
            ctx.note("length", row, len(row["text"]), keep)
            copies: list[Row] = [child_of(row, (n,), {}) for n in range(2)]
            yield copies if keep else Rejected(row, Reject("short", value=len(row["text"])))


def test_a_final_step_runs_once_after_the_last_round_and_may_make_rows():
    model = Model()
    recipe = three_steps(model, target=Target(rows=12, round=4))
    recipe = recipe.model_copy(update={"steps": [*recipe.steps, Tops(), Map(set={"n": "1"})]})
    result = run(recipe)
    adds_up(result)
    assert result.complete
    funnel = {entry["step"]: entry for entry in result.manifest["funnel"]}
    assert list(funnel)[-3:] == ["target", "tops", "map"]
    assert (funnel["target"]["left"], funnel["tops"]["entered"]) == (12, 12)
    kept = funnel["tops"]["replaced"]
    assert 6 <= kept < 12
    assert funnel["tops"]["rejected"] == {"short": 12 - kept}
    assert result.stats["kept"] == len(result.kept) == 2 * kept == funnel["map"]["left"]
    histogram = funnel["tops"]["scores"]["length"]
    assert (sum(histogram["kept"]), sum(histogram["rejected"])) == (kept, 12 - kept)
    assert funnel["tops"]["report"]["middle"] > 0
    asked = len(model.asked)
    assert outputs(run(recipe).path) == outputs(result.path)
    assert len(model.asked) == asked
