from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.errors import InputError, Reject
from synth_llm.library import Library
from synth_llm.prompt import Prompt, load_prompt

LABELLED = """\
---
about: One short text with a given label.
needs: [label, shots, brief?]
gives: {text: string}
---
{% system %}You write film reviews.{% if brief is defined %} {{ brief }}{% endif %}{% endsystem %}
{% for shot in shots %}{% user %}A {{ shot.label }} one.{% enduser %}{% assistant %}{{ shot.text }}{% endassistant %}
{% endfor %}
{% user %}A {{ label }} one.{% enduser %}
"""

Write = Callable[..., Prompt]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files (the first is the prompt) and load the prompt."""

    def write(text: str, name: str = "p", **others: str) -> Prompt:
        for key, content in {name: text, **others}.items():
            path = tmp_path / "prompts" / f"{key.replace('__', '/')}.jinja"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return load_prompt(name, Library(tmp_path))

    return write


def rejected(prompt: Prompt, **variables: Any) -> str:
    with pytest.raises(Reject) as caught:
        prompt.render(variables)
    assert caught.value.reason == "template"
    return caught.value.detail


def test_messages_in_the_order_of_the_file(write: Write) -> None:
    prompt = write(LABELLED)
    assert prompt.about == "One short text with a given label."
    assert (prompt.needs, prompt.optional) == ({"label", "shots"}, {"brief"})
    assert prompt.gives.columns == ("text",)
    shots = [{"label": "bad", "text": "Dull."}]
    assert prompt.render({"label": "good", "shots": shots, "brief": "Be brief."}) == [
        {"role": "system", "content": "You write film reviews. Be brief."},
        {"role": "user", "content": "A bad one."},
        {"role": "assistant", "content": "Dull."},
        {"role": "user", "content": "A good one."},
    ]
    assert prompt.render({"label": "good", "shots": []})[0]["content"] == "You write film reviews."


def test_a_file_without_roles_is_one_user_message(write: Write) -> None:
    assert write("Say {{ word }}.\n").render({"word": "hi"}) == [{"role": "user", "content": "Say hi."}]


def test_hash_is_that_of_the_file_and_of_what_it_includes(write: Write) -> None:
    assert write("a").sha256 == hashlib.sha256(b"a").hexdigest()
    before = write("{% include 'q' %}", q="one").sha256
    assert write("{% include 'q' %}", q="two").sha256 != before


HOSTILE = "{% user %}{{ 7 * 7 }}{% enduser %} {% endraw %} {# x #} <b>&amp;</b> \"'\\ {{ label }} \x00\x01"


@given(text=st.one_of(st.just(HOSTILE), st.text(), st.lists(st.sampled_from(["{%", "user", "%}", "{{", "}}", "\r\n"]))))
def test_any_text_of_a_row_survives(tmp_path_factory: pytest.TempPathFactory, text: Any) -> None:
    prompt = _surviving(tmp_path_factory)
    text = text if isinstance(text, str) else "".join(text)
    messages = prompt.render({"text": text, "rows": [{"items": text}]})
    assert messages == [{"role": "user", "content": f"<{text}>{text}|{text}>"}]


_loaded: list[Prompt] = []


def _surviving(factory: pytest.TempPathFactory) -> Prompt:
    if not _loaded:
        folder = factory.mktemp("survives")
        (folder / "prompts").mkdir()
        source = "{% from 'm' import show %}{% user %}<{{ show(text) }}{% for r in rows %}{{ text ~ '|' ~ r.items }}>"
        (folder / "prompts" / "p.jinja").write_text(source + "{% endfor %}{% enduser %}")
        (folder / "prompts" / "m.jinja").write_text("{% macro show(x) %}{{ x }}>{% endmacro %}")
        _loaded.append(load_prompt("p", Library(folder)))
    return _loaded[0]


def test_values_print_as_json(write: Write) -> None:
    prompt = write("{{ x }} {{ x | tojson }}")
    content = prompt.render({"x": {"é": [1, True, "<b>"]}})[0]["content"]
    assert content == '{"é": [1, true, "<b>"]} {"é": [1, true, "<b>"]}'
    assert write("{{ x }} {{ y }}").render({"x": True, "y": 0.5})[0]["content"] == "true 0.5"


@pytest.mark.parametrize("use", ["{{ label }}", "{{ 'a' ~ label }}", "{{ label | upper }}", "{{ [label] | join }}"])
def test_null_never_becomes_text(write: Write, use: str) -> None:
    detail = rejected(write(f"---\nabout: x\n---\nhello\n{use}"), label=None)
    assert detail.startswith("p.jinja:5: ") and "null" in detail


def test_missing_values_are_named_with_their_line(write: Write) -> None:
    prompt = write("one\n{{ label }} {{ shot.text }}")
    assert rejected(prompt) == "p.jinja:2: 'label' is undefined"
    assert "text" in rejected(prompt, label="x", shot={})


def test_half_a_surrogate_pair_rejects_the_row(write: Write) -> None:
    assert "surrogate" in rejected(write("{{ x }}"), x="a\ud800b")


def test_a_recursive_loop(write: Write) -> None:
    prompt = write("{% for a in xs recursive %}{{ a.n }}{{ loop(a.xs) if a.xs }}{% endfor %}")
    assert prompt.render({"xs": [{"n": 1, "xs": [{"n": 2, "xs": []}]}, {"n": 3, "xs": []}]})[0]["content"] == "123"


def test_messages_that_no_model_takes_reject_the_row(write: Write) -> None:
    many = write("{% for x in xs %}{% user %}{{ x }}{% enduser %}{% endfor %}")
    assert "user, user" in rejected(many, xs=["a", "b"])
    assert "none" in rejected(many, xs=[])
    assert "empty" in rejected(many, xs=[" "])
    assert "outside" in rejected(write("{{ a }}{% user %}x{% enduser %}"), a="loose")
    hidden = write("{% macro m() %}{% user %}x{% enduser %}{% endmacro %}{% user %}{{ m() }}{% enduser %}")
    assert "inside another" in rejected(hidden)
    assert many.render({"xs": ["fine"]}), "a failure leaves nothing behind"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("---\nabout: x\n---\n\n{% if x %}", 5, "endif"),
        ("---\nabout: x\n", 1, "not closed"),
        ("---\nabout: x\nneed: [a]\n---\n", 3, "'needs'"),
        ("---\nabout: 5\n---\nx", 2, "about"),
        ("---\nabout: x\nneeds: [a, c]\n---\n{{ a }}{{ b }}", 3, "also needs b; it does not use c; write [a, b]"),
        ("---\nneeds: [a]\n---\n{{ a | default('') }}", 2, "write [a?]"),
        ("---\ngives: {text: strng}\n---\nx", 2, "'string'"),
        ("---\nabout: x\n---\n{{ a | uper }}", 4, "'upper'"),
        ("x\n{{ a is defind }}", 2, "'defined'"),
        ("x\n{% if a %}{{ a | nope }}{% endif %}", 2, "nope"),
        ("\n\n{% include 'nope' %}", 3, "nope"),
        ("\n{% include x %}", 2, "quotes"),
        ("\n{% include '../x' %}", 2, "../x"),
        ("{% include 'p' %}", 1, "itself"),
        ("---\nabout: x\n---\n\nloose\n{% user %}x{% enduser %}", 5, "loose"),
        ("{% user %}a{% enduser %}\n{% assistant %}b{% endassistant %}", 1, "user last"),
        ("x\n{% user %}a{% system %}b{% endsystem %}{% enduser %}", 2, "inside"),
        ("{% user %}a", 1, "enduser"),
        ("{% import 'p__bad' as b %}x", 1, "bad"),
        ("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", None, "deep"),
    ],
)
def test_mistakes_are_named_with_file_and_line(write: Write, text: str, line: int | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        write(text)
    assert caught.value.line == line, str(caught.value)
    assert said in str(caught.value)
    assert "p.jinja" in str(caught.value) and "\n" not in str(caught.value)


def test_needs_come_through_includes_and_imports(write: Write) -> None:
    prompt = write(
        "{% from 'macros' import one %}{% for shot in shots %}{% include 'shot.jinja' %}{% endfor %}{{ one(label) }}",
        shot="---\nabout: a part\n---\n{{ shot }} {{ style }}",
        macros="{% macro one(x) %}A {{ x }} one.{% endmacro %}",
    )
    assert prompt.needs == {"shots", "style", "label"}
    rendered = prompt.render({"shots": ["s", "t"], "style": "plain", "label": "good"})
    assert rendered[0]["content"] == "s plaint plainA good one."


def test_a_macro_file_cannot_reach_for_a_row(write: Write) -> None:
    with pytest.raises(InputError, match="needs label"):
        write("{% import 'm' as m %}{{ m.f() }}", m="{% macro f() %}{{ label }}{% endmacro %}")
    assert write("{% import 'm' as m with context %}{{ m.f() }}").needs == {"label"}


def test_needs_through_extends(write: Write) -> None:
    base = "---\ngives: {q: string}\n---\n{% user %}{{ a }}{% block x %}{{ b }}{% endblock %}{% block y %}{{ c }}"
    base += "{% endblock %}{{ tone }}{% enduser %}"
    child = "{% extends 'base' %}{% set tone = t %}{% block x %}{{ d }}{% endblock %}"
    child += "{% block y %}{{ super() }}{{ e }}{% endblock %}"
    prompt = write(child, base=base)
    assert prompt.needs == {"a", "c", "d", "e", "t"}
    assert prompt.gives.columns == ("q",), "what is given is inherited"
    assert prompt.render({k: k for k in "acdet"})[0]["content"] == "adcet"


def test_optional_variables(write: Write) -> None:
    text = "{% set b = b | default('') %}{{ b }}{% if a is defined %}{{ a }}{% endif %}{{ c | d(1) }}"
    prompt = write(text + "{{ e if e is defined }}{{ f }}{{ f | default(1) }}.")
    assert (prompt.needs, prompt.optional) == ({"f"}, {"a", "b", "c", "e"})
    assert prompt.render({"f": 2})[0]["content"] == "122."


def test_a_variable_that_lists_labels_is_needed(write: Write) -> None:
    prompt = write("---\nneeds: [labels, text]\ngives: {label: one of labels}\n---\n{{ text }}")
    assert prompt.gives.schema({"labels": ["a", "b"]}) == {"enum": ["a", "b"]}


def test_a_tag_alone_on_its_line_leaves_no_line(write: Write) -> None:
    text = "List:\n{% for x in xs %}\n- {{ x }}\n{% endfor %}\nEnd{% if xs %} of it{% endif %}\nHere."
    assert write(text).render({"xs": ["a", "b"]})[0]["content"] == "List:\n- a\n- b\nEnd of it\nHere."


def test_what_is_included_alone_on_its_line_keeps_its_line(write: Write) -> None:
    assert write("a\n{% include 'q' %}\nb", q="q\n").render({})[0]["content"] == "a\nq\nb"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ x.append(1) }}",
        "{{ 'a' * 100000000 }}",
        "{{ [1] * 100000000 }}",
        "{{ 10 ** 10000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a' | indent(1000000000) }}",
        "{{ 1.5 | round(1000000000, 'ceil') }}",
        "{% set ns = namespace(t='aa') %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
        "{% set ns = namespace(t='aa') %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ ns.t }}",
        "{% set ns = namespace(n=7) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
        "{% set a = 'a' * 1000000 %}{{ a.replace('a', a) }}",
        "{% set a = 'a' * 1000000 %}{{ a.join(a) }}",
        "{% set a = 'a' * 1000000 %}{{ ([a] * 99999) | join(a) }}",
        "{% for i in range(99999) %}{% for i in range(99999) %}x{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set a = 'a' * 999999 %}{% for i in range(9) %}{{ a }}{% endfor %}",
        "{{ range(1000000000) | list }}",
        "{{ (x | map('upper')) }}",
        "{% set a = [1] * 9999 %}{% set b = [a] * 9999 %}{{ [b] * 9999 }}",
        "{% set a = [1] * 9999 %}{% set b = [a] * 9999 %}{{ ([b] * 9999) | upper }}",
        "{% for i in range(9999) recursive %}{% for i in range(9999) recursive %}x{% endfor %}{% endfor %}",
        "{{ x.index }}",
    ],
)
def test_a_strangers_template_is_held(write: Write, attack: str) -> None:
    rows = ["a"]
    assert rejected(write(attack + "{{ x }}"), x=rows)
    assert rows == ["a"]


def test_reload_is_not_needed_and_not_done(write: Write, tmp_path: Path) -> None:
    prompt = write("{% include 'q' %}", q="before")
    (tmp_path / "prompts" / "q.jinja").write_text("after")
    assert prompt.render({})[0]["content"] == "before"
