"""Conversations: who is asked what, how they end, what trainers learn from, and what useless models come to."""

from __future__ import annotations

from typing import Any

import pytest
from asking import asking

from streamgen.engine.stage import Drop, Result
from streamgen.generate._conversation_prompts import Wording
from streamgen.generate.conversation import ConversationSettings, conversation
from streamgen.llm.model import ChatRequest, Response
from streamgen.record import Record
from streamgen.testing import Answers, Scripted

RECORD = Record("0", {"who": "a baker", "q": "When do you open?"})


def settings(**more: Any) -> ConversationSettings:
    made = ConversationSettings(**{"model": "m", "about": "They are {{ who }}.", **more})
    made.check()
    return made


async def talked(script: Answers, ticket: int = 0, **more: Any) -> tuple[Result, Scripted]:
    context, model = asking(settings(**more), script, ticket=ticket)
    return await conversation(RECORD, context), model


def turns(result: Result) -> list[tuple[str, str]]:
    assert isinstance(result, Record)
    return [(turn["role"], turn["content"]) for turn in result["messages"]]


async def test_user_and_assistant_take_turns_and_each_sees_the_other_as_the_other() -> None:
    result, model = await talked(["Hi", "Hello!", "Bread?", "Yes."], system="Be kind to {{ who }}.")
    assert turns(result) == [
        ("system", "Be kind to a baker."), ("user", "Hi"), ("assistant", "Hello!"), ("user", "Bread?"),
        ("assistant", "Yes."),
    ]  # fmt: skip
    assert isinstance(result, Record) and result.meta.scores == {"stage": 2.0}
    asked = [
        [(each.role, each.content) for each in request.messages]
        for request in model.requests
        if isinstance(request, ChatRequest)
    ]
    assert "They are a baker." in asked[0][0][1] and "[END]" in asked[0][0][1]
    assert asked[1] == [("system", "Be kind to a baker."), ("user", "Hi")]
    assert asked[2][1:] == [("user", "Write the first message."), ("assistant", "Hi"), ("user", "Hello!")]
    assert asked[3] == [("system", "Be kind to a baker."), ("user", "Hi"), ("assistant", "Hello!"), ("user", "Bread?")]


async def test_a_first_message_of_the_users_own_is_not_asked_for() -> None:
    result, model = await talked(["At six."], first="{{ q }}", turns=1)
    assert turns(result) == [("user", "When do you open?"), ("assistant", "At six.")]
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("learn", "weights"), [("assistant", [0, 1, 0, 1]), ("last", [0, 0, 0, 1]), ("unmarked", [None] * 4)]
)
async def test_weights_say_what_is_learned(learn: str, weights: list[int | None]) -> None:
    result, _ = await talked(["a", "b", "c", "d"], learn=learn)
    assert isinstance(result, Record)
    assert [turn.get("weight") for turn in result["messages"]] == weights


@pytest.mark.parametrize(
    "ending",
    ["[END]", "", "hi!", "hello", "Assistant: I go on alone"],
    ids=["word", "nothing", "again", "echo", "other"],
)
async def test_a_conversation_ends_where_the_user_has_no_more_to_say(ending: str) -> None:
    result, model = await talked(["Hi", "Hello!", ending], turns=5)
    assert turns(result) == [("user", "Hi"), ("assistant", "Hello!")]
    assert len(model.requests) == 3


async def test_a_phrase_of_parting_is_answered_and_ends_it() -> None:
    result, _ = await talked(["Hi", "Hello!", "Thanks, goodbye!", "Bye."], turns=5, ends_with=("goodbye",))
    assert turns(result)[-1] == ("assistant", "Bye.")


async def test_the_simulators_marks_are_taken_off() -> None:
    result, _ = await talked(['User: "Hi there"', "Hello!"], turns=1)
    assert turns(result)[0] == ("user", "Hi there")


async def test_turns_follow_their_weights_ticket_by_ticket() -> None:
    counts = []
    for ticket in range(60):
        result, _ = await talked([str(n) for n in range(12)], ticket, turns={"1": 1.0, "3": 2.0, "6": 0.0})
        assert isinstance(result, Record)
        counts.append(int(result.meta.scores["stage"]))
    assert set(counts) == {1, 3} and 12 <= counts.count(1) <= 28


@pytest.mark.parametrize(
    ("script", "more", "reason"),
    [
        ([""], {}, "empty"),
        (["[END]"], {}, "empty"),
        (["Hi", ""], {}, "empty"),
        (["Hi", Response("Well, it", "length")], {}, "truncated"),
        (["Hi", "Hello!", "[END]"], {"min_turns": 2}, "too_few_turns"),
    ],
)
async def test_what_is_no_conversation_is_dropped_for_a_reason(script: Answers, more: Any, reason: str) -> None:
    assert (await talked(script, **more))[0] == Drop(reason)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"about": "{{ who "}, "about: "),
        ({"turns": {}}, "turns: weights of numbers are needed"),
        ({"turns": {"many": 1.0}}, "turns: 'many' is no number of turns"),
        ({"turns": 2, "min_turns": 3}, "min_turns: 3 is above the most turns, 2"),
        ({"wording": Wording(user="{{ name }}")}, "wording.user: it inserts 'name'; there is about, end"),
        ({"wording": Wording(end=" ")}, "wording.end: "),
    ],
)
def test_settings_that_cannot_be_right_are_refused(more: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings(**more)
