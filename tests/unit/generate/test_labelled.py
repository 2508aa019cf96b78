from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import msgspec
import pytest
from asking import asking
from hypothesis import given
from hypothesis import strategies as st

from streamgen.engine.stage import Drop
from streamgen.errors import RecipeError
from streamgen.generate._labelled_prompts import Wording
from streamgen.generate._lines import clean, clean_lines
from streamgen.generate._quotas import cycle_length, mixed
from streamgen.generate._seeds import seeds_by_class
from streamgen.generate.labelled import LabelledSettings, draw, labelled
from streamgen.llm.model import ChatRequest, CompletionRequest, Message, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Record
from streamgen.testing import prompt_of

ROWS = [
    {"text": "Play some jazz", "label": "PlayMusic"},
    {"text": "Put on a waltz", "label": "PlayMusic"},
    {"text": "Will it rain in Graz", "label": "GetWeather"},
]


@pytest.fixture
def seeds(tmp_path: Path) -> str:
    return written(tmp_path / "seeds.jsonl", *map(json.dumps, ROWS))


def written(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines))
    return str(path)


async def test_a_list_is_continued_and_its_first_line_becomes_a_labelled_record(seeds: str) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, task="Ways to", temperature=0.7)
    context, model = asking(settings, ['Play the blues"'])
    result = await labelled(Record("0", {"origin": "x"}), context)
    assert result == Record("0", {"origin": "x", "text": "Play the blues", "label": "PlayMusic"})
    (request,) = model.requests
    assert isinstance(request, CompletionRequest)
    assert request.prompt == 'Ways to play music:\n"Play some jazz"\n"Put on a waltz"\n"'
    assert (request.stop, request.max_tokens, request.temperature) == (("\n",), 48, 0.7)
    assert request.seed is not None


async def test_a_long_list_gives_several_records_and_what_is_beyond_n_is_left(seeds: str) -> None:
    path = written(Path(seeds).parent / "others.jsonl", '{"utterance": "Play jazz", "intent": "PlayMusic"}')
    settings = LabelledSettings(model="m", seeds=path, n=2, text="utterance", label="intent")
    context, model = asking(settings, ['Play a"\n"Play b"\n"Play c"\n"Pl'])
    result = await labelled(Record("0"), context)
    assert isinstance(result, list)
    assert [record.columns for record in result] == [
        {"utterance": "Play a", "intent": "PlayMusic"},
        {"utterance": "Play b", "intent": "PlayMusic"},
    ]
    assert (model.requests[0].stop, model.requests[0].max_tokens) == (("\n\n",), 96)


@pytest.mark.parametrize(
    ("method", "roles"), [("zero_shot", "system user"), ("few_shot", "system user assistant user assistant user")]
)
async def test_chat_methods_show_the_shots_as_earlier_turns(seeds: str, method: str, roles: str) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, method=method, task="Ways to")  # type: ignore[arg-type]
    context, model = asking(settings, ['1. "Play a polka"'])
    assert await labelled(Record("0"), context) == Record("0", {"text": "Play a polka", "label": "PlayMusic"})
    (request,) = model.requests
    assert isinstance(request, ChatRequest)
    assert " ".join(message.role for message in request.messages) == roles
    assert request.messages[-1].content == "Ways to play music. Write one more."


FORM = {"type": "object", "properties": {"song": {"type": "string"}}, "required": ["song"]}


async def test_the_properties_of_a_schema_become_columns_beside_the_label(seeds: str) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, method="few_shot", task="Requests to", schema=FORM)
    settings.check()
    context, model = asking(settings, ['{"song": "Blue"}'])
    result = await labelled(Record("0"), context)
    assert isinstance(result, Record)
    assert result.columns == {"song": "Blue", "label": "PlayMusic"}
    assert settings.writes() == {"song", "label"}
    assert prompt_of(model.requests[0]).startswith("Requests to play music. Write one, as JSON. Such as:\n- ")


@pytest.mark.parametrize("more", [{"method": "list"}, {"n": 2}, {"schema": {"type": "string"}}])
def test_a_schema_goes_with_conversations_about_one_object(seeds: str, more: dict[str, object]) -> None:
    fields = {"model": "m", "seeds": seeds, "method": "zero_shot", "schema": FORM, **more}
    with pytest.raises(ValueError, match=r"^schema: "):
        LabelledSettings(**fields).check()  # type: ignore[arg-type]


async def test_attributes_are_named_behind_the_part_that_prompts_share(seeds: str) -> None:
    settings = LabelledSettings(
        model="m", seeds=seeds, method="attribute_list", attributes={"tone": ("politely",)}, task="Ways to"
    )
    context, model = asking(settings, ["Please play a polka"])
    await labelled(Record("0"), context)
    (request,) = model.requests
    assert isinstance(request, CompletionRequest)
    shared = 'Ways to play music:\n"Play some jazz"\n"Put on a waltz"\n'
    assert request.prompt == f'{shared}\nWays to play music, politely:\n"'


async def test_attribute_chat_asks_without_seeds_for_a_value_of_each_attribute(seeds: str) -> None:
    settings = LabelledSettings(
        model="m",
        seeds=seeds,
        task="Ways to",
        method="attribute_chat",
        attributes={"tone": ("politely",), "about": {"PlayMusic": ("by Bach",), "GetWeather": ("in May",)}},
    )
    settings.check()
    prompts = []
    for ticket in range(2):
        context, model = asking(settings, ["Please do"], ticket=ticket)
        await labelled(Record("0"), context)
        prompts.append(prompt_of(model.requests[0]))
    assert prompts[0].endswith("Ways to play music, politely, by Bach. Write one more.")
    assert prompts[1].endswith("Ways to get weather, politely, in May. Write one more.")
    assert "jazz" not in prompts[0]


async def test_evolve_rewrites_a_seed_and_then_what_came_of_it(seeds: str) -> None:
    settings = LabelledSettings(
        model="m", seeds=seeds, task="Ways to", method="evolve", depth=3, operations={"more": "Say more."}
    )
    settings.check()
    context, model = asking(settings, ['"Play some slow jazz"', "Play some slow jazz.", "Play some slow jazz tonight"])
    result = await labelled(Record("0", {"a": 1}), context)
    assert result == Record("0", {"a": 1, "text": "Play some slow jazz tonight", "label": "PlayMusic"})
    shown = [prompt_of(request).partition("for example: ")[2] for request in model.requests]
    assert shown[0] in ('"Play some jazz"\nSay more.', '"Put on a waltz"\nSay more.')
    assert shown[1:] == ['"Play some slow jazz"\nSay more.'] * 2


async def test_evolve_rewrites_the_records_own_text_and_keeps_its_label(seeds: str) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, method="evolve")
    context, model = asking(settings, ["Will it snow in Graz"])
    result = await labelled(Record("0", {"text": "Is it dry in Graz", "label": "GetWeather"}), context)
    assert result == Record("0", {"text": "Will it snow in Graz", "label": "GetWeather"})
    prompt = prompt_of(model.requests[0])
    assert "get weather" in prompt
    assert '"Is it dry in Graz"' in prompt


async def test_evolve_that_changes_nothing_is_dropped_for_the_first_steps_reason(seeds: str) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, method="evolve", depth=2)
    context, _ = asking(settings, [Response("Play it and", "length"), "put on a WALTZ!"])
    assert await labelled(Record("0"), context) == Drop("cut")


async def test_weights_draw_each_tickets_method_and_class(seeds: str) -> None:
    settings = LabelledSettings(
        model="m",
        seeds=seeds,
        method={"zero_shot": 1.0, "list": 3.0, "evolve": 0.0},
        classes={"PlayMusic": 0.0, "GetWeather": 1.0},
    )
    settings.check()
    kinds: Counter[type] = Counter()
    for ticket in range(80):
        context, model = asking(settings, ["Will it hail"], ticket=ticket)
        result = await labelled(Record("0"), context)
        assert isinstance(result, Record)
        assert result.columns["label"] == "GetWeather"
        kinds[type(model.requests[0])] += 1
    assert kinds == {ChatRequest: 17, CompletionRequest: 63}


async def test_the_wording_can_be_another_one(seeds: str) -> None:
    wording = Wording(system="Brief.", ask="{{ amount }} for {{ wish }}", heading="# {{ wish }}")
    settings = LabelledSettings(model="m", seeds=seeds, method="zero_shot", wording=wording)
    settings.check()
    context, model = asking(settings, ["Play a polka"])
    await labelled(Record("0"), context)
    assert prompt_of(model.requests[0]) == "one more for play music"
    assert isinstance(model.requests[0], ChatRequest)
    assert model.requests[0].messages[0] == Message("system", "Brief.")
    context, model = asking(msgspec.structs.replace(settings, method="list", shots=1), ["Play a polka"])
    await labelled(Record("0"), context)
    assert prompt_of(model.requests[0]).startswith('# play music\n"')


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"wording": Wording(ask="{{ text }}")},
            "wording.ask: it inserts 'text'; there is amount",
        ),
        ({"method": {"lists": 1.0}}, "method: 'lists' is no method; the methods are zero_shot, "),
        ({"method": {"list": 0.0}}, "method: at least one weight must be above 0"),
        ({"classes": {"Play": 1.0}}, "classes: 'Play' is no label; the labels are PlayMusic, GetWeather"),
        ({"operations": {}}, "operations: there is no phrase to draw from"),
        ({"attributes": {"tone": ()}}, "attributes.tone: there is no phrase to draw from"),
        ({"attributes": {"x": {"PlayMusic": ("a",)}}}, "attributes.x.GetWeather: there is no phrase to draw from"),
        ({"descriptions": {"PlayMusic": ()}}, "descriptions.PlayMusic: there is no phrase to draw from"),
    ],
)
def test_settings_that_do_not_go_together_say_which(seeds: str, more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        LabelledSettings(model="m", seeds=seeds, **more).check()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response(' play   some JAZZ!"'), "echo"),
        (Response("Play the long one that never", "length"), "cut"),
        (Response(' "'), "empty"),
        (Response("Here are some more:"), "not_an_example"),
        (CallError(Kind.EMPTY, "an answer without text"), "empty"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_dropped_with_its_reason(
    seeds: str, answer: Response | CallError, reason: str
) -> None:
    context, _ = asking(LabelledSettings(model="m", seeds=seeds), [answer])
    assert await labelled(Record("0"), context) == Drop(reason)


def test_classes_take_turns_and_a_ticket_always_draws_the_same(seeds: str) -> None:
    settings = LabelledSettings(
        model="m", seeds=seeds, shots=1, descriptions={"PlayMusic": ("play a song", "play an album")}
    )
    orders = [draw(settings, ticket, Random(ticket)) for ticket in range(40)]
    assert Counter(order.label for order in orders) == {"PlayMusic": 20, "GetWeather": 20}
    music = orders[::2]
    assert {order.wish for order in music} == {"play a song", "play an album"}
    assert {order.meaning for order in music} == {"play a song"}
    assert {order.shots for order in music} == {("Play some jazz",), ("Put on a waltz",)}
    assert draw(settings, 7, Random(7)) == orders[7]


def test_cleaning_strips_numbers_labels_and_remarks() -> None:
    answer = '1. Play a\n2) play music: Play b\n- "Play c" (polite)\nSure!\n\n  • Play A!\n\nPlay d is cut he'
    cleaned = clean_lines(answer, label="play music", known=["Play b?"], cut=True)
    assert cleaned.texts == ["Play a", "Play c"]
    assert cleaned.reasons == ["cut", "echo", "not_an_example", "echo"]
    assert clean("5 stars for this book") == "5 stars for this book"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([json.dumps(ROWS[0]), "{oops"], "line 2 is not a JSON object"),
        ([json.dumps({"text": "Play"})], "line 1 lacks 'label'"),
        ([""], "holds no seeds"),
    ],
)
def test_seeds_that_cannot_be_read_name_the_line(tmp_path: Path, lines: list[str], message: str) -> None:
    path = written(tmp_path / "seeds.jsonl", *lines)
    with pytest.raises(RecipeError, match=message):
        LabelledSettings(model="m", seeds=path).check()


def test_a_label_without_a_seed_needs_zero_shot(seeds: str) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, labels=("PlayMusic", "RateBook"))
    with pytest.raises(ValueError, match="labels: 'RateBook' has no seed"):
        settings.check()
    LabelledSettings(model="m", seeds=seeds, labels=("PlayMusic", "RateBook"), method="zero_shot").check()


def test_a_description_of_no_label_is_refused(seeds: str) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, descriptions={"PlayMusik": "play music"})
    with pytest.raises(ValueError, match="descriptions: 'PlayMusik' is no label; the labels are PlayMusic, GetWeather"):
        settings.check()


def test_seeds_are_grouped_in_file_order(seeds: str) -> None:
    assert seeds_by_class(seeds, "text", "label") == {
        "PlayMusic": ("Play some jazz", "Put on a waltz"),
        "GetWeather": ("Will it rain in Graz",),
    }


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('Play a polka"', ["Play a polka"]),  # one in place of twenty
        ("[]", Drop("empty")),
        ("", Drop("empty")),
        ("Sure, here are some ways:", Drop("not_an_example")),
        ("I'm sorry, I cannot do that.", Drop("not_an_example")),
        ('Play some jazz"\n"Put on a waltz"', Drop("echo")),
    ],
)
async def test_what_a_model_does_in_place_of_a_list(seeds: str, answer: str, found: list[str] | Drop) -> None:
    settings = LabelledSettings(model="m", seeds=seeds, n=20)
    context, _ = asking(settings, [answer])
    result = await labelled(Record("0"), context)
    assert ([record["text"] for record in result] if isinstance(result, list) else result) == found


async def asked(settings: LabelledSettings, tickets: int) -> list[str]:
    settings.check()
    prompts = []
    for ticket in range(tickets):
        context, model = asking(settings, ["Please do it"], ticket=ticket)
        await labelled(Record(str(ticket)), context)
        prompts.append(prompt_of(model.requests[0]))
    return prompts


async def test_quotas_say_how_often_each_class_is_asked_for(seeds: str) -> None:
    settings = LabelledSettings(
        model="m", seeds=seeds, task="Ways to", method="zero_shot", quotas={"PlayMusic": 30, "GetWeather": 10}
    )
    prompts = await asked(settings, 8)
    assert ["weather" in prompt for prompt in prompts] == [False, False, True, False] * 2


async def test_a_persona_is_drawn_for_each_ticket(seeds: str, tmp_path: Path) -> None:
    path = written(tmp_path / "personas.jsonl", '{"persona": "A nurse on night shift."}', "", "a bee keeper")
    settings = LabelledSettings(
        model="m", seeds=seeds, task="Ways to", method="zero_shot", labels=("PlayMusic",), personas=path
    )
    assert set(await asked(settings, 12)) == {
        "Ways to play music, as A nurse on night shift would say it. Write one more.",
        "Ways to play music, as a bee keeper would say it. Write one more.",
    }


async def test_hard_tickets_ask_for_a_text_that_could_be_of_another_class(seeds: str) -> None:
    settings = LabelledSettings(
        model="m",
        seeds=seeds,
        task="Ways to",
        method="zero_shot",
        hard=0.5,
        descriptions={"GetWeather": ["hear the forecast", "ask for rain"]},
        labels=("PlayMusic", "GetWeather"),
    )
    prompts = await asked(settings, 40)
    hard = [prompt for prompt in prompts if "mistaken for" in prompt]
    assert 10 <= len(hard) <= 30
    assert any("play music, so that it could be mistaken for: hear the forecast" in prompt for prompt in hard)
    assert any("ask for rain, so that it could be mistaken for: play music" in prompt for prompt in hard)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"quotas": {"PlayMusik": 1}}, "quotas: 'PlayMusik' is no label"),
        ({"quotas": {"PlayMusic": 0}}, "quotas: at least one weight must be above 0"),
        ({"quotas": {"PlayMusic": 1}, "classes": {"PlayMusic": 1.0}}, "give one"),
        ({"quotas": {"PlayMusic": 999_983, "GetWeather": 2}}, "begin anew only after 999,985 tickets"),
        ({"hard": 0.5, "labels": ("PlayMusic",)}, "hard: a text can be taken"),
        ({"personas": ("a", " ")}, "personas: number 2 is blank"),
        ({"wording": Wording(persona="{{ who }}")}, "wording.persona: it inserts 'who'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(seeds: str, more: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, RecipeError), match=message):
        LabelledSettings(**{"model": "m", "seeds": seeds, **more}).check()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "message"),
    [('{"name": "x"}', "line 1 lacks a `persona`"), ("{", "line 1 is not"), ("", "holds no personas")],
)
def test_personas_that_cannot_be_read_are_named_by_line(seeds: str, tmp_path: Path, line: str, message: str) -> None:
    path = written(tmp_path / "personas.jsonl", line)
    with pytest.raises(RecipeError, match=message):
        LabelledSettings(model="m", seeds=seeds, personas=path).check()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any), st.integers(0, 200))
def test_each_cycle_of_turns_has_every_name_as_often_as_wanted(wanted: list[int], ticket: int) -> None:
    quotas = {str(place): count for place, count in enumerate(wanted)}
    length = cycle_length(quotas)
    turns = Counter(mixed(quotas, number) for number in range(ticket * length, (ticket + 1) * length))
    assert {name: count * sum(wanted) // length for name, count in turns.items()} == {
        k: v for k, v in quotas.items() if v
    }
