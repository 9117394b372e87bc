"""Personal identifiers: what is found, what is not, and what the filter says of it."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.errors import InputError, MissingExtra
from synth_llm.library import Library, load_filter
from synth_llm.pii import USUAL, check_types, find
from synth_llm.pii_forms import IBAN_LENGTHS, luhn, mod_97


def found(text: str, **settings: object) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in find(text, **settings)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Write to ann.o'neil+x@mail.example.co.uk.", "email", "ann.o'neil+x@mail.example.co.uk"),
        ("ann (at) example (dot) com", "email", "ann (at) example (dot) com"),
        ("Ring +41 (0)69 979 80 58 now", "phone", "+41 (0)69 979 80 58"),
        ("It is (555) 123-4567, thanks", "phone", "(555) 123-4567"),
        ("Phone:\n467 3395\n\nE-mail:", "phone", "467 3395"),
        ("Gregor\n(37) 788-063-Office", "phone", "(37) 788-063"),
        ("Can someone call me on 72 128 827?", "phone", "72 128 827"),
        ("078-05-1120", "ssn", "078-05-1120"),
        ("My social security number is 900121234.", "ssn", "900121234"),
        ("to GB29 NWBK 6016 1331 9268 19 from", "iban", "GB29 NWBK 6016 1331 9268 19"),
        ("to gb29nwbk60161331926819.", "iban", "gb29nwbk60161331926819"),
        ("to GB28NWBK60161331926819", "iban", "GB28NWBK60161331926819"),  # its check digits do not hold
        ("4111 1111 1111 1111", "card", "4111 1111 1111 1111"),
        ("my card 501864667909 is lost", "card", "501864667909"),  # nor does this one's
        ("amex 3782-822463-10005", "card", "3782-822463-10005"),
        ("ping 8.8.8.8", "ip", "8.8.8.8"),
        ("2001:4860:4860::8888 is up", "ip", "2001:4860:4860::8888"),
    ],
)
def test_each_type_is_found_in_its_forms(text, kind, value):
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Order number 4839201938475610 was shipped on 2023-04-12.",
        "The number 1234567 is no prime; 0.12345678901234567 is no card.",
        "ISBN 978-3-16-148410-0, pages 1234-1245, seasons 1995-1996",
        "call a taxi to 638 2229 Wolmarans St",
        "phone calls on 2015-12-22 04:34:22",
        "192.168.1.1, 127.0.0.1, v1.2.3.4, std::vector<a::b>, ::1",
        "@app.route('/x') def f(x): return x @ y",
        "$1000 / 200 phones = $<<1000/200=5>>5",
        "UUID 123e4567-e89b-12d3-a456-426614174000",
        "At home, look at [the] dot",
        "0000-0000-0000-0000 and 000-00-0000",
    ],
)
def test_other_numbers_are_left_alone(text):
    assert found(text) == []


def test_a_word_beside_a_number_decides_where_its_form_does_not():
    (alone,) = find("12 345 678", ["phone"], 0.0)
    (told,) = find("tel. 12 345 678", ["phone"], 0.0)
    (other,) = find("invoice 12 345 678", ["phone"], 0.0) or [None]
    assert alone.score < 0.5 < told.score
    assert other is None or other.score < alone.score


def test_only_the_types_asked_for_are_found():
    text = "a@b.de, 4111 1111 1111 1111, https://example.com/x?y=1."
    assert [kind for kind, _ in found(text)] == ["email", "card"]
    assert found(text, types=["url"]) == [("url", "https://example.com/x?y=1")]
    assert found(text, min_score=0.95) == []


@given(st.text(alphabet="0123456789 -.()+@:/abcdeGB\n", max_size=200))
def test_finds_lie_in_the_text_in_order_and_apart(text):
    spans = find(text, [*USUAL, "url"], 0.01)
    assert all(0 <= one.start < one.end <= len(text) and 0 < one.score <= 1 for one in spans)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))


@given(st.text(alphabet="0123456789", min_size=11, max_size=18))
def test_one_check_digit_of_ten_holds(number):
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_an_iban_with_the_right_check_digits_is_certain(country, data):
    count = IBAN_LENGTHS[country] - 4
    rest = data.draw(st.text(alphabet="0123456789", min_size=count, max_size=count))
    check = next(f"{two:02d}" for two in range(2, 99) if mod_97(f"{country}{two:02d}{rest}"))
    (span,) = find(f"pay {country}{check}{rest}!", ["iban"])
    assert (span.start, span.end, span.score) == (4, 8 + count, 1.0)


@pytest.mark.parametrize(
    "text", ["1" * 50_000, "1-" * 25_000, "a" * 50_000 + "@", "a." * 25_000, "(1" * 25_000, ":" * 50_000]
)
def test_no_text_takes_long(text):
    began = time.process_time()
    find(text, [*USUAL, "url"])
    assert time.process_time() - began < 2


def test_unknown_types_are_refused_before_there_is_a_text(monkeypatch):
    with pytest.raises(InputError, match="no type 'fone'"):
        check_types(["email", "fone"])
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtra, match="UK_NHS"):
        check_types(["UK_NHS"])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("presidio_analyzer") is None, reason="needs presidio-analyzer")
def test_presidios_recognisers_are_there_by_their_names():
    assert found("her NHS number is 943 476 5919", types=["UK_NHS"]) == [("UK_NHS", "943 476 5919")]
    assert found("her NHS number is 943 476 5918", types=["UK_NHS"]) == []  # its check digit does not hold
    assert found("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", types=["CRYPTO"]) == [
        ("CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    ]
    with pytest.raises(InputError, match="called 'email' here"):
        check_types(["EMAIL_ADDRESS"])
    with pytest.raises(InputError, match="no type 'UK_NHX'; did you mean 'UK_NHS'"):
        check_types(["UK_NHX"])


def test_a_table_of_numbers_is_read_in_reasonable_time():
    text = "\n".join(f"212-555-{number:04d}" for number in range(2000))
    began = time.process_time()
    assert len(find(text)) == 2000
    assert time.process_time() - began < 2


def test_the_filter_names_types_and_never_a_value():
    pii = load_filter("pii", Library())
    verdict = pii({"text": "a@b.de or c@d.de, SSN 078-05-1120"})
    assert (verdict.keep, verdict.reason, verdict.value) == (False, "holds email (2), ssn", 1.0)
    assert pii({"text": "An apple a day."}) == (True, "", 0.0)
    weak = pii({"text": "12 345 678"})
    assert weak.keep
    assert 0 < weak.value < 0.5
    assert not pii({"text": 3}).keep
    with pytest.raises(InputError):
        pii({"text": "x"}, types=["fone"])
