"""Finds personal data that has a form, in spans that do not overlap."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from streamgen.privacy.form import Form
from streamgen.privacy.national import NATIONAL_ID
from streamgen.privacy.network import EMAIL, IP, MAC, URL
from streamgen.privacy.numbers import CARD, IBAN, PHONE, SSN
from streamgen.privacy.personal import ADDRESS, BIRTH_DATE
from streamgen.privacy.secrets import JWT, PEM, SECRET

Kind: TypeAlias = Literal[
    "pem",
    "jwt",
    "url",
    "email",
    "secret",
    "mac",
    "iban",
    "card",
    "national_id",
    "ssn",
    "ip",
    "birth_date",
    "phone",
    "address",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they claim text, the most certain first: where two overlap, the earlier one has it."""

DEFAULT_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("url", "national_id"))
"""Without `url`, which is mostly nobody's, and `national_id`, which needs python-stdnum."""

_FORMS: dict[Kind, Form] = {
    "pem": PEM,
    "jwt": JWT,
    "url": URL,
    "email": EMAIL,
    "secret": SECRET,
    "mac": MAC,
    "iban": IBAN,
    "card": CARD,
    "national_id": NATIONAL_ID,
    "ssn": SSN,
    "ip": IP,
    "birth_date": BIRTH_DATE,
    "phone": PHONE,
    "address": ADDRESS,
}


class Span(NamedTuple):
    """`text[start:end]` is personal data of this kind."""

    start: int
    end: int
    kind: Kind


def detect(text: str, kinds: Collection[Kind] = DEFAULT_KINDS) -> list[Span]:
    """The spans of these kinds in a text, in order and without overlaps.

    >>> detect("Mail jo@example.org or call +44 7700 900123.")
    [Span(start=5, end=19, kind='email'), Span(start=28, end=43, kind='phone')]
    """
    spans: list[Span] = []
    for kind in KINDS:
        if kind in kinds:
            found = [Span(start, end, kind) for start, end in _FORMS[kind].places(text)]
            spans += found
            text = _blanked(text, found) if found else text
    return sorted(spans)


def detect_all(texts: Sequence[str], kinds: Collection[Kind] = DEFAULT_KINDS) -> list[list[Span]]:
    """The spans of these kinds in each text."""
    return [detect(text, kinds) for text in texts]


def _blanked(text: str, spans: Sequence[Span]) -> str:
    """The text with these spans made unreadable for the kinds that follow; positions stay."""
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], " " * (span.end - span.start)]
        end = span.end
    return "".join([*pieces, text[end:]])
