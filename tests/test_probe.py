"""The default student."""

from __future__ import annotations

import numpy as np
import pytest

from synth_llm import InputError
from synth_llm.errors import MissingExtra
from synth_llm.student.probe import Probe, need_sklearn, word_features


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
