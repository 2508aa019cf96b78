from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from streamgen.context import Context, StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import GraphError, RecipeError
from streamgen.llm.limits import Limits
from streamgen.llm.model import Response
from streamgen.llm.openai import OpenAIModel
from streamgen.llm.spec import LaneSpec, ModelSpec
from streamgen.plan import make_plan, open_endpoint, with_provenance
from streamgen.recipe import Recipe, RunSpec, StageSpec
from streamgen.record import Meta, Record, Usage
from streamgen.settings import Settings

MODEL = {"base_url": "http://127.0.0.1:1/v1", "model": "x", "limits": {"concurrency": 5}}


def recipe(*stages: dict[str, Any], rows: list[dict[str, Any]] | None = None, **run: Any) -> Recipe:
    source = {"type": "list", "rows": [{"prompt": 1, "topic": 2}] if rows is None else rows}
    return Recipe.parse({"models": {"main": MODEL}, "source": source, "stages": list(stages), "run": run})


def chat(name: str, prompt: str, output: str = "answer", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "chat", "model": "main", "prompt": prompt, "output": output, **more}


def length(name: str, column: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "length", "column": column, **more}


def test_a_stage_is_as_parallel_as_its_model_takes_and_twice_as_many_tickets_are_out() -> None:
    plan = make_plan(recipe(chat("a", "{{ prompt }}"), chat("b", "{{ answer }}", parallel=2), length("c", "answer")))
    assert [(stage.name, stage.parallel) for stage in plan.graph.stages] == [("a", 5), ("b", 2), ("c", 1)]
    assert plan.tickets_in_flight == 14
    assert make_plan(recipe(length("c", "prompt"))).tickets_in_flight == 256
    assert make_plan(recipe(chat("a", ""), tickets_in_flight=3)).tickets_in_flight == 3


def test_a_model_that_finds_its_concurrency_gets_callers_for_more_than_it_may_begin_with() -> None:
    raw = recipe(chat("a", "{{ prompt }}"))
    model = ModelSpec(base_url="http://127.0.0.1:1/v1", model="x")
    plan = make_plan(msgspec.structs.replace(raw, models={"main": model}))
    assert [stage.parallel for stage in plan.graph.stages] == [256]
    assert plan.tickets_in_flight == 512
    assert plan.endpoints["main"].statistics().concurrency == 10


def test_a_spec_becomes_an_endpoint() -> None:
    endpoint = open_endpoint(
        "main", ModelSpec(base_url="http://127.0.0.1:1/v1", model="m", limits=Limits(concurrency=3))
    )
    assert isinstance(endpoint.model, OpenAIModel)
    assert repr(endpoint) == "<Endpoint main: 0 of 3 in flight, 0 waiting, 0 sent>"


def test_several_servers_become_lanes_with_limits_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND", "a-key")
    lanes = (
        LaneSpec(base_url="http://127.0.0.1:1/v1", weight=2.0),
        LaneSpec(base_url="http://127.0.0.1:2/v1", api_key="env:SECOND", limits=Limits(concurrency=4)),
    )
    endpoint = open_endpoint("main", ModelSpec(model="m", limits=Limits(concurrency=3), endpoints=lanes))
    assert repr(endpoint) == "<Endpoint main: 0 of 7 in flight, 0 waiting, 0 sent>"
    assert [(lane.name, lane.weight) for lane in endpoint.lanes] == [
        ("endpoints[0] 127.0.0.1:1", 2.0),
        ("endpoints[1] 127.0.0.1:2", 1.0),
    ]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (ModelSpec(model="m"), "$.models.big.base_url"),
        (ModelSpec(base_url="http://127.0.0.1:1/v1"), "$.models.big.model"),
        (ModelSpec(provider="opnai"), "$.models.big.provider"),
        (ModelSpec(model="m", endpoints=(LaneSpec(base_url="x:1"),)), "$.models.big.endpoints[0].base_url"),
        (
            ModelSpec(
                base_url="http://a/v1", model="m", endpoints=(LaneSpec(), LaneSpec(api_key="env:NOT_SET_AT_ALL"))
            ),
            "$.models.big.endpoints[1].api_key",
        ),
    ],
)
def test_what_is_wrong_with_a_model_is_told_with_its_place(spec: ModelSpec, path: str) -> None:
    with pytest.raises(RecipeError) as caught:
        open_endpoint("big", spec)
    assert caught.value.path == path


def tuned(*stages: dict[str, Any], space: dict[str, Any], rewards: Path) -> Recipe:
    rewards.joinpath("rewards.py").write_text("def score(records):\n    return {'score': 1.0}\n")
    reward = {"type": "callback", "function": "rewards:score", "metric": "score"}
    raw = {"models": {"main": MODEL}, "source": {"type": "list", "rows": [{"prompt": 1}]}, "stages": list(stages)}
    return Recipe.parse({**raw, "controller": {"space": space, "reward": reward}}, rewards)


@pytest.mark.parametrize(
    ("name", "choices", "said"),
    [
        ("a.prompt", ["{{ prompt }}", "{{ promt }}"], "reads the column 'promt', which nothing before it makes"),
        ("a.output", ["answer", "reply"], "stage 'b' reads the column 'answer', which nothing before it makes"),
        ("a.model", ["main", "man"], "unknown model 'man'; did you mean 'main'?"),
        ("b.column", ["answer", "answr"], "did you mean 'answer'?"),
    ],
)
def test_every_choice_of_the_space_must_be_able_to_run(
    tmp_path: Path, name: str, choices: list[str], said: str
) -> None:
    stages = chat("a", "{{ prompt }}"), length("b", "answer")
    with pytest.raises(RecipeError) as caught:
        make_plan(tuned(*stages, space={name: {"choices": choices}}, rewards=tmp_path))
    assert said in str(caught.value) and caught.value.path == f'$.controller.space."{name}"'
    assert make_plan(tuned(*stages, space={name: {"choices": choices[:1]}}, rewards=tmp_path)).controller is not None


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            Recipe(stages=(StageSpec(name="a.b", type=lambda record, context: True),), run=RunSpec(accept=1)),
            "must do without",
        ),
        (Recipe(stages=(StageSpec(name="a", type=lambda record, context: True),)), "say how many records to accept"),
    ],
)
def test_a_recipe_from_python_is_checked_like_one_from_a_file(made: Recipe, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_plan(made)


def test_stages_with_a_memory_are_known() -> None:
    plan = make_plan(recipe(length("a", "prompt"), {"name": "b", "type": "exact_duplicate", "columns": ["prompt"]}))
    assert [type(memory).__name__ for memory in plan.memories.values()] == ["ExactDuplicate"]


@pytest.mark.parametrize(
    ("stages", "said", "path"),
    [
        ([chat("a", "{{ promt }}")], "stage 'a' reads the column 'promt', which nothing before", "$.stages[0]"),
        ([chat("a", "{{ promt }}")], "did you mean 'prompt'? known: prompt, topic", "$.stages[0]"),
        ([length("a", "answer"), chat("b", "")], "stage 'a' reads the column 'answer'", "$.stages[0]"),
        ([chat("a", ""), length("b", "anwser")], "did you mean 'answer'?", "$.stages[1]"),
        ([chat("a", "", "x"), length("b", "x", inputs=["source"])], "stage 'b' reads the column 'x'", "$.stages[1]"),
    ],
)
def test_a_column_that_nothing_makes_is_told(stages: list[dict[str, Any]], said: str, path: str) -> None:
    with pytest.raises(RecipeError) as caught:
        make_plan(recipe(*stages))
    assert said in str(caught.value) and str(caught.value).endswith(f"- at `{path}`")


def test_columns_of_any_row_and_of_any_branch_count() -> None:
    make_plan(recipe(chat("a", "{{ late }}"), rows=[{"prompt": 1}] * 50 + [{"late": 1}]))
    branches = [chat("a", "", "x", inputs=["source"]), chat("b", "", "y", inputs=["source"])]
    make_plan(recipe(*branches, length("c", "x", inputs=["a", "b"])))


def test_without_a_source_no_column_is_there() -> None:
    raw = {"models": {"main": MODEL}, "stages": [chat("a", "{{ prompt }}")], "run": {"accept": 1}}
    with pytest.raises(RecipeError, match="reads the column 'prompt', which nothing before it makes"):
        make_plan(Recipe.parse(raw))


class Mine(Settings, frozen=True, kw_only=True):
    size: int = 3


def test_a_stage_of_the_users_own_may_make_any_column() -> None:
    def mine(record: Record, context: Context[Mine]) -> Record:
        return record

    stages = (StageSpec(name="mine", type=mine), *recipe(length("a", "made")).stages)
    plan = make_plan(Recipe(stages=stages, run=RunSpec(accept=1)))
    assert plan.settings["mine"] == Mine(size=3)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([length("a", "prompt", inputs=["b"]), length("b", "prompt", inputs=["a"])], "the stages form a cycle: "),
        ([length("a", "prompt", inputs=["x"])], "stage 'a' reads 'x', which is no stage"),
        ([length("a", "prompt"), length("a", "prompt")], "the name 'a' is taken"),
    ],
)
def test_what_is_no_graph_is_told(stages: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(GraphError) as caught:
        make_plan(recipe(*stages))
    assert said in str(caught.value) and "$.stages" in str(caught.value)


def test_a_key_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    raw = {"models": {"main": {**MODEL, "api_key": "env:NO_SUCH_KEY"}}, "stages": [chat("a", "")], "run": {"accept": 1}}
    with pytest.raises(RecipeError, match=r"NO_SUCH_KEY is not set: .* - at `\$\.models\.main\.api_key`"):
        make_plan(Recipe.parse(raw))


def test_a_stateful_stage_from_python_needs_no_settings() -> None:
    class Once:
        def __init__(self) -> None:
            self.seen: set[str] = set()

        def __call__(self, record: Record, context: StageContext[None]) -> bool:
            return record.id not in self.seen

        def restore(self, records: object) -> None:
            """Nothing to remember."""

    plan = make_plan(Recipe(stages=(StageSpec(name="once", type=Once),), run=RunSpec(accept=1)))
    assert [type(memory) for memory in plan.memories.values()] == [Once]


class Answering:
    """Answers every call with three tokens of a model."""

    async def call(self, context: Context[Any], model: str, request: object) -> Response:
        context.asked += 1
        return Response("text", usage=Usage(1, 2), model=model)

    def ladder(self, context: Context[Any], model: str) -> None:
        """Nothing is known."""


def results(handler: Any) -> list[Any]:
    """What the wrapped handler gives for a record that another model has paid for already."""
    context = Context("stage", None, ticket=0, record_id="0", seed=0, caller=Answering())
    record = Record("0", {}, Meta(usage=Usage(10, 10), models=("first", "b")))
    result: Any = anyio.run(with_provenance(handler), record, context)  # type: ignore[arg-type]
    return list(result) if isinstance(result, list | tuple) else [result]


async def one(record: Record, context: Context[None]) -> Result:
    await context.chat("b", "hi")
    await context.chat("a", "hi")
    return record


async def same(record: Record, context: Context[None]) -> Result:
    await one(record, context)
    return True


async def lazy(record: Record, context: Context[None]) -> Result:
    await one(record, context)

    def children() -> Iterator[Record]:
        yield record
        yield record

    return children()


@pytest.mark.parametrize(("handler", "count"), [(one, 1), (same, 1), (lazy, 2)])
def test_results_carry_the_models_that_were_asked_and_what_they_cost(handler: Any, count: int) -> None:
    records = results(handler)
    assert len(records) == count
    for record in records:
        assert (record.meta.models, record.meta.usage) == (("first", "b", "a"), Usage(12, 14, 3))


@pytest.mark.parametrize("answer", [Drop("bad"), False, None, "a text", {"a": 1}])
def test_what_is_no_record_passes_as_it_is(answer: Any) -> None:
    async def handler(record: Record, context: Context[None]) -> Any:
        await context.chat("a", "hi")
        return answer

    assert results(handler) == [answer]


def test_a_stage_that_asks_nobody_changes_no_provenance() -> None:
    async def handler(record: Record, context: Context[None]) -> Result:
        return record

    assert results(handler)[0].meta.usage == Usage(10, 10)


def test_the_source_is_peeked_at_and_not_used_up(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    made = Recipe.parse({"source": {"type": "jsonl", "path": "rows.jsonl"}}, tmp_path)
    make_plan(made)
    assert made.source is not None and list(made.source.build("sources")) == [{"a": 1}]
