"""What is asked: keys, and how answers are read whatever is in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.models.request import Answer, Request, body_of, completion
from synth_llm.row import canonical

TEXTS = st.text(max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXTS), max_size=4),
    TEXTS,
    st.dictionaries(TEXTS, JSON, max_size=3),
    st.none() | st.dictionaries(TEXTS, JSON, max_size=3),
    st.none() | st.tuples(st.integers(), TEXTS, st.integers(0, 9), st.integers(0, 9)),
)
def test_the_text_of_a_request_is_its_canonical_json(messages, model, sampling, schema, draw):
    said = tuple({"role": role, "content": content} for role, content in messages)
    request = Request(model, said, sampling, "r1", schema, draw)
    whole = {
        "model": model,
        "messages": said,
        "sampling": sampling,
        "revision": "r1",
        "schema": schema,
        "draw": draw,
    }
    assert request.text == canonical(whole)


def test_the_seed_follows_the_draw():
    one, other = (Request("m", (), {}, draw=(0, "row", sample, 0)) for sample in (0, 1))
    assert one.key != other.key
    assert one.seed != other.seed
    assert 0 <= one.seed < 2**31


def test_an_answer_is_read():
    said = completion(Answer(body_of("Hello", model="m", prompt_tokens=3, completion_tokens=1)))
    assert (said.text, said.finish, said.prompt_tokens, said.completion_tokens, said.model) == (
        "Hello",
        "stop",
        3,
        1,
        "m",
    )
    assert not said.reason


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"error": {"message": "too long"}}', "bad request"),
        (413, b"<html>Request Entity Too Large</html>", "bad request"),
        (200, b"<html>502</html>", "unparseable"),
        (200, b"", "unparseable"),
        (200, b"[]", "unparseable"),
        (200, b"3", "unparseable"),
        (200, b'{"choices": []}', "unparseable"),
        (200, b'{"choices": [{"message": null}]}', "unparseable"),
        (200, b'{"choices": [{"message": {"content": null}}]}', "unparseable"),
        (200, b'{"choices": [{"message": {"content": 3}}]}', "unparseable"),
        (200, b'{"choices": [{"message": {"content": null, "refusal": "I cannot"}}]}', "refused"),
        (200, b'{"choices": [{"finish_reason": "content_filter", "message": {"content": ""}}]}', "content filter"),
        (200, b"\xff\xfe\x00", "unparseable"),
        (200, b"[" * 100_000, "unparseable"),
    ],
)
def test_an_answer_without_a_text_has_a_reason(status, body, reason):
    said = completion(Answer(body, status))
    assert said.reason == reason
    assert said.detail


@given(st.binary(max_size=200))
def test_no_body_breaks_the_reader(body):
    completion(Answer(body))


@given(JSON)
def test_no_json_breaks_the_reader(value):
    completion(Answer(json.dumps({"choices": [{"message": value}], "usage": value}).encode()))
    completion(Answer(json.dumps(value).encode()))


def test_half_a_surrogate_pair_does_not_reach_a_row():
    said = completion(Answer(b'{"choices": [{"message": {"content": "a\\ud800b"}}]}'))
    said.text.encode()


def test_nothing_that_an_endpoint_says_beside_the_text_holds_half_a_pair():
    """It is written into the run folder, as what was reported and as why a row was rejected."""
    choice = {"message": {"content": None, "refusal": "no \ud800"}, "finish_reason": "s\ud800"}
    body = json.dumps({"model": "m\ud800", "choices": [choice]}).encode()
    for answer in (Answer(body), Answer(b'{"error": {"message": "too \\ud800 long"}}', 400)):
        said = completion(answer)
        "".join((said.model, said.finish, said.detail)).encode()


@pytest.mark.parametrize("tokens", [10**30, -5, True, 1.5, "7", None, {}])
def test_a_number_of_tokens_that_cannot_be_is_none(tokens):
    body = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": tokens, "completion_tokens": 7}}
    said = completion(Answer(json.dumps(body).encode()))
    assert (said.text, said.prompt_tokens, said.completion_tokens) == ("x", 0, 7)


def test_a_text_that_lost_a_character_is_shown_as_such():
    for damaged in (b"caf\xe9", b"caf\\ud800"):
        said = completion(Answer(b'{"choices": [{"message": {"content": "' + damaged + b'"}}]}'))
        assert said.text == "caf\ufffd"
