"""Vectors and log-probabilities in whole runs: paid once, replayed, priced, and a clear error where there are none."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest
from runs import make, query

from streamgen.context import Context
from streamgen.errors import EndpointError
from streamgen.llm.limits import Limits
from streamgen.llm.model import ChatRequest, CompletionRequest, EmbeddingRequest, Request, Response
from streamgen.llm.price import Price
from streamgen.llm.spec import ModelSpec
from streamgen.opening import open_run
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record, Usage
from streamgen.testing import Fault, ScriptedServer, embedded, prompt_of, refusal

SEMANTIC = {"name": "new", "type": "semantic_duplicate", "model": "main", "column": "n"}
CHAT = {"name": "say", "type": "chat", "model": "main", "prompt": "{{ n }}", "output": "text"}


def vector_of(request: Request) -> Response:
    """Texts that leave the same remainder mean the same."""
    assert isinstance(request, EmbeddingRequest)
    return embedded(*[[1.0 if int(text) % 3 == k else 0.0 for k in range(3)] for text in request.texts], tokens=5)


def over_http(server: ScriptedServer, recipe: Recipe, **spec: object) -> Recipe:
    main = ModelSpec(base_url=server.base_url, model="x", limits=Limits(concurrency=4), **spec)  # type: ignore[arg-type]
    return msgspec.structs.replace(recipe, models={"main": main})


async def test_each_meaning_passes_once_and_each_call_is_paid() -> None:
    async with ScriptedServer(vector_of) as server:
        recipe = over_http(server, make(None, 30, [SEMANTIC]), price=Price(input=2.0, output=0.0))
        async with open_run(recipe) as run:
            records = [record async for record in run]
            statistics = run.statistics()
    assert len({record["n"] % 3 for record in records}) == len(records) == 3
    assert dict(statistics.engine.stages[0].dropped) == {"semantic_duplicate": 27}
    assert (statistics.spent.requests, statistics.spent.tokens) == (30, 150)
    assert statistics.spent.usd == pytest.approx(150 * 2e-6)
    assert [record.meta.usage for record in records] == [Usage(5, 0, 1, pytest.approx(1e-5))] * 3  # type: ignore[arg-type]
    assert server.counters.paid == {str(n): 1 for n in range(30)}


async def test_vectors_that_were_paid_are_not_paid_again_after_a_crash(tmp_path: Path) -> None:
    reached: list[str] = []
    all_reached, is_held = anyio.Event(), True

    async def hold(record: Record, context: Context[None]) -> Record:
        reached.append(record.id)
        if len(reached) == 3:
            all_reached.set()
        if is_held:
            await anyio.sleep_forever()
        return record

    after = [StageSpec(name="hold", type=hold, parallel=20)]
    async with ScriptedServer(vector_of) as server:
        async with open_run(over_http(server, make(None, 3, [SEMANTIC], after=after)), directory=tmp_path) as run:
            await all_reached.wait()
            run.cancel()
        is_held = False
        async with open_run(over_http(server, make(None, 3, [SEMANTIC], after=after)), directory=tmp_path) as run:
            assert sorted([record["n"] async for record in run]) == [0, 1, 2]
        assert server.counters.paid == {"0": 1, "1": 1, "2": 1}
    assert query(tmp_path, "SELECT DISTINCT n FROM calls") == [(0,)]


async def test_failures_are_tried_again_and_what_is_no_vector_fails_its_record() -> None:
    def fault(request: Request, n: int) -> Fault | None:
        if prompt_of(request) == "1":
            return Fault(body=b'{"data": []}')
        return refusal(503) if n == 0 else None

    async with ScriptedServer(vector_of, fault=fault) as server:
        recipe = over_http(server, make(None, 3, [SEMANTIC]))
        async with open_run(recipe) as run:
            records = [record["n"] async for record in run]
            failed = dict(run.statistics().engine.stages[0].failed)
    assert (sorted(records), failed) == ([0, 2], {"CallError": 1})


async def test_a_model_that_makes_no_vectors_says_so() -> None:
    class Writer:
        async def chat(self, request: ChatRequest) -> Response:
            raise AssertionError

        async def complete(self, request: CompletionRequest) -> Response:
            raise AssertionError

        async def aclose(self) -> None: ...

    async with open_run(make(Writer(), 1, [SEMANTIC])) as run:
        assert [record async for record in run] == []
        assert dict(run.statistics().engine.stages[0].failed) == {"CallError": 1}


def likely(request: Request) -> Response:
    text = prompt_of(request)
    return Response(text, usage=Usage(3, 2), model="x", logprob=-float(text))


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_the_mean_log_probability_of_an_answer_is_its_score_and_can_be_bounded(is_streamed: bool) -> None:
    bound = {"name": "sure", "type": "score", "score": "say.logprob", "min": -2.0}
    async with ScriptedServer(likely) as server:
        recipe = over_http(server, make(None, 5, [{**CHAT, "logprobs": True}, bound]), stream=is_streamed)
        async with open_run(recipe) as run:
            records = [record async for record in run]
    assert {record["n"]: record.meta.scores for record in records} == {n: {"say.logprob": -float(n)} for n in range(3)}


async def test_an_endpoint_that_gives_none_stops_the_run_with_what_to_do() -> None:
    async with ScriptedServer() as server:
        recipe = over_http(server, make(None, 5, [{**CHAT, "logprobs": True}]))
        with pytest.raises(EndpointError, match=r"'say' asks for log-probabilities \(logprobs = true\), but the model"):
            async with open_run(recipe) as run:
                await run.finish()


async def test_without_the_setting_nothing_is_asked_and_nothing_is_scored() -> None:
    async with ScriptedServer(likely) as server, open_run(over_http(server, make(None, 2, [CHAT]))) as run:
        assert [dict(record.meta.scores) async for record in run] == [{}, {}]


async def test_another_run_finds_the_vectors_that_one_has_paid_from_any_place(tmp_path: Path) -> None:
    async with ScriptedServer(vector_of) as server:
        for seed, rows in ((1, 5), (2, 7)):
            recipe = over_http(
                server, make(None, rows, [SEMANTIC], seed=seed, run={"cache": str(tmp_path / "known.db")})
            )
            async with open_run(recipe) as run:
                await run.finish()
                cached = run.statistics().cached
    assert server.counters.paid == {str(n): 1 for n in range(7)}
    assert cached == 5
