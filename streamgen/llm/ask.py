"""One structured answer: asked for, read, asked for once more with what did not fit, or given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from streamgen.context import Context
from streamgen.llm.ladder import Ladder, Rung, names_format, on_rung, wish
from streamgen.llm.model import Message, Response
from streamgen.llm.retry import CallError
from streamgen.llm.shape import Shape
from streamgen.llm.structured import CutUnfit, Found, Unfit, read
from streamgen.record import Value

_REPEATED = 20_000  # characters of a useless answer that are shown to the model again

Parameters: TypeAlias = Mapping[str, Value]


class Structured(NamedTuple):
    """A value that fits its schema, and the response that it came in."""

    value: Value
    response: Response


class _Answer(NamedTuple):
    response: Response
    rung: Rung
    ladder: Ladder
    is_fresh: bool  # it tells of the endpoint as it is now

    def note(self, outcome: str) -> None:
        if self.is_fresh:
            self.ladder.counts[self.rung, outcome] += 1


async def ask(
    context: Context[Any], model: str, messages: tuple[Message, ...], shape: Shape, parameters: Parameters
) -> Structured:
    """The value in the model's answer. Raises Unfit for one that does not fit the second time either.

    Each answer is one call of the ticket; a call that the server refused for how it asked gives its number back. So a
    resumed ticket meets its stored answers in their order, on whatever rung the endpoint is by then.
    """
    answer = await _answered(context, model, messages, shape, parameters)
    try:
        found = _read(answer, shape, learn=True)
    except CutUnfit:
        answer.note("failed")
        raise
    except Unfit as error:
        answer = await _answered(context, model, _again(messages, answer, shape, error), shape, parameters)
        found = _read_last(answer, shape)
        answer.note("reasked")
    else:
        answer.note(found.form)
    return Structured(found.value, answer.response)


def _read(answer: _Answer, shape: Shape, *, learn: bool = False) -> Found:
    form: str | None = None
    is_cut = answer.response.finish_reason == "length"
    try:
        found = read(answer.response.text, shape)
        form = found.form
        return found
    except Unfit as error:
        if is_cut:
            raise CutUnfit(f"{error}; it was cut at `max_tokens`, raise it") from None
        raise
    finally:
        if learn and answer.is_fresh and not is_cut:
            answer.ladder.learn(answer.rung, form is not None)


def _read_last(answer: _Answer, shape: Shape) -> Found:
    try:
        return _read(answer, shape)
    except Unfit:
        answer.note("failed")
        raise


def _again(messages: tuple[Message, ...], answer: _Answer, shape: Shape, error: Unfit) -> tuple[Message, ...]:
    said = answer.response.text[:_REPEATED] or "(nothing)"
    return (*messages, Message("assistant", said), Message("user", f"That is not it: {error}\n\n{wish(shape)}"))


async def _answered(
    context: Context[Any], model: str, messages: tuple[Message, ...], shape: Shape, parameters: Parameters
) -> _Answer:
    ladder = context.ladder(model)
    if ladder is None:  # the answer is stored
        return await _from_journal(context, model, messages, shape, parameters)
    if ladder.knows(ladder.rung_for(shape)):
        return await _down_from(ladder, context, model, messages, shape, parameters)
    async with ladder.asking(shape):
        return await _down_from(ladder, context, model, messages, shape, parameters)


async def _from_journal(
    context: Context[Any], model: str, messages: tuple[Message, ...], shape: Shape, parameters: Parameters
) -> _Answer:
    ladder = Ladder()
    asked, how = on_rung(ladder.rung, messages, shape, parameters)
    return _Answer(await context.chat(model, asked, **how), ladder.rung, ladder, False)


async def _down_from(
    ladder: Ladder, context: Context[Any], model: str, messages: tuple[Message, ...], shape: Shape, given: Parameters
) -> _Answer:
    """The answer on the first rung that the server takes. Raises its last refusal where it takes none."""
    rung = ladder.rung_for(shape)
    refusals: list[tuple[Rung, CallError]] = []
    while True:
        number = context.asked
        asked, how = on_rung(rung, messages, shape, given)
        try:
            response = await context.chat(model, asked, **how)
        except CallError as error:
            lower = ladder.below(rung, shape)
            if lower is None or not ladder.is_refusal(rung, error):
                raise
            if context.asked == number + 1:  # no other call of this ticket was numbered meanwhile
                context.asked = number
            refusals.append((rung, error))
            if names_format(error):
                ladder.refused(rung, shape, error)
            rung = lower
        else:
            for above, refusal in refusals:
                ladder.refused(above, shape, refusal)
            ladder.answered(rung)
            return _Answer(response, rung, ladder, True)
