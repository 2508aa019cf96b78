"""Acks: the algebra of shares."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamgen.engine.ack import Ack, Outcome, settle_all


class Desk:
    def __init__(self) -> None:
        self.heard: list[list[int]] = []

    def settled(self, acks: Sequence[Ack]) -> None:
        self.heard.append([ack.ticket for ack in acks])


def test_the_last_share_settles_the_ticket() -> None:
    desk = Desk()
    ack = Ack(7, desk)
    ack.settle(3)
    ack.settle(1)
    ack.settle()
    ack.settle()
    assert desk.heard == []
    ack.settle()
    assert desk.heard == [[7]]


def test_several_are_reported_at_once_and_each_one_once() -> None:
    desk = Desk()
    one, two, three = (Ack(n, desk) for n in range(3))
    two.settle(2)
    three.settle(3)
    settle_all([one, two, two, three])
    assert desk.heard == [[0, 1]]
    assert three.live == 2


def test_nothing_to_settle_is_nothing_to_report() -> None:
    desk = Desk()
    settle_all([])
    ack = Ack(0, desk, live=2)
    settle_all([ack])
    assert desk.heard == []


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"accepted": 1, "surplus": 2, "error": "x"}, Outcome.ACCEPTED),
        ({"surplus": 1, "error": "x"}, Outcome.SURPLUS),
        ({"error": "x", "drops": {("a", "b"): 1}}, Outcome.FAILED),
        ({"drops": {("a", "b"): 1}}, Outcome.DROPPED),
        ({}, Outcome.DROPPED),
        ({"accepted": 1, "abandoned": True}, Outcome.ABANDONED),
    ],
)
def test_a_ticket_ends_as_the_best_that_came_of_it(fields: dict[str, object], outcome: Outcome) -> None:
    assert Ack(0, Desk(), **fields).outcome is outcome  # type: ignore[arg-type]


def test_drops_are_counted_by_stage_and_reason() -> None:
    ack = Ack(0, Desk())
    for reason in ("short", "short", "rude"):
        ack.drop("filter", reason)
    assert ack.drops == {("filter", "short"): 2, ("filter", "rude"): 1}
