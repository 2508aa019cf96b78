"""HTTP/1.1 as far as a client of an LLM needs it: keep-alive, Content-Length, one write an answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol, cast

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 411: "Length Required", 429: "Too Many Requests",
            500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip
_LINGER_0 = struct.pack("ii", 1, 0)
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def message(status: int, body: bytes, headers: str = "") -> bytes:
    """A whole answer; `headers` are lines that end with CR LF."""
    if status == 200 and not headers:
        return _OK % (len(body), body)
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n{headers}"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head.encode("latin-1"), len(body), body)


class Handler(Protocol):
    """What requests are handed to."""

    def request(self, connection: Connection, path: bytes, head: bytes, body: bytes) -> None:
        """A whole request; `path` is its first line's beginning, as `POST /v1/chat/completions`."""
        ...

    def gone(self, connection: Connection) -> None:
        """The connection is closed."""
        ...


class Connection(asyncio.Protocol):
    """One client's connection. Its requests come one after the other."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._is_last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._transport = None
        self._handler.gone(self)

    def data_received(self, data: bytes) -> None:
        """Hand on every request that is whole."""
        self._buffer = data = self._buffer + data if self._buffer else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[: end + 2]
            body_end = end + 4 + _length(head)
            if body_end < end + 4:
                self.send(message(411, b'{"error":{"message":"Content-Length is needed"}}'))
                self.close()
                return
            if len(data) < body_end:
                return
            body = data[end + 4 : body_end]
            self._buffer = data = data[body_end:]
            if b"onnection: close" in head:
                self._is_last = True
            self._handler.request(self, head[: head.find(b" HTTP/")], head, body)

    def send(self, data: bytes) -> None:
        """Write an answer, or a part of one, where somebody is still there to read it."""
        if self._transport:
            self._transport.write(data)
            if self._is_last:
                self._transport.close()

    def close(self) -> None:
        """Close after what was written."""
        if self._transport:
            self._transport.close()

    def reset(self) -> None:
        """Close with a reset (RST), as a server that dies does."""
        if self._transport:
            # Not through the transport's own socket: uvloop's stand-in takes no SO_LINGER on some versions.
            peer = self._transport.get_extra_info("socket")
            with socket.socket(fileno=_duplicate(peer)) as own:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            self._transport.abort()


def _duplicate(peer: socket.socket) -> int:
    return socket.dup(peer.fileno())


def header(head: bytes, name: bytes) -> bytes | None:
    """The value of a header, by its name in lower case."""
    start = head.lower().find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    return head[start : head.find(b"\r\n", start)].strip()


def _length(head: bytes) -> int:
    """The body's length; -1 for a body that does not say."""
    start = head.find(b"\r\nContent-Length: ")
    if start >= 0:
        return int(head[start + 18 : head.find(b"\r\n", start + 18)])
    value = header(head, b"content-length")
    if value is not None:
        return int(value)
    return -1 if header(head, b"transfer-encoding") else 0
