import asyncio
import json
import os
import random
import subprocess
import sys

import pytest

from synth_llm.errors import FatalError, InputError
from synth_llm.models.local import Local
from synth_llm.models.request import Answer, Request, completion
from synth_llm.models.weights import DEFAULT, locate

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def model():
    try:
        model = Local(locate(DEFAULT), slots=4, context=512)
    except InputError as error:
        pytest.skip(str(error))
    yield model
    asyncio.run(model.close())


def request(*texts, schema=None, draw=None, **sampling):
    roles = ["user", "assistant"] * len(texts)
    messages = tuple({"role": role, "content": text} for role, text in zip(roles, texts, strict=False))
    return Request("", messages, {"temperature": 0, "max_tokens": 16, **sampling}, schema=schema, draw=draw)


def ask(model, *requests):
    async def both():
        return await asyncio.gather(*[model.answer(one) for one in requests])

    return asyncio.run(both())


def text(answer: Answer) -> str:
    return completion(answer).text


def test_answers_do_not_depend_on_what_is_answered_beside_them(model):
    shots = ["Name an animal.", "A cat, of course.", "Name a tool.", "A hammer is one."]
    topics = ["a river", "a star", "a dish", "a game", "a plant", "a song"]
    asked = [
        request(*shots[: 2 * (i % 3)], f"Name {topic}.", temperature=t, draw=(i,), logprobs=True, max_tokens=12)
        for i, topic in enumerate(topics)
        for t in (0, 0.8)
    ]
    alone = [ask(model, one)[0] for one in asked]
    order = random.Random(1).sample(range(len(asked)), len(asked))
    together = dict(zip(order, ask(model, *[asked[i] for i in order]), strict=True))
    choices = [json.loads(answer.body)["choices"] for answer in alone]
    assert choices == [json.loads(together[i].body)["choices"] for i in range(len(asked))]


def test_another_draw_is_another_answer(model):
    one, other = ask(model, *[request("Tell me a word.", temperature=1.0, draw=(i,)) for i in range(2)])
    assert text(one) != text(other)


@pytest.mark.parametrize("words", [["positive", "negative"], ['a "quoted"\nline\\', "œuvre 🎬"], ["x"]])
def test_a_choice_is_one_of_its_words(model, words):
    (answer,) = ask(model, request("Which?", schema={"enum": words}, max_tokens=40))
    assert text(answer) in words


def test_a_schema_is_followed_on_one_line(model):
    schema = {
        "type": "object",
        "properties": {"question": {"type": "string", "maxLength": 30}, "n": {"enum": [1, 2]}},
        "required": ["question", "n"],
        "additionalProperties": False,
    }
    (answer,) = ask(model, request("A question about rain, as JSON.", schema=schema, max_tokens=100))
    said = json.loads(text(answer))
    assert list(said) == ["question", "n"], "in the order of the schema: a model thinks while it writes"
    assert text(answer) == json.dumps(said, ensure_ascii=False)


def test_stop_and_max_tokens_end_an_answer(model):
    whole, cut = ask(model, request("Count: one, two, three"), request("Count: one, two, three", max_tokens=2))
    assert completion(cut).finish == "length"
    (stopped,) = ask(model, request("Count: one, two, three", stop=[text(whole)[4:8]]))
    assert text(stopped) == text(whole)[:4]


def test_log_probabilities(model):
    (answer,) = ask(model, request("Hello", logprobs=True, top_logprobs=2, max_tokens=2))
    assert [len(token["top_logprobs"]) for token in json.loads(answer.body)["choices"][0]["logprobs"]["content"]] == [
        2
    ] * 2


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (request("word " * 2000), "context size"),
        (request("Hi", schema={"type": "nonsense"}), "nonsense"),
        (request("Hi", temperature="hot"), "temperature"),
        (request("half a pair: \udc00"), "surrogate"),
    ],
    ids=["too long", "schema", "sampling", "surrogate"],
)
def test_a_refusal_is_an_answer_of_the_row(model, bad, says):
    (answer,) = ask(model, bad)
    assert answer.status == 400
    assert says in json.loads(answer.body)["error"]["message"]


def test_damaged_weights_are_one_line(tmp_path):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(5000))
    with pytest.raises(FatalError, match=r"bad\.gguf: llama\.cpp cannot load it"):
        ask(Local(tmp_path / "bad.gguf"), request("Hi"))


BROKEN_OFF = """
import asyncio, os, pathlib, signal
from synth_llm.models.local import Local
from synth_llm.models.request import Request
from synth_llm.models.weights import DEFAULT, locate

def listens():
    rows = [line.split() for line in pathlib.Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    sockets = [os.path.realpath(f"/proc/self/fd/{fd}").rpartition("/")[2] for fd in os.listdir("/proc/self/fd")]
    return [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]

async def main():
    model = Local(locate(DEFAULT), slots=2, context=2048)
    slow = Request("", ({"role": "user", "content": "Go"},), {"max_tokens": 2000, "ignore_eos": True})
    await model.answer(Request("", slow.messages, {"max_tokens": 1}))
    assert not listens()
    tasks = [asyncio.create_task(model.answer(slow)) for _ in range(2)]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in tasks)
    BREAK_OFF
    await asyncio.sleep(0)
    [task.exception() for task in tasks if task.done() and not task.cancelled()]

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize("how", ["await model.close()", "tasks[0].cancel()", "os.kill(os.getpid(), signal.SIGINT)"])
def test_it_is_quiet_does_not_listen_and_ends_while_it_answers(model, how, tmp_path):
    code = BROKEN_OFF.replace("BREAK_OFF", how)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-X", "faulthandler", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_request_frees_its_slot(model):
    async def main():
        small = Local(model._path, slots=1, context=2048)
        slow = asyncio.create_task(small.answer(request("Go", max_tokens=2000, ignore_eos=True)))
        await asyncio.sleep(2)
        slow.cancel()
        await asyncio.wait_for(small.answer(request("Hi", max_tokens=1)), 10)
        await small.close()

    asyncio.run(main())
