"""What each stage spent on each model: the accounts behind a run's costs."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streamgen.journal.store import Store
from streamgen.record import Usage


class Spend(msgspec.Struct, frozen=True):
    """What a stage asked of a model.

    `requests` were paid for: `answers` of them were of use, `useless` ones were not. `usd` leaves out the `unpriced`
    requests, whose price nobody knows, and is None where there are no others. `cached` answers cost nothing.
    """

    model: str
    stage: str
    answers: int = 0
    useless: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    unpriced: int = 0
    cached: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Spend) -> Spend:
        account = Account(self.model, self.stage)
        account.add(self)
        account.add(other)
        return account.report()


class Account:
    """The running sums of one model and stage."""

    __slots__ = (
        "answers", "cached", "completion_tokens", "learned", "model", "prompt_tokens", "requests", "stage", "unpriced",
        "usd",
    )  # fmt: skip

    def __init__(self, model: str, stage: str) -> None:
        self.model, self.stage = model, stage
        self.answers = self.requests = self.unpriced = self.cached = 0
        self.prompt_tokens = self.completion_tokens = 0
        self.usd = 0.0
        self.learned = False  # whether this session has an answer

    @property
    def mean_tokens(self) -> int:
        """Tokens paid for an answer."""
        return round((self.prompt_tokens + self.completion_tokens) / self.answers)

    @property
    def mean_usd(self) -> float:
        """Dollars paid for an answer, as far as prices are known."""
        return self.usd / self.answers

    def paid(self, usage: Usage, answers: int) -> None:
        """Something was paid, for an answer of use or in vain."""
        if answers:
            self.answers += answers
            self.learned = True
        self.requests += usage.calls
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        if usage.cost_usd is not None:
            self.usd += usage.cost_usd
        self.unpriced += unpriced(usage)

    def add(self, spend: Spend) -> None:
        """Something was spent before."""
        self.answers += spend.answers
        self.requests += spend.requests
        self.prompt_tokens += spend.prompt_tokens
        self.completion_tokens += spend.completion_tokens
        self.usd += spend.usd or 0.0
        self.unpriced += spend.unpriced
        self.cached += spend.cached

    def report(self) -> Spend:
        """The sums as they are now."""
        return Spend(
            self.model, self.stage, self.answers, max(0, self.requests - self.answers), self.requests,
            self.prompt_tokens, self.completion_tokens,
            known(self.usd, self.requests, self.unpriced), self.unpriced, self.cached,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Account {self.report()}>"


def unpriced(usage: Usage) -> int:
    """Requests of unknown price; where a sum lacks a part of its price, at least one."""
    if usage.cost_usd is None:
        return usage.calls
    return 1 if usage.at_least is True else 0


def known(usd: float, requests: int, unpriced: int) -> float | None:
    """The cost, None where the price of every request is unknown: that is not nothing.

    >>> known(0.0, 0, 0), known(0.0, 2, 0), known(0.0, 2, 2), known(0.5, 2, 1)
    (0.0, 0.0, None, 0.5)
    """
    return usd if usd or unpriced < requests or not requests else None


def total(spends: Iterable[Spend], model: str = "all", stage: str = "") -> Spend:
    """The sum under a name of its own."""
    account = Account(model, stage)
    for spend in spends:
        account.add(spend)
    return account.report()


def spends_of(store: Store) -> list[Spend]:
    """What all sessions of a run spent, by model and stage."""
    return [
        Spend(
            model, stage, sums.answers, max(0, sums.requests - sums.answers), sums.requests,
            sums.prompt_tokens, sums.completion_tokens,
            known(sums.usd, sums.requests, sums.unpriced), sums.unpriced, sums.cached,
        )
        for model, stages in sorted(store.progress().spent.items())
        for stage, sums in sorted(stages.items())
    ]  # fmt: skip
