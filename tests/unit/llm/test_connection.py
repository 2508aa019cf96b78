"""One connection without a network: which answer belongs to whom, when it can be used again, what ends an answer."""

import asyncio
import gzip
import zlib

import pytest

from streamgen.llm.connection import Answer, Broken, Connection, NoHttp, Take, TooLong

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 2\r\n\r\nhi"


class Wire(asyncio.Transport):
    """A transport that keeps what is written; `unsent` of it does not go out."""

    def __init__(self, unsent: int = 0) -> None:
        super().__init__()
        self.unsent = unsent
        self.is_cut = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_cut

    def get_write_buffer_size(self) -> int:
        return self.unsent


def opened(unsent: int = 0) -> Connection:
    connection = Connection()
    connection.connection_made(Wire(unsent))
    return connection


def asked(connection: Connection, take: Take | None = None, most: int = 1 << 20) -> "asyncio.Future[Answer]":
    return connection.send(b"", take, most, None, 0.5)


async def answer_to(*pieces: bytes, eof: bool = False, take: Take | None = None) -> Answer:
    connection = opened()
    answered = asked(connection, take)
    for piece in pieces:
        connection.data_received(piece)
    if eof:
        connection.eof_received()
        connection.connection_lost(None)
    assert answered.done()
    return answered.result()


@pytest.mark.parametrize(
    "behind", [b"HTTP/1.1 429 No\r\nRetry-After: 9\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"garbage", b"H"]
)
async def test_what_comes_behind_an_answer_leaves_it_as_it_is_and_closes_the_connection(behind: bytes) -> None:
    for pieces in ([WHOLE + behind], [WHOLE, behind]):
        connection = opened()
        answered = asked(connection)
        for piece in pieces:
            connection.data_received(piece)
        answer = answered.result()
        assert (answer.status, answer.body, answer.headers) == (200, b"hi", {"content-length": "2"})
        assert not connection.is_open


@pytest.mark.parametrize(
    ("data", "is_open"),
    [
        (WHOLE, True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 None\r\n\r\n", True),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", True),
        (OK + b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", True),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", True),
        (b"HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi", False),
        (b"HTTP/1.1 101 Other\r\n\r\nhi", False),
    ],
)
async def test_a_connection_is_used_again_where_the_answer_allows_it(data: bytes, is_open: bool) -> None:
    connection = opened()
    answered = asked(connection)
    connection.data_received(data)
    assert answered.done()
    assert connection.is_open == is_open


async def test_a_connection_whose_request_is_not_wholly_sent_is_not_used_again() -> None:
    connection = opened(unsent=1)
    answered = asked(connection)
    connection.data_received(WHOLE)
    assert answered.result().body == b"hi"
    assert not connection.is_open


async def test_an_idle_connection_that_the_server_ends_is_not_used_again() -> None:
    connection = opened()
    connection.eof_received()
    assert not connection.is_open


async def test_a_new_connection_that_is_gone_before_it_is_used_is_broken() -> None:
    connection = opened()
    connection.connection_lost(None)
    with pytest.raises(Broken, match="before an answer") as caught:
        await asked(connection)
    assert not caught.value.is_stale


@pytest.mark.parametrize("field", [b"", b"Transfer-Encoding: identity\r\n"])
async def test_an_answer_without_a_length_ends_with_the_connection(field: bytes) -> None:
    assert (await answer_to(OK + field + b"\r\nh", b"i", eof=True)).body == b"hi"


async def test_an_answer_without_a_length_that_is_reset_is_broken() -> None:
    connection = opened()
    answered = asked(connection)
    connection.data_received(OK + b"\r\nh")
    connection.connection_lost(ConnectionResetError("reset"))
    with pytest.raises(Broken, match=r"not completed \(reset\)"):
        await answered


async def test_what_stands_behind_a_chunked_body_is_no_header_of_the_answer() -> None:
    head = OK + b"Transfer-Encoding: chunked\r\nA: 1\r\n\r\n"
    answer = await answer_to(head + b"2\r\nhi\r\n0\r\nA: 2\r\nContent-Type: text/html\r\n\r\n")
    assert (answer.headers.get("A"), answer.content_type, answer.body) == ("1", "", b"hi")


@pytest.mark.parametrize("endless", [b"2\r\nhi\r\n0\r\nA: ", b"2;a=", OK + b"A: "])
async def test_fields_without_an_end_are_cut(endless: bytes) -> None:
    connection = opened()
    answered = asked(connection)
    if not endless.startswith(OK):
        connection.data_received(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    connection.data_received(endless)
    for _ in range(66):
        connection.data_received(b"x" * 1024)
    with pytest.raises(NoHttp, match="64 KB"):
        await answered


async def test_lines_that_end_without_a_carriage_return_are_understood() -> None:
    answer = await answer_to(b"HTTP/1.1 200 OK\nContent-Length: 2\nRetry-After: 5 \n\nhi")
    assert (answer.body, answer.headers.get("retry-after")) == (b"hi", "5")


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"hello", mtime=0),
        zlib.compress(b"hello"),
        gzip.compress(b"he", mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(b"llo", mtime=0),
        gzip.compress(b"hello", mtime=0) + bytes(100),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_compressed_bodies_are_read_in_any_pieces(packed: bytes, size: int) -> None:
    head = OK + b"Content-Encoding: GZIP \r\nContent-Length: %d\r\n\r\n" % len(packed)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert (await answer_to(head, *pieces)).body == b"hello"


async def test_a_compressed_body_may_be_empty_but_not_cut() -> None:
    head = OK + b"Content-Encoding: gzip\r\n"
    assert (await answer_to(head + b"Content-Length: 0\r\n\r\n")).body == b""
    with pytest.raises(NoHttp, match="too early"):
        await answer_to(head + b"Content-Length: 15\r\n\r\n" + gzip.compress(b"hello")[:15])
    with pytest.raises(NoHttp, match="too early"):
        await answer_to(head + b"\r\n" + gzip.compress(b"hello")[:15], eof=True)


async def test_many_compressed_members_do_not_pass_the_bound() -> None:
    packed = gzip.compress(b"hello") * 100
    connection = opened()
    answered = asked(connection, most=499)
    connection.data_received(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    with pytest.raises(TooLong):
        await answered


@pytest.mark.parametrize("then", [b"", b"zz\r\n", b"5\r\nwrong\r\n0\r\n\r\n"])
async def test_what_breaks_after_a_stream_has_all_it_needs_does_not_matter(then: bytes) -> None:
    taken: list[bytes] = []

    def take(piece: bytes) -> bool:
        taken.append(piece)
        return piece == b"done"

    head = OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n"
    assert (await answer_to(head, then, eof=True, take=take)).status == 200
    assert taken == [b"done"]


async def test_what_fails_after_a_call_was_cancelled_is_told_to_nobody() -> None:
    for ends in ("data", "lost"):
        connection = opened()
        asked(connection).cancel()
        if ends == "data":
            connection.data_received(b"garbage")
        connection.connection_lost(OSError("gone"))
        assert not connection.is_open
