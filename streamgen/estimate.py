"""What a whole run will take, from a pilot of a few tickets: cost, tokens, requests, time and acceptance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import msgspec

_CONFIDENCE = 0.95
_Z = 1.96  # of the normal distribution, for that confidence
_RESAMPLES = 2000


class Interval(msgspec.Struct, frozen=True):
    """A quantity with the ends of its 95 % interval. None is what the pilot cannot tell."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Ticket(NamedTuple):
    """What one settled ticket of the pilot took, and how many records came of it. `usd` None: no price is known."""

    tokens: int
    requests: int
    usd: float | None
    records: int


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the pilot's calls of one model were answered, and within which bounds a run asks it.

    `at_once` calls are expected to be in flight, `most_at_once` where the server takes all that it is given.
    Latencies are those of a log-normal distribution. `tokens` and `requests` are the model's in the whole pilot.
    """

    model: str
    calls: int
    requests: int
    tokens: int
    p50_s: float
    p95_s: float
    at_once: int
    most_at_once: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run, its pilot included. `acceptance` is the share of tickets that give a record."""

    acceptance: Interval
    tickets: Interval
    tokens: Interval
    requests: Interval
    usd: Interval
    seconds: Interval
    limited_by: str


def forecast(pilot: Sequence[Ticket], paces: Sequence[Pace], *, accept: int | None, rows: int = 0) -> Forecast:
    """The whole run that accepts `accept` records; with None, the one that takes all `rows` of its source.

    Tokens, requests and cost are bootstrapped over the tickets (Efron, 1979); the acceptance rate is drawn from its
    posterior under Jeffreys' prior, and its own interval is Wilson's (1927).
    """
    accepted = sum(ticket.records > 0 for ticket in pilot)
    draws = _draws(pilot, accepted, accept, rows)
    needed = _needed(pilot, accept, rows)
    tickets = _interval(needed, [tickets for tickets, _ in draws])
    seconds, limited_by = _time(paces, len(pilot), tickets)
    return Forecast(
        acceptance=Interval(accepted / len(pilot), *wilson(accepted, len(pilot))),
        tickets=tickets,
        tokens=_total(pilot, needed, draws, lambda ticket: ticket.tokens),
        requests=_total(pilot, needed, draws, lambda ticket: ticket.requests),
        usd=_total(pilot, needed, draws, lambda ticket: ticket.usd),
        seconds=seconds,
        limited_by=limited_by,
    )


def wilson(accepted: int, of: int) -> tuple[float, float]:
    """The score interval of a share (E. B. Wilson, 1927).

    >>> [round(end, 4) for end in wilson(8, 10)], [round(end, 4) for end in wilson(0, 10)]
    ([0.4902, 0.9433], [0.0, 0.2775])
    """
    share, spread = accepted / of, _Z * _Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half) if accepted else 0.0, min(1.0, middle + half) if accepted < of else 1.0


_Draw = tuple[float, Sequence[Ticket]]
"""How many tickets a run needs, and a pilot that might have been seen."""


def _draws(pilot: Sequence[Ticket], accepted: int, accept: int | None, rows: int) -> Sequence[_Draw]:
    rng = Random(0)
    found: list[_Draw] = []
    for _ in range(_RESAMPLES):
        sample = rng.choices(pilot, k=len(pilot))
        share = rng.betavariate(accepted + 0.5, len(pilot) - accepted + 0.5)
        needed = rows if accept is None else accept / max(share * _records_each(sample), 1e-9)
        found.append((needed, sample))
    return found


def _records_each(tickets: Sequence[Ticket]) -> float:
    """Records of a ticket that gives any."""
    giving = [ticket.records for ticket in tickets if ticket.records]
    return sum(giving) / len(giving) if giving else 1.0


def _needed(pilot: Sequence[Ticket], accept: int | None, rows: int) -> float | None:
    if accept is None:
        return rows
    records = sum(ticket.records for ticket in pilot)
    return accept * len(pilot) / records if records else None


def _total(
    pilot: Sequence[Ticket], needed: float | None, draws: Sequence[_Draw], of: Callable[[Ticket], float | None]
) -> Interval:
    """The whole run's interval of what tickets take; an empty one where nobody knows what they take."""
    if any(of(ticket) is None for ticket in pilot):
        return Interval()

    def mean(tickets: Sequence[Ticket]) -> float:
        return sum(of(ticket) or 0.0 for ticket in tickets) / len(tickets)

    totals = [tickets * mean(sample) for tickets, sample in draws]
    return _interval(None if needed is None else needed * mean(pilot), totals)


def _interval(value: float | None, draws: Sequence[float]) -> Interval:
    """The draws' middle 95 %, stretched to the value; without one (nothing was accepted), only what is the least."""
    ordered = sorted(draws)
    tail = round((1 - _CONFIDENCE) / 2 * len(ordered))
    low, high = ordered[tail], ordered[-1 - tail]
    if value is None:
        return Interval(None, low, None)
    return Interval(value, min(low, value), max(high, value))


def _time(paces: Sequence[Pace], pilot: int, tickets: Interval) -> tuple[Interval, str]:
    """Seconds until the slowest model has answered, and what bounds it."""
    if not paces:
        return Interval(), "no model is asked"
    expected = max((_bound(pace, pace.at_once, 0.0) for pace in paces), key=lambda bound: bound[0])
    least = max(_bound(pace, pace.most_at_once, -1.0)[0] for pace in paces)
    most = max(_bound(pace, pace.at_once, 1.0)[0] for pace in paces)
    times = zip((tickets.value, tickets.low, tickets.high), (expected[0], least, most), strict=True)
    return Interval(*(None if number is None else number * each / pilot for number, each in times)), expected[1]


def _bound(pace: Pace, at_once: int, side: float) -> tuple[float, str]:
    """Seconds that the pilot's calls of this model take at full speed, and why not fewer."""
    bounds = [(pace.calls * _mean_s(pace, side) / max(1, at_once), f"{at_once} calls at once to {pace.model}")]
    if pace.requests_per_minute:
        said = f"{pace.requests_per_minute:g} requests a minute of {pace.model}"
        bounds.append((60 * pace.requests / pace.requests_per_minute, said))
    if pace.tokens_per_minute:
        said = f"{pace.tokens_per_minute:g} tokens a minute of {pace.model}"
        bounds.append((60 * pace.tokens / pace.tokens_per_minute, said))
    return max(bounds)


def _mean_s(pace: Pace, side: float) -> float:
    """The mean latency, or an end of its interval (Cox's method for log-normal means)."""
    if not pace.p50_s:
        return 0.0
    sigma = max(0.0, math.log(pace.p95_s / pace.p50_s)) / 1.645
    error = math.sqrt((sigma**2 + sigma**4 / 2) / max(1, pace.calls))
    return pace.p50_s * math.exp(sigma**2 / 2 + side * _Z * error)
