"""Chat templates: where the user's turn opens and ends, and where a model's template is found."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from synth_llm import Generate, InputError, ModelEntry, Recipe, Request, Source, run
from synth_llm.errors import Reject
from synth_llm.models import template
from synth_llm.models.chat_template import CHATML, ChatTemplate, of_gguf, of_path
from synth_llm.models.request import TEXT, completion
from synth_llm.plan import plan
from synth_llm.recipe import load_recipe

HEADERS = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""As Llama 3 has it."""
INST = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = messages[0].content %}"
    "{% set messages = messages[1:] %}{% endif %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% if loop.index0 % 2 %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "[INST] {% if loop.first and system is defined %}<<SYS>>\n{{ system }}\n<</SYS>>\n\n{% endif %}"
    "{{ m.content }} [/INST]{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
)
"""As Llama 2 and Mistral have it: the system message stands inside the first user's."""
ZEPHYR = (
    "{% for m in messages %}\n<|{{ m['role'] }}|>\n{{ m['content'] + eos_token }}\n{% endfor %}\n"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PLAIN = "{% for m in messages %}{{ m.role | upper }}: {{ m.content }}\n{% endfor %}ASSISTANT:"

SYSTEM = {"role": "system", "content": "S"}
TURN = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    ("source", "before", "text", "end"),
    [
        (CHATML, [], "<|im_start|>user\n", "<|im_end|>"),
        (CHATML, [SYSTEM], "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n", "<|im_end|>"),
        (
            HEADERS,
            [SYSTEM],
            "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
            "<|eot_id|>",
        ),
        (INST, [], "[INST] ", "[/INST]"),
        (INST, [SYSTEM], "[INST] <<SYS>>\nS\n<</SYS>>\n\n", "[/INST]"),
        (INST, TURN, "[INST] u [/INST] a </s>[INST] ", "[/INST]"),
        (ZEPHYR, [SYSTEM], "<|system|>\nS</s>\n<|user|>\n", "</s>"),
        (PLAIN, TURN, "USER: u\nASSISTANT: a\nUSER: ", "ASSISTANT:"),
    ],
)
def test_the_users_turn_is_open_and_has_an_end(source, before, text, end):
    assert ChatTemplate(source, "</s>").user_turn(before) == (text, (end,))


def test_messages_that_a_template_refuses_are_the_rows_failure():
    with pytest.raises(Reject, match="refuses the messages: roles must alternate"):
        ChatTemplate(INST).user_turn([{"role": "user", "content": "u"}])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for m in messages %}", "cannot be read"),
        ("Hello", "leaves the user's message out"),
        ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "refuses the messages"),
        ("{{ now() }}", "refuses the messages"),
    ],
)
def test_a_template_of_no_use_is_an_error(source, message):
    with pytest.raises(InputError, match=message):
        ChatTemplate(source).check()


def packed(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def write_gguf(path: Path, **metadata: Any) -> Path:
    """A GGUF file with metadata and nothing else: numbers, texts, lists of either."""

    def kind(value: Any) -> int:
        return 8 if isinstance(value, str) else 9 if isinstance(value, list) else 7 if value is True else 4

    def said(value: Any) -> bytes:
        if isinstance(value, str):
            return packed(value)
        if isinstance(value, list):
            return struct.pack("<IQ", kind(value[0]), len(value)) + b"".join(map(said, value))
        return struct.pack("<?" if value is True else "<I", value)

    body = b"".join(
        packed(name.replace("__", ".")) + struct.pack("<I", kind(value)) + said(value)
        for name, value in metadata.items()
    )
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, len(metadata)) + body)
    return path


def test_a_gguf_file_tells_its_template_and_end(tmp_path):
    path = write_gguf(
        tmp_path / "a.gguf",
        general__name="é",
        general__flag=True,
        tokenizer__ggml__token_type=[1, 2, 3],
        tokenizer__ggml__tokens=["<s>", "</s>", "é"],
        tokenizer__ggml__eos_token_id=1,
        tokenizer__chat_template=ZEPHYR,
    )
    assert of_gguf(path) == ChatTemplate(ZEPHYR, "</s>")


def test_a_gguf_file_without_a_template_says_so(tmp_path):
    with pytest.raises(InputError, match=r"a\.gguf: no chat template in its metadata"):
        of_gguf(write_gguf(tmp_path / "a.gguf", general__name="a"))
    (tmp_path / "b.gguf").write_bytes(b"GGUF" + bytes(30))
    with pytest.raises(InputError, match=r"b\.gguf: its metadata cannot be read"):
        of_gguf(tmp_path / "b.gguf")


@pytest.mark.parametrize("eos", ["</s>", {"content": "</s>", "lstrip": False}])
@pytest.mark.parametrize("form", ["config", "named", "file"])
def test_a_folder_tells_its_template_and_end(tmp_path, eos, form):
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": ZEPHYR}]
    forms: dict[str, Any] = {"config": {"chat_template": ZEPHYR}, "named": {"chat_template": named}}
    config = {"eos_token": eos, **forms.get(form, {})}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    if form == "file":
        (tmp_path / "chat_template.jinja").write_text(ZEPHYR)
    assert of_path(tmp_path) == ChatTemplate(ZEPHYR, "</s>")


def test_which_template_a_model_has(tmp_path):
    (tmp_path / "own.jinja").write_text(INST)
    weights = write_gguf(tmp_path / "a.gguf", tokenizer__chat_template=CHATML)

    def source(**entry: Any) -> str:
        return template("m", ModelEntry(**entry), tmp_path).source

    assert source(engine="local", model=str(weights)) == CHATML
    assert source(engine="local", model=str(weights), template="own.jinja") == INST
    assert source(engine="openai", model="gpt", template="own.jinja") == INST
    assert source(engine="vllm", model="org/name", arguments={"chat_template": "own.jinja"}) == INST
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/chat_template.jinja").write_text(HEADERS)
    assert source(engine="transformers", model="folder") == source(engine="vllm", model="folder") == HEADERS
    assert source(engine="function", function=lambda request: "") == CHATML
    with pytest.raises(InputError, match=r"model 'm' is to speak as the user: .*`template: FILE`"):
        source(engine="openai", model="gpt")


def test_another_engine_has_another_template(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "models: {writer: {engine: openai, model: a, template: own.jinja}}\nsource: {rows: [{topic: tea}]}\n"
        "steps: [{generate: {prompt: steered, model: writer}}]\n"
    )
    assert load_recipe(path)[0].models["writer"].template == "own.jinja"
    assert load_recipe(path, models=["writer=local"])[0].models["writer"].template is None


PROMPTS = {
    "steered": "---\nspeaks: user\n---\n{% system %}The user asks about {{ topic }}.{% endsystem %}",
    "bare": "---\nspeaks: user\n---\n",
    "answer": "{% system %}Only a system message: {{ topic }}.{% endsystem %}",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "prompts").mkdir()
    for name, text in PROMPTS.items():
        (tmp_path / "prompts" / f"{name}.jinja").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(prompt: str, **entry: Any) -> Recipe:
    return Recipe(
        models={"writer": ModelEntry(**entry)},
        source=Source(rows=[{"topic": "tea"}]),
        steps=[Generate(prompt=prompt, model="writer")],
    )


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("steered", "<|im_start|>system\nThe user asks about tea.<|im_end|>\n<|im_start|>user\n"),
        ("bare", "<|im_start|>user\n"),
    ],
)
def test_the_model_is_sent_the_text_before_a_user_writes(project, prompt, text):
    asked: list[Request] = []

    def model(request: Request) -> str:
        asked.append(request)
        return " How do I make tea? "

    result = run(recipe(prompt, engine="function", function=model, stop=["\n\n"]))
    assert [row["text"] for row in result.kept] == ["How do I make tea?"]
    assert [*asked[0].messages] == [{"role": TEXT, "content": text}]
    assert asked[0].sampling["stop"] == ["\n\n", "<|im_end|>"]
    assert "im_end" in asked[0].text, "both are part of the key"


def test_a_run_folder_alone_tells_what_the_model_was_sent(project):
    (project / "own.jinja").write_text(INST)
    first = run(recipe("steered", engine="function", function=lambda request: "Tea?", template="own.jinja"), out="a")
    (project / "own.jinja").unlink()
    again = run(recipe("steered", engine="replay", model="a/journal.sqlite"), out="b")
    assert [(row["_id"], row["text"]) for row in again.kept] == [(row["_id"], row["text"]) for row in first.kept]
    (project / "a/manifest.json").unlink()
    with pytest.raises(InputError, match=r"a/manifest.json: tells no chat template of model 'writer'.*template: FILE"):
        plan(recipe("steered", engine="replay", model="a/journal.sqlite"), project)


def test_an_answer_that_cannot_be_used_is_not_shown_to_a_user(project):
    asked: list[Request] = []

    def model(request: Request) -> str:
        asked.append(request)
        return " "

    (row,) = run(recipe("bare", engine="function", function=model, repairs=2)).rejected
    assert row["reason"] == "unparseable"
    assert len(asked) == 1


def test_what_cannot_speak_as_the_user_is_refused_before_any_call(project):
    with pytest.raises(InputError, match="does not tell its chat template"):
        plan(recipe("steered", engine="openai", model="gpt"), project)
    with pytest.raises(InputError, match="user last; these are system"):
        plan(recipe("answer", engine="openai", model="gpt"), project)


@pytest.mark.parametrize(
    ("head", "body", "message"),
    [
        ("speaks: dog", "", "speaks: must be one of assistant, user"),
        ("speaks: user\ngives: {a: integer}", "", "gives one text"),
        ("speaks: user", "{% user %}a{% enduser %}", "assistant last or none"),
    ],
)
def test_a_prompt_that_no_user_can_follow_is_refused(project, head, body, message):
    (project / "prompts/wrong.jinja").write_text(f"---\n{head}\n---\n{body}")
    with pytest.raises(InputError, match=message):
        plan(recipe("wrong", engine="function", function=lambda request: ""), project)


@pytest.mark.local
def test_the_default_weights_open_a_turn_and_end_it():
    from synth_llm.models.local import Local
    from synth_llm.models.weights import DEFAULT, locate

    try:
        path = locate(DEFAULT)
    except InputError as error:
        pytest.skip(str(error))
    own = of_gguf(path)
    text, ends = own.user_turn([SYSTEM, *TURN])
    turns = "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"
    assert text == f"<|im_start|>system\nS<|im_end|>\n{turns}<|im_start|>user\n"
    assert own.user_turn([])[0].startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    text, ends = own.user_turn([{"role": "system", "content": "The user asks for help with a sum."}])
    model = Local(path, slots=1, context=256)
    sampling = {"temperature": 0, "max_tokens": 100, "stop": [*ends]}

    async def asked() -> Any:
        answer = await model.answer(Request("", ({"role": TEXT, "content": text},), sampling))
        await model.close()
        return completion(answer)

    said = asyncio.run(asked())
    assert said.finish == "stop"
    assert said.text.strip()
    assert "<|" not in said.text
