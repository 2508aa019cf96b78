"""The OpenAI dialect over real HTTP on loopback: every way in which a call fails, and what is sent."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import aiohttp
import anyio
import msgspec
import pytest
from aiohttp import web

from streamgen.errors import EndpointError
from streamgen.llm.endpoint import Endpoint
from streamgen.llm.limits import Limits
from streamgen.llm.model import ChatRequest, CompletionRequest, Message, Response
from streamgen.llm.openai import OpenAIModel
from streamgen.llm.retry import CallError, Kind, RetryPolicy
from streamgen.llm.transport import MAX_BODY_BYTES
from streamgen.record import Usage
from streamgen.testing import HANG, HTML, MALFORMED, RESET, Fault, ScriptedServer, refusal

KEY = "a-key-of-no-known-form"
ASK = ChatRequest(messages=(Message("user", "hello"),))
QUICK = RetryPolicy(base_s=1e-3)


async def failure(fault: Fault, *, timeout_s: float = 20.0) -> CallError:
    async with ScriptedServer(fault=lambda request, n: fault) as server:
        model = OpenAIModel(server.base_url, "m", KEY, timeout_s)
        with pytest.raises(CallError) as caught:
            await model.chat(ASK)
        await model.aclose()
    assert f"{server.base_url}/chat/completions" in str(caught.value)
    return caught.value


def answer(**fields: object) -> Fault:
    return Fault(body=msgspec.json.encode(fields))


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (refusal(429), Kind.RATE_LIMITED, 429),
        (refusal(429, code="insufficient_quota"), Kind.QUOTA, 429),
        (refusal(402), Kind.QUOTA, 402),
        (refusal(503), Kind.OVERLOADED, 503),
        (refusal(529), Kind.OVERLOADED, 529),
        (refusal(500), Kind.SERVER, 500),
        (refusal(502), Kind.SERVER, 502),
        (refusal(408), Kind.TIMEOUT, 408),
        (refusal(504), Kind.TIMEOUT, 504),
        (refusal(400), Kind.BAD_REQUEST, 400),
        (refusal(422), Kind.BAD_REQUEST, 422),
        (refusal(400, code="model_not_found"), Kind.NOT_FOUND, 400),
        (refusal(401), Kind.AUTH, 401),
        (refusal(403), Kind.AUTH, 403),
        (refusal(404), Kind.NOT_FOUND, 404),
        (refusal(405), Kind.NOT_FOUND, 405),
        (Fault(status=502, body=b"<html>bad gateway</html>", headers={"Content-Type": "text/html"}), Kind.SERVER, 502),
        (Fault(status=204, body=b""), Kind.MALFORMED, 204),
        (Fault(status=308, headers={"Location": "https://elsewhere/v1"}), Kind.NOT_AN_API, 308),
        (HTML, Kind.NOT_AN_API, 200),
        (msgspec.structs.replace(HTML, status=501), Kind.NOT_AN_API, 501),
        (refusal(501), Kind.BAD_REQUEST, 501),
        (MALFORMED, Kind.MALFORMED, None),
        (Fault(body=b""), Kind.MALFORMED, None),
        (Fault(body=b'{"choices": [{"message": {"content": "\xff"}}]}'), Kind.MALFORMED, None),
        (Fault(body=b'{"choices": [{"message": {"content": "\\ud800"}}]}'), Kind.MALFORMED, None),
        (answer(choices=None), Kind.MALFORMED, None),
        (answer(error={"message": "upstream died"}), Kind.MALFORMED, None),
        (answer(choices=[]), Kind.EMPTY, None),
        (answer(choices=[{"message": {"content": ""}}]), Kind.EMPTY, None),
        (answer(choices=[{"message": {"content": None}, "finish_reason": "content_filter"}]), Kind.EMPTY, None),
        (answer(choices=[{"message": {"content": ""}, "finish_reason": "length"}]), Kind.TRUNCATED, None),
        (RESET, Kind.RESET, None),
    ],
)
async def test_every_failure_has_its_kind(fault: Fault, kind: Kind, status: int | None) -> None:
    error = await failure(fault)
    assert (error.kind, error.status) == (kind, status)


async def test_a_hung_call_is_cut() -> None:
    assert (await failure(HANG, timeout_s=0.05)).kind is Kind.TIMEOUT


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets it, nobody answers
        model = OpenAIModel(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "m")
        with pytest.raises(CallError) as caught:
            await model.chat(ASK)
        await model.aclose()
    assert caught.value.kind is Kind.UNREACHABLE


async def test_an_answer_that_breaks_off_is_a_reset() -> None:
    assert (await _failure_of_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")).kind is Kind.RESET


async def test_an_answer_that_is_no_http_is_malformed() -> None:
    assert (await _failure_of_raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")).kind is Kind.MALFORMED


async def _failure_of_raw(data: bytes) -> CallError:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        model = OpenAIModel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "m")
        with pytest.raises(CallError) as caught:
            await model.chat(ASK)
        await model.aclose()
    return caught.value


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_endless_answer_is_cut(chunked: bool) -> None:
    sent = 0

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        if chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = MAX_BODY_BYTES * 8
        await response.prepare(request)
        try:
            for _ in range(MAX_BODY_BYTES * 8 >> 20):
                await response.write(b" " * (1 << 20))
                sent += 1
        except OSError:
            pass
        return response

    runner = web.ServerRunner(web.Server(endless), shutdown_timeout=1e-3)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model = OpenAIModel(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "m")
    with pytest.raises(CallError, match="more than 16 MB") as caught:
        await model.chat(ASK)
    await model.aclose()
    await runner.cleanup()
    assert caught.value.kind is Kind.MALFORMED
    assert sent < 64  # some stay in the sockets' buffers


async def test_retry_after_is_read() -> None:
    assert (await failure(refusal(429, Retry_After="2.5"))).retry_after_s == 2.5
    assert (await failure(refusal(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"))).retry_after_s == 0
    assert (await failure(refusal(503, Retry_After="-1"))).retry_after_s is None


async def test_what_a_useless_answer_cost_is_kept() -> None:
    fault = answer(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3})
    assert (await failure(fault)).usage == Usage(7, 3)


async def test_a_key_is_in_no_message() -> None:
    error = await failure(refusal(401, f"the key {KEY} or sk-proj-abcdefgh1234 is wrong"))
    assert "the key *** or *** is wrong" in str(error)


async def test_a_message_quotes_little_of_a_long_answer() -> None:
    assert len(str(await failure(refusal(400, "x" * 100_000)))) < 400


async def test_what_came_instead_of_an_api_is_said_with_what_to_change() -> None:
    async with ScriptedServer(fault=lambda request, n: HTML) as server:
        endpoint = Endpoint("main", OpenAIModel(server.base_url, "m"))
        for _ in range(2):
            with pytest.raises(EndpointError, match=r"'main'.*answered 200.*a web page.*Welcome.*set `base_url`"):
                await endpoint.call(ASK)
        await endpoint.aclose()
    assert server.counters.requests == 1


@pytest.mark.parametrize("fault", [refusal(429), refusal(503), refusal(500), RESET, MALFORMED, answer(choices=[])])
async def test_what_passes_by_is_asked_again(fault: Fault) -> None:
    async with ScriptedServer(fault=lambda request, n: fault if n < 2 else None) as server:
        endpoint = Endpoint("main", OpenAIModel(server.base_url, "m"), retry=QUICK)
        assert (await endpoint.call(ASK)).text == "an answer to: hello"
        await endpoint.aclose()
    assert server.counters.requests == 3
    assert server.counters.paid == {"hello": 1}


async def test_connections_are_kept_alive() -> None:
    async with ScriptedServer() as server:
        endpoint = Endpoint("main", OpenAIModel(server.base_url, "m"), limits=Limits(concurrency=4))
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(endpoint.call, CompletionRequest(prompt=str(number)))
        await endpoint.aclose()
    assert server.counters.requests == server.counters.distinct_prompts == 200
    assert server.counters.connections <= 4
    assert server.counters.max_in_flight <= 4


async def test_a_closed_model_opens_again() -> None:
    async with ScriptedServer() as server:
        model = OpenAIModel(server.base_url, "m")
        for _ in range(2):
            assert (await model.chat(ASK)).text == "an answer to: hello"
            await model.aclose()
            await model.aclose()
    assert server.counters.connections == 2


async def _sent(call: Callable[[OpenAIModel], object]) -> tuple[str, dict[str, object]]:
    got: list[tuple[str, dict[str, object]]] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        got.append((request.path, msgspec.json.decode(await request.content.read())))
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        return web.json_response({"choices": [{"text": "t", "message": {"content": "c", "reasoning_content": "r"}}]})

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=1e-3)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model = OpenAIModel(f"http://127.0.0.1:{runner.addresses[0][1]}/v1/", "m", KEY)
    assert await call(model) == Response("c", "stop", Usage(), "m", "r")  # type: ignore[misc]
    await model.aclose()
    await runner.cleanup()
    return got[0]


async def test_a_plain_request_is_sent_as_it_is() -> None:
    request = ChatRequest(messages=(Message("system", "s"), Message("user", "ü")), temperature=0.0, stop=("x",), seed=3)
    path, body = await _sent(lambda model: model.chat(request))
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m",
        "temperature": 0.0,
        "stop": ["x"],
        "seed": 3,
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "ü"}],
    }


async def test_a_completion_has_its_own_address() -> None:
    path, body = await _sent(lambda model: model.complete(CompletionRequest(prompt="1.", max_tokens=9, extra={"n": 1})))
    assert (path, body) == ("/v1/completions", {"model": "m", "prompt": "1.", "max_tokens": 9, "n": 1})


async def test_a_schema_becomes_a_strict_response_format_and_extras_win() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    request = ChatRequest(messages=ASK.messages, schema=schema, temperature=0.5, extra={"temperature": 1, "x": [1]})
    _, body = await _sent(lambda model: model.chat(request))
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 1,
        "x": [1],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        },
    }


async def test_a_large_request_is_sent_without_a_warning() -> None:
    request = CompletionRequest(prompt="x" * (3 << 20))
    _, body = await _sent(lambda model: model.complete(request))
    assert body["prompt"] == request.prompt


async def test_a_request_that_is_no_json_fails_its_record() -> None:
    model = OpenAIModel("http://127.0.0.1:1/v1", "m")
    for request in (CompletionRequest(prompt="\ud800"), CompletionRequest(prompt="x", extra={"a": object()})):
        with pytest.raises(CallError) as caught:
            await model.complete(request)
        assert caught.value.kind is Kind.BAD_REQUEST


@pytest.fixture
def server_process() -> Iterator[str]:
    command = [sys.executable, "-m", "streamgen.testing", "--latency-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


async def test_the_server_runs_as_a_process_of_its_own(server_process: str) -> None:
    model = OpenAIModel(server_process, "m")
    for _ in range(2):
        assert (await model.chat(ASK)).text == "an answer to: hello"
    await model.aclose()
    async with aiohttp.ClientSession() as session, session.get(server_process.replace("/v1", "/counters")) as answer:
        counters = await answer.json()
    assert (counters["requests"], counters["connections"], counters["paid_twice"]) == (2, 2, 1)
