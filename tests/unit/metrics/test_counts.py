from __future__ import annotations

from streamgen.metrics.counts import Counts, CountsSettings
from streamgen.metrics.values import ValueCounts
from streamgen.record import Meta, Record


def test_records_tickets_and_values_are_counted() -> None:
    counts = Counts(CountsSettings(by=("label",)))
    counts.update([Record("0.0", {"label": "a"}, Meta(ticket=0)), Record("0.1", {"label": "b"}, Meta(ticket=0))])
    counts.update([Record("5000", {"label": "a"}, Meta(ticket=5000)), Record("x", {}), Record("y", {"label": 3})])
    assert counts.result() == {
        "records": 5,
        "tickets": 2,
        "by": {"label": {"a": 2, "": 1, "3": 1, "b": 1}},
        "by_other": {"label": 0},
    }


def test_nothing_counted() -> None:
    assert Counts(CountsSettings()).result() == {"records": 0, "tickets": 0, "by": {}, "by_other": {}}


def test_a_ticket_counts_once_in_a_merge() -> None:
    one, other = Counts(CountsSettings()), Counts(CountsSettings())
    one.update([Record(meta=Meta(ticket=1)), Record(meta=Meta(ticket=2))])
    other.update([Record(meta=Meta(ticket=2)), Record(meta=Meta(ticket=3_000_000_000))])
    one.merge(other)
    assert (one.result()["records"], one.result()["tickets"]) == (4, 3)


def test_values_beyond_the_limit_are_counted_together_and_the_others_exactly() -> None:
    values = ValueCounts(limit=10)
    for _ in range(3):
        values.update(str(number) for number in range(50))
    assert len(values.counts()) == 10
    assert set(values.counts().values()) == {3}
    assert values.total == 150
