"""A pilot: the first few tickets of a recipe, run for real, and what they tell of the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from streamgen.errors import BudgetExhausted, RecipeError
from streamgen.estimate import Forecast, Pace, Ticket, forecast
from streamgen.inspection import reading
from streamgen.journal.store import FILE_NAME, Store
from streamgen.llm.spec import ModelSpec
from streamgen.llm.statistics import EndpointStatistics
from streamgen.recipe import Recipe
from streamgen.summary import Summary

_MOST_ROWS = 10_000_000  # of a source are counted


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """What the pilot itself took. `records` were accepted or are surplus; `directory` keeps them, None throws away."""

    tickets: int
    records: int
    requests: int
    tokens: int
    usd: float | None
    seconds: float
    directory: str | None


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a recipe will take. Cost is null where no price is known, and `at_least` where some prices are not."""

    name: str
    accept: int | None
    whole: Forecast
    at_least: bool
    pilot: Paid
    notes: Sequence[str]


Work = Callable[[Recipe, Path], Awaitable[Summary]]
"""Runs the pilot's recipe in a directory, for as many tickets as it wants."""


async def estimate(recipe: Recipe, directory: Path, work: Work, *, keep: bool) -> Estimate:
    """The estimate for the recipe after `work` has run its pilot in the directory.

    What an earlier session did there counts for nothing but the budget. Raises BudgetExhausted and RecipeError where
    there is nothing to learn from.
    """
    rows = _rows(recipe) if recipe.run.accept is None else 0
    earlier = _settled_before(directory)
    summary = await work(_keeping_calls(recipe), directory)
    with reading(directory) as store:
        tickets = _tickets(store, earlier)
    if not tickets:
        _nothing_learned(summary)
    whole = forecast(tickets, _paces(recipe, summary, len(tickets)), accept=recipe.run.accept, rows=rows)
    now = summary.statistics
    return Estimate(
        name=recipe.name,
        accept=recipe.run.accept,
        whole=whole,
        at_least=now.spent.unpriced > 0 and whole.usd.low is not None,
        pilot=_paid(tickets, summary, str(directory) if keep else None),
        notes=[*_notes(recipe, summary, whole)],
    )


def _nothing_learned(summary: Summary) -> None:
    if summary.end.reason == "budget":
        raise BudgetExhausted(f"the pilot could not end a ticket: {summary.end.message}")
    raise RecipeError(f"there is nothing to estimate: {summary.end.message}")


def _keeping_calls(recipe: Recipe) -> Recipe:
    """The calls of settled tickets are what an estimate is made from, and those from a cache would tell no cost."""
    return msgspec.structs.replace(recipe, run=msgspec.structs.replace(recipe.run, retain="all", cache=None))


def _rows(recipe: Recipe) -> int:
    """How many rows the source has."""
    assert recipe.source is not None  # the recipe was checked: it has that or `accept`
    if getattr(recipe.source.settings, "repeat", False):
        raise RecipeError("a source that repeats has no end: say how many records to accept", "$.run.accept")
    return sum(1 for _ in islice(recipe.source.build("sources"), _MOST_ROWS))


def _settled_before(directory: Path) -> Callable[[int], bool]:
    """Whether a ticket was settled by an earlier session."""
    if not (directory / FILE_NAME).is_file():
        return lambda ticket: False
    with reading(directory) as store:
        progress = store.progress()
    return lambda ticket: ticket < progress.following and ticket not in progress.open


def _tickets(store: Store, is_earlier: Callable[[int], bool]) -> list[Ticket]:
    """The settled tickets of the pilot."""
    records = Counter[int]()
    for table in ("records", "surplus"):
        records.update(_number(ticket) for (ticket,) in store.read(f"SELECT ticket FROM {table}"))
    calls = defaultdict[int, list[Ticket]](list)
    columns = "ticket, prompt_tokens + completion_tokens, requests, cost_usd"
    for ticket, *paid in store.read(f"SELECT {columns} FROM calls UNION ALL SELECT {columns} FROM wasted"):
        calls[_number(ticket)].append(Ticket(*msgspec.convert(paid, tuple[int, int, float | None]), 0))
    settled = [_number(ticket) for (ticket,) in store.read("SELECT ticket FROM outcomes")]
    is_priced = any(call.usd is not None for each in calls.values() for call in each) or not calls
    return [_ticket(calls[n], records[n], is_priced) for n in settled if not is_earlier(n)]


def _ticket(calls: Sequence[Ticket], records: int, is_priced: bool) -> Ticket:
    usd = sum(call.usd or 0.0 for call in calls) if is_priced else None
    return Ticket(sum(call.tokens for call in calls), sum(call.requests for call in calls), usd, records)


def _paid(tickets: Sequence[Ticket], summary: Summary, directory: str | None) -> Paid:
    spent = [ticket.usd for ticket in tickets if ticket.usd is not None]
    return Paid(
        tickets=len(tickets),
        records=sum(ticket.records for ticket in tickets),
        requests=sum(ticket.requests for ticket in tickets),
        tokens=sum(ticket.tokens for ticket in tickets),
        usd=sum(spent) if spent else None,
        seconds=summary.statistics.engine.elapsed_s,
        directory=directory,
    )


def _paces(recipe: Recipe, summary: Summary, tickets: int) -> list[Pace]:
    endpoints = [endpoint for endpoint in summary.statistics.endpoints if endpoint.responses]
    return [_pace(recipe, endpoint, tickets) for endpoint in endpoints]


def _pace(recipe: Recipe, endpoint: EndpointStatistics, tickets: int) -> Pace:
    """A concurrency that the recipe tells is believed; one that is found out is that of the pilot."""
    spec = recipe.models[endpoint.name]
    most = min(endpoint.concurrency, _parallel(recipe, endpoint), recipe.run.tickets_in_flight or endpoint.concurrency)
    lanes = [lane.limits for lane in spec.lanes] if isinstance(spec, ModelSpec) else []
    is_told = isinstance(spec, ModelSpec) and (spec.limits.concurrency != "auto" or spec.slots is not None)
    return Pace(
        model=endpoint.name,
        calls=endpoint.responses,
        requests=endpoint.requests,
        tokens=endpoint.usage.tokens,
        p50_s=endpoint.latency.p50_s,
        p95_s=endpoint.latency.p95_s,
        at_once=most if is_told else min(most, tickets),
        most_at_once=most,
        requests_per_minute=_sum([limits.requests_per_minute for limits in lanes]),
        tokens_per_minute=_sum([limits.tokens_per_minute for limits in lanes]),
    )


def _parallel(recipe: Recipe, endpoint: EndpointStatistics) -> int:
    """How many calls to the model the stages make at once."""
    stages = [stage for stage in recipe.stages if getattr(stage.settings, "model", None) == endpoint.name]
    return sum(stage.parallel or endpoint.concurrency for stage in stages) or endpoint.concurrency


def _sum(rates: Sequence[float | None]) -> float | None:
    """What several servers allow together; None where one of them allows anything."""
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known and len(known) == len(rates) else None


def _notes(recipe: Recipe, summary: Summary, whole: Forecast) -> list[str]:
    notes = []
    if whole.tickets.value is None:
        notes.append("no ticket of the pilot gave a record: try more with --tickets, or see what drops them")
    if unpriced := sorted({spend.model for spend in summary.statistics.spends if spend.unpriced}):
        price = "price = { input = ..., output = ... }"
        notes.append(f"the price of {', '.join(unpriced)} is unknown: set `{price}`, in USD per million tokens")
    if summary.end.reason == "budget":
        notes.append(f"the pilot was cut short: {summary.end.message}")
    budget = recipe.run.budget
    seconds = None if budget.minutes is None else 60 * budget.minutes
    for unit, limit, needs in (
        ("usd", budget.usd, whole.usd), ("tokens", budget.tokens, whole.tokens),
        ("requests", budget.requests, whole.requests), ("minutes", seconds, whole.seconds),
    ):  # fmt: skip
        if limit is not None and needs.value is not None and needs.value > limit:
            notes.append(f"the budget of {unit} is about {limit / needs.value:.0%} of it: raise `run.budget.{unit}`")
    return notes


def _number(cell: object) -> int:
    return msgspec.convert(cell, int)
