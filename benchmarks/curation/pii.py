"""pii: what is found of e-mail addresses, phone numbers, US SSNs, IBANs and card numbers, and how much else.

On labelled sentences, and on 500 made-up spans a type in varied sentences, with and without valid checksums, beside as
many sentences with other numbers. A find counts when it overlaps a span of its type. Presidio's own recognisers of the
same types, with its context words, run beside.
"""

from __future__ import annotations

import json
import random
import string
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.data import data
from benchmarks.runner import Failed
from synth_llm.pii import Span, find

TYPES = {
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "ssn": "US_SSN",
    "iban": "IBAN_CODE",
    "card": "CREDIT_CARD",
}
GOALS = {"email": 1.0, "phone": 1.0, "ssn": 1.0, "iban": 0.95, "card": 0.95}
PRECISION = 0.9
SPANS = 500


class Text(NamedTuple):
    """A text and the spans that are known in it."""

    text: str
    spans: list[Span]


Finder = Callable[[str], list[Span]]


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """Recall by type and precision over all, in both sets, beside Presidio's; and what a text costs."""
    presidio = _presidio()
    for name, texts in (("presidio_pii", _labelled()), ("made up", _made(random.Random(7)))):
        recall, precision, cost = _measured(texts, lambda text: find(text, list(TYPES)))
        theirs, their_precision, their_cost = _measured(texts, presidio)
        for kind, goal in GOALS.items():
            if kind in recall:
                yield (
                    f"pii {kind}",
                    f"{name}: recall {recall[kind]:.3f} (Presidio {theirs[kind]:.3f})",
                    f">= {goal}",
                    recall[kind] >= goal,
                )
        yield (
            "pii precision",
            f"{name}: {precision:.3f} (Presidio {their_precision:.3f})",
            f">= {PRECISION}",
            precision >= PRECISION,
        )
        faster = their_cost / cost
        yield "pii speed", f"{name}: {cost * 1e6:.0f} us a text, 1/{faster:.0f} of Presidio's", "less", faster > 1


def _measured(texts: list[Text], finder: Finder) -> tuple[dict[str, float], float, float]:
    """Recall by type, precision over all types, CPU seconds a text."""
    began = time.process_time()
    found = [finder(text.text) for text in texts]
    cost = (time.process_time() - began) / len(texts)
    hits = {kind: [0, 0] for kind in TYPES}
    right = total = 0
    for text, spans in zip(texts, found, strict=True):
        for known in text.spans:
            hits[known.type][0] += any(_overlap(known, span) for span in spans)
            hits[known.type][1] += 1
        right += sum(any(_overlap(known, span) for known in text.spans) for span in spans)
        total += len(spans)
    return {kind: hit / of for kind, (hit, of) in hits.items() if of}, right / max(1, total), cost


def _overlap(one: Span, other: Span) -> bool:
    return one.type == other.type and one.start < other.end and other.start < one.end


def _labelled() -> list[Text]:
    ours = {theirs: kind for kind, theirs in TYPES.items()}
    texts = []
    with data("presidio_pii/pii_dev.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            spans = [
                Span(span["start_position"], span["end_position"], ours[span["entity_type"]], 1.0)
                for span in row["spans"]
                if span["entity_type"] in ours
            ]
            texts.append(Text(row["full_text"], spans))
    return texts


def _presidio() -> Finder:
    """Presidio's recognisers with a word of their context in the text adding .35, as its enhancer does, from .4."""
    try:
        from presidio_analyzer import predefined_recognizers as theirs
    except ImportError as error:
        raise Failed("needs the extra curate (presidio-analyzer)") from error
    import tldextract

    offline: Any = tldextract.TLDExtract(suffix_list_urls=())
    tldextract.extract = offline  # the usual one asks the network
    classes = (
        theirs.EmailRecognizer,
        theirs.PhoneRecognizer,
        theirs.UsSsnRecognizer,
        theirs.IbanRecognizer,
        theirs.CreditCardRecognizer,
    )
    recognisers: dict[str, Any] = dict(zip(TYPES, (one() for one in classes), strict=True))

    def finder(text: str) -> list[Span]:
        spans: list[Span] = []
        words = set(text.lower().replace(":", " ").replace("?", " ").split())
        for kind, recogniser in recognisers.items():
            more = 0.35 if words & set(recogniser.context) else 0.0
            found = recogniser.analyze(text, [TYPES[kind]], None)
            spans += [Span(one.start, one.end, kind, one.score) for one in found if one.score + more >= 0.4]
        return spans

    return finder


SENTENCES = {
    "email": (
        "Please write to {} before Friday.",
        "{}",
        "Contact: {}, or leave a message.",
        "I sent it from {}; did it arrive?",
        "From: Ann <{}>\nSubject: lunch",
        "Her address ({}) changed last year.",
    ),
    "phone": (
        "Call me at {} tomorrow.",
        "My phone number is {}.",
        "Tel: {}",
        "You can reach the office on {} until 5 pm.",
        "Mobile {}, ask for Ann.",
        "Text us at {}!",
        "Fax: {}\nAnn Smith",
        "Is {} still your number? Then call back.",
    ),
    "ssn": (
        "My SSN is {}.",
        "Social security number: {}",
        "The applicant ({}) was born in Ohio; her SSN is on file.",
        "SSN {} belongs to Mr. Smith.",
        "They asked for my social security number, {}, on the phone.",
    ),
    "iban": (
        "Please transfer the rent to {} by Monday.",
        "IBAN: {}",
        "My account is {}, thank you.",
        "{} is where the money went.",
        "Send 200 euros to {} (Ann Smith).",
    ),
    "card": (
        "Charge {} and send the receipt.",
        "My card number is {}.",
        "Visa {}, expires 10/27.",
        "I paid with credit card {} yesterday.",
        "What is the limit of {}?",
        "Card: {} CVV: 123",
    ),
}
OTHERS = (
    "Order number {d16} was shipped on 2023-04-{d1}2.",
    "ISBN 978-{n1}-{d2}-{d6}-{d1} is out of print.",
    "{n3} + {n4} = {n4}, and {n6} / {n3} = {n2}.{d8}.",
    "The meeting is on 12/0{n1}/2021 at 1{d1}:3{d1}.",
    "Version 10.{d1}.{d2}.{d3} fixes bug #{n5}.",
    "Between 1990-2005 the town grew from {n5} to {n6} people.",
    "The tracking code is {n3}{d16}; the parcel weighs {n1}.{d2} kg.",
    "pi is 3.14159265358979, e is 2.718281828459045.",
    "commit {h}{h}{h} broke the build",
    "They live at {n4} Oak Street, Springfield {n5}-{d4}.",
    "Population: {n3},{d3},{d3} (2020 census).",
    "Coordinates {n2}.{d6}, -{n2}.{d6}.",
    "Follow @ann_smith and @bob on their sites.",
    "GDP rose from ${n3},{d3},{d3} to ${n3},{d3},{d3}.",
    "The timestamp was 16{d8}{d3} ms.",
    "id: {h}-{d4}-4{d3}-a{d3}-{h}{d4}",
    "Scores: 21-15, 15-21, 21-19 in {n2} minutes.",
    "He scored {n3} {d2} times in {n4} games.",
    "Part no. AB{d2} {d4} fits models {n3}, {n3} and {n4}.",
    "At 20 degrees, {n2} {d3} litres flow through pipe {n3}-{d2}.",
)


def _made(rng: random.Random) -> list[Text]:
    """Texts with one span each, `SPANS` of each type, and as many with none."""
    makers: dict[str, Callable[[random.Random], str]] = {
        "email": _email,
        "phone": _phone,
        "ssn": _ssn,
        "iban": _iban,
        "card": _card,
    }
    texts = []
    for kind, make in makers.items():
        for _ in range(SPANS):
            before, after = rng.choice(SENTENCES[kind]).split("{}")
            value = make(rng)
            span = Span(len(before), len(before) + len(value), kind, 1.0)
            texts.append(Text(before + value + after, [span]))
    for _ in range(SPANS * len(makers)):
        numbers = {f"d{count}": _digits(rng, count) for count in (1, 2, 3, 4, 6, 8, 16)}
        numbers |= {f"n{count}": f"{rng.randint(1, 9)}{_digits(rng, count - 1)}" for count in range(1, 7)}
        texts.append(Text(rng.choice(OTHERS).format(**numbers, h=f"{rng.getrandbits(32):08x}"), []))
    return texts


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _email(rng: random.Random) -> str:
    name = rng.choice(("ann", "j.smith", "o'brien", "max_m", "li-wei", "r2d2", "sales+eu", "info", "ÅsaLaine"))
    host = rng.choice(("example", "mail.uni-x", "my-shop", "corp", "a1", "dept.gov"))
    return (
        f"{name}{rng.choice(('', _digits(rng, 2)))}@{host}.{rng.choice(('com', 'org', 'co.uk', 'museum', 'io', 'de'))}"
    )


def _phone(rng: random.Random) -> str:
    """A number of some country in one of the forms of its numbering plan, by the phonenumbers library."""
    import phonenumbers as pn

    regions = ("US", "CA", "GB", "DE", "FR", "IN", "BR", "AU", "JP", "SE", "IT", "ES", "PL", "ZA", "MX", "NL", "CH")
    region = rng.choice(regions)
    kind = rng.choice((pn.PhoneNumberType.FIXED_LINE, pn.PhoneNumberType.MOBILE))
    number: Any = pn.example_number_for_type(region, kind)
    number.national_number = number.national_number // 10000 * 10000 + rng.randrange(10000)
    forms = (pn.PhoneNumberFormat.NATIONAL, pn.PhoneNumberFormat.INTERNATIONAL, pn.PhoneNumberFormat.E164)
    text = str(pn.format_number(number, rng.choice(forms)))
    return text.replace(" ", rng.choice((" ", " ", "-", "."))) if "(" not in text else text


def _ssn(rng: random.Random) -> str:
    """Areas that were given out, and those that never are."""
    area = rng.choice((f"{rng.randint(1, 665):03d}", f"{rng.randint(900, 999)}", "666"))
    return rng.choice(("-", "-", "-", " ", "")).join((area, f"{rng.randint(1, 99):02d}", f"{rng.randint(1, 9999):04d}"))


STRUCTURES = {
    **{"DE": "n18", "GB": "a4n14", "FR": "n10c11n2", "NL": "a4n10", "ES": "n20", "IT": "a1n10c12", "PL": "n24"},
    **{
        "CH": "n5c12",
        "BE": "n12",
        "SE": "n20",
        "NO": "n11",
        "MT": "a4n5c18",
        "AT": "n16",
        "SA": "n2c18",
        "BR": "n23a1c1",
    },
}
"""What follows the check digits: n digits, a letters, c either (the IBAN registry)."""


def _iban(rng: random.Random) -> str:
    country, structure = rng.choice(list(STRUCTURES.items()))
    signs = {"n": string.digits, "a": string.ascii_uppercase, "c": string.digits + string.ascii_uppercase}
    parts = structure.replace("n", " n").replace("a", " a").replace("c", " c").split()
    rest = "".join("".join(rng.choices(signs[part[0]], k=int(part[1:]))) for part in parts)
    right = 98 - int("".join(str(int(char, 36)) for char in f"{rest}{country}00")) % 97
    check = right if rng.random() < 0.5 else (right + rng.randint(1, 95)) % 97 + 2
    whole = f"{country}{check:02d}{rest}"
    return whole if rng.random() < 0.5 else " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


def _card(rng: random.Random) -> str:
    ranges = (("4", 16), ("4", 13), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16))
    begin, length = rng.choice((*ranges, ("65", 16), ("3528", 16), ("36", 14), ("5018", 16), ("4", 19)))
    number = begin + _digits(rng, length - 1 - len(begin))
    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(number)))
    number += str((10 - total % 10 + (rng.randint(1, 9) if rng.random() < 0.5 else 0)) % 10)
    sizes = {15: (4, 6, 5), 16: (4, 4, 4, 4)}.get(length, (length,))
    if rng.random() < 0.5:
        sizes = (length,)
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    sep = rng.choice((" ", "-"))
    return sep.join(number[end - size : end] for size, end in zip(sizes, ends, strict=True))
