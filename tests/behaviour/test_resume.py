"""A second run in the same directory: what is kept, what is refused, what is paid again (nothing)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Annotated

import anyio
import msgspec
import pytest
from runs import CHAT, asked, check_whole, echo, make, model, query, temperature

import streamgen
from streamgen.context import Context
from streamgen.errors import RecipeError
from streamgen.inspection import drops
from streamgen.llm.budget import Budget
from streamgen.llm.model import ChatRequest
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record, Value
from streamgen.settings import Settings
from streamgen.summary import Summary
from streamgen.testing import prompt_of


async def finished(recipe: Recipe, directory: Path, accept: int | None = None) -> Summary:
    async with streamgen.open(recipe, directory=directory, accept=accept) as run:
        return await run.finish()


class Nothing(Settings, frozen=True, kw_only=True):
    pass


async def test_a_finished_run_does_nothing_the_second_time(tmp_path: Path) -> None:
    main = echo()
    first = await finished(make(main, 10, run={"accept": 10}), tmp_path)
    second = await finished(make(main, 10, run={"accept": 10}), tmp_path)
    assert (first.end, second.end) == (second.end, first.end)
    assert second.end.reason == "done"
    assert len(main.requests) == 10


async def test_surplus_comes_first_when_more_is_wanted(tmp_path: Path) -> None:
    main = echo(0.001)
    recipe = make(main, 100, run={"tickets_in_flight": 1})
    three = (StageSpec(name="three", type=three_of_one, settings=Nothing()),)
    recipe = msgspec.structs.replace(recipe, stages=(*recipe.stages, *three))
    first = await finished(recipe, tmp_path, accept=4)
    assert first.statistics.surplus == 2
    (surplus,) = query(tmp_path, "SELECT count(*) FROM surplus")[0]
    paid = len(main.requests)
    assert surplus == 2 and paid == 2  # two tickets of three children each
    summary = await finished(recipe, tmp_path, accept=6)
    assert (summary.statistics.accepted, len(main.requests)) == (6, paid)
    assert query(tmp_path, "SELECT ticket, outcome FROM outcomes") == [(0, "accepted"), (1, "accepted")]
    assert query(tmp_path, "SELECT count(*) FROM surplus") == [(0,)]
    check_whole(tmp_path)


def three_of_one(record: Record, context: Context[Nothing]) -> list[Record]:
    return [record, record, record]


async def test_without_accept_all_of_the_surplus_is_taken(tmp_path: Path) -> None:
    recipe = make(echo(), 4, after=[StageSpec(name="three", type=three_of_one, settings=Nothing())])
    await finished(recipe, tmp_path, accept=1)
    summary = await finished(recipe, tmp_path)
    assert summary.statistics.accepted == 12
    assert query(tmp_path, "SELECT count(*) FROM surplus") == [(0,)]
    check_whole(tmp_path)


@pytest.mark.parametrize("kind", ["file", "struct"])
async def test_another_schema_behind_the_same_name_is_refused_with_what_differs(tmp_path: Path, kind: str) -> None:
    main = model(lambda request: '{"name": "x"}')

    def recipe(max_length: int) -> Recipe:
        if kind == "file":
            schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": max_length}}}
            (tmp_path / "schema.json").write_bytes(msgspec.json.encode(schema))
            return make(main, 2, [{**CHAT, "schema": str(tmp_path / "schema.json")}])
        text = Annotated[str, msgspec.Meta(max_length=max_length)]
        answer = msgspec.defstruct("Answer", [("name", text)])
        made = make(main, 2)
        (stage,) = made.stages
        assert stage.settings is not None
        settings = msgspec.structs.replace(stage.settings, schema=answer)
        return msgspec.structs.replace(made, stages=(msgspec.structs.replace(stage, settings=settings),))

    await finished(recipe(5), tmp_path / "run")
    assert (await finished(recipe(5), tmp_path / "run")).end.reason == "done"
    with pytest.raises(RecipeError, match=r"\$\.stages\.answer\.schema\.properties\.name\.maxLength: 5 -> 6\n"):
        await finished(recipe(6), tmp_path / "run")


async def test_a_recipe_that_would_change_the_data_is_refused_with_every_difference(tmp_path: Path) -> None:
    await finished(make(echo(), 5), tmp_path)
    changed = [{**CHAT, "prompt": "Other {{ n }}", "temperature": 0.3}]
    with pytest.raises(RecipeError) as caught:
        await finished(make(echo(), 6, changed, seed=8), tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message and "another directory" in message
    for difference in (
        "$.seed: 0 -> 8",
        '$.stages.answer.prompt: "{{ n }}" -> "Other {{ n }}"',
        "$.stages.answer.temperature: null -> 0.3",
        "$.source.rows: ",
    ):
        assert difference in message
    assert len(message.splitlines()) == 2 + 4
    assert (await finished(make(echo(), 5), tmp_path)).end.reason == "done"  # refusing has changed nothing


async def test_what_does_not_change_the_data_is_taken(tmp_path: Path) -> None:
    await finished(make(echo(), 30, run={"accept": 5}), tmp_path)
    stages = [{**CHAT, "parallel": 3, "capacity": 9}]
    run = {"accept": 12, "budget": {"requests": 100}, "tickets_in_flight": 3}
    summary = await finished(make(echo(), 30, stages, run=run, sinks=[{"type": "jsonl"}]), tmp_path)
    assert summary.statistics.accepted == 12
    assert len((tmp_path / "records.jsonl").read_bytes().splitlines()) == 12  # a new sink gets the old records, too


async def test_the_recipes_folder_may_move(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text('{"n": 1}\n')
        raw = {"source": {"type": "jsonl", "path": "rows.jsonl"}}
        await finished(Recipe.parse(raw, tmp_path / name), tmp_path / "run")
    assert query(tmp_path / "run", "SELECT count(*) FROM records") == [(1,)]


async def test_calls_of_unsettled_tickets_are_replayed_not_paid(tmp_path: Path) -> None:
    """Both calls of a ticket carry what its stage drew; the first was paid before the cut, the second was not."""
    cut = anyio.Event()
    waiting: list[str] = []
    session = [1]

    async def answer(prompt: str) -> str:
        if session == [1] and prompt.startswith("second"):
            waiting.append(prompt)
            if len(waiting) == 4:
                cut.set()
            await anyio.sleep_forever()
        return f"{prompt} in session {session[0]}"

    main = model(lambda request: answer(prompt_of(request)))
    two = StageSpec(name="two", type=two_calls, settings=Nothing(), parallel=4)
    recipe = make(main, 4, [], before=[two])
    async with anyio.create_task_group() as group:
        group.start_soon(finished, recipe, tmp_path)
        await cut.wait()
        group.cancel_scope.cancel()
    assert len(query(tmp_path, "SELECT * FROM calls")) == 4
    session[0] = 2
    main.requests.clear()
    async with streamgen.open(recipe, directory=tmp_path) as run:
        records = [record async for record in run]
    assert [prompt_of(request).split()[0] for request in main.requests] == ["second"] * 4
    for record in records:
        assert record["first"].endswith("in session 1") and record["second"].endswith("in session 2")
        assert record.meta.usage is not None and record.meta.usage.calls == 2
    assert run.statistics().spent.requests == 8


async def two_calls(record: Record, context: Context[Nothing]) -> Record:
    first = await context.chat("main", f"first {record['n']} {context.rng.random()}")
    second = await context.chat("main", f"second {record['n']} {context.rng.random()}")
    return record.with_columns(first=first.text, second=second.text)


async def test_failed_and_dropped_tickets_are_not_run_again(tmp_path: Path) -> None:
    def answer(prompt: str) -> str | Exception:
        return KeyError("bad") if prompt in ("3", "7") else "short" if prompt == "5" else "long enough an answer"

    main = model(lambda request: answer(prompt_of(request)))
    length = {"name": "long", "type": "length", "column": "text", "min_words": 2}
    recipe = make(main, 20, [CHAT, length], run={"tickets_in_flight": 2})
    async with streamgen.open(recipe, directory=tmp_path, window=1) as run:
        async for record in run:
            if record.id == "10":
                break
    summary = await finished(recipe, tmp_path)
    assert asked(main) == Counter({str(n): 1 for n in range(20)})
    assert summary.end.reason == "done" and summary.statistics.accepted == 17
    outcomes = "SELECT ticket, outcome, error FROM outcomes WHERE outcome != 'accepted' ORDER BY ticket"
    error = "answer: KeyError: 'bad'"
    assert query(tmp_path, outcomes) == [(3, "failed", error), (5, "dropped", None), (7, "failed", error)]
    letters = "SELECT ticket, stage, record, columns, error FROM letters ORDER BY ticket"
    assert query(tmp_path, letters) == [
        (n, "answer", str(n), f'{{"n":{n}}}'.encode(), "KeyError: 'bad'") for n in (3, 7)
    ]


async def test_stages_and_metrics_remember_what_earlier_sessions_accepted(tmp_path: Path) -> None:
    raw = {
        "source": {"type": "list", "rows": [{"text": text} for text in "abacba"]},
        "stages": [{"name": "once", "type": "exact_duplicate", "columns": ["text"]}],
        "metrics": [{"type": "counts", "by": ["text"]}],
        "run": {"tickets_in_flight": 1},
    }
    await finished(Recipe.parse(raw), tmp_path, accept=2)
    summary = await finished(Recipe.parse(raw), tmp_path)
    assert summary.statistics.metrics["counts"]["by"] == {"text": {"a": 1, "b": 1, "c": 1}}
    assert [id_ for (id_,) in query(tmp_path, "SELECT id FROM records ORDER BY seq")] == ["0", "1", "3"]


async def test_two_retunes_at_one_ticket_both_survive_a_resume(tmp_path: Path) -> None:
    main = echo(0.001)
    recipe = make(main, 40, run={"tickets_in_flight": 1})
    async with streamgen.open(recipe, directory=tmp_path, window=1) as run:
        run.retune({"answer.temperature": 1.5})
        run.retune({"answer.top_p": 0.5})
    await finished(recipe, tmp_path)
    chats = [request for request in main.requests if isinstance(request, ChatRequest)]
    assert {(request.temperature, request.top_p) for request in chats} == {(1.5, 0.5)}
    assert len(chats) == 40


async def test_a_retune_survives_a_resume(tmp_path: Path) -> None:
    main = echo(0.001)
    recipe = make(main, 60, [{**CHAT, "temperature": 0.5}], run={"tickets_in_flight": 4})
    async with streamgen.open(recipe, directory=tmp_path, window=1) as run:
        async for record in run:
            if record.id == "20":
                run.retune({"answer.temperature": 1.5})
                break
    await finished(recipe, tmp_path)
    (first,) = query(tmp_path, "SELECT ticket FROM retunes")[0]
    used = {int(prompt_of(request)): temperature(request) for request in main.requests}
    assert used == {n: 0.5 if n < first else 1.5 for n in range(60)}


async def test_rows_keep_their_tickets_over_any_number_of_sessions(tmp_path: Path) -> None:
    """Tickets end in another order than they begin, so that every cut leaves gaps."""
    random = Random(5)
    main = model(lambda request: late(prompt_of(request), random))
    recipe = make(main, 120, run={"tickets_in_flight": 12})
    for stop_after in (10, 15, 20, 25, 1000):
        with anyio.CancelScope() as scope:
            async with streamgen.open(recipe, directory=tmp_path, window=8) as run:
                taken = 0
                async for record in run.records(since=query(tmp_path, "SELECT count(*) FROM records")[0][0]):
                    assert record.id == str(record["n"]) == str(record.meta.ticket)
                    taken += 1
                    if taken == stop_after:
                        scope.cancel()
        check_whole(tmp_path)
    assert query(tmp_path, "SELECT count(DISTINCT id), count(*) FROM records") == [(120, 120)]
    assert query(tmp_path, "SELECT count(*), max(ticket) FROM outcomes") == [(120, 119)]


async def late(prompt: str, random: Random) -> str:
    await anyio.sleep(random.random() / 100)
    return f"answer {prompt}"


async def test_bad_rows_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\nnot json\n{"n": 2}\n')
    recipe = Recipe.parse({"source": {"type": "jsonl", "path": "rows.jsonl"}}, tmp_path)
    for _ in range(2):
        assert (await finished(recipe, tmp_path / "run")).statistics.accepted == 2
    assert len(query(tmp_path / "run", "SELECT * FROM letters")) == 1


class FirstSpec(Settings, frozen=True, kw_only=True):
    pass


def none_of_the_first(record: Record, context: Context[FirstSpec]) -> bool:
    """Drops the first of each pair of rows, behind the stage that remembers it."""
    return bool(record["n"] % 2)


UNIQUE: dict[str, dict[str, Value]] = {
    "exact": {"name": "unique", "type": "exact_duplicate", "columns": ["topic"]},
    "near": {"name": "unique", "type": "near_duplicate", "column": "topic"},
    "novelty": {"name": "unique", "type": "novelty", "column": "topic"},
}


@pytest.mark.parametrize("kind", UNIQUE)
@pytest.mark.parametrize("sessions", [1, 4, 12])
async def test_what_passed_a_stage_and_was_dropped_later_is_remembered_over_sessions(
    tmp_path: Path, kind: str, sessions: int
) -> None:
    """Rows 0 and 1, 2 and 3 ... are alike: the first of each is dropped behind the stage, the second by it."""
    rows = [{"n": n, "topic": " ".join([f"topic{n // 2}"] * 4)} for n in range(12)]
    last = StageSpec(name="last", type=none_of_the_first, settings=FirstSpec())
    recipe = make(echo(), 0, [CHAT, UNIQUE[kind]], after=[last], source={"type": "list", "rows": rows})
    for session in range(1, sessions + 1):
        budget = {"requests": 12 * session // sessions}
        run = msgspec.structs.replace(recipe.run, budget=msgspec.convert(budget, Budget), tickets_in_flight=1)
        summary = await finished(msgspec.structs.replace(recipe, run=run), tmp_path)
    reason = {"exact": "duplicate", "near": "near_duplicate", "novelty": "not_novel"}[kind]
    assert (summary.end.reason, summary.statistics.accepted) == ("done", 0)
    assert {(row.stage, row.reason, row.records) for row in drops(tmp_path)} == {
        ("unique", reason, 6), ("last", "last", 6),
    }  # fmt: skip


@pytest.mark.parametrize("retain", ["all", "accepted"])
async def test_calls_of_settled_tickets_are_kept_where_that_is_wanted(tmp_path: Path, retain: str) -> None:
    main = echo()
    recipe = make(main, 40, run={"retain": retain, "budget": {"requests": 25}})
    first = await finished(recipe, tmp_path)
    assert (first.end.reason, first.statistics.accepted) == ("budget", 25)
    assert query(tmp_path, "SELECT count(*) FROM calls") == [(25 if retain == "all" else 0,)]
    run = msgspec.structs.replace(recipe.run, budget=Budget())
    second = await finished(msgspec.structs.replace(recipe, run=run), tmp_path)
    assert (second.statistics.accepted, len(main.requests)) == (40, 40)
    assert second.statistics.spent.requests == 40
    check_whole(tmp_path)


async def test_metrics_of_a_resumed_run_are_those_of_an_uninterrupted_one(tmp_path: Path) -> None:
    metrics = [{"type": "counts", "by": ["n"]}, {"type": "lengths", "column": "text"},
               {"type": "distinct_n", "column": "text"}, {"type": "class_balance", "column": "n"}]  # fmt: skip
    whole = await finished(make(echo(), 30, metrics=metrics), tmp_path / "whole")
    for accept in (7, 20, None):
        parts = await finished(make(echo(), 30, metrics=metrics), tmp_path / "parts", accept)
    assert parts.statistics.metrics == whole.statistics.metrics
    assert query(tmp_path / "parts", "SELECT DISTINCT seq FROM snapshots") == [(30,)]
