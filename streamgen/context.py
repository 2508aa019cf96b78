"""All that a handler may touch beside its record: settings, randomness, models, a log."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from streamgen.errors import EndpointError
from streamgen.llm.model import (
    ChatRequest,
    CompletionRequest,
    Conversation,
    EmbeddingRequest,
    Request,
    Response,
    as_messages,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from structlog.typing import FilteringBoundLogger

    from streamgen.llm.ask import Structured
    from streamgen.llm.ladder import Ladder
    from streamgen.llm.shape import SchemaLike

S_co = TypeVar("S_co", covariant=True)


class Caller(Protocol):
    """Sends a request on behalf of a ticket's stage: replay, budget, limits, retry and journal are behind it."""

    async def call(self, context: Context[Any], model: str, request: Request) -> Response:
        """The response, from the journal where this call was paid before. Raises ModelError, BudgetExhausted."""
        ...

    def ladder(self, context: Context[Any], model: str) -> Ladder | None:
        """What is known of the model's structured output; None where the next call is answered from the journal."""
        ...


class StageContext(Generic[S_co]):
    """What a batch handler gets: the stage's settings under the trial that all records of the batch belong to."""

    def __init__(self, stage: str, settings: S_co) -> None:
        self.stage = stage
        self.settings: S_co = settings

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """A structlog logger that knows the stage."""
        from streamgen.log import get_logger

        return get_logger(stage=self.stage)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stage}>"


class Context(StageContext[S_co]):
    """What a handler gets with each record. The same seed, ticket, stage and record give the same `rng`."""

    def __init__(self, stage: str, settings: S_co, *, ticket: int, record_id: str, seed: int, caller: Caller) -> None:
        super().__init__(stage, settings)
        self.ticket = ticket
        self.record_id = record_id
        self.calls: list[Response] = []  # answered so far, for the provenance of the results
        self.asked = 0  # the number of the next call: with ticket, stage and record it names the call for ever
        self._seed = seed
        self._caller = caller

    @cached_property
    def rng(self) -> Random:
        """This ticket's random generator at this stage; nothing else draws from it."""
        return Random(f"{self._seed}/{self.ticket}/{self.stage}/{self.record_id}")

    def shared_rng(self, of: str) -> Random:
        """A generator that is the same for all tickets of the run at this stage, another one for each `of`."""
        return Random(f"{self._seed}/{self.stage}/{of}")

    def chat(self, model: str, messages: Conversation, **parameters: Any) -> Coroutine[Any, Any, Response]:
        """The assistant's answer; `parameters` are fields of `ChatRequest` (temperature, max_tokens, schema, ...)."""
        return self._call(model, ChatRequest(messages=as_messages(messages), **parameters))

    async def structured(self, model: str, messages: Conversation, schema: SchemaLike, **parameters: Any) -> Structured:
        """The answer as a value that fits the schema, on any endpoint, with the response that it came in.

        `schema` is a JSON Schema, the path of a file with one, or a msgspec Struct. A useless answer is asked for once
        more. Raises Unfit (a ModelError), which says what does not fit at `$.path`.
        """
        from streamgen.llm.ask import ask
        from streamgen.llm.shape import shape_of

        return await ask(self, model, as_messages(messages), shape_of(schema), parameters)

    def ladder(self, model: str) -> Ladder | None:
        """What is known of the model's structured output; None where the next call is answered from the journal."""
        return self._caller.ladder(self, model)

    def complete(self, model: str, prompt: str, **parameters: Any) -> Coroutine[Any, Any, Response]:
        """The continuation of a raw prompt. `parameters` are the fields of `CompletionRequest`."""
        return self._call(model, CompletionRequest(prompt=prompt, **parameters))

    async def embed(self, model: str, texts: Sequence[str], **parameters: Any) -> NDArray[np.float32]:
        """A row of unit length for each text, from an endpoint that makes vectors; one call for all.

        It is paid, limited, retried, kept in the journal and answered from it as a chat is. No text should be empty:
        some endpoints refuse the whole call for one.
        """
        from streamgen.llm.embeddings import matrix

        if not texts:
            return matrix(())
        response = await self._call(model, EmbeddingRequest(texts=tuple(texts), **parameters))
        return matrix(response.vectors)

    async def _call(self, model: str, request: Request) -> Response:
        response = await self._caller.call(self, model, request)
        if request.logprobs and response.logprob is None:
            raise EndpointError(
                f"stage {self.stage!r} asks for log-probabilities (logprobs = true), but the model {model!r} gives "
                "none: take the setting out, or use an endpoint that gives them"
            )
        self.calls.append(response)
        return response
