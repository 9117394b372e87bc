"""What personal identifiers look like: patterns, checksums, and the words that stand beside them.

The score of a form, in [0, 1], is how sure it is by itself: 1 a checksum that holds in a form of its own, from .5 what
little else looks like, below that what only the words beside it can tell (`CUE`, `DECOY`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

CUE, DECOY = 0.4, 0.3
"""What a word of the type's own beside a number adds to its score, and what a word of another kind of number takes."""

_SEP = r"[ \u00a0.\-\u2010-\u2013]"
_GROUP_SEP = r"[ \u00a0.\-\u2010-\u2013/]"
_ALONE = r"(?<![\w+.])(?<!\d[\-/:,])"
_ENDS = r"(?![\w@%]| ?[=*])(?![\-/:.,]\d)"


class Form(NamedTuple):
    """A pattern, and the score of a text that it matches: 0 when it is none after all."""

    pattern: re.Pattern[str]
    score: Callable[[str], float]


class Kind(NamedTuple):
    """A type of identifier: its forms, the words before or after it that speak for it, those before it that do not."""

    forms: tuple[Form, ...]
    before: re.Pattern[str]
    after: re.Pattern[str]
    decoy: re.Pattern[str]


def form(pattern: str, score: float | Callable[[str], float], flags: int = 0) -> Form:
    """A form with a score that is always the same, or that depends on the text."""
    return Form(re.compile(pattern, flags), score if callable(score) else lambda _: score)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1, annex B.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def mod_97(iban: str) -> bool:
    """Whether the check digits of an IBAN without spaces hold (ISO 7064, MOD 97-10).

    >>> mod_97("GB29NWBK60161331926819"), mod_97("GB28NWBK60161331926819")
    (True, False)
    """
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def digits(text: str) -> str:
    """The digits of a text."""
    return "".join(char for char in text if char.isdecimal())


_ISSUER = re.compile(r"3|4|5[0-8]|6|2[2-7]|2131|1800")
"""How card numbers begin: the issuers' ranges."""


def _card(text: str) -> float:
    number = digits(text)
    grouped, usual = len(number) != len(text), len(number) in (15, 16)
    if len(set(number)) == 1:
        return 0.0
    if not _ISSUER.match(number):
        return 0.3 if luhn(number) else 0.15
    if luhn(number):
        return 0.9 if grouped else 0.75 if usual else 0.6
    return 0.6 if grouped else 0.5 if usual else 0.15


_COUNTRIES = {
    **{15: "NO", 16: "BE", 18: "DK FO FI GL NL SD FK", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN", 21: "HR LV LI CH"},
    **{22: "BH BG CR GE DE IE ME RS GB VA", 23: "AE GI IQ IL TL OM SO", 24: "AD CZ MD PK RO SA SK ES SE TN VG DZ"},
    **{25: "PT ST LY", 26: "IS TR", 27: "FR GR IT MR MC SM BI DJ MZ", 29: "BR EG PS QA UA", 30: "JO KW MU YE"},
    **{28: "AL AZ BY CY DO SV GT HU LB PL NI SN CI BF", 31: "MT SC", 32: "LC", 33: "RU"},
}
IBAN_LENGTHS = {country: length for length, countries in _COUNTRIES.items() for country in countries.split()}
"""Characters of an IBAN by country (the IBAN registry of ISO 13616)."""


def _iban(text: str) -> float:
    number = "".join(char for char in text if char.isalnum())
    exact = IBAN_LENGTHS.get(number[:2].upper())
    if exact == len(number):
        return 1.0 if mod_97(number.upper()) else 0.9 if text.isupper() else 0.2
    mostly = len(digits(number)) > len(number) / 2
    return (0.5 if exact and mostly else 0.2) if text.isupper() and 15 <= len(number) <= 34 else 0.0


def _ip(text: str) -> float:
    """Addresses of no one, such as private ones and those kept for documentation, are not personal."""
    try:
        return 0.6 if ipaddress.ip_address(text).is_global else 0.0
    except ValueError:
        return 0.0


_DATE = re.compile(
    r"(?:19|20)\d\d([-/. ])(?:0?[1-9]|1[0-2])\1[0-3]?\d\b|[0-3]?\d([-/.])[0-3]?\d\2(?:19|20)\d\d\b"
    r"|(?:19|20)\d\d ?[-\u2013/] ?(?:19|20)\d\d\b"
)


_DECIMAL = re.compile(r"(?:0|[1-9]\d*)\.\d+")


def _phone(base: float, least: int = 7) -> Callable[[str], float]:
    """The score of a form of phone numbers; ITU-T E.164 allows 15 digits, and few plans give out less than 7."""

    def score(text: str) -> float:
        number = digits(re.split(r"[a-z]", text, maxsplit=1)[0])
        if not least <= len(number) <= 15 or len(set(number)) == 1:
            return 0.0
        return 0.0 if _DATE.match(text) or _DECIMAL.fullmatch(text) else base

    return score


_OTHER = (
    r"order|tracking|invoice|reference|ref|serial|case|ticket|flight|part|item|product|model|batch|lot|confirmation|"
    r"version|isbn|issn|doi|sku|upc|ean|barcode|patent|timestamp|build|job|po|transaction|zip|postal"
)
_NO_PHONE = (
    r"account|routing|aba|ssn|social security|licen[cs]e|passport|id|student|employee|member(?:ship)?|policy|"
    r"registration|vin|room|page|card|vat|tax"
)
_DECOY = re.compile(rf"\b(?:{_OTHER})\b[^.!?\n]{{0,16}}$|[=*^\u00d7/+]\s*$", re.I)
_DECOY_OF_PHONE = re.compile(rf"\b(?:{_OTHER}|{_NO_PHONE})\b[^.!?\n]{{0,16}}$|[*^\u00d7/+]\s*$", re.I)
_NEVER = re.compile(r"(?!)")

_NOUN = (
    r"\b(?:(?:tele)?phones?|tel|mobiles?|cell ?phone|cell(?= number| is|:| #)|landline|fax|whatsapp|hotline|helpline|"
    r"switchboard|voice ?mail|pager|dial|ext)\b"
)
_OWN_NUMBER = (
    r"\b(?:my|your|his|her|our|their|following|new|old|contact|emergency|work|home|office|business|cell|callback|"
    r"toll[- ]free|direct)\s+(?:number|line|no\b)"
)
_PHONE_BEFORE = re.compile(
    rf"(?:{_NOUN}|{_OWN_NUMBER})[^\d]{{0,30}}$"
    r"|\b(?:call|reach|contact|ring|text|phone|message|sms|touch|available)\b[^.?!\n\d]{0,40}\b(?:at|on|via|by)\W{0,3}$"
    r"|\b(?:call(?:ed|ing)?|ring|text|sms|reach|contact|(?<!the )number is|numbers are)"
    r"(?: (?:me|us|him|her|them|back|now|today|directly))*\W{0,3}$"
    r"|\b(?:calls?|texts?|messages?|sms) from\W{0,3}$|\b(?:me|us|him|her|them) (?:at|on)\W{0,3}$"
    r"|\b[TMPFHC]\s?[:.]\s?$",
    re.I,
)
_PHONE_AFTER = re.compile(
    r"[\s\-(,]{0,3}(?:office|fax|home|cell|mobile|work|desk|landline)\b|[^\d.!?\n]{0,24}\b(?:my|your|his|her|our|"
    r"their|the) (?:\w+ )?(?:phone|number|mobile|cell)\b",
    re.I,
)

KINDS: dict[str, Kind] = {
    "email": Kind(
        (
            form(r"(?<![\w.+%'\-])[\w.+%'\-]{1,64}@(?:[\w\-]{1,63}\.){1,8}[^\W\d_][\w\-]{1,62}(?![\w@])", 0.9),
            form(
                r"(?<![\w.+\-])[\w.+\-]{1,64}\s?[\[({<]\s?at\s?[\])}>]\s?[\w\-]{1,63}"
                r"(?:\s?(?:\.|[\[({<]\s?dot\s?[\])}>])\s?[\w\-]{2,63}){1,5}",
                0.6,
                re.I,
            ),
        ),
        _NEVER,
        _NEVER,
        _NEVER,
    ),
    "phone": Kind(
        (
            form(
                rf"(?<![\w+.])(?<!\d )\(?(?:\+|00)[1-9]\d{{0,3}}\)?{_GROUP_SEP}?"
                rf"(?:\(\d{{1,5}}\){_SEP}?)?\d{{1,12}}(?:{_GROUP_SEP}\d{{1,8}})"
                rf"{{0,5}}(?!\w)",
                _phone(0.7),
            ),
            form(
                rf"{_ALONE}(?:1{_SEP})?(?:\(\d{{3}}\){_SEP}?|\d{{3}}{_SEP})\d{{3}}{_SEP}\d{{4}}"
                rf"(?:,?\s?(?:x|ext\.?|extension)\s?\d{{1,6}})?(?!\w)",
                _phone(0.6),
            ),
            form(
                rf"{_ALONE}\((?!(?:19|20)\d\d\))\d{{1,5}}\){_SEP}?\d{{2,8}}(?:{_GROUP_SEP}\d{{2,8}}){{0,3}}{_ENDS}",
                _phone(0.5),
            ),
            form(rf"{_ALONE}0[1-9]\d{{0,3}}(?:{_GROUP_SEP}\d{{2,8}}){{1,4}}{_ENDS}", _phone(0.5, least=9)),
            form(rf"{_ALONE}0[1-9](?:({_SEP})\d\d)(?:\1\d\d){{3}}{_ENDS}", _phone(0.6)),
            form(
                rf"{_ALONE}(?:\(\d{{1,5}}\)|\d{{1,12}})(?:{_GROUP_SEP}\d{{2,8}}){{0,5}}{_ENDS}",
                _phone(0.15),
            ),
        ),
        _PHONE_BEFORE,
        _PHONE_AFTER,
        _DECOY_OF_PHONE,
    ),
    "ssn": Kind(
        (
            form(rf"{_ALONE}\d{{3}}[\-\u2010-\u2013]\d\d[\-\u2010-\u2013]\d{{4}}{_ENDS}", lambda text: _ssn(text, 0.7)),
            form(rf"{_ALONE}\d{{3}} \d\d \d{{4}}{_ENDS}", lambda text: _ssn(text, 0.5)),
            form(rf"{_ALONE}\d{{3}}([./]?)\d\d\1\d{{4}}{_ENDS}", lambda text: _ssn(text, 0.2)),
        ),
        re.compile(r"\b(?:ssns?|social|soc\.? sec|ss ?(?:#|no|number)|taxpayer|tax id|i?tin)\b[^\d]{0,40}$", re.I),
        re.compile(r"[^\d.!?\n]{0,24}\b(?:ssn|social security)\b", re.I),
        _DECOY,
    ),
    "card": Kind(
        (
            form(r"(?<![\w.\-])\d{12,19}(?!\w)(?![.\-]\d)", _card),
            form(r"(?<![\w.\-])\d{4}([ \-.])\d{4}\1\d{4}\1\d{1,7}(?:\1\d{1,3})?(?!\w)(?!-\d)", _card),
            form(r"(?<![\w.\-])3\d{3}([ \-.])\d{6}\1\d{4,5}(?!\w)(?!-\d)", _card),
        ),
        re.compile(
            r"\b(?:cards?|visa|master ?card|amex|american express|discover|maestro|diners|jcb|credit|debit|cc|cvv|"
            r"payments?|charged?|pan)\b[^\d]{0,40}$",
            re.I,
        ),
        re.compile(r"[^\d.!?\n]{0,24}\b(?:card|visa|mastercard|amex|cvv|exp(?:ires|iry|iration)?)\b", re.I),
        _DECOY,
    ),
    "iban": Kind(
        (
            form(
                r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?:[ \-]?[A-Z0-9]{4}){2,7}(?:[ \-]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", _iban
            ),
            form(r"(?<![A-Za-z0-9])[a-z]{2}\d\d(?:[ \-]?[a-z0-9]{4}){2,7}(?:[ \-]?[a-z0-9]{1,3})?(?![a-z0-9])", _iban),
        ),
        re.compile(r"\b(?:iban|bank|account|transfer|wire|sepa|swift|bic)\b[^.!?\n]{0,40}$", re.I),
        re.compile(r"[^.!?\n]{0,16}\biban\b", re.I),
        _NEVER,
    ),
    "ip": Kind(
        (
            form(r"(?<![\w.:])\d{1,3}(?:\.\d{1,3}){3}(?![\w:]*[:\w])(?!\.\d)", _ip),
            form(r"(?<![\w:])(?=(?:[0-9a-f]*:){3})[0-9a-f:]{6,39}(?![\w:])", _ip, re.I),
        ),
        re.compile(r"\bip(?:v[46])?\b[^\d]{0,20}$", re.I),
        _NEVER,
        re.compile(r"\b(?:v|version|release|section|build)\W{0,2}$", re.I),
    ),
    "url": Kind(
        (form(r"(?<!\w)(?:https?://|www\.)[^\s<>\"'`\])}]{2,2000}[^\s<>\"'`\])}.,;:!?]", 0.9, re.I),),
        _NEVER,
        _NEVER,
        _NEVER,
    ),
}
"""The types that are found without another package."""


def _ssn(text: str, base: float) -> float:
    return 0.0 if len(set(digits(text))) == 1 else base
