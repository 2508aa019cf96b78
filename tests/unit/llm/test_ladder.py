"""The ladder of structured output, on endpoints of each kind, and what becomes of it after a resume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import anyio
import pytest

from streamgen.context import Context
from streamgen.llm.ladder import SCOUT_S, Ladder, Rung
from streamgen.llm.model import ChatRequest, Message, Request, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.structured import Unfit
from streamgen.record import Value
from streamgen.settings import Settings
from streamgen.testing import Scripted, prompt_of, scripted
from streamgen.virtual_time import run_virtual

PERSON: dict[str, Value] = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
LOOSE: dict[str, Value] = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 1}}}
LIST: dict[str, Value] = {"type": "array", "items": {"type": "integer"}}

FITS, PROSE, WRONG = '{"age": 36}', "She is 36.", '{"age": "36"}'


def rung_of(request: Request) -> Rung:
    """How the schema was asked for."""
    assert isinstance(request, ChatRequest)
    if request.schema is not None:
        return Rung.JSON_SCHEMA
    said = "JSON Schema" in prompt_of(request) or "JSON Schema" in request.messages[0].content
    assert said
    return Rung.JSON_OBJECT if request.extra.get("response_format") == {"type": "json_object"} else Rung.PROMPT


def bad_request(message: str) -> CallError:
    return CallError(Kind.BAD_REQUEST, f"http://x/v1/chat/completions bad_request: answered 400: {message}", status=400)


def endpoint(*able: Rung, message: str = "response_format is not supported", latency_s: float = 0.0) -> Scripted:
    """A model that refuses the rungs that it is not able to."""

    def answer(request: Request) -> str | Exception:
        return FITS if rung_of(request) in able else bad_request(message)

    return scripted(answer, latency_s=latency_s)


class Caller:
    """One ladder for all, and answers that an earlier session stored."""

    def __init__(self, model: Scripted, stored: Mapping[int, Response] | None = None) -> None:
        self.model, self.stored, self.known = model, dict(stored or {}), Ladder()

    def ladder(self, context: Context[Settings], model: str) -> Ladder | None:
        return None if context.asked in self.stored else self.known

    async def call(self, context: Context[Settings], model: str, request: Request) -> Response:
        number, context.asked = context.asked, context.asked + 1
        if (stored := self.stored.get(number)) is not None:
            return stored
        assert isinstance(request, ChatRequest)
        return await self.model.chat(request)

    def context(self, ticket: int = 0) -> Context[Settings]:
        return Context("stage", Settings(), ticket=ticket, record_id=str(ticket), seed=7, caller=self)


async def ask(caller: Caller, schema: Value = PERSON, context: Context[Settings] | None = None) -> Value:
    return (await (context or caller.context()).structured("m", "How old is Ada?", schema)).value


def rungs(model: Scripted) -> list[Rung]:
    return [rung_of(request) for request in model.requests]


@pytest.mark.parametrize(
    ("able", "tried"),
    [
        (tuple(Rung), [Rung.JSON_SCHEMA]),
        ((Rung.JSON_OBJECT, Rung.PROMPT), [Rung.JSON_SCHEMA, Rung.JSON_OBJECT]),
        ((Rung.PROMPT,), [Rung.JSON_SCHEMA, Rung.JSON_OBJECT, Rung.PROMPT]),
    ],
)
@pytest.mark.parametrize("message", ["response_format is not supported", "Unknown field", "{}"])
async def test_the_surest_rung_that_is_understood_is_found_once(
    able: tuple[Rung, ...], tried: list[Rung], message: str
) -> None:
    caller = Caller(model := endpoint(*able, message=message))
    assert [await ask(caller) for _ in range(3)] == [{"age": 36}] * 3
    assert rungs(model) == [*tried, tried[-1], tried[-1]]
    assert caller.known.statistics() == {tried[-1].value: {"as_is": 3}}


async def test_a_refused_call_gives_its_number_back() -> None:
    caller = Caller(endpoint(Rung.PROMPT))
    context = caller.context()
    await ask(caller, context=context)
    assert (context.asked, len(context.calls)) == (1, 1)


async def test_each_rung_has_an_idempotency_key_of_its_own() -> None:
    await ask(Caller(model := endpoint(Rung.PROMPT)))
    keys = [request.idempotency_key for request in model.requests]
    assert keys == ["", "-json_object", "-prompt"]


async def test_an_endpoint_that_ignores_the_schema_is_told_it_in_the_prompt() -> None:
    caller = Caller(model := scripted(lambda request: PROSE if rung_of(request) is Rung.JSON_SCHEMA else FITS))
    assert [await ask(caller) for _ in range(3)] == [{"age": 36}] * 3
    assert rungs(model) == [Rung.JSON_SCHEMA, *[Rung.JSON_OBJECT] * 3]
    assert caller.known.statistics() == {"json_object": {"as_is": 2, "reasked": 1}}


async def test_one_misfit_among_many_fits_changes_nothing() -> None:
    caller = Caller(model := scripted([FITS, WRONG, FITS, FITS]))
    assert [await ask(caller) for _ in range(3)] == [{"age": 36}] * 3
    assert set(rungs(model)) == {Rung.JSON_SCHEMA}
    assert caller.known.statistics() == {"json_schema": {"as_is": 2, "reasked": 1}}


async def test_a_useless_answer_is_asked_for_once_more_with_what_is_wrong() -> None:
    caller = Caller(model := scripted([WRONG, FITS]))
    assert await ask(caller) == {"age": 36}
    assert isinstance(last := model.requests[1], ChatRequest)
    assert last.messages[:2] == (Message("user", "How old is Ada?"), Message("assistant", WRONG))
    assert "$.age: expected integer, got string" in last.messages[2].content


async def test_a_second_useless_answer_is_the_last() -> None:
    caller = Caller(model := scripted([WRONG, WRONG], repeat=False))
    with pytest.raises(Unfit, match=r"\$\.age: expected integer, got string"):
        await ask(caller)
    assert len(model.requests) == 2
    assert caller.known.statistics() == {"json_object": {"failed": 1}}


async def test_an_answer_that_was_cut_tells_nothing_of_the_endpoint_and_is_not_asked_for_again() -> None:
    caller = Caller(model := scripted([Response("{", finish_reason="length"), FITS], repeat=False))
    with pytest.raises(Unfit, match="max_tokens"):
        await ask(caller)
    await ask(caller)
    assert rungs(model) == [Rung.JSON_SCHEMA] * 2
    assert caller.known.statistics() == {"json_schema": {"failed": 1, "as_is": 1}}


async def test_a_refusal_of_one_schema_leaves_others_on_their_rung() -> None:
    def answer(request: Request) -> str | Exception:
        is_loose = isinstance(request, ChatRequest) and request.schema == LOOSE
        return bad_request("Invalid schema for response_format 'answer': minimum") if is_loose else FITS

    caller = Caller(model := scripted(answer))
    for schema in (LOOSE, PERSON, LOOSE, PERSON):
        await ask(caller, schema)
    forms = [Rung.JSON_SCHEMA, Rung.JSON_OBJECT, Rung.JSON_SCHEMA, Rung.JSON_OBJECT, Rung.JSON_SCHEMA]
    assert rungs(model) == forms


async def test_an_error_about_something_else_does_not_step_down() -> None:
    bad = iter([False, True, False])
    caller = Caller(model := scripted(lambda request: bad_request("too spicy") if next(bad) else FITS))
    await ask(caller)
    with pytest.raises(CallError, match="too spicy"):
        await ask(caller)
    await ask(caller)
    assert rungs(model) == [Rung.JSON_SCHEMA] * 3


async def test_a_request_that_fails_in_every_way_fails_with_the_last_error_and_teaches_nothing() -> None:
    caller = Caller(model := scripted([bad_request("one"), bad_request("two"), bad_request("three"), FITS]))
    with pytest.raises(CallError, match="three"):
        await ask(caller)
    await ask(caller)
    assert rungs(model) == [*Rung, Rung.JSON_SCHEMA]


@pytest.mark.parametrize("kind", [Kind.RATE_LIMITED, Kind.TIMEOUT, Kind.EMPTY])
async def test_other_failures_are_not_about_the_schema(kind: Kind) -> None:
    caller = Caller(model := scripted([CallError(kind, "response_format json_schema"), FITS]))
    with pytest.raises(CallError):
        await ask(caller)
    await ask(caller)
    assert rungs(model) == [Rung.JSON_SCHEMA] * 2


async def test_a_list_is_never_asked_for_as_a_json_object() -> None:
    def answer(request: Request) -> str | Exception:
        return "[1, 2]" if rung_of(request) is Rung.PROMPT else bad_request("response_format")

    caller = Caller(model := scripted(answer))
    assert await ask(caller, LIST) == [1, 2]
    assert rungs(model) == [Rung.JSON_SCHEMA, Rung.PROMPT]


async def test_a_schema_is_sent_strictly_where_it_can_be_and_own_parameters_win() -> None:
    caller = Caller(model := scripted([FITS]))
    await ask(caller, PERSON)
    await ask(caller, LOOSE)
    await caller.context().structured("m", "?", LOOSE, extra={"response_format": {"type": "own"}, "x": 1})
    strict, loose, own = model.requests
    assert isinstance(strict, ChatRequest)
    assert (strict.schema, strict.extra) == ({**PERSON, "additionalProperties": False}, {})
    assert loose.extra["response_format"]["json_schema"] == {"name": "answer", "schema": LOOSE, "strict": False}
    assert own.extra == {"response_format": {"type": "own"}, "x": 1}


async def test_the_schema_stands_in_the_system_message_where_there_is_one() -> None:
    caller = Caller(model := endpoint(Rung.PROMPT))
    await caller.context().structured("m", [Message("system", "Be brief."), Message("user", "Who?")], PERSON)
    assert isinstance(last := model.requests[-1], ChatRequest)
    assert last.messages[0].content.startswith("Be brief.\n\nAnswer with JSON only")
    assert last.messages[1] == Message("user", "Who?")


# Many at once


def many(caller: Caller, number: int = 64) -> float:
    """Seconds until as many calls are answered, all begun at once."""

    async def main() -> float:
        async with anyio.create_task_group() as group:
            for ticket in range(number):
                group.start_soon(ask, caller, PERSON, caller.context(ticket))
        return anyio.current_time()

    return run_virtual(main)


@pytest.mark.parametrize(
    ("able", "counts", "seconds"),
    [
        (tuple(Rung), {Rung.JSON_SCHEMA: 64}, 2),
        ((Rung.JSON_OBJECT, Rung.PROMPT), {Rung.JSON_SCHEMA: 1, Rung.JSON_OBJECT: 64}, 3),
        ((Rung.PROMPT,), {Rung.JSON_SCHEMA: 1, Rung.JSON_OBJECT: 1, Rung.PROMPT: 64}, 4),
    ],
)
def test_of_many_first_calls_one_finds_out_for_all(
    able: tuple[Rung, ...], counts: dict[Rung, int], seconds: int
) -> None:
    caller = Caller(model := endpoint(*able, latency_s=1.0))
    assert many(caller) == seconds
    assert Counter(rungs(model)) == counts


def test_of_many_first_calls_one_is_ignored() -> None:
    answer: Callable[[Request], str] = lambda request: PROSE if rung_of(request) is Rung.JSON_SCHEMA else FITS  # noqa: E731
    caller = Caller(model := scripted(answer, latency_s=1.0))
    assert many(caller) == 3
    assert Counter(rungs(model)) == {Rung.JSON_SCHEMA: 1, Rung.JSON_OBJECT: 64}


def test_nobody_waits_for_ever_for_the_first_answer() -> None:
    caller = Caller(model := endpoint(*Rung, latency_s=100.0))
    assert many(caller) == 100 + SCOUT_S
    assert len(model.requests) == 64


def test_another_goes_ahead_where_the_first_fails() -> None:
    failures = iter([CallError(Kind.TIMEOUT, "slow"), *[None] * 64])
    caller = Caller(model := scripted(lambda request: next(failures) or FITS, latency_s=1.0))

    async def one(ticket: int, failed: list[int]) -> None:
        try:
            await ask(caller, PERSON, caller.context(ticket))
        except CallError:
            failed.append(ticket)

    async def main() -> tuple[float, list[int]]:
        failed: list[int] = []
        async with anyio.create_task_group() as group:
            for ticket in range(64):
                group.start_soon(one, ticket, failed)
        return anyio.current_time(), failed

    assert run_virtual(main) == (3, [0])
    assert len(model.requests) == 64


# Resume


async def test_a_resumed_ticket_gets_its_stored_answers_on_whatever_rung_the_endpoint_is() -> None:
    stored = {0: Response(WRONG), 1: Response('{"age": 37}')}
    for able in (tuple(Rung), (Rung.PROMPT,)):
        caller = Caller(model := endpoint(*able), stored)
        assert await ask(caller) == {"age": 37}
        assert (model.requests, caller.known.statistics()) == ([], {})
        assert caller.known.rung is Rung.JSON_SCHEMA


async def test_a_ticket_that_was_cut_off_before_its_second_answer_asks_for_that_alone() -> None:
    caller = Caller(model := endpoint(Rung.PROMPT), {0: Response(WRONG)})
    assert await ask(caller) == {"age": 36}
    assert rungs(model) == list(Rung)
    assert caller.known.statistics() == {"prompt": {"reasked": 1}}
