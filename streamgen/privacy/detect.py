"""Finds personal data that has a form: e-mail addresses, IBANs, card numbers, IP addresses, phone numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from ipaddress import ip_address
from typing import Literal, NamedTuple, TypeAlias, get_args

Kind: TypeAlias = Literal["email", "iban", "card", "ip", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they claim text: where two overlap, the earlier one has it."""


class Span(NamedTuple):
    """`text[start:end]` is personal data of this kind."""

    start: int
    end: int
    kind: Kind


def detect(text: str, kinds: Collection[Kind] = KINDS) -> list[Span]:
    """The spans of these kinds in a text, in order and without overlaps.

    >>> detect("Mail jo@example.org or call +44 7700 900123.")
    [Span(start=5, end=19, kind='email'), Span(start=28, end=43, kind='phone')]
    """
    spans: list[Span] = []
    for kind in KINDS:
        if kind in kinds:
            found = list(_found(kind, text))
            spans += found
            text = _blanked(text, found)
    return sorted(spans)


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def mod97(iban: str) -> bool:
    """Whether the check digits of an IBAN without spaces are right (ISO 13616: letters count 10 to 35, modulo 97).

    >>> mod97("GB82WEST12345698765432"), mod97("GB82WEST12345698765433")
    (True, False)
    """
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _is_card(match: re.Match[str]) -> bool:
    digits = "".join(_NUMBER.findall(match[0]))
    return 12 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def _is_iban(match: re.Match[str]) -> bool:
    iban = match[0].replace(" ", "")
    return 15 <= len(iban) <= 34 and mod97(iban)


def _is_ip(match: re.Match[str]) -> bool:
    try:
        ip_address(match[0])
    except ValueError:
        return False
    return True


def _is_phone(match: re.Match[str]) -> bool:
    """7 to 15 digits (E.164) that look dialled: a plus, a leading zero, parentheses, three groups, or a word nearby."""
    number = _EXTENSION.split(match[0])[0]
    groups = _NUMBER.findall(number)
    digits = sum(map(len, groups))
    if not 7 <= digits <= 15 or digits < 2 * len(groups) or _NO_PHONE.fullmatch(number):
        return False
    if number[0] in "+(0" or len(groups) > 2:
        return True
    start, end, text = match.start(), match.end(), match.string
    return bool(_CUE_BEFORE.search(text[max(0, start - 40) : start]) or _CUE_BEHIND.match(text[end : end + 12]))


_NUMBER = re.compile(r"[0-9]+")
_EXTENSION = re.compile(r"\s*(?:x|ext)", re.IGNORECASE)
_NO_PHONE = re.compile(
    r"(?:19|20)\d\d([-./ ])\d\d?\1\d\d?|\d\d?([-./ ])\d\d?\2(?:19|20)\d\d"  # dates
    r"|(?:(?:19|20)\d\d[- ]?)+|\d{1,3}(?: \d00)+|\d+\.\d+|0+"  # years, round numbers, fractions
    r"|\d{3}-\d\d-\d{4}|97[89][- ]?(?:\d[- ]?){10}",  # US social security numbers, ISBN-13
    re.ASCII,
)
_CUE_BEFORE = re.compile(
    r"\b(?:(?:tele)?phone|tel|mobile|cell|fax|desk|landline|call|dial|ring|sms|whatsapp|reach|answering)", re.IGNORECASE
)
_CUE_BEHIND = re.compile(r"[\s,;(\\-]*(?:mobile|cell|fax|office|desk|home|work)\b", re.IGNORECASE)


class _Form(NamedTuple):
    needs: Callable[[str], bool]  # a quick look that saves most texts the pattern
    pattern: re.Pattern[str]
    is_real: Callable[[re.Match[str]], bool]


def _has_digit(text: str) -> bool:
    return _NUMBER.search(text) is not None


_FORMS: dict[Kind, _Form] = {
    "email": _Form(
        lambda text: "@" in text,
        re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])"),
        lambda match: ".." not in match[0],
    ),
    "iban": _Form(
        _has_digit,
        re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b", re.ASCII),
        _is_iban,
    ),
    # Issuer ranges (ISO/IEC 7812): 2-6 and JCB's 1800; others are time stamps and order numbers.
    "card": _Form(_has_digit, re.compile(r"(?<![\w.-])(?:[2-6]|1800)(?:[ -]?\d){7,18}(?![\w-])", re.ASCII), _is_card),
    "ip": _Form(
        _has_digit,
        re.compile(
            r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)|(?:[0-9A-Fa-f]{0,4}:){2,7}"
            r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4})(?![\w:]))",
            re.ASCII,
        ),
        _is_ip,
    ),
    "phone": _Form(
        _has_digit,
        re.compile(
            r"(?<![\w$€£#])(?<!\d[.,/:-])(?:\+|\(\+?)?\d{1,6}\)?(?:[ ./-]?\(?\d{1,7}\)?){1,6}"
            r"(?:\s?(?:x|ext\.?\s?)\d{1,5})?(?![\w%]|[/:-]\d)",
            re.ASCII | re.IGNORECASE,
        ),
        _is_phone,
    ),
}


def _found(kind: Kind, text: str) -> Iterator[Span]:
    form = _FORMS[kind]
    if form.needs(text):
        for match in form.pattern.finditer(text):
            if form.is_real(match):
                yield Span(match.start(), match.end(), kind)


def _blanked(text: str, spans: Sequence[Span]) -> str:
    """The text with these spans made unreadable for the kinds that follow; positions stay."""
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], " " * (span.end - span.start)]
        end = span.end
    return "".join([*pieces, text[end:]])
