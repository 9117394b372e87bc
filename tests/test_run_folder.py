"""What is read back from a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synth_llm import Filter, Generate, ModelEntry, Recipe, Request, Source, run
from synth_llm.errors import InputError
from synth_llm.run_folder import calls, find_row, find_run, journal_of, rejections, sample, status


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 rows: every eighth is rejected as too short."""
    base = tmp_path_factory.mktemp("project")
    (base / "prompts").mkdir()
    (base / "prompts" / "write.jinja").write_text("Write about {{ n }}.\n")

    def answer(request: Request) -> str:
        number = int(request.messages[-1]["content"].split()[-1].rstrip("."))
        return "" if number % 20 == 19 else "short" if number % 8 == 0 else f"a longer text about {number}"

    recipe = Recipe(
        name="lines",
        models={"m": ModelEntry(engine="function", function=answer, repairs=0)},
        source=Source(rows=[{"n": n, "id": f"row{n:02}"} for n in range(40)], id="id"),
        steps=[Generate(prompt="write", model="m"), Filter(use=[{"length": {"min_words": 2}}])],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base)
        return run(recipe, out=base / "runs" / "lines").path


def test_a_sample_is_the_same_each_time_and_in_order(folder: Path) -> None:
    rows = sample(folder, 5)
    assert rows == sample(folder, 5)
    assert len(rows) == 5
    assert [row["n"] for row in rows] == sorted(row["n"] for row in rows)
    assert len(sample(folder, 1000)) == 33


def test_rejections_are_counted_in_the_order_of_the_funnel(folder: Path) -> None:
    groups = rejections(folder, examples=2)
    assert [(group.step, group.reason, group.count, len(rows)) for group, rows in groups] == [
        ("generate write", "unparseable", 2, 2),
        ("filter", "length", 5, 2),
    ]
    assert [json.loads(row["row"])["n"] for row in groups[1][1]] == [0, 8]
    with pytest.raises(InputError, match="no row was rejected as 'dull'; reasons: length, unparseable"):
        rejections(folder, "dull")


def test_a_row_is_found_by_the_beginning_of_its_id(folder: Path) -> None:
    wanted = sample(folder, 1)[0]
    assert find_row(folder, wanted["_id"][:10]) == (wanted, True)
    row, kept = find_row(folder, "row19")
    assert not kept
    assert row["reason"] == "unparseable"
    with pytest.raises(InputError, match="no row begins with id 'nope'"):
        find_row(folder, "nope")
    with pytest.raises(InputError, match="rows begin with id"):
        find_row(folder, "")


def test_the_calls_behind_a_row_hold_prompt_and_raw_answer(folder: Path) -> None:
    row = sample(folder, 1)[0]
    with journal_of(folder) as journal:
        (call,) = calls(row, [journal])
    assert call.step == "generate write"
    assert call.request is not None
    assert call.request["messages"] == [{"role": "user", "content": f"Write about {row['n']}."}]
    assert call.said == row["text"]
    (lost,) = calls(row, [])
    assert (lost.request, lost.answer, lost.said) == (None, None, "")


def test_a_run_is_found_by_name_by_path_or_as_the_newest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent.parent)
    assert find_run("lines") == find_run("runs/lines") == find_run(None) == Path("runs/lines")
    with pytest.raises(InputError, match="did you mean 'lines'"):
        find_run("line")
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="no runs here"):
        find_run(None)


def test_status_reads_manifest_and_journal(folder: Path) -> None:
    now = status(folder)
    assert now.manifest["complete"]
    assert not now.running
    assert (now.spent.requests, now.answers) == (40, 40)
