"""The controller: which settings each ticket is generated with, and what came of them."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

import anyio
import msgspec

from streamgen.control.agent import Agent, Kind, Observation, Proposal, Reward, Trial
from streamgen.control.pool import Pool
from streamgen.control.reward import RewardFunction, failed_reward, reward_of
from streamgen.control.space import Space
from streamgen.errors import FatalError
from streamgen.record import Record, Value


class TrialResult(msgspec.Struct, frozen=True):
    """A trial, and its reward where it has one already."""

    trial: Trial
    reward: Reward | None


class ControllerSummary(msgspec.Struct, frozen=True):
    """Every trial so far and the settings that the agent recommends.

    `best` is the trial with the highest single reward: the luckiest draw, which is seldom as good when run again.
    """

    trials: tuple[TrialResult, ...]
    recommended: Mapping[str, Value] | None
    best: int | None


class _Batch:
    """A trial that has no reward yet: how many tickets it waits for, and the records that it got."""

    def __init__(self, tickets: int) -> None:
        self.missing = tickets
        self.records: list[Record] = []


class Controller:
    """Cuts the stream of tickets into trials, several of them in flight, and turns rewards into new settings.

    The first range of tickets runs the recipe's own settings, the next `trials - 1` explore, and all after them run
    what the agent recommends at their start. All methods belong to the event loop's thread. `on_trial` is called for
    each new trial before its first ticket starts, `on_reward` after the agent was told: a journal hangs there.

    While one recommended trial waits for its reward, others are passed over: production goes on faster than it is
    measured, and nothing piles up.
    """

    def __init__(
        self,
        agent: Agent,
        reward: RewardFunction,
        space: Space,
        default: Mapping[str, Value],
        *,
        batch: int = 32,
        trials: int = 20,
        pool: Pool | None = None,
        evaluators: int = 1,
    ) -> None:
        self.agent = agent
        self.on_trial: Callable[[Trial], None] = _ignore
        self.on_reward: Callable[[Trial, Reward], None] = _ignore
        self._reward = reward
        self.space = space
        self._default = default
        self._batch = batch
        self._explored = trials
        self._pool = pool if pool is not None else Pool(0)
        self._evaluators = evaluators
        self._trials: list[Trial] = []  # contiguous: each begins where the one before ends
        self._open: dict[int, _Batch] = {}  # by trial id, until its reward is told
        self._due: deque[Trial] = deque()  # open trials with nothing missing, not yet taken up
        self._rewards: dict[int, Reward] = {}
        self._closed = False
        self._wake: anyio.Event | None = None  # there while an evaluator waits

    def __repr__(self) -> str:
        return (
            f"<Controller trials={len(self._trials)} open={len(self._open)} due={len(self._due)}"
            f" rewards={len(self._rewards)}{' closed' if self._closed else ''}>"
        )

    def trial_for(self, ticket: int) -> Trial:
        """The trial that a ticket belongs to; a new one begins when the ticket is the first of its range."""
        while ticket >= self._end:
            self._begin()
        return self._trials[bisect_right(self._trials, ticket, key=attrgetter("first_ticket")) - 1]

    def settled(self, ticket: int, records: Sequence[Record]) -> None:
        """A ticket has ended with these records, accepted or surplus, or none; said once for each ticket."""
        trial = self._known_trial(ticket)
        self._pool.add(trial.id, records)
        if batch := self._open.get(trial.id):
            batch.missing -= 1
            batch.records.extend(records)
            if not batch.missing:
                self._finish(trial)

    async def run(self) -> None:
        """Computes rewards as they become due and tells the agent; returns after `close`, when none is due."""
        async with anyio.create_task_group() as group:
            for _ in range(self._evaluators):
                group.start_soon(self._evaluate)

    def close(self) -> None:
        """No more tickets will settle: `run` computes what is due and returns. Trials that lack tickets stay open."""
        self._closed = True
        self._notify()

    def restore(
        self,
        trials: Iterable[Trial],
        rewards: Iterable[tuple[int, Reward]],
        settled: Iterable[tuple[int, Sequence[Record]]],
        agent_state: Mapping[str, Value] | None = None,
    ) -> None:
        """Go on where an earlier session stopped; called before the first ticket.

        `trials` come in order, `rewards` by trial id in the order in which they were told, `settled` are tickets with
        their records. With `agent_state`, taken after the last of these rewards, the agent is not told again.
        """
        for trial in trials:
            self._add(trial)
        for id_, reward in rewards:
            self._record(self._trials[id_], reward)
            if agent_state is None:
                self.agent.tell(self._trials[id_], reward)
        if agent_state is not None:
            self.agent.load_state_dict(agent_state)
        for ticket, records in settled:
            self.settled(ticket, records)

    def summary(self) -> ControllerSummary:
        """Trials, rewards and the recommendation, as of now."""
        values = {id_: reward.value for id_, reward in self._rewards.items() if reward.value is not None}
        return ControllerSummary(
            trials=tuple(TrialResult(trial, self._rewards.get(trial.id)) for trial in self._trials),
            recommended=self.agent.recommend(),
            best=max(values, key=lambda id_: values[id_], default=None),
        )

    @property
    def _end(self) -> int:
        """The first ticket that no trial has."""
        return self._trials[-1].first_ticket + self._trials[-1].tickets if self._trials else 0

    def _begin(self) -> None:
        observation = Observation(step=len(self._trials), pending=tuple(self._trials[id_] for id_ in self._open))
        kind, proposal = self._proposal(observation)
        applied = self.space.applied(proposal.settings, observation)
        trial = Trial(
            id=len(self._trials),
            first_ticket=self._end,
            tickets=self._batch,
            settings=proposal.settings,
            kind=kind,
            note=proposal.note,
            applied=None if applied is proposal.settings else applied,
            log_probability=proposal.log_probability,
        )
        self._add(trial)
        self.on_trial(trial)

    def _proposal(self, observation: Observation) -> tuple[Kind, Proposal]:
        if not self._trials:
            return "default", Proposal(settings=self._default)
        if len(self._trials) >= self._explored:
            return "recommended", Proposal(settings=self.agent.recommend() or self._default)
        return "explore", self._asked(observation)

    def _asked(self, observation: Observation) -> Proposal:
        proposal = self.agent.ask(observation)
        if not self.space.contains(proposal.settings):
            raise FatalError(
                f"the agent {type(self.agent).__name__} proposed {proposal.settings}, "
                f"which is not in the search space: {self.space}"
            )
        return proposal

    def _add(self, trial: Trial) -> None:
        self._trials.append(trial)
        self._open[trial.id] = _Batch(trial.tickets)

    def _known_trial(self, ticket: int) -> Trial:
        if not 0 <= ticket < self._end:
            raise ValueError(f"ticket {ticket} belongs to no trial: the trials so far end before ticket {self._end}")
        return self.trial_for(ticket)

    def _finish(self, trial: Trial) -> None:
        if trial.kind == "recommended" and any(waiting.kind == "recommended" for waiting in self._due):
            del self._open[trial.id]
            return
        self._due.append(trial)
        self._notify()

    def _notify(self) -> None:
        if self._wake:
            self._wake.set()
            self._wake = None

    async def _evaluate(self) -> None:
        while trial := await self._next_due():
            reward = await self._score(trial, self._open[trial.id].records)
            self.agent.tell(trial, reward)
            self._record(trial, reward)
            self.on_reward(trial, reward)

    async def _next_due(self) -> Trial | None:
        while not self._due and not self._closed:
            self._wake = self._wake or anyio.Event()
            await self._wake.wait()
        return self._due.popleft() if self._due else None

    async def _score(self, trial: Trial, records: Sequence[Record]) -> Reward:
        try:
            metrics = await self._reward.score(records, self._pool.others(trial.id))
            return reward_of(metrics, self._reward.metric, len(records))
        except FatalError:
            raise
        except Exception as error:  # the one place where a reward's error becomes a failed trial
            return failed_reward(error, len(records))

    def _record(self, trial: Trial, reward: Reward) -> None:
        self._rewards[trial.id] = reward
        del self._open[trial.id]


def _ignore(*_: object) -> None:
    """What the hooks do until somebody hangs something there."""
