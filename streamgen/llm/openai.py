"""The OpenAI dialect over aiohttp: what most servers speak (OpenAI, vLLM, llama.cpp, SGLang, TGI, OpenRouter)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from io import BytesIO
from typing import NoReturn

import aiohttp
import msgspec
from yarl import URL

from streamgen.errors import RecipeError
from streamgen.llm.model import ChatRequest, CompletionRequest, Request, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.spec import ModelSpec, resolve_headers, resolve_key
from streamgen.record import NO_USAGE, Usage, Value

MAX_BODY_BYTES = 16 << 20
_LARGE_BYTES = 1 << 19  # aiohttp warns above 1 MB when it is given bytes
_CONNECT_S = 10.0
_SAID = 200  # characters of a server's message that are quoted
_SECRET = 6  # characters of a header's value that make it worth hiding


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None
    model: str | None = None


class _Complaint(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None
    type: str | None = None


class _Refusal(msgspec.Struct):
    error: _Complaint | str | None = None
    message: str | None = None
    detail: Value = None


_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode


class OpenAIModel:
    """A `Model` behind an OpenAI-compatible address. One attempt a call; every failure is a CallError by kind.

    Connections are kept alive and not bounded here: an endpoint's concurrency limit stands in front.
    They belong to the event loop of the first call.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._base = _checked(base_url)
        self._chat_url = self._base / "chat/completions"
        self._completions_url = self._base / "completions"
        self._model = model
        self._start = _encode({"model": model})[:-1] + b","
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        # Some servers quote the key that they refuse.
        candidates = (api_key, *(headers or {}).values())
        self._secrets = [secret for secret in candidates if secret and len(secret) >= _SECRET]
        self._session: aiohttp.ClientSession | None = None

    async def chat(self, request: ChatRequest) -> Response:
        """The assistant's next message; `reasoning` where the server tells it apart."""
        return self._read(await self._post(self._chat_url, request), request)

    async def complete(self, request: CompletionRequest) -> Response:
        """The prompt's continuation."""
        return self._read(await self._post(self._completions_url, request), request)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def __repr__(self) -> str:
        return f"<OpenAIModel {self._model} at {_shown(self._base)}>"

    async def _post(self, url: URL, request: Request) -> bytes:
        body = self._body(request)
        try:
            async with self._open_session().post(
                url, data=body if len(body) < _LARGE_BYTES else BytesIO(body), allow_redirects=False
            ) as answer:
                data = await _read_body(answer)
                if answer.status != HTTPStatus.OK or _is_page(answer):
                    self._refuse(answer, data)
                return data
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._error(_kind_of(error), url, _told(error)) from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=min(_CONNECT_S, self._timeout_s)),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _body(self, request: Request) -> bytes:
        """The request's fields are named as in the dialect: it is encoded as it is, behind the model's name."""
        schema = request.schema if isinstance(request, ChatRequest) else None
        try:
            if request.idempotency_key:
                request = msgspec.structs.replace(request, idempotency_key="")
            if schema is None and not request.extra:
                return self._start + _encode(request)[1:]
            fields = msgspec.to_builtins(request)
            extra = fields.pop("extra", {})
            if fields.pop("schema", None) is not None:
                form = {"name": "answer", "schema": schema, "strict": True}
                fields["response_format"] = {"type": "json_schema", "json_schema": form}
            return _encode({"model": self._model, **fields, **extra})
        except (UnicodeEncodeError, TypeError) as error:
            raise CallError(Kind.BAD_REQUEST, f"the request cannot be written as JSON: {error}") from error

    def _read(self, data: bytes, request: Request) -> Response:
        url = self._chat_url if isinstance(request, ChatRequest) else self._completions_url
        try:
            answer = _decode_answer(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._error(Kind.MALFORMED, url, f"unreadable answer ({error}): {_quote(data)}") from error
        usage = _usage(answer.usage)
        if not answer.choices:
            raise self._error(Kind.EMPTY, url, "an answer without choices", usage=usage)
        choice = answer.choices[0]
        text = choice.message.content if choice.message else choice.text
        if not text:
            raise self._without_text(choice, url, usage)
        reasoning = choice.message.reasoning_content if choice.message else None
        return Response(text, choice.finish_reason or "stop", usage, answer.model or self._model, reasoning)

    def _without_text(self, choice: _Choice, url: URL, usage: Usage) -> CallError:
        if choice.finish_reason == "length":
            return self._error(Kind.TRUNCATED, url, "`max_tokens` used up before any text; raise it", usage=usage)
        return self._error(Kind.EMPTY, url, f"an answer without text ({choice.finish_reason})", usage=usage)

    def _refuse(self, answer: aiohttp.ClientResponse, data: bytes) -> NoReturn:
        kind, said = _kind_of_status(answer, data), _quote(data)
        if kind is Kind.NOT_AN_API:
            to = answer.headers.get("Location")
            said = f"a redirect to {_shown(URL(to))}" if to else f"no API but a web page: {said}"
        raise self._error(kind, answer.url, said, status=answer.status, retry_after_s=_retry_after_s(answer))

    def _error(
        self,
        kind: Kind,
        url: URL,
        said: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        usage: Usage = NO_USAGE,
    ) -> CallError:
        for secret in self._secrets:
            said = said.replace(secret, "***")
        answered = f"answered {status}: {said}" if status else said
        return CallError(
            kind, f"{_shown(url)} {kind}: {answered}", status=status, retry_after_s=retry_after_s, usage=usage
        )


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
        spec.base_url, spec.model, resolve_key(spec.api_key, "api_key"), spec.timeout_s, resolve_headers(spec.headers)
    )


def _checked(base_url: str) -> URL:
    try:
        url = URL(base_url.rstrip("/"))
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise RecipeError(f"{_shown(url)!r} is no address: give `base_url` as http(s)://host[:port]/v1", "base_url")
    if url.user or url.password:
        raise RecipeError(f"{_shown(url)!r} is given with a user or password: use `api_key` or `headers`", "base_url")
    return url


def _shown(url: URL) -> str:
    """The address without user, password and query, which may hold secrets."""
    return str(url.with_query(None).with_user(None) if url.user else url.with_query(None))


async def _read_body(answer: aiohttp.ClientResponse) -> bytes:
    size = answer.content_length
    if size is not None and size <= MAX_BODY_BYTES and "Content-Encoding" not in answer.headers:
        return await answer.read()
    parts, total = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        total += len(part)
        if total > MAX_BODY_BYTES:
            answer.close()
            raise CallError(Kind.MALFORMED, f"{_shown(answer.url)}: an answer of more than {MAX_BODY_BYTES >> 20} MB")
    return b"".join(parts)


def _is_page(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_type in ("text/html", "application/xhtml+xml")


_STATUS = {
    401: Kind.AUTH,
    402: Kind.QUOTA,
    403: Kind.AUTH,
    404: Kind.NOT_FOUND,
    405: Kind.NOT_FOUND,
    408: Kind.TIMEOUT,
    425: Kind.OVERLOADED,
    429: Kind.RATE_LIMITED,
    503: Kind.OVERLOADED,
    504: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}
_CODE = {"insufficient_quota": Kind.QUOTA, "model_not_found": Kind.NOT_FOUND, "invalid_api_key": Kind.AUTH}


def _kind_of_status(answer: aiohttp.ClientResponse, data: bytes) -> Kind:
    status = answer.status
    if status == HTTPStatus.NOT_IMPLEMENTED:  # no wait changes that
        return Kind.NOT_AN_API if _is_page(answer) else Kind.BAD_REQUEST
    if status < 400:
        return Kind.NOT_AN_API if _is_page(answer) or status >= 300 else Kind.MALFORMED
    if status in _STATUS and status != HTTPStatus.TOO_MANY_REQUESTS:
        return _STATUS[status]
    code = _complaint(data).code if status < 500 else None
    return _CODE.get(str(code)) or _STATUS.get(status) or (Kind.SERVER if status >= 500 else Kind.BAD_REQUEST)


def _kind_of(error: aiohttp.ClientError | OSError) -> Kind:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Kind.UNREACHABLE
    if isinstance(error, TimeoutError):
        return Kind.TIMEOUT
    return Kind.MALFORMED if isinstance(error, aiohttp.ClientResponseError) else Kind.RESET


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _complaint(data: bytes) -> _Complaint:
    """What the server says in one of the usual shapes."""
    try:
        refusal = _decode_refusal(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Complaint()
    if isinstance(refusal.error, _Complaint):
        return refusal.error
    said = refusal.error or refusal.message or refusal.detail
    return _Complaint(said if said is None else str(said))


def _quote(data: bytes) -> str:
    text = _complaint(data).message or data[: 4 * _SAID].decode("utf-8", "replace")
    text = re.sub(r"\s+", " ", text).strip()
    return f"{text[:_SAID]}..." if len(text) > _SAID else text or "(nothing)"


def _retry_after_s(answer: aiohttp.ClientResponse) -> float | None:
    """The seconds of `Retry-After`; None for its form as a date, which needs the server's clock."""
    try:
        seconds = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    return Usage(max(0, usage.prompt_tokens or 0), max(0, usage.completion_tokens or 0))
