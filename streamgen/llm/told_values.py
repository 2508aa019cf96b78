"""The values that servers write into headers about their limits: amounts, durations, dates, structured fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import isfinite

_UNIT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_STEP = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|us|µs|ns|[dhms])")
_DURATION = re.compile(rf"(?:{_STEP.pattern}\s*)+")
_EPOCH = 1e8  # more seconds than any limit resets in: a time since 1970
_EPOCH_MS = 1e11
_CLOCKS_AGREE_S = 2.0  # `Date` has whole seconds, and takes a while to come
_ITEM = r'("[^"]*"|[^\s,;="]+)(?:=([\d.]+))?((?:\s*;\s*[a-z]+=(?:"[^"]*"|[^\s,;]+))*)'
_PARAMETER = r'([a-z]+)=("[^"]*"|[^\s,;]+)'
_WAIT = rb'(?i)(?:try again in|retry after|retryDelay"\s*:)\s*"?(\d[\d.]*\s*[a-z]*(?:\d[\d.]*[a-z]+)*)'
_WORDS = {"milliseconds": "ms", "millisecond": "ms", "seconds": "s", "second": "s", "minutes": "m", "minute": "m"}


@lru_cache(maxsize=4096)
def amount(text: str | None) -> float | None:
    """A number of requests or tokens; None for none, and for -1, by which some servers mean "no limit".

    >>> amount("60000"), amount("100, 100;w=60"), amount("-1"), amount("many")
    (60000.0, 100.0, None, None)
    """
    number = _number((text or "").partition(",")[0].partition(";")[0])
    return None if number is None or number == -1 else max(0.0, number)


def duration_s(text: str) -> float | None:
    """Seconds of a duration as Go writes it, None for anything else.

    >>> duration_s("6m0s"), duration_s("20ms"), duration_s("1h0m1.5s"), duration_s("soon")
    (360.0, 0.02, 3601.5, None)
    """
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNIT_S[unit] for number, unit in _STEP.findall(text))


def reset_s(text: str | None, headers: Mapping[str, str], clock: Callable[[], float]) -> float | None:
    """Seconds until a reset that is given as a duration, as seconds, as a date, or as a time since 1970.

    >>> reset_s("12", {}, lambda: 0.0), reset_s("2026-11-22T00:00:30Z", {}, lambda: 1795305600.0)
    (12.0, 30.0)
    """
    seconds, at = _moment(text)
    return seconds if at is None else max(0.0, at - server_time(headers, clock))


def retry_after_s(headers: Mapping[str, str], clock: Callable[[], float]) -> float | None:
    """Seconds to wait, of `retry-after-ms` or `Retry-After`: 0 for a date that has passed, None for nonsense."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None and milliseconds >= 0:
        return milliseconds / 1e3
    return reset_s(headers.get("Retry-After"), headers, clock)


def wait_in_text(body: bytes) -> float | None:
    """The seconds that a refusal's text asks to wait: "Please try again in 7m3.2s", `"retryDelay": "31s"`."""
    found = re.search(_WAIT, body[:8192])
    if not found:
        return None
    text = found[1].decode("ascii", "replace").lower()
    for word, unit in _WORDS.items():
        text = text.replace(word, unit)
    return duration_s(text.strip())


def server_time(headers: Mapping[str, str], clock: Callable[[], float]) -> float:
    """The server's time when it answered: our clock where its `Date` agrees, its `Date` where the clocks differ."""
    here, there = clock(), _date(headers.get("Date", ""))
    return here if there is None or 0 <= here - there < _CLOCKS_AGREE_S else there


@lru_cache(maxsize=256)
def structured(text: str) -> dict[str, dict[str, float]]:
    """The numeric parameters of each member of a structured field, by the member's name.

    >>> structured('"burst";q=100;w=10, "day";q=5000;w=86400')
    {'"burst"': {'q': 100.0, 'w': 10.0}, '"day"': {'q': 5000.0, 'w': 86400.0}}
    >>> structured("limit=100, remaining=50, reset=5")
    {'': {'limit': 100.0, 'remaining': 50.0, 'reset': 5.0}}
    >>> structured("100;w=60")
    {'': {'q': 100.0, 'w': 60.0}}
    """
    members: dict[str, dict[str, float]] = {}
    for item in re.finditer(_ITEM, text):
        name, value, more = item.groups()
        if _is_other_unit(more):
            continue
        member = members.setdefault(name if name.startswith('"') else "", {})
        for key, said in ((name, value), ("q", name), *re.findall(_PARAMETER, more)):
            if (number := _number(said or "")) is not None and number >= 0:
                member[key.lower()] = number
    return members


def _is_other_unit(parameters: str) -> bool:
    """The draft's quota units beside requests: bytes, concurrent requests."""
    return "qu=" in parameters and 'qu="request' not in parameters


@lru_cache(maxsize=4096)
def _moment(text: str | None) -> tuple[float | None, float | None]:
    """Seconds from now, or a time since 1970, or neither."""
    text = (text or "").strip()
    number = _number(text)
    if number is None:
        return duration_s(text), _date(text)
    if number < _EPOCH:
        return (number if number >= 0 else None), None
    return None, number / 1e3 if number >= _EPOCH_MS else number


def _number(text: str) -> float | None:
    with suppress(ValueError):
        if isfinite(number := float(text)):
            return number
    return None


@lru_cache(maxsize=16)
def _date(text: str) -> float | None:
    """The time of an RFC 3339 or an HTTP date."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, TypeError, OverflowError):
            at = read(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None
