"""The engine transformers on models that are made here, and on the embedded model's weights."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from synth_llm.errors import FatalError, InputError
from synth_llm.models.request import Answer, Request, completion
from synth_llm.models.transformers import Transformers
from tests import tiny_models

pytestmark = [pytest.mark.transformers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def causal(folders: Path) -> Path:
    return tiny_models.causal(folders / "causal")


@pytest.fixture(scope="module")
def model(causal: Path) -> Any:
    return Transformers(str(causal), batch=16)


def request(*texts: str, schema: Any = None, draw: Any = None, role: str = "user", **sampling: Any) -> Request:
    messages = tuple({"role": role, "content": text} for text in texts)
    return Request("", messages, {"temperature": 0, "max_tokens": 12, **sampling}, schema=schema, draw=draw)


def ask(model: Transformers, *requests: Request) -> list[Answer]:
    async def together() -> list[Answer]:
        return await asyncio.gather(*[model.answer(one) for one in requests])

    return asyncio.run(together())


def text(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return completion(answer).text


def choice(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body)["choices"][0])


def reference(folder: Path, prompt: str, special: bool = False, **settings: Any) -> str:
    """What the library itself says."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    auto = AutoModelForSeq2SeqLM if config.get("is_encoder_decoder") else AutoModelForCausalLM
    model = auto.from_pretrained(folder).eval()
    read = tokenizer(prompt, return_tensors="pt", add_special_tokens=special)
    settings = {"do_sample": False, "max_new_tokens": 12, "pad_token_id": 2, **settings}
    (out,) = model.generate(input_ids=read["input_ids"], attention_mask=read["attention_mask"], **settings)
    begin = 0 if config.get("is_encoder_decoder") else read["input_ids"].shape[1]
    return str(tokenizer.decode(out[begin:], skip_special_tokens=True))


def test_greedy_answers_are_the_library_s(model: Transformers, causal: Path) -> None:
    for settings in ({}, {"repetition_penalty": 1.5}, {"no_repeat_ngram_size": 2}):
        (answer,) = ask(model, request("Name a tool.", **settings))
        assert text(answer) == reference(causal, "<s>user: Name a tool.</s><s>assistant:", **settings)
    usage = json.loads(answer.body)["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + 12


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.0}, {"temperature": 0.8, "top_p": 0.9}])
def test_answers_do_not_depend_on_what_is_answered_beside_them(model: Transformers, sampling: Any) -> None:
    asked = [
        request("Name " + "a river and " * (3 * i % 8) + "a star.", draw=(i,), repetition_penalty=1.3, **sampling)
        for i in range(8)
    ]
    alone = [choice(ask(model, one)[0]) for one in asked]
    assert [choice(answer) for answer in ask(model, *reversed(asked))] == alone[::-1]
    assert len({one["message"]["content"] for one in alone}) == 8


def test_tokens_are_drawn_by_their_probabilities(causal: Path) -> None:
    many = Transformers(str(causal), batch=500)
    settings = {"temperature": 1.5, "max_tokens": 1, "return_token_ids": True, "top_k": 8}
    answers = ask(many, *[request("Hi", draw=(i,), **settings) for i in range(2000)])
    drawn = Counter(choice(answer)["token_ids"][0] for answer in answers)
    (free,) = ask(many, request("Hi", logprobs=8, max_tokens=1, return_token_ids=True))
    top = choice(free)["logprobs"]["content"][0]["top_logprobs"]
    weights = [math.exp(one["logprob"] / 1.5) for one in top]
    shares = sorted((weight / sum(weights) for weight in weights), reverse=True)
    assert len(drawn) == 8
    assert sorted((n / 2000 for n in drawn.values()), reverse=True) == pytest.approx(shares, abs=0.04)


def test_log_probabilities_and_token_ids(model: Transformers) -> None:
    chat, plain = ask(
        model,
        request("Hi", logprobs=2, max_tokens=3, return_token_ids=True),
        request("Hi", role="text", logprobs=2, max_tokens=3, return_token_ids=True),
    )
    content = choice(chat)["logprobs"]["content"]
    assert [len(token["top_logprobs"]) for token in content] == [2, 2, 2]
    assert all(token["logprob"] == token["top_logprobs"][0]["logprob"] <= 0 for token in content)  # greedy
    assert len(choice(chat)["token_ids"]) == 3
    logprobs = choice(plain)["logprobs"]
    assert len(logprobs["tokens"]) == len(logprobs["token_logprobs"]) == len(logprobs["top_logprobs"]) == 3
    assert "message" not in choice(plain)


def test_stop_texts_and_max_tokens_end_an_answer(model: Transformers) -> None:
    (whole,) = ask(model, request("Name a tool."))
    said = text(whole)
    (stopped,) = ask(model, request("Name a tool.", stop=[said[4:6], "never"], max_tokens=50))
    assert text(stopped) == said[: said.index(said[4:6])]
    assert completion(stopped).finish == "stop"
    (cut,) = ask(model, request("Name a tool.", max_tokens=2))
    assert (completion(cut).finish, completion(cut).completion_tokens) == ("length", 2)


def test_an_answer_ends_where_the_context_does(model: Transformers) -> None:
    endless = {"max_tokens": 500, "suppress_tokens": [1]}
    for answer in ask(model, request("a cat " * 18, **endless), request("Hi", **endless)):
        assert json.loads(answer.body)["usage"]["total_tokens"] == 128
        assert completion(answer).finish == "length"


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}, "n": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["name", "n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_schema_is_followed(model: Transformers, temperature: float) -> None:
    asked = [request("Hi", schema=SCHEMA, max_tokens=60, temperature=temperature, draw=(i,)) for i in range(8)]
    for answer in ask(model, *asked):
        record = json.loads(text(answer))
        assert set(record) == {"name", "n"}
        assert len(record["name"]) <= 5 and 1 <= record["n"] <= 5
        assert completion(answer).finish == "stop"


@pytest.mark.parametrize("words", [["positive", "negative"], ['a "quoted"\nline\\', "œuvre 🎬"], ["x"], ["a", "a cat"]])
def test_a_choice_is_one_of_its_words(model: Transformers, words: list[str]) -> None:
    answers = ask(
        model, *[request("Hi", schema={"enum": words}, temperature=2, draw=(i,), max_tokens=40) for i in range(4)]
    )
    assert {text(answer) for answer in answers} <= set(words)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (request("word " * 200), "context holds 128"),
        (request("Hi", schema={"type": "nonsense"}), "nonsense"),
        (request("half a pair: \udc00"), "Input"),
        (request("Hi", role="tool"), "no tools here"),
    ],
    ids=["too long", "schema", "surrogate", "template"],
)
def test_a_refusal_is_an_answer_of_the_row(model: Transformers, bad: Request, says: str) -> None:
    refused, fine = ask(model, bad, request("Hi"))
    assert refused.status == 400
    assert says in json.loads(refused.body)["error"]["message"]
    assert text(fine)


def test_a_text_to_go_on_with_keeps_its_space(model: Transformers, causal: Path) -> None:
    (answer,) = ask(model, request("The river runs", role="text"))
    assert text(answer) == reference(causal, "The river runs", special=True)


def test_without_a_template_one_message_is_a_text(folders: Path) -> None:
    plain = Transformers(str(tiny_models.causal(folders / "plain", template=None)))
    assert text(ask(plain, request("The river"))[0])
    with pytest.raises(FatalError, match=r"no chat template.*api: completions"):
        ask(plain, request("a", "b"))


def test_a_thought_that_the_template_begins_is_kept_apart(folders: Path) -> None:
    template = tiny_models.TEMPLATE.replace("assistant:{% endif %}", "assistant:<think>\n{% endif %}")
    thinking = Transformers(str(tiny_models.causal(folders / "thinking", template=template)))
    (answer,) = ask(thinking, request("Hi"))
    assert choice(answer)["message"]["content"].startswith("<think>")
    assert completion(answer).reasoning


def test_seq2seq(folders: Path) -> None:
    folder = tiny_models.seq2seq(folders / "seq2seq")
    t5 = Transformers(str(folder))
    lines, other = request("a cat", "a dog and the sea"), request("a hammer")
    alone = [text(ask(t5, one)[0]) for one in (lines, other)]
    assert [text(one) for one in ask(t5, lines, other)] == alone
    assert alone[0] == reference(folder, "a cat\na dog and the sea", special=True)
    assert alone[0] != alone[1]
    beams = [request("a cat", num_beams=3), request("the river runs", num_beams=3)]
    found = [text(one) for one in ask(t5, *beams)]
    assert found == [reference(folder, one.messages[0]["content"], special=True, num_beams=3) for one in beams]
    (drawn,) = ask(t5, request("a cat", temperature=2, draw=(1,)))
    assert text(drawn) != alone[0]
    with pytest.raises(FatalError, match=r"num_beams needs temperature 0"):
        ask(t5, request("a cat", num_beams=3, temperature=1))
    with pytest.raises(InputError, match=r"no languages to choose from"):
        ask(Transformers(str(folder), languages=("eng_Latn", "fra_Latn")), other)


def test_a_translation_goes_into_its_language(folders: Path) -> None:
    folder = tiny_models.translator(folders / "translator")
    (answer,) = ask(
        Transformers(str(folder), languages=("eng_Latn", "fra_Latn")), request("abc", return_token_ids=True)
    )
    from transformers import AutoTokenizer

    assert choice(answer)["token_ids"][0] == AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("fra_Latn")
    with pytest.raises(InputError, match=r"no language 'fra_Latin'; did you mean 'fra_Latn'"):
        ask(Transformers(str(folder), languages=("eng_Latn", "fra_Latin")), request("abc"))
    with pytest.raises(InputError, match=r"needs its languages: translate:"):
        ask(Transformers(str(folder)), request("abc"))


def test_an_adapter_is_applied_to_its_base(causal: Path, folders: Path) -> None:
    from peft import AutoPeftModelForCausalLM

    folder = tiny_models.adapter(folders / "adapter", causal)
    tuned = Transformers(str(folder))
    assert tuned.revision != Transformers(str(causal)).revision
    (answer,) = ask(tuned, request("Name a tool."))
    merged = folders / "merged"
    AutoPeftModelForCausalLM.from_pretrained(folder).merge_and_unload().save_pretrained(merged)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(causal / name, merged)
    prompt = "<s>user: Name a tool.</s><s>assistant:"
    assert text(answer) == reference(merged, prompt) != reference(causal, prompt)


def changed(causal: Path, folder: Path, name: str, content: bytes | None) -> Transformers:
    shutil.copytree(causal, folder)
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    return Transformers(str(folder))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.safetensors", b"damaged", "transformers cannot load it"),
        ("config.json", b'{"model_type": "none"}', "transformers cannot load it"),
        ("config.json", b'{"auto_map": {"AutoConfig": "a--b.C"}}', "transformers cannot load it"),
        ("tokenizer.json", b"{}", "transformers cannot load it"),
    ],
)
def test_an_unusable_folder_is_one_line(causal: Path, tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        ask(changed(causal, tmp_path / "bad", name, content), request("Hi"))
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_pickled_weights_are_refused(causal: Path, tmp_path: Path) -> None:
    shutil.copytree(causal, tmp_path / "bin")
    (tmp_path / "bin" / "model.safetensors").rename(tmp_path / "bin" / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no weights as \*\.safetensors.*save_pretrained"):
        ask(Transformers(str(tmp_path / "bin")), request("Hi"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"device": "tpu"}, "device: 'tpu' is not here; there is .*cpu"),
        ({"dtype": "int3"}, "dtype: 'int3' is none of float32"),
    ],
)
def test_a_setting_that_cannot_be(causal: Path, settings: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        ask(Transformers(str(causal), **settings), request("Hi"))


def test_a_name_that_is_nowhere() -> None:
    with pytest.raises(InputError, match=r"no folder 'org/gone', and the Hub does not give it"):
        ask(Transformers("org/gone"), request("Hi"))


def test_a_batch_that_does_not_fit_is_halved(model: Transformers, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth_llm.models import transformers

    sizes, decode = [], transformers.decode

    def small(pretrained: Any, rows: Any, sampling: Any) -> None:
        sizes.append(len(rows))
        if len(rows) > 2 or "huge" in pretrained.text(rows[0].ids):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        decode(pretrained, rows, sampling)

    asked = [request(f"Name {i}.") for i in range(8)]
    before = [choice(answer) for answer in ask(model, *asked)]
    monkeypatch.setattr(transformers, "decode", small)
    monkeypatch.setattr(model, "_fits", 16)
    assert [choice(answer) for answer in ask(model, *asked)] == before
    assert sizes == [8, 4, 2, 2, 2, 2]
    huge, fine = ask(model, request("huge"), request("Hi"))
    assert huge.status == 400 and b"memory" in huge.body and fine.status == 200


def test_what_nobody_waits_for_is_broken_off(model: Transformers, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth_llm.models import transformers

    seen: list[Any] = []
    decode = transformers.decode
    monkeypatch.setattr(transformers, "decode", lambda *args: (seen.extend(args[1]), decode(*args)))

    async def main() -> None:
        endless = {"max_tokens": 100, "suppress_tokens": [1]}
        task = asyncio.create_task(model.answer(request("Go", **endless)))
        while not seen or len(seen[0].said) < 3:  # noqa: ASYNC110  the model does not say when
            await asyncio.sleep(0.001)
        task.cancel()
        await model.answer(request("Hi", max_tokens=1))

    asyncio.run(main())
    assert 3 <= len(seen[0].said) < 100


def test_what_a_folder_says_of_cutting_is_not_followed(folders: Path) -> None:
    folder = tiny_models.seq2seq(folders / "cutting")
    path = folder / "generation_config.json"
    settings = {"forced_eos_token_id": 1, "max_length": 5, "num_beams": 2, "top_k": 1, "do_sample": True}
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    model = Transformers(str(folder))
    for asked in (request("a cat", logprobs=0), request("a cat"), request("a cat", temperature=1, draw=(1,))):
        (answer,) = ask(model, asked)
        assert (completion(answer).finish, completion(answer).completion_tokens) == ("length", 12)


def test_half_precision(causal: Path) -> None:
    assert text(ask(Transformers(str(causal), dtype="bfloat16"), request("Hi"))[0])


def test_a_recipe_names_the_engine(causal: Path) -> None:
    from synth_llm.models import ENGINES, identity
    from synth_llm.recipe import ModelEntry

    entry = ModelEntry(engine="transformers", model="causal", temperature=0)
    model = ENGINES["transformers"](entry, causal.parent)
    assert (model.name, model.revision) == identity(entry, causal.parent)
    assert text(asyncio.run(model.answer(request("Hi"))))


@pytest.mark.local
def test_the_embedded_model_s_weights() -> None:
    from synth_llm.models.convert import folder_of
    from synth_llm.models.weights import DEFAULT, locate

    try:
        folder = folder_of(locate(DEFAULT))
    except InputError as error:
        pytest.skip(str(error))
    small = Transformers(str(folder))
    schema = {"enum": ["Paris", "Rome"]}
    paris, chosen = ask(small, request("What is the capital of France?"), request("A city in Italy?", schema=schema))
    assert "Paris" in text(paris)
    assert text(chosen) in schema["enum"]
