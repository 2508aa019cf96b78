"""What the journal tells of each trial: tickets begun, what came of them, and the classes of its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from simulated_trials import result

from streamgen.control.agent import Yield
from streamgen.control.results import TrialResult
from streamgen.journal.store import FILE_NAME, Store
from streamgen.record import Meta, Record, encode
from streamgen.report.trials import TrialFacts, TrialTook, trial_facts_of

LABELLED = {"stages": [{"name": "a", "type": "labelled", "label": "kind"}]}


def facts_with(
    tmp_path: Path, results: list[TrialResult], recipe: dict[str, Any], *rows: tuple[int, Any]
) -> TrialFacts:
    """The facts of a journal with a record for each row: the trial that made it, and its `kind`."""
    made = [
        Record(str(n), {"kind": kind}, Meta(ticket=10 * trial, trial=trial)) for n, (trial, kind) in enumerate(rows)
    ]
    store = Store(tmp_path / FILE_NAME)
    store.commit({
        "records": [(n, record.meta.ticket, record.id, encode(record)) for n, record in enumerate(made, 1)],
        "outcomes": [(13, "accepted", None, None)],
    })  # fmt: skip
    try:
        return trial_facts_of(store, results, recipe, None)
    finally:
        store.close()


def test_a_trial_took_the_tickets_that_were_begun_and_what_came_of_them(tmp_path: Path) -> None:
    ended = result(0, 0.5, came=Yield(records=7, tokens=90, usd=0.5), more=((11, 1),), rung=1)
    open_ = result(1, 0.5)
    facts = facts_with(tmp_path, [ended, open_], {})
    assert facts.took == [TrialTook(11, 7, 90, 0.5), TrialTook(4)]


def test_classes_are_counted_from_the_records_of_each_trial(tmp_path: Path) -> None:
    rows = [(0, "x"), (0, "x"), (1, "y"), (1, 3), (9, "x")]
    facts = facts_with(tmp_path, [result(0, 0.5), result(1, 0.5)], LABELLED, *rows)
    assert (facts.column, facts.classes) == ("kind", [{"x": 2}, {"y": 1, "3": 1}])


def test_classes_that_the_controller_counted_are_taken_from_it(tmp_path: Path) -> None:
    counted = result(0, 0.5, came=Yield(records=4, classes={"x": 4}))
    facts = facts_with(tmp_path, [counted, result(1, 0.5)], {"controller": {"label": "kind"}}, (0, "y"))
    assert (facts.column, facts.classes) == ("kind", [{"x": 4}, {}])


@pytest.mark.parametrize("recipe", [{}, {"stages": {"a": {"type": "chat"}}}])
def test_without_a_column_of_classes_there_are_none(tmp_path: Path, recipe: dict[str, Any]) -> None:
    facts = facts_with(tmp_path, [result(0, 0.5)], recipe, (0, "x"))
    assert (facts.column, facts.classes) == (None, ())


def test_a_column_of_texts_holds_no_classes(tmp_path: Path) -> None:
    facts = facts_with(tmp_path, [result(0, 0.5)], LABELLED, *[(0, f"text {n}") for n in range(300)])
    assert (facts.column, facts.classes) == (None, ())


def test_the_space_is_the_recipes(tmp_path: Path) -> None:
    space = {"a.t": {"low": 0.0, "high": 1.0}}
    facts = facts_with(tmp_path, [result(0, 0.5)], {"controller": {"space": space, "reward": {"type": "callback"}}})
    assert facts.space == space and msgspec.json.encode(facts.results[0].trial.settings) == b"{}"
