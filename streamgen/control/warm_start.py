"""Takes over what an earlier run has learned, into a space that may be another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from streamgen.control.agent import Reward
from streamgen.control.results import TrialResult
from streamgen.control.space import Space
from streamgen.record import Value

Earlier = tuple[Mapping[str, Value], Reward]
"""Settings, and what they were worth."""


class Carried(msgspec.Struct, frozen=True):
    """What an agent begins with, and what a person should know about it."""

    told: Sequence[Earlier] = ()
    notes: Sequence[str] = ()


def carry_over(
    results: Iterable[TrialResult],
    then: Mapping[str, Value],
    space: Space,
    now: Mapping[str, Value],
    source: str,
) -> Carried:
    """The rewards of an earlier run whose settings have a place in the space, matched by their names.

    `then` and `now` are what the stages have without a trial, as `stage.setting`, there and here: a setting that was
    not tuned there had that value. Trials with values outside of the space are left out.
    """
    rewarded = [result for result in results if result.value is not None]
    told: list[Earlier] = []
    left_out: Counter[str] = Counter()
    for result in rewarded:
        settings = space.active({name: _value(name, result.trial.settings, then, now) for name in space})
        outside = [name for name, value in settings.items() if not _has_place(space, name, value)]
        left_out.update(outside)
        if not outside and result.reward is not None:
            told.append((settings, result.reward))
    tuned = {name for result in rewarded for name in result.trial.settings}
    notes = [f"began with {len(told)} of {len(rewarded)} rewards of {source}"]
    notes += [f"{count} of them had {name} outside of its range here" for name, count in left_out.items()]
    return Carried(told, [*notes, *(_differences(space, tuned, then, now) if rewarded else ())])


def _value(name: str, tried: Mapping[str, Value], then: Mapping[str, Value], now: Mapping[str, Value]) -> Value:
    return next((known[name] for known in (tried, then, now) if name in known), None)


def _has_place(space: Space, name: str, value: Value) -> bool:
    """What is not set (None, or shares that are left to the stage) is outside of every range, and known as such."""
    return value in (None, {}) or space[name].contains(value)


def _differences(space: Space, tuned: set[str], then: Mapping[str, Value], now: Mapping[str, Value]) -> Iterator[str]:
    for name in space:
        if name not in tuned:
            known = f"{then[name]!r}, as that recipe had it" if name in then else f"{now.get(name)!r}, as it is here"
            yield f"{name} was not tuned there: its value is taken to be {known}"
    for name in sorted(tuned - set(space)):
        yield f"{name} was tuned there and is not here, where it is {now.get(name)!r}: those rewards may not hold"
