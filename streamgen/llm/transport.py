"""Requests over aiohttp: kept-alive connections, timeouts, answers of bounded size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from multidict import CIMultiDict
from yarl import URL

from streamgen.llm.refusal import TooLong
from streamgen.llm.sse import Stream
from streamgen.llm.timeouts import Deadlines

MAX_BODY_BYTES = 16 << 20
MAX_STREAM_BYTES = 64 << 20  # a token in an event of its own takes some 200 bytes
_CONNECT_S = 10.0
_KEEP_S = 30.0
_GOODBYE_S = 0.5  # for a stream's end after [DONE], so that its connection can be used again

_JSON = "application/json"
_JSON_HEADERS = CIMultiDict({"Content-Type": _JSON})

_TOTAL = "no whole answer within {:g} s (`timeout_s`): raise it, or ask for less with `max_tokens`"
_FIRST = (
    "no byte of an answer within {:g} s (`first_byte_timeout_s`): raise it, or set `stream = true`, without which many "
    "servers send the first byte with the last"
)
_IDLE = "no further byte of an answer for {:g} s (`idle_timeout_s`): raise it"


class Timeouts(NamedTuple):
    """Seconds that a call, its answer's first byte, and a pause within the answer may take; None for no limit."""

    total_s: float = 60.0
    first_byte_s: float | None = None
    idle_s: float | None = None


class _Body(aiohttp.Payload):
    """JSON as it is: cheaper by 2 us than what aiohttp makes of bytes, and of any size without a warning.

    It brings the headers along that belong to this one request, which is cheaper than to merge them in.
    """

    def __init__(self, data: bytes, key: str = "") -> None:
        self.data = data
        self._own = CIMultiDict({"Content-Type": _JSON, "Idempotency-Key": key}) if key else _JSON_HEADERS

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def headers(self) -> CIMultiDict[str]:
        return self._own

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.data.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self.data)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await writer.write(self.data)


class _Connector(aiohttp.TCPConnector):
    """Remembers which tasks opened a connection, and so which of them were given a used one."""

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=_KEEP_S)
        self.openers: set[asyncio.Task[object] | None] = set()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> ResponseHandler:
        self.openers.add(asyncio.current_task())
        return await super()._create_connection(req, traces, timeout)


class _Line(NamedTuple):
    """What belongs to one event loop. `first` and `idle` are watched where the user set them."""

    session: aiohttp.ClientSession
    connector: _Connector
    total: Deadlines
    first: Deadlines | None
    idle: Deadlines | None
    is_watched: bool


class Transport:
    """Posts to one server. Connections are not bounded here: an endpoint's concurrency limit stands in front.

    They belong to the event loop of the first call.
    """

    def __init__(self, headers: Mapping[str, str], timeouts: Timeouts, proxy: str | None = None) -> None:
        self._headers = CIMultiDict(headers)
        self._timeouts = timeouts
        self._proxy = URL(proxy) if proxy else None
        self._line: _Line | None = None

    async def post(
        self, url: URL, body: bytes, key: str, stream: Stream | None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """The answer and its body, which is b"" where the `stream` took it; `key` is for a call that may be repeated.

        Raises Overdue, TooLong, Unreadable, and what aiohttp raises. Cancelled, it closes the connection.
        """
        line = self._line or self._connect()
        task = asyncio.current_task()
        assert task
        line.total.begin(task)
        if line.first:
            line.first.begin(task)
        answer = None
        try:
            answer = await self._send(line, task, url, body, key)
            if stream or line.is_watched or answer.status != HTTPStatus.OK:
                return answer, await _read(answer, line, task, stream)
            data = await answer.content.readany()
            if not answer.content.at_eof() or len(data) > MAX_BODY_BYTES:
                data = await _read(answer, line, task, None, data)
            return answer, data
        except BaseException as error:
            if answer:
                answer.close()
            if isinstance(error, asyncio.CancelledError):
                _raise_if_struck(line, task)
            raise
        finally:
            line.total.end(task)
            if line.is_watched or line.connector.openers:
                _end(line, task)

    async def ask(self, url: URL, body: bytes | None) -> tuple[int, bytes]:
        """Status and body of what is no call: GET, or POST with a body. On a connection of its own; no timeout."""
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.request(
                "GET" if body is None else "POST",
                url,
                data=body and _Body(body),
                allow_redirects=False,
                proxy=self._proxy,
            ) as answer,
        ):
            parts = [part async for part in answer.content.iter_any()]
            return answer.status, b"".join(parts)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        line, self._line = self._line, None
        if line:
            for deadlines in (line.total, line.first, line.idle):
                if deadlines:
                    deadlines.close()
            await line.session.close()

    async def _send(
        self, line: _Line, task: asyncio.Task[object], url: URL, body: bytes, key: str
    ) -> aiohttp.ClientResponse:
        """The answer's head. A used connection that the server has closed is no failure: the next one is taken."""
        while True:
            try:
                return await line.session.request(
                    "POST", url, data=_Body(body, key), allow_redirects=False, proxy=self._proxy
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if task in line.connector.openers or not _was_stale(error):
                    raise

    def _connect(self) -> _Line:
        total_s, first_s, idle_s = self._timeouts
        connector = _Connector()
        session = aiohttp.ClientSession(
            headers=self._headers,
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(_CONNECT_S, total_s)),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        total = Deadlines(total_s, _TOTAL.format(total_s))
        first = Deadlines(first_s, _FIRST.format(first_s)) if first_s else None
        idle = Deadlines(idle_s, _IDLE.format(idle_s)) if idle_s else None
        self._line = _Line(session, connector, total, first, idle, bool(first or idle))
        return self._line


def _was_stale(error: Exception) -> bool:
    """Whether the connection broke before a byte of an answer came."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # else it is the part of a head that came
    return not isinstance(error, aiohttp.ClientConnectorError)


def _raise_if_struck(line: _Line, task: asyncio.Task[object]) -> None:
    for deadlines in (line.total, line.first, line.idle):
        if deadlines:
            deadlines.raise_if_struck(task)


def _end(line: _Line, task: asyncio.Task[object]) -> None:
    line.connector.openers.discard(task)
    for deadlines in (line.first, line.idle):
        if deadlines:
            deadlines.end(task)


async def _read(
    answer: aiohttp.ClientResponse, line: _Line, task: asyncio.Task[object], stream: Stream | None, piece: bytes = b""
) -> bytes:
    """The body, piece by piece, into the stream where the answer is a good one; `piece` is what came of it before."""
    if answer.status < HTTPStatus.OK:  # 101: what follows is no HTTP
        answer.close()
        return b""
    parts: list[bytes] = []
    is_streamed = stream is not None and answer.status == HTTPStatus.OK
    take = stream.feed if stream and is_streamed else parts.append
    most = left = MAX_STREAM_BYTES if is_streamed else MAX_BODY_BYTES
    while piece := piece or await answer.content.readany():
        left -= len(piece)
        if left < 0:
            raise TooLong(f"an answer of more than {most >> 20} MB")
        if line.is_watched:
            _came(line, task)
        if take(piece):
            await _finish(answer)
            break
        piece = b""
    return b"".join(parts)


def _came(line: _Line, task: asyncio.Task[object]) -> None:
    if line.first:
        line.first.end(task)
    if line.idle:
        line.idle.end(task)
        line.idle.begin(task)


async def _finish(answer: aiohttp.ClientResponse) -> None:
    """Read what should be nothing more; close the connection where more comes, or no end."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            if await answer.content.readany():
                answer.close()
    except (TimeoutError, aiohttp.ClientError):
        answer.close()
