import json

from synth_llm.models.body import Said, Token, body, refusal
from synth_llm.models.request import Answer, Request, completion

TOKENS = [Token("Hé", -0.5, [("Hé", -0.5), ("Ho", -1.0)]), Token("!", -0.1, [("!", -0.1), ("?", -3.0)])]


def made(role="user", **sampling):
    request = Request("", ({"role": role, "content": "Hi"},), sampling)
    return body(request, Said("Hé!", "stop", 3, [7, 8], TOKENS if "logprobs" in sampling else None), "small")


def test_a_chat_completion():
    said = completion(Answer(made()))
    assert (said.text, said.finish, said.prompt_tokens, said.completion_tokens) == ("Hé!", "stop", 3, 2)
    assert said.model == "small"
    (choice,) = json.loads(made())["choices"]
    assert "logprobs" not in choice and "token_ids" not in choice


def test_a_completion_of_a_text():
    assert completion(Answer(made("text"))).text == "Hé!"
    logprobs = json.loads(made("text", logprobs=2))["choices"][0]["logprobs"]
    assert logprobs == {
        "tokens": ["Hé", "!"],
        "token_logprobs": [-0.5, -0.1],
        "top_logprobs": [{"Hé": -0.5, "Ho": -1.0}, {"!": -0.1, "?": -3.0}],
        "text_offset": [0, 2],
    }


def test_log_probabilities_and_token_ids_of_a_chat():
    (choice,) = json.loads(made(logprobs=2, return_token_ids=True))["choices"]
    first = choice["logprobs"]["content"][0]
    assert (first["token"], first["logprob"], first["bytes"]) == ("Hé", -0.5, [72, 195, 169])
    assert [other["token"] for other in first["top_logprobs"]] == ["Hé", "Ho"]
    assert choice["token_ids"] == [7, 8]


def test_a_refusal_is_read_as_one():
    said = completion(Answer(refusal("too long"), 400))
    assert (said.reason, said.detail) == ("bad request", "HTTP 400: too long")
