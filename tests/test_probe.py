"""The default student."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from synth_llm import InputError
from synth_llm.errors import MissingExtra
from synth_llm.student.probe import Probe, ProbeStudent, load, need_sklearn, word_features
from synth_llm.student.student import Task


def two_clouds(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 2
    return np.random.default_rng(0).normal(size=(n, 2)) * 0.3 + labels[:, None], labels


def test_it_learns_what_separates_labels():
    features, labels = two_clouds()
    student = Probe().fit(features, labels)
    assert (student.predict(features) == labels).mean() > 0.9
    proba = student.predict_proba(features)
    assert proba.shape == (40, 2)
    assert np.allclose(proba.sum(axis=1), 1)
    assert (proba.argmax(axis=1) == student.predict(features)).all()


def test_labels_can_be_names():
    features, labels = two_clouds()
    names = np.array(["bad", "good"])[labels]
    student = Probe().fit(features, names)
    assert student.labels is not None
    assert student.labels.tolist() == ["bad", "good"]
    assert set(student.predict(features)) == {"bad", "good"}


def test_the_same_rows_make_the_same_student():
    features, labels = two_clouds()
    one, other = (Probe().fit(features, labels).predict_proba(features) for _ in range(2))
    assert (one == other).all()


def test_one_label_is_nothing_to_learn():
    with pytest.raises(InputError, match="at least two labels"):
        Probe().fit(np.zeros((3, 2)), [1, 1, 1])


def test_words_that_two_texts_share_are_features():
    features = word_features(["a good film", "a bad film", "unheard"])
    assert features.shape == (3, 2)  # "a" and "film"
    assert features[2].nnz == 0


@pytest.mark.parametrize("texts", [["one", "two"], ["one"], ["", ""]])
def test_texts_without_a_word_in_common_have_no_word_features(texts):
    assert word_features(texts) is None


def test_signs_count_as_words():
    assert word_features(["really !", "why !", "so ."]).shape[1] == 1


def test_without_scikit_learn_there_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"synth-llm\[curate\]"):
        need_sklearn("a student")


WORDS = ("good", "bad", "dull", "film", "song")
ROWS = [{"text": f"a {word} {thing}", "label": word} for word in WORDS[:3] for thing in WORDS[3:] for _ in range(4)]


def by_word(texts: Sequence[str]) -> np.ndarray:
    """Texts as counts of words, of length one; zeros for a text without any of them."""
    counts = np.array([[text.split().count(word) for word in WORDS] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1)


def task(**changed: Any) -> Task:
    return Task(**{"columns": ["text"], "label": "label", "encode": by_word, **changed})


def test_the_student_learns_from_rows():
    student = ProbeStudent(task(), seed=1).fit(ROWS)
    assert student.labels == ["bad", "dull", "good"]
    assert student.predict([{"text": "a dull song"}, {"text": "good"}]) == ["dull", "good"]
    assert student.predict([]) == []
    proba = student.predict_proba(ROWS)
    assert proba.shape == (24, 3)
    assert np.allclose(proba.sum(axis=1), 1)
    assert not ProbeStudent.draws


def test_several_columns_are_one_text():
    rows = [{"a": row["text"], "b": "x", "label": row["label"]} for row in ROWS]
    student = ProbeStudent(task(columns=["b", "a"])).fit(rows)
    assert student.predict([{"a": "good", "b": ""}]) == ["good"]


def test_classes_may_be_numbers():
    numbers = {"good": 1, "bad": 0.0, "dull": 2}
    student = ProbeStudent(task()).fit([{**row, "label": numbers[row["label"]]} for row in ROWS])
    assert student.labels == ["0", "1", "2"]
    assert student.predict([{"text": "good"}]) == ["1"]


def test_a_class_of_one_row_is_learned():
    student = ProbeStudent(task()).fit([*ROWS, {"text": "song song song", "label": "sung"}])
    assert student.labels[-1] == "sung"
    song, film = student.predict_proba([{"text": "song"}, {"text": "film"}])[:, 3]
    assert song > 2 * film


def test_a_blank_text_is_given_the_commonest_class():
    rows = [*ROWS, *({"text": "good film", "label": "good"} for _ in range(20))]
    assert ProbeStudent(task()).fit(rows).predict([{"text": " "}, {"text": None}]) == ["good", "good"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "at least two labels"),
        (ROWS[:3], "all 3 have 'good'"),
        ([*ROWS, {"text": "x", "label": None}], "row 25 .* no 'label'"),
        ([*ROWS, {"text": "x", "label": float("nan")}], "row 25 .* no 'label'"),
        ([{"text": " ", "label": row["label"]} for row in ROWS], "has a text in text"),
    ],
)
def test_rows_that_teach_nothing_are_refused(rows: list[dict[str, Any]], said: str):
    with pytest.raises(InputError, match=said):
        ProbeStudent(task()).fit(rows)


def test_without_a_label_or_an_encoder_there_is_one_line():
    with pytest.raises(InputError, match="`label`"):
        ProbeStudent(task(label=None)).fit(ROWS)
    with pytest.raises(InputError, match="encoder"):
        ProbeStudent(task(encode=None)).fit(ROWS)


@trying(max_examples=20, deadline=None)
@given(k=st.integers(2, 5), d=st.integers(1, 6), seed=st.integers(0, 99))
def test_it_says_what_scikit_learn_says(k: int, d: int, seed: int):
    from sklearn.linear_model import LogisticRegression

    draws = np.random.default_rng(seed)
    features = draws.normal(size=(40, d)).astype(np.float32)
    labels = [str(number % k) for number in range(40)]
    rows = [{"text": str(at), "label": label} for at, label in enumerate(labels)]
    made = task(encode=lambda texts: features[[int(text) for text in texts]])
    theirs = LogisticRegression(max_iter=500).fit(features, labels).predict_proba(features)
    assert np.allclose(ProbeStudent(made).fit(rows).predict_proba(rows), theirs, atol=1e-6)


def test_what_is_saved_is_loaded_and_says_the_same(tmp_path: Path):
    for rows in (ROWS, ROWS[:16]):  # three classes, two
        student = ProbeStudent(task(), seed=7).fit(rows)
        student.save(tmp_path / "student", {"encoder": "words", "data": "my rows"})
        again = load(tmp_path / "student", by_word)
        assert again.labels == student.labels
        assert (again.predict_proba(ROWS) == student.predict_proba(ROWS)).all()
    card = (tmp_path / "student" / "README.md").read_text()
    assert "my rows" in card and "| Rows | 16 |" in card and "| Seed | 7 |" in card
    again.save(tmp_path / "copy", {})  # a loaded one can be saved
    assert load(tmp_path / "copy", by_word).predict(ROWS) == student.predict(ROWS)


def test_vectors_of_another_encoder_are_refused(tmp_path: Path):
    ProbeStudent(task()).fit(ROWS).save(tmp_path, {})
    with pytest.raises(InputError, match="vectors of 5 numbers, and is given 2"):
        load(tmp_path, lambda texts: np.ones((len(texts), 2))).predict(ROWS)


def test_a_folder_without_a_student_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="no student probe here"):
        load(tmp_path, by_word)
    ProbeStudent(task()).fit(ROWS).save(tmp_path, {})
    config = json.loads((tmp_path / "config.json").read_text())
    for broken in ({**config, "labels": ["one"]}, {"labels": 3}, [], "text"):
        (tmp_path / "config.json").write_text(json.dumps(broken))
        with pytest.raises(InputError, match="no student probe here"):
            load(tmp_path, by_word)
    (tmp_path / "config.json").write_text(json.dumps(config))
    np.savez(tmp_path / "probe.npz", weights=np.array([{"a": 1}], dtype=object), bias=np.zeros(3))
    with pytest.raises(InputError, match="no student probe here"):  # a pickle is not read
        load(tmp_path, by_word)
    (tmp_path / "probe.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match="no student probe here"):
        load(tmp_path, by_word)


@pytest.mark.encoder
def test_a_saved_student_finds_its_encoder(tmp_path: Path):
    from synth_llm.encoders import EncoderEntry, stored_encoder
    from synth_llm.models.weights import ENCODER

    packaged = stored_encoder(EncoderEntry(), tmp_path)
    student = ProbeStudent(task(encode=packaged.encode)).fit(ROWS)
    student.save(tmp_path / "saved", {"encoder": ENCODER})
    again = load(tmp_path / "saved")
    assert again.predict([{"text": "good work"}, {"text": ""}]) == student.predict(
        [{"text": "good work"}, {"text": ""}]
    )
