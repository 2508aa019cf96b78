"""All trials of a run: their tickets, what these bring, and the rewards. It knows no agent and waits for nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from streamgen.control.agent import Kind, Proposal, Reward, Trial, Yield
from streamgen.control.batch import Batch, Drops
from streamgen.control.halving import Halving
from streamgen.control.outlook import Outlook
from streamgen.control.pool import Pool
from streamgen.control.ranges import Ranges
from streamgen.control.told import Epoch, Learned, Told
from streamgen.record import Record, Usage, Value, decode

_replace = msgspec.structs.replace


class Settled(Protocol):
    """What a journal tells of the tickets that earlier sessions settled."""

    def is_settled(self, ticket: int) -> bool:
        """Whether the ticket has ended."""
        ...

    def records(self, after: int) -> Iterable[Record]:
        """The records behind the first `after` accepted ones, surplus too."""
        ...

    def drops(self, tickets: set[int]) -> Mapping[int, Drops]:
        """What was dropped of these tickets, of those that lost records."""
        ...


class Trials(Sequence[Trial]):
    """The trials by their ids, each as it stands now. `open` ones wait for a reward, with what their tickets bring.

    `kept` batches are of trials that may be promoted, and of the `incumbent`: the last one that was rewarded for the
    recipe's own or the recommended settings, where rewards are paired with it.
    """

    def __init__(self, rungs: Sequence[int], pool: Pool, outlook: Outlook, *, paired: bool) -> None:
        self.halving, self.pool, self.outlook = Halving(rungs), pool, outlook
        self.open: dict[int, Batch] = {}
        self.kept: dict[int, Batch] = {}
        self.incumbent: int | None = None
        self.rewards: dict[int, Reward] = {}  # the last one of each
        self._is_paired = paired
        self._trials: list[Trial] = []
        self._ranges = Ranges()

    def __getitem__(self, id_: int) -> Trial:  # type: ignore[override]  # nobody slices it
        return self._trials[id_]

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def end(self) -> int:
        """The first ticket that no trial has."""
        return self._ranges.end

    @property
    def waiting(self) -> tuple[Trial, ...]:
        """Those without their next reward."""
        return tuple(self._trials[id_] for id_ in self.open)

    @property
    def baseline(self) -> list[Record] | None:
        """The incumbent's records."""
        return self.kept[self.incumbent].records if self.incumbent is not None else None

    def of(self, ticket: int) -> Trial:
        """The trial that the ticket belongs to. Raises ValueError where there is none."""
        return self._trials[self._ranges.trial_of(ticket)]

    def begin(self, kind: Kind, tickets: int, proposal: Proposal, now: float, **known: Value) -> Trial:
        """A new trial on the next tickets."""
        id_ = len(self._trials)
        first = self._ranges.add(tickets, id_)
        trial = Trial(id=id_, first_ticket=first, tickets=tickets, kind=kind, settings=proposal.settings,
                      note=proposal.note, log_probability=proposal.log_probability, **known)  # fmt: skip
        self._trials.append(trial)
        self.open[id_] = Batch(tickets, now)
        return trial

    def enlarge(self, id_: int, now: float) -> Trial:
        """The trial, with the tickets of the next rung."""
        trial = self._trials[id_]
        tickets = self.halving.more(trial.rung)
        self.halving.promoted(id_, trial.rung)
        self.open[id_] = self.kept.pop(id_)
        self.open[id_].enlarge(tickets, now, trial.came or Yield())
        more = (*trial.more, (self._ranges.add(tickets, id_), tickets))
        return self._put(_replace(trial, rung=trial.rung + 1, more=more))

    def settled(self, ticket: int, records: Sequence[Record], drops: Drops | None, now: float) -> Trial | None:
        """A ticket has ended; its trial, if that was the last one of it."""
        id_ = self._ranges.trial_of(ticket)
        self.pool.add(id_, records)
        self.outlook.add(records)
        if (batch := self.open.get(id_)) is None:
            return None
        batch.settled(records, drops)
        return None if batch.missing else self._put(_replace(self[id_], came=batch.came(now, self.outlook.label)))

    def paid(self, ticket: int, usage: Usage) -> None:
        """A call for the ticket was paid."""
        if batch := self.open.get(self._ranges.trial_of(ticket)):
            batch.paid(usage)

    def forgotten(self, id_: int, told: int) -> Trial:
        """The trial gets no more rewards."""
        return self._put(_replace(self[id_], forgotten=told))

    def conclude(self, trial: Trial, reward: Reward, batch: Batch) -> None:
        """What a reward means for the trials to come."""
        self.rewards[trial.id] = reward
        self.outlook.rewarded(trial.came or Yield(), reward)
        if self.is_on_a_rung(trial):
            self.halving.tell(trial.id, trial.rung, reward.value)
            if self.is_partial(trial) and reward.value is not None:
                self.kept[trial.id] = batch
        elif self._is_paired and trial.kind != "explore" and reward.value is not None:
            self.kept.pop(self.incumbent if self.incumbent is not None else -1, None)
            self.incumbent = trial.id
            self.kept[trial.id] = batch

    def is_on_a_rung(self, trial: Trial) -> bool:
        """Whether the trial may get more tickets, depending on its rewards."""
        return trial.kind == "explore" and bool(self.halving.rungs)

    def is_partial(self, trial: Trial) -> bool:
        """Whether another reward of the trial may follow."""
        return self.is_on_a_rung(trial) and not self.halving.is_top(trial.rung)

    def since(self) -> int | None:
        """How many records were accepted before any of those that are still needed; None where none is."""
        return min((self[id_].after for id_ in (*self.open, *self.kept)), default=None)

    def restore(
        self,
        trials: Iterable[Trial],
        told: Iterable[Told],
        settled: Settled,
        learned: Learned | None,
        epoch: Epoch,
        now: float,
    ) -> list[Trial]:
        """Go on where an earlier session stopped; those whose tickets have all ended, and which have no reward."""
        self._trials = list(trials)
        self._ranges.restore((first, count, trial.id) for trial in self for first, count in trial.ranges)
        seen = self._rewarded(told, epoch)
        for trial in self._trials[epoch.trials :]:
            if trial.forgotten is None and seen[trial.id] <= trial.rung:
                self.kept.pop(trial.id, None)
                self.open[trial.id] = Batch(trial.ranges[-1][1], now, trial.came if trial.rung else None)
            if trial.came and (seen[trial.id] or trial.forgotten is not None):
                self.outlook.recall(trial.came)
        return [*self._settle_again(settled, self._collect(settled, learned), now)]

    def _rewarded(self, told: Iterable[Told], epoch: Epoch) -> Counter[int]:
        """Take in the rewards; how many each trial has."""
        seen = Counter[int]()
        for trial, reward in told:
            if reward is None:
                continue
            seen[trial.id] += 1
            self.rewards[trial.id] = reward
            if trial.id >= epoch.trials:
                self.conclude(trial, reward, Batch(0, 0.0))
                if trial.rung < self[trial.id].rung:
                    self.halving.promoted(trial.id, trial.rung)
        return seen

    def _collect(self, settled: Settled, learned: Learned | None) -> Mapping[int, Sequence[Record]]:
        """The records that are still needed, by ticket; the pool takes them in."""
        for body in learned.pool if learned else ():
            record = decode(body)
            self.pool.add(record.meta.trial or 0, [record])
        pool_after = (learned.since if learned else 0) if self.pool.limit else None
        after = [after for after in (self.since(), pool_after) if after is not None]
        made = defaultdict[int, list[Record]](list)
        for record in settled.records(min(after)) if after else ():
            if settled.is_settled(record.meta.ticket):
                made[record.meta.ticket].append(record)
                self.pool.add(self._ranges.trial_of(record.meta.ticket), [record])
        return made

    def _settle_again(self, settled: Settled, made: Mapping[int, Sequence[Record]], now: float) -> Iterator[Trial]:
        ended = {id_: [t for t in _tickets(self[id_].ranges[-1:]) if settled.is_settled(t)] for id_ in self.open}
        drops = settled.drops({ticket for tickets in ended.values() for ticket in tickets})
        for id_, batch in (*self.open.items(), *self.kept.items()):
            earlier = self[id_].ranges[:-1] if id_ in ended else self[id_].ranges
            batch.keep(record for ticket in _tickets(earlier) for record in made.get(ticket, ()))
        for ticket in (ticket for tickets in ended.values() for ticket in tickets):
            if finished := self.settled(ticket, made.get(ticket, ()), drops.get(ticket), now):
                yield finished

    def _put(self, trial: Trial) -> Trial:
        self._trials[trial.id] = trial
        return trial


def _tickets(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    for first, count in ranges:
        yield from range(first, first + count)
