"""Budgets of whole runs: they drain, say why, and go on with more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from runs import asked, check_whole, echo, make, model, query

import streamgen
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Usage, Value
from streamgen.summary import Summary
from streamgen.testing import Scripted, prompt_of


async def spend(main: Scripted, directory: Path, **budget: Value) -> Summary:
    recipe = make(main, 50, run={"budget": budget, "tickets_in_flight": 8})
    async with streamgen.open(recipe, directory=directory) as run:
        return await run.finish()


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
    main = echo()
    summaries = [await spend(main, tmp_path, tokens=tokens) for tokens in (30, 60, 90)]
    assert [summary.end.reason for summary in summaries] == ["budget"] * 3
    spent = [summary.statistics.spent for summary in summaries]
    assert [s.tokens <= limit for s, limit in zip(spent, (30, 60, 90), strict=True)] == [True] * 3
    assert spent[-1].tokens == 3 * len(main.requests) == 3 * spent[-1].requests


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
