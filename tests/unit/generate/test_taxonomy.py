from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import anyio
import pytest
from asking import asking
from hypothesis import given
from hypothesis import strategies as st

from streamgen.context import Context
from streamgen.engine.stage import Drop, Memory, Result
from streamgen.errors import RecipeError
from streamgen.generate._corpus import read_corpus
from streamgen.generate._topic_tree import TopicTree
from streamgen.generate.taxonomy import Taxonomy, TaxonomySettings, Wording
from streamgen.llm.model import CompletionRequest, Request, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Record
from streamgen.testing import Answers, Scripted, prompt_of

DOMAIN = "Questions of people who garden"
ROOT = "1. Pruning roses\n2. Growing tomatoes"
ROSES = "- Climbing kinds\n- Dead wood"
TOMATOES = "Seedlings, Watering, and Blight"


def settings_of(**fields: object) -> TaxonomySettings:
    settings = TaxonomySettings(**{"model": "m", "domain": DOMAIN, "branches": 2, "asks": 1, **fields})  # type: ignore[arg-type]
    settings.check()
    return settings


def context_of(settings: TaxonomySettings, ticket: int, answers: Answers) -> tuple[Context[TaxonomySettings], Scripted]:
    return asking(settings, answers, ticket=ticket)


async def topics(
    stage: Taxonomy, settings: TaxonomySettings, *scripts: list[str | Response | Exception]
) -> list[object]:
    found: list[object] = []
    for ticket, script in enumerate(scripts):
        context, model = context_of(settings, ticket, script)
        result = await stage(Record(str(ticket)), context)
        assert len(model.requests) == len(script)
        found.append(result.columns["path"] if isinstance(result, Record) else result)
    return found


async def test_a_topic_is_divided_by_the_first_ticket_that_comes_to_it_and_leaves_take_turns() -> None:
    settings = settings_of(branches=3)
    found = await topics(Taxonomy(settings), settings, [ROOT, ROSES], [TOMATOES], [], [], [], [], [])
    assert found == [
        ["Pruning roses", "Climbing kinds"],
        ["Growing tomatoes", "Seedlings"],
        ["Pruning roses", "Dead wood"],
        ["Growing tomatoes", "Watering"],
        ["Pruning roses", "Climbing kinds"],
        ["Growing tomatoes", "Blight"],
        ["Pruning roses", "Dead wood"],
    ]


async def test_the_prompt_names_the_domain_the_way_and_what_there_is() -> None:
    settings = settings_of(asks=2)
    context, model = context_of(settings, 0, ["Pruning roses", "Growing tomatoes", ROSES])
    result = await Taxonomy(settings)(Record("0", {"a": 1}), context)
    assert isinstance(result, Record)
    assert result.columns == {"a": 1, "topic": "Climbing kinds", "path": ["Pruning roses", "Climbing kinds"]}
    first, second, third = map(prompt_of, model.requests)
    assert first.startswith(f"{DOMAIN}\nDivide this field into 2 different subtopics")
    assert "There are already: Pruning roses. " in second
    assert 'Divide "Pruning roses" into 2' in third
    assert model.requests[0].max_tokens == 32


async def test_the_completion_method_continues_a_numbered_list() -> None:
    settings = settings_of(method="completion", depth=1, asks=2)
    context, model = context_of(settings, 1, [" Pruning roses\n", " Pruning roses\n3. Growing tomatoes\n4. Soil"])
    result = await Taxonomy(settings)(Record("1"), context)
    assert isinstance(result, Record)
    assert result["path"] == ["Growing tomatoes"]
    first, second = model.requests
    assert isinstance(first, CompletionRequest)
    assert first.prompt.endswith("A list of 2 different subtopics of this field, in a few words each:\n1.")
    assert first.stop == ("\n\n",)
    assert prompt_of(second).endswith(":\n1. Pruning roses\n2.")


async def test_duplicates_are_pruned_and_the_model_is_asked_for_more() -> None:
    settings = settings_of(depth=1, branches=3, asks=3)
    script: list[str | Response | Exception] = [
        "Rose pruning\nPruning the roses",
        "Roses, pruning\nSoil",
        "Soils\nTools",
    ]
    stage = Taxonomy(settings)
    assert await topics(stage, settings, script, [], []) == [["Rose pruning"], ["Soil"], ["Tools"]]
    assert repr(stage) == "<Taxonomy of 3 topics>"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "- \n- \n-",
        "I'm sorry, but I cannot help with that.",
        "玫瑰修剪\n种植番茄",
        DOMAIN,
        "Roses are plants that many people like to cut back in late winter, before new leaves come.",
        "The beekeeper is a person",
        "Some terms of the field",
        "questions of people",
        "What do you want to know about gardens?",
        Response("Pru", finish_reason="length"),
        CallError(Kind.EMPTY, "no text"),
    ],
)
async def test_without_any_topic_the_ticket_is_dropped_and_the_next_one_asks_again(
    answer: str | Response | Exception,
) -> None:
    settings = settings_of(depth=1)
    assert await topics(Taxonomy(settings), settings, [answer], [ROOT]) == [Drop("no_topics"), ["Growing tomatoes"]]


async def test_a_topic_that_cannot_be_divided_is_a_leaf() -> None:
    settings = settings_of()
    found = await topics(Taxonomy(settings), settings, [ROOT, "Pruning roses"], [TOMATOES], [])
    assert found[0] == found[2] == ["Pruning roses"]


async def test_tickets_in_flight_wait_for_one_that_divides() -> None:
    settings = settings_of(depth=1)
    stage, asked = Taxonomy(settings), list[str]()

    async def answer(request: Request) -> str:
        asked.append(prompt_of(request))
        await anyio.lowlevel.checkpoint()
        return ROOT

    results: dict[int, Result] = {}

    async def ticket(number: int) -> None:
        context, _ = context_of(settings, number, answer)  # type: ignore[arg-type]
        results[number] = await stage(Record(str(number)), context)

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(ticket, number)
    assert len(asked) == 1
    assert [result["topic"] for _, result in sorted(results.items()) if isinstance(result, Record)] == [
        "Pruning roses", "Growing tomatoes", "Pruning roses", "Growing tomatoes",
    ]  # fmt: skip


async def test_a_resumed_run_knows_the_tree_and_numbers_calls_on() -> None:
    settings = settings_of()
    stage, kept = Taxonomy(settings), list[tuple[str, bytes]]()
    stage.keep = lambda record, body: kept.append((record, body))
    await topics(stage, settings, [ROOT, ROSES])
    again = Taxonomy(settings)
    again.recall([Memory(kept[0][1], "0")])
    context, model = context_of(settings, 0, [ROSES])
    result = await again(Record("0"), context)
    assert isinstance(result, Record)
    assert (result["topic"], len(model.requests), context.asked) == ("Climbing kinds", 1, 2)


@given(st.lists(st.text(max_size=12), max_size=8), st.lists(st.text(max_size=12), max_size=3), st.floats(0.0, 1.0))
def test_novel_topics_are_novel_to_each_other(names: list[str], path: list[str], same: float) -> None:
    tree = TopicTree(2)
    found = tree.novel(names, tuple(path), same)
    assert found == tree.novel(found, tuple(path), same)
    tree.grow((), found)
    assert tree.novel(found, (), same) == []


def test_each_child_gets_the_same_share_of_tickets() -> None:
    tree = TopicTree(2)
    tree.grow((), ["a", "b"])
    tree.grow(("a",), ["c", "d", "e"])
    counts = Counter(tree.walk(ticket).path for ticket in range(12))
    assert counts == {("b",): 6, ("a", "c"): 2, ("a", "d"): 2, ("a", "e"): 2}


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    path = tmp_path / "documents.jsonl"
    texts = [
        "You prune climbing roses in late winter. Dead wood of climbing roses comes out first.",
        "Tomato blight spreads in wet weather. You water tomato plants at the root, so that no blight comes.",
        "",
    ]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return str(path)


async def test_documents_give_terms_passage_and_style(corpus: str) -> None:
    settings = settings_of(domain="", corpus=corpus, terms=3)
    assert settings.writes() == {"topic", "path", "terms", "passage", "style"}
    context, model = context_of(settings, 1, ["Climbing roses\nTomato blight", "Weather\nRoots"])
    result = await Taxonomy(settings)(Record("1"), context)
    assert isinstance(result, Record)
    assert result["passage"].startswith("Tomato blight spreads")
    assert {"blight", "tomato"} < set(result["terms"])
    assert result["style"] == "sentences of about 8 words, which address the reader"
    assert "Some terms of the field: " in prompt_of(model.requests[0])
    assert "Tomato blight spreads" in prompt_of(model.requests[1])


def test_paragraphs_of_a_text_file_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Erste Zeile\nzweite Zeile\n\n \n\nДругой текст\n")
    assert read_corpus(str(path), "text").documents == ("Erste Zeile\nzweite Zeile", "Другой текст\n")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"body": "x"}', "line 1 lacks 'text'; it has body"),
        ("a.jsonl", "{", "line 1 is not a JSON object"),
        ("a.jsonl", '{"text": null}', "holds no text"),
        ("a.txt", " \n\n ", "holds no text"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=message):
        settings_of(corpus=str(tmp_path / name))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"domain": " "}, r"^domain: give a sentence"),
        ({"branches": 100, "depth": 3}, r"^depth: 100 branches"),
        ({"wording": Wording(divide="{{ topic }}")}, r"^wording.divide: it inserts 'topic'"),
    ],
)
def test_what_cannot_grow_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(**fields)
