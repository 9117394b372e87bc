"""converse: what is said, when it ends, and what the row remembers, with functions as models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synth_llm import Answer, Converse, InputError, ModelEntry, Recipe, Request, Source, run
from synth_llm.plan import plan
from synth_llm.row import LINEAGE

PROMPTS = {
    "user": "{% system %}You want {{ goal }}; then write {{ done }}.{% endsystem %}{% user %}Hello{% enduser %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% assistant %}{{ m.content }}{% endassistant %}"
    "{% else %}{% user %}{{ m.content }}{% enduser %}{% endif %}{% endfor %}",
    "native": "---\nspeaks: user\n---\n{% system %}Users want {{ goal }}.{% endsystem %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% user %}{{ m.content }}{% enduser %}"
    "{% else %}{% assistant %}{{ m.content }}{% endassistant %}{% endif %}{% endfor %}",
    "assistant": "{% for m in messages %}{% if m.role == 'user' %}{% user %}{{ m.content }}{% enduser %}"
    "{% else %}{% assistant %}{{ m.content }}{% endassistant %}{% endif %}{% endfor %}"
    "{% user %}{{ message }}{% enduser %}",
    "nosy": "{% user %}{{ goal }}{{ message }}{{ messages }}{% enduser %}",
    "score": "---\ngives: {score: 1..5}\n---\n{{ goal }}{{ messages }}{{ done }}",
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "prompts").mkdir()
    for name, text in PROMPTS.items():
        (tmp_path / "prompts" / f"{name}.jinja").write_text(text)
    monkeypatch.chdir(tmp_path)


class Side:
    """One side of the conversation: says its lines in turn, by how much was said, and remembers what it was asked."""

    def __init__(self, *lines: str | Answer) -> None:
        self.lines, self.asked = lines, []

    def __call__(self, request: Request) -> str | Answer:
        line = self.lines[min(len(self.asked), len(self.lines) - 1)]
        self.asked.append(request)
        return line


def recipe(user: Side, assistant: Side, **settings: Any) -> Recipe:
    entries = {
        name: ModelEntry(engine="function", model=name, function=side, repairs=0)
        for name, side in (("user", user), ("assistant", assistant))
    }
    given = {"prompt": "user", "answer": "assistant", "turns": 3, **settings}
    step = Converse(user="user", assistant="assistant", **given)
    return Recipe(models=entries, source=Source(rows=[{"goal": "tea"}]), steps=[step])


def talk(user: Side, assistant: Side, **settings: Any) -> Any:
    return run(recipe(user, assistant, **settings))


def contents(row: dict[str, Any]) -> list[str]:
    return [message["content"] for message in row["messages"]]


def test_both_speak_in_turn_until_the_turns_are_over():
    user, assistant = Side("one?", "two?", "three?"), Side("1", "2", "3")
    (row,) = talk(user, assistant).kept
    assert contents(row) == ["one?", "1", "two?", "2", "three?", "3"]
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 3
    assert row["ended"] == "turns"
    assert len(row[LINEAGE]) == len({call["key"] for call in row[LINEAGE]}) == 6


def test_each_side_sees_what_was_said_and_the_assistant_not_the_goal():
    user, assistant = Side("one?", "two?"), Side("1", "2")
    talk(user, assistant, turns=2)
    assert [m["content"] for m in user.asked[1].messages] == [
        "You want tea; then write [DONE].",
        "Hello",
        "one?",
        "1",
    ]
    assert [(m["role"], m["content"]) for m in assistant.asked[1].messages] == [
        ("user", "one?"),
        ("assistant", "1"),
        ("user", "two?"),
    ]
    assert not any("tea" in request.text for request in assistant.asked)


@pytest.mark.parametrize(
    ("user", "assistant", "settings", "said", "ended"),
    [
        (Side("one?", "Thanks! [DONE]"), Side("1"), {}, ["one?", "1"], "done"),
        (Side("one?", "bye"), Side("1"), {"done": "bye"}, ["one?", "1"], "done"),
        (Side("one?", "One? "), Side("1", "2"), {}, ["one?", "1"], "repeated"),
        (Side("one?", "two?"), Side("Yes.", "yes"), {}, ["one?", "Yes."], "repeated"),
        (Side("a b", "c"), Side("d e", "f"), {"max_words": 4}, ["a b", "d e"], "max_words"),
        (Side("a b", "c"), Side("d e", "f"), {"max_words": 5}, ["a b", "d e", "c", "f"], "max_words"),
    ],
)
def test_a_conversation_ends_with_an_answer(user, assistant, settings, said, ended):
    (row,) = talk(user, assistant, **settings).kept
    assert contents(row) == said
    assert row["ended"] == ended


def test_a_prompt_may_let_an_aligned_model_speak_as_the_user():
    user, assistant = Side("one?", "two?"), Side("1", "2")
    (row,) = talk(user, assistant, prompt="native", turns=2).kept
    assert contents(row) == ["one?", "1", "two?", "2"]
    text = (
        "<|im_start|>system\nUsers want tea.<|im_end|>\n<|im_start|>user\none?<|im_end|>\n"
        "<|im_start|>assistant\n1<|im_end|>\n<|im_start|>user\n"
    )
    assert user.asked[1].raw == text
    assert user.asked[1].sampling["stop"] == ["<|im_end|>"]
    assert assistant.asked[1].raw is None


def test_a_row_that_fails_keeps_what_was_said():
    filtered = Answer(b'{"error": {"message": "no"}}', 400)
    (row,) = talk(Side("one?", "two?"), Side("1", filtered)).rejected
    assert (row["step"], row["reason"]) == ("converse user", "bad request")
    assert row["detail"].startswith("message 4, of the assistant: ")
    said = json.loads(row["raw"])
    assert [message["content"] for message in said[:3]] == ["one?", "1", "two?"]
    assert len(row[LINEAGE]) == 4


def test_nothing_said_is_no_conversation():
    (row,) = talk(Side("[DONE]"), Side("1")).rejected
    assert row["reason"] == "empty"
    assert len(row[LINEAGE]) == 1


def test_the_plan_counts_two_calls_a_turn():
    ready = plan(recipe(Side("a"), Side("b"), turns=4), Path())
    assert ready.calls == {"converse user": 8}
    assert ready.used == ["user", "assistant"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answer": "nosy"}, "prompt nosy needs column 'goal'"),
        ({"prompt": "score"}, "gives no plain text"),
        ({"assistant": "nobody"}, "no model 'nobody'"),
    ],
)
def test_what_cannot_talk_is_refused_before_any_call(settings, message):
    user = Side("a")
    given = {"user": "user", "assistant": "assistant", "prompt": "user", "answer": "assistant", **settings}
    made = recipe(user, Side("b")).model_copy(update={"steps": [Converse(**given)]})
    with pytest.raises(InputError, match=message):
        run(made)
    assert not user.asked
