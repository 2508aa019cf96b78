"""The controller: which settings each ticket is generated with, and what came of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import anyio
import msgspec

from streamgen.control.advisor import Advisor
from streamgen.control.agent import Agent, Kind, Observation, Proposal, Reward, Trial, Yield
from streamgen.control.batch import Batch, Drops
from streamgen.control.outlook import Outlook
from streamgen.control.pool import Pool
from streamgen.control.results import ControllerSummary, TrialResult
from streamgen.control.reward import (
    FactualReward,
    RewardFunction,
    TrialFacts,
    answer_of,
    close_reward,
    failed_reward,
    reward_of,
)
from streamgen.control.schedule import Next, Schedule
from streamgen.control.space import Space
from streamgen.control.told import Epoch, Learned, tell_again, told_in_order
from streamgen.control.trials import Settled, Trials
from streamgen.errors import FatalError
from streamgen.record import Record, Usage, Value, encode

__all__ = ["Controller", "ControllerSummary", "TrialResult"]

NOTED = 32  # trials between two snapshots: a resume reads the records of so many again
AHEAD = 8  # a heavy agent is asked for the next trial when one in so many of the last one's tickets are left


class Hooks(msgspec.Struct):
    """What the controller tells the run, and asks of it.

    `on_trial` hears of each new trial before its first ticket starts, and of each change of one; `on_reward` of rewards
    after the agent was told; `on_note` gets snapshots. `accepted` counts records. All in the order of the agent's life:
    a journal that keeps this order, and loses at most an end of it, can bring the agent back to where it was.
    """

    on_trial: Callable[[Trial], None] = lambda trial: None
    on_reward: Callable[[Trial, Reward], None] = lambda trial, reward: None
    on_note: Callable[[bytes], None] = lambda body: None
    accepted: Callable[[], int] = lambda: 0
    budget_left: Callable[[], float] = lambda: 1.0
    clock: Callable[[], float] = time.monotonic


class Answer(NamedTuple):
    """What the agent says the next trial should be, which explores where nothing can be recommended yet."""

    kind: Kind
    proposal: Proposal


class Controller:
    """Cuts the stream of tickets into trials, several of them in flight, and turns rewards into new settings.

    What each trial is for says the schedule. All methods but `restore` and `warm_start` belong to the event loop's
    thread. While one recommended trial waits for its reward, others are passed over: production goes on faster than
    it is measured, and nothing piles up.
    """

    def __init__(
        self,
        agent: Agent,
        reward: RewardFunction | FactualReward,
        space: Space,
        default: Mapping[str, Value],
        *,
        schedule: Schedule = Schedule(),  # noqa: B008  frozen
        pool: Pool | None = None,
        evaluators: int = 1,
        outlook: Outlook | None = None,
        paired: bool = False,
    ) -> None:
        self.agent, self.space, self.schedule = agent, space, schedule
        self.hooks = Hooks()
        self.notes: list[str] = []  # what the user should know about how it began
        self.noted = NOTED
        self._reward, self._default, self._evaluators = reward, default, evaluators
        self._advisor = Advisor(agent)
        pool = Pool(0) if pool is None else pool
        self._trials = Trials(schedule.rungs, pool, outlook or Outlook(), paired=paired)
        self._lead = 0  # tickets before the end of the ranges at which the next trial is asked for
        self._due: deque[int] = deque()  # open trials with nothing missing, not yet taken up
        self._epoch = Epoch()
        self._told = self._noted = 0  # rewards and trials to forget; as of the last snapshot
        self._is_asking = self._is_closed = False
        self._wake: anyio.Event | None = None  # there while an evaluator waits
        self._news: anyio.Event | None = None  # there while somebody waits for a trial

    def __repr__(self) -> str:
        trials = self._trials
        return (
            f"<Controller trials={len(trials)} open={len(trials.open)} due={len(self._due)}"
            f" rewards={len(trials.rewards)}{' closed' if self._is_closed else ''}>"
        )

    # Tickets

    def is_ready(self, ticket: int) -> bool:
        """Whether the ticket has its trial. Where the agent must be asked for one first, it is."""
        while ticket >= self._trials.end - self._lead and not self._is_asking and not self._is_over:
            self._begin()
        return ticket < self._trials.end

    async def ready(self, ticket: int) -> bool:
        """Wait until the ticket has its trial; False where no more trials are to begin."""
        while not self.is_ready(ticket):
            if self._is_over:
                return False
            self._news = self._news or anyio.Event()
            await self._news.wait()
        return True

    def trial_for(self, ticket: int) -> Trial:
        """The trial that a ticket belongs to; a quick agent's begins when the ticket is the first of its range."""
        self.is_ready(ticket)
        return self._trials.of(ticket)

    def settled(self, ticket: int, records: Sequence[Record], drops: Drops | None = None) -> None:
        """A ticket has ended with these records, accepted or surplus, or none; said once for each ticket."""
        if finished := self._trials.settled(ticket, records, drops, self.hooks.clock()):
            self._finish(finished)

    def paid(self, ticket: int, usage: Usage) -> None:
        """A call for a ticket was paid."""
        self._trials.paid(ticket, usage)

    # Life

    async def run(self) -> None:
        """Computes rewards as they become due and teaches the agent; returns after `close`, when nothing is due."""
        try:
            async with anyio.create_task_group() as thinking:
                thinking.start_soon(self._advisor.run)
                async with anyio.create_task_group() as evaluating:
                    for _ in range(self._evaluators):
                        evaluating.start_soon(self._evaluate)
                self._note()
                self._advisor.close()
        finally:
            with anyio.CancelScope(shield=True):
                await close_reward(self._reward)

    def close(self) -> None:
        """No more tickets will settle: `run` computes what is due and returns. Trials that lack tickets stay open."""
        self._is_closed = True
        self._notify()

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Begin with rewards of an earlier run; called before all else, in each session with the same ones."""
        self.agent.warm_start(told)
        self._advisor.learned()

    def restore(
        self,
        trials: Sequence[Trial],
        rewards: Iterable[tuple[int, Reward]],
        settled: Settled,
        learned: Learned | None = None,
        epoch: Epoch = Epoch(),  # noqa: B008  frozen
    ) -> None:
        """Go on where an earlier session stopped; called before the first ticket.

        `trials` come in order, `rewards` by trial id in the order in which they were told. Trials before the `epoch`
        ran another space: their tickets are known, and nothing else of them.
        """
        told = list(told_in_order(trials, rewards))
        self._epoch = epoch
        self._told = self._noted = len(told)
        tell_again(self.agent, told, learned, epoch.told)
        self._advisor.learned()
        for finished in self._trials.restore(trials, told, settled, learned, epoch, self.hooks.clock()):
            self._finish(finished)
        self._set_lead()

    def summary(self) -> ControllerSummary:
        """Trials, rewards and the recommendation, as of now."""
        rewards = self._trials.rewards
        values = {id_: reward.value for id_, reward in rewards.items() if reward.value is not None}
        return ControllerSummary(
            trials=tuple(TrialResult(trial, rewards.get(trial.id)) for trial in self._trials),
            recommended=self.recommended,
            best=max(values, key=lambda id_: values[id_], default=None),
            notes=tuple(self.notes),
        )

    @property
    def recommended(self) -> Mapping[str, Value] | None:
        """The settings to produce with, None while nothing is known."""
        return self._advisor.recommended

    # Trials begin

    def applied(self, settings: Mapping[str, Value]) -> Mapping[str, Value]:
        """What the stages get of settings now: shares in the place of a mixture's theta."""
        return self.space.applied(settings, self._observation())

    @property
    def _next(self) -> Next:
        return self.schedule.kind(len(self._trials) - self._epoch.trials, self._trials.end - self._epoch.tickets)

    @property
    def _is_over(self) -> bool:
        return self._next == "over"

    def _begin(self) -> None:
        trials, kind = self._trials, self._next
        assert kind != "over"
        if kind == "explore" and trials.halving.rungs and (promoted := trials.halving.next()) is not None:
            self._begun(trials.enlarge(promoted, self.hooks.clock()))
            return
        observation = self._observation()
        known = self._default if kind == "default" else self.schedule.pinned
        if known is not None:
            self._add(observation, kind, Proposal(settings=known))
        else:
            self._is_asking = True
            self._advisor.do(partial(self._asked, kind, observation), partial(self._answered, observation))

    def _observation(self) -> Observation:
        trials = self._trials
        return trials.outlook.observation(len(trials), trials.waiting, self.hooks.budget_left())

    def _asked(self, kind: Kind, observation: Observation) -> Answer:
        """What the agent proposes, or recommends: called like all that asks it, after what it was told before."""
        settings = None if kind == "explore" else self.agent.recommend()
        if settings is not None:
            return Answer(kind, Proposal(settings=settings))
        if kind == "recommended":
            return Answer(kind, Proposal(settings=self._default))
        proposal = self.agent.ask(observation)
        if not self.space.contains(proposal.settings):
            raise FatalError(
                f"the agent {type(self.agent).__name__} proposed {proposal.settings}, "
                f"which is not in the search space: {self.space}"
            )
        return Answer("explore", proposal)

    def _answered(self, observation: Observation, answer: Answer) -> None:
        self._is_asking = False
        self._add(observation, *answer)

    def _add(self, observation: Observation, kind: Kind, proposal: Proposal) -> None:
        applied = self.space.applied(proposal.settings, observation)
        trial = self._trials.begin(
            kind, self.schedule.tickets(kind), proposal, self.hooks.clock(),
            applied=None if applied is proposal.settings else applied, heard=self._told, after=self.hooks.accepted(),
        )  # fmt: skip
        self._begun(trial)

    def _begun(self, trial: Trial) -> None:
        self._set_lead()
        self.hooks.on_trial(trial)
        if self._news:
            self._news.set()
            self._news = None

    def _set_lead(self) -> None:
        if not self._advisor.is_quick and self._trials:
            self._lead = max(1, self._trials[-1].ranges[-1][1] // AHEAD)

    # Trials end

    def _finish(self, trial: Trial) -> None:
        if trial.kind == "recommended" and any(self._trials[due].kind == "recommended" for due in self._due):
            del self._trials.open[trial.id]
            self._advisor.teach(partial(self.agent.forget, trial), partial(self._was_forgotten, trial))
        else:
            self._due.append(trial.id)
            self._notify()

    def _was_forgotten(self, trial: Trial) -> None:
        self.hooks.on_trial(self._trials.forgotten(trial.id, self._told))
        self._told += 1

    def _notify(self) -> None:
        if self._wake:
            self._wake.set()
            self._wake = None

    async def _evaluate(self) -> None:
        while (id_ := await self._next_due()) is not None:
            trial, batch = self._trials[id_], self._trials.open[id_]
            reward = await self._score(trial, batch.records)
            del self._trials.open[id_]
            self._advisor.teach(partial(self.agent.tell, trial, reward), partial(self._was_told, trial, batch, reward))

    async def _next_due(self) -> int | None:
        while not self._due and not self._is_closed:
            self._wake = self._wake or anyio.Event()
            await self._wake.wait()
        return self._due.popleft() if self._due else None

    async def _score(self, trial: Trial, records: Sequence[Record]) -> Reward:
        pool, baseline = self._trials.pool.others(trial.id), self._trials.baseline
        try:
            metrics = await answer_of(self._reward, records, pool, _facts(trial, len(records)), baseline)
            reward = reward_of(metrics, self._reward.metric, len(records))
        except FatalError:
            raise
        except Exception as error:  # the one place where a reward's error becomes a failed trial
            reward = failed_reward(error, len(records))
        cost = trial.came.usd if trial.came else None
        return msgspec.structs.replace(reward, cost=cost, partial=self._trials.is_partial(trial))

    def _was_told(self, trial: Trial, batch: Batch, reward: Reward) -> None:
        self._told += 1
        self._trials.conclude(trial, reward, batch)
        self.hooks.on_trial(trial)
        self.hooks.on_reward(trial, reward)
        if self._told - self._noted >= self.noted:
            self._note()

    # What is kept for later sessions

    def _note(self) -> None:
        """Have a snapshot written, where something was told since the last one."""
        if self._told == self._noted:
            return
        self._noted = self._told
        needed, pool = self._trials.since(), self._trials.pool.records
        since = self.hooks.accepted() if needed is None else needed
        self._advisor.do(partial(self._written, pool), partial(self._write, since))

    def _written(self, pool: Sequence[Record]) -> dict[str, Any]:
        return {"agent": self.agent.state_dict(), "pool": [msgspec.Raw(encode(record)) for record in pool]}

    def _write(self, since: int, written: Mapping[str, Any]) -> None:
        self.hooks.on_note(msgspec.json.encode(Learned(told=self._told, since=since, **written)))


def _facts(trial: Trial, accepted: int) -> TrialFacts:
    came = trial.came or Yield()
    tickets = sum(count for _, count in trial.ranges)
    return TrialFacts(tickets=tickets, accepted=accepted, tokens=came.tokens, usd=came.usd, seconds=came.seconds)
