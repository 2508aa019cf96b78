"""Numbers, times and values of the data as text for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from streamgen.record import Value

_PIECES = re.compile(r"[^.:]*[.:]?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(value: object) -> object:
    """The value as it is, but for control characters, which HTML does not allow in text.

    What the template itself has made of values (`__html__`) is clean already.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)


def number(value: float | None) -> str:
    """A number with as many digits as are worth reading.

    >>> number(1234567), number(0.123456), number(12.0), number(None)
    ('1,234,567', '0.1235', '12', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value)):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def rounded(value: float) -> str:
    """A number with two digits that count, for errors.

    >>> rounded(0.0234567), rounded(12345.6)
    ('0.023', '12,346')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def percent(part: float, whole: float) -> str:
    """A share; "-" of nothing.

    >>> percent(1, 3), percent(1, 0)
    ('33.3 %', '-')
    """
    return f"{100 * part / whole:.1f} %" if whole else "-"


def usd(amount: float) -> str:
    """Money, with four digits below a dollar.

    >>> usd(0.03), usd(1234.5)
    ('$0.0300', '$1,234.50')
    """
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def cost(amount: float | None, unpriced: int = 0) -> str:
    """Money as far as it is known; `unpriced` requests come on top, and nobody knows what they cost.

    >>> cost(0.5), cost(0.5, 2), cost(None, 2)
    ('$0.5000', 'at least $0.5000', 'unknown price')
    """
    if amount is None:
        return "unknown price"
    return f"at least {usd(amount)}" if unpriced else usd(amount)


_FORMS = {"as_is": "as they are", "reasked": "asked for twice"}


def forms(counts: Mapping[str, int]) -> str:
    """In which form structured answers came.

    >>> forms({"as_is": 1200, "fenced": 3})
    '1,200 as they are, 3 fenced'
    """
    return ", ".join(f"{count:,} {_FORMS.get(form, form)}" for form, count in counts.items())


def duration(seconds: float | None) -> str:
    """A time span as people say it.

    >>> duration(0.00002), duration(0.0213), duration(75.2), duration(7260)
    ('20 µs', '21 ms', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return f"{1e6 * seconds:.0f} µs"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def when(timestamp: float) -> str:
    """A moment, the same for every reader.

    >>> when(0)
    '1970-01-01 00:00:00 UTC'
    """
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def breakable(name: str) -> list[str]:
    """The pieces of a name between which a line may end.

    >>> breakable("answer.top_p")
    ['answer.', 'top_p']
    """
    return [piece for piece in _PIECES.findall(name) if piece]


def middle_cut(text: str, limit: int) -> str:
    """The text, without its middle where it is longer than `limit`.

    >>> middle_cut("abcdefghij", 5)
    'a…hij'
    """
    head = (limit - 1) // 3
    return text if len(text) <= limit else f"{text[:head]}…{text[len(text) - limit + head + 1 :]}"


def shown(value: Value, limit: int = 2000) -> str:
    """A value of the data as text, JSON unless it is a text, cut at `limit` characters.

    >>> shown("abcdef", 3), shown({"a": 1})
    ('abc… (6 characters)', '{"a": 1}')
    """
    text = value if isinstance(value, str) else _json(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def _json(value: Value) -> str:
    text = msgspec.json.encode(value)
    return msgspec.json.format(text, indent=2 if len(text) > 60 else 0).decode()
