"""A cache of answers that runs share: what one of them paid for costs the others nothing."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import anyio
import pytest
from rich.console import Console
from runs import CHAT, check_whole, echo, make, query

import streamgen
from streamgen.errors import RecipeError
from streamgen.inspection import spends
from streamgen.inspection_view import costs_table
from streamgen.llm.cache import ResponseCache
from streamgen.present import summary_view
from streamgen.recipe import Recipe
from streamgen.record import Value
from streamgen.report.facts import facts_of
from streamgen.report.page import render
from streamgen.summary import Summary
from streamgen.testing import ScriptedServer

ROWS = 20
TWICE = {**CHAT, "name": "again", "prompt": "{{ text }}?", "output": "other"}
ONCE_EACH = Counter(f"{n}" for n in range(ROWS)) + Counter(f"an answer to: {n}?" for n in range(ROWS))


def recipe(server: ScriptedServer, folder: Path, *, rows: Sequence[int] = range(ROWS), **top: Value) -> Recipe:
    raw = {
        "models": {"main": {"base_url": server.base_url, "model": "m", "price": {"input": 1.0, "output": 2.0}}},
        "source": {"type": "list", "rows": [{"n": n} for n in rows]},
        "stages": [CHAT, TWICE],
        "run": {"cache": "answers.db"},
        **top,
    }
    return Recipe.parse(raw, folder)


async def finished(recipe: Recipe, directory: Path) -> Summary:
    async with streamgen.open(recipe, directory=directory) as run:
        return await run.finish()


def texts(directory: Path) -> list[tuple[str]]:
    return sorted(query(directory, "SELECT json_extract(body, '$.n'), json_extract(body, '$.other') FROM records"))


def shown(thing: object) -> str:
    console = Console(width=200, file=StringIO())
    console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


async def test_a_second_run_of_the_same_recipe_pays_nothing(tmp_path: Path) -> None:
    """The server counts: each prompt is paid once over both runs, whose seeds were drawn by the runs themselves."""
    async with ScriptedServer() as server:
        first = await finished(recipe(server, tmp_path), tmp_path / "first")
        assert server.counters.paid == ONCE_EACH
        second = await finished(
            recipe(server, tmp_path, run={"cache": "answers.db", "budget": {"usd": 0.0}}), tmp_path / "second"
        )
    assert server.counters.paid == ONCE_EACH
    assert (first.statistics.cached, first.statistics.spent.requests) == (0, 2 * ROWS)
    assert (second.statistics.cached, second.statistics.spent.requests, second.statistics.spent.usd) == (2 * ROWS, 0, 0)
    assert texts(tmp_path / "second") == texts(tmp_path / "first") and len(texts(tmp_path / "first")) == ROWS
    check_whole(tmp_path / "second")


async def test_answers_from_the_cache_are_shown_and_count_as_no_requests(tmp_path: Path) -> None:
    async with ScriptedServer() as server:
        await finished(recipe(server, tmp_path), tmp_path / "first")
        summary = await finished(recipe(server, tmp_path, rows=range(ROWS + 1)), tmp_path / "second")
    answer, again = sorted(spends(tmp_path / "second"), key=lambda spend: spend.stage, reverse=False)[::-1]
    for spend in (answer, again):
        assert (spend.answers, spend.useless, spend.requests, spend.cached) == (1, 0, 1, ROWS)
    assert list(summary.statistics.spends) == spends(tmp_path / "second")
    assert f"{2 * ROWS} answers from the cache" in shown(summary_view(summary))
    assert "cached" in shown(costs_table(spends(tmp_path / "second")))
    assert "cached" not in shown(costs_table(spends(tmp_path / "first")))
    assert f"{2 * ROWS} answers from the cache" in render(facts_of(tmp_path / "second"))
    usage = query(tmp_path / "second", "SELECT json_extract(body, '$._meta.usage.calls') FROM records ORDER BY ticket")
    assert usage == [(0,)] * ROWS + [(2,)]


async def test_what_came_from_the_cache_is_in_the_journal(tmp_path: Path) -> None:
    """A run that is cut off behind a cached answer goes on without the cache, and without paying for that answer."""
    async with ScriptedServer() as server:
        await finished(recipe(server, tmp_path), tmp_path / "first")
        stages = [CHAT, {**TWICE, "prompt": "{{ text }}!"}]
        directory = tmp_path / "second"
        cut = recipe(server, tmp_path, stages=stages, run={"cache": "answers.db", "budget": {"requests": 7}})
        assert (await finished(cut, directory)).end.reason == "budget"
        (cached,) = query(directory, "SELECT count(*) FROM calls WHERE requests = 0")[0]
        assert cached > 0
        (tmp_path / "answers.db").unlink()
        server.counters.paid.clear()
        summary = await finished(recipe(server, tmp_path, stages=stages, run={}), directory)
    assert (summary.end.reason, summary.statistics.accepted, summary.statistics.cached) == ("done", ROWS, cached)
    paid = server.counters.paid
    assert sum(paid[f"{n}"] for n in range(ROWS)) == ROWS - cached and max(paid.values()) == 1
    check_whole(directory)


async def test_a_run_that_goes_on_may_name_another_cache_or_none(tmp_path: Path) -> None:
    async with ScriptedServer() as server:
        for cache, accept in ({"cache": "a.db"}, 5), ({"cache": "b.db", "retain": "accepted"}, 10), ({}, 15):
            wanted = recipe(server, tmp_path, run={**cache, "accept": accept, "tickets_in_flight": 1})
            assert (await finished(wanted, tmp_path / "run")).statistics.accepted == accept
        assert max(server.counters.paid.values()) == 1
    assert (tmp_path / "b.db").exists()


@pytest.mark.parametrize("change", [{"seed": 1}, {"models": {"main": {"model": "other"}}}], ids=["seed", "model"])
async def test_another_seed_or_model_is_asked_anew(tmp_path: Path, change: dict[str, Value]) -> None:
    async with ScriptedServer() as server:
        await finished(recipe(server, tmp_path), tmp_path / "first")
        if "models" in change:
            change = {"models": {"main": {"base_url": server.base_url, **change["models"]["main"]}}}
        summary = await finished(recipe(server, tmp_path, **change), tmp_path / "second")
    assert (summary.statistics.cached, summary.statistics.spent.requests) == (0, 2 * ROWS)


async def test_with_a_seed_of_its_own_a_stage_is_found_wherever_it_stands(tmp_path: Path) -> None:
    stages = [{**CHAT, "seed": 5}]
    async with ScriptedServer() as server:
        await finished(recipe(server, tmp_path, stages=stages), tmp_path / "first")
        moved = recipe(server, tmp_path, stages=[{**stages[0], "name": "moved"}], rows=range(ROWS)[::-1], seed=3)
        summary = await finished(moved, tmp_path / "second")
    assert (summary.statistics.cached, summary.statistics.spent.requests) == (ROWS, 0)


async def test_a_second_key_of_the_same_server_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", "a")
    monkeypatch.setenv("KEY_B", "b")
    async with ScriptedServer() as server:
        await finished(recipe(server, tmp_path), tmp_path / "first")
        keys = [{"api_key": "env:KEY_A"}, {"api_key": "env:KEY_B"}]
        main = {"base_url": server.base_url, "model": "m", "endpoints": keys}
        summary = await finished(recipe(server, tmp_path, models={"main": main}), tmp_path / "second")
    assert summary.statistics.cached == 2 * ROWS


async def test_two_runs_at_once_share_a_cache(tmp_path: Path) -> None:
    async with ScriptedServer(latency_s=0.001) as server:
        async with anyio.create_task_group() as both:
            for name in ("first", "second"):
                both.start_soon(finished, recipe(server, tmp_path), tmp_path / name)
        third = await finished(recipe(server, tmp_path), tmp_path / "third")
    assert third.statistics.cached == 2 * ROWS
    assert texts(tmp_path / "first") == texts(tmp_path / "second") == texts(tmp_path / "third")


async def test_models_from_python_are_not_cached(tmp_path: Path) -> None:
    main = echo()
    for name in ("first", "second"):
        await finished(make(main, 5, run={"cache": str(tmp_path / "answers.db")}), tmp_path / name)
    assert len(main.requests) == 10


async def test_a_file_that_is_no_cache_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "answers.db").write_bytes(b"a text, and a long one. " * 99)
    async with ScriptedServer() as server:
        with pytest.raises(RecipeError, match=r"answers\.db .*name another file.* at `\$\.run\.cache`"):
            await finished(recipe(server, tmp_path), tmp_path / "run")
        with pytest.raises(RecipeError, match="no response cache"):
            await finished(recipe(server, tmp_path, run={"cache": "run/run.db"}), tmp_path / "run")
        with pytest.raises(RecipeError, match="cannot be used"):
            await finished(recipe(server, tmp_path, run={"cache": "no/such/folder.db"}), tmp_path / "run")
        assert server.counters.requests == 0
        (tmp_path / "answers.db").unlink()
        assert (await finished(recipe(server, tmp_path), tmp_path / "run")).end.reason == "done"


async def test_a_cache_that_cannot_be_written_is_told_and_ends_no_run(tmp_path: Path) -> None:
    ResponseCache(tmp_path / "answers.db").close()
    with sqlite3.connect(tmp_path / "answers.db") as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    other.close()
    async with ScriptedServer() as server:
        summary = await finished(recipe(server, tmp_path), tmp_path / "run")
    assert (summary.end.reason, summary.statistics.accepted) == ("done", ROWS)
    (warning,) = summary.statistics.warnings
    assert warning == f"{2 * ROWS} answers could not be written to the cache {tmp_path / 'answers.db'}"
    assert warning in shown(summary_view(summary)).replace("\n", "")
    assert warning in render(facts_of(tmp_path / "run"))


async def test_without_a_cache_its_code_is_not_loaded(tmp_path: Path) -> None:
    code = "import sys, streamgen.assembly, streamgen.llm.caller; print('streamgen.llm.cache' in sys.modules)"
    done = await anyio.run_process([sys.executable, "-c", code])
    assert done.stdout.strip() == b"False"
