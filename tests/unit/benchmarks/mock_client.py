"""A client of the mock endpoint without a network: bytes in, bytes out, on virtual time."""

import asyncio
import json
from typing import Any

from benchmarks.endpoint.config import Config
from benchmarks.endpoint.connection import Connection
from benchmarks.endpoint.server import Endpoint


class Wire(asyncio.Transport):
    """Keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def close(self) -> None:
        self.is_closed = True


class Client:
    """One connection to an endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.wire = Wire()
        self.connection = Connection(endpoint)
        self.connection.connection_made(self.wire)

    def ask(self, prompt: str, **headers: str) -> "Client":
        """Send a request for this prompt."""
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self.connection.data_received(head.encode() + body)
        return self

    def leave(self) -> None:
        """Close the connection."""
        self.connection.connection_lost(None)

    @property
    def status(self) -> int | None:
        """The answer's status; None before it is there."""
        return int(self.wire.written.split()[1]) if self.wire.written else None

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers in lower case."""
        lines = self.wire.written.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        """What there is of the answer's body."""
        return self.wire.written.partition(b"\r\n\r\n")[2]

    @property
    def text(self) -> str:
        """The assistant's message."""
        content: str = json.loads(self.body)["choices"][0]["message"]["content"]
        return content


def open_endpoint(**fields: Any) -> Endpoint:
    """An endpoint on the running loop and its time."""
    loop = asyncio.get_running_loop()
    return Endpoint(Config(**fields), loop, loop.time)
