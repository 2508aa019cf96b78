"""Structured output on any endpoint: three ways to ask for it, the best that the endpoint understands.

What an endpoint can do is found out by use: the first call of all that want a schema goes ahead, and the others wait
for what it learns, but not for long.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum

import anyio
import msgspec

from streamgen.llm.model import Message
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.shape import Shape
from streamgen.record import Value

SCOUT_S = 5.0  # how long calls wait for the first one's answer: about as long as an answer takes

_NAMED = re.compile(
    r"response[_ -]?format|json[_ -]?schema|json[_ -]?object|json[_ -]?mode|structured|guided|grammar", re.IGNORECASE
)
# A refusal of this very schema: another one may be fine.
_THIS_SCHEMA = re.compile(
    r"invalid[_ ](?:json[_ ])?schema|(?:schema|grammar)\W+(?:is|was|too|has) \w*(?:invalid|large|complex|deep|many)|"
    r"(?:parse|convert|compile|parsing|converting|compiling)\b.{0,40}(?:schema|grammar)",
    re.IGNORECASE,
)


class Rung(StrEnum):
    """How an answer's schema is asked for, the surest way first."""

    JSON_SCHEMA = "json_schema"  # the server holds the answer to the schema
    JSON_OBJECT = "json_object"  # the server holds it to JSON, the prompt says the schema
    PROMPT = "prompt"  # the prompt alone says it


class Ladder:
    """What is known of an endpoint's structured output, and how it went: for all stages that use the endpoint.

    It only ever steps down: after a refusal that names the response format, or when more answers ignored the schema
    than fitted it.
    """

    def __init__(self) -> None:
        self.rung = Rung.JSON_SCHEMA
        self.counts: Counter[tuple[Rung, str]] = Counter()
        self._lower: dict[Shape, Rung] = {}  # for single schemas
        self._known = {Rung.PROMPT}  # rungs that were answered on
        self._fits = self._misses = 0
        self._scout: anyio.Event | None = None

    def rung_for(self, shape: Shape) -> Rung:
        """The rung to ask on."""
        rung = max(self.rung, self._lower.get(shape, self.rung), key=_ORDER.index)
        return Rung.PROMPT if rung is Rung.JSON_OBJECT and not shape.is_object else rung

    def below(self, rung: Rung, shape: Shape) -> Rung | None:
        """The next rung under this one, None under the last."""
        if rung is Rung.PROMPT:
            return None
        return Rung.JSON_OBJECT if rung is Rung.JSON_SCHEMA and shape.is_object else Rung.PROMPT

    def knows(self, rung: Rung) -> bool:
        """Whether the endpoint has answered on this rung."""
        return rung in self._known

    def is_refusal(self, rung: Rung, error: CallError) -> bool:
        """Whether the error may be about how the schema was asked for.

        A server that is known to understand it, and does not name it, means something else.
        """
        if error.kind not in (Kind.BAD_REQUEST, Kind.SERVER):
            return False
        return names_format(error) or (error.kind is Kind.BAD_REQUEST and not self.knows(rung))

    def refused(self, rung: Rung, shape: Shape, error: CallError) -> None:
        """Note that the server does not take calls on this rung, or not with this schema."""
        lower = self.below(rung, shape) or rung
        if _THIS_SCHEMA.search(str(error)):
            self._lower[shape] = lower
        elif _ORDER.index(lower) > _ORDER.index(self.rung):
            self.rung = lower

    def answered(self, rung: Rung) -> None:
        """Note that the server took a call on this rung."""
        self._known.add(rung)

    def learn(self, rung: Rung, fits: bool) -> None:
        """Note whether a whole answer fitted. Where the server holds answers to the schema, hardly one does not."""
        if rung is not Rung.JSON_SCHEMA:
            return
        self._fits += fits
        self._misses += not fits
        if self.rung is rung and self._misses > self._fits:
            self.rung = Rung.JSON_OBJECT

    @asynccontextmanager
    async def asking(self, shape: Shape) -> AsyncIterator[None]:
        """The time of one call. The first one goes ahead while nothing is known of its rung."""
        while self._scout is not None and not self.knows(self.rung_for(shape)):
            with anyio.move_on_after(SCOUT_S) as patience:
                await self._scout.wait()
            if patience.cancelled_caught:
                break
        if self._scout is not None or self.knows(self.rung_for(shape)):
            yield
            return
        scout = self._scout = anyio.Event()
        try:
            yield
        finally:
            self._scout = None
            scout.set()

    def statistics(self) -> dict[str, dict[str, int]]:
        """Answers by rung and form: as_is, fenced, repaired, reasked, failed."""
        found: dict[str, dict[str, int]] = {}
        for (rung, form), count in sorted(self.counts.items(), key=lambda item: (_ORDER.index(item[0][0]), item[0][1])):
            found.setdefault(rung.value, {})[form] = count
        return found

    def __repr__(self) -> str:
        return f"<Ladder on {self.rung}{'' if self.knows(self.rung) else '?'}: {self.statistics()}>"


_ORDER = list(Rung)


def names_format(error: CallError) -> bool:
    """Whether the server's message speaks of the response format."""
    return _NAMED.search(str(error)) is not None


def on_rung(
    rung: Rung, messages: tuple[Message, ...], shape: Shape, parameters: Mapping[str, Value]
) -> tuple[tuple[Message, ...], dict[str, Value]]:
    """The messages and parameters of a call that asks for the shape in this way."""
    if rung is Rung.JSON_SCHEMA:
        if shape.strict is not None:
            return messages, {**parameters, "schema": shape.strict}
        form = {"name": "answer", "schema": shape.schema, "strict": False}
        wanted: Value = {"type": "json_schema", "json_schema": form}
        return messages, {**parameters, "schema": shape.schema, "extra": _extra(parameters, wanted)}
    asked = _with_schema(messages, shape)
    parameters = {**parameters, "idempotency_key": f"-{rung}"}  # another key than that of the call that was refused
    if rung is Rung.PROMPT:
        return asked, parameters
    return asked, {**parameters, "extra": _extra(parameters, {"type": "json_object"})}


def _extra(parameters: Mapping[str, Value], wanted: Value) -> dict[str, Value]:
    return {"response_format": wanted, **parameters.get("extra", {})}


def wish(shape: Shape) -> str:
    """The schema in words that a model understands."""
    return f"Answer with JSON only, without any other text. It must fit this JSON Schema:\n{shape.text}"


def _with_schema(messages: tuple[Message, ...], shape: Shape) -> tuple[Message, ...]:
    """The schema in the system message, where servers cache it, or else behind the last message."""
    at = 0 if messages[0].role == "system" else len(messages) - 1
    said = msgspec.structs.replace(messages[at], content=f"{messages[at].content}\n\n{wish(shape)}")
    return (*messages[:at], said, *messages[at + 1 :])
