"""What stands behind `context.chat`: replay, budget, endpoint, journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from zlib import crc32

import msgspec

from streamgen.context import Context
from streamgen.errors import FatalError, StopRun, UnknownName
from streamgen.journal.journal import Journal
from streamgen.llm.budget import Ledger, Reservation
from streamgen.llm.endpoint import Endpoint
from streamgen.llm.model import Request, Response
from streamgen.record import Usage

CallKey: TypeAlias = tuple[int, str, str, int]
"""Ticket, stage, record id, number of the call: what names a call for ever, whatever its prompt was drawn from."""

_encode = msgspec.json.Encoder().encode
_decode_response = msgspec.json.Decoder(Response).decode


class JournaledCaller:
    """Answers from the journal what was paid before, and pays, within the budget, for what was not.

    `stopped_by` holds the first reason for which a call was refused.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        ledger: Ledger,
        journal: Journal,
        *,
        seed: int = 0,
        priorities: Mapping[str, int] | None = None,
        replay: dict[CallKey, Response] | None = None,
        is_enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self.endpoints, self.ledger, self.journal = endpoints, ledger, journal
        self.stopped_by: StopRun | None = None
        self._seed = seed
        self._priorities = priorities or {}
        self._replay = replay or {}
        self._is_enough = is_enough

    async def call(self, context: Context[Any], model: str, request: Request) -> Response:
        """The response to a stage's next call.

        Raises ModelError and EndpointError, and StopRun where no more calls may be sent.
        """
        key = (context.ticket, context.stage, context.record_id, context.asked)
        context.asked += 1
        if stored := self._replay.pop(key, None):
            return stored
        if request.seed is None:
            request = msgspec.structs.replace(request, seed=crc32(repr((self._seed, key)).encode()) & 0x7FFF_FFFF)
        return await self._pay(key, model, request)

    async def _pay(self, key: CallKey, model: str, request: Request) -> Response:
        endpoint = self._endpoint(model)
        estimate = endpoint.estimate(request)
        try:
            if self._is_enough():
                raise StopRun("enough records are accepted")
            reservation = self.ledger.reserve(estimate.tokens, estimate.usd)
        except StopRun as error:
            self.stopped_by = self.stopped_by or error
            raise
        try:
            response = await endpoint.call(request, priority=self._priorities.get(key[1], 0))
        except BaseException as error:
            self._settle_failed(key, model, error, reservation)
            raise
        self.ledger.settle(reservation, response.usage)
        self._note(key, model, request, response)
        return response

    def _settle_failed(self, key: CallKey, model: str, error: BaseException, reservation: Reservation) -> None:
        """Useless answers are paid for all the same."""
        usage = getattr(error, "usage", None)
        if usage is None or not usage.calls:
            self.ledger.refund(reservation)
            return
        self.ledger.settle(reservation, usage)
        ticket, stage, *_ = key
        self.journal.append("wasted", ticket, stage, model, *_paid(usage))

    def _note(self, key: CallKey, model: str, request: Request, response: Response) -> None:
        self.journal.append("calls", *key, model, _encode(request), _encode(response), *_paid(response.usage))

    def _endpoint(self, model: str) -> Endpoint:
        try:
            return self.endpoints[model]
        except KeyError:
            raise UnknownModel("model", model, self.endpoints) from None


class UnknownModel(UnknownName, FatalError):
    """A handler asked for a model that the recipe does not name: a mistake in the program, so the run stops."""


def _paid(usage: Usage) -> tuple[int, int, int, float | None]:
    return usage.prompt_tokens, usage.completion_tokens, usage.calls, usage.cost_usd


def stored_response(body: bytes) -> Response:
    """A response as the journal keeps it."""
    return _decode_response(body)
