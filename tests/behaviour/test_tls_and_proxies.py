"""The way to a server: TLS, proxies, names that nobody knows; on asyncio and uvloop, over real sockets."""

import asyncio
import functools
import gc
import inspect
import socket
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest
import trustme
import uvloop

from streamgen.errors import RecipeError
from streamgen.llm.model import ChatRequest, Message
from streamgen.llm.openai import OpenAIModel
from streamgen.llm.retry import CallError, Kind

ASK = ChatRequest(messages=(Message("user", "hello"),), idempotency_key="k")
BODY = msgspec.json.encode({"choices": [{"message": {"content": "c"}, "finish_reason": "stop"}]})
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
AUTHORITY = trustme.CA()


Handle: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]]
NewLoop: TypeAlias = Callable[[], asyncio.AbstractEventLoop]
LOOPS: tuple[NewLoop, ...] = (asyncio.SelectorEventLoop, uvloop.new_event_loop)


def on_both_loops(test: Callable[..., Coroutine[object, object, None]]) -> Callable[..., None]:
    """The test, run by asyncio and by uvloop."""

    @functools.wraps(test)
    def run(new_loop: NewLoop, **given: object) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(test(**given))

    signature = inspect.signature(test)
    first = inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = signature.replace(parameters=[first, *signature.parameters.values()])  # type: ignore[attr-defined]
    both: Callable[..., None] = pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])(run)
    return both


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@asynccontextmanager
async def listening(handle: Handle, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server's port; at the end all its connections are closed."""
    running: set[asyncio.Task[object] | None] = set()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(handled, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await asyncio.sleep(0)
        await asyncio.gather(*(task for task in running if task))
        await asyncio.sleep(0)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        (size,) = (line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        await reader.readexactly(int(size))
        writer.write(REPLY)


def _secured(name: str, authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def serving(context: ssl.SSLContext | None = None) -> AbstractAsyncContextManager[int]:
    return listening(_answer, context)


class Proxy:
    """Connects to whatever it is asked for, and tells who asked; or plays `says` and closes."""

    def __init__(self, says: bytes | None) -> None:
        self.says = says
        self.heads: list[bytes] = []
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.says is not None:
            writer.write(self.says)
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        there, onward = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 me\r\n\r\n")
        await asyncio.gather(_pour(reader, onward), _pour(there, writer))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def tunnelling(says: bytes | None = None) -> AsyncIterator[Proxy]:
    proxy = Proxy(says)
    async with listening(proxy.handle) as proxy.port:
        yield proxy


async def asked(base_url: str, times: int = 1, proxy: str | None = None) -> list[str]:
    model = OpenAIModel(base_url, "m", "my-secret-key", timeout_s=10.0, proxy=proxy)
    try:
        return [(await model.chat(ASK)).text for _ in range(times)]
    finally:
        await model.aclose()
        gc.collect()  # a socket that was left open is a warning, and so an error


async def failure(base_url: str, proxy: str | None = None) -> str:
    with pytest.raises(CallError) as caught:
        await asked(base_url, proxy=proxy)
    assert caught.value.kind is Kind.UNREACHABLE
    assert "my-secret" not in str(caught.value)
    return str(caught.value)


@on_both_loops
async def test_calls_go_over_tls() -> None:
    async with serving(_secured("localhost")) as port:
        assert await asked(f"https://localhost:{port}/v1", 3) == ["c"] * 3
    async with serving(_secured("127.0.0.1")) as port:
        assert await asked(f"https://127.0.0.1:{port}/v1", 3) == ["c"] * 3


@on_both_loops
async def test_a_request_of_8_mb_is_sent_and_its_silent_connection_kept_alive() -> None:
    request = msgspec.structs.replace(ASK, messages=(Message("user", "x" * (8 << 20)),))
    for context, scheme in ((None, "http"), (_secured("localhost"), "https")):
        async with serving(context) as port:
            model = OpenAIModel(f"{scheme}://localhost:{port}/v1", "m")
            assert (await model.chat(request)).text == "c"
            ((connection, _),) = model._transport._idle
            connected = connection._transport.get_extra_info("socket")
            assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            del connected
            await model.aclose()


@on_both_loops
async def test_many_connections_open_at_once() -> None:
    async with serving(_secured("localhost")) as port:
        model = OpenAIModel(f"https://localhost:{port}/v1", "m")
        answers = await asyncio.gather(*(model.chat(ASK) for _ in range(32)))
        assert [answer.text for answer in answers] == ["c"] * 32
        await model.aclose()


@on_both_loops
async def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    async with serving(_secured("localhost", trustme.CA())) as port:
        said = await failure(f"https://localhost:{port}/v1")
    assert f"no connection to localhost:{port}: its certificate is not trusted" in said
    assert "SSL_CERT_FILE" in said


@on_both_loops
async def test_a_certificate_of_another_name_is_refused() -> None:
    async with serving(_secured("elsewhere.example")) as port:
        said = await failure(f"https://localhost:{port}/v1")
    assert "not valid for 'localhost'" in said
    assert "SSL_CERT_FILE" not in said


@on_both_loops
async def test_a_server_without_tls_is_told() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with listening(greet) as port:
        assert "no TLS is spoken there, http:// may be right" in await failure(f"https://127.0.0.1:{port}/v1")


@on_both_loops
async def test_a_server_that_closes_in_the_handshake_is_told() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async with listening(leave) as port:
        assert f"no connection to 127.0.0.1:{port}" in await failure(f"https://127.0.0.1:{port}/v1")


@pytest.mark.parametrize("user", ["", "me:my-secret%40word@"])
@on_both_loops
async def test_calls_over_tls_go_through_a_tunnel(user: str) -> None:
    async with serving(_secured("localhost")) as port, tunnelling() as proxy:
        assert await asked(f"https://localhost:{port}/v1", 2, f"http://{user}127.0.0.1:{proxy.port}") == ["c"] * 2
    (head,) = proxy.heads
    line, *fields = head.decode().rstrip().split("\r\n")
    assert line == f"CONNECT localhost:{port} HTTP/1.1"
    assert fields[0] == f"Host: localhost:{port}"
    told = [b64decode(field.removeprefix("Proxy-Authorization: Basic ")).decode() for field in fields[1:]]
    assert told == (["me:my-secret@word"] if user else [])


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "the proxy refuses: HTTP/1.1 407"),
        (b"", "the proxy gave no answer"),
        (b"HTTP/1.1 200", "the proxy gave no answer"),
        (b"HTTP/1.1 200 " + b"x" * 70_000, "the proxy gave no answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no connection to the proxy 127.0.0.1"),
        (b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n", "the proxy refuses"),
    ],
)
@on_both_loops
async def test_a_tunnel_that_does_not_come_is_told(says: bytes, told: str) -> None:
    async with tunnelling(says) as proxy:
        said = await failure("https://api.invalid/v1", f"http://me:my-secret@127.0.0.1:{proxy.port}")
    assert told in said
    assert f"the proxy 127.0.0.1:{proxy.port}" in said


@on_both_loops
async def test_a_call_that_is_cancelled_at_any_time_leaves_nothing_open() -> None:
    async with serving(_secured("localhost")) as port, tunnelling() as proxy:
        for turns in range(25):
            call = asyncio.create_task(asked(f"https://localhost:{port}/v1", 2, f"http://127.0.0.1:{proxy.port}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
        del call
        gc.collect()


@pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "x" * 64 + ".invalid", "[fe80::1%25nowhere]", "é.invalid"])
@on_both_loops
async def test_a_name_that_leads_nowhere_is_unreachable(host: str) -> None:
    assert "no connection to" in await failure(f"http://{host}:9/v1")


@on_both_loops
async def test_a_name_that_leads_nowhere_is_looked_up_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = 0
    model = OpenAIModel("http://nobody.invalid/v1", "m")

    async def nobody(*_: object) -> OSError:
        nonlocal asks
        asks += 1
        await asyncio.sleep(0)
        return OSError(-2, "Name or service not known")

    dial = model._transport._dial
    monkeypatch.setattr("streamgen.llm.dial._addresses", nobody)
    failed = await asyncio.gather(*(dial.connect() for _ in range(16)), return_exceptions=True)
    assert {str(error) for error in failed} == {
        "no connection to nobody.invalid:80: OSError: [Errno -2] Name or service not known"
    }
    assert asks == 1
    await asyncio.gather(dial.connect(), return_exceptions=True)
    assert asks == 2


@on_both_loops
async def test_a_server_on_the_second_address_of_a_name_is_found() -> None:
    async with serving() as port:  # "localhost" is ::1 as well
        assert await asked(f"http://localhost:{port}/v1", 2) == ["c"] * 2


@on_both_loops
async def test_connections_of_calls_in_flight_are_closed_when_their_model_was() -> None:
    async with serving() as port:
        model = OpenAIModel(f"http://127.0.0.1:{port}/v1", "m")
        calls = [asyncio.create_task(model.chat(ASK)) for _ in range(4)]
        await asyncio.sleep(0)
        await model.aclose()
        await asyncio.gather(*calls)
        assert model._transport._idle == []
        assert (await model.chat(ASK)).text == "c"
        await model.aclose()
        gc.collect()


def test_a_model_may_be_used_in_one_event_loop_after_the_other() -> None:
    model = OpenAIModel("http://localhost:1/v1", "m")

    async def used() -> None:
        async with serving(_secured("localhost")) as port:
            assert await asked(f"https://localhost:{port}/v1") == ["c"]
        with pytest.raises(CallError):
            await model.chat(ASK)
        await model.aclose()

    for new_loop in LOOPS * 2:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(used())


# ------------------------------------------------------------------------------------------------- what a user may set


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X\r\nY", "1"), ("X", "1\r\nY: 2"), ("X", "1\n"), ("X Y", "1"), ("X:", "1"), ("", "1"), ("X", "\0"),
        ("Content-Length", "0"), ("transfer-encoding", "chunked"), ("X", "\ud800"),
    ],
)  # fmt: skip
def test_a_header_that_would_be_another_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(RecipeError, match="the header"):
        OpenAIModel("http://localhost/v1", "m", headers={name: value})


def test_names_and_paths_are_sent_as_http_can_say_them() -> None:
    model = OpenAIModel("http://bücher.example:81/a b/é%20/v1", "m", headers={"accept": "x", "HOST": "h"})
    head = model._transport._request("POST", model._path + "/chat", b"{}", "a\r\nb: \ud800").decode()
    assert head.startswith("POST /a%20b/%C3%A9%20/v1/chat HTTP/1.1\r\nHOST: h\r\naccept: x\r\n")
    assert head.count("\r\n") == 9
    assert "Idempotency-Key: a%0D%0Ab%3A%20%3F\r\n" in head
    plain = OpenAIModel("http://bücher.example:81/v1", "m")._transport._request("GET", "/v1/models", b"", "")
    assert plain.startswith(b"GET /v1/models HTTP/1.1\r\nHost: xn--bcher-kva.example:81\r\n")
