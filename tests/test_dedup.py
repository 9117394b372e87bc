"""dedup: which rows stay, what the others are said to repeat, and that a threshold is tried without a new search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import Dedup, InputError, Recipe, Row, Source, run
from synth_llm.errors import MissingExtra, Reject
from synth_llm.similar import decide as decide_module
from synth_llm.similar import pairs as pairs_module
from synth_llm.similar import searches
from synth_llm.similar.exact import normalised
from synth_llm.steps import Rejected
from synth_llm.steps.context import Context, Resources


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(number: int, **columns: Any) -> Row:
    return {"_id": f"id{number}", "_parent": None, "_lineage": [], **columns}


def letters(texts: list[str], encoder: str | None = None) -> np.ndarray:
    """Vectors of a kind: which letters the text has, and how often."""
    counts = np.array([[text.lower().count(chr(97 + at)) for at in range(26)] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def context(step: Dedup, examples: list[Row] | None = None, accepted: tuple[Row, ...] = (), **about: Any) -> Context:
    source = Source(rows=[{"text": "any"}], examples=examples)
    recipe = Recipe(source=source, steps=[step])
    ctx = Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: accepted, **about)
    ctx.encode = letters  # type: ignore[method-assign]
    return ctx


def dedup(texts: list[str], examples: list[Row] | None = None, accepted: tuple[Row, ...] = (), **given_: Any) -> Any:
    step = Dedup(**given_)
    rows = [row(n, text=text) for n, text in enumerate(texts)]
    return list(step.split(rows, context(step, examples, accepted)))


def survivors(texts: list[str], **about: Any) -> list[str]:
    return [item["text"] for item in dedup(texts, **about) if not isinstance(item, Rejected)]


def rejects(texts: list[str], **about: Any) -> list[Reject | None]:
    return [item.reject if isinstance(item, Rejected) else None for item in dedup(texts, **about)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Good film.", "good film"),
        ("Good  film", " Good\nfilm "),
        ("Is it good?", "“Is it good!”"),
        ("ｆｕｌｌ width", "full width"),
        ("Stra\u00dfe", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("It's late", "It’s late"),
    ],
)
@pytest.mark.parametrize("by", ["exact", "near", "rouge", "meaning"])
def test_what_differs_in_form_alone_is_a_duplicate(one, other, by):
    if by == "rouge" and not (one + other).isascii():
        return  # its tokens are those of rouge-score, which has no other letters
    assert survivors([one, other], by=by) == [one]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+2", "2-2"),
        ("C", "C#"),
        ("C++", "C"),
        ("a < b", "a > b"),
        ("5 %", "5 $"),
        ("-1", "1"),
        ("x = 1", "x 1"),
        ("f(x)", "f[x]"),
        ("résumé", "resume"),
        ("!", "?"),
        ("1.5", "1,6"),
    ],
)
def test_what_differs_in_meaning_is_none(one, other):
    assert survivors([one, other]) == [one, other]


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_and_leaves_something(text):
    once = normalised(text)
    assert bool(once) == bool(text)
    assert normalised(once) in (once, once.strip())


@given(st.text(st.characters(max_codepoint=127), max_size=20))
def test_plain_letters_are_normalised_like_all_others(text):
    assert normalised(f"{text} x") == normalised(f"{text} é").replace("é", "x")


def test_the_first_is_kept_and_a_duplicate_names_it():
    first, second, third = dedup(["a b", "A b.", "a c"])
    assert (first["_id"], third["_id"]) == ("id0", "id2")
    assert second.reject.reason == "duplicate"
    assert second.reject.detail == "repeats id0 (exact, 1.000)"
    assert second.reject.value == 1.0


def test_columns_are_compared_together():
    step = Dedup(column=["q", "a"])
    rows = [row(0, q="x", a="y"), row(1, q="x", a="z"), row(2, q="X", a="y!"), row(3, q="x y", a="")]
    out = list(step.split(rows, context(step)))
    assert [isinstance(item, Rejected) for item in out[:3]] == [False, False, True]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 1.0])
def test_near_decides_exactly_at_its_threshold(threshold):
    """Two texts of 40 words with one shingle a word: k shared words have Jaccard k / (80 - k)."""
    words = [f"w{n}" for n in range(40)]
    for shared in range(5, 40, 5):
        texts = [" ".join(words), " ".join(words[:shared] + [f"v{n}" for n in range(40 - shared)])]
        kept = survivors(texts, by="near", threshold=threshold, ngram=1)
        assert len(kept) == (1 if shared / (80 - shared) >= threshold else 2), shared


def test_near_says_how_near_and_finds_short_texts():
    *_, last = rejects(["the cat sat on the mat today", "the cat sat on the mat tonight"], by="near", threshold=0.5)
    assert last.detail == "repeats id0 (near, 0.667)"
    assert (last.value, last.other) == (pytest.approx(4 / 6), "id0")
    assert survivors(["yes", "no", "Yes!", ""], by="near") == ["yes", "no", ""]


def test_near_by_characters_sees_through_a_misspelling():
    texts = ["an introduction to probability theory", "an introduction to probabilty theory", "a theory of colour"]
    assert len(survivors(texts, by="near")) == 3
    assert survivors(texts, by="near", unit="char", threshold=0.6) == [texts[0], texts[2]]


def test_near_finds_repetitions_where_words_have_no_spaces():
    assert len(survivors(["今日の天気はとても良いですね", "今日の天気はとても良いです"], by="near", unit="char")) == 1


def test_rouge_is_that_of_self_instruct():
    """Seven common tokens of ten and ten are .7: a row is novel below it (Self-Instruct, section 2.2)."""
    ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    assert survivors([" ".join(ten), " ".join([*ten[:7], "x", "y", "z"])], by="rouge") == [" ".join(ten)]
    assert len(survivors([" ".join(ten), " ".join([*ten[:6], "w", "x", "y", "z"])], by="rouge")) == 2
    assert rejects(["one two three", "three two one"], by="rouge") == [None, None]


def test_rouge_tells_texts_without_latin_letters_apart():
    assert survivors(["你好", "再见", "你好", "!"], by="rouge") == ["你好", "再见", "!"]


def test_meaning_is_the_cosine_of_vectors():
    first, second, third = rejects(["abc abc", "cab", "xyz"], by="meaning")
    assert (first, third) == (None, None)
    assert (second.detail, second.other) == ("repeats id0 (meaning, 1.000)", "id0")


@given(st.lists(st.sampled_from(["a b c d", "a b c e", "A b c d.", "x", "X!", "", "2+2", "2-2"]), max_size=12))
@settings(max_examples=15, deadline=None)
def test_every_row_comes_out_once_and_near_finds_what_exact_finds(texts):
    exact, near = survivors(texts), survivors(texts, by="near", threshold=1.0)
    assert exact == near
    assert [normalised(text) for text in exact] == list(dict.fromkeys(map(normalised, texts)))
    assert len(dedup(texts)) == len(texts)


SIMILAR = ["a b c d e f", "a b c d e g", "a b c d h g", "x y z", "x y z w", "x y z w v", "q", "x x x x", "x x"]


@given(st.lists(st.sampled_from(SIMILAR), max_size=12), st.sampled_from(["near", "rouge", "meaning"]))
@settings(max_examples=20, deadline=None)
def test_a_row_goes_when_and_only_when_one_that_stayed_is_too_near(texts, by):
    """Held against the loop that says what is meant, with each pair's similarity taken from the step itself."""
    setting = {"by": by, "threshold": 0.6, **({"ngram": 1} if by == "near" else {})}
    kept: list[int] = []
    for at, reject in enumerate(rejects(texts, **setting)):
        alike = [rejects([texts[one], texts[at]], **setting)[1] for one in kept]
        assert (reject is None) == (not any(alike))
        if reject is None:
            kept.append(at)
        else:
            assert reject.value == pytest.approx(max(one.value for one in alike if one))
            assert int(reject.other[2:]) in kept


def test_the_best_of_several_stays_and_the_first_of_equals():
    step = Dedup(keep="score", by="near", ngram=1, threshold=0.5)
    scored = [("a b c d", 1), ("a b c e", 3), ("A b c d!", 2), ("a b c f", 3), ("z", None)]
    rows = [row(n, text=text, score=score) for n, (text, score) in enumerate(scored)]
    out = list(step.split(rows, context(step)))
    assert [item.reject.other if isinstance(item, Rejected) else None for item in out] == [
        "id1",
        None,
        "id1",
        "id1",
        None,
    ]
    rows[0]["score"] = "high"
    with pytest.raises(InputError, match="dedup keep: 'score' of row id0 is 'high', not a number"):
        list(step.split(rows, context(step)))


@pytest.mark.parametrize("by", ["exact", "near", "rouge", "meaning"])
def test_dedup_against_examples_files_and_earlier_rounds(by):
    Path("seen.jsonl").write_text('{"text": "Nothing."}\n{"text": "A jumpy fox."}\n')
    out = rejects(
        ["the seed is KNOWN", "this was made before", "new", "a jumpy  fox"],
        examples=[{"text": "The seed is known."}],
        accepted=(row(7, text="This was made before."),),
        by=by,
        against=["examples", "seen.jsonl"],
    )
    assert [reject and reject.other for reject in out] == ["examples 1", "id7", None, "seen.jsonl 2"]
    assert out[0].detail == f"repeats examples 1 ({by}, 1.000)"
    assert len(survivors(["the seed is KNOWN"], examples=[{"text": "The seed is known."}], by=by)) == 1


def test_similar_to_other_data_is_a_repetition_too():
    out = rejects(["a b c d e", "v w x y z"], examples=[{"text": "a b c d f"}], by="rouge", against=["examples"])
    assert [reject and reject.detail for reject in out] == ["repeats examples 1 (rouge, 0.800)", None]


@pytest.mark.parametrize(("by", "lower"), [("near", 0.65), ("rouge", 0.6), ("meaning", 0.88)])
def test_another_threshold_is_decided_without_a_search(by, lower, monkeypatch, tmp_path):
    texts = [" ".join(f"w{n}" for n in range(start, start + 20)) for start in range(5)] + [
        "abc " * start for start in range(1, 4)
    ]
    rows = [row(n, text=text) for n, text in enumerate(texts)]

    def stay(threshold: float | None, folder: Path | None) -> list[Any]:
        step = Dedup(by=by, threshold=threshold)
        return list(step.split(rows, context(step, folder=folder)))

    fresh = {threshold: stay(threshold, None) for threshold in (None, lower, 0.95)}
    assert str(stay(None, tmp_path)) == str(fresh[None])
    for search in ("near_pairs", "rouge_pairs", "meaning_pairs"):
        monkeypatch.setattr(searches, search, None)
    assert str(stay(lower, tmp_path)) == str(fresh[lower])
    assert str(stay(0.95, tmp_path)) == str(fresh[0.95])
    (stored,) = (tmp_path / ".cache").glob("pairs-*.npz")
    stored.write_bytes(stored.read_bytes()[:100])
    monkeypatch.undo()
    assert str(stay(0.95, tmp_path)) == str(fresh[0.95])  # a damaged file is made again


@pytest.mark.parametrize("by", ["near", "rouge", "meaning"])
def test_rows_of_which_nearly_all_are_alike_are_decided_block_by_block(by, monkeypatch):
    random = np.random.default_rng(0)
    texts = [
        " ".join("abcdefghijklmnop"[at] for at in sorted(random.choice(16, 12, replace=False))) for _ in range(300)
    ]
    accepted = (row(1000, text=texts[7]), row(1001, text=texts[200]))
    about = {"by": by, "threshold": 0.8, "accepted": accepted, **({"ngram": 1} if by == "near" else {})}
    at_once = rejects(texts, **about)
    for module in (pairs_module, searches.meaning_pairs.__globals__):
        monkeypatch.setitem(module if isinstance(module, dict) else module.__dict__, "LIMIT", 500)
    monkeypatch.setattr(decide_module, "BLOCK", 64)
    in_blocks = rejects(texts, **about)
    assert [str(reject) for reject in in_blocks] == [str(reject) for reject in at_once]
    assert 0 < sum(reject is None for reject in in_blocks) < 200


def test_what_a_round_accepted_is_not_sketched_again(monkeypatch):
    from synth_llm.similar import minhash

    texts, seen = [f"row {n} with some words of its own {n * n}" for n in range(50)], []
    real = minhash._band_keys
    monkeypatch.setattr(minhash, "_band_keys", lambda *given_: seen.append(len(given_[1])) or real(*given_))
    step = Dedup(by="near")
    first = [row(n, text=text) for n, text in enumerate(texts[:40])]
    ctx = context(step)
    assert len(list(step.split(first, ctx))) == 40
    later = [row(n, text=text) for n, text in enumerate(texts[40:], 40)]
    ctx.accepted = lambda: first
    ctx.new_round()
    assert len(list(step.split(later, ctx))) == 10
    assert seen == [40, 10]


def test_similarities_are_noted_beside_the_threshold():
    step = Dedup(by="rouge")
    ctx = context(step)
    list(step.split([row(n, text=text) for n, text in enumerate(["a b c d e", "a b c d f", "a b c x e y z"])], ctx))
    noted = ctx.notes.scores["rouge similarity"]
    assert (noted.kept, noted.rejected) == (1, 1)


def test_dedup_names_what_it_lacks(monkeypatch):
    def error(step: Dedup, have: set[str], **about: Any) -> str:
        with pytest.raises(InputError) as caught:
            step.columns(frozenset(have), context(step, **about).use)
        return str(caught.value)

    assert "dedup needs column 'text'; the rows have txt" in error(Dedup(), {"txt"})
    assert "dedup keep needs column 'score'; the rows have scores, text" in error(
        Dedup(keep="score"), {"text", "scores"}
    )
    assert "no column 'text'" in error(Dedup(against=["examples"]), {"text"}, examples=[{"t": "x"}])
    monkeypatch.setitem(__import__("sys").modules, "rapidfuzz", None)
    with pytest.raises(MissingExtra, match="dedup by: rouge needs the extra 'curate'"):
        Dedup(by="rouge").columns(frozenset({"text"}), context(Dedup(by="rouge")).use)


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"threshold": 0.5}, "'threshold' goes with `by: near | rouge | meaning`, not with `by: exact`"),
        ({"by": "rouge", "ngram": 2}, "'ngram' goes with `by: near`, not with `by: rouge`"),
        ({"by": "near", "encoder": "small"}, "'encoder' goes with `by: meaning`"),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(settings_, said):
    with pytest.raises(ValueError, match="goes with") as caught:
        Dedup(**settings_)
    assert said in str(caught.value)


def test_a_run_says_what_each_row_repeats():
    rows = [{"text": "Write a poem about the sea."}, {"text": "write a poem about the sea"}, {"text": "Sing."}]
    result = run(Recipe(source=Source(rows=rows), steps=[Dedup(by="near")]))
    assert (len(result.kept), len(result.rejected)) == (2, 1)
    assert result.rejected[0]["other"] == result.kept[0]["_id"]
