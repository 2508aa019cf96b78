"""Models and servers that answer from a script: for tests of recipes and stages, without a network or a key.

`python -m streamgen.testing --port 8000 --latency-ms 20` runs the server as a process of its own.
"""

from __future__ import annotations

import argparse
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias

import anyio
import msgspec

from streamgen.llm.model import ChatRequest, CompletionRequest, EmbeddingRequest, Message, Request, Response
from streamgen.record import Usage, Value

if TYPE_CHECKING:
    from aiohttp import web

Answer: TypeAlias = str | Response | Exception
Answers: TypeAlias = Sequence[Answer] | Callable[[Request], Answer | Awaitable[Answer]]


def prompt_of(request: Request) -> str:
    """What was asked: the last message, the raw prompt, or the texts to embed.

    >>> prompt_of(CompletionRequest(prompt="1."))
    '1.'
    """
    if isinstance(request, ChatRequest):
        return request.messages[-1].content
    return request.prompt if isinstance(request, CompletionRequest) else "\n".join(request.texts)


class Scripted:
    """A `Model` that answers from a list or a function, and keeps the `requests` that it got."""

    def __init__(self, answers: Answers, *, repeat: bool, latency_s: float) -> None:
        self.requests: list[Request] = []
        self.is_closed = False
        self._answer = answers if callable(answers) else None
        self._answers = iter(cycle(answers) if repeat else answers) if not callable(answers) else iter(())
        self._latency_s = latency_s

    async def chat(self, request: ChatRequest) -> Response:
        """The next answer."""
        return await self._next(request)

    async def complete(self, request: CompletionRequest) -> Response:
        """The next answer."""
        return await self._next(request)

    async def embed(self, request: EmbeddingRequest) -> Response:
        """The next answer, which the script gives as `embedded([...], [...])`."""
        return await self._next(request)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True

    async def _next(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self._answer(request) if self._answer else self._listed()
        if self._latency_s:
            await anyio.sleep(self._latency_s)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else _response(request, answer)

    def _listed(self) -> Answer:
        try:
            return next(self._answers)
        except StopIteration:
            raise AssertionError(f"the script has no answer for request {len(self.requests)}") from None


def scripted(answers: Answers, *, repeat: bool = True, latency_s: float = 0.0) -> Scripted:
    """A model that gives these answers in turn, or what a function of the request says; an exception is raised.

    >>> model = scripted(["yes", "no"])
    >>> anyio.run(model.chat, ChatRequest(messages=(Message("user", "Is it?"),))).text
    'yes'
    """
    return Scripted(answers, repeat=repeat, latency_s=latency_s)


def embedded(*vectors: Sequence[float], tokens: int = 1) -> Response:
    """An answer to texts that are to be embedded."""
    from streamgen.llm.embeddings import packed

    return Response("", usage=Usage(tokens, 0), model="scripted", vectors=tuple(map(packed, vectors)))


def _response(request: Request, text: str) -> Response:
    return Response(text, usage=Usage(len(prompt_of(request).split()), len(text.split())), model="scripted")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What the server does instead of answering."""

    action: Literal["answer", "reset", "hang"] = "answer"
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}


RESET = Fault(action="reset")
HANG = Fault(action="hang")
MALFORMED = Fault(body=b'{"choices": [{"message": {"content": "so f')
HTML = Fault(body=b"<!doctype html><title>Welcome</title>", headers={"Content-Type": "text/html; charset=utf-8"})


def refusal(status: int, message: str = "no", *, code: str | None = None, **headers: str) -> Fault:
    """An error answer as OpenAI writes it; `Retry_After="3"` sets the header `Retry-After`."""
    body = msgspec.json.encode({"error": {"message": message, "code": code}})
    return Fault(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


class ServerCounters(msgspec.Struct):
    """What a scripted server saw. `paid` counts full answers by prompt: more than 1 is a prompt paid twice."""

    requests: int = 0
    connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    paid: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def distinct_prompts(self) -> int:
        """How many different prompts were answered."""
        return len(self.paid)


class _Asked(msgspec.Struct):
    messages: tuple[Message, ...] | None = None
    prompt: str = ""
    input: tuple[str, ...] | None = None
    logprobs: bool | int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    response_format: Mapping[str, Value] | None = None

    def request(self) -> Request:
        if self.input is not None:
            return EmbeddingRequest(texts=self.input)
        if self.messages is None:
            return CompletionRequest(
                prompt=self.prompt,
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                seed=self.seed,
                logprobs=bool(self.logprobs) or None,
            )
        form = self.response_format or {}
        schema = form.get("json_schema", {}).get("schema")
        return ChatRequest(
            messages=self.messages,
            schema=schema,
            extra={"response_format": form} if form and schema is None else {},
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=self.seed,
            logprobs=bool(self.logprobs) or None,
        )


_decode = msgspec.json.Decoder(_Asked).decode
_encode = msgspec.json.Encoder().encode
_JSON = {"Content-Type": "application/json"}


def _echo(request: Request) -> str:
    return f"an answer to: {prompt_of(request)}"


class ScriptedServer:
    """An HTTP server on loopback that speaks the OpenAI dialect: `/v1/chat/completions`,
    `/v1/completions` and `/v1/embeddings`.

    `answer` is a function of the request; `fault(request, n)` may say what goes wrong the n-th time (0, 1, ...) that a
    prompt is asked. `GET /counters` gives the counters as JSON. With `honours_keys` a request with the
    `Idempotency-Key` of an earlier one gets the same answer, and is not paid again.
    """

    def __init__(
        self,
        answer: Callable[[Request], str | Response] = _echo,
        *,
        fault: Callable[[Request, int], Fault | None] | None = None,
        latency_s: float = 0.0,
        port: int = 0,
        honours_keys: bool = False,
    ) -> None:
        self.counters = ServerCounters()
        self._answered: dict[str, bytes] | None = {} if honours_keys else None  # by idempotency key
        self.headers: Mapping[str, str] = {}  # of the newest request
        self._answer = answer
        self._fault = fault
        self._latency_s = latency_s
        self._port = port
        self._asked: Counter[str] = Counter()
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> ScriptedServer:
        from aiohttp import web

        counters = self.counters

        class Server(web.Server):  # type: ignore[type-arg,unused-ignore]
            def __call__(self) -> web.RequestHandler:  # type: ignore[type-arg,unused-ignore]
                counters.connections += 1
                return super().__call__()

        # 0 would wait for ever; calls that hang are cut here.
        self._runner = web.ServerRunner(Server(self._handle, access_log=None), shutdown_timeout=1e-3)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=4096).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        """What a recipe gives as `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def _handle(self, asked: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        if asked.method != "POST":
            return web.Response(body=_encode(self._page(asked.path)), headers=_JSON)
        counters = self.counters
        counters.requests += 1
        counters.in_flight += 1
        counters.max_in_flight = max(counters.max_in_flight, counters.in_flight)
        try:
            return await self._reply(asked)
        finally:
            counters.in_flight -= 1

    async def _reply(self, asked: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        self.headers = asked.headers
        request = _decode(await asked.content.read()).request()
        prompt = prompt_of(request)
        fault = self._fault(request, self._asked[prompt]) if self._fault else None
        self._asked[prompt] += 1
        if self._latency_s:
            await anyio.sleep(self._latency_s)
        if fault:
            return await _misbehave(asked, fault)
        return web.Response(body=self._paid(request, asked.headers.get("Idempotency-Key")), headers=_JSON)

    def _paid(self, request: Request, key: str | None) -> bytes:
        """The answer, which is not paid again where the server remembers the key."""
        known = self._answered if self._answered is not None and key else {}
        if (answer := known.get(key or "")) is None:
            self.counters.paid[prompt_of(request)] += 1
            answer = known[key or ""] = _body(request, self._answer(request))
        return answer

    def _page(self, path: str) -> Value:
        if path.endswith("/models"):
            return {"object": "list", "data": [{"id": "scripted", "object": "model"}]}
        counters = self.counters
        return {**msgspec.to_builtins(counters), "paid_twice": sum(n > 1 for n in counters.paid.values())}


async def _misbehave(asked: web.BaseRequest, fault: Fault) -> web.StreamResponse:
    from aiohttp import web

    if fault.action == "hang":
        await anyio.sleep_forever()
    if fault.action == "reset" and asked.transport:
        asked.transport.abort()
    return web.Response(status=fault.status, body=fault.body, headers={**_JSON, **fault.headers})


def _body(request: Request, answer: str | Response) -> bytes:
    response = answer if isinstance(answer, Response) else _response(request, answer)
    if isinstance(request, EmbeddingRequest):
        return _vectors_body(response)
    choice: dict[str, Value] = {"index": 0, "finish_reason": response.finish_reason}
    if isinstance(request, ChatRequest):
        choice["message"] = {"role": "assistant", "content": response.text, "reasoning_content": response.reasoning}
    else:
        choice["text"] = response.text
    if request.logprobs and response.logprob is not None:
        choice["logprobs"] = {"content": [{"token": response.text, "logprob": response.logprob}]}
    usage = {"prompt_tokens": response.usage.prompt_tokens, "completion_tokens": response.usage.completion_tokens}
    return _encode({"object": "chat.completion", "model": response.model, "choices": [choice], "usage": usage})


def _vectors_body(response: Response) -> bytes:
    from streamgen.llm.embeddings import unpacked

    data = [{"index": n, "embedding": unpacked(vector).tolist()} for n, vector in enumerate(response.vectors)]
    usage = {"prompt_tokens": response.usage.prompt_tokens, "total_tokens": response.usage.prompt_tokens}
    return _encode({"object": "list", "model": response.model, "data": data, "usage": usage})


async def _serve(port: int, latency_s: float, honours_keys: bool) -> None:
    async with ScriptedServer(latency_s=latency_s, port=port, honours_keys=honours_keys) as server:
        print(server.base_url, flush=True)
        await anyio.sleep_forever()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted; the first line of output is the base URL."""
    parser = argparse.ArgumentParser(prog="python -m streamgen.testing", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="time to every answer")
    parser.add_argument("--honour-keys", action="store_true", help="answer a repeated Idempotency-Key from memory")
    given = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt):
        anyio.run(_serve, given.port, given.latency_ms / 1000, given.honour_keys)


if __name__ == "__main__":
    main()
