"""What stands in the place of personal data: its kind, a keyed hash of it, or an invented value."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from typing import Any, TypeAlias

from streamgen.errors import MissingExtra
from streamgen.privacy.detect import Kind

Replacement: TypeAlias = Callable[[Kind, str], str]
"""(kind, value) -> what is written instead."""

_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_INVENTED: dict[Kind, str] = {
    "email": "safe_email",
    "phone": "phone_number",
    "card": "credit_card_number",
    "iban": "iban",
    "ssn": "ssn",
    "ip": "ipv4_private",
    "mac": "mac_address",
    "url": "url",
    "birth_date": "date",
    "address": "street_address",
}


def placeholder(kind: Kind, value: str) -> str:
    """`[EMAIL]` and the like."""
    return f"[{kind.upper()}]"


def hashed(key: bytes) -> Replacement:
    """`[EMAIL:...]` with 16 letters of the value's HMAC-SHA256: the same value has the same letters, under one key.

    Letters only, so that no hash looks like a number.
    """

    def replacement(kind: Kind, value: str) -> str:
        digest = hmac.new(key, value.encode("utf-8", "surrogatepass"), sha256).hexdigest()[:16]
        return f"[{kind.upper()}:{digest.translate(_LETTERS)}]"

    return replacement


def invented(scope: str, locale: str, key: bytes = b"") -> Replacement:
    """A value by Faker, the same for the same value within the scope; secrets and national ids get a placeholder.

    It is drawn from a hash of scope and value, so that nothing has to be remembered.
    """

    def replacement(kind: Kind, value: str) -> str:
        if kind not in _INVENTED:
            return placeholder(kind, value)
        seed = hmac.new(key, f"{scope}\0{value}".encode("utf-8", "surrogatepass"), sha256).digest()
        faker = _faker(locale)
        faker.seed_instance(int.from_bytes(seed[:8], "big"))
        return str(getattr(faker, _INVENTED[kind])())

    return replacement


def require_faker() -> None:
    """Raise MissingExtra where Faker is not installed."""
    if find_spec("faker") is None:
        raise MissingExtra('the action "replace"', "faker")


@cache
def _faker(locale: str) -> Any:
    require_faker()
    from faker import Faker

    return Faker(locale)
