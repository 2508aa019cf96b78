"""The OpenAI dialect: what most servers speak (OpenAI, vLLM, llama.cpp, SGLang, TGI, OpenRouter)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from streamgen import __version__
from streamgen.errors import RecipeError
from streamgen.llm.connection import Answer as HttpAnswer
from streamgen.llm.connection import NoHttp, TooLong
from streamgen.llm.embeddings import read_vectors
from streamgen.llm.logprobs import in_dialect, mean_of
from streamgen.llm.model import ChatRequest, CompletionRequest, EmbeddingRequest, Request, Response
from streamgen.llm.proxy import proxy_for
from streamgen.llm.refusal import (
    is_page,
    kind_of_error,
    kind_of_exception,
    kind_of_status,
    quote,
    quote_error,
    quote_exception,
)
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.spec import ModelSpec, resolve_headers, resolve_key
from streamgen.llm.sse import Cut, Stream
from streamgen.llm.told import Listener, Told
from streamgen.llm.told_values import wait_in_text
from streamgen.llm.transport import Timeouts, Transport
from streamgen.llm.wire import Answer, Choice, Unreadable, decode, usage_of
from streamgen.record import NO_USAGE, Usage, Value

_SECRET = 6  # characters of a header's value that make it worth hiding
_ASKS = {
    "Accept": "application/json, text/event-stream",
    "Accept-Encoding": "identity",  # to inflate an answer costs more than to receive it
    "User-Agent": f"streamgen/{__version__}",
}

_encode = msgspec.json.Encoder().encode


class OpenAIModel:
    """A `Model` behind an OpenAI-compatible address. One attempt a call; every failure is a CallError by kind.

    With `stream` answers come as server-sent events, and are handed on whole all the same. `proxy` is an address.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        headers: Mapping[str, str] | None = None,
        *,
        first_byte_timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
        stream: bool = False,
        proxy: str | None = None,
    ) -> None:
        base = _checked(base_url)
        self._base, self._path = _shown(base), base.path.rstrip("/")
        self._query = f"?{base.query}" if base.query else ""  # Azure's api-version, for one
        self._model = model
        self._fixed: dict[str, object] = {"model": model}
        if stream:
            self._fixed |= {"stream": True, "stream_options": {"include_usage": True}}
        self._start = _encode(self._fixed)[:-1] + b","
        self._is_streamed = stream
        # Some servers quote the key that they refuse.
        password = urlsplit(proxy or "").password or ""
        secrets = (api_key, password, unquote(password), *(headers or {}).values())
        self._secrets = [secret for secret in secrets if secret and len(secret) >= _SECRET]
        authorization = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._transport = Transport(
            base_url,
            {**_ASKS, **(headers or {}), **authorization},
            Timeouts(timeout_s, first_byte_timeout_s, idle_timeout_s),
            proxy,
        )
        self._listener = Listener()

    async def chat(self, request: ChatRequest) -> Response:
        """The assistant's next message; `reasoning` where the server tells it apart."""
        return await self._ask("/chat/completions", request)

    async def complete(self, request: CompletionRequest) -> Response:
        """The prompt's continuation."""
        return await self._ask("/completions", request)

    async def embed(self, request: EmbeddingRequest) -> Response:
        """A vector for each text."""
        path, count = "/embeddings", len(request.texts)
        body = self._encoded({"model": self._model, "input": request.texts, **request.extra})
        answer = await self._post(path, body, request.idempotency_key)
        told = self._listener.answered(answer.headers) if self._listener.listens else None
        try:
            vectors, usage, model = read_vectors(answer.body, count)
        except Unreadable as error:
            if is_page(answer):
                raise self._refusal(self._base + path, answer, answer.body) from error
            raise self._error(Kind.MALFORMED, self._base + path, f"no vectors ({error})", told=told) from error
        return Response("", usage=usage, model=model or self._model, told=told, vectors=vectors)

    async def ask(self, path: str, fields: Mapping[str, Value] | None = None) -> tuple[int, bytes]:
        """Status and body of what the server says at a path; a POST of the fields where there are any.

        For questions that are no calls. Raises OSError, NoHttp and TooLong.
        """
        body = None if fields is None else _encode({"model": self._model, **fields})
        return await self._transport.ask(f"{self._path}/{path}{self._query}", body)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._transport.aclose()

    def __repr__(self) -> str:
        return f"<OpenAIModel {self._model} at {self._base}>"

    async def _ask(self, path: str, request: Request) -> Response:
        stream = Stream() if self._is_streamed else None
        answer = await self._post(path, self._body(request), request.idempotency_key, stream.feed if stream else None)
        url = self._base + path
        told = self._listener.answered(answer.headers) if self._listener.listens else None
        return self._response(self._decode(url, answer, stream), url, told)

    async def _post(self, path: str, body: bytes, key: str, take: Callable[[bytes], bool] | None = None) -> HttpAnswer:
        """The server's answer. Raises CallError where it is none."""
        url = self._base + path
        try:
            answer = await self._transport.post(self._path + path + self._query, body, key, take)
        except (OSError, NoHttp, TooLong, Unreadable) as error:  # TimeoutError is an OSError
            raise self._error(kind_of_exception(error), url, quote_exception(error)) from error
        if answer.status != HTTPStatus.OK:
            raise self._refusal(url, answer, answer.body)
        return answer

    def _body(self, request: Request) -> bytes:
        """The request's fields are named as in the dialect: it is encoded as it is, behind the model's name."""
        schema = request.schema if isinstance(request, ChatRequest) else None
        try:
            if request.idempotency_key:
                request = msgspec.structs.replace(request, idempotency_key="")
            if schema is None and not request.extra and not request.logprobs:
                return self._start + _encode(request)[1:]
            fields = msgspec.to_builtins(request)
        except (UnicodeEncodeError, TypeError) as error:
            raise _unwritable(error) from error
        extra = fields.pop("extra", {})
        if fields.pop("schema", None) is not None:
            form = {"name": "answer", "schema": schema, "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": form}
        if request.logprobs:
            fields |= in_dialect(request)
        return self._encoded({**self._fixed, **fields, **extra})

    def _encoded(self, fields: Mapping[str, Value]) -> bytes:
        try:
            return _encode(fields)
        except (UnicodeEncodeError, TypeError) as error:
            raise _unwritable(error) from error

    def _decode(self, url: str, answer: HttpAnswer, stream: Stream | None) -> Answer:
        try:
            return stream.answer() if stream else decode(answer.body)
        except Cut as error:
            raise self._error(Kind.RESET, url, str(error)) from error
        except Unreadable as error:
            sent = stream.sent if stream else answer.body
            if is_page(answer):
                raise self._refusal(url, answer, sent) from error
            raise self._error(Kind.MALFORMED, url, f"unreadable answer ({error}): {quote(sent)}") from error

    def _response(self, answer: Answer, url: str, told: Told | None) -> Response:
        usage = usage_of(answer.usage)
        if not answer.choices:
            raise self._without_choices(answer, url, usage, told)
        choice = answer.choices[0]
        message = choice.message
        text = message.content if message else choice.text
        if not text:
            raise self._without_text(choice, url, usage, told)
        reasoning = (message.reasoning_content or message.reasoning) if message else None
        logprob = mean_of(choice.logprobs.values()) if choice.logprobs else None
        model = answer.model or self._model
        return Response(text, choice.finish_reason or "stop", usage, model, reasoning, told, logprob)

    def _without_choices(self, answer: Answer, url: str, usage: Usage, told: Told | None) -> CallError:
        if answer.error is not None:
            said = f"an error in place of an answer: {quote_error(answer.error)}"
            return self._error(kind_of_error(answer.error), url, said, told=told)
        if answer.choices is None:
            return self._error(Kind.MALFORMED, url, "an answer without `choices`", told=told)
        return self._error(Kind.EMPTY, url, "an answer without choices", usage=usage, told=told)

    def _without_text(self, choice: Choice, url: str, usage: Usage, told: Told | None) -> CallError:
        if choice.finish_reason == "length":
            said = "`max_tokens` used up before any text; raise it"
            return self._error(Kind.TRUNCATED, url, said, usage=usage, told=told)
        said = f"an answer without text ({choice.finish_reason})"
        return self._error(Kind.EMPTY, url, said, usage=usage, told=told)

    def _refusal(self, url: str, answer: HttpAnswer, data: bytes) -> CallError:
        kind, said = kind_of_status(answer.status, data, page=is_page(answer)), quote(data)
        if kind is Kind.NOT_AN_API:
            to = answer.headers.get("location")
            said = f"a redirect to {_shown(urlsplit(to))}" if to else f"no API but a web page: {said}"
        if answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            said = f"the proxy wants a user and a password, see `proxy`: {said}"
        told = self._listener.refused(answer.headers, wait_in_text(data))
        return self._error(kind, url, said, status=answer.status, told=told)

    def _error(
        self,
        kind: Kind,
        url: str,
        said: str,
        *,
        status: int | None = None,
        usage: Usage = NO_USAGE,
        told: Told | None = None,
    ) -> CallError:
        for secret in self._secrets:
            said = said.replace(secret, "***")
        answered = f"answered {status}: {said}" if status else said
        return CallError(kind, f"{url} {kind}: {answered}", status=status, usage=usage, told=told)


def _unwritable(error: Exception) -> CallError:
    return CallError(Kind.BAD_REQUEST, f"the request cannot be written as JSON: {error}")


def open_openai(spec: ModelSpec) -> OpenAIModel:
    """The model that a recipe's `provider = "openai"` names. Raises RecipeError for what is missing in it."""
    if not spec.base_url:
        raise RecipeError('`base_url` is missing, the address of the API, as "http://127.0.0.1:8000/v1"', "base_url")
    if not spec.model:
        raise RecipeError("`model` is missing, the name under which the endpoint knows the model", "model")
    for name in ("path", "context", "slots", "threads"):
        if getattr(spec, name) is not None:
            raise RecipeError(f'`{name}` is for models that run here (provider = "local")', name)
    return OpenAIModel(
        spec.base_url,
        spec.model,
        resolve_key(spec.api_key, "api_key"),
        spec.timeout_s,
        resolve_headers(spec.headers),
        first_byte_timeout_s=spec.first_byte_timeout_s,
        idle_timeout_s=spec.idle_timeout_s,
        stream=spec.stream,
        proxy=proxy_for(spec.base_url, spec.proxy),
    )


def _checked(base_url: str) -> SplitResult:
    try:
        address = urlsplit(base_url.rstrip("/"))
        is_one = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        address, is_one = SplitResult("", "", "", "", ""), False
    if not is_one:
        raise RecipeError(f"{_shown(address)!r} is no address: give `base_url` as http(s)://host[:port]/v1", "base_url")
    if address.username or address.password:
        raise RecipeError(
            f"{_shown(address)!r} is given with a user or password: use `api_key` or `headers`", "base_url"
        )
    return address


def _shown(address: SplitResult) -> str:
    """The address without user, password and query, which may hold secrets."""
    return address._replace(netloc=address.netloc.rpartition("@")[2], query="", fragment="").geturl()
