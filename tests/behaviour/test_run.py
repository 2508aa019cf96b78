"""A run as a library: pace, leaving, cancelling, stopping, retuning, two at once."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest
from runs import CHAT, asked, check_whole, echo, make, model, query, temperature

import streamgen
from streamgen.context import Context
from streamgen.errors import LockedError, RecipeError, TooManyFailures
from streamgen.opening import run_async
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.summary import Summary
from streamgen.testing import Scripted, prompt_of
from streamgen.virtual_time import run_virtual


class Nothing(Settings, frozen=True, kw_only=True):
    pass


async def collected(recipe: Recipe, directory: Path | None = None) -> list[Record]:
    async with streamgen.open(recipe, directory=directory) as run:
        return [record async for record in run]


async def test_iterating_gives_every_record_with_its_provenance() -> None:
    records = await collected(make(echo(), 3))
    assert [record.id for record in records] == ["0", "1", "2"]
    assert records[2].columns == {"n": 2, "text": "answer 2"}
    meta = records[2].meta
    assert (meta.ticket, meta.path, meta.models) == (2, ("answer",), ("scripted",))
    assert meta.usage is not None and (meta.usage.calls, meta.usage.tokens) == (1, 3)


@pytest.mark.parametrize(("given", "distinct"), [({"seed": 5}, 1), ({"seed": "ticket"}, 6), ({}, 6)])
async def test_each_call_has_its_own_seed_unless_the_stage_has_one(given: dict[str, object], distinct: int) -> None:
    main = echo()
    await collected(make(main, 6, [{**CHAT, **given}]))
    seeds = [request.seed for request in main.requests]
    assert len(set(seeds)) == distinct and None not in seeds
    assert (set(seeds) == {5}) == (distinct == 1)


def ten_of_one(record: Record, context: Context[Nothing]) -> list[Record]:
    return [record] * 10


def test_nothing_more_is_paid_once_enough_is_accepted() -> None:
    """One ticket of ten children, one call a child: the second is under way when the first is accepted."""
    main_model = echo(1.0)
    fan = StageSpec(name="fan", type=ten_of_one, settings=Nothing())
    recipe = make(main_model, 5, [{**CHAT, "parallel": 1}], before=[fan], run={"accept": 1})

    async def main() -> Summary:
        async with streamgen.open(recipe) as run:
            return await run.finish()

    summary = run_virtual(main)
    assert (summary.end.reason, summary.statistics.accepted, summary.statistics.surplus) == ("done", 1, 1)
    assert len(main_model.requests) == 2
    assert summary.statistics.engine.stages[1].abandoned == 8


@pytest.mark.parametrize("window", [1, 7, 50])
def test_a_consumer_that_stops_taking_stops_the_calls_within_window_and_tickets_in_flight(window: int) -> None:
    paid: list[int] = []

    async def main() -> None:
        main_model = echo(0.01)
        recipe = make(main_model, 500, run={"tickets_in_flight": 10})
        async with streamgen.open(recipe, window=window) as run:
            taken = 0
            async for _ in run:
                taken += 1
                if taken in (1, 20):
                    await anyio.sleep(1000)  # longer than `stall_s`: the consumer's pace is no stall
                    paid.append(len(main_model.requests) - taken)
                if taken == 20:
                    break

    run_virtual(main)
    # `window` records lie ready for the consumer; no more than 10 tickets are out, those at the gate among them.
    assert all(window <= ahead <= window + 10 for ahead in paid)
    assert len(paid) == 2


async def test_breaking_out_and_leaving_drains_and_the_next_run_gives_all(tmp_path: Path) -> None:
    main = echo(0.001)
    recipe = make(main, 200, run={"tickets_in_flight": 10})
    async with streamgen.open(recipe, directory=tmp_path, window=5) as run:
        async for record in run:
            if record.id == "30":
                break
    assert run.summary().end.reason == "stopped"
    assert query(tmp_path, "SELECT count(*) FROM outcomes") == [(len(main.requests),)]
    records = await collected(recipe, tmp_path)
    assert sorted(record["n"] for record in records) == list(range(200))
    assert asked(main) == Counter({str(n): 1 for n in range(200)})


async def test_an_error_in_the_block_comes_out_as_it_is_and_leaves_a_resumable_run(tmp_path: Path) -> None:
    recipe = make(echo(0.001), 300, run={"tickets_in_flight": 10})
    with pytest.raises(ValueError, match="mine") as caught:
        async with streamgen.open(recipe, directory=tmp_path, window=5) as run:
            async for _ in run:
                raise ValueError("mine")
    assert caught.value.__context__ is None
    assert run.summary().end.reason == "stopped"
    assert len(await collected(recipe, tmp_path)) == 300


async def test_a_cancel_scope_around_a_run_cuts_it_off_and_it_resumes(tmp_path: Path) -> None:
    recipe = make(echo(0.001), 300, run={"tickets_in_flight": 10})
    with anyio.CancelScope() as scope:
        async with streamgen.open(recipe, directory=tmp_path, window=20) as run:
            async for record in run:
                if record.id == "10":
                    scope.cancel()
    assert scope.cancelled_caught
    assert run.summary().end.reason == "stopped"
    assert len(await collected(recipe, tmp_path)) == 300


async def test_a_task_of_asyncio_that_runs_one_can_be_cancelled(tmp_path: Path) -> None:
    recipe = make(echo(0.001), 300)
    begun = asyncio.Event()

    async def consume() -> None:
        async with streamgen.open(recipe, directory=tmp_path, window=5) as run:
            async for _ in run:
                begun.set()
                await asyncio.sleep(3600)

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    check_whole(tmp_path)
    assert len(await collected(recipe, tmp_path)) == 300


async def slices(recipe: Recipe, directory: Path, events: int) -> bool:
    """Run until the event loop has turned this often, then cancel; whether the run had ended by itself."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                for _ in range(events):
                    await anyio.sleep(0.0005)
                scope.cancel()

            group.start_soon(cancel)
            async with streamgen.open(recipe, directory=directory) as run:
                await run.finish()
            group.cancel_scope.cancel()
    return not scope.cancelled_caught


@pytest.mark.parametrize("sinks", [[], [{"type": "jsonl"}, {"type": "jsonl", "path": "b.jsonl.gz"}]])
async def test_a_cancel_at_any_point_leaves_the_journal_at_rest(tmp_path: Path, sinks: list[object]) -> None:
    main = echo(0.002)
    recipe = make(main, 60, run={"tickets_in_flight": 6}, sinks=sinks)
    for events in range(40):
        if await slices(recipe, tmp_path, events):
            break
        assert not (tmp_path / "run.db-wal").exists()
        if (tmp_path / "run.db").exists():
            check_whole(tmp_path)
    records = await collected(recipe, tmp_path)
    assert sorted(record["n"] for record in records) == list(range(60))
    gc.collect()  # a file that was left open would warn, and warnings are errors


async def test_stop_drains_and_says_so(tmp_path: Path) -> None:
    main = echo(0.001)
    async with streamgen.open(make(main, 500, run={"tickets_in_flight": 10}), directory=tmp_path) as run:
        async for record in run:
            if record.id == "20":
                run.stop()
    end = run.summary().end
    assert (end.reason, end.exit_code, end.is_resumable) == ("stopped", 3, True)
    assert "run the same command again" in end.message
    assert run.statistics().engine.tickets_in_flight == 0
    assert query(tmp_path, "SELECT count(*) FROM records") == [(len(main.requests),)]


async def test_an_interrupt_has_its_own_reason() -> None:
    async with streamgen.open(make(echo(0.001), 500)) as run:
        run.stop(interrupted=True)
        await run.finish()
    assert (run.summary().end.reason, run.summary().end.exit_code) == ("interrupted", 130)


async def test_a_second_interrupt_gives_up_what_is_in_flight(tmp_path: Path) -> None:
    recipe = make(model(lambda request: asyncio.sleep(3600, "late")), 50)
    async with streamgen.open(recipe, directory=tmp_path) as run:
        run.stop(interrupted=True)
        await anyio.lowlevel.checkpoint()
        run.cancel()
        await run.finish()
    assert run.summary().end.reason == "interrupted"
    assert len(await collected(msgspec.structs.replace(recipe, models={"main": echo()}), tmp_path)) == 50


async def test_retune_holds_from_the_next_ticket_on_and_never_mixes_within_one(tmp_path: Path) -> None:
    main = echo(0.001)
    twice = [{**CHAT, "temperature": 0.5}, {**CHAT, "name": "again", "prompt": "{{ n }} again", "output": "more"}]
    recipe = make(main, 100, twice, run={"tickets_in_flight": 8})
    async with streamgen.open(recipe, directory=tmp_path, window=10) as run:
        async for record in run:
            if record.id == "30":
                run.retune({"answer.temperature": 1.5, "again.temperature": 1.5})
    by_ticket: dict[str, set[float | None]] = {}
    for request in main.requests:
        by_ticket.setdefault(prompt_of(request).split()[0], set()).add(temperature(request))
    (first,) = query(tmp_path, "SELECT ticket FROM retunes")[0]
    assert 30 < first <= 30 + 10 + 8  # the window and what is in flight
    for n in range(100):
        assert by_ticket[str(n)] == ({0.5, None} if n < first else {1.5})


async def test_retune_refuses_unknown_names_and_values_and_changes_nothing() -> None:
    main = echo()
    async with streamgen.open(make(main, 5, run={"tickets_in_flight": 1}), window=1) as run:
        with pytest.raises(RecipeError, match="did you mean 'answer'"):
            run.retune({"anwser.temperature": 1.0})
        with pytest.raises(RecipeError, match="did you mean 'temperature'"):
            run.retune({"answer.temprature": 1.0})
        with pytest.raises(RecipeError, match=r"temperature = 9\.0"):
            run.retune({"answer.temperature": 9.0})
        with pytest.raises(RecipeError, match="unknown model 'mian'; did you mean 'main'"):
            run.retune({"answer.model": "mian"})
        with pytest.raises(RecipeError, match="'temperature' must be written as"):
            run.retune({"temperature": 1.0})
        run.retune({"answer.model": "main"})
        await run.finish()
    assert {temperature(request) for request in main.requests} == {None}


async def test_two_runs_share_a_loop() -> None:
    async with streamgen.open(make(echo(0.001), 50)) as one, streamgen.open(make(echo(0.001), 70)) as two:
        await asyncio.sleep(0)
        assert len([record async for record in two]) == 70
        assert len([record async for record in one]) == 50


async def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    async with streamgen.open(make(echo(), 5), directory=tmp_path) as run:
        with pytest.raises(LockedError, match=r"another process \(pid \d+\) runs in"):
            async with streamgen.open(make(echo(), 5), directory=tmp_path):
                pass
        await run.finish()
    assert len(await collected(make(echo(), 5), tmp_path)) == 5


def test_the_function_run_is_not_hidden_by_a_module_of_its_name() -> None:
    assert streamgen.run(make(echo(), 3)).statistics.accepted == 3


async def test_run_in_a_running_loop_says_what_to_do() -> None:
    with pytest.raises(RecipeError, match=r"async with streamgen\.open"):
        streamgen.run(make(echo(), 1))


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_it_works_on_asyncio_and_on_uvloop(use_uvloop: bool, tmp_path: Path) -> None:
    recipe = make(echo(0.001), 50, sinks=[{"type": "jsonl"}])
    records = anyio.run(collected, recipe, tmp_path, backend_options={"use_uvloop": use_uvloop})
    assert len(records) == 50


def test_run_async_takes_uvloop_where_it_is_installed() -> None:
    pytest.importorskip("uvloop")

    async def loop() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run_async(loop) == "uvloop"


async def test_records_since_skips_what_was_taken(tmp_path: Path) -> None:
    recipe = make(echo(), 20)
    assert len(await collected(recipe, tmp_path)) == 20
    async with streamgen.open(recipe, directory=tmp_path) as run:
        assert [record.id for record in [r async for r in run.records(since=17)]] == ["17", "18", "19"]
        assert len([record async for record in run]) == 20


async def test_what_ended_the_run_is_raised_after_the_last_record() -> None:
    main = model(lambda request: "good" if int(prompt_of(request)) < 10 else KeyError("bad"), 0.001)
    recipe = make(main, 200, run={"tickets_in_flight": 1, "bounds": {"failure_window": 20}})
    seen = 0
    with pytest.raises(TooManyFailures, match="failed, more than the allowed share"):
        async with streamgen.open(recipe) as run:
            async for _ in run:
                seen += 1
    assert seen == 10
    assert (run.summary().end.reason, run.summary().end.exit_code) == ("failed", 1)


async def test_leaving_raises_what_nobody_was_told() -> None:
    with pytest.raises(TooManyFailures):
        async with streamgen.open(make(model([KeyError("bad")]), 200)) as run:
            await run._ended.wait()


def trace(main: Scripted, seed: int) -> list[tuple[str, str, object]]:
    async def run() -> list[tuple[str, str, object]]:
        recipe = msgspec.structs.replace(make(main, 80, run={"tickets_in_flight": 8}), seed=seed)
        records = await collected(recipe)
        return [(record.id, record["text"], record.meta) for record in records]

    return run_virtual(run)


def test_on_virtual_time_the_same_seed_gives_the_same_trace() -> None:
    def jittered() -> Scripted:
        async def answer(seed: int) -> str:
            await asyncio.sleep(seed % 97 / 97)
            return f"drawn with {seed}"

        return model(lambda request: answer(request.seed or 0))

    one, again, other = (trace(jittered(), seed) for seed in (7, 7, 8))
    assert one == again
    assert one != other
    assert [id_ for id_, _, _ in one] != sorted((id_ for id_, _, _ in one), key=int)  # they did overtake each other


def test_a_window_must_let_one_record_through() -> None:
    async def main() -> None:
        async with streamgen.open(make(echo(), 1), window=0):
            pass

    with pytest.raises(RecipeError, match="window is 0"):
        run_async(main)
