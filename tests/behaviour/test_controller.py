from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.control.agent import Agent, Observation, Proposal, Reward, Trial
from streamgen.control.batch import Drops
from streamgen.control.controller import Controller, Hooks
from streamgen.control.pool import Pool
from streamgen.control.random_search import RandomSearch
from streamgen.control.schedule import Schedule
from streamgen.control.space import Categorical, Float, Space
from streamgen.control.told import Learned
from streamgen.errors import FatalError, RewardError
from streamgen.record import Meta, Record

SPACE = Space({"a.t": Float(0.0, 1.0), "b.m": Categorical(("x", "y"))})
DEFAULT = {"a.t": 0.5, "b.m": "x"}
BATCH = 4


class Climber(RandomSearch):
    """An agent that learns: what it proposes depends on every reward that it was told, and on their order."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self.memory = 0.0

    def ask(self, observation: Observation) -> Proposal:
        settings = {**super().ask(observation).settings, "a.t": self.memory % 1.0}
        return Proposal(settings=settings, note={"memory": self.memory, "pending": len(observation.pending)})

    def tell(self, trial: Trial, reward: Reward) -> None:
        super().tell(trial, reward)
        self.memory = self.memory * 0.9 + (reward.value or 0.1)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "memory": self.memory}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.memory = state["memory"]


class InThread(Climber):
    """The same, but not quick."""

    is_quick = False


class Peak:
    """More records and a temperature near 0.8 are better; no records are a failure."""

    metric = "score"

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        if not records:
            raise RewardError("no records")
        return {"score": len(records) - abs(records[0].meta.settings["a.t"] - 0.8), "pool": len(pool)}


class Scripted:
    """Answers from a function of the records' trial."""

    metric = "score"

    def __init__(self, answer: Callable[[int], Awaitable[Any]]) -> None:
        self.answer = answer
        self.seen: list[tuple[list[str], list[str]]] = []

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Any:
        self.seen.append(([record.id for record in records], sorted(record.id for record in pool)))
        return await self.answer(records[0].meta.trial if records and records[0].meta.trial is not None else -1)


class Journal:
    """What a run would have on disk."""

    def __init__(self) -> None:
        self.by_id: dict[int, Trial] = {}
        self.rewards: list[tuple[int, Reward]] = []
        self.settled: list[tuple[int, Sequence[Record]]] = []
        self.note: bytes | None = None

    @property
    def trials(self) -> list[Trial]:
        return list(self.by_id.values())

    @property
    def learned(self) -> Learned | None:
        return msgspec.json.decode(self.note, type=Learned) if self.note else None

    def watch(self, controller: Controller) -> None:
        controller.hooks = Hooks(
            on_trial=lambda trial: self.by_id.__setitem__(trial.id, trial),
            on_reward=lambda trial, reward: self.rewards.append((trial.id, reward)),
            on_note=lambda body: setattr(self, "note", body),
            accepted=lambda: sum(len(records) for _, records in self.settled),
            clock=lambda: 0.0,
        )

    # What a controller is restored from

    def is_settled(self, ticket: int) -> bool:
        return any(ticket == settled for settled, _ in self.settled)

    def records(self, after: int) -> list[Record]:
        return [record for _, records in self.settled for record in records][after:]

    def drops(self, tickets: set[int]) -> Mapping[int, Drops]:
        return {}


def controller_with(
    reward: Any = None,
    agent: type[RandomSearch] = RandomSearch,
    trials: int = 6,
    batch: int = BATCH,
    recheck: int = 8,
    rungs: tuple[int, ...] = (),
    **more: Any,
) -> Controller:
    schedule = Schedule(batch=batch, trials=trials, recheck=recheck, rungs=rungs)
    return Controller(agent(SPACE, 7), reward or Peak(), SPACE, DEFAULT, schedule=schedule, **more)


def made(trial: Trial, ticket: int, count: int = 1) -> list[Record]:
    meta = Meta(ticket=ticket, trial=trial.id, settings=trial.settings)
    return [Record(f"{ticket}.{index}", {}, meta) for index in range(count)]


def settle(controller: Controller, tickets: Sequence[int], count: int = 1) -> None:
    for ticket in tickets:
        controller.settled(ticket, made(controller.trial_for(ticket), ticket, count))


async def evaluated(controller: Controller | None = None) -> None:
    """Every task has gone as far as it can: rewards here wait for nothing but events, and agents for their thread."""
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    while controller and "0 wait" not in repr(controller._advisor):
        await anyio.lowlevel.checkpoint()


async def drained(controller: Controller) -> None:
    controller.close()
    await controller.run()


async def constant(_: int) -> Any:
    return {"score": 1.0}


# Trials are ranges of tickets.


def test_tickets_are_cut_into_contiguous_trials_of_three_kinds() -> None:
    controller = controller_with(trials=3)
    found = [controller.trial_for(ticket) for ticket in range(20)]
    assert [trial.id for trial in found] == [ticket // BATCH for ticket in range(20)]
    assert [found[ticket].kind for ticket in range(0, 20, BATCH)] == [
        "default",
        "explore",
        "explore",
        "recommended",
        "recommended",
    ]
    assert found[0].settings == DEFAULT
    assert [trial.first_ticket for trial in found[::BATCH]] == [0, 4, 8, 12, 16]


def test_a_seed_gives_the_same_sequence_of_trials() -> None:
    first, second = controller_with(), controller_with()
    assert [first.trial_for(ticket) for ticket in range(24)] == [second.trial_for(ticket) for ticket in range(24)]


def test_an_earlier_ticket_gets_its_own_trial_again_and_nothing_new_begins() -> None:
    controller = controller_with()
    first = controller.trial_for(0)
    controller.trial_for(11)
    assert controller.trial_for(3) is first
    assert len(controller.summary().trials) == 3


def test_a_new_trial_is_reported_once_before_its_first_ticket() -> None:
    controller, journal = controller_with(), Journal()
    journal.watch(controller)
    for ticket in range(9):
        assert controller.trial_for(ticket) is journal.trials[-1]
    assert [trial.id for trial in journal.trials] == [0, 1, 2]


def test_settings_are_grouped_by_stage() -> None:
    controller = controller_with()
    assert controller.trial_for(0).settings == {"a.t": 0.5, "b.m": "x"}


def test_an_agent_that_leaves_the_space_stops_the_run() -> None:
    class Astray(RandomSearch):
        def ask(self, observation: Observation) -> Proposal:
            return Proposal(settings={"a.t": 2.0, "b.m": "x"})

    controller = controller_with(agent=Astray)
    controller.trial_for(3)
    with pytest.raises(FatalError, match=r"Astray proposed .*not in the search space"):
        controller.trial_for(4)


def test_a_ticket_that_no_trial_has_cannot_settle() -> None:
    with pytest.raises(ValueError, match="ticket 4 belongs to no trial"):
        settle_unknown(controller_with())


def settle_unknown(controller: Controller) -> None:
    controller.trial_for(0)
    controller.settled(4, [])


# Rewards.


async def test_a_trial_is_rewarded_once_when_its_last_ticket_has_settled() -> None:
    controller, journal = controller_with(Scripted(constant)), Journal()
    journal.watch(controller)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        settle(controller, [0, 1, 3])
        await evaluated()
        assert journal.rewards == []
        settle(controller, [2])
        await evaluated()
        assert journal.rewards == [(0, Reward(value=1.0, metrics={"score": 1.0}, n=4))]
        controller.close()


async def test_the_reward_sees_the_trials_own_records_and_those_of_others() -> None:
    reward = Scripted(constant)
    controller = controller_with(reward, pool=Pool(100))
    settle(controller, range(6), count=2)
    await drained(controller)
    own, pool = reward.seen[0]
    assert own == [f"{ticket}.{index}" for ticket in range(4) for index in range(2)]
    assert pool == ["4.0", "4.1", "5.0", "5.1"]


async def test_several_trials_are_in_flight_and_end_in_any_order() -> None:
    controller, journal = controller_with(), Journal()
    journal.watch(controller)
    for ticket in range(12):
        controller.trial_for(ticket)
    settle(controller, [8, 9, 10, 11, 4, 0, 5, 1, 6, 2, 7, 3])
    await drained(controller)
    assert [id_ for id_, _ in journal.rewards] == [2, 1, 0]


async def test_late_rewards_are_told_in_the_order_in_which_they_come() -> None:
    gates = {id_: anyio.Event() for id_ in range(3)}

    async def gated(id_: int) -> Any:
        await gates[id_].wait()
        return {"score": float(id_)}

    controller, journal = controller_with(Scripted(gated), evaluators=3), Journal()
    journal.watch(controller)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        settle(controller, range(12))
        for id_ in (1, 2, 0):
            gates[id_].set()
            await evaluated()
        controller.close()
    assert [(id_, reward.value) for id_, reward in journal.rewards] == [(1, 1.0), (2, 2.0), (0, 0.0)]


async def test_new_trials_begin_while_rewards_are_pending() -> None:
    never = anyio.Event()

    async def stuck(_: int) -> Any:
        await never.wait()

    controller = controller_with(Scripted(stuck), agent=Climber, trials=100)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        settle(controller, range(40))
        await evaluated()
        assert controller.trial_for(40).note == {"memory": 0.0, "pending": 10}
        group.cancel_scope.cancel()


async def test_a_failing_reward_fails_its_trial_and_the_next_goes_on() -> None:
    async def second_fails(id_: int) -> Any:
        return {"score": 1 / (id_ - 1)}

    controller = controller_with(Scripted(second_fails))
    settle(controller, range(12))
    await drained(controller)
    rewards = [result.reward for result in controller.summary().trials]
    assert rewards == [
        Reward(value=-1.0, metrics={"score": -1.0}, n=4),
        Reward(failed=True, error="ZeroDivisionError: division by zero", n=4),
        Reward(value=1.0, metrics={"score": 1.0}, n=4),
    ]


@pytest.mark.parametrize(
    ("answer", "message"), [({"scor": 1}, "did you mean 'scor'"), ([1], "got list"), ({"score": float("nan")}, "nan")]
)
async def test_an_unusable_answer_fails_its_trial(answer: Any, message: str) -> None:
    async def unusable(_: int) -> Any:
        return answer

    controller = controller_with(Scripted(unusable))
    settle(controller, range(4))
    await drained(controller)
    [result] = controller.summary().trials
    assert result.reward is not None
    assert result.reward.failed
    assert message in str(result.reward.error)


async def test_a_fatal_error_of_a_reward_stops_the_run() -> None:
    async def fatal(_: int) -> Any:
        raise FatalError("no such endpoint")

    controller = controller_with(Scripted(fatal))
    settle(controller, range(4))
    with pytest.raises(ExceptionGroup) as caught:
        await drained(controller)
    assert caught.group_contains(FatalError, match="no such endpoint")


async def test_a_trial_whose_tickets_were_all_dropped_fails_and_is_not_recommended() -> None:
    controller = controller_with(trials=2)
    settle(controller, range(4), count=0)
    settle(controller, range(4, 8))
    await drained(controller)
    dropped, kept = controller.summary().trials
    assert dropped.reward == Reward(failed=True, error="no records", n=0)
    assert controller.trial_for(8).settings == kept.trial.settings


async def test_when_every_reward_fails_the_recipes_own_settings_are_used() -> None:
    controller = controller_with(trials=2)
    settle(controller, range(8), count=0)
    await drained(controller)
    assert controller.trial_for(8).kind == "recommended"
    assert controller.trial_for(8).settings == DEFAULT
    assert controller.summary().recommended is None
    assert controller.summary().best is None


async def test_close_computes_what_is_due_and_leaves_trials_that_lack_tickets() -> None:
    controller, journal = controller_with(), Journal()
    journal.watch(controller)
    settle(controller, range(10))
    await drained(controller)
    assert [id_ for id_, _ in journal.rewards] == [0, 1]
    assert controller.summary().trials[2].reward is None


async def test_recommended_trials_are_measured_one_at_a_time_and_the_rest_passed_over() -> None:
    controller, journal = controller_with(trials=1), Journal()
    journal.watch(controller)
    settle(controller, range(400))
    assert "open=2 due=2" in repr(controller)
    await drained(controller)
    assert [id_ for id_, _ in journal.rewards] == [0, 1]


async def test_the_summary_tells_the_best_draw_and_the_recommendation() -> None:
    controller = controller_with(trials=4)
    settle(controller, range(16))
    await drained(controller)
    summary = controller.summary()
    values = [result.reward.value for result in summary.trials if result.reward and result.reward.value is not None]
    assert len(values) == 4
    assert summary.best == values.index(max(values))
    assert summary.recommended == summary.trials[summary.best].trial.settings  # all equally certain


# Crash and resume.

ACCEPTED = (1, 0, 2, 1, 0, 0, 1, 3, 1, 1, 0)  # records of ticket i: this at i modulo 11
TICKETS = 40
WINDOW = 6


async def play(controller: Controller, journal: Journal, order: Sequence[int], issued: int, until: int) -> None:
    """Issues tickets `window` ahead of those that settle, in a given order; rewards come before the next event."""
    journal.watch(controller)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        await evaluated(controller)
        done = {ticket for ticket, _ in journal.settled}
        for ticket in range(issued):
            if ticket not in done:
                assert await controller.ready(ticket)  # the source issues again what was in flight
        for position in range(len(done), until):
            for ticket in range(issued, min(position + WINDOW, TICKETS)):
                assert await controller.ready(ticket)
                await evaluated(controller)
            issued = max(issued, min(position + WINDOW, TICKETS))
            ticket = order[position]
            records = made(controller.trial_for(ticket), ticket, ACCEPTED[ticket % 11])
            journal.settled.append((ticket, records))
            controller.settled(ticket, records)
            await evaluated(controller)
        group.cancel_scope.cancel()


@st.composite
def settle_orders(draw: st.DrawFn) -> list[int]:
    """Orders in which 40 tickets may settle, when at most `WINDOW` are in flight."""
    order: list[int] = []
    flying = list(range(WINDOW))
    for position in range(TICKETS):
        order.append(flying.pop(draw(st.integers(0, len(flying) - 1))))
        if position + WINDOW < TICKETS:
            flying.append(position + WINDOW)
    return order


@settings(max_examples=60, deadline=None)
@given(
    order=settle_orders(),
    crash=st.integers(0, TICKETS),
    agent=st.sampled_from([RandomSearch, Climber, InThread]),
    trials=st.sampled_from([4, 10, 30]),
    rungs=st.sampled_from([(), (1, 2), (2, 4, 6)]),
    recheck=st.sampled_from([0, 3]),
    noted=st.sampled_from([2, 5, 32]),
)
def test_a_resumed_run_has_the_same_trials_and_rewards_as_one_that_was_never_killed(
    order: list[int],
    crash: int,
    agent: type[RandomSearch],
    trials: int,
    rungs: tuple[int, ...],
    recheck: int,
    noted: int,
) -> None:
    def fresh() -> Controller:
        made = controller_with(agent=agent, trials=trials, batch=2, rungs=rungs, recheck=recheck, pool=Pool(9))
        made.noted = noted
        return made

    async def both() -> None:
        whole, whole_journal = fresh(), Journal()
        await play(whole, whole_journal, order, 0, TICKETS)
        killed, journal = fresh(), Journal()
        await play(killed, journal, order, 0, crash)
        issued = min(crash + WINDOW - 1, TICKETS) if crash else 0
        resumed = fresh()
        journal.watch(resumed)
        resumed.restore(journal.trials, list(journal.rewards), journal, journal.learned)
        await play(resumed, journal, order, issued, TICKETS)
        assert journal.trials == whole_journal.trials
        assert journal.rewards == whole_journal.rewards
        assert resumed.summary() == whole.summary()

    asyncio.run(both())


async def test_a_reward_that_was_lost_in_the_crash_is_computed_again() -> None:
    controller, journal = controller_with(), Journal()
    journal.watch(controller)
    settle(controller, range(8))  # both trials are due, and no reward was computed
    resumed, after = controller_with(), Journal()
    after.watch(resumed)
    journal.settled = [(ticket, made(journal.trials[ticket // BATCH], ticket)) for ticket in range(8)]
    resumed.restore(journal.trials, [], journal)
    await drained(resumed)
    assert [id_ for id_, _ in after.rewards] == [0, 1]
    assert list(after.by_id) == [0, 1]


def test_a_known_trial_is_never_asked_for_again() -> None:
    class Once(RandomSearch):
        def ask(self, observation: Observation) -> Proposal:
            assert observation.step >= 3
            return super().ask(observation)

    controller = controller_with(agent=Once)
    known = [
        Trial(id=id_, first_ticket=id_ * 4, tickets=4, settings={"a.t": 0.1, "b.m": "y"}, kind="explore")
        for id_ in range(3)
    ]
    controller.restore(known, [], Journal())
    assert [controller.trial_for(ticket).id for ticket in range(13)] == [ticket // 4 for ticket in range(13)]


def test_a_changed_batch_leaves_known_trials_and_continues_after_them() -> None:
    controller = controller_with()
    controller.restore([Trial(id=0, first_ticket=0, tickets=7, settings=DEFAULT, kind="default")], [], Journal())
    assert [controller.trial_for(ticket).id for ticket in (0, 6, 7, 10, 11)] == [0, 0, 1, 1, 2]


def test_random_search_is_an_agent() -> None:
    agent: Agent = RandomSearch(SPACE, 1)
    assert agent.recommend() is None


# A heavy agent.


async def test_a_heavy_agent_is_asked_for_the_next_trial_shortly_before_its_first_ticket() -> None:
    controller, journal = controller_with(agent=InThread, batch=16), Journal()
    journal.watch(controller)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        for ticket in range(14):
            assert controller.is_ready(ticket)
        await evaluated(controller)
        assert list(journal.by_id) == [0]
        assert controller.is_ready(14)  # two tickets are left: one in eight
        await evaluated(controller)
        assert list(journal.by_id) == [0, 1]
        assert controller.is_ready(16)
        controller.close()


async def test_who_needs_a_trial_that_is_not_known_yet_waits_for_it() -> None:
    controller = controller_with(agent=InThread)
    assert [controller.is_ready(ticket) for ticket in range(5)] == [True, True, True, True, False]
    with pytest.raises(ValueError, match="ticket 4 belongs to no trial"):
        controller.trial_for(4)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        assert await controller.ready(4)
        assert controller.trial_for(4).id == 1
        controller.close()


async def test_no_trial_begins_behind_the_end() -> None:
    controller = controller_with()
    controller.schedule = Schedule(batch=4, end=8)
    assert [await controller.ready(ticket) for ticket in (0, 7, 8)] == [True, True, False]


async def test_each_third_trial_runs_what_is_recommended_and_its_reward_is_told() -> None:
    controller, journal = controller_with(agent=Climber, trials=7, recheck=3), Journal()
    journal.watch(controller)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        recommended = []
        for ticket in range(28):
            if ticket % 4 == 0:
                recommended.append(controller.recommended)
            settle(controller, [ticket])
            await evaluated()
        controller.close()
    kinds = ["default", "explore", "explore", "incumbent", "explore", "explore", "incumbent"]
    assert [trial.kind for trial in journal.trials] == kinds
    assert [journal.trials[id_].settings for id_ in (3, 6)] == [recommended[3], recommended[6]]
    assert [id_ for id_, _ in journal.rewards] == list(range(7))
    assert [result.trial.id for result in controller.summary().again] == [3, 6]


# Rungs.


async def test_a_trial_that_does_well_gets_more_tickets_and_keeps_its_records() -> None:
    seen: list[tuple[int, list[str]]] = []

    class Late:
        """The later the trial, the better."""

        metric = "score"

        async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
            [trial] = {record.meta.trial for record in records}
            assert trial is not None
            seen.append((trial, [record.id for record in records]))
            return {"score": float(trial)}

    controller, journal = controller_with(Late(), trials=3, batch=4, rungs=(2, 4)), Journal()
    journal.watch(controller)
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        for ticket in range(12):
            settle(controller, [ticket])
            await evaluated()
        controller.close()
    assert [(trial.ranges, trial.rung) for trial in journal.trials] == [
        (((0, 4),), 0), (((4, 2),), 0), (((6, 2), (8, 2)), 1), (((10, 2),), 0),
    ]  # fmt: skip
    assert seen[3] == (2, ["6.0", "7.0", "8.0", "9.0"])
    assert [(id_, reward.partial, reward.n) for id_, reward in journal.rewards] == [
        (0, False, 4), (1, True, 2), (2, True, 2), (2, False, 4), (3, True, 2)
    ]  # fmt: skip


# Paired rewards.


async def test_a_paired_reward_is_compared_with_the_incumbents_records() -> None:
    asked: list[tuple[list[str], list[str]]] = []

    class Paired(Peak):
        async def score_paired(
            self, records: Sequence[Record], baseline_records: Sequence[Record], pool: Sequence[Record]
        ) -> Mapping[str, float]:
            asked.append(([record.id for record in records], [record.id for record in baseline_records]))
            return {"score": 2.0, "score_baseline": 1.5}

    controller, journal = controller_with(Paired(), trials=3, recheck=2, batch=2, paired=True), Journal()
    journal.watch(controller)
    settle(controller, range(2))
    async with anyio.create_task_group() as group:
        group.start_soon(controller.run)
        await evaluated()
        for first in (2, 4, 6):
            settle(controller, range(first, first + 2))
            await evaluated()
        controller.close()
    assert asked == [
        (["2.0", "3.0"], ["0.0", "1.0"]),
        (["4.0", "5.0"], ["0.0", "1.0"]),
        (["6.0", "7.0"], ["4.0", "5.0"]),
    ]
    assert [reward.baseline for _, reward in journal.rewards] == [None, 1.5, 1.5, 1.5]
