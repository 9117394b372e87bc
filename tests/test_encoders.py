"""Encoders by name: what an entry may say, what is refused before anything is loaded, and the packaged one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from synth_llm import embed_local, encoders
from synth_llm.encoders import EncoderEntry, revision, stored_as, stored_encoder
from synth_llm.errors import InputError, MissingExtra
from synth_llm.mock import Mock
from synth_llm.models import weights
from synth_llm.recipe import Recipe
from synth_llm.steps.context import Context, Resources


def lengths(texts: list[str]) -> list[list[float]]:
    return [[1.0, float(len(text))] for text in texts]


def resources(tmp_path: Path, **entries: EncoderEntry) -> Resources:
    source: Any = {"grid": {"a": [1]}}
    steps: Any = [{"dedup": {"column": "a"}}]
    return Resources(Recipe(source=source, steps=steps, encoders=entries), tmp_path)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"engine": "openai"}, "needs 'model'"),
        ({"engine": "model2vec"}, "needs 'model'"),
        ({"engine": "function"}, "needs a Python function"),
        ({"engine": "openai", "model": "m", "dtype": "bfloat16"}, "no setting 'dtype'"),
        ({"model": "m", "url": "http://localhost/v1"}, "no setting 'url'.*'openai'"),
        ({"engine": "openai", "model": "m", "url": "localhost:80"}, "url: is no address"),
        (
            {"engine": "openai", "model": "m", "url": "http://me:secret@host/v1"},
            "url: is no address without a password",
        ),
        ({"engine": "openai", "model": "m", "key_env": "sk-0123456789"}, "key_env: is no name"),
        ({"engine": "openai", "model": "m", "key_env": "A1b2C3d4E5f6G7h8I9j0"}, "key_env: is no name"),
        ({"engine": "onnx"}, "engine"),
        ({"batch": 0}, "batch"),
        ({"model": "m", "trust_remote_code": True}, "trust_remote_code"),
    ],
)
def test_settings_that_do_not_fit_are_refused(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as error:
        EncoderEntry.model_validate(entry)
    assert "me:secret" not in error.value.errors()[0]["msg"]


def test_an_encoder_of_the_recipe_is_found_by_name_and_opened_once(tmp_path: Path) -> None:
    use = resources(tmp_path, mine=EncoderEntry(engine="function", function=lengths))
    assert use.encoder("mine") is use.encoder("mine")
    assert use.encoder("mine").name == "lengths"
    with pytest.raises(InputError, match=r"^no encoder 'mime' in this recipe; did you mean 'mine'"):
        use.encoder("mime")


def test_a_step_gets_vectors_and_tells_how_far_it_is(tmp_path: Path) -> None:
    use, told = resources(tmp_path, mine=EncoderEntry(engine="function", function=lengths)), list[str]()
    ctx = Context("near", 0, use, {}, frozenset(), lambda: (), doing=told.append)
    vectors = ctx.encode(["abc", " ", "abc", "a"], "mine")
    assert vectors.dtype == np.float32 and vectors.shape == (4, 2)
    assert vectors[0] == pytest.approx(np.array([1, 3]) / np.sqrt(10)) and not vectors[1].any()
    assert np.array_equal(vectors[0], vectors[2])
    assert told == ["near: embedding 0 of 2", ""]
    ctx.encode(["abc"], "mine")
    assert use.encoder("mine").encoded == 2 and len(told) == 2


def test_without_a_package_or_weights_the_command_that_gets_them_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"^an encoder needs the extra 'embed': pip install"):
        resources(tmp_path).encoder()
    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(weights, "_places", lambda name: [tmp_path / "gone"])
    with pytest.raises(InputError, match=r"not on this machine: synth-llm fetch all-minilm-l6-v2$"):
        resources(tmp_path).encoder()
    with pytest.raises(InputError, match="neither a folder nor a name on the Hub"):
        resources(tmp_path, mine=EncoderEntry(model="../no/where")).encoder("mine")


def test_an_endpoint_is_an_encoder_whose_vectors_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_LLM_CACHE", str(tmp_path / "cache"))
    with Mock() as mock:
        entry = EncoderEntry(engine="openai", model="m", url=mock.url, dimensions=32)
        first = stored_encoder(entry, tmp_path).encode(["a cat", "a dog"])
        sent = mock.stats.requests
        again = stored_encoder(entry, tmp_path).encode(["a dog", "a cat"])
        assert mock.stats.requests == sent > 0
    assert first.shape == (2, 32) and np.array_equal(first, again[::-1])
    assert len(list((tmp_path / "cache" / "vectors").glob("m-*.sqlite"))) == 1


def test_what_makes_other_vectors_is_stored_elsewhere(tmp_path: Path) -> None:
    entries = [
        EncoderEntry(),
        EncoderEntry(dtype="bfloat16"),
        EncoderEntry(dimensions=64),
        EncoderEntry(engine="openai", model="m"),
        EncoderEntry(engine="openai", model="m", revision="2"),
        EncoderEntry(engine="openai", model="m", url="http://localhost:1/v1"),
        EncoderEntry(engine="function", function=lengths, revision="1"),
    ]
    names = [stored_as(entry, entry.model or "x", revision(entry, tmp_path)) for entry in entries]
    assert len(set(names)) == len(entries) and None not in names
    assert stored_as(EncoderEntry(batch=7), "x", revision(EncoderEntry(), tmp_path)) == names[0]
    assert stored_as(EncoderEntry(engine="function", function=lengths), "lengths", "") is None


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name / "1_Pooling").mkdir(parents=True)
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
        (tmp_path / name / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "three" / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    one, two, three = (revision(EncoderEntry(model=name), tmp_path) for name in ("one", "two", "three"))
    assert one == two != three
    assert stored_as(EncoderEntry(model="a/one"), "a/one", one) == stored_as(EncoderEntry(model="one"), "one", one)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no encoder here"),
        ({"modules.json": "{"}, r"modules\.json: cannot be read"),
        ({"modules.json": '[{"type": "os.path"}]'}, "'os.path' is code of its own"),
        ({"modules.json": "[]", "pytorch_model.bin": "x"}, "pickled"),
        ({"modules.json": "[]", "2_Dense/pytorch_model.bin": "x"}, "pickled"),
    ],
)
def test_a_folder_that_is_none_or_runs_code_is_refused(tmp_path: Path, files: dict[str, str], says: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says):
        embed_local.SentenceEncoder(tmp_path)


@pytest.mark.parametrize("slow", [True, False])
def test_a_slow_choice_is_told(slow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(embed_local, "bfloat16_is_slow", lambda: slow)
    monkeypatch.setattr(embed_local, "SentenceEncoder", lambda *settings: settings)
    monkeypatch.setattr(encoders, "locate", lambda name: tmp_path)
    opened: Any = encoders.open_encoder(EncoderEntry(dtype="bfloat16"), tmp_path, said.append)
    assert opened == (tmp_path, "bfloat16", 32, None)
    assert ["slower than float32" in one for one in said] == [True] * slow


def test_importing_is_cheap() -> None:
    code = "import sys, synth_llm.encoders, synth_llm.vectors, synth_llm.similar.meaning; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "torch", "sentence_transformers", "model2vec", "transformers", "huggingface_hub", "threadpoolctl"}
    assert not heavy & set(run.stdout.split())


TEXTS = ["How do I bake bread?", "What is the way to bake a loaf?", "The stock market fell today.", "x " * 2000]


@pytest.mark.encoder
def test_the_packaged_encoder_knows_what_is_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    encoder = resources(tmp_path).encoder()
    vectors = encoder.encode([*TEXTS, "", "half \ud800 pair"])
    assert (encoder.name, vectors.shape) == ("all-minilm-l6-v2", (6, 384))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 0, 1], abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.7 > 0.2 > vectors[0] @ vectors[2]
    again = resources(tmp_path).encoder()
    assert np.array_equal(again.encode(TEXTS), vectors[:4]) and again.encoded == 0
    assert capfd.readouterr() == ("", ""), "the libraries say nothing"


@pytest.mark.encoder
def test_bfloat16_ranks_alike_and_dimensions_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = stored_encoder(EncoderEntry(), tmp_path).encode(TEXTS)
    brief = stored_encoder(EncoderEntry(dtype="bfloat16"), tmp_path).encode(TEXTS)
    assert np.einsum("nd,nd->n", exact, brief).min() > 0.999
    cut = stored_encoder(EncoderEntry(dimensions=64), tmp_path).encode(TEXTS)
    assert cut.shape == (4, 64) and np.linalg.norm(cut, axis=1) == pytest.approx(1)


@pytest.mark.encoder
def test_a_folder_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InputError, match=r"cannot be loaded as an encoder: ") as error:
        stored_encoder(EncoderEntry(model=str(tmp_path)), tmp_path).encode(["a"])
    assert "\n" not in str(error.value)


@pytest.mark.encoder
def test_a_static_model_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model2vec = pytest.importorskip("model2vec")
    tokenizers = pytest.importorskip("tokenizers")
    monkeypatch.setenv("SYNTH_LLM_CACHE", str(tmp_path / "cache"))
    words = {"[UNK]": 0, "[PAD]": 1, "cat": 2, "dog": 3, "ship": 4}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    table = np.array([[0, 0], [0, 0], [1, 0.1], [1, 0], [0, 1]], np.float32)
    model2vec.StaticModel(table, tokenizer).save_pretrained(str(tmp_path / "static"))
    encoder = stored_encoder(EncoderEntry(engine="model2vec", model="static"), tmp_path)
    cat, dog, ship, unknown = encoder.encode(["cat", "dog", "ship", "zebra"])
    assert cat @ dog > 0.9 > 0.2 > cat @ ship
    assert not unknown.any()
