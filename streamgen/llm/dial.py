"""Opens connections to one server: names, addresses, proxies, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from streamgen.errors import RecipeError
from streamgen.llm.connection import MAX_HEAD_BYTES, Connection

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

    _Found: TypeAlias = Sequence[AddrInfoType]

_NEXT_ADDRESS_S = 0.25  # RFC 8305, section 5: when the next address is tried beside the one that does not answer
_NAME_HOLDS_S = 10.0
_ALIVE_S = 60  # NATs and load balancers forget a silent connection after 4 to 6 minutes; a long call is silent

_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}


class Unreachable(OSError):
    """No connection: an unknown name, a refusal, a certificate that is not trusted, or nothing for too long."""


class Dial:
    """Connects to the server of an address, directly or through a proxy."""

    def __init__(self, address: SplitResult, proxy: str | None, timeout_s: float) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._proxy = urlsplit(proxy) if proxy else None
        if self._proxy and self._proxy.scheme == address.scheme == "https":
            raise RecipeError(
                "an https:// proxy cannot carry calls to an https:// address: use its http:// port", "proxy"
            )
        self._context: ssl.SSLContext | None = None
        self._found: tuple[float, _Found | OSError] = -_NAME_HOLDS_S, []
        self._one_asks: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What every request needs on its way through the proxy; a tunnel needs nothing."""
        return self._authorization if self._proxy and self._address.scheme == "http" else {}

    def target(self, path: str) -> str:
        """How a path of the server stands in a request."""
        if self._proxy and self._address.scheme == "http":
            return f"http://{self._address.netloc}{path}"
        return path

    async def connect(self) -> Connection:
        """A new connection. Raises Unreachable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._open()
        except TimeoutError:
            raise Unreachable(f"no connection to {self._peer} within {self._timeout_s:g} s") from None
        except (OSError, ValueError, RuntimeError) as error:  # a name that can be none, and what uvloop raises
            raise Unreachable(f"no connection to {self._peer}: {_why(error)}") from error

    @property
    def _peer(self) -> str:
        host, port = _host(self._proxy or self._address)
        return f"the proxy {host}:{port}" if self._proxy else f"{host}:{port}"

    @property
    def _authorization(self) -> dict[str, str]:
        if self._proxy is None or self._proxy.username is None:
            return {}
        named = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
        return {"Proxy-Authorization": f"Basic {b64encode(named.encode()).decode()}"}

    async def _open(self) -> Connection:
        from aiohappyeyeballs import start_connection

        loop = asyncio.get_running_loop()
        found = await self._look_up(loop, *_host(self._proxy or self._address))
        connected = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1, loop=loop)
        try:
            _keep_alive(connected)
            if self._proxy and self._address.scheme == "https":
                await self._tunnel(loop, connected)
            transport, connection = await loop.create_connection(Connection, sock=connected)
        except BaseException:
            with suppress(OSError):  # uvloop may have closed it
                connected.close()
            raise
        secured = self._proxy if self._proxy and self._address.scheme == "http" else self._address
        if secured.scheme == "https":
            await self._secure(loop, transport, connection, secured.hostname)
        return connection

    async def _secure(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, connection: Connection, host: str | None
    ) -> None:
        """Speak TLS from here on. Not by `create_connection`, which leaves the socket open when it is cancelled."""
        try:
            if transport.is_closing():
                raise ConnectionError("the server closed it, or spoke before TLS began")
            over_tls = await loop.start_tls(transport, connection, self._tls(), server_hostname=host)
            if over_tls is None:
                raise ConnectionResetError("closed after the handshake")
        except BaseException:
            transport.abort()
            raise
        connection.connection_made(over_tls)

    async def _look_up(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> _Found:
        """The addresses of a name, for a while; many connections that open at once ask but once."""
        try:
            return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # it is a name
        if self._one_asks is None or self._one_asks[0] is not loop:
            self._one_asks = loop, asyncio.Lock()
        asked = monotonic()
        async with self._one_asks[1]:
            since, found = self._found
            if monotonic() - since > _NAME_HOLDS_S or (isinstance(found, OSError) and since < asked):
                found = await _addresses(loop, host, port)
                self._found = monotonic(), found
        if isinstance(found, OSError):
            raise type(found)(*found.args)
        return found

    async def _tunnel(self, loop: asyncio.AbstractEventLoop, connected: socket.socket) -> None:
        """Have the proxy connect to the server (RFC 9110, section 9.3.6)."""
        host, port = _host(self._address)
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        fields = "".join(f"{field}: {value}\r\n" for field, value in {"Host": name, **self._authorization}.items())
        await loop.sock_sendall(connected, f"CONNECT {name} HTTP/1.1\r\n{fields}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await loop.sock_recv(connected, 4096)
            head += piece
            if not piece or len(head) > MAX_HEAD_BYTES:
                raise ConnectionError("the proxy gave no answer")
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if not status.partition(" ")[2].startswith("2"):
            raise ConnectionError(f"the proxy refuses: {status}")

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> _Found | OSError:
    try:
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError as error:
        return error


def _keep_alive(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):  # the second is macOS's name of the first
        if option := getattr(socket, name, None):
            connected.setsockopt(socket.IPPROTO_TCP, option, _ALIVE_S)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "" if "match" in error.verify_message else "; SSL_CERT_FILE names the file of an authority of your own"
        return f"its certificate is not trusted: {error.verify_message}{advice}"
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return f"no TLS is spoken there, http:// may be right ({error.reason})"
    return f"{type(error).__name__}: {error}"


def _host(address: SplitResult) -> tuple[str, int]:
    return address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
