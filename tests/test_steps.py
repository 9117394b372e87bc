"""The steps, one by one: on rows and answers made up here."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import (
    Chunk,
    Filter,
    Generate,
    InputError,
    Judge,
    LabelCheck,
    Map,
    Recipe,
    Row,
    Sample,
    Source,
    run,
)
from synth_llm.described import descriptions
from synth_llm.errors import Reject
from synth_llm.steps import step_types
from synth_llm.steps.chunk import passages
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Step
from tests.project import Model, write_prompts


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    write_prompts(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def context(
    step: Step, *, examples: list[Row] | None = None, accepted: tuple[Row, ...] = (), seed: int = 0, steps: Any = ()
) -> Context:
    source = Source(rows=[{"text": "any"}], examples=examples)
    recipe = Recipe(source=source, steps=list(steps) or [step], seed=seed)
    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: accepted)


def row(number: int, **columns: Any) -> Row:
    return {"_id": f"id{number}", "_parent": None, "_lineage": [], **columns}


def apply(step: Any, one: Row, **about: Any) -> Any:
    """The rows that a row step makes of one row."""
    return asyncio.run(step.apply(one, context(step, **about)))


def rejected(step: Any, one: Row, **about: Any) -> Reject:
    with pytest.raises(Reject) as caught:
        apply(step, one, **about)
    return caught.value


def plan_error(step: Any, have: set[str], model: dict[str, Any] | None = None, **source: Any) -> str:
    models = {"w": Model().entry(**(model or {}))}
    recipe = Recipe(models=models, source=Source(**(source or {"rows": [{"text": "any"}]})), steps=[step])
    with pytest.raises(InputError) as caught:
        step.columns(frozenset(have), Resources(recipe, Path()))
    return caught.value.message


def test_every_step_is_of_one_kind_and_says_what_its_settings_mean():
    for kind, step in step_types().items():
        assert step.type == kind
        assert hasattr(step, "apply") != hasattr(step, "split")
        assert descriptions(step).keys() == step.model_fields.keys(), kind


# sample


POOL = [{"label": "ab"[n % 2], "text": f"example {n}"} for n in range(40)]


def draw(one: Row, pool: list[Row], step: Sample | None = None, **about: Any) -> list[str]:
    (out,) = apply(step or Sample(n=4), one, examples=pool, **about)
    return [shot["text"] for shot in out["shots"]]


def test_sample_draws_other_rows_for_each_row_and_the_same_again():
    draws = [tuple(draw(row(n), POOL)) for n in range(20)]
    assert len(set(draws)) == 20
    assert draws == [tuple(draw(row(n), POOL)) for n in range(20)]
    assert draws != [tuple(draw(row(n), POOL, seed=1)) for n in range(20)]
    assert all(len(set(one)) == 4 for one in draws)


def test_sample_draws_all_examples_alike():
    times = dict.fromkeys((one["text"] for one in POOL), 0)
    context_ = context(Sample(n=4), examples=POOL)
    for n in range(600):
        for shot in asyncio.run(Sample(n=4).apply(row(n), context_))[0]["shots"]:
            times[shot["text"]] += 1
    assert min(times.values()) > 30  # 60 expected, standard deviation 7.3
    assert max(times.values()) < 90


def test_sample_matches_columns():
    alike = {one["text"] for one in POOL if one["label"] == "a"}
    for n in range(10):
        assert set(draw(row(n, label="a"), POOL, Sample(n=4, match="label"))) <= alike
    assert draw(row(0, label="c"), POOL, Sample(match="label")) == []
    assert len(draw(row(0, label="a"), POOL[:3], Sample(n=9, match="label"))) == 2


def test_sample_fixed_is_one_draw_for_rows_that_match_alike():
    step = Sample(n=4, match="label", fixed=True)
    draws = {label: {tuple(draw(row(n, label=label), POOL, step)) for n in range(9)} for label in "ab"}
    assert [len(found) for found in draws.values()] == [1, 1]
    assert draws["a"] != draws["b"]


def test_one_more_example_changes_few_draws():
    more = [*POOL, {"label": "a", "text": "one more"}]
    before, after = (context(Sample(n=4), examples=pool) for pool in (POOL, more))
    changed = 0
    for n in range(300):
        first, second = (asyncio.run(Sample(n=4).apply(row(n), one))[0]["shots"] for one in (before, after))
        changed += first != second
        kept = [shot for shot in second if shot["text"] != "one more"]
        assert kept == first[: len(kept)], "the others stay, in their order"
    assert 9 < changed < 55  # a draw of 4 of 41 holds the new one with 9.8 %: 29 of 300, standard deviation 5.1


def test_sample_from_accepted_sees_earlier_rounds_and_no_nested_draws():
    step = Sample.model_validate({"from": "accepted", "n": 5})
    accepted = tuple(row(n, text=f"made {n}", shots=[{"text": "old"}]) for n in range(3))
    (out,) = apply(step, row(9), accepted=accepted)
    assert sorted(shot["text"] for shot in out["shots"]) == ["made 0", "made 1", "made 2"]
    assert all(set(shot) == {"text"} for shot in out["shots"])
    assert apply(step, row(9))[0]["shots"] == []


def test_sample_names_what_it_lacks():
    assert "match: the pool of examples needs column 'label'" in plan_error(
        Sample(match="label"), {"label"}, rows=[{"label": "a"}], examples=[{"lable": "a"}]
    )
    assert "has no 'examples'" in plan_error(Sample(), {"text"})


# label_check


NUMBERS = itertools.count()
LABELS = {"labels": ["good", "bad"]}


def check(say: Any, rows: list[Row] | None = None, model: dict[str, Any] | None = None, **given_: Any) -> Any:
    """Run a label check alone; `say` is the judge."""
    judge = Model(say)
    step = LabelCheck.model_validate({"prompt": "label", "model": "j", **LABELS, **given_})
    recipe = Recipe(
        models={"j": judge.entry(**{"temperature": 0.7, **(model or {})})},
        source=Source(rows=rows or [{"text": "fine", "label": "good"}, {"text": "poor", "label": "good"}]),
        steps=[step],
    )
    return run(recipe, out=f"runs/{next(NUMBERS)}"), judge


def by_text(text: str, request: Any) -> str:
    return "bad" if "poor" in text else "good"


def votes(*said: str) -> Any:
    return lambda text, request: said[request.draw[2]]


def test_label_check_keeps_what_the_judge_agrees_with():
    result, _ = check(by_text)
    assert [(kept["text"], kept["judged"], kept["agreement"]) for kept in result.kept] == [("fine", "good", 1.0)]
    (gone,) = result.rejected
    assert (gone["reason"], gone["detail"]) == ("disagreement", "proposed good; votes: bad 1")
    assert len(gone["_lineage"]) == 1, "the row's lineage has the vote"


def test_label_check_is_blind():
    seen = []

    def spy(text, request):
        seen.append(json.dumps(request.messages) + json.dumps(request.schema))
        return "good"

    rows = [{"text": "one", "label": "ZEBRA-17"}, {"text": "two", "label": "good"}]
    check(spy, rows, labels=["good", "bad"])
    assert len(seen) == 2
    assert not [text for text in seen if "ZEBRA-17" in text]


def test_label_check_refuses_a_prompt_that_sees_the_label(project):
    (project / "prompts" / "peek.jinja").write_text(
        "---\ngives: {verdict: one of labels}\n---\nIs {{ text }} really {{ label }}?\n"
    )
    (project / "prompts" / "peek2.jinja").write_text(
        "---\ngives: {verdict: one of labels}\n---\n{% if label is defined %}{{ label }}{% endif %} {{ text }}?\n"
    )
    for prompt in ("peek", "peek2"):
        step = LabelCheck(prompt=prompt, model="w", **LABELS)
        assert "the label it is to check; a label check is blind" in plan_error(step, {"text", "label"})


def test_label_check_refuses_votes_that_would_be_one_answer():
    step = LabelCheck(prompt="label", model="w", votes=3, **LABELS)
    assert "votes: 3 at temperature 0 would be one answer" in plan_error(step, {"text", "label"}, {"temperature": 0})


def test_label_check_wants_labels_and_one_column():
    step = LabelCheck(prompt="label", model="w")
    assert "does not say which values 'label' has" in plan_error(step, {"text", "label"})
    step = LabelCheck(prompt="many", model="w", **LABELS)
    assert "a label check needs one label" in plan_error(step, {"topic", "label"})
    assert "label needs column 'label'" in plan_error(LabelCheck(prompt="label", model="w", **LABELS), {"text"})


ONE = [{"text": "x", "label": "good"}]


@pytest.mark.parametrize(
    ("said", "action", "expected"),
    [
        (("good", "good", "bad"), "drop", ("good", "good", 2 / 3)),
        (("bad", "good", "bad"), "drop", None),
        (("bad", "good", "bad"), "relabel", ("bad", "bad", 1 / 3)),
        (("bad", "good", "bad"), "flag", ("good", "bad", 1 / 3)),
        (("good", "bad"), "drop", None),
        (("good", "bad"), "relabel", None),
        (("bad", "bad"), "relabel", ("bad", "bad", 0.0)),
    ],
)
def test_votes(said, action, expected):
    result, judge = check(votes(*said), ONE, votes=len(said), on_disagreement=action)
    assert len(judge.asked) == len(said)
    if expected is None:
        assert [gone["reason"] for gone in result.rejected] == ["disagreement"]
    else:
        (kept,) = result.kept
        assert (kept["label"], kept["judged"], pytest.approx(kept["agreement"])) == expected
        assert len(kept["_lineage"]) == len(said)


def test_agreement_is_the_share_that_must_be_passed():
    assert len(check(votes("good", "good", "bad"), ONE, votes=3, agreement=0.7)[0].kept) == 0
    assert len(check(votes("good", "good", "good"), ONE, votes=3, agreement=0.7)[0].kept) == 1


@pytest.mark.parametrize("action", ["drop", "relabel", "flag"])
def test_an_unreadable_vote_is_no_vote(action):
    result, _ = check(votes("good", "I think it is fine!"), ONE, votes=2, on_disagreement=action)
    (gone,) = result.rejected
    assert (gone["reason"], gone["raw"]) == ("unparseable", "I think it is fine!")


def test_label_check_shows_worked_examples_in_turn(project):
    (project / "prompts" / "shown.jinja").write_text(
        "---\nneeds: [labels, shots, text]\ngives: {verdict: one of labels}\n---\n"
        "{% for shot in shots %}{{ shot.text }}={{ shot.label }};{% endfor %} {{ text }}\n"
    )
    examples = [{"text": f"e{n}", "label": "good" if n < 4 else "bad"} for n in range(6)]
    judge = Model(lambda text, request: "good")
    run(
        Recipe(
            models={"j": judge.entry(temperature=0)},
            source=Source(rows=ONE, examples=examples),
            steps=[LabelCheck(prompt="shown", model="j", shots=2, **LABELS)],
        )
    )
    assert judge.asked == ["e0=good;e4=bad;e1=good;e5=bad; x"]


# judge and generate


@pytest.mark.parametrize("answer", ["", "4", "great!", '{"score": 9}', '{"score": "4"}', '{"score": 4, "x": 1}', "{}"])
def test_a_judge_that_cannot_be_read_is_not_a_verdict(answer):
    recipe = Recipe(
        models={"j": Model(lambda text, request: answer).entry()},
        source=Source(rows=[{"text": "x"}]),
        steps=[Judge(prompt="score", model="j")],
    )
    result = run(recipe)
    assert [(gone["reason"], gone["raw"]) for gone in result.rejected] == [("unparseable", answer)]


def test_a_judge_does_not_overwrite():
    step = Judge(prompt="score", model="w")
    assert "gives 'score', which the rows already have" in plan_error(step, {"text", "score"})
    assert "a judge gives one" in plan_error(Judge(prompt="many", model="w"), {"topic"})


def test_generate_refuses_answers_that_would_be_one():
    step = Generate(prompt="write", model="w", n=2)
    assert "n: 2 answers at temperature 0 would be one" in plan_error(step, {"topic"}, {"temperature": 0})
    assert "no model 'v' in this recipe; did you mean" not in plan_error(Generate(prompt="write", model="v"), {"topic"})
    assert "prompt write needs column 'topic'; the rows have topics; did you mean 'topic" in plan_error(
        Generate(prompt="write", model="w"), {"topics"}
    )


# map


def test_map_sets_renames_and_drops():
    step = Map(set={"n": "items | length", "t": "a ~ '!'"}, rename={"a": "b"}, drop=["items"])
    (out,) = apply(step, row(1, a="x", items=[1, 2]))
    assert out == row(1, b="x", n=2, t="x!")
    assert step.columns(frozenset({"a", "items"}), context(step).use) == {"b", "n", "t"}


def test_map_sees_the_row_as_it_came_in():
    (out,) = apply(Map(set={"a": "b", "b": "a"}), row(1, a=1, b=2))
    assert (out["a"], out["b"]) == (2, 1)


@pytest.mark.parametrize(
    "text", ["a.nothing", "a.x.y", "missing", "a / 0", "a + 1", "cycler", "range(3)", "a.__class__", "1e308 * 10"]
)
def test_an_expression_that_fails_rejects_the_row(text):
    reject = rejected(Map(set={"b": text}), row(1, a="x"))
    assert reject.reason == "template"
    assert "\n" not in str(reject)


@pytest.mark.parametrize("text", ["'\\ud800'", "{'\\ud800': 1}", "'a\\0'", "{'a\\0': 1}", "{1: 2}"])
def test_a_value_that_no_file_can_hold_rejects_the_row_and_the_run_is_written(text):
    result = run(Recipe(source=Source(rows=[{"a": 1}]), steps=[Map(set={"b": text})]))
    (gone,) = result.rejected
    assert gone["reason"] == "template"
    assert gone["detail"].startswith("b: not a JSON value")


def test_map_does_not_touch_the_row_it_got():
    one = row(1, a="x")
    apply(Map(set={"a": "'y'"}, rename={"a": "b"}), one)
    assert one == row(1, a="x")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Map(set={"b": "c"}), "set.b needs column 'c'"),
        (Map(set={"b": "a +"}), "'a +' is not a Jinja expression"),
        (Map(rename={"c": "d"}), "rename needs column 'c'"),
        (Map(drop=["c"]), "drop needs column 'c'"),
    ],
)
def test_map_names_what_it_lacks(step, message):
    assert message in plan_error(step, {"a"})


# chunk


PROSE = st.lists(st.sampled_from(["word", "end.", "why?", "\n\n", "\n", " ", "  ", "long-ish", "é"]), max_size=80)


@given(PROSE.map(" ".join), st.integers(5, 20))
def test_chunks_lose_no_word_and_keep_their_limit(text, words):
    pieces = passages(text, words) if text.strip() else []
    assert " ".join(pieces).split() == text.split()
    assert all(0 < len(piece.split()) <= words for piece in pieces)


@given(st.text(min_size=1), st.integers(5, 9))
def test_any_text_is_cut_without_losing_a_word(text, words):
    if text.strip():
        pieces = passages(text, words)
        assert " ".join(pieces).split() == text.split()
        assert all(0 < len(piece.split()) <= words for piece in pieces)


def test_chunks_end_between_paragraphs_then_sentences():
    text = "One two three. Four five six.\n\nSeven eight."
    assert passages(text, 8) == [text]
    assert passages(text, 6) == ["One two three. Four five six.", "Seven eight."]
    assert passages(text, 5) == ["One two three.", "Four five six.\n\nSeven eight."]
    assert passages("a b c d e f g", 5) == ["a b c d e", "f g"]


def test_chunks_are_children_in_order():
    out = apply(Chunk(words=5), row(1, text="a b c d e f", title="t"))
    assert [(piece["text"], piece["title"], piece["_parent"]) for piece in out] == [
        ("a b c d e", "t", "id1"),
        ("f", "t", "id1"),
    ]
    assert len({piece["_id"] for piece in out}) == 2


@pytest.mark.parametrize("text", ["", " \n\n ", None, 7])
def test_no_text_to_cut_is_a_rejection(text):
    assert rejected(Chunk(), row(1, text=text)).reason == "empty"


# filter


def test_the_first_filter_that_drops_gives_the_reason():
    step = Filter(use=[{"length": {"min_words": 3}}, "refusal"])
    reject = rejected(step, row(1, text="Sorry."))
    assert (reject.reason, reject.value) == ("length", 1)
    assert reject.detail == "text: 1 word; at least 3 wanted"
    assert rejected(Filter(use=["refusal", {"length": {"max_words": 2}}]), row(1, text="a b c")).reason == "length"
    assert apply(step, row(1, text="a fine text")) == [row(1, text="a fine text")]


def test_filters_look_at_each_column_and_their_own_comes_first():
    step = Filter(use=["length", {"length": {"column": "title", "max_words": 1}}], column=["text", "note"])
    assert rejected(step, row(1, text="a", note="", title="a")).detail.startswith("note: empty")
    assert rejected(step, row(1, text="a", note="b", title="a b")).detail.startswith("title: 2 words")
    assert step.columns(frozenset({"text", "note", "title"}), context(step).use)
    assert "filter needs column 'title'" in plan_error(step, {"text", "note"})


def test_a_condition_must_be_true_or_false():
    step = Filter.model_validate({"if": "score > 2"})
    assert step.use == []
    assert apply(step, row(1, score=3))
    reject = rejected(step, row(1, score=2))
    assert (reject.reason, reject.detail) == ("condition", "score > 2")
    assert rejected(step, row(1, score="high")).reason == "template"
    for text in ("score", "score | string", "'false'", "none"):
        reject = rejected(Filter.model_validate({"if": text}), row(1, score=3))
        assert reject.reason == "template"
        assert "neither true nor false" in reject.detail


def test_filters_come_before_the_condition():
    step = Filter.model_validate({"use": ["length"], "if": "false"})
    assert rejected(step, row(1, text="")).reason == "length"
    assert rejected(step, row(1, text="a")).reason == "condition"


def test_a_filter_that_raises_rejects_the_row(project):
    (project / "filters").mkdir()
    (project / "filters" / "fragile.py").write_text(
        "from synth_llm import Row, Verdict\n\n\n"
        "def fragile(row: Row, column: str = 'text') -> Verdict:\n"
        "    return Verdict(len(row[column]) / (len(row[column]) - 1) > 0)\n"
    )
    result = run(Recipe(source=Source(rows=[{"text": "a"}, {"text": "ab"}]), steps=[Filter(use=["fragile"])]))
    assert [kept["text"] for kept in result.kept] == ["ab"]
    (gone,) = result.rejected
    assert (gone["reason"], gone["detail"]) == ("filter error", "fragile: ZeroDivisionError: division by zero")


@pytest.mark.parametrize("returned", ["None", "True", "(False, 'no')", "'no'"])
def test_a_filter_that_returns_no_verdict_rejects_the_row(project, returned):
    (project / "filters").mkdir()
    (project / "filters" / "odd.py").write_text(f"def odd(row, column='text'):\n    return {returned}\n")
    result = run(Recipe(source=Source(rows=[{"text": "a"}]), steps=[Filter(use=["odd"])]))
    (gone,) = result.rejected
    assert gone["reason"] == "filter error"
    assert "odd" in gone["detail"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Filter(use=["lenght"]), "did you mean 'length'?"),
        (Filter(use=[{"length": {"min": 3}}]), "filter length: no setting 'min'"),
        (Filter(use=[{"length": {"min_words": "3"}}]), "setting 'min_words' wants int, not '3'"),
        (Filter(use=[{"length": {}, "refusal": {}}]), "each filter is a name or one name with its settings"),
        (Filter.model_validate({"if": "scor > 1"}), "condition 'scor > 1' needs column 'scor'"),
        (Filter.model_validate({"if": "text >"}), "is not a Jinja expression"),
    ],
)
def test_filter_settings_are_checked_before_any_row(step, message):
    assert message in plan_error(step, {"text", "score"})


def test_examples_drawn_by_the_label_never_reach_its_check(project):
    """Shots that all have the proposed label would tell it to the judge."""
    Path("prompts/leaky.jinja").write_text(
        "---\ngives: {label: one of labels}\n---\n"
        "{{ labels | join }} {% if shots is defined %}{{ shots }}{% endif %} {{ text }}\n"
    )
    examples = [{"label": label, "text": f"an example of {label} {n}"} for label in ("good", "bad") for n in range(3)]
    seen = []

    def say(text, request):
        seen.append(text)
        return "good"

    model = Model(say)
    recipe = Recipe(
        models={"judge": model.entry(temperature=0)},
        source=Source(
            rows=[{"label": "good", "text": "a text"}, {"label": "bad", "text": "another"}], examples=examples
        ),
        steps=[Sample(match="label"), LabelCheck(prompt="leaky", model="judge", on_disagreement="flag")],
    )
    run(recipe)
    assert seen
    assert not any("an example" in text for text in seen)
    Path("prompts/leaky.jinja").write_text(
        "---\ngives: {label: one of labels}\n---\n{{ labels | join }} {{ shots }} {{ text }}\n"
    )
    with pytest.raises(InputError, match="drawn by the label it is to check"):
        run(recipe)
