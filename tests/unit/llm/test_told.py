"""What servers write about their limits, each in its own way, and what is made of nonsense."""

from typing import Any

import pytest
from multidict import CIMultiDict

from streamgen.llm.told import Listener, Told
from streamgen.llm.told_values import wait_in_text

NOW = 1795359600.0  # Sunday, 22 November 2026, 15:00:00 GMT
DATE = "Sun, 22 Nov 2026 15:00:00 GMT"


def answered(headers: dict[str, str], now: float = NOW) -> Told | None:
    return Listener(lambda: now).answered(CIMultiDict(headers))


def refused(headers: dict[str, str], now: float = NOW) -> float | None:
    told = Listener(lambda: now).refused(CIMultiDict(headers))
    return told and told.retry_after_s


OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-limit-tokens_usage_based": "1",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-remaining-tokens": "159976",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2026-11-22T15:00:01Z",
    "anthropic-ratelimit-input-tokens-limit": "80000",
    "anthropic-ratelimit-input-tokens-remaining": "80000",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-22T15:00:00Z",
    "anthropic-ratelimit-output-tokens-limit": "16000",
    "anthropic-ratelimit-tokens-limit": "96000",
    "anthropic-ratelimit-tokens-remaining": "90000",
    "anthropic-ratelimit-tokens-reset": "2026-11-22T16:00:30+01:00",
}
CEREBRAS = {
    "x-ratelimit-limit-requests-day": "14400",
    "x-ratelimit-remaining-requests-day": "14399",
    "x-ratelimit-reset-requests-day": "33011.382867",
    "x-ratelimit-limit-tokens-minute": "60000",
    "x-ratelimit-remaining-tokens-minute": "59000",
    "x-ratelimit-reset-tokens-minute": "11.4",
    "x-ratelimit-limit-tokens-day": "1000000",
}
MISTRAL = {
    "x-ratelimit-limit-req-minute": "300",
    "x-ratelimit-remaining-req-minute": "299",
    "x-ratelimit-limit-tokens-minute": "500000",
    "x-ratelimit-remaining-tokens-minute": "499950",
    "x-ratelimit-tokens-query-cost": "50",
}


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (
            OPENAI,
            {
                "limit_requests": 5000.0,
                "remaining_requests": 4999.0,
                "reset_requests_s": 0.012,
                "limit_tokens": 160000.0,
                "remaining_tokens": 159976.0,
                "reset_tokens_s": 360.0,
            },
        ),
        (
            ANTHROPIC,
            {
                "limit_requests": 1000.0,
                "remaining_requests": 999.0,
                "reset_requests_s": 1.0,
                "limit_tokens": 96000.0,
                "remaining_tokens": 90000.0,
                "reset_tokens_s": 30.0,
            },
        ),
        (
            CEREBRAS,
            {
                "limit_requests": 14400.0,
                "remaining_requests": 14399.0,
                "reset_requests_s": 33011.382867,
                "window_requests_s": 86400.0,
                "limit_tokens": 60000.0,
                "remaining_tokens": 59000.0,
                "reset_tokens_s": 11.4,
                "window_tokens_s": 60.0,
            },
        ),
        (
            MISTRAL,
            {
                "limit_requests": 300.0,
                "remaining_requests": 299.0,
                "window_requests_s": 60.0,
                "limit_tokens": 500000.0,
                "remaining_tokens": 499950.0,
                "window_tokens_s": 60.0,
            },
        ),
        (
            {"ratelimitbysize-limit": "500000", "ratelimitbysize-remaining": "10", "ratelimitbysize-reset": "25"},
            {"limit_tokens": 500000.0, "remaining_tokens": 10.0, "reset_tokens_s": 25.0},
        ),
        (
            {"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "900"},  # Azure
            {"remaining_requests": 9.0, "remaining_tokens": 900.0},
        ),
        (
            {"x-ratelimit-limit": "60", "x-ratelimit-reset": "1", "x-tokenlimit-limit": "3000"},  # Together
            {"limit_requests": 60.0, "reset_requests_s": 1.0, "limit_tokens": 3000.0},
        ),
        (
            {"x-ratelimit-limit-tokens-prompt": "60000", "x-ratelimit-limit-tokens-generated": "6000"},  # Fireworks
            {"limit_tokens": 60000.0},
        ),
        (
            {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW + 40:.0f}"},
            {"limit_requests": 20.0, "remaining_requests": 0.0, "reset_requests_s": 40.0},
        ),
        ({"X-RateLimit-Reset": f"{(NOW + 40.5) * 1000:.0f}"}, {"reset_requests_s": 40.5}),  # OpenRouter
        ({"X-Rate-Limit-Remaining": "7"}, {"remaining_requests": 7.0}),
        (
            {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "50", "RateLimit-Reset": "30"},
            {"limit_requests": 100.0, "remaining_requests": 50.0, "reset_requests_s": 30.0},
        ),
        (
            {"RateLimit": "limit=100, remaining=50, reset=5", "RateLimit-Policy": "100;w=10"},
            {
                "limit_requests": 100.0,
                "remaining_requests": 50.0,
                "reset_requests_s": 5.0,
                "window_requests_s": 10.0,
            },
        ),
        (
            {
                "RateLimit": '"hour";r=900;t=1800, "burst";r=3;t=9, "bytes";r=0',
                "RateLimit-Policy": '"hour";q=1000;w=3600, "burst";q=10;w=10;pk=:a1b2:, "bytes";q=5;qu="content-bytes"',
            },
            {"limit_requests": 10.0, "remaining_requests": 3.0, "reset_requests_s": 9.0, "window_requests_s": 10.0},
        ),
        ({"x-ratelimit-limit-requests": "-1", "x-ratelimit-remaining-requests": "-3"}, {"remaining_requests": 0.0}),
    ],
)
def test_a_providers_headers_are_understood(headers: dict[str, str], told: dict[str, Any]) -> None:
    assert answered({"Date": DATE, **headers}) == Told(**told)


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "1e999", "-5", "12 parsecs", "\x00", "9" * 400, ";;;,,,"])
def test_nonsense_says_nothing(value: str) -> None:
    names = ["x-ratelimit-limit-requests", "x-ratelimit-reset-tokens", "RateLimit-Reset", "retry-after-ms"]
    assert (answered(dict.fromkeys(names, value)) or Told()) == Told()
    assert (answered({"RateLimit": value}) or Told()) == Told()


def test_other_headers_with_limit_in_their_name_say_nothing() -> None:
    names = ["x-limit", "x-ratelimit", "content-length-limit", "x-ratelimit-limit-images", "x-ratelimit-limit-month"]
    assert answered(dict.fromkeys(names, "5")) is None


def test_a_server_that_tells_nothing_at_first_is_not_searched_again_until_it_refuses() -> None:
    listener = Listener()
    assert listener.answered({}) is None
    assert listener.answered(OPENAI) is None
    assert listener.refused(OPENAI) is not None
    told = listener.answered(OPENAI)
    assert told and told.limit_requests == 5000


def test_a_refusal_without_the_usual_headers_does_not_stop_the_listening() -> None:
    listener = Listener()
    assert listener.answered(OPENAI)
    assert listener.refused({}) is None
    assert listener.answered(OPENAI)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "31536000"}, 31536000.0),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1e999"}, None),
        ({"Retry-After": "tomorrow"}, None),
        ({"Retry-After": "1m30s"}, 90.0),
        ({"Retry-After": "Sun, 22 Nov 2026 15:00:07 GMT"}, 7.0),
        ({"Retry-After": "Sun, 22 Nov 2015 15:00:07 GMT"}, 0.0),
        ({"Retry-After": "Mon, 22 Nov 2027 15:00:00 GMT"}, 31536000.0),
        ({"Retry-After": "2", "retry-after-ms": "1400"}, 1.4),
        ({"Retry-After": "2", "retry-after-ms": "-1"}, 2.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert refused(headers) == seconds


@pytest.mark.parametrize(("skew_s", "waits_s"), [(0.4, 6.6), (-3600.0, 7.0), (3600.0, 7.0), (-0.5, 7.0)])
def test_dates_are_read_by_the_servers_clock_where_ours_differs(skew_s: float, waits_s: float) -> None:
    headers = {"Date": DATE, "Retry-After": "Sun, 22 Nov 2026 15:00:07 GMT"}
    assert refused(headers, NOW + skew_s) == pytest.approx(waits_s)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit reached. Please try again in 6ms. Visit ...", 0.006),
        ("Please try again in 7m28.8s.", 448.8),
        ("Please retry after 26 seconds.", 26.0),
        ('{"details": [{"@type": "RetryInfo", "retryDelay": "31s"}]}', 31.0),
        ("Please try again in a moment", None),
        ("Please try again in 1.2.3.s", None),
        ("", None),
    ],
)
def test_a_wait_in_the_text_is_found(text: str, seconds: float | None) -> None:
    assert wait_in_text(text.encode()) == (None if seconds is None else pytest.approx(seconds))
