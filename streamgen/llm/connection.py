"""One HTTP/1.1 connection: a request goes out, its answer is put together as its bytes come in."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeAlias

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from streamgen.llm.inflate import Inflater, inflater_of

MAX_HEAD_BYTES = 64 << 10
_MAX_FIELDS = 500
_INFORMS = range(100, 200)  # answers before the answer
_SWITCHED = 101

Take: TypeAlias = Callable[[bytes], object]
"""Gets the pieces of a body; what is true says that the rest does not matter."""


class Broken(ConnectionError):
    """The connection broke before the answer was complete. `is_stale`: it was used before, and not a byte came."""

    def __init__(self, says: str, *, is_stale: bool = False) -> None:
        super().__init__(says)
        self.is_stale = is_stale


class NoHttp(Exception):
    """What came is no answer of HTTP."""


class TooLong(Exception):
    """An answer beyond the bytes that are read."""


class Headers(dict[str, str]):
    """Headers by name, however that is written."""

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """The value of a header."""
        return super().get(name.lower(), default)


class Answer:
    """What a server answered: status, headers and body; b"" where somebody else took the body."""

    __slots__ = ("__dict__", "body", "fields", "status")

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""

    @cached_property
    def headers(self) -> Headers:
        """By name; of a header that came more than once, the last."""
        return Headers(
            (name.decode("latin-1").lower(), value.decode("utf-8", "replace").strip()) for name, value in self.fields
        )

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return (self.headers.get("content-type") or "").partition(";")[0].strip().lower()


class Connection(asyncio.Protocol):
    """Carries one exchange at a time, in the manner of RFC 9112; httptools (the parser of Node.js) reads the answers.

    Invariants: it is open, and can be used again, only between a whole answer and the next byte that comes. An answer
    that was given is not touched any more: what comes behind it finds an empty one.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.uses = 0
        self._transport: Any = None
        self._parser = HttpResponseParser(self)
        # RFC 9112, section 2.2: small servers end lines so.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)
        self._answered: asyncio.Future[Answer] | None = None
        self._take: Take | None = None
        self._came: Callable[[], None] | None = None
        self._goodbye: asyncio.TimerHandle | None = None  # once `take` has enough
        self._inflate: Inflater | None = None
        self._begin()

    def send(
        self, data: bytes, take: Take | None, most: int, came: Callable[[], None] | None, goodbye_s: float
    ) -> asyncio.Future[Answer]:
        """Send a request; its answer, of at most `most` bytes. `take` gets the body of an answer 200 as it comes.

        `came` is called for each piece of a body. Where `take` has enough, the end is waited for `goodbye_s`, so that
        the connection can be used again. The future brings Broken, NoHttp, TooLong, or what `take` raises.
        """
        was_open, self.is_open, self._has_come = self.is_open, False, False
        self.uses += 1
        self._take, self._came, self._goodbye_s = take, came, goodbye_s
        self._most = self._limit = most
        self._answered = answered = asyncio.get_running_loop().create_future()
        if was_open:
            self._transport.write(data)
        else:  # closed as soon as it was there: nobody would tell
            self._fail(self._broken(None))
        return answered

    def close(self) -> None:
        """Cut the connection."""
        self.is_open = False
        self._answered = None
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there; once more when it speaks TLS."""
        self._transport = transport
        self.is_open = not self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._answered is None:  # nobody asked
            self.close()
            return
        self._has_come = True
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._finish(is_last=True)
        except HttpParserError as error:
            self._fail(NoHttp(str(error.__context__ or error)))
        if self._bare_bytes > MAX_HEAD_BYTES:
            self._fail(NoHttp(f"a head of more than {MAX_HEAD_BYTES >> 10} KB"))

    def eof_received(self) -> None:
        """Nothing more comes: the rest of a long request need not be sent."""
        self.is_open = False
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone: that ends an answer whose length nobody told."""
        self.is_open = False
        if self._answered is None:
            return
        if self._is_body and not self._is_measured and error is None:
            self._finish(is_last=True)
        else:
            self._fail(self._broken(error))

    # What the parser calls

    def on_message_begin(self) -> None:
        """An answer begins. One that nobody asked for leaves no telling what the next one belongs to."""
        if self._answered is None:
            raise NoHttp("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer; what stands behind a body is none (RFC 9110, section 6.5.1)."""
        if self._is_body:
            return
        fields = self._answer.fields
        fields.append((name, value))
        if len(fields) > _MAX_FIELDS or len(value) >= MAX_HEAD_BYTES:
            raise NoHttp(f"more than {_MAX_FIELDS} headers, or one of more than {MAX_HEAD_BYTES >> 10} KB")

    def on_headers_complete(self) -> None:
        """The head is complete."""
        answer, parser = self._answer, self._parser
        answer.status = parser.get_status_code()
        if answer.status in _INFORMS:
            return
        self._is_body = True
        names = {name.lower(): value for name, value in answer.fields}
        self._is_measured = b"content-length" in names or b"chunked" in names.get(b"transfer-encoding", b"").lower()
        if encoding := names.get(b"content-encoding", b"").strip().lower():
            self._inflate = inflater_of(encoding)
        if answer.status != 200:
            self._take = None

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._bare_bytes = 0
        if self._came:
            self._came()
        if self._goodbye or self._answered is None:
            return
        try:
            if self._inflate:
                piece = self._inflate.feed(piece, self._most + 1)
            self._most -= len(piece)
            if self._most < 0:
                raise TooLong(f"an answer of more than {self._limit >> 20} MB")
            if self._take is None:
                self._pieces.append(piece)
            elif self._take(piece):
                self._goodbye = asyncio.get_running_loop().call_later(self._goodbye_s, self._finish, True)
        except zlib.error as error:
            self._fail(NoHttp(f"a body that is not compressed as it says (gzip or deflate): {error}"))
        except Exception as error:
            self._fail(error)

    def on_message_complete(self) -> None:
        """The answer is complete, unless it was one before the answer."""
        if self._answer.status in _INFORMS and self._answer.status != _SWITCHED:
            self._begin()
        else:
            self._finish(is_last=not self._parser.should_keep_alive())

    def _begin(self) -> None:
        self._answer = Answer()
        self._pieces: list[bytes] = []
        self._inflate = None
        self._bare_bytes = 0  # that came since the last piece of a body
        self._is_body = self._is_measured = False

    def _end(self) -> asyncio.Future[Answer] | None:
        """Who waits for the answer."""
        answered = self._answered
        if self._goodbye:
            self._goodbye.cancel()
        self._answered = self._take = self._came = self._goodbye = None
        return answered if answered and not answered.done() else None

    def _finish(self, is_last: bool) -> None:
        if self._inflate and not self._inflate.is_whole and not self._goodbye:
            self._fail(NoHttp("a compressed body that ends too early"))
            return
        answered, answer, pieces = self._end(), self._answer, self._pieces
        self._begin()
        # A request that the server did not wait for would stand before the next one.
        self.is_open = not is_last and answered is not None and not self._transport.get_write_buffer_size()
        if not self.is_open:
            self.close()
        if answered:
            answer.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            answered.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if self._goodbye:  # what broke does not matter any more
            self._finish(is_last=True)
        elif answered := self._end():
            answered.set_exception(error)
        self.close()

    def _broken(self, error: Exception | None) -> Broken:
        if not self._has_come:
            return Broken(f"server disconnected before an answer{_told(error)}", is_stale=self.uses > 1)
        what = "answer was not completed" if self._is_body else "head of an answer was not completed"
        return Broken(f"server disconnected: the {what}{_told(error)}")


def _told(error: Exception | None) -> str:
    return f" ({error})" if error else ""
