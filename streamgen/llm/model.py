"""What a model is asked and what it answers: the one protocol that every provider implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from streamgen.llm.told import Told
from streamgen.record import NO_USAGE, Usage, Value

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class Sampling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How tokens are drawn; what is None is left to the endpoint. `logprobs` asks how likely each of them was."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repeat_penalty: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    logprobs: bool | None = None
    extra: Mapping[str, Value] = {}


class Call(Sampling, frozen=True, kw_only=True, omit_defaults=True):
    """What every request has.

    `idempotency_key` names the call over its retries, for servers that answer a repeated call from memory; it travels
    as a header, never in the body.
    """

    idempotency_key: str = ""


class ChatRequest(Call, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation to be continued; `schema` is the JSON Schema that the answer must fit."""

    messages: tuple[Message, ...]
    schema: Mapping[str, Value] | None = None


class CompletionRequest(Call, frozen=True, kw_only=True, omit_defaults=True):
    """Raw text to be continued, without a chat template."""

    prompt: str


class EmbeddingRequest(Call, frozen=True, kw_only=True, omit_defaults=True):
    """Texts whose vectors are asked for."""

    texts: tuple[str, ...]


Request: TypeAlias = ChatRequest | CompletionRequest | EmbeddingRequest


class Response(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model wrote. `finish_reason` is "stop", "length" (cut at `max_tokens`) or the endpoint's own word.

    `told` is what the server said of its limits; the endpoint takes it in and hands the response on without it.
    `logprob` is the mean of the tokens' log-probabilities, where they were asked for. An answer to texts to be embedded
    has no text, but a vector for each: `llm/embeddings.py` reads them.
    """

    text: str
    finish_reason: str = "stop"
    usage: Usage = NO_USAGE
    model: str = ""
    reasoning: str | None = None
    told: Told | None = None
    logprob: float | None = None
    vectors: tuple[bytes, ...] = ()


class Model(Protocol):
    """One model behind one endpoint. Implementations raise `CallError` (see `llm/retry.py`) by kind.

    They make one attempt: limits, retries, budget and journal stand around them.
    """

    async def chat(self, request: ChatRequest) -> Response:
        """The assistant's next message."""
        ...

    async def complete(self, request: CompletionRequest) -> Response:
        """The prompt's continuation."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and memory; calling it twice is fine."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A model that also makes vectors of texts."""

    async def embed(self, request: EmbeddingRequest) -> Response:
        """A vector for each text, in `Response.vectors`."""
        ...


Conversation: TypeAlias = str | Sequence[Message | Mapping[str, str]]
"""A user's message, or the turns so far."""


def as_messages(conversation: Conversation) -> tuple[Message, ...]:
    """The conversation as messages; a plain string is one user message.

    >>> as_messages("hi")
    (Message(role='user', content='hi'),)
    """
    if isinstance(conversation, str):
        return (Message("user", conversation),)
    return tuple([turn if isinstance(turn, Message) else msgspec.convert(turn, Message) for turn in conversation])
