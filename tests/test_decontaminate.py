"""Decontamination: what leaked is found, named and rejected; what is clean stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import InputError, Recipe, Source, run
from synth_llm.errors import Reject
from synth_llm.similar.ngrams import NgramIndex
from synth_llm.steps import Rejected
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.decontaminate import Decontaminate, nearest
from synth_llm.steps.leak_check import LeakCheck
from tests.project import Model

CLIPS = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."
ZEROS = "Find all zeros in the indicated finite field of the given polynomial: x^5 + 3x^3 + 2x in Z_5"
SKILLS = "How can I improve my time management skills?"
ITEMS = [CLIPS, ZEROS, SKILLS, "2 + 2?"]
WORDS = "abcdefgh"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("test.jsonl", [{"text": text} for text in ITEMS])
    return tmp_path


def write(path: str, rows: list[dict[str, Any]]) -> str:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def letters(texts: list[str]) -> np.ndarray:
    """Vectors of a kind: how often each letter a to h stands in the text."""
    counts = np.array([[text.count(letter) for letter in WORDS] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def split(texts: list[str], **about: Any) -> list[Any]:
    step = Decontaminate(**{"against": ["test.jsonl"], **about})
    recipe = Recipe(source=Source(rows=[{"text": "any"}]), steps=[step])
    ctx = Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())
    ctx.encode = lambda texts, encoder=None: letters(texts)  # type: ignore[method-assign]
    rows = [{"_id": str(n), "_parent": None, "_lineage": [], "text": text} for n, text in enumerate(texts)]
    found = list(step.split(rows, ctx))
    assert [(one.row if isinstance(one, Rejected) else one)["_id"] for one in found] == [row["_id"] for row in rows]
    return [one.reject if isinstance(one, Rejected) else one for one in found]


def leak(text: str, **about: Any) -> Reject | None:
    (found,) = split([text], **about)
    return found if isinstance(found, Reject) else None


@pytest.mark.parametrize("text", [SKILLS.upper(), f" {SKILLS}\n", "“how can I improve my  time management skills”"])
def test_an_item_in_other_form_is_an_exact_leak(text):
    found = leak(text)
    assert found is not None
    assert (found.reason, found.other, found.value) == ("contaminated", "test.jsonl 3", 1.0)
    assert found.detail == f'repeats test.jsonl 3 (exact, 1.00): "{SKILLS}"'


def test_one_of_several_columns_is_compared_as_well_as_all_of_them():
    write("two.jsonl", [{"a": "2 + 2?", "b": "4"}])
    step = {
        "column": ["a", "b"],
        "tiers": ["exact"],
        "against": [{"file": "test.jsonl", "column": "text"}, "two.jsonl"],
    }
    rows = [{"a": "2 + 2?", "b": "is 4"}, {"a": "2 + 2", "b": "4"}, {"a": "2 - 2?", "b": "4"}]
    result = run(Recipe(source=Source(rows=rows), steps=[{"decontaminate": step}]), out="out")
    assert [row["other"] for row in result.rejected] == ["test.jsonl 4", "two.jsonl 1"]
    assert [row["a"] for row in result.kept] == ["2 - 2?"]


@pytest.mark.parametrize(
    ("text", "label", "words"),
    [
        (f"Solve this.\n\n{CLIPS} How many in all?\nShe sold 72.", "test.jsonl 1", 20),
        ("to **48** of HER friends in April; and then she sold", "test.jsonl 1", 11),
        (
            "find all the zeros... Find all zeros in the indicated finite field of the given polynomial",
            "test.jsonl 2",
            12,
        ),
        ("I ask: how can I improve my time management skills as a nurse?", "test.jsonl 3", 8),
        ("how can i improve my time", "test.jsonl 3", 6),
    ],
)
def test_a_copy_is_found_whole_trimmed_and_embedded(text, label, words):
    found = leak(text)
    assert found is not None
    assert (found.reason, found.other, found.value) == ("contaminated", label, words)
    assert f"(ngram, {words} words in a row)" in found.detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is 2 + 2 and why?",
        "Anna sold clips to 48 of her friends",
        "Find all zeros in the indicated field",
        "how can I improve my French",
    ],
)
def test_what_is_clean_stays(text):
    assert leak(text) is None


def test_neither_numbers_alone_nor_phrases_of_the_whole_set_are_a_leak():
    count = "1 2 3 4 5 6 7 8 9 10 11 12 13 14"
    phrase = "Which of the following answers is the only true one of all:"
    write(
        "test.jsonl",
        [{"text": f"{phrase} {word} or not {word}, and why?"} for word in "abcdefghijkl"] + [{"text": count}],
    )
    assert leak(f"Go on: {count}") is None
    assert leak(f"{phrase} London or Paris") is None
    assert leak(f"{phrase} a or not a, and why?").other == "test.jsonl 1"


def test_meaning_rejects_from_the_threshold_and_names_the_nearest():
    write("test.jsonl", [{"text": "aab"}, {"text": "abb"}, {"text": "c"}])
    near, far, blank = split(["aabb b", "ac", ""], tiers=["meaning"], threshold=0.9)
    assert (near.other, round(near.value, 3)) == ("test.jsonl 2", 0.992)
    assert near.detail == 'repeats test.jsonl 2 (meaning, 0.99): "abb"'
    assert "suspects" not in far and "suspects" not in blank


def test_what_was_found_as_a_copy_is_not_embedded():
    step = Decontaminate(against=["test.jsonl"], tiers=["exact", "meaning"])
    ctx = Context(
        "d", 0, Resources(Recipe(source=Source(rows=[{"a": 1}]), steps=[step]), Path()), {}, frozenset(), tuple
    )
    asked: list[list[str]] = []
    ctx.encode = lambda texts, encoder=None: asked.append(list(texts)) or letters(texts)  # type: ignore
    list(step.split([{"_id": str(n), "text": text} for n, text in enumerate([CLIPS, "other"])], ctx))
    assert asked == [ITEMS, ["other"]]


def test_suspects_are_the_nearest_items_over_the_floor():
    write("test.jsonl", [{"text": "aab"}, {"text": "abb"}, {"text": "c"}, {"text": "ab"}, {"text": "aabb"}])
    (row,) = split(["ab"], tiers=["judge"], floor=0.9)
    assert [(one["item"], one["similarity"]) for one in row["suspects"]] == [
        ("test.jsonl 4", 1.0),
        ("test.jsonl 5", 1.0),
        ("test.jsonl 1", 0.9487),
    ]


def judged(model: Model, rows: list[str], **about: Any) -> Any:
    steps = [
        {"decontaminate": {"against": ["test.jsonl"], "tiers": ["exact", "judge"], "floor": 0.5, **about}},
        {"leak_check": {"model": "judge"}},
    ]
    source = Source(rows=[{"text": text} for text in rows])
    return run(Recipe(models={"judge": model.entry(temperature=0)}, source=source, steps=steps), out="out")


@pytest.fixture
def no_encoder(monkeypatch):
    monkeypatch.setattr(Resources, "encoder", lambda self, name=None: None)
    monkeypatch.setattr(Context, "encode", lambda self, texts, encoder=None: letters(texts))


def test_a_judge_decides_about_suspects_and_only_about_them(no_encoder):
    write("test.jsonl", [{"text": "abab cdcd"}, {"text": "abab"}])
    model = Model(lambda text, request: json.dumps({"same": "<item " in text and "cdcd" in text}))
    result = judged(model, ["aabb", "aabbc", "h", "abab"])
    assert [(row["detail"], row["step"], row["other"]) for row in result.rejected] == [
        ('repeats test.jsonl 1 (judge, 0.71): "abab cdcd"', "leak_check judge/contaminated", "test.jsonl 1"),
        ('repeats test.jsonl 1 (judge, 0.83): "abab cdcd"', "leak_check judge/contaminated", "test.jsonl 1"),
        ('repeats test.jsonl 2 (exact, 1.00): "abab"', "decontaminate", "test.jsonl 2"),
    ]
    assert [{k: v for k, v in row.items() if k[0] != "_"} for row in result.kept] == [{"text": "h"}]
    assert len(model.asked) == 4, "two suspects each of two rows, until one is the same"
    assert len(result.rejected[0]["_lineage"]) == 2


def test_a_judge_that_cannot_be_read_is_no_verdict(no_encoder):
    write("test.jsonl", [{"text": "abab"}])
    result = judged(Model(lambda text, request: "perhaps"), ["aabb c"])
    assert [row["reason"] for row in result.rejected] == ["unparseable"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([Decontaminate(against=["test.jsonl"], column="txt")], "did you mean 'text'?"),
        ([Decontaminate(against=["test.json"])], "no file or folder 'test.json'"),
        ([Decontaminate(against=["other.jsonl"])], "no column 'text' in its rows, which have question; name its own"),
        ([Decontaminate(against=["test.jsonl"], tiers=["judge"])], "add the step that asks: `leak_check"),
        ([LeakCheck(model="judge")], "add it before, with the tier 'judge'"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(steps, said, no_encoder):
    write("other.jsonl", [{"question": "Which?"}])
    recipe = Recipe(models={"judge": Model().entry()}, source=Source(rows=[{"text": "any"}]), steps=steps)
    with pytest.raises(InputError) as caught:
        run(recipe, out="out")
    assert said in str(caught.value)


TEXT = st.lists(st.sampled_from(["ab", "cd", "1", "it", "we", "go", "up", "x", "no", "y"]), max_size=40).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(TEXT, max_size=4), before=TEXT, cut=st.tuples(st.integers(0, 30), st.integers(10, 40)), after=TEXT
)
def test_ten_words_of_an_item_are_found_wherever_they_stand(items, before, cut, after):
    leaked = "how many of her old friends did Natalia sell clips to before she went home in the month of May then"
    some = leaked.split()[cut[0] : cut[0] + cut[1]]
    run_found = NgramIndex([*items, leaked], 10).longest(" ".join([before, *some, after]))
    if len(some) >= 10:
        assert run_found is not None
        assert run_found.words >= len(some)


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT)
def test_a_run_stands_in_the_text_and_in_the_item(item, text):
    found = NgramIndex([item], 8).longest(text)
    if found is not None:
        assert f" {found.text} " in f" {text} "
        assert found.words == len(found.text.split()) >= 6


@given(st.integers(0, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_nearest_is_what_sorting_all_gives_in_any_block(rows, items, top, seed):
    draw = np.random.default_rng(seed)
    one, other = (draw.normal(size=(n, 5)).astype(np.float32) for n in (rows, items))
    cosines = one @ other.T
    wanted = [[(int(n), float(line[n])) for n in np.argsort(-line)[:top] if line[n] > 0] for line in cosines]
    assert [[n for n, _ in near] for near in nearest(one, other, top)] == [[n for n, _ in near] for near in wanted]


@pytest.mark.encoder
def test_a_rephrased_item_is_rejected_by_its_meaning():
    write("test.jsonl", [{"text": CLIPS}, {"text": ZEROS}])
    rows = [
        "In April Natalia sold 48 clips to friends; in May she sold half that number of clips.",
        "Bake a rye bread.",
    ]
    step = Decontaminate(against=["test.jsonl"], tiers=["exact", "ngram", "meaning"])
    result = run(Recipe(source=Source(rows=[{"text": text} for text in rows]), steps=[step]), out="out")
    assert [row["other"] for row in result.rejected] == ["test.jsonl 1"]
    assert "(meaning, 0." in result.rejected[0]["detail"]
    assert [row["text"] for row in result.kept] == rows[1:]
