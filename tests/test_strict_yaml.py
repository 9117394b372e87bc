import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import strict_yaml
from synth_llm.errors import InputError
from synth_llm.strict_yaml import load, parse


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True, scope="module")
def loader(request: pytest.FixtureRequest) -> Any:
    """Both of PyYAML's parsers: the C one is not everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_yaml, "_LOADER", getattr(yaml, request.param))
        yield


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("---\n", None),
        ("a: ", {"a": None}),
        ("[~, null, Null, NULL]", [None] * 4),
        ("[true, True, TRUE, false, False, FALSE]", [True] * 3 + [False] * 3),
        ("[no, yes, on, off, y, n, NO, tRUE]", ["no", "yes", "on", "off", "y", "n", "NO", "tRUE"]),
        ("[0, 010, -7, +3, 0o17, 0x1F]", [0, 10, -7, 3, 15, 31]),
        ("[1.5, -.5, 2., 1e3, 1.0e-3]", [1.5, -0.5, 2.0, 1000.0, 0.001]),
        ("[12:30:45, 1_000, 2024-01-01, 0b11, 1.2.3, '=']", ["12:30:45", "1_000", "2024-01-01", "0b11", "1.2.3", "="]),
        ("""["1", 'true', "null", ""]""", ["1", "true", "null", ""]),
        ("a: |\n  1\n  2\n", {"a": "1\n2\n"}),
        ("a: >\n  1\n", {"a": "1\n"}),
        ("no: 1\n'1': 2\n'<<': 3\n", {"no": 1, "1": 2, "<<": 3}),
        ("\ufeffa: ünï ✓ 😀\r\nb: 2\r\n", {"a": "ünï ✓ 😀", "b": 2}),
        ('"\\t\\u2028\\0"', "\t\u2028\0"),
    ],
)
def test_values(text: str, value: Any) -> None:
    got = parse(text, "x.yaml").value
    assert got == value
    assert repr(got) == repr(value)  # 1 is not 1.0 is not True


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' stands twice, first in line 1"),
        ("a: {b: 1, 'b': 2}", 1, "twice"),
        ("a: &x 1\n", 1, "anchors"),
        ("a: 1\nb: *x\n", 2, "aliases"),
        ("a: 1\n<<: {b: 1}\n", 2, "merge"),
        ("a: !x 1\n", 1, "tags"),
        ("a: !!python/name:os.system\n", 1, "tags"),
        ("a:\n  1: x\n", 2, "'1' in quotes"),
        ("true: x\n", 1, "'true' in quotes"),
        ("~: x\n", 1, "'~' in quotes"),
        ("{a: 1}: x\n", 1, "key must be a text"),
        ("? [a, b]\n: x\n", 1, "key must be a text"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: 1\nb: \x07\n", 2, "U+0007"),
        ("a: 1\nb: x\u2028y\n", 2, "U+2028"),
        ("a: 1\rb: 2\n", 1, "U+000D"),
        ("a: \ud800\n", 1, "U+D800"),
        ("a: 1\nb: .inf\n", 2, ".inf"),
        ("a: -.Inf\n", 1, "JSON"),
        ("a: .nan\n", 1, "JSON"),
        ("a: 1e999\n", 1, "JSON"),
        ("a: " + "9" * 5000, 1, "digits"),
        ('a: 1\nb: "\\ud800"\n', 2, ""),
        ("a: b: c\n", 1, "quotes"),
        ("a: 1\nb: @x\n", 2, "quotes"),
        ("a: 1\n  b: 2\n", 2, "YAML"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "YAML"),
        ("a: 1\nb: 'open\n\n\n", 2, "YAML"),
        ("a: 1\nbcd\n", 2, "YAML"),
        ("[" * 100_000, 1, "nested"),
        ("{a: " * 1000, 1, "nested"),
        ("- " * 1000, 1, "nested"),
        ("a: 1\n%YAML 9.9\n", 2, ""),
    ],
)
def test_refused_with_path_and_line(text: str, line: int, word: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text, "dir/x.yaml", offset=10)
    assert str(error.value).startswith(f"dir/x.yaml:{line + 10}: ")
    assert "\n" not in str(error.value)
    assert word in str(error.value)


def test_lines() -> None:
    text = "\n# about\nname: x\nsteps:\n  - generate:\n      prompt: a\n      n: 4\n  - dedup: {by: x,\n      at: 1}\n"
    document = parse(text, "x.yaml")
    assert document.line(["name"]) == 3
    assert document.line(["steps"]) == 4
    assert document.line(["steps", 0]) == 5
    assert document.line(["steps", 0, "generate", "n"]) == 7
    assert document.line(["steps", 1, "dedup", "at"]) == 9
    assert document.line(["steps", 1, "dedup", "threshold"]) == 8  # nearest ancestor
    assert document.line(["steps", 7, "x"]) == 4
    assert document.line([]) == 3
    assert parse(text, "x.yaml", offset=2).line(["name"]) == 5
    assert parse("", "x.yaml", offset=2).line(["name"]) == 3


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load(path).value == {"a": 1}
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(InputError, match=r"r\.yaml:2: is not UTF-8"):
        load(path)
    path.write_bytes(b"# " + b"x" * strict_yaml.MAX_BYTES)
    with pytest.raises(InputError, match="larger than 10 MB"):
        load(path)
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        load(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(json_values)
def test_every_json_text_means_the_same(value: Any) -> None:
    # 4-hex-digit escapes of characters beyond U+FFFF are pairs, which YAML does not have: such text is written as it is
    text = json.dumps(value, ensure_ascii=False)
    if strict_yaml._FORBIDDEN.search(text):
        with pytest.raises(InputError):
            parse(text, "x.yaml")
    else:
        assert parse(text, "x.yaml").value == value


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,? \n\\0159.e~<\t\r\ufeff", max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        document = parse(text, "x.yaml")
    except InputError as error:
        assert "\n" not in str(error)
        assert error.line is not None
        assert 1 <= error.line <= text.count("\n") + 1
    else:
        json.dumps(document.value, allow_nan=False)
