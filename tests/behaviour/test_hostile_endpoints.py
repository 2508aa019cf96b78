"""Servers that misbehave, over real sockets: every call ends, with an answer or an error that says what happened."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import msgspec
import pytest

from streamgen.llm import transport
from streamgen.llm.model import ChatRequest, Message, Response
from streamgen.llm.openai import OpenAIModel
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.told import Told
from streamgen.record import Usage

ASK = ChatRequest(messages=(Message("user", "hello"),))
BODY = msgspec.json.encode(
    {
        "model": "m",
        "choices": [{"message": {"content": "c"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1},
    }
)
ANSWER = Response("c", "stop", Usage(2, 1), "m")

Turn: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes = BODY, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; `Content_Type="text/plain"` sets a header."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items() if value), "", ""]
    return "\r\n".join(lines).encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


EVENTS = b'data: {"choices": [{"delta": {"content": "c"}, "finish_reason": "stop"}]}\n\n'
USAGE = b'data: {"model": "m", "choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 1}}\n\n'
HEAD = reply(b"", Content_Type="text/event-stream", Content_Length="", Transfer_Encoding="chunked")
STREAM = HEAD + chunk(EVENTS) + chunk(USAGE) + chunk(b"data: [DONE]\n\n")
END = b"0\r\n\r\n"


class Server:
    """Plays `turns` on every connection, one a request (bytes are sent as they are), then closes it."""

    def __init__(self, *turns: bytes | Turn) -> None:
        self.turns = turns
        self.connections = 0
        self.requests: list[bytes] = []
        self.closed = asyncio.Event()  # the client has closed a connection
        self.base_url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for turn in self.turns:
                self.requests.append(await _request(reader))
                if isinstance(turn, bytes):
                    writer.write(turn)
                else:
                    await turn(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            self.closed.set()
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    (size,) = (line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return head + await reader.readexactly(int(size))


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if not await reader.read(1):
        raise ConnectionError


def then_hang(data: bytes) -> Turn:
    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await hang(reader, writer)

    return turn


def endless(head: bytes, piece: bytes) -> Turn:
    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return turn


async def abort(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    transport = writer.transport
    assert isinstance(transport, asyncio.WriteTransport)
    transport.abort()


@asynccontextmanager
async def serving(*turns: bytes | Turn) -> AsyncIterator[Server]:
    server = Server(*turns)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def opened(server: Server, **options: object) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(server.base_url, "m", **options)  # type: ignore[arg-type]
    try:
        yield model
    finally:
        await model.aclose()


async def answer_to(*turns: bytes | Turn, **options: object) -> Response:
    async with serving(*turns) as server, opened(server, **options) as model:
        return await model.chat(ASK)


async def failure(*turns: bytes | Turn, **options: object) -> CallError:
    async with serving(*turns) as server, opened(server, **options) as model:
        with pytest.raises(CallError) as caught:
            await model.chat(ASK)
        assert len(str(caught.value)) < 700
        assert f"{server.base_url}/chat/completions" in str(caught.value)
    return caught.value


# ------------------------------------------------------------------------------------------------ what is understood


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/octet-stream", "", "nonsense", "application/json; charset=x"]
)
async def test_json_is_read_whatever_it_is_called(kind: str) -> None:
    assert await answer_to(reply(Content_Type=kind)) == ANSWER


async def test_answers_before_the_answer_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert await answer_to(early + reply()) == ANSWER


async def test_an_answer_of_10_mb_is_read() -> None:
    text = "x" * 10_000_000
    for data in (reply(BODY.replace(b'"c"', f'"{text}"'.encode())),):
        assert (await answer_to(data)).text == text


async def test_a_compressed_answer_is_read_though_none_was_asked_for() -> None:
    assert await answer_to(reply(gzip.compress(BODY), Content_Encoding="gzip")) == ANSWER


async def test_an_answer_in_chunks_or_until_the_end_of_the_connection_is_read() -> None:
    assert await answer_to(reply(b"", Content_Length="", Transfer_Encoding="chunked") + chunk(BODY) + END) == ANSWER
    assert await answer_to(reply(Content_Length="", Connection="close")) == ANSWER


# ---------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (b"", Kind.RESET, "Server disconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", Kind.RESET, "head of an answer was not completed"),
        (reply(b"", "101 Switching Protocols", Upgrade="websocket", Connection="upgrade"), Kind.MALFORMED, "101"),
        (reply(b"", "204 No Content"), Kind.MALFORMED, "204"),
        (
            reply(b"", "301 Moved", Location="https://me:word@elsewhere/v1?key=word"),
            Kind.NOT_AN_API,
            "redirect to https",
        ),
        (reply(b"", "307 Temporary", Location="/elsewhere"), Kind.NOT_AN_API, "a redirect to /elsewhere"),
        (reply(b"<html>Welcome</html>", Content_Type="text/html"), Kind.NOT_AN_API, "a web page: <html>Welcome"),
        (reply(X_Large="x" * 65536), Kind.MALFORMED, "64 KB"),
        (reply(**{f"X_{n}": "x" for n in range(5000)}), Kind.MALFORMED, "header"),
        (reply(Content_Length=str(len(BODY) + 9)), Kind.RESET, "not completed"),
        (reply(Content_Length=str(len(BODY) - 9)), Kind.MALFORMED, "truncated"),
        (reply(Content_Length="-5"), Kind.MALFORMED, "Content-Length"),
        (reply(b"", Content_Length="", Transfer_Encoding="chunked") + b'5\r\n{"a":\r\nzz\r\n', Kind.MALFORMED, "chunk"),
        (reply(b"", Content_Length="", Transfer_Encoding="chunked") + chunk(BODY[:20]), Kind.RESET, "not completed"),
        (reply(BODY, Content_Encoding="gzip"), Kind.MALFORMED, "gzip"),
        (reply(b"\xff\xfe" + BODY), Kind.MALFORMED, "unreadable answer"),
        (reply(b'{"error": {"code": 429, "message": "upstream is busy"}}'), Kind.RATE_LIMITED, "upstream is busy"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_answer_has_its_kind_and_says_why(data: bytes, kind: Kind, says: str, stream: bool) -> None:
    error = await failure(data, stream=stream)
    assert error.kind is kind
    assert says.lower() in str(error).lower()
    assert "word" not in str(error)


@pytest.mark.parametrize("size", [1 << 20, 100 << 20])
async def test_a_compressed_bomb_is_not_inflated(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1 << 19)
    error = await failure(reply(gzip.compress(bytes(size), 1), Content_Encoding="gzip"))
    assert error.kind is Kind.MALFORMED
    assert "more than 0 MB" in str(error)


async def test_an_endless_stream_is_cut_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_STREAM_BYTES", 1 << 20)
    piece = chunk(b'data: {"choices": [{"delta": {"content": "' + b"x" * 5000 + b'"}}]}\n\n')
    error = await failure(endless(HEAD, piece), stream=True)
    assert (error.kind, "more than 1 MB" in str(error)) == (Kind.MALFORMED, True)


# ------------------------------------------------------------------------------------------------------- what is late


@pytest.mark.parametrize("turn", [hang, then_hang(reply()[:-5]), then_hang(b"HTTP/1.1 100 Continue\r\n\r\n")])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_never_ends_its_answer_is_cut(turn: Turn, stream: bool) -> None:
    async with serving(turn) as server, opened(server, timeout_s=0.05, stream=stream) as model:
        with pytest.raises(CallError, match=r"no whole answer within 0.05 s \(`timeout_s`\): raise it") as caught:
            await model.chat(ASK)
        assert caught.value.kind is Kind.TIMEOUT
        await asyncio.wait_for(server.closed.wait(), 10)


@pytest.mark.parametrize("turn", [endless(HEAD, chunk(b": ping\n\n")), endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")])
async def test_a_server_that_always_sends_and_never_answers_is_cut_by_the_total_time(turn: Turn) -> None:
    error = await failure(turn, timeout_s=0.1, first_byte_timeout_s=10.0, idle_timeout_s=10.0, stream=True)
    assert (error.kind, "`timeout_s`" in str(error)) == (Kind.TIMEOUT, True)


@pytest.mark.parametrize("turn", [hang, then_hang(HEAD)])
async def test_a_first_byte_that_does_not_come_is_told(turn: Turn) -> None:
    error = await failure(turn, first_byte_timeout_s=0.05, idle_timeout_s=10.0, stream=True)
    assert (error.kind, "`first_byte_timeout_s`" in str(error)) == (Kind.TIMEOUT, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_pause_that_does_not_end_is_told(stream: bool) -> None:
    data = HEAD + chunk(EVENTS) if stream else reply()[:-5]
    error = await failure(then_hang(data), first_byte_timeout_s=10.0, idle_timeout_s=0.05, stream=stream)
    assert (error.kind, "`idle_timeout_s`" in str(error)) == (Kind.TIMEOUT, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_in_time_pass_all_timeouts(stream: bool) -> None:
    limits = {"timeout_s": 10.0, "first_byte_timeout_s": 9.0, "idle_timeout_s": 8.0}
    assert await answer_to(STREAM + END if stream else reply(), stream=stream, **limits) == ANSWER


@pytest.mark.parametrize("turn", [hang, then_hang(reply()[:-5]), then_hang(HEAD + chunk(EVENTS))])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_closes_its_socket(turn: Turn, stream: bool) -> None:
    arrived = asyncio.Event()

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await turn(reader, writer)

    async with serving(noted) as server, opened(server, stream=stream) as model:
        call = asyncio.create_task(model.chat(ASK))
        await asyncio.wait_for(arrived.wait(), 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.closed.wait(), 10)


# ---------------------------------------------------------------------------------------------- connections used again


@pytest.mark.parametrize("end", [b"", abort])
async def test_a_used_connection_that_was_closed_is_no_failure(end: bytes | Turn) -> None:
    async with serving(reply(), end) as server, opened(server) as model:
        for _ in range(3):
            assert await model.chat(ASK) == ANSWER
    assert server.connections == 3
    assert len(server.requests) == 5  # the second and third were sent on a used connection first


async def test_many_used_connections_that_were_closed_are_no_failures() -> None:
    async with serving(reply(), abort) as server, opened(server) as model:
        for _ in range(2):
            assert await asyncio.gather(*(model.chat(ASK) for _ in range(8))) == [ANSWER] * 8
    assert server.connections == 16


@pytest.mark.parametrize("turn", [b"", abort])
async def test_a_new_connection_that_is_closed_is_a_failure_and_not_tried_again_here(turn: bytes | Turn) -> None:
    async with serving(turn) as server, opened(server) as model:
        with pytest.raises(CallError) as caught:
            await model.chat(ASK)
    assert (caught.value.kind, len(server.requests)) == (Kind.RESET, 1)


async def test_a_used_connection_that_breaks_within_an_answer_is_a_failure() -> None:
    async with serving(reply(), b"HTTP/1.1 200 OK\r\nContent-Le") as server, opened(server) as model:
        await model.chat(ASK)
        with pytest.raises(CallError) as caught:
            await model.chat(ASK)
    assert (caught.value.kind, len(server.requests)) == (Kind.RESET, 2)


async def test_what_stands_behind_a_lying_length_is_not_taken_for_the_next_answer() -> None:
    lie = reply(BODY, Content_Length=str(len(BODY) - 5)) + reply(BODY.replace(b'"c"', b'"stale"'))
    async with serving(lie, lie) as server, opened(server) as model:
        for _ in range(2):
            with pytest.raises(CallError, match="malformed"):
                await model.chat(ASK)
    assert server.connections == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_connection_is_used_again_after_every_whole_answer(stream: bool) -> None:
    data = STREAM + END if stream else reply()
    async with serving(*[data] * 5) as server, opened(server, stream=stream) as model:
        for _ in range(5):
            assert await model.chat(ASK) == ANSWER
    assert server.connections == 1


async def test_a_stream_whose_connection_stays_open_after_its_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_GOODBYE_S", 0.01)
    async with serving(then_hang(STREAM)) as server, opened(server, stream=True) as model:
        assert await model.chat(ASK) == ANSWER
        await asyncio.wait_for(server.closed.wait(), 10)


# ------------------------------------------------------------------------------------------- what is sent, what is told


async def _sent(request: ChatRequest, data: bytes, **options: object) -> tuple[Mapping[str, str], dict[str, object]]:
    async with serving(data) as server, opened(server, **options) as model:
        await model.chat(request)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return {name.lower(): value for name, value in lines}, msgspec.json.decode(body)


async def test_a_key_for_repeated_calls_is_a_header_and_not_in_the_body() -> None:
    headers, body = await _sent(msgspec.structs.replace(ASK, idempotency_key="run-7"), reply())
    assert headers["idempotency-key"] == "run-7"
    assert "idempotency_key" not in body
    headers, _ = await _sent(ASK, reply())
    assert "idempotency-key" not in headers


@pytest.mark.parametrize("extra", [{}, {"top_logprobs": 2}])
async def test_a_stream_is_asked_for_with_its_usage(extra: dict[str, object]) -> None:
    _, body = await _sent(msgspec.structs.replace(ASK, extra=extra), STREAM + END, stream=True)
    assert body == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "hello"}],
        **extra,
    }


async def test_a_server_that_ignores_stream_is_understood() -> None:
    assert await answer_to(reply(), stream=True) == ANSWER


async def test_a_stream_that_breaks_off_is_a_reset() -> None:
    error = await failure(HEAD + chunk(EVENTS.replace(b'"stop"', b"null")) + END, stream=True)
    assert (error.kind, "without `finish_reason`" in str(error)) == (Kind.RESET, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_limits_are_told_with_answers_and_refusals(stream: bool) -> None:
    limits = {"x_ratelimit_limit_requests": "60", "x_ratelimit_reset_requests": "1.5s"}
    head = reply(b"", Content_Length="", Transfer_Encoding="chunked", **limits)
    response = await answer_to(head + chunk(EVENTS if stream else BODY) + END, stream=stream)
    assert response.told == Told(limit_requests=60, reset_requests_s=1.5)
    error = await failure(reply(b"{}", "429 Too Many Requests", Retry_After="7", **limits), stream=stream)
    assert error.told == Told(limit_requests=60, reset_requests_s=1.5, retry_after_s=7)
    assert error.retry_after_s == 7


async def test_a_wait_that_only_the_text_tells_is_taken() -> None:
    said = b'{"error": {"message": "Rate limit reached. Please try again in 7.5s."}}'
    assert (await failure(reply(said, "429 Too Many Requests"))).retry_after_s == 7.5


async def test_calls_go_through_a_proxy_and_its_password_is_in_no_message() -> None:
    async with serving(reply(), reply(b"no my-password", "407 Proxy Authentication Required")) as proxy:
        address = proxy.base_url.removesuffix("/v1").replace("//", "//me:my-password@")
        model = OpenAIModel("http://api.invalid/v1", "m", proxy=address)
        assert await model.chat(ASK) == ANSWER
        with pytest.raises(CallError, match=r"407: .*see `proxy`: no \*\*\*"):
            await model.chat(ASK)
        await model.aclose()
    assert proxy.requests[0].startswith(b"POST http://api.invalid/v1/chat/completions HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic" in proxy.requests[0]


async def test_a_proxy_that_is_not_there_is_unreachable() -> None:
    async with serving() as gone:
        address = gone.base_url.removesuffix("/v1").replace("//", "//me:my-password@")
    model = OpenAIModel("http://api.invalid/v1", "m", proxy=address)
    with pytest.raises(CallError) as caught:
        await model.chat(ASK)
    await model.aclose()
    assert caught.value.kind is Kind.UNREACHABLE
    assert "my-password" not in str(caught.value)


async def test_a_query_of_the_address_goes_along_with_every_call() -> None:
    async with serving(reply()) as server:
        model = OpenAIModel(f"{server.base_url}?api-version=2024-10-21", "m")
        assert await model.chat(ASK) == ANSWER
        await model.aclose()
    assert server.requests[0].startswith(b"POST /v1/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n")
