from __future__ import annotations

import builtins
import importlib.util
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.errors import InputError, MissingExtra
from synth_llm.row import Verdict

FOLDER = Path(__file__).parent.parent / "filters"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
QUICK = tuple(name for name in NAMES if name not in ("format", "language", "language_match"))
SETTINGS: dict[str, dict[str, Any]] = {
    "format": {"is_": "list"},
    "language": {"among": ["en", "de"]},
    "language_match": {"among": ["en", "de"]},
}


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


FILTERS: dict[str, Callable[..., Verdict]] = {name: getattr(module(name), name) for name in NAMES}


def judge(name: str, text: Any, **settings: Any) -> Verdict:
    return FILTERS[name]({"text": text}, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_every_filter_has_the_one_shape(name: str) -> None:
    loaded = module(name)
    parameters = inspect.signature(getattr(loaded, name)).parameters
    assert list(parameters)[:2] == ["row", "column"]
    assert parameters["column"].default == "text"
    assert all(one.default is not one.empty for one in list(parameters.values())[2:])
    plain = {"int", "float", "str", "bool", "list[str]", "list[str] | None"}
    assert {one.annotation for one in list(parameters.values())[2:]} <= plain
    assert loaded.__doc__ and getattr(loaded, name).__doc__
    public = [thing for thing, value in vars(loaded).items() if inspect.isfunction(value) and not thing.startswith("_")]
    assert [thing for thing in public if vars(loaded)[thing].__module__ == name] == [name]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "same_final_answer"])  # that takes numbers
@pytest.mark.parametrize("row", [{}, {"text": None}, {"text": 3}, {"text": ["a"]}])
def test_what_is_not_a_text_is_dropped(name: str, row: dict[str, Any]) -> None:
    assert FILTERS[name](row, **SETTINGS.get(name, {})) == Verdict(False, "not a text")


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_breaks_a_filter_or_is_changed(text: str, given_text: str) -> None:
    row = {"text": text, "input": given_text}
    for name in NAMES:
        if name not in ("language", "language_match"):
            verdict = FILTERS[name](row, **SETTINGS.get(name, {}))
            assert verdict.keep or verdict.reason.strip()
            assert "\n" not in verdict.reason
            assert verdict.value is None or verdict.value >= 0
    assert row == {"text": text, "input": given_text}


HOSTILE = [
    "<",
    " ",
    "[",
    "a",
    "ab ",
    "I ",
    "sure!",
    "as an ai ",
    "1. ",
    "no ",
    "{your ",
    "[name ",
    "\n",
    '"',
    "i hope this ",
    "#",
]


@pytest.mark.parametrize("name", [*QUICK, "format"])
def test_hostile_text_of_100_kb_is_judged_at_once(name: str) -> None:
    for piece in [*HOSTILE, "```", "- ", "<" + " " * 99, "\u200b", "この"]:
        text = (piece * 100_000)[:100_000]
        start = time.process_time()
        FILTERS[name]({"text": text, "input": text[1:]}, **SETTINGS.get(name, {}))
        assert time.process_time() - start < 1, piece


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("", {}, "empty; at least 1 wanted"),
        (" \n\u200b", {}, "empty; at least 1 wanted"),
        ("...", {}, "empty; at least 1 wanted"),
        ("Two words", {"min_words": 3}, "2 words; at least 3 wanted"),
        ("a b c", {"max_words": 2}, "3 words; at most 2 wanted"),
        ("今日は晴れです", {"max_words": 6}, "7 words; at most 6 wanted"),
    ],
)
def test_length_drops(text: str, settings: dict[str, Any], reason: str) -> None:
    assert judge("length", text, **settings)[:2] == (False, reason)


@pytest.mark.parametrize("text", ["Yes", "42", "$5", "😈", "<", "e", "Ça va."])
def test_length_keeps_short_answers(text: str) -> None:
    assert judge("length", text).keep


def test_repetition_tells_loops_from_songs() -> None:
    chorus = "We all live in a yellow house\nby the old and muddy lake\n"
    song = f"{chorus}The morning came with rain and wind\nand nobody was yet awake\n{chorus}"
    assert judge("repetition", song).keep
    loop = judge("repetition", "I like this film very much. " * 10)
    assert not loop.keep and loop.value is not None and loop.value > 0.8
    assert "four-word sequences repeat; at most 50% wanted" in loop.reason
    assert not judge("repetition", "ha" * 300).keep
    assert not judge("repetition", "好的" * 30).keep
    assert judge("repetition", "no no no no no").keep, "too short to tell"


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I cannot provide that information.",
        "I’m sorry, but I can’t help with that.",
        "I am unable to generate images.",
        "As a person of principle, I must respectfully decline.",
        "Sorry, this task requires a camera.",
        "It is not possible to generate a sound here.",
        "This instruction cannot be completed without more data.",
        "A GPT model cannot perform such actions.",
    ],
)
def test_refusal_drops(text: str) -> None:
    verdict = judge("refusal", text)
    assert not verdict.keep and verdict.reason.startswith('refuses: "') and verdict.value == 1


@pytest.mark.parametrize(
    "text",
    [
        "I'm so sorry for your loss. I know it's hard to say goodbye.",
        "Dogs cannot eat chocolate, because it is poisonous to them.",
        "I just can't help but move my feet.",
        "It is better to be safe than sorry.",
        "It is not possible to live without water.",
        "Dear Sir, " + "a long letter, " * 20 + "I cannot provide the form in time.",
    ],
)
def test_refusal_keeps(text: str) -> None:
    assert judge("refusal", text).keep


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I don't have feelings, but many people do.",
        "I'm just an AI, so take this with care.",
        "Sure, here is a poem: roses are red.",
        "Certainly! Here's the list:\n1. Tea",
        "Of course! I'd be happy to explain.",
        "Bring water and wear a hat. I hope this helps!",
    ],
)
def test_boilerplate_drops(text: str) -> None:
    assert judge("boilerplate", text)[0] is False


@pytest.mark.parametrize(
    "text",
    [
        "Here is a list of birds:\n- Robin",
        "An AI language model predicts the next word.",
        "As an AI researcher, Ann studies models.",
        "Sure enough, it rained.",
        "Okay kids, listen up.",
        "I hope this helps explain why the war began, for it had many causes.\nIt ended in 1918.",
    ],
)
def test_boilerplate_keeps(text: str) -> None:
    assert judge("boilerplate", text).keep


NO_INPUT = [
    "<noinput>",
    "< noinput >",
    "No input",
    "No Input.",
    "Noinput",
    "No input required.",
    "<no input>",
    "(No input)",
]
NO_INPUT += [
    "No additional input needed",
    "N/A",
    "<N/A>",
    "none",
    "Not applicable",
    "No input is required for this task.",
]
NO_INPUT += ["Input: none", "This task does not require an input.", "no_input", "No input given", "[No input provided]"]


@pytest.mark.parametrize("text", NO_INPUT)
def test_placeholder_finds_an_input_that_is_none(text: str) -> None:
    verdict = FILTERS["placeholder"]({"instruction": "Name a bird.", "input": text, "output": "A robin."}, "output")
    assert not verdict.keep and verdict.reason.startswith("input ")


@pytest.mark.parametrize("text", ["<nooutput>", "<no output>", "<No Output>.", "No output", "N/A", "[Image of a logo]"])
def test_placeholder_finds_an_output_that_is_none(text: str) -> None:
    assert not judge("placeholder", text).keep


def test_placeholder_finds_blanks() -> None:
    verdict = judge("placeholder", "Dear [Recipient's Name],\nwelcome to [company]!\n[Your Name]")
    assert verdict == Verdict(False, "left to fill in: [Recipient's Name], [company], [Your Name]", 3.0)
    assert not judge("placeholder", "Write to <insert address here>.").keep
    assert not judge("placeholder", "Hello {your name}!").keep


@pytest.mark.parametrize(
    "text",
    [
        "print(row[name], data[date])",
        "names = [name for name in names]",
        "['name', 'date']",
        "[Onion, Potato, Tomato]",
        "See [the company](https://example.org).",
        "<name>Ann</name>",
        "It is old [citation needed].",
        "None",
        "[true]",
        "No",
        "There was no input from the public.",
        "The address of [REDACTED] is secret.",
    ],
)
def test_placeholder_keeps(text: str) -> None:
    assert judge("placeholder", text).keep


def test_placeholder_keeps_a_blank_that_was_given() -> None:
    row = {"instruction": "Correct: Deer [Name], helo", "output": "Dear [Name], hello"}
    assert FILTERS["placeholder"](row, "output").keep
    assert not FILTERS["placeholder"](row, "output", also=[]).keep


def test_echo() -> None:
    row = {"instruction": "Sort the words.", "input": "Bee,  ape", "output": '"bee, ape"\n'}
    assert FILTERS["echo"](row, "output") == Verdict(False, "repeats the column input", 1.0)
    assert FILTERS["echo"](row, "output", ignore_case=False).keep
    assert FILTERS["echo"](row, "output", of=["instruction"]).keep
    assert FILTERS["echo"]({**row, "output": "ape, bee"}, "output").keep
    assert FILTERS["echo"]({"input": "", "output": ""}, "output").keep, "nothing is repeated; length drops it"
    assert FILTERS["echo"]({"prompt": "hi", "text": "hi"}).reason == "repeats the column prompt"
    assert FILTERS["echo"]({"input": "a"}, "input").keep, "a column does not repeat itself"


@pytest.mark.parametrize(
    "text",
    [
        "It is high.\n6. Instruction: Write a note.\n6. Input:\n<noinput>\n6. Output:\nDear friend",
        "It is high.\n###\nInstruction: Write a note.",
        "It is high. 7. Instruction: Write a note.",
        "Blue.\n\n3. Input: red\n3. Output: green",
        "### Instruction:\nName a bird.\n### Response:\nRobin",
    ],
)
def test_merged_drops(text: str) -> None:
    assert judge("merged", text).reason.startswith("text holds another task")
    assert not FILTERS["merged"]({"input": text, "output": "x"}, "output").keep


@pytest.mark.parametrize(
    "text",
    [
        "Ingredients:\n- flour\nInstructions:\n1. Mix.",
        "1. Input: read a number.\n2. Output: print its square.",
        "print(x)\n# Output:\n# 5",
        "Input: [1, 2]\nOutput: 3",
        "Follow this instruction: rest.",
    ],
)
def test_merged_keeps(text: str) -> None:
    assert judge("merged", text).keep


def test_format_json() -> None:
    assert judge("format", '{"a": [1, 2]}', is_="json") == Verdict(True, value=1.0)
    for text in ("{'a': 1}", "NaN", "", "[" * 100_000, '{"a": 1} and more'):
        assert judge("format", text, is_="json").reason.startswith("not JSON: ")


def test_format_list() -> None:
    assert judge("format", "- one\n  more of one\n\n2) two\n* three", is_="list").value == 3
    assert judge("format", "- one", is_="list", min_items=2).reason == "1 items; at least 2 wanted"
    assert judge("format", "Here it is:\n- one", is_="list").reason == 'not an item of a list: "Here it is:"'


def test_format_pattern() -> None:
    pytest.importorskip("re2")
    assert judge("format", "call 555-1234", matches=r"\d{3}-\d{4}").keep
    assert judge("format", "call me", matches=r"^\d+$").reason == r"does not match ^\d+$"
    assert not judge("format", "a" * 100_000 + "b", matches=r"^(a+)+$").keep, "linear time"
    for pattern in ("(", r"(?=a)b", r"(a)\1"):
        with pytest.raises(InputError, match="not an RE2 pattern"):
            judge("format", "a", matches=pattern)


def test_format_must_be_told_a_form() -> None:
    for settings in ({}, {"is_": "xml"}):
        with pytest.raises(InputError, match="json or list"):
            judge("format", "a", **settings)


def test_language_drops_only_what_it_can_tell() -> None:
    pytest.importorskip("lingua")
    few = {"among": ["de", "en", "fr", "ru"]}
    assert judge("language", "The weather was fine and we walked along the river.", **few).keep
    verdict = judge("language", "Das Wetter war schön und wir gingen am Fluss entlang.", **few)
    assert not verdict.keep and verdict.reason.startswith("looks like German (") and (verdict.value or 0) < 0.1
    assert judge("language", "Das Wetter war schön und wir gingen am Fluss entlang.", is_="de", **few).keep
    assert judge("language", "play some jazz", **few).keep
    assert not judge("language", "привет", **few).keep, "short, but in another script"
    assert not judge("language", "ज़रूर, कल मिलते हैं", **few).keep, "in a script of none of them"
    for text in ("42", "", "Campari: Italian\nDior: French", "`für alle`"):
        assert (
            judge("language", text, **few).reason == "no words to tell a language by"
            or judge("language", text, **few).keep
        )
    with pytest.raises(InputError, match="no language has the code 'eng'; did you mean 'en'"):
        judge("language", "a", is_="eng")


@pytest.mark.parametrize(("name", "package"), [("language", "lingua"), ("language_match", "lingua"), ("format", "re2")])
def test_a_missing_extra_is_one_line(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, package, raising=False)
    real = builtins.__import__

    def without(wanted: str, *rest: Any, **more: Any) -> Any:
        if wanted == package:
            raise ImportError(wanted)
        return real(wanted, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    fresh = getattr(module(name), name)
    with pytest.raises(MissingExtra, match=r"pip install 'synth-llm\[curate\]'"):
        fresh({"text": "a"}, **({"matches": "a"} if name == "format" else {}))
