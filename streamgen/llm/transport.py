"""Requests to one server: kept-alive connections, timeouts, answers of bounded size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from streamgen.errors import RecipeError
from streamgen.llm.connection import Answer, Broken, Connection, Take
from streamgen.llm.dial import Dial
from streamgen.llm.timeouts import Deadlines

MAX_BODY_BYTES = 16 << 20
MAX_STREAM_BYTES = 64 << 20  # a token in an event of its own takes some 200 bytes
_CONNECT_S = 10.0
_KEEP_S = 30.0
_GOODBYE_S = 0.5  # for a stream's end after [DONE], so that its connection can be used again

_FRAMING = {"content-length", "transfer-encoding", "expect", "upgrade"}
_IN_PATHS = "/%:@!$&'()*+,;=~?"

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


class _Watch(NamedTuple):
    """The deadlines of one event loop's calls. `first` and `idle` are watched where the user set them."""

    loop: asyncio.AbstractEventLoop
    total: Deadlines
    first: Deadlines | None
    idle: Deadlines | None

    def all(self) -> list[Deadlines]:
        return [deadlines for deadlines in (self.total, self.first, self.idle) if deadlines]


class Transport:
    """Posts to one server. Connections are not bounded here: an endpoint's concurrency limit stands in front.

    They belong to the event loop of the first call. aiohttp's client costs 400,000 instructions a call, this 130,000.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], timeouts: Timeouts, proxy: str | None = None) -> None:
        self._timeouts = timeouts
        self._dial = Dial(urlsplit(base_url), proxy, min(_CONNECT_S, timeouts.total_s))
        self._fields = _fields(urlsplit(base_url), {**headers, **self._dial.headers})
        self._starts: dict[tuple[str, str], str] = {}  # of requests, by method and path
        self._idle: list[tuple[Connection, float]] = []  # and since when; the newest last
        self._watch: _Watch | None = None

    async def post(self, path: str, body: bytes, key: str, take: Take | None) -> Answer:
        """The answer; `take` gets the body of a good one as it comes. `key` is for a call that may be repeated.

        Raises Overdue, TooLong, NoHttp, Broken and Unreachable. Cancelled, it closes the connection.
        """
        watch = self._watch or self._begin()
        task = asyncio.current_task(watch.loop)
        assert task
        watch.total.begin(task)
        came = _coming(watch, task)
        try:
            return await self._exchange(self._request("POST", path, body, key), take, came)
        except asyncio.CancelledError:
            for deadlines in watch.all():
                deadlines.raise_if_struck(task)
            raise
        finally:
            watch.total.end(task)
            if watch.first:
                watch.first.end(task)
            if watch.idle:
                watch.idle.end(task)

    async def ask(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Status and body of what is no call: GET, or POST with a body. No timeout."""
        answer = await self._exchange(self._request("GET" if body is None else "POST", path, body or b"", ""))
        return answer.status, answer.body

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        watch, self._watch = self._watch, None
        for deadlines in watch.all() if watch else ():
            deadlines.close()
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()
        if idle:
            await asyncio.sleep(0)  # the sockets are closed in the loop's next turn

    def _request(self, method: str, path: str, body: bytes, key: str) -> bytes:
        start = self._starts.get((method, path)) or self._start(method, path)
        named = f"Idempotency-Key: {_on_one_line(key)}\r\n" if key else ""
        return f"{start}{named}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _start(self, method: str, path: str) -> str:
        target = self._dial.target(quote(path, safe=_IN_PATHS, errors="replace"))
        return self._starts.setdefault((method, path), f"{method} {target} HTTP/1.1\r\n{self._fields}")

    async def _exchange(
        self, request: bytes, take: Take | None = None, came: Callable[[], None] | None = None
    ) -> Answer:
        """The answer. A used connection that the server has closed is no failure: the next one is taken."""
        most = MAX_BODY_BYTES if take is None else MAX_STREAM_BYTES
        idle = self._idle
        while True:
            connection = self._kept() or await self._dial.connect()
            try:
                answer = await connection.send(request, take, most, came, _GOODBYE_S)
            except Broken as error:
                if not error.is_stale:
                    raise
                continue
            except BaseException:
                connection.close()
                raise
            if idle is not self._idle:  # closed meanwhile
                connection.close()
            elif connection.is_open:
                idle.append((connection, monotonic()))
            return answer

    def _kept(self) -> Connection | None:
        """A connection that can be used again: the newest, which the server has closed the least likely."""
        idle = self._idle
        while idle:
            connection, since = idle.pop()
            if not connection.is_open:
                continue
            if monotonic() - since < _KEEP_S:
                return connection
            connection.close()
        return None

    def _begin(self) -> _Watch:
        total_s, first_s, idle_s = self._timeouts
        self._watch = _Watch(
            asyncio.get_running_loop(),
            Deadlines(total_s, _TOTAL.format(total_s)),
            Deadlines(first_s, _FIRST.format(first_s)) if first_s else None,
            Deadlines(idle_s, _IDLE.format(idle_s)) if idle_s else None,
        )
        return self._watch


def _coming(watch: _Watch, task: asyncio.Task[object]) -> Callable[[], None] | None:
    """Starts the first byte's time; called for each piece of a body, it ends that and starts a pause's time anew."""
    first, idle = watch.first, watch.idle
    if first is None and idle is None:
        return None
    if first:
        first.begin(task)

    def came() -> None:
        if first:
            first.end(task)
        if idle:
            idle.begin(task)

    return came


def _fields(address: SplitResult, headers: Mapping[str, str]) -> str:
    """The headers of every request. Raises RecipeError for one that cannot stand there, or would be two."""
    fields = {"host": ("Host", _host_of(address))}
    for name, value in headers.items():
        if not _is_name(name) or not value.replace("\t", " ").isprintable():
            raise RecipeError(f"the header {name!r} holds a line break, or what else no header may hold", "headers")
        if name.lower() in _FRAMING:
            raise RecipeError(f"the header {name!r} is set for each request by itself: take it out", "headers")
        fields[name.lower()] = name, value
    fields["content-type"] = "Content-Type", "application/json"
    return "".join(f"{name}: {value}\r\n" for name, value in fields.values())


def _is_name(name: str) -> bool:
    return name.isascii() and name.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _host_of(address: SplitResult) -> str:
    """Host and port, as the server knows them."""
    host = address.netloc.rpartition("@")[2]
    try:
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not host or not host.isprintable() or " " in host:
        raise RecipeError("`base_url` holds a host name that can be none", "base_url")
    return host


def _on_one_line(key: str) -> str:
    """The key as a header can say it: a user may have set any."""
    return key if key.isascii() and key.isprintable() else quote(key, errors="replace")
