"""What happened at the endpoint, and what was paid."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
_WINDOW_S = 60.0


class Counters:
    """Counts of one run. Paid means: a full usable answer was produced for this prompt."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.asked: dict[str, int] = {}
        self.paid: Counter[str] = Counter()
        self.paid_calls = 0
        self.requests = self.remembered = self.cut = self.in_flight = self.max_in_flight = 0
        self.first_request: float | None = None
        self.last_answer: float | None = None
        self.arrivals, self.answers, self.latencies = array("d"), array("d"), array("d")
        self.admitted, self.tokens = array("d"), array("q")

    def arrived(self, now: float) -> None:
        """A request is here."""
        if self.first_request is None:
            self.first_request = time.time()
        self.requests += 1
        self.arrivals.append(now)
        self.in_flight += 1
        if self.in_flight > self.max_in_flight:
            self.max_in_flight = self.in_flight

    def admit(self, prompt: str, tokens: int, now: float) -> int:
        """A request is let in and costs so many tokens; how often its prompt was before."""
        n = self.asked.get(prompt, 0)
        self.asked[prompt] = n + 1
        self.admitted.append(now)
        self.tokens.append(tokens)
        return n

    def pay(self, prompt: str) -> None:
        """A full usable answer is made for a prompt."""
        self.paid[prompt] += 1
        self.paid_calls += 1

    def answered(self, status: str, arrived: float, now: float) -> None:
        """A request has its answer, useful or not."""
        self.in_flight -= 1
        self.statuses[status] += 1
        self.answers.append(now)
        self.latencies.append(now - arrived)

    def progress(self) -> Mapping[str, int]:
        """The counts that cost nothing to tell, for those who ask often."""
        return {"requests": self.requests, "paid": self.paid_calls, "in_flight": self.in_flight}

    def summary(self) -> Mapping[str, object]:
        """All of it as JSON; times of the clock on the wall are in seconds since 1970."""
        offset = time.time() - self._clock()
        windows = window_sums(self.admitted, self.tokens, _WINDOW_S)
        return {
            "requests": self.requests,
            "statuses": self.statuses,
            "faults": self.faults,
            "distinct_prompts": len(self.asked),
            "paid": self.paid_calls,
            "paid_prompts": len(self.paid),
            "paid_more_than_once": sum(count > 1 for count in self.paid.values()),
            "paid_again": self.paid_calls - len(self.paid),
            "times_paid": Counter(map(str, self.paid.values())),
            "remembered": self.remembered,
            "cut": self.cut,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "first_request": self.first_request,
            "last_answer": self.answers[-1] + offset if self.answers else None,
            "latency_ms": quantiles(self.latencies),
            "tokens": sum(self.tokens),
            "tokens_max_60s": max(windows, default=0),
            "tokens_mean_60s": _mean_of_full(self.admitted, self.tokens),
            "requests_max_1s": max(window_sums(self.admitted, [1] * len(self.admitted), 1.0), default=0),
        }

    def history(self) -> Mapping[str, object]:
        """Every arrival, admission with its tokens, and answer, on the clock on the wall."""
        offset = time.time() - self._clock()
        return {
            "arrivals": [at + offset for at in self.arrivals],
            "admitted": [at + offset for at in self.admitted],
            "tokens": list(self.tokens),
            "answers": [at + offset for at in self.answers],
        }


def window_sums(times: Sequence[float], amounts: Sequence[int], window_s: float) -> list[int]:
    """For each moment (in order) the sum over the half-open window that ends with it.

    >>> window_sums([0.0, 0.5, 1.0], [1, 2, 4], 1.0)
    [1, 3, 6]
    """
    sums, start, total = [], 0, 0
    for now, amount in zip(times, amounts, strict=True):
        total += amount
        while times[start] <= now - window_s:
            total -= amounts[start]
            start += 1
        sums.append(total)
    return sums


def _mean_of_full(times: Sequence[float], amounts: Sequence[int]) -> float | None:
    """The mean over all windows that lie between first and last; None where there is none."""
    if not times or times[-1] - times[0] < _WINDOW_S:
        return None
    sums = [
        t for at, t in zip(times, window_sums(times, amounts, _WINDOW_S), strict=True) if at - times[0] >= _WINDOW_S
    ]
    return sum(sums) / len(sums)


def quantiles(seconds: Sequence[float]) -> Mapping[str, float]:
    """Median and tail in milliseconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in shares.items()}
