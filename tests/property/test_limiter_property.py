"""Any schedule, any clock, any header: no window sees more than its limit, and everybody gets a turn."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.llm.limits import Limiter, Limits, Pass
from streamgen.llm.token_limit import BURST_S, HASTE, PACE_S, WINDOW_S
from streamgen.llm.told import Told

_OFTEN_NONE = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 1.0, 5.0, 1e3, 1e9, math.inf, math.nan]))
_RESETS = st.one_of(st.none(), st.sampled_from([-10.0, 0.0, 1.0, 59.0, 86_400.0, 3.2e7, math.inf, math.nan]))
_TOLD = st.one_of(
    st.none(),
    st.builds(
        Told, retry_after_s=_RESETS, limit_requests=_OFTEN_NONE, remaining_requests=_OFTEN_NONE,
        reset_requests_s=_RESETS, limit_tokens=_OFTEN_NONE, remaining_tokens=_OFTEN_NONE, reset_tokens_s=_RESETS,
    ),
)  # fmt: skip


class Scheduled(NamedTuple):
    pause_s: float  # after the call before it came
    tokens: int
    used: int
    seconds: float
    end: str
    told: Told | None
    jump_s: float  # of the clock, when it ends


_CALLS = st.lists(
    st.builds(
        Scheduled,
        pause_s=st.one_of(st.just(0.0), st.floats(0.0, 30.0)),
        tokens=st.integers(1, 400),
        used=st.integers(-5, 1_000),
        seconds=st.one_of(st.just(0.0), st.floats(0.0, 20.0)),
        end=st.sampled_from(["answered"] * 8 + ["429", "503", "failed", "cancelled", "withdrawn"]),
        told=_TOLD,
        jump_s=st.sampled_from([0.0] * 8 + [-3_600.0, -1.0, 0.5, 3_600.0]),
    ),
    min_size=1,
    max_size=60,
)
_LIMITS = st.builds(
    Limits,
    concurrency=st.one_of(st.just("auto"), st.integers(1, 8)),
    requests_per_minute=st.one_of(st.none(), st.floats(1.0, 6_000.0)),
    tokens_per_minute=st.one_of(st.none(), st.floats(100.0, 1e6)),
)


_TOKEN_LIMITS = st.builds(
    Limits, concurrency=st.integers(1, 30), tokens_per_minute=st.one_of(st.floats(100.0, 5_000.0), st.floats(5e3, 1e5))
)


class Clock:
    """A clock that jumps. `lived` is the time that it showed to pass, where it went forward."""

    def __init__(self) -> None:
        self.now = self.lived = 0.0

    def jump(self, seconds: float) -> None:
        self.now += seconds
        self.lived += max(0.0, seconds)


class Run:
    """Drives one limiter through a schedule; every call that is refused or failed is over."""

    def __init__(self, limits: Limits, calls: list[Scheduled]) -> None:
        self.limiter, self.clock, self.numbers = Limiter(limits), Clock(), count()
        self.sent: list[float] = []  # when the calls started that were not withdrawn
        self.spent: list[tuple[float, float]] = []  # (at its start, what it used)
        self.line: list[Scheduled] = []
        self.events: list[tuple[float, int, Callable[[], None]]] = []  # by the time that really passes
        self.real, self.most_in_flight = 0.0, 0
        arrives_at = 0.0
        for call in calls:
            arrives_at += call.pause_s
            self.at(arrives_at, lambda call=call: self.line.append(call))  # type: ignore[misc]

    def at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), act))

    def run(self) -> float:
        """The time that it really took."""
        while self.events or self.line:
            ready_at = self.dispatch()
            due = self.real + ready_at - self.clock.now
            if self.events and self.events[0][0] <= due:
                when, _, act = heapq.heappop(self.events)
                self.pass_time(when - self.real)
                act()
            else:
                assert due < math.inf, "nothing in flight, and nothing may start"
                self.pass_time(max(1e-6, due - self.real))
        return self.real

    def pass_time(self, seconds: float) -> None:
        self.real += seconds
        self.clock.jump(seconds)

    def dispatch(self) -> float:
        while self.line:
            call = self.line[0]
            ready_at = self.limiter.ready_at(call.tokens, self.clock.now)
            if ready_at > self.clock.now:
                return ready_at
            pass_ = self.limiter.start(call.tokens, self.clock.now)
            self.started(pass_, call)
            self.most_in_flight = max(self.most_in_flight, self.limiter.in_flight)
            del self.line[0]
            if call.end != "withdrawn":
                self.sent.append(self.clock.lived)
            lived = self.clock.lived
            self.at(self.real + call.seconds, lambda p=pass_, c=call, at=lived: self.end(p, c, at))  # type: ignore[misc]
        return math.inf

    def started(self, pass_: Pass, call: Scheduled) -> None:
        """A call starts now."""

    def end(self, pass_: Pass, call: Scheduled, lived: float) -> None:
        self.clock.jump(call.jump_s)
        limiter, now = self.limiter, self.clock.now
        if call.end == "answered":
            limiter.answered(pass_, now, call.used, call.told)
            self.spent.append((lived, max(0, call.used)))
        elif call.end in ("429", "503"):
            limiter.refused(pass_, now, call.told, by_rate=call.end == "429")
        elif call.end == "failed":
            limiter.failed(pass_, now, call.used, tells_load=True)
        elif call.end == "cancelled":
            limiter.cancelled(pass_, now, call.used)
        else:
            limiter.withdraw(pass_, now)


@settings(max_examples=500)
@given(limits=_LIMITS, calls=_CALLS)
def test_no_window_sees_more_than_its_limit_and_every_call_gets_its_turn(
    limits: Limits, calls: list[Scheduled]
) -> None:
    run = Run(limits, calls)
    assert run.run() <= most_s(limits, calls)
    assert run.limiter.in_flight == 0
    if limits.concurrency != "auto":
        assert run.most_in_flight <= limits.concurrency
    if limits.requests_per_minute is not None:
        rate = limits.requests_per_minute / 60
        lowest = math.inf
        for number, at in enumerate(run.sent):
            lowest = min(lowest, number - rate * at)
            assert number + 1 - rate * at - lowest <= 1 + 0.05 * rate + 1e-3


def most_s(limits: Limits, calls: list[Scheduled]) -> float:
    """How long a schedule may take, whatever the server and the clock say.

    The work itself; a minute's window before it, and each call at its rate; and for what the server says: a minute
    for each of its words (`BELIEVED_S`), and what a rate takes that is learned anew from each of its refusals.
    Tokens cost the pace what was estimated and, where that was too low, what later estimates are raised by. Beside it
    a call waits for room no longer than a window, and that only where such calls may fill half of the limit.
    """
    by_requests = len(calls) * WINDOW_S / (limits.requests_per_minute or math.inf)
    by_tokens = 0.0
    if per_minute := limits.tokens_per_minute:
        tokens = [max(call.tokens, call.used) for call in calls]
        by_tokens = PACE_S * (2 * sum(tokens) + len(calls) * min(per_minute, 2 * max(tokens))) / per_minute
    by_work = sum(call.pause_s + call.seconds for call in calls)
    told = sum(call.told is not None or call.end in ("429", "503") for call in calls)
    refused = sum(call.end == "429" for call in calls)
    return by_requests + by_tokens + by_work + WINDOW_S + 61.0 * told + 20.0 * refused


class Call:
    """What is known of a call that was sent."""

    def __init__(self, at: float, reserved: float, number: int) -> None:
        self.at, self.reserved, self.number = at, reserved, number
        self.known = self.paced = reserved
        self.ended_at = math.inf


class TokenRun(Run):
    """Looks at every window that ends at the start of a call."""

    def __init__(self, limits: Limits, calls: list[Scheduled]) -> None:
        super().__init__(limits, calls)
        assert limits.tokens_per_minute is not None
        self.limit = limits.tokens_per_minute
        self.calls: dict[int, Call] = {}  # those that were sent, by the number of their pass
        self.withdrawn: set[int] = set()

    def started(self, pass_: Pass, call: Scheduled) -> None:
        assert pass_.held is not None
        new = Call(self.clock.lived, pass_.held.cost, pass_.number)
        self.calls[pass_.number] = new
        self.look_back(new)

    def look_back(self, new: Call) -> None:
        known = reserved = 0.0
        pace, largest = self.limit / PACE_S, self.limit / 60 * BURST_S
        for call in reversed(self.calls.values()):
            seconds = new.at - call.at
            if seconds < 60.0:
                known += call.known
            if call.number not in self.withdrawn:
                reserved += call.paced
                largest = max(largest, call.paced)
                assert reserved <= (largest + HASTE * pace * seconds) * (1 + 1e-9) + 1e-3, "reserved in any window"
        others = known - new.reserved
        assert known <= self.limit * (1 + 1e-9) + 1e-3 or others <= 1e-3, "known in a minute"

    def ended(self, pass_: Pass, used: float) -> None:
        call = self.calls[pass_.number]
        call.known, call.ended_at = max(0.0, used), self.clock.lived
        if call.number == len(self.calls) - 1:  # no other has started since
            call.paced = min(call.reserved, call.known)

    def end(self, pass_: Pass, call: Scheduled, lived: float) -> None:
        super().end(pass_, call, lived)
        if call.end == "withdrawn":
            self.withdrawn.add(pass_.number)
        took = {"answered": call.used, "failed": call.used, "cancelled": call.used}
        self.ended(pass_, took.get(call.end, 0.0))

    def check_what_was_really_taken(self) -> None:
        """No minute above the limit, but for surprises in flight at its last start, and single calls above it."""
        calls = list(self.calls.values())
        for number, last in enumerate(calls):
            minute = [call for call in calls[: number + 1] if last.at - call.at < 60.0]
            real = sum(call.known for call in minute)
            in_flight = [call for call in minute if call.ended_at >= last.at]
            surprise = sum(max(0.0, call.known - call.reserved) for call in in_flight)
            alone = last.reserved if sum(call.known for call in minute[:-1]) <= surprise else 0.0
            assert real <= max(self.limit, alone) + surprise + 1e-3


@settings(max_examples=500)
@given(limits=_TOKEN_LIMITS, calls=_CALLS)
def test_no_window_of_any_length_holds_more_tokens_than_its_limit(limits: Limits, calls: list[Scheduled]) -> None:
    run = TokenRun(limits, calls)
    run.run()
    run.check_what_was_really_taken()


@settings(max_examples=500)
@given(limits=_TOKEN_LIMITS, calls=_CALLS)
def test_without_surprises_no_minute_takes_more_than_the_limit(limits: Limits, calls: list[Scheduled]) -> None:
    run = TokenRun(limits, [call._replace(used=min(call.used, call.tokens)) for call in calls])
    run.run()
    taken = deque[Call]()
    for call in run.calls.values():
        taken.append(call)
        while taken[0].at <= call.at - 60.0:
            taken.popleft()
        real = sum(one.known for one in taken)
        assert real <= run.limit + 1e-3 or real == call.known, "a single call above the limit is alone"


def test_a_year_to_wait_is_a_minute() -> None:
    limiter = Limiter(Limits())
    told = Told(retry_after_s=3.2e7, limit_requests=1.0, remaining_requests=0.0, reset_requests_s=3.2e7)
    limiter.refused(limiter.start(1, 0.0), 0.0, told, by_rate=True)
    assert limiter.ready_at(1, 0.0) == pytest.approx(60.0)
