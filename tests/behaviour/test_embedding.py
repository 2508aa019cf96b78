"""Runs inside a service: beside its own tasks, cancelled by it, without touching what is not theirs."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import warnings
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
from runs import check_whole, echo, make, model, query

import streamgen
from streamgen.context import Context
from streamgen.journal.sinks import ListSettings
from streamgen.recipe import Part, Recipe, StageSpec
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.testing import prompt_of
from streamgen.virtual_time import run_virtual


class Nothing(Settings, frozen=True, kw_only=True):
    pass


async def everything(recipe: Recipe, directory: Path | None = None) -> list[Record]:
    async with streamgen.open(recipe, directory=directory) as run:
        return [record async for record in run]


async def test_a_service_stays_responsive_while_a_run_works(tmp_path: Path) -> None:
    """The loop turns for others between any two records."""
    turns = 0

    async def heartbeat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with anyio.create_task_group() as group:
        group.start_soon(heartbeat)
        records = await everything(make(echo(0.001), 100), tmp_path)
        group.cancel_scope.cancel()
    assert len(records) == 100 and turns > 100


async def test_a_run_leaves_no_task_no_thread_of_its_own_no_handler_and_no_logging_behind(tmp_path: Path) -> None:
    # What is made once for a process is made now.
    await everything(make(echo(), 5, sinks=[{"type": "jsonl"}]), tmp_path / "first")
    before = (
        asyncio.all_tasks(), threading.active_count(), signal.getsignal(signal.SIGINT), logging.getLogger().handlers[:],
        warnings.filters[:], sys.excepthook,
    )  # fmt: skip
    await everything(make(echo(), 50, sinks=[{"type": "jsonl"}]), tmp_path / "second")
    after = (
        asyncio.all_tasks(), threading.active_count(), signal.getsignal(signal.SIGINT), logging.getLogger().handlers[:],
        warnings.filters[:], sys.excepthook,
    )  # fmt: skip
    assert after == before


async def test_runs_in_a_task_group_can_be_cancelled_one_by_one(tmp_path: Path) -> None:
    done: dict[str, int] = {}

    async def live(name: str, latency_s: float) -> None:
        done[name] = len(await everything(make(echo(latency_s), 40), tmp_path / name))

    async with anyio.create_task_group() as services:
        with anyio.move_on_after(0.1):
            await live("slow", 3600)
        services.start_soon(live, "fast", 0.001)
    assert done == {"fast": 40}
    check_whole(tmp_path / "slow")


def test_a_timeout_of_the_service_ends_a_run_and_no_record_is_lost_on_virtual_time() -> None:
    """Cut at many moments of a run that takes ten seconds: it ends at once, whatever it is doing."""

    async def main() -> None:
        recipe = make(echo(1.0), 80, run={"tickets_in_flight": 8})
        for tenth in (tenth for tenth in range(1, 110, 3) if tenth % 10):
            started = anyio.current_time()
            with anyio.move_on_after(tenth / 10):
                async with streamgen.open(recipe) as run:
                    await run.finish()
            assert anyio.current_time() - started <= min(tenth / 10, 10.1) + 0.5
            assert run.summary().end.reason == ("done" if tenth > 101 else "stopped")
            assert run.summary().statistics.accepted == min(8 * (tenth // 10), 80)

    run_virtual(main)


async def test_a_consumer_may_call_other_awaitables_and_other_runs_inside_the_loop(tmp_path: Path) -> None:
    seen = []
    async with streamgen.open(make(echo(), 3), directory=tmp_path / "outer") as outer:
        async for record in outer:
            inner = await everything(make(echo(), 2), tmp_path / f"inner-{record.id}")
            seen.append((record.id, len(inner)))
    assert seen == [("0", 2), ("1", 2), ("2", 2)]


async def test_two_consumers_each_get_every_record(tmp_path: Path) -> None:
    async with streamgen.open(make(echo(0.001), 60), directory=tmp_path, window=10) as run:
        got: list[list[str]] = [[], []]

        async def consume(which: int) -> None:
            async for record in run:
                got[which].append(record.id)

        async with anyio.create_task_group() as group:
            group.start_soon(consume, 0)
            group.start_soon(consume, 1)
    assert got[0] == got[1] and len(got[0]) == 60


async def test_a_handler_that_is_cancelled_from_outside_fails_its_record_alone(tmp_path: Path) -> None:
    async def cancelled(record: Record, context: Context[Nothing]) -> Record:
        if record["n"] == 3:
            raise asyncio.CancelledError
        return record

    stage = StageSpec(name="cancelled", type=cancelled, settings=Nothing(), parallel=2)
    records = await everything(make(echo(), 10, after=[stage]), tmp_path)
    assert len(records) == 9
    assert query(tmp_path, "SELECT ticket, stage FROM letters") == [(3, "cancelled")]


async def test_statistics_tell_the_state_at_any_moment() -> None:
    gate = asyncio.Event()

    async def answer(prompt: str) -> str:
        await gate.wait()
        return prompt

    recipe = make(model(lambda request: answer(prompt_of(request))), 20, run={"tickets_in_flight": 6, "accept": 10})
    async with streamgen.open(recipe) as run:
        while run.statistics().endpoints[0].in_flight < 6:
            await anyio.lowlevel.checkpoint()
        now = run.statistics()
        assert (now.accepted, now.wanted, now.engine.tickets_in_flight, now.spent.reserved_requests) == (0, 10, 6, 6)
        assert run.summary().end.reason == "running"
        gate.set()
        summary = await run.finish()
    assert (summary.statistics.accepted, summary.statistics.spent.reserved_requests) == (10, 0)
    assert summary.statistics.spent.requests == summary.statistics.endpoints[0].responses


async def test_a_sink_of_a_list_is_filled_anew_by_a_resumed_run(tmp_path: Path) -> None:
    for accept in (5, 8):
        into: list[Record] = []
        sink = Part(type="list", name="list", settings=ListSettings(into=into))
        recipe = msgspec.structs.replace(make(echo(), 20), sinks=(sink,))
        async with streamgen.open(recipe, directory=tmp_path, accept=accept) as run:
            await run.finish()
        assert len(into) == accept
