"""The controller's parts: schedule, ranges, halving, what an agent may know, what a batch came to."""

from __future__ import annotations

from typing import Any

import pytest

from streamgen.control.agent import Reward, Yield
from streamgen.control.batch import Batch
from streamgen.control.halving import Halving
from streamgen.control.outlook import Outlook
from streamgen.control.ranges import Ranges
from streamgen.control.schedule import Schedule
from streamgen.record import Meta, Record, Usage


def kinds(schedule: Schedule, trials: int) -> list[str]:
    return [schedule.kind(number, number * schedule.batch)[0] for number in range(trials)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(trials=4, recheck=0), "deeerr"),
        (Schedule(trials=6, recheck=2), "deieier"),
        (Schedule(trials=1), "drr"),
        (Schedule(trials=4, recheck=0, batch=10, end=30), "deeoo"),
        (Schedule(trials=4, pinned={"a.t": 1}), "iii"),
    ],
)
def test_what_trials_are_for(schedule: Schedule, expected: str) -> None:
    assert "".join(kinds(schedule, len(expected))) == expected


def test_with_rungs_exploring_goes_on_for_as_many_tickets_as_full_trials_would_take() -> None:
    schedule = Schedule(batch=8, trials=4, recheck=0, rungs=(2, 4, 8))
    assert [schedule.kind(trials, tickets) for trials, tickets in ((9, 31), (9, 32), (3, 32))] == [
        "explore", "recommended", "recommended"
    ]  # fmt: skip
    assert [schedule.tickets(kind) for kind in ("default", "explore", "incumbent", "recommended")] == [8, 2, 8, 8]


def test_tickets_have_the_trial_in_whose_range_they_are() -> None:
    ranges = Ranges()
    assert [ranges.add(2, 0), ranges.add(3, 1), ranges.add(1, 0)] == [0, 2, 5]
    assert [ranges.trial_of(ticket) for ticket in range(6)] == [0, 0, 1, 1, 1, 0]
    for ticket in (-1, 6):
        with pytest.raises(ValueError, match=f"ticket {ticket} belongs to no trial"):
            ranges.trial_of(ticket)
    again = Ranges()
    with pytest.raises(ValueError, match="no trial is known of the tickets 2 to 4"):
        again.restore([(5, 1, 0), (0, 2, 0)])


def test_the_best_half_of_a_rung_is_promoted_one_by_one() -> None:
    halving = Halving((2, 4, 8))
    assert halving.next() is None
    halving.tell(0, 0, 0.5)
    assert halving.next() is None  # half of one is none
    halving.tell(1, 0, 0.7)
    assert halving.next() == 1
    halving.promoted(1, 0)
    assert halving.next() is None
    halving.tell(2, 0, None)
    halving.tell(3, 0, 0.6)
    assert (halving.next(), halving.more(0), halving.more(1)) == (3, 2, 4)
    halving.promoted(3, 0)
    halving.tell(1, 1, 0.1)
    halving.tell(3, 1, 0.1)
    assert halving.next() == 1  # the higher rung first, the older one of equals
    assert [halving.is_top(rung) for rung in range(3)] == [False, False, True]


def test_those_that_failed_are_never_promoted() -> None:
    halving = Halving((1, 2))
    for trial in range(4):
        halving.tell(trial, 0, None)
    assert halving.next() is None


def record(ticket: int, label: str = "", **columns: Any) -> Record:
    return Record(f"{ticket}.0", {"label": label, **columns}, Meta(ticket=ticket))


def test_coverage_is_relative_to_what_should_be_there_by_now() -> None:
    outlook = Outlook("label", {"a": 1, "b": 1, "c": 2})
    assert outlook.observation(0, (), 1.0).deficit == {"a": 1.0, "b": 1.0, "c": 1.0}
    outlook.add([record(n, label) for n, label in enumerate("aaaaabbc")])
    seen = outlook.observation(3, (), 0.5)
    assert seen.coverage == {"a": 1.0, "b": 1.0, "c": 0.25}
    assert seen.deficit == {"a": 0.0, "b": 0.0, "c": 0.75}
    assert (seen.step, seen.budget_left) == (3, 0.5)


def test_without_wanted_shares_the_classes_that_were_seen_are_wanted_alike() -> None:
    outlook = Outlook("label")
    assert outlook.observation(0, (), 1.0).coverage == {}
    outlook.add([record(n, label) for n, label in enumerate("bbba")])
    assert outlook.observation(1, (), 1.0).coverage == {"a": 0.5, "b": 1.0}
    without = Outlook()
    without.add([record(0, "a")])
    assert without.observation(1, (), 1.0).coverage == {}


def test_saturation_and_acceptance_are_those_of_the_last_four_trials() -> None:
    outlook = Outlook()
    assert (outlook.observation(0, (), 1.0).saturation, outlook.observation(0, (), 1.0).acceptance) == (0.0, 1.0)
    outlook.rewarded(Yield(records=0, dropped=100, duplicates=100), Reward(value=1.0, metrics={"error/a": 0.5}))
    for _ in range(4):
        outlook.rewarded(Yield(records=6, dropped=4, duplicates=2), Reward(value=1.0))
    seen = outlook.observation(5, (), 1.0)
    assert (seen.saturation, seen.acceptance, seen.errors) == (0.25, 0.6, {"a": 0.5})


def test_a_batch_tells_what_its_tickets_came_to_over_all_rungs() -> None:
    batch = Batch(2, now=10.0)
    batch.settled([record(1, "b")], None)
    batch.paid(Usage(5, 3, cost_usd=0.25))
    batch.settled([record(0, "a")], {("unique", "duplicate"): 2, ("length", "too_short"): 1})
    came = batch.came(14.0, "label")
    assert came == Yield(records=2, dropped=3, duplicates=2, classes={"a": 1, "b": 1}, tokens=8, usd=0.25, seconds=4.0)
    assert [each.id for each in batch.records] == ["0.0", "1.0"]
    batch.enlarge(1, 20.0, came)
    batch.settled([record(9, "a")], {("unique", "duplicate"): 1})
    batch.paid(Usage(1, 1, cost_usd=0.5))
    assert batch.came(21.0, "label") == Yield(
        records=3, dropped=4, duplicates=3, classes={"a": 2, "b": 1}, tokens=10, usd=0.75, seconds=5.0
    )


def test_what_nobody_knows_the_price_of_costs_nothing_known() -> None:
    batch = Batch(1, now=0.0)
    batch.paid(Usage(5, 3))
    assert batch.came(1.0, None) == Yield(tokens=8, seconds=1.0)
