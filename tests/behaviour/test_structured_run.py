"""Structured output in whole runs, over HTTP, on servers of each kind."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from rich.console import Console
from runs import make, query

from streamgen.context import Context
from streamgen.llm.limits import Limits
from streamgen.llm.model import ChatRequest, Request
from streamgen.llm.spec import ModelSpec
from streamgen.opening import open_run
from streamgen.present import summary_view
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record, Value
from streamgen.report import write_report
from streamgen.testing import Fault, ScriptedServer, refusal

SCHEMA: Value = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
STAGE = {
    "name": "answer", "type": "chat", "model": "main", "prompt": "person {{ n }}", "schema": SCHEMA, "spread": True
}  # fmt: skip


def rung_of(request: Request) -> str:
    assert isinstance(request, ChatRequest)
    return "json_schema" if request.schema is not None else "json_object" if request.extra else "prompt"


def answer(request: Request) -> str:
    return '{"age": 36}'


def ignoring(request: Request) -> str:
    """Does not look at the response format, only at what it is told."""
    assert isinstance(request, ChatRequest)
    told = any("JSON Schema" in message.content for message in request.messages)
    return '<think>{"age": 1}?</think>```json\n{"age": 36}\n```' if told else "thirty-six"


class Server(ScriptedServer):
    """Counts the ways in which it was asked, and refuses some."""

    def __init__(self, *refused: str, ignores: bool = False, spoilt: int = 0) -> None:
        super().__init__(ignoring if ignores else answer, fault=self._look)
        self.asked: Counter[str] = Counter()
        self._refused, self._spoilt = refused, spoilt

    def _look(self, request: Request, n: int) -> Fault | None:
        self.asked[rung := rung_of(request)] += 1
        assert isinstance(request, ChatRequest)
        if self._spoilt and int(request.messages[-1].content.split()[1]) % self._spoilt == 3:
            return refusal(400, "this content is too spicy")
        return refusal(422, f"response_format {rung} is not supported") if rung in self._refused else None


def recipe(server: Server, rows: int, *after: StageSpec) -> Recipe:
    spec = ModelSpec(base_url=server.base_url, model="x", limits=Limits(concurrency=32))
    return msgspec.structs.replace(make(None, rows, [STAGE], after=after), models={"main": spec})


async def structured(server: Server, directory: Path | None = None, rows: int = 100) -> tuple[int, Value]:
    async with open_run(recipe(server, rows), directory=directory) as run:
        records = [record async for record in run]
        assert all(record["age"] == 36 for record in records)
        return len(records), run.statistics().structured


@pytest.mark.parametrize(
    ("refused", "rung", "asked"),
    [
        ((), "json_schema", {"json_schema": 100}),
        (("json_schema",), "json_object", {"json_schema": 1, "json_object": 100}),
        (("json_schema", "json_object"), "prompt", {"json_schema": 1, "json_object": 1, "prompt": 100}),
    ],
)
async def test_each_kind_of_server_gives_every_record(refused: tuple[str, ...], rung: str, asked: Value) -> None:
    async with Server(*refused) as server:
        assert await structured(server) == (100, {"main": {rung: {"as_is": 100}}})
        assert server.asked == asked


async def test_a_server_that_ignores_the_schema_gives_every_record_for_one_call_more() -> None:
    async with Server(ignores=True) as server:
        expected = {"main": {"json_object": {"reasked": 1, "fenced": 99}}}
        assert await structured(server) == (100, expected)
        assert sum(server.counters.paid.values()) == 101


async def test_what_did_not_come_as_it_should_is_told_in_the_summary_and_the_report(tmp_path: Path) -> None:
    async with Server(ignores=True) as server, open_run(recipe(server, 5), directory=tmp_path) as run:
        await run.finish()
    console = Console(width=120, file=(shown := StringIO()))
    console.print(summary_view(run.summary()))
    assert "structured answers of main, json_object: 4 fenced, 1 asked for twice" in shown.getvalue()
    page = write_report(tmp_path).read_text()
    assert "<td>json_object</td><td>4 fenced, 1 asked for twice</td>" in page


async def test_refusals_of_single_prompts_fail_these_and_no_others() -> None:
    async with Server(spoilt=10) as server:
        assert await structured(server) == (90, {"main": {"json_schema": {"as_is": 90}}})
        assert server.asked["json_schema"] == 100


@pytest.mark.parametrize("better", [(), ("json_schema", "json_object")])
async def test_a_resumed_ticket_pays_for_no_answer_again_whatever_the_server_can_do_by_then(
    tmp_path: Path, better: tuple[str, ...]
) -> None:
    reached: list[Record] = []
    all_reached, is_held = anyio.Event(), True

    async def hold(record: Record, context: Context[Any]) -> Record:
        reached.append(record)
        if len(reached) == 20:
            all_reached.set()
        if is_held:
            await anyio.sleep_forever()
        return record

    async with Server("json_schema", ignores=True) as server:
        recipe_ = recipe(server, 20, StageSpec(name="hold", type=hold, parallel=20))
        async with open_run(recipe_, directory=tmp_path) as run:
            await all_reached.wait()
            run.cancel()
    is_held = False
    async with Server(*better) as server:
        recipe_ = recipe(server, 20, StageSpec(name="hold", type=hold, parallel=20))
        async with open_run(recipe_, directory=tmp_path) as run:
            assert [record["age"] async for record in run] == [36] * 20
            assert run.statistics().structured == {}
        assert server.asked == {}
    assert query(tmp_path, "SELECT DISTINCT n FROM calls") == [(0,)]
