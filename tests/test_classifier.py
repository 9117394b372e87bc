"""The student that is a fine-tuned encoder: a made one of a few thousand weights, and once the packaged one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_llm import InputError
from synth_llm.errors import MissingExtra
from synth_llm.student.classifier import Classifier
from synth_llm.student.registry import student
from synth_llm.student.student import Task
from tests import tiny_models

torch_needed = pytest.mark.transformers
ROWS = [
    {"text": f"{word} {number}", "label": label}
    for number in range(8)
    for word, label in (("river sea", "water"), ("hammer tool", "work"), ("cat dog", "pet"))
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def task(folder: Path, **settings: Any) -> Task:
    chosen = {"model": str(folder), "epochs": 6, "learning_rate": 5e-3, **settings}
    return Task(["text"], "label", settings=chosen)


def test_it_has_its_name_and_checks_its_settings():
    assert student("classifier") is Classifier
    with pytest.raises(InputError, match="student classifier: no setting 'epoch'; did you mean 'epochs'"):
        Classifier(Task(["text"], "label", settings={"epoch": 3}))


def test_without_transformers_there_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"synth-llm\[evaluate\]"):
        Classifier(Task(["text"], "label")).fit(ROWS)


def test_rows_are_checked_before_anything_is_loaded():
    with pytest.raises(InputError, match="at least two labels"):
        Classifier(Task(["text"], "label")).fit(ROWS[:1])


@pytest.mark.parametrize(("rows", "epochs"), [(2, 20), (200, 8), (500, 4), (5000, 3)])
def test_few_rows_are_seen_more_often(rows: int, epochs: int):
    assert Classifier(Task(["text"], "label"))._epochs(rows) == epochs
    assert Classifier(Task(["text"], "label", settings={"epochs": 2}))._epochs(rows) == 2


@torch_needed
@pytest.mark.usefixtures("one_thread")
def test_it_learns_and_the_same_seed_learns_the_same(folder: Path):
    import torch

    state = torch.random.get_rng_state()
    one, same, other = (Classifier(task(folder), seed).fit(ROWS) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state), "draws of others are left alone"
    assert one.labels == ["pet", "water", "work"]
    assert one.predict(ROWS) == [row["label"] for row in ROWS]
    new = [{"text": "cat dog 9"}, {"text": "hammer tool 9"}, {"text": "river sea 9"}]
    assert one.predict(new) == ["pet", "work", "water"]
    first, second, third = (made.predict_proba(ROWS) for made in (one, same, other))
    assert (first == second).all() and not np.allclose(first, third, atol=1e-4)
    assert first.shape == (24, 3) and np.allclose(first.sum(axis=1), 1)
    assert one.predict([]) == []


@torch_needed
@pytest.mark.usefixtures("one_thread")
def test_a_prediction_does_not_depend_on_the_rows_beside_it(folder: Path):
    made = Classifier(task(folder, epochs=1)).fit(ROWS)
    rows = [*ROWS, {"text": ""}, {"text": "sea " * 500}]
    alone = np.concatenate([made.predict_proba([row]) for row in rows])
    assert np.allclose(made.predict_proba(rows), alone, atol=1e-5)


@torch_needed
def test_it_tells_how_far_it_is(folder: Path):
    told: list[tuple[str, int, int]] = []
    settings = {"model": str(folder), "epochs": 2, "batch": 10}
    made = Task(["text"], "label", settings=settings, doing=lambda *step: told.append(step))
    Classifier(made).fit(ROWS)
    assert told == [("classifier", done, 6) for done in range(7)]


@torch_needed
@pytest.mark.usefixtures("one_thread")
def test_the_folder_goes_to_the_hub(folder: Path, tmp_path: Path):
    import torch
    from huggingface_hub import ModelCard
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    made = Classifier(task(folder, max_tokens=32), seed=3).fit(ROWS)
    made.save(tmp_path / "saved", {"data": "made rows"})
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert model.config.id2label == {0: "pet", 1: "water", 2: "work"}
    assert tokenizer.model_max_length == 32
    with torch.inference_mode():
        proba = model(**tokenizer("river", return_tensors="pt")).logits.double().softmax(-1)
    assert np.allclose(proba.numpy(), made.predict_proba([{"text": "river"}]), atol=1e-6)
    card = ModelCard.load(tmp_path / "saved" / "README.md")
    assert card.data.base_model is None and card.data.library_name == "transformers"
    assert "| Rows | 24 |" in card.text and "| Seed | 3 |" in card.text
    for file in (tmp_path / "saved").glob("*"):
        content = file.read_bytes()
        assert str(folder).encode() not in content, f"{file.name} names a folder of this machine"
        assert b"local_files_only" not in content
    again = Classifier(task(tmp_path / "saved", epochs=1)).fit([row for row in ROWS if row["label"] != "pet"])
    assert again.labels == ["water", "work"], "one that told other classes can be trained on"


@torch_needed
def test_a_model_that_cannot_be_used_is_one_line(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no weights as"):
        Classifier(task(tmp_path)).fit(ROWS)
    (tmp_path / "model.safetensors").write_bytes(b"none")
    with pytest.raises(InputError, match="cannot load it as a classifier") as caught:
        Classifier(task(tmp_path)).fit(ROWS)
    assert "\n" not in str(caught.value)
    causal = tiny_models.causal(tmp_path / "causal")
    tokenizer = tiny_models.tokenizer(causal)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(causal)
    with pytest.raises(InputError, match="its tokenizer has no padding"):
        Classifier(task(causal)).fit(ROWS)


@pytest.mark.encoder
def test_by_default_it_is_the_packaged_encoder(tmp_path: Path):
    rows = [{"text": f"{word} {row}", "label": word} for row in range(8) for word in ("wonderful", "terrible")]
    made = Classifier(Task(["text"], "label", settings={"epochs": 4})).fit(rows)
    assert made.predict([{"text": "wonderful"}, {"text": "terrible"}]) == ["wonderful", "terrible"]
    made.save(tmp_path, {})
    assert "base_model: sentence-transformers/all-MiniLM-L6-v2" in (tmp_path / "README.md").read_text()
