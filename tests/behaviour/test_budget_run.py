"""Budgets of whole runs: they drain, say why, and go on with more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from runs import CHAT, asked, check_whole, echo, make, model, query

import streamgen
from streamgen import registry
from streamgen.llm.model import Request, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.spec import ModelSpec
from streamgen.recipe import Recipe
from streamgen.record import Usage, Value
from streamgen.summary import Summary
from streamgen.testing import Scripted, prompt_of
from streamgen.virtual_time import run_virtual


async def spend(main: Scripted, directory: Path, **budget: Value) -> Summary:
    recipe = make(main, 50, run={"budget": budget, "tickets_in_flight": 8})
    async with streamgen.open(recipe, directory=directory) as run:
        return await run.finish()


def named(
    monkeypatch: pytest.MonkeyPatch, main: Scripted, budget: Mapping[str, Value], rows: int = 50, **spec: Value
) -> Recipe:
    """A recipe whose model is found by name, and so may have limits and hedges."""
    monkeypatch.setitem(registry.BUILTIN["models"], "fake", f"{__name__}:open_fake")
    monkeypatch.setattr(f"{__name__}.open_fake", lambda _: main)
    return Recipe.parse(
        {
            "models": {"main": {"provider": "fake", **spec}},
            "source": {"type": "list", "rows": [{"n": n} for n in range(rows)]},
            "stages": [{**CHAT, "parallel": 8}],
            "run": {"budget": budget},
        }
    )


def open_fake(spec: ModelSpec) -> Scripted:
    raise AssertionError("replaced by each test")


@pytest.mark.parametrize("requests", [1, 20, 49])
async def test_a_run_stops_at_its_requests_and_goes_on_with_more(tmp_path: Path, requests: int) -> None:
    main = echo(0.001)
    first = await spend(main, tmp_path, requests=requests)
    assert (first.end.reason, first.end.exit_code, first.end.is_resumable) == ("budget", 3, True)
    assert f"the budget of {requests} requests" in first.end.message
    assert len(main.requests) == first.statistics.accepted == requests
    same = await spend(main, tmp_path, requests=requests)
    assert same.end.reason == "budget" and len(main.requests) == requests
    last = await spend(main, tmp_path, requests=50)
    assert last.end.reason == "done"
    assert asked(main) == Counter({str(n): 1 for n in range(50)})
    check_whole(tmp_path)


async def test_tokens_of_all_sessions_count(tmp_path: Path) -> None:
    """A call takes 3 tokens and, its prompt being short, is expected to take 8: the last ones are not let through."""
    main = echo()
    summaries = [await spend(main, tmp_path, tokens=tokens) for tokens in (30, 60, 90)]
    assert [summary.end.reason for summary in summaries] == ["budget"] * 3
    assert [summary.statistics.spent.tokens for summary in summaries] == [24, 54, 84]
    assert 3 * len(main.requests) == 84


async def test_a_small_budget_is_used_up_although_the_first_guess_is_above_it(tmp_path: Path) -> None:
    """Nobody knows what the first call takes: it is made alone, and the others wait for what it teaches."""
    main = echo(0.001)
    summary = await spend(main, tmp_path, tokens=100)
    assert summary.end.reason == "budget" and "100 tokens" in summary.end.message
    assert summary.statistics.spent.tokens == 3 * len(main.requests) == 93


async def test_a_call_has_one_key_and_no_other_run_has_it(tmp_path: Path) -> None:
    keys = []
    for directory in (tmp_path / "a", tmp_path / "b"):
        main = echo()
        for requests in (7, 80):
            await spend(main, directory, requests=requests)
        keys.append({request.idempotency_key for request in main.requests})
    assert [len(each) for each in keys] == [50, 50]
    assert not keys[0] & keys[1] and all(len(key) == 32 for key in keys[0])


async def test_a_call_that_was_cut_off_is_asked_again_under_its_key(tmp_path: Path) -> None:
    begun = anyio.Event()

    async def hang(request: Request) -> str:
        if len(main.requests) == 4:
            begun.set()
        await anyio.sleep_forever()
        return ""

    main = model(hang)
    async with streamgen.open(make(main, 4), directory=tmp_path) as run:
        await begun.wait()
        run.cancel()
        await run.finish()
    again = echo()
    async with streamgen.open(make(again, 4), directory=tmp_path) as run:
        await run.finish()
    keys = [{prompt_of(request): request.idempotency_key for request in each.requests} for each in (main, again)]
    assert keys[0] == keys[1] and len(set(keys[0].values())) == 4


async def test_answers_of_no_use_count_in_the_next_session_too(tmp_path: Path) -> None:
    """They were paid for, though no record carries them."""

    def answer(prompt: str) -> str | Exception:
        useless = CallError(Kind.BAD_REQUEST, "filtered", usage=Usage(5, 2))
        return useless if prompt == "3" else "fine"

    main = model(lambda request: answer(prompt_of(request)))
    first = await spend(main, tmp_path, requests=10)
    assert first.statistics.spent.requests == 10
    assert query(tmp_path, "SELECT ticket, prompt_tokens, completion_tokens, requests FROM wasted") == [(3, 5, 2, 1)]
    second = await spend(main, tmp_path, requests=12)
    assert second.statistics.spent.requests == len(main.requests) == 12


async def test_minutes_of_all_sessions_count(tmp_path: Path) -> None:
    main = echo()
    assert (await spend(main, tmp_path, minutes=0)).end.reason == "budget"
    assert main.requests == []
    assert (await spend(main, tmp_path, minutes=5)).end.reason == "done"


def test_calls_in_line_when_the_minutes_end_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once take 20 s each: the eight that are sent in 66 s are answered, and those in line then never sent."""
    main = echo(20.0)

    async def session(minutes: float) -> Summary:
        recipe = named(monkeypatch, main, {"minutes": minutes}, limits={"concurrency": 2})
        async with streamgen.open(recipe, directory=tmp_path) as run:
            summary = await run.finish()
        assert run.statistics().endpoints[0].waiting == 0
        return summary

    first = run_virtual(lambda: session(1.1))
    assert first.end.reason == "budget" and "1.1 minutes" in first.end.message
    assert len(main.requests) == first.statistics.accepted == 8
    assert first.statistics.spent.minutes == pytest.approx(80 / 60)
    last = run_virtual(lambda: session(60))
    assert last.end.reason == "done" and asked(main) == Counter({str(n): 1 for n in range(50)})
    check_whole(tmp_path)


@pytest.mark.parametrize("requests", [80, 95, 300])
def test_second_requests_stay_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: int) -> None:
    """After 60 calls every fifth one is slow unless it is asked a second time; the server counts all of them."""

    async def answer(request: Request) -> str:
        n = int(prompt_of(request))
        await anyio.sleep(100.0 if n > 60 and n % 5 == 0 and not request.idempotency_key.endswith("-h") else 1.0)
        return "fine"

    async def session() -> Summary:
        hedge = {"quantile": 0.5, "budget": 0.9}
        recipe = named(monkeypatch, main, {"requests": requests}, rows=200, hedge=hedge)
        async with streamgen.open(recipe, directory=tmp_path) as run:
            return await run.finish()

    main = model(answer)
    summary = run_virtual(session)
    hedges = summary.statistics.endpoints[0].hedges
    assert len(main.requests) == summary.statistics.spent.requests <= requests
    assert len(main.requests) == summary.statistics.accepted + hedges
    assert summary.end.reason == ("done" if requests == 300 else "budget")
    assert hedges == sum(request.idempotency_key.endswith("-h") for request in main.requests) > 0


async def test_counts_that_cannot_be_break_neither_books_nor_journal(tmp_path: Path) -> None:
    counts = [Usage(-5, 2), Usage(10**30, 0), Usage(3, 4)]
    main = model([Response("fine", usage=usage) for usage in counts])
    first = await spend(main, tmp_path, requests=3)
    assert (first.statistics.spent.tokens, first.statistics.accepted) == (10**12 + 9, 3)
    second = await spend(main, tmp_path, tokens=10**9)
    assert second.end.exit_code == 3 and "1e+12 spent" in second.end.message and len(main.requests) == 3
    assert (await spend(main, tmp_path)).end.reason == "done"
