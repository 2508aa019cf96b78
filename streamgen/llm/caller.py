"""What stands behind `context.chat`: replay, budget, endpoint, journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

import msgspec

from streamgen.context import Context
from streamgen.errors import FatalError, StopRun, UnknownName
from streamgen.journal.journal import Journal
from streamgen.journal.store import Store
from streamgen.llm.budget import Ledger, Reservation, Seconds
from streamgen.llm.endpoint import Endpoint
from streamgen.llm.model import EmbeddingRequest, Request, Response
from streamgen.llm.spend import Account
from streamgen.llm.tokens import sane
from streamgen.record import NO_USAGE, Usage

if TYPE_CHECKING:
    from streamgen.llm.known import KnownAnswers
    from streamgen.llm.ladder import Ladder

CallKey: TypeAlias = tuple[int, str, str, int]
"""Ticket, stage, record id, number of the call: what names a call for ever, whatever its prompt was drawn from."""

_RUN_ID = "run.id"

_encode = msgspec.json.Encoder().encode
_replace = msgspec.structs.replace

_NOTHING = Reservation()


class JournaledCaller:
    """Answers from the journal what was paid before, and pays, within the budget, for what was not.

    `run_id` is the run's own, of all its sessions: with the call's key it makes the key that servers know the call by.
    `known` are answers that other runs paid for. `stopped_by` holds the first reason for which a call was refused.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        ledger: Ledger,
        journal: Journal,
        *,
        run_id: bytes = b"",
        seed: int = 0,
        priorities: Mapping[str, int] | None = None,
        replay: dict[CallKey, Response] | None = None,
        known: KnownAnswers | None = None,
        is_enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self.endpoints, self.ledger, self.journal = endpoints, ledger, journal
        self.stopped_by: StopRun | None = None
        self.on_paid: Callable[[int, Usage], None] | None = None  # hears what each ticket took, where somebody asks
        self._run_id = run_id
        self._seed = crc32(str(seed).encode())
        self._priorities = priorities or {}
        self._replay = replay or {}
        self._known = known
        self._is_enough = is_enough
        self._ladders: dict[str, Ladder] = {}

    def ladder(self, context: Context[Any], model: str) -> Ladder | None:
        """What is known of the model's structured output; None where the next call is answered from the journal."""
        if (context.ticket, context.stage, context.record_id, context.asked) in self._replay:
            return None
        if model not in self._ladders:
            from streamgen.llm.ladder import Ladder

            self._ladders[model] = Ladder()
        return self._ladders[model]

    def structured(self) -> dict[str, dict[str, dict[str, int]]]:
        """Structured answers by model, rung and form, of this session."""
        return {model: counts for model, ladder in self._ladders.items() if (counts := ladder.statistics())}

    async def call(self, context: Context[Any], model: str, request: Request) -> Response:
        """The response to a stage's next call.

        Raises ModelError and EndpointError, and StopRun where no more calls may be sent.
        """
        key = (context.ticket, context.stage, context.record_id, context.asked)
        context.asked += 1
        if stored := self._replay.pop(key, None):
            if self.on_paid is not None:
                self.on_paid(key[0], stored.usage)
            return stored
        request = self._named(key, request)
        if self._known is not None:
            return await self._find(key, model, request, self._known)
        return await self._pay(key, model, request)

    async def _find(self, key: CallKey, model: str, request: Request, known: KnownAnswers) -> Response:
        """An answer that was paid for before, by whatever run; where there is none, it is paid and kept."""
        if (name := known.name(model, request)) is None:
            return await self._pay(key, model, request)
        if found := known.get(name):
            answer = _replace(found, usage=NO_USAGE)
            self.ledger.account(model, key[1]).cached += 1
            self._note(key, model, request, answer)
            return answer
        response = await self._pay(key, model, request)
        known.put(name, response)
        return response

    def _named(self, key: CallKey, request: Request) -> Request:
        """The request with a seed and an idempotency key of its own, unless it has them: the same in every session.

        A key that begins with a dash is a suffix: the call is asked in another way than the server refused before.
        """
        ticket, stage, record, n = key
        name = f"{ticket}/{stage}/{n}/{record}".encode()
        seed, own = request.seed, request.idempotency_key
        draws = not isinstance(request, EmbeddingRequest)
        return _replace(
            request,
            seed=crc32(name, self._seed) & 0x7FFF_FFFF if seed is None and draws else seed,
            idempotency_key=own if own[:1] > "-" else blake2b(name, key=self._run_id, digest_size=16).hexdigest() + own,
        )

    async def _pay(self, key: CallKey, model: str, request: Request) -> Response:
        endpoint = self._endpoint(model)
        account = self.ledger.account(model, key[1])
        priority = self._priorities.get(key[1], 0)
        reservation, seconds = _NOTHING, None
        if self.ledger.is_open and not self._is_enough():
            self.ledger.take(reservation)
        else:
            reservation = await self._reserve(account, endpoint, request, priority)
            seconds = Seconds(self.ledger)
        try:
            response = await endpoint.call(request, priority=priority, afford=seconds)
        except BaseException as error:
            self._settle_failed(key, account, error, reservation)
            raise
        else:
            self.ledger.settle(reservation, account, response.usage)
            if self.on_paid is not None:
                self.on_paid(key[0], response.usage)
        finally:
            if seconds is not None:
                seconds.refund()
        self._note(key, model, request, response)
        return response

    async def _reserve(self, account: Account, endpoint: Endpoint, request: Request, priority: int) -> Reservation:
        ledger = self.ledger
        expect = partial(_expected, account, endpoint, request) if ledger.weighs else Reservation
        try:
            self._check_wanted()
            if ledger.take(expected := expect()):
                return expected
            granted = await ledger.turn(expect, priority)
            try:
                self._check_wanted()  # it may have waited for long
            except StopRun:
                ledger.refund(granted)
                raise
            return granted
        except StopRun as error:
            self.stopped_by = self.stopped_by or error
            raise

    def _check_wanted(self) -> None:
        if self._is_enough():
            raise StopRun("enough records are accepted")

    def _settle_failed(self, key: CallKey, account: Account, error: BaseException, reservation: Reservation) -> None:
        """Useless answers are paid for all the same."""
        usage = getattr(error, "usage", None)
        if usage is None or not usage.calls:
            self.ledger.refund(reservation)
            return
        usage = sane(usage)
        self.ledger.settle_useless(reservation, account, usage)
        ticket, stage, *_ = key
        if self.on_paid is not None:
            self.on_paid(ticket, usage)
        self.journal.append("wasted", ticket, stage, account.model, *_paid(usage))

    def _note(self, key: CallKey, model: str, request: Request, response: Response) -> None:
        self.journal.append("calls", *key, model, _encode(request), _encode(response), *_paid(response.usage))

    def _endpoint(self, model: str) -> Endpoint:
        try:
            return self.endpoints[model]
        except KeyError:
            raise UnknownModel("model", model, self.endpoints) from None


class UnknownModel(UnknownName, FatalError):
    """A handler asked for a model that the recipe does not name: a mistake in the program, so the run stops."""


def run_id_of(store: Store) -> bytes:
    """What tells this run's calls from those of any other: drawn once, at the run's beginning."""
    if (found := store.fact(_RUN_ID)) is not None:
        return found
    drawn = os.urandom(16)
    store.commit({"facts": [(_RUN_ID, drawn)]})
    return drawn


def _expected(account: Account, endpoint: Endpoint, request: Request) -> Reservation:
    """What a call of this stage will cost; before the first answer of a session, what earlier ones cost on average."""
    if account.answers and not account.learned:
        return Reservation(account.mean_tokens, account.mean_usd)
    estimate = endpoint.estimate(request)
    return Reservation(estimate.tokens, estimate.usd, not account.answers)


def _paid(usage: Usage) -> tuple[int, int, int, float | None]:
    return usage.prompt_tokens, usage.completion_tokens, usage.calls, usage.cost_usd


def stored_response(body: bytes) -> Response:
    """A response as the journal keeps it."""
    return msgspec.json.decode(body, type=Response)
