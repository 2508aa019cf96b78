"""What each trial took and gave, read from a run's journal: tickets, records by class, tokens, money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from streamgen.control.agent import Trial
from streamgen.control.results import TrialResult
from streamgen.journal.store import Store
from streamgen.record import META_KEY, Value

LONGEST_CLASS = 200  # characters; a column with longer values holds texts, not classes
MOST_CLASSES = 200


class TrialTook(msgspec.Struct, frozen=True):
    """What a trial took: tickets that were begun; the rest is None until all of them have ended.

    `usd` is None too where no price is known.
    """

    tickets: int = 0
    records: int | None = None
    tokens: int | None = None
    usd: float | None = None


class TrialFacts(msgspec.Struct, frozen=True):
    """The trials in order with what each took. `classes` counts records by value of `column`, a row a trial.

    `column` is None where the recipe names no column with classes. `space` is the search space as the recipe writes it.
    """

    results: Sequence[TrialResult] = ()
    took: Sequence[TrialTook] = ()
    column: str | None = None
    classes: Sequence[Mapping[str, int]] = ()
    recommended: Mapping[str, Value] | None = None
    space: Mapping[str, Value] = {}


def trial_facts_of(
    store: Store, results: Sequence[TrialResult], recipe: Value, recommended: Mapping[str, Value] | None
) -> TrialFacts:
    """What the journal knows of the trials. Where they did not count classes, every accepted record is read once."""
    if not results:
        return TrialFacts()
    column = _class_column(recipe)
    classes = _classes(store, results, column) if column else ()
    return TrialFacts(
        results=results,
        took=took_of(store, results),
        column=column if any(classes) else None,
        classes=classes if any(classes) else (),
        recommended=recommended,
        space=(recipe.get("controller") or {}).get("space") or {},
    )


def took_of(store: Store, results: Sequence[TrialResult]) -> list[TrialTook]:
    """What each trial took."""
    begun = store.progress().following
    return [_took(result.trial, begun) for result in results]


def _took(trial: Trial, begun: int) -> TrialTook:
    tickets = sum(min(max(begun - first, 0), count) for first, count in trial.ranges)
    if (came := trial.came) is None:
        return TrialTook(tickets)
    return TrialTook(tickets, came.records, came.tokens, came.usd)


def _classes(store: Store, results: Sequence[TrialResult], column: str) -> Sequence[Mapping[str, int]]:
    """How many records of each class every trial brought."""
    counted = [result.trial.came.classes if result.trial.came else {} for result in results]
    return counted if any(counted) else _accepted(store, len(results), column)


class _Made(msgspec.Struct):
    trial: int | None = None


_columns_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_made_of = msgspec.json.Decoder(_Made).decode


def _accepted(store: Store, trials: int, column: str) -> list[Counter[str]]:
    """How many records of each class were accepted of every trial; nothing where there are too many to be classes."""
    classes = [Counter[str]() for _ in range(trials)]
    known: set[str] = set()
    for page in store.pages():
        for stored in page:
            row = _columns_of(stored.body)
            trial = _made_of(row.get(META_KEY, b"{}")).trial
            if column in row and trial is not None and 0 <= trial < trials:
                name = _name(msgspec.json.decode(row[column]))
                classes[trial][name] += 1
                known.add(name)
        if len(known) > MOST_CLASSES:
            return [Counter() for _ in range(trials)]
    return classes


def _name(value: Value) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:LONGEST_CLASS]


def _class_column(recipe: Value) -> str | None:
    """The column that holds classes: the controller's or its reward's, a `class_balance`'s, or a `labelled` stage's."""
    controller = recipe.get("controller") or {}
    reward = controller.get("reward") or {}
    if controller.get("label"):
        return str(controller["label"])
    if reward.get("type") in ("classifier", "student"):
        return str(reward.get("label", "label"))
    for type_, setting in (("class_balance", "column"), ("labelled", "label")):
        for part in (*(recipe.get("metrics") or ()), *_stages(recipe)):
            if part.get("type") == type_:
                return str(part.get(setting, "label"))
    return None


def _stages(recipe: Value) -> Sequence[Mapping[str, Value]]:
    stages = recipe.get("stages") or ()
    return list(stages.values()) if isinstance(stages, Mapping) else list(stages)
