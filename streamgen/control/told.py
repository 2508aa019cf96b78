"""What an agent was told in earlier sessions, in its order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from streamgen.control.agent import Agent, Reward, Trial
from streamgen.record import Value


class Epoch(msgspec.Struct, frozen=True):
    """Where the present agent's life began: trials, their tickets and things told before belong to another space."""

    trials: int = 0
    tickets: int = 0
    told: int = 0


class Learned(msgspec.Struct, frozen=True):
    """A snapshot: the agent's state after so many things told, and a sample of the pool of records.

    What was accepted behind the first `since` records may be missing in the pool.
    """

    told: int
    since: int
    agent: Mapping[str, Value]
    pool: Sequence[msgspec.Raw]


class Told(NamedTuple):
    """A reward, or None where the trial was to be forgotten; the trial is as it was then."""

    trial: Trial
    reward: Reward | None


def told_in_order(trials: Sequence[Trial], rewards: Iterable[tuple[int, Reward]]) -> Iterator[Told]:
    """All that was told: rewards in their order, and between them what was forgotten."""
    forgotten = {trial.forgotten: trial for trial in trials if trial.forgotten is not None}
    seen: Counter[int] = Counter()
    place = 0
    for id_, reward in rewards:
        while place in forgotten:
            yield Told(forgotten[place], None)
            place += 1
        yield Told(_at(trials[id_], seen[id_]), reward)
        seen[id_] += 1
        place += 1
    while place in forgotten:
        yield Told(forgotten[place], None)
        place += 1


def tell_again(agent: Agent, told: Sequence[Told], learned: Learned | None, first: int = 0) -> None:
    """Bring a fresh agent to where it was: from the snapshot and what was told after it, or else from all.

    What was told before the `first` was told to another agent.
    """
    if learned is not None and learned.told > first and _takes(agent, learned.agent):
        first = learned.told
    for trial, reward in told[first:]:
        if reward is None:
            agent.forget(trial)
        else:
            agent.tell(trial, reward)


def _takes(agent: Agent, state: Mapping[str, Value]) -> bool:
    """Whether the agent knows what to do with the state: one of another version does not."""
    try:
        agent.load_state_dict(state)
    except (ValueError, TypeError, KeyError):
        return False
    return True


def _at(trial: Trial, rung: int) -> Trial:
    """The trial as it was at an earlier rung."""
    return trial if rung >= trial.rung else msgspec.structs.replace(trial, rung=rung, more=trial.more[:rung])
