"""Forms of numbers that name a person or an account: IBAN, card, US social security number, phone."""

from __future__ import annotations

import re

from streamgen.privacy.checksums import luhn, mod97
from streamgen.privacy.form import Form, has_digit, matches


def _is_card(match: re.Match[str]) -> bool:
    digits = "".join(_NUMBER.findall(match[0]))
    return 12 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def _is_iban(match: re.Match[str]) -> bool:
    iban = match[0].replace(" ", "")
    return 15 <= len(iban) <= 34 and mod97(iban)


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
IBAN = Form(
    has_digit,
    re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b", re.ASCII),
    _is_iban,
)
# Issuer ranges (ISO/IEC 7812): 2-6 and JCB's 1800; others are time stamps and order numbers.
CARD = Form(
    matches(r"[0-9](?:[ -]?[0-9]){11}"),
    re.compile(r"(?<![\w.-])(?:[2-6]|1800)(?:[ -]?\d){7,18}(?![\w-])", re.ASCII),
    _is_card,
)
# Never issued: areas 000, 666 and 900-999, group 00, serial 0000 (US Social Security Administration).
SSN = Form(
    matches(r"[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}"),
    re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}([- ])(?!00)\d\d\1(?!0000)\d{4}(?![\w-])", re.ASCII),
)
PHONE = Form(
    matches(r"[0-9](?:[ ./()-]{0,3}[0-9]){6}"),
    re.compile(
        r"(?<![\w$€£#/])(?<!\d[.,/:-])(?:\+|\(\+?)?\d{1,6}\)?(?:[ ./-]?\(?\d{1,7}\)?){1,6}"
        r"(?:\s?(?:x|ext\.?\s?)\d{1,5})?(?![\w%]|[/:-]\d)",
        re.ASCII | re.IGNORECASE,
    ),
    _is_phone,
)
