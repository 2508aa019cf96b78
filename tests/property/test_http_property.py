"""Answers are read the same however they are cut into pieces; bytes that are none end in an error that is known."""

import asyncio
import gzip
import itertools
import zlib
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from streamgen.llm.connection import Answer, Broken, Connection, NoHttp, TooLong

MOST = 1 << 16
STATUSES = st.sampled_from([200, 201, 204, 301, 304, 400, 429, 500, 503, 529])
WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "x-gzip": lambda body: gzip.compress(body[: len(body) // 2]) + gzip.compress(body[len(body) // 2 :]),
}


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, int, dict[str, str], bytes, bool]:
    """The bytes of an answer that leaves its connection open or not, its status, some headers and its body."""
    status = draw(STATUSES)
    headers = {f"x-{name}": value for name, value in draw(st.dictionaries(WORD, WORD, max_size=3)).items()}
    body = b"" if status in (204, 304) else draw(st.binary(max_size=200))
    encoding = draw(st.sampled_from(sorted(PACK)))
    packed = b"" if status in (204, 304) else PACK[encoding](body)
    is_open = draw(st.booleans())
    fields = {**headers, "content-encoding": encoding, "connection": "keep-alive" if is_open else "close"}
    if status in (204, 304):
        sent = b""
    elif draw(st.booleans()):
        fields["transfer-encoding"], sent = "chunked", _chunked(packed, draw(st.integers(1, 50)), draw(st.booleans()))
    else:
        fields["content-length"], sent = str(len(packed)), packed
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * draw(st.integers(0, 2))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return early + f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + sent, status, fields, body, is_open


def _chunked(body: bytes, size: int, has_trailer: bool) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    trailer = b"X-Late: 1\r\n" if has_trailer else b""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(answers(), min_size=1, max_size=3), st.lists(st.integers(0, 2000), max_size=8), st.booleans())
def test_an_answer_is_the_same_in_any_pieces(
    several: list[tuple[bytes, int, dict[str, str], bytes, bool]], cuts: list[int], is_streamed: bool
) -> None:
    async def main() -> None:
        connection = Connection()
        connection.connection_made(Wire())
        for data, status, fields, body, is_open in several:
            taken: list[bytes] = []
            take = taken.append if is_streamed else None
            answered = connection.send(b"", take, MOST, None, 1.0)
            for piece in cut(data, cuts):
                assert not answered.done()
                connection.data_received(piece)
            answer = answered.result()
            assert (answer.status, answer.headers, connection.is_open) == (status, fields, is_open)
            is_taken = is_streamed and status == 200
            assert (b"".join(taken), answer.body) == ((body, b"") if is_taken else (b"", body))
            if not is_open:
                return

    asyncio.run(main())


HEADS = [
    b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 100 Go on\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
]  # fmt: skip
TOKENS = st.sampled_from(
    [b"\r\n", b"\n", b": ", b"0\r\n", b"HTTP/1.1 ", b"5\r\n", b"ffffffffffffffff\r\n", b"\x1f\x8b"]
)


@given(st.sampled_from(HEADS), st.lists(st.one_of(st.binary(max_size=40), TOKENS), max_size=12), st.booleans())
def test_any_bytes_end_in_an_answer_or_in_an_error_that_is_known(
    head: bytes, pieces: list[bytes], is_reset: bool
) -> None:
    async def main() -> Answer | BaseException:
        connection = Connection()
        connection.connection_made(Wire())
        answered = connection.send(b"", None, 64, None, 1.0)
        for piece in (head, *pieces):
            connection.data_received(piece)
        connection.connection_lost(OSError("reset") if is_reset else None)
        assert answered.done()
        assert not connection.is_open
        return answered.exception() or answered.result()

    assert isinstance(asyncio.run(main()), Answer | Broken | NoHttp | TooLong)
