import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synth_llm.errors import FatalError, InputError, MissingExtra
from synth_llm.models.request import Request, completion
from synth_llm.models.vllm import Served, Vllm
from synth_llm.models.vllm_server import flags
from tests import fake_vllm


@pytest.fixture
def vllm(monkeypatch):
    return fake_vllm.install(monkeypatch)


def request(text, schema=None, draw=None, role="user", **sampling):
    messages = ({"role": role, "content": text},)
    return Request("", messages, {"temperature": 0, "max_tokens": 3, **sampling}, schema=schema, draw=draw)


def ask(*requests, model="org/model", engine=Vllm, **settings):
    """The answers, or what was raised."""

    async def main():
        one = engine(model, **settings)
        try:
            return await asyncio.gather(*[one.answer(each) for each in requests], return_exceptions=True)
        finally:
            await one.close()

    return asyncio.run(main())


def test_an_answer_has_the_shape_of_a_chat_completion(vllm):
    (answer,) = ask(request("Hi", logprobs=1, return_token_ids=True))
    body = json.loads(answer.body)
    assert completion(answer)[:4] == ("aaa", "length", 2, 3)
    assert body["choices"][0]["token_ids"] == [7, 7, 7]
    token = body["choices"][0]["logprobs"]["content"][0]
    assert (token["token"], token["logprob"]) == ("a", -0.1)
    assert [one["token"] for one in token["top_logprobs"]] == ["a"]


def test_a_text_is_gone_on_with_without_a_template(vllm):
    (answer,) = ask(request("Once upon", role="text", logprobs=3))
    assert vllm.engine.added[0][1] == {"prompt_token_ids": [0, 4, 4]}
    choice = json.loads(answer.body)["choices"][0]
    assert choice["text"] == completion(answer).text == "aaa"
    assert choice["logprobs"]["top_logprobs"][0]["c"] < -1000, "JSON has no infinity"


def test_what_a_request_says_reaches_the_sampler(vllm):
    drawn = request("Hi", draw=(1,), top_k=5, stop=["x"])
    ask(request("Hi"), drawn)
    plain, seeded = (params.given for _, _, params in vllm.engine.added)
    assert plain == {"temperature": 0, "max_tokens": 3, "top_k": 0, "output_kind": 2}
    assert seeded == {**plain, "top_k": 5, "stop": ["x"], "seed": drawn.seed}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [({"enum": ["a", "b"]}, {"choice": ["a", "b"]}), ({"type": "object"}, {"json": {"type": "object"}})],
)
def test_a_schema_binds_the_answer_in_new_and_old_versions(vllm, monkeypatch, schema, sent):
    ask(request("Hi", schema=schema))
    assert vllm.engine.added[0][2].given["structured_outputs"].given == sent
    home = vllm.sampling_params
    monkeypatch.delattr(home, "StructuredOutputsParams")
    home.GuidedDecodingParams = lambda **given: ("guided", given)

    def old(temperature, max_tokens, output_kind, guided_decoding=None):
        return fake_vllm.Params(locals())

    home.SamplingParams.from_optional = old
    ask(request("Hi", schema=schema))
    assert vllm.engine.added[1][2].given["guided_decoding"] == ("guided", sent)


def test_requests_that_wait_together_join_in_the_order_of_their_prompts(vllm):
    texts = ["b 1", "a 2", "b 3", "a 4"]

    async def main():
        vllm.may_load.clear()
        model = Vllm("org/model")
        tasks = [asyncio.create_task(model.answer(request(text))) for text in texts]
        await asyncio.sleep(0.05)
        vllm.may_load.set()
        answers = await asyncio.gather(*tasks)
        await model.close()
        return answers

    assert len(asyncio.run(main())) == 4
    assert [int(name) for name, _, _ in vllm.engine.added] == [1, 3, 0, 2]
    assert vllm.engine.largest == 4, "one batch"


def test_a_request_that_is_not_waited_for_any_more_is_aborted_and_others_go_on(vllm):
    async def main():
        model = Vllm("org/model")
        slow = asyncio.create_task(model.answer(request("slow", max_tokens=10**9)))
        await asyncio.to_thread(vllm.engine.stepping.wait, 5)
        slow.cancel()
        answer = await asyncio.wait_for(model.answer(request("quick")), 5)
        await model.close()
        return answer

    assert completion(asyncio.run(main())).text == "aaa"
    assert vllm.engine.aborted == ["0"]


def test_the_event_loop_goes_on_while_vllm_loads(vllm):
    async def main():
        vllm.may_load.clear()
        model = Vllm("org/model")
        task = asyncio.create_task(model.answer(request("Hi")))
        began = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - began < 1
        vllm.may_load.set()
        await task
        await model.close()

    asyncio.run(main())


def test_closing_ends_what_is_in_flight(vllm):
    async def main():
        model = Vllm("org/model")
        slow = asyncio.create_task(model.answer(request("slow", max_tokens=10**9)))
        await asyncio.to_thread(vllm.engine.stepping.wait, 5)
        await asyncio.wait_for(model.close(), 5)
        with pytest.raises(FatalError, match="closed"):
            await slow

    asyncio.run(main())


def test_a_refusal_is_an_answer_of_its_row(vllm):
    long, short = ask(request("word " * 200), request("Hi"))
    assert (long.status, completion(long).detail) == (400, "HTTP 400: the prompt is too long")
    assert short.status == 200


def test_a_parameter_that_vllm_lacks_is_named(vllm):
    (error,) = ask(request("Hi", top_q=5))
    assert isinstance(error, FatalError)
    assert str(error) == "model org/model: vLLM 1.2.3 has no sampling parameter 'top_q'; did you mean 'top_k'?"


def test_a_model_without_a_chat_template_is_told_once_and_plainly(vllm):
    vllm.tokenizer.chat_template = None
    (error,) = ask(request("Hi"))
    assert isinstance(error, FatalError)
    assert "api: completions" in str(error)
    (answer,) = ask(request("Hi"), arguments={"chat_template": "{{ messages }}"})
    assert answer.status == 200


def test_engine_arguments_are_passed_through(vllm):
    ask(request("Hi"), revision="main", slots=9, arguments={"max_model_len": 64})
    assert vllm.arguments == {"model": "org/model", "max_model_len": 64, "max_num_seqs": 9, "revision": "main"}


@pytest.mark.parametrize("engine", [Vllm, Served])
@pytest.mark.parametrize(
    "arguments",
    [{"trust_remote_code": True}, {"speculative_config": {"trust-remote-code": True}}, {"api_key": "s3cret"}],
)
def test_arguments_that_run_code_or_hold_a_secret_are_refused(vllm, engine, arguments):
    with pytest.raises(InputError, match=r"not for recipes|a secret") as error:
        engine("org/model", arguments=arguments)
    assert "s3cret" not in str(error.value)


def test_an_engine_argument_that_vllm_lacks_is_named(vllm):
    (error,) = ask(request("Hi"), arguments={"max_model_length": 64})
    assert isinstance(error, InputError)
    assert str(error).endswith("vLLM 1.2.3 has no 'max_model_length'; did you mean 'max_model_len'?")


def newer_add(request, sampling):
    """add_request of a version to come."""


@pytest.mark.parametrize(
    ("place", "name", "new"),
    [
        ("", "LLM", None),
        ("engine", "step", None),
        ("engine", "add_request", newer_add),
        ("sampling_params", "SamplingParams", None),
        ("sampling_params", "StructuredOutputsParams", None),
    ],
)
def test_another_api_is_one_clear_line(vllm, monkeypatch, place, name, new):
    monkeypatch.setattr(getattr(vllm, place) if place else vllm, name, new)
    if name == "StructuredOutputsParams":
        monkeypatch.delattr(vllm.sampling_params, name)
    (error,) = ask(request("Hi", schema={"type": "object"}))
    assert isinstance(error, FatalError)
    assert "\n" not in str(error)
    for part in ("vLLM 1.2.3", name, "tested with 0.32.0"):
        assert part in str(error)


def test_vllm_that_fails_is_one_line_for_all_requests_and_those_after(vllm):
    vllm.engine.fail = RuntimeError("CUDA out of memory\nTraceback ...")

    async def main():
        model = Vllm("org/model")
        first = await asyncio.gather(*[model.answer(request(text)) for text in "ab"], return_exceptions=True)
        later = await asyncio.gather(model.answer(request("c")), return_exceptions=True)
        await model.close()
        return [*first, *later]

    for error in asyncio.run(main()):
        assert isinstance(error, FatalError)
        assert str(error) == "model org/model: vLLM failed: CUDA out of memory Traceback ..."


def test_without_vllm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    (error,) = ask(request("Hi"))
    assert isinstance(error, MissingExtra)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_model_len": 64, "seed": None}, ["--max-model-len", "64"]),
        ({"enable_prefix_caching": False, "enforce-eager": True}, ["--no-enable-prefix-caching", "--enforce-eager"]),
        ({"lora_modules": ["a", {"b": 1}]}, ["--lora-modules", "a", '{"b": 1}']),
    ],
)
def test_arguments_as_a_command_line_has_them(given, words):
    assert flags(given) == words


@pytest.fixture
def server(monkeypatch, tmp_path):
    fake_vllm.install_server(monkeypatch, tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def said(answer):
    return json.loads(completion(answer).text)


def gone(pid, seconds=15.0):
    """Whether a process ends in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_server_is_started_asked_in_its_dialect_and_stopped(server):
    asked = [
        request("Hi", schema={"enum": ["a", "b"]}),
        request("Hi", schema={"type": "object"}, draw=(1,), temperature=0.5),
    ]
    choice, schema = map(said, ask(*asked, engine=Served, arguments={"max_model_len": 64, "enforce_eager": True}))
    assert choice["body"]["structured_outputs"] == {"choice": ["a", "b"]}
    assert schema["body"]["structured_outputs"] == {"json": {"type": "object"}}
    assert schema["body"]["seed"] == asked[1].seed, "as in process"
    assert choice["argv"][-3:] == ["--max-model-len", "64", "--enforce-eager"]
    assert choice["argv"][choice["argv"].index("--host") + 1] == "127.0.0.1"
    assert not any("key" in word for word in choice["argv"])
    assert gone(choice["pid"])
    assert [path.name for path in server.iterdir()] == ["fake"], "the log went with it"


def test_a_server_that_does_not_start_says_why(server):
    (error,) = ask(request("Hi"), engine=Served, model="broken")
    assert isinstance(error, FatalError)
    assert str(error) == "model broken: the vLLM server has ended: RuntimeError: no such weights"


def test_a_server_that_dies_stops_the_run(server):
    (error,) = ask(request("die"), engine=Served)
    assert isinstance(error, FatalError)
    assert str(error).endswith("the vLLM server has ended: ValueError: out of memory")


def test_a_server_too_old_to_bind_answers_is_refused(server):
    (error,) = ask(request("Hi"), engine=Served, model="old")
    assert "0.10.2" in str(error)
    assert "0.11 or newer" in str(error)


def test_a_server_does_not_outlive_a_run_that_is_killed(server):
    code = (
        "import asyncio, os, signal\n"
        "from synth_llm.models.vllm import Served\n"
        "from synth_llm.models.request import Request\n"
        "async def main():\n"
        "    asked = Request('', ({'role': 'user', 'content': 'Hi'},), {})\n"
        "    print((await Served('org/model').answer(asked)).body.decode(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, env=os.environ)
    assert ended.returncode == -signal.SIGKILL
    assert gone(json.loads(json.loads(ended.stdout)["choices"][0]["message"]["content"])["pid"])


# From here on with the real vLLM: `make test-vllm`.

SMALL = {"enforce_eager": True, "dtype": "float32", "max_model_len": 512}
SHAPE = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "n": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["name", "n"],
    "additionalProperties": False,
}


def real(test):
    for mark in (pytest.mark.vllm, pytest.mark.local, pytest.mark.filterwarnings("ignore")):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def folder():
    pytest.importorskip("vllm")
    from synth_llm.models.convert import folder_of
    from synth_llm.models.weights import DEFAULT, locate

    os.environ.update(VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1")
    return folder_of(locate(DEFAULT))


@pytest.fixture(scope="module")
def loaded(folder):
    """One engine for all tests, and an event loop to ask it in."""
    with asyncio.Runner() as runner:
        model = Vllm(str(folder), arguments=SMALL)
        yield lambda *requests: runner.run(_together(model, requests))
        runner.run(model.close())


async def _together(model, requests):
    return await asyncio.gather(*[model.answer(one) for one in requests])


def of_every_kind():
    """Requests, and whether an answer to them is as it should be."""
    return [
        (request("Which one?", schema={"enum": ["not spam", "spam"]}, max_tokens=9), {"not spam", "spam"}.__contains__),
        (request("Some JSON.", schema=SHAPE, max_tokens=60), lambda text: set(json.loads(text)) == {"name", "n"}),
        (request("A word?", draw=(1,), temperature=1.0, max_tokens=8), len),
        (request("Once upon a", role="text", max_tokens=4), len),
    ]


@real
def test_answers_of_every_kind_whatever_is_answered_beside_them(loaded):
    kinds = of_every_kind()
    alone = [loaded(asked)[0] for asked, _ in kinds]
    together = loaded(*[asked for asked, _ in kinds], *[request(f"Count to {n}.", max_tokens=9) for n in range(4)])
    for (_, fits), one, other in zip(kinds, alone, together, strict=False):
        assert fits(completion(one).text), one.body
        assert one.body == other.body, "float32 does not depend on the batch"


@real
def test_log_probabilities_and_token_ids(loaded):
    asked = [request("Hello", role=role, logprobs=2, return_token_ids=True, max_tokens=2) for role in ("user", "text")]
    chat, text = (json.loads(answer.body)["choices"][0] for answer in loaded(*asked))
    assert len(chat["token_ids"]) == len(text["token_ids"]) == 2
    for token in chat["logprobs"]["content"]:
        assert len(token["top_logprobs"]) == 2
        assert token["logprob"] == max(one["logprob"] for one in token["top_logprobs"]) < 0, "greedy"
    assert [len(one) for one in text["logprobs"]["top_logprobs"]] == [2, 2]


@real
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (request("word " * 2000), "context length"),
        (request("Hi", schema={"type": "nonsense"}), "nonsense"),
        (
            request("Hi", schema={"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}),
            "unique",
        ),
        (request("Hi", temperature=-1), "temperature"),
        (request("half a pair: \udc00"), "prompt"),
    ],
    ids=["too long", "schema", "unknown to the backend", "sampling", "surrogate"],
)
def test_the_real_engine_refuses_the_row_and_goes_on(loaded, bad, says):
    refused, answered = loaded(bad, request("Hi", max_tokens=1))
    assert (refused.status, answered.status) == (400, 200)
    assert says in json.loads(refused.body)["error"]["message"]


@real
def test_real_vllm_names_what_it_does_not_know(folder):
    (error,) = ask(request("Hi"), model=str(folder), arguments={**SMALL, "max_model_length": 5})
    assert "did you mean 'max_model_len'" in str(error)
    (error,) = ask(request("Hi"), model=str(folder), arguments={**SMALL, "dtype": "nonsense"})
    assert isinstance(error, FatalError)
    assert "\n" not in str(error)


QUIETLY = """
import asyncio, sys
from synth_llm.models.vllm import Vllm
from synth_llm.models.request import Request
asked = Request("", ({"role": "user", "content": "Hi"},), {"max_tokens": 100, "ignore_eos": True})
async def main():
    model = Vllm(sys.argv[1], arguments={"enforce_eager": True, "max_model_len": 512})
    await model.answer(Request("", asked.messages, {"max_tokens": 1}))
    task = asyncio.create_task(model.answer(asked))
    await asyncio.sleep(0.5)
    task.cancel()
asyncio.run(main())
"""


@real
def test_it_prints_nothing_and_ends_while_it_answers(folder):
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", QUIETLY, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Traceback" not in ended.stderr


@real
def test_the_real_server_answers_as_the_engine_in_process_does(folder, loaded):
    kinds = of_every_kind()
    served = ask(*[asked for asked, _ in kinds], engine=Served, model=str(folder), arguments=SMALL)
    assert [completion(one).text for one in served] == [completion(one).text for one in loaded(*[r for r, _ in kinds])]
